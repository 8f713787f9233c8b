//! A worker as a process of its own, over HTTPS, with a program that answers like DISM and has wimlib
//! change the images: killed in the middle of an upload, started again, and caught with a wrong result.

#[path = "osupg_support/media.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod media;
mod osupg_support;
#[path = "osupg_support/services.rs"]
mod services;

use std::fs;
use std::io::{Cursor, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use osupg_support::{Bench, text};
use osupg_tests::child::{self, Finished};
use osupg_tests::proxy::{Proxy, Rule};
use osupg_tests::{bins, corpus, tools};
use serde_json::Value;
use services::{Running, serve};

const PACKAGE: &str = "OpenSSH-Server-Package~31bf3856ad364e35~amd64~~10.0.26100.1";
/// What the update brings: nothing of it is in the library, and none of it can be compressed.
const PAYLOAD: usize = 64 << 20;
/// Bytes after which the first connection stalls. At most four pieces of 8 MiB are on their way then.
const STALLS_AFTER: u64 = 44 << 20;

/// The update: a feature on demand.
fn update(path: &Path) {
    let manifest = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<assembly \
        xmlns=\"urn:schemas-microsoft-com:asm.v3\" manifestVersion=\"1.0\" description=\"SSH\">\
        <assemblyIdentity name=\"OpenSSH-Server-Package\" version=\"10.0.26100.1\" \
        language=\"neutral\" processorArchitecture=\"amd64\" publicKeyToken=\"31bf3856ad364e35\"/>\
        <package identifier=\"KB5000001\" releaseType=\"OnDemand Pack\"/></assembly>";
    let payload = corpus::noise(PAYLOAD, 99);
    let mut builder = cab::CabinetBuilder::new();
    let folder = builder.add_folder(cab::CompressionType::None);
    folder.add_file("update.mum");
    folder.add_file("payload.bin");
    let mut writer = builder.build(Cursor::new(Vec::new())).expect("a cabinet");
    for bytes in [manifest.as_bytes(), &payload] {
        let mut file = writer.next_file().expect("a file").expect("there is one");
        file.write_all(bytes).expect("bytes");
    }
    assert!(writer.next_file().expect("an end").is_none());
    fs::write(path, writer.finish().expect("an end").into_inner()).expect("a file");
}

/// A program that answers like DISM. What it was asked for is in `calls` beside it; with a file
/// `wrong` there, it says of images what is not so.
fn dism(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder).expect("a folder");
    let program = folder.join("dism");
    let script = format!(
        r#"#!/bin/sh
set -e
D='{}'
for a in "$@"; do case "$a" in
  /ImageFile:*|/SourceImageFile:*) wim=${{a#*:}};;
  /Index:*|/SourceIndex:*) index=${{a#*:}};;
  /PackagePath:*) package=${{a#*:}};;
  /DestinationImageFile:*) new=${{a#*:}};;
esac; done
echo "$1 $2" >> "$D/calls"
case "$*" in
*'/?'*) echo 'Version: 10.0.26100.1';;
*/Mount-Image*)
  printf '%s\n' "$wim" > "$D/mounted"; printf '%s\n' "$index" > "$D/index"
  rm -rf "$D/tree"; mkdir -p "$D/tree/Windows/servicing/Packages" "$D/tree/Windows/System32";;
*/Add-Package*)
  rm -rf "$D/cab"; cabextract -q -d "$D/cab" "$package"
  cp "$D/cab/update.mum" "$D/tree/Windows/servicing/Packages/{PACKAGE}.mum"
  cp "$D/cab/payload.bin" "$D/tree/Windows/System32/payload.bin";;
*/Get-Packages*)
  build=1742; [ ! -e "$D/wrong" ] || build=9999
  printf 'Image Version: 10.0.26100.%s\n\nPackage Identity : {PACKAGE}\nState : Installed\n' $build;;
*/Unmount-Image*/Commit*)
  wimlib-imagex update "$(cat "$D/mounted")" "$(cat "$D/index")" --command="add $D/tree /" >/dev/null
  rm "$D/mounted";;
*/Unmount-Image*/Discard*) rm -f "$D/mounted";;
*/Get-ImageInfo*) wimlib-imagex info "$wim" | sed -n 's/^Index:/Index :/p';;
*/Export-Image*) wimlib-imagex export "$wim" "$index" "$new" >/dev/null;;
esac
"#,
        text(folder)
    );
    let source = folder.join("dism.sh");
    fs::write(&source, script).expect("a file");
    child::install(&source, &program);
    program
}

/// `osupg serve` with TLS; where it listens.
fn serve_over_tls(bench: &Bench) -> (Running, SocketAddr) {
    let (certificate, key) = services::certificate(bench);
    let config =
        format!("[serve]\ntls-cert = {:?}\ntls-key = {:?}\n", text(&certificate), text(&key));
    fs::write(bench.path("osupg.toml"), config).expect("a file");
    let (process, url) = serve(bench);
    let at = url.strip_prefix("https://").expect("over TLS");
    (process, at.parse().expect("an address"))
}

/// The worker, ready to start: through this port, with a folder and a name of its own.
fn worker(bench: &Bench, port: u16, dism: &Path, token: &str) -> Command {
    let mut command = bins::osupg();
    command
        .env("OSUPG_SERVER", format!("https://localhost:{port}"))
        .env("OSUPG_SERVER_CA", bench.path("cert.pem"))
        .env("OSUPG_TOKEN", token)
        .env("OSUPG_HOME", bench.path("nowhere"))
        .args(["worker", "--dism", text(dism), "--folder", text(&bench.path("worker"))])
        .args(["--name", "win", "--once", "--quiet"]);
    command
}

/// The run when it is over.
fn over(bench: &Bench, run: &str) -> Value {
    for _ in 0..3000 {
        let shown = bench.json(&["service", "show", run]);
        if !matches!(shown["state"].as_str(), Some("waiting" | "running")) {
            return shown;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("run {run} does not end: {}", bench.run(&["job", "list"]).text());
}

#[test]
fn a_worker_that_is_killed_while_it_uploads_goes_on_where_it_was() {
    let bench = Bench::new();
    let media = bench.media("media");
    bench.json(&["package", "add", text(&media), "--edition", "Professional", "--name", "Sample"]);
    let cabinet = bench.path("ssh.cab");
    update(&cabinet);
    bench.json(&["update", "import", text(&cabinet)]);
    let waiting = bench.json(&["service", "run", "OSU00001", "--update", "KB5000001"]);
    assert_eq!(waiting["state"], "waiting", "{waiting}");
    let run = waiting["id"].as_str().expect("an id").to_string();

    let (_served, at) = serve_over_tls(&bench);
    let create = ["token", "create", "win", "--right", "work", "--quiet"];
    let token = bench.run(&create).ok().text().trim().to_string();
    let folder = bench.path("dism");
    let dism = dism(&folder);
    let calls = |what: &str| {
        let calls = fs::read_to_string(folder.join("calls")).unwrap_or_default();
        calls.matches(what).count()
    };

    let proxy = Proxy::start(at);
    let port = proxy.address().port();
    proxy.set(Rule::SilentAfterSent(STALLS_AFTER));
    let mut first = Running(worker(&bench, port, &dism, &token).spawn().expect("osupg starts"));
    while proxy.up() < STALLS_AFTER {
        assert!(first.0.try_wait().expect("a state").is_none(), "the worker ended");
        sleep(Duration::from_millis(20));
    }
    drop(first);
    assert_eq!((calls("/Mount-Image"), calls("/Export-Image")), (1, 1));
    assert_eq!(bench.json(&["service", "show", &run])["state"], "waiting");
    assert_eq!(bench.json(&["package", "show", "OSU00001"])["revision"]["number"], 1);

    proxy.set(Rule::Pass);
    let done: Finished = child::run(&mut worker(&bench, port, &dism, &token)).ok();
    assert_eq!(done.text(), "win: 1 task done\n");
    let sent = proxy.up();
    assert!(sent < PAYLOAD as u64 - (4 << 20), "{sent} bytes were sent again");
    assert_eq!((calls("/Mount-Image"), calls("/Export-Image")), (1, 1), "it was done twice");
    assert!(!bench.path("nowhere").exists(), "a worker has no store");
    assert_eq!(fs::read_dir(bench.path("worker/tasks")).expect("a folder").count(), 0);

    let shown = over(&bench, &run);
    assert_eq!(
        (shown["state"].as_str(), shown["revision"].as_i64()),
        (Some("succeeded"), Some(2)),
        "{shown}"
    );
    assert_eq!(shown["report"]["updates"][0]["became"], "installed");
    let out = bench.path("out");
    let _ = bench.run(&["package", "export", "OSU00001", text(&out)]).ok();
    let wim = out.join("sources/install.wim");
    let _ = child::run(tools::wimlib().arg("verify").arg(&wim)).ok();
    let mut extract = tools::wimlib();
    extract.arg("extract").arg(&wim).args(["1", "/Windows/System32/payload.bin"]);
    let _ = child::run(extract.arg(format!("--dest-dir={}", text(&out)))).ok();
    let payload = fs::read(out.join("payload.bin")).expect("a file");
    assert!(payload == corpus::noise(PAYLOAD, 99), "what the update brings is in the image");

    // A worker that says what is not so: the run fails, and what is there stays.
    fs::write(folder.join("wrong"), "").expect("a file");
    let again = ["service", "run", "OSU00001", "--update", "KB5000001", "--continue-on-error"];
    let waiting = bench.json(&again);
    assert_eq!(waiting["state"], "waiting", "{waiting}");
    let _ = child::run(&mut worker(&bench, port, &dism, &token)).ok();
    let shown = over(&bench, waiting["id"].as_str().expect("an id"));
    let reason = shown["reason"].as_str().expect("a reason");
    assert_eq!(shown["state"], "failed", "{shown}");
    assert!(reason.contains("the worker says 26100.9999, the image has 26100.1742"), "{reason}");
    assert_eq!(bench.json(&["package", "show", "OSU00001"])["revision"]["number"], 2);
    assert_eq!(bench.json(&["package", "verify", "OSU00001"])["sound"], true);
}
