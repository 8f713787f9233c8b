//! TLS with a certificate that was made here.

use std::path::PathBuf;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::Certificate;

use super::Bench;
use crate::db::tests::Database;
use crate::operation::Right;
use crate::package;
use crate::progress::{Silent, Watch};
use crate::remote;

/// A certificate for `localhost`, as files; and its PEM.
fn certificate(folder: &std::path::Path) -> (PathBuf, PathBuf, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    (certificate, key, cert.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_ones_own_is_used_and_read_again() {
    let mut first = String::new();
    let bench = Bench::with(Database::Sqlite, |folder, settings| {
        let (certificate, key, pem) = certificate(folder);
        settings.tls_cert = Some(certificate);
        settings.tls_key = Some(key);
        first = pem;
    })
    .await;
    assert!(bench.url.starts_with("https://"));
    let status = async |pem: Option<&str>| {
        let mut client = reqwest::Client::builder().no_proxy();
        if let Some(pem) = pem {
            client = client.tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()]);
        }
        let client = client.build().unwrap();
        let sent = client.get(format!("{}/health/live", bench.url)).send().await;
        sent.map(|response| response.status().as_u16())
    };
    assert_eq!(status(Some(&first)).await.unwrap(), 200);
    assert!(status(None).await.is_err(), "nobody trusts it without being told to");
    let plain = bench.http.get(bench.url.replace("https", "http") + "/health/live").send().await;
    assert!(plain.is_err(), "nothing is said in the clear");

    // The client of osupg trusts it through a file.
    let token = bench.token(Right::Read, &[]).await;
    let settings = remote::Settings {
        url: bench.url.clone(),
        token: Some(crate::accounts::password::Secret(token)),
        certificates: Some(bench.path("cert.pem")),
        ..Default::default()
    };
    let client = remote::Client::new(&settings).unwrap();
    let cancel = wim_extract::Cancel::new();
    let watch = Watch { progress: &Silent, cancel: &cancel };
    let listed = client.call(&package::list::Request::default(), watch).await;
    assert!(listed.unwrap().items.is_empty());

    // One that cannot be used changes nothing; another one is used from then on.
    let hang_up = async || {
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::HUP).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    };
    std::fs::write(bench.path("key.pem"), "no key").unwrap();
    hang_up().await;
    assert_eq!(status(Some(&first)).await.unwrap(), 200);
    let (_, _, second) = certificate(bench.folder.path());
    hang_up().await;
    assert_eq!(status(Some(&second)).await.unwrap(), 200);
    assert!(status(Some(&first)).await.is_err());
    bench.stop().await;
}
