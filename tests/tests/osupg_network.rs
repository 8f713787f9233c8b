//! Networks that are slow, break in mid-file or fall silent; and TLS between a node and its server.

#[path = "osupg_support/media.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod media;
mod osupg_support;
#[path = "osupg_support/services.rs"]
mod services;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use osupg_support::{Bench, text};
use osupg_tests::child::{self, Finished};
use osupg_tests::proxy::{Proxy, Rule};
use osupg_tests::{bins, corpus};
use serde_json::Value;
use services::{Running, bucket, serve};

/// Bytes of a file of the image: each is a piece of the library.
const FILE: usize = 90_000;

/// A store with a package of small pieces, `OSU00001`.
fn store() -> Bench {
    store_of(24, FILE)
}

/// The same, of so many pieces of this size.
fn store_of(files: u64, size: usize) -> Bench {
    let bench = Bench::new();
    let (tree, media) = (bench.path("tree"), bench.path("media"));
    fs::create_dir_all(&tree).expect("folders can be made");
    fs::create_dir_all(media.join("sources")).expect("folders can be made");
    for number in 0..files {
        let file = tree.join(format!("file{number:02}.dll"));
        fs::write(file, corpus::noise(size, number)).expect("files can be made");
    }
    let install = media.join("sources/install.wim");
    media::capture("capture", &tree, &install, "Pro", "Professional", &["--compress=XPRESS"]);
    fs::write(media.join("setup.exe"), corpus::code(50_000, 1)).expect("a file");
    let _ = bench.json(&["package", "add", text(&media), "--name", "Sample"]);
    bench
}

fn sum(objects: &[(String, u64)]) -> u64 {
    objects.iter().map(|(_, size)| size).sum()
}

/// A node of a store, with a configuration of its own.
struct Node<'b> {
    server: &'b Bench,
    home: PathBuf,
    config: PathBuf,
}

impl<'b> Node<'b> {
    /// A node whose only source is behind a proxy, and that bears three seconds of silence.
    fn behind(server: &'b Bench, url: &str, proxy: &Proxy) -> Self {
        let from = proxy.address();
        let settings = format!(
            "server = \"{url}\"\ntimeout-seconds = 3\n\
             [[dp.sources]]\nfrom = \"http://{from}\"\ntoken-file = \"TOKEN\"\n"
        );
        Self::new(server, &settings)
    }

    /// The point `Branch` at the server, to which the package is published; `dp` is what the
    /// section [dp] of the node says beside its point and token.
    fn new(server: &'b Bench, dp: &str) -> Self {
        let _ = server.json(&["point", "add", "Branch", "--node"]);
        let _ = server.json(&["publish", "Sample", "--to", "Branch"]);
        let create = ["token", "create", "branch", "--right", "operate", "--quiet"];
        let token = server.path("token");
        fs::write(&token, server.run(&create).ok().stdout).expect("a file");
        let key = server.path("site.pem");
        fs::write(&key, server.run(&["key", "show"]).ok().stdout).expect("a file");
        let config = server.path("node.toml");
        let dp = dp.replace("TOKEN", text(&token));
        fs::write(&config, format!("[dp]\npoint = \"Branch\"\ntoken-file = {token:?}\n{dp}"))
            .expect("a file");
        let node = Self { server, home: server.path("node"), config };
        let _ = child::run(node.osupg().args(["trust", "add", text(&key), "--name", "site"])).ok();
        node
    }

    fn osupg(&self) -> Command {
        let mut command = bins::osupg();
        command.env_remove("OSUPG_SITE_CODE");
        command.arg("--home").arg(&self.home).arg("--config").arg(&self.config);
        command
    }

    /// One round.
    fn fetch(&self) -> Finished {
        child::run(self.osupg().args(["dp", "--once", "--json"]))
    }

    /// How the package stands at the node, as its server knows.
    fn status(&self) -> Value {
        self.server.json(&["point", "status", "--point", "Branch"])[0].clone()
    }

    /// Bytes of pieces that are here: whole in the library, and begun.
    fn present(&self) -> (u64, u64) {
        let whole = sizes_below(&self.home.join("library"));
        let mut begun = sizes_below(&self.home.join("incoming"));
        // One may have been stored, and its beginning not cleared away yet.
        begun.retain(|name, _| !whole.contains_key(name));
        (whole.values().sum(), begun.values().sum())
    }
}

/// The sizes of all files below a folder, by name.
fn sizes_below(folder: &Path) -> HashMap<OsString, u64> {
    let mut sizes = HashMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => sizes.extend(sizes_below(&entry.path())),
            Ok(meta) => drop(sizes.insert(entry.file_name(), meta.len())),
            Err(_) => {}
        }
    }
    sizes
}

fn parsed(done: &Finished) -> Value {
    serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", done.text(), done.stderr))
}

fn port(url: &str) -> SocketAddr {
    let address = url.rsplit("//").next().expect("an address");
    address.parse().expect("a host and a port")
}

#[test]
fn a_node_that_is_cut_off_in_mid_file_goes_on_where_it_was() {
    let server = store();
    let (_served, url) = serve(&server);
    let proxy = Proxy::start(port(&url));
    let node = Node::new(
        &server,
        &format!(
            "server = \"{url}\"\n[[dp.sources]]\nfrom = \"http://{}\"\ntoken-file = \"TOKEN\"\n",
            proxy.address()
        ),
    );
    let total = sum(&server.objects());
    // Half of the files and most of the next, whichever of four lines they come over; and some more, should
    // the cut have met the end of one.
    let mut files = 12;
    let done = loop {
        proxy.set(Rule::CutAfter(files * FILE as u64 + 80_000));
        let done = node.fetch();
        assert_eq!(done.code(), 4, "{} {}", done.text(), done.stderr);
        if !node.present().1.is_multiple_of(FILE as u64) || files == 1 {
            break done;
        }
        files /= 2;
    };
    let failed = parsed(&done)["failed"].to_string();
    assert!(
        failed.contains("the next try goes on") || failed.contains("no source gives"),
        "{failed}"
    );
    let status = node.status();
    assert_eq!(status["state"], "failed", "{status}");
    let reason = status["reason"].as_str().expect("why");
    assert!(reason.contains("cannot be reached") || reason.contains("breaks off"), "{reason}");

    let (whole, begun) = node.present();
    assert!(whole > 0, "some pieces came whole");
    assert!(begun % FILE as u64 > 0, "one was cut in its middle: {begun}");
    proxy.set(Rule::Pass);
    let round = parsed(&node.fetch().ok());
    // What had come does not come again, not even of the file that was cut.
    assert_eq!(round["sent"], total - whole - begun, "{round}");
    let overhead = 200_000;
    assert!(proxy.down() < total - whole - begun + overhead, "{} travelled", proxy.down());
    assert_eq!(node.present(), (total, 0));
    assert!(sizes_below(&node.home.join("incoming")).is_empty(), "nothing half-done is left");
    assert_eq!(node.status()["state"], "installed");
}

#[test]
fn a_source_that_falls_silent_is_left_for_the_next() {
    let server = store();
    let (_served, url) = serve(&server);
    let proxy = Proxy::start(port(&url));
    let node = Node::new(
        &server,
        &format!(
            "server = \"{url}\"\ntimeout-seconds = 3\n\
             [[dp.sources]]\nfrom = \"http://{}\"\ntoken-file = \"TOKEN\"\npriority = 1\n\
             [[dp.sources]]\nfrom = \"{url}\"\ntoken-file = \"TOKEN\"\npriority = 2\n",
            proxy.address()
        ),
    );
    let total = sum(&server.objects());
    proxy.set(Rule::SilentAfter(total / 3));
    let round = parsed(&node.fetch().ok());
    assert_eq!(round["installed"], serde_json::json!(["OSU00001@1"]), "{round}");
    assert_eq!(round["sent"], total, "no byte came twice: {round}");
    assert!(proxy.down() > 0, "the first source was asked");
}

#[test]
fn a_silent_source_alone_is_named_and_does_not_hang() {
    let server = store();
    let (_served, url) = serve(&server);
    let proxy = Proxy::start(port(&url));
    let node = Node::behind(&server, &url, &proxy);
    proxy.set(Rule::SilentAfter(0));
    let done = node.fetch();
    assert_eq!(done.code(), 4, "{} {}", done.text(), done.stderr);
    let reason = node.status()["reason"].as_str().expect("why").to_string();
    assert!(reason.contains("has not sent anything for too long"), "{reason}");
}

#[test]
fn a_slow_line_is_no_silent_one() {
    let server = store_of(4, FILE);
    let (_served, url) = serve(&server);
    let proxy = Proxy::start(port(&url));
    let node = Node::behind(&server, &url, &proxy);
    // A piece takes longer than the node bears silence.
    proxy.set(Rule::Slow(FILE as u64 / 5));
    let round = parsed(&node.fetch().ok());
    assert_eq!(round["sent"], sum(&server.objects()), "{round}");
}

/// A bucket behind a proxy as the point `Cloud`, and a folder beside it.
fn with_bucket(server: &Bench) -> (Running, Proxy) {
    let (s3, at) = bucket();
    let proxy = Proxy::start(at);
    fs::write(
        server.path("osupg.toml"),
        format!(
            "[s3]\nendpoint = \"http://{}\"\nregion = \"us-east-1\"\naccess-key-id = \"k\"\n\
             secret-access-key = \"s\"\nallow-http = true\n",
            proxy.address()
        ),
    )
    .expect("a file");
    fs::create_dir(server.path("folder")).expect("a folder");
    let _ = server.json(&["point", "add", "Folder", text(&server.path("folder"))]);
    let _ = server.json(&["point", "add", "Cloud", "s3://site/points"]);
    (s3, proxy)
}

/// What is still to be sent to Cloud.
fn to_send(server: &Bench) -> u64 {
    let planned = server.json(&["publish", "Sample", "--to", "Cloud", "--dry-run"]);
    planned["points"][0]["plan"]["send"].as_u64().unwrap_or_else(|| panic!("{planned}"))
}

#[test]
fn a_silent_point_blocks_nobody_and_its_timeline_says_why() {
    let server = store();
    let (_s3, proxy) = with_bucket(&server);
    proxy.set(Rule::SilentAfter(0));
    let _ = server.json(&["point", "edit", "Cloud", "--timeout", "2"]);
    let done = server.run(&["publish", "Sample", "--to", "Folder", "Cloud"]);
    assert_eq!(done.code(), 4, "{} {}", done.text(), done.stderr);
    assert!(done.text().contains("Folder: OSU00001 revision 1 installed"), "{}", done.text());
    let status = server.json(&["point", "status", "--point", "Cloud"]);
    let reason = status[0]["reason"].as_str().expect("why");
    assert!(reason.contains("s3://site/points has not answered for 2 seconds"), "{reason}");
    assert!(reason.contains("check the address, the keys and the network"), "{reason}");
    // And so does the timeline of the job.
    let jobs = server.json(&["job", "list"]);
    let job = jobs.as_array().into_iter().flatten().find(|job| job["request"]["point"] == "Cloud");
    let number = job.unwrap_or_else(|| panic!("no job of Cloud: {jobs}"))["id"].to_string();
    let shown = server.json(&["job", "show", &number]);
    assert!(shown["timeline"].to_string().contains("has not answered for 2 seconds"), "{shown}");
    proxy.set(Rule::Pass);
    let _ = server.json(&["point", "edit", "Cloud", "--timeout", "120"]);
    let _ = server.json(&["point", "retry", "Sample"]);
    let status = server.json(&["point", "status", "--package", "Sample"]);
    assert_eq!(status["tally"]["success"], 2, "{status}");
}

#[test]
fn a_bucket_that_is_cut_off_gets_only_what_it_lacks_the_second_time() {
    let server = store();
    let (_s3, proxy) = with_bucket(&server);
    let total = to_send(&server);
    proxy.set(Rule::CutAfter(total / 2));
    let done = server.run(&["publish", "Sample", "--to", "Cloud"]);
    assert_eq!(done.code(), 4, "{} {}", done.text(), done.stderr);
    let status = server.json(&["point", "status", "--point", "Cloud"]);
    assert_eq!(status[0]["state"], "failed", "{status}");
    assert!(status[0]["reason"].as_str().is_some_and(|why| why.contains("s3://site")), "{status}");
    proxy.set(Rule::Pass);
    let left = to_send(&server);
    assert!(left < total, "something has arrived: {left} of {total} are left");
    let before = proxy.up();
    let again = server.json(&["point", "retry", "Sample"]);
    assert_eq!(again["delivered"][0]["sent"], left, "{again}");
    let overhead = 300_000;
    assert!(proxy.up() - before < left + overhead, "{} of {left}", proxy.up() - before);
    assert_eq!(server.run(&["point", "validate"]).ok().code(), 0);
}

#[test]
fn a_slow_bucket_gets_its_pieces_all_the_same() {
    let server = store_of(1, 700_000);
    let (_s3, proxy) = with_bucket(&server);
    // The piece takes longer than the point bears silence.
    proxy.set(Rule::Slow(45_000));
    let _ = server.json(&["point", "edit", "Cloud", "--timeout", "10"]);
    let _ = server.run(&["publish", "Sample", "--to", "Cloud"]).ok();
    let status = server.json(&["point", "status", "--point", "Cloud"]);
    assert_eq!(status[0]["state"], "installed", "{status}");
}

/// A disk that somebody else fills while a package is on its way there.
#[test]
fn a_disk_that_fills_up_in_mid_transfer_is_said_and_tried_again() {
    let server = store();
    let small = server.path("small");
    fs::create_dir(&small).expect("a folder");
    let script = r#"
        mount -t tmpfs -o size=8m none "$1" || exit 99
        osupg=$2 home=$3
        run() { "$osupg" --home "$home" "$@"; }
        run point add Small "$1" --rate 500K >&2 || exit 98
        run publish Sample --to Small & publishing=$!
        while ! find "$1" -type f -size +100k | grep -q .; do kill -0 $publishing || exit 97; sleep 0.05; done
        dd if=/dev/zero of="$1/theirs" bs=64k 2>/dev/null
        wait $publishing; echo "code $?"
        run point status --point Small --json
        rm "$1/theirs"
        run point edit Small --rate 0 >&2
        run point retry Sample >&2; echo "again $?"
        run point validate >&2; echo "valid $?""#;
    let done = child::run(
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .args([&small, bins::osupg_path(), &server.home()]),
    );
    let said = done.text();
    assert!(said.contains("code 4"), "{said}{}", done.stderr);
    assert!(said.contains("No space left on device"), "{said}{}", done.stderr);
    assert!(said.contains("free some space"), "{said}");
    assert!(said.contains("again 0") && said.contains("valid 0"), "{said}{}", done.stderr);
}

/// Makes an authority and a certificate of it for `localhost`, with openssl.
fn authority(folder: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(folder).expect("a folder");
    let script = r#"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -subj "/CN=$1" -keyout ca.key -out ca.pem -addext basicConstraints=critical,CA:TRUE
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
            -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile server.ext -out server.pem"#;
    let mut shell = Command::new("sh");
    let _ = child::run(shell.args(["-ec", script, "sh", name]).current_dir(folder)).ok();
    folder.join("ca.pem")
}

#[test]
fn a_node_pulls_over_tls_from_an_authority_that_it_trusts_and_no_other() {
    let server = store();
    let ours = authority(&server.path("ours"), "ours");
    let stranger = authority(&server.path("stranger"), "stranger");
    let config = server.path("osupg.toml");
    let (cert, key) = (server.path("ours/server.pem"), server.path("ours/server.key"));
    fs::write(&config, format!("[serve]\ntls-cert = {cert:?}\ntls-key = {key:?}\n"))
        .expect("a file");
    let (_served, url) = serve(&server);
    let (_, number) = url.rsplit_once(':').expect("a port");
    assert!(url.starts_with("https://"), "{url}");
    let url = format!("https://localhost:{number}");
    let dp = |authority: &Path| format!("server = \"{url}\"\ncertificates = {authority:?}\n");
    let node = Node::new(&server, &dp(&ours));
    let good = fs::read_to_string(&node.config).expect("the configuration");

    // Another authority, and none but those of the system: refused before anything is said.
    let wrong = good.replace(text(&ours), text(&stranger));
    let none = good.replace(&format!("certificates = {ours:?}\n"), "");
    for config in [wrong, none] {
        fs::write(&node.config, config).expect("a file");
        let done = child::run(node.osupg().args(["dp", "--once"]));
        assert_eq!(done.code(), 4, "{} {}", done.text(), done.stderr);
        let plain =
            "shows a certificate that is not trusted here: nobody who is trusted has signed it";
        assert!(done.stderr.contains(plain), "{}", done.stderr);
        assert!(done.stderr.contains("`certificates` in the section [dp]"), "{}", done.stderr);
        assert_eq!(node.present(), (0, 0));
    }
    // A name that the certificate is not for.
    fs::write(&node.config, good.replace("localhost", "127.0.0.1")).expect("a file");
    let done = node.fetch();
    assert_eq!(done.code(), 4, "{} {}", done.text(), done.stderr);
    let another = "shows a certificate that is not trusted here: it is for another name";
    assert!(done.stderr.contains(another), "{}", done.stderr);

    fs::write(&node.config, &good).expect("a file");
    let round = parsed(&node.fetch().ok());
    assert_eq!(round["sent"], sum(&server.objects()), "{round}");
    assert_eq!(node.status()["state"], "installed");

    // In the clear nothing is answered, and a command sees the same as the node.
    let plain = url.replace("https", "http");
    fs::write(&node.config, good.replace(&url, &plain)).expect("a file");
    assert_eq!(node.fetch().code(), 4);
    let list = |authority: &Path| {
        let token = fs::read_to_string(server.path("token")).expect("the token");
        let mut command = bins::osupg();
        command.env("OSUPG_TOKEN", token.trim()).env("OSUPG_HOME", server.path("nowhere"));
        command.args(["--server", &url, "--server-ca", text(authority), "package", "list"]);
        child::run(command.stdin(Stdio::null()))
    };
    assert!(list(&ours).ok().text().contains("OSU00001"));
    let refused = list(&stranger);
    assert_eq!(refused.code(), 4);
    assert!(refused.stderr.contains("not trusted here"), "{}", refused.stderr);
}
