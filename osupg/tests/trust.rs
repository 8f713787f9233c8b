//! Signatures as another program sees them: `openssl` checks what osupg has signed.

use std::fs;
use std::path::Path;
use std::process::Command;

use osupg::Home;
use osupg::operation::Operation;
use osupg::progress::{Silent, Watch};
use osupg::trust::{self, manage};
use serde_json::Value;

fn openssl(arguments: &[&str], folder: &Path) -> (bool, String) {
    let done = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_verifies_what_is_signed_and_names_the_key_alike() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(&folder.path().join("store")).await.unwrap();
    let statement = b"{\"some\":\"statement\"}";
    let envelope = trust::sign(&home, "application/vnd.osupg.test", statement).unwrap();
    let cancel = wim_extract::Cancel::new();
    let watch = Watch { progress: &Silent, cancel: &cancel };
    let key = manage::ShowKey {}.run(&home, watch).await.unwrap();

    // From the envelope's JSON alone, as a stranger would.
    let json: Value = serde_json::from_str(&envelope.to_json()).unwrap();
    let decode = |text: &Value| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap()
    };
    let payload = decode(&json["payload"]);
    assert_eq!(payload, statement);
    let kind = json["payloadType"].as_str().unwrap();
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    let message = [head.as_bytes(), &payload].concat();
    fs::write(folder.path().join("message"), &message).unwrap();
    fs::write(folder.path().join("signature"), decode(&json["signatures"][0]["sig"])).unwrap();
    fs::write(folder.path().join("key.pem"), key.key.pem()).unwrap();

    let verify = ["pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "message"];
    let verify = [&verify[..], &["-sigfile", "signature"]].concat();
    let (right, said) = openssl(&verify, folder.path());
    assert!(right, "{said}");
    fs::write(folder.path().join("message"), [&message[..], b"!"].concat()).unwrap();
    assert!(!openssl(&verify, folder.path()).0, "a changed message must not verify");

    openssl(&["pkey", "-pubin", "-in", "key.pem", "-outform", "DER", "-out", "der"], folder.path());
    let (_, digest) = openssl(&["dgst", "-sha256", "-r", "der"], folder.path());
    assert_eq!(digest.split(' ').next(), Some(key.id.to_string().as_str()));
    assert_eq!(json["signatures"][0]["keyid"], key.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_key_made_by_openssl_signs() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let home = Home::open(&store).await.unwrap();
    let keys = store.join("keys");
    fs::create_dir(&keys).unwrap();
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", "new.pem"], folder.path());
    let public = openssl(&["pkey", "-in", "new.pem", "-pubout"], folder.path()).1;
    let id = trust::PublicKey::from_pem(&public).unwrap().id();
    fs::copy(folder.path().join("new.pem"), keys.join(format!("{id}.pem"))).unwrap();
    fs::write(keys.join("current"), id.to_string()).unwrap();
    let private = keys.join(format!("{id}.pem"));
    fs::set_permissions(&private, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let envelope = trust::sign(&home, "kind", b"statement").unwrap();
    assert_eq!(envelope.claimed_signers(), [id]);
}
