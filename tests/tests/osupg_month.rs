//! A month of a site: media come, go to a folder, a bucket and a node that fetches, change by 5 %,
//! go out again, are damaged, mended, rolled back and taken away; and nothing is left behind. Once
//! undisturbed, and once with every command, the service and the node killed again and again.

#[path = "osupg_support/media.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod media;
mod osupg_support;
#[path = "osupg_support/services.rs"]
mod services;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use osupg_support::{Bench, text};
use osupg_tests::{bins, child, corpus, tools};
use serde_json::Value;
use services::{Running, bucket, bucket_keys, serve};
use sha1::{Digest, Sha1};

/// An image of which most bytes are in large files.
fn image(root: &Path, version: u64) {
    for index in 0..240_u64 {
        let folder = root.join(format!("component{:02}", index % 24));
        fs::create_dir_all(&folder).expect("folders can be made");
        let size = if index % 4 == 0 { 60_000 + index * 1_500 } else { 500 + index * 90 };
        // About 5 % of the bytes, in small and large files.
        let changed = version > 1 && (index % 40 == 7 || index % 76 == 4);
        let seed = if changed { index + version * 10_000 } else { index };
        let data = match index % 3 {
            0 => corpus::text(size as usize, seed),
            _ => corpus::noise(size as usize, seed),
        };
        fs::write(folder.join(format!("file{index:03}.dll")), data).expect("files can be made");
    }
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// Every file below a folder, with a digest of its bytes.
fn files(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(folder) = pending.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let bytes = fs::read(&path).expect("bytes");
                let digest = format!("{:x?}", Sha1::digest(&bytes));
                let name = path.strip_prefix(root).expect("below it").to_path_buf();
                found.push((name, digest));
            }
        }
    }
    found.sort();
    found
}

/// How often something is killed, and when: numbers from a seed, so that a failure comes again.
struct Blows {
    left: u32,
    state: u64,
}

impl Blows {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        self.state >> 33
    }

    /// Runs a command, which is killed at random a few times before it may end well.
    fn run(&mut self, make: &dyn Fn() -> Command, blows: u32) -> child::Finished {
        for _ in 0..blows.min(self.left) {
            self.left -= 1;
            let pause = Duration::from_millis(self.next() % 900);
            let mut command = make();
            let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let mut process = Running(spawned.expect("osupg starts"));
            sleep(pause);
            let _ = process.0.kill();
        }
        child::run(&mut make())
    }
}

struct Site {
    bench: Bench,
    blows: Blows,
    node: PathBuf,
    served: Option<(Running, String)>,
    token: String,
}

impl Site {
    /// A command on the store of the site, killed now and then; it must end well at last.
    fn json(&mut self, arguments: &[&str]) -> Value {
        let bench = &self.bench;
        let make = || {
            let mut command = bench.osupg();
            command.args(arguments).arg("--json");
            command
        };
        let done = self.blows.run(&make, 5).ok();
        serde_json::from_slice(&done.stdout).expect("JSON")
    }

    /// The node fetches what is wanted of it; it and the service are killed now and then.
    fn fetch(&mut self) -> Value {
        if self.blows.left > 0 {
            self.blows.left -= 1;
            self.served = None;
        }
        let (_, url) = self.served.get_or_insert_with(|| serve(&self.bench));
        let (node, url, token) = (self.node.clone(), url.clone(), self.token.clone());
        let tree = self.bench.path("branch");
        let make = || {
            let mut command = bins::osupg();
            command.env("OSUPG_TOKEN", &token).env_remove("OSUPG_CONFIG");
            command.arg("--home").arg(&node);
            command.args(["dp", "--once", "--json", "--point", "Branch", "--from", &url]);
            command.arg("--tree").arg(&tree);
            command
        };
        let done = self.blows.run(&make, 4).ok();
        serde_json::from_slice(&done.stdout).expect("JSON")
    }
}

/// What one point was sent: the bytes that travelled to it.
fn sent(published: &Value, point: &str) -> u64 {
    let delivered = published["delivered"].as_array().expect("deliveries");
    let one = delivered.iter().find(|one| one["point"] == point);
    number(one.unwrap_or_else(|| panic!("nothing for {point} in {published}")), "/sent")
}

/// The month. Returns the trees at the points as they were after the second revision.
fn month(blows: u32) -> Vec<(PathBuf, String)> {
    let (_s3, at) = bucket();
    let bench = Bench::new();
    fs::write(
        bench.path("osupg.toml"),
        format!(
            "[s3]\nendpoint = \"http://{at}\"\nregion = \"us-east-1\"\naccess-key-id = \"k\"\n\
             secret-access-key = \"s\"\nallow-http = true\n"
        ),
    )
    .expect("a file");
    let node = bench.path("node");
    let undisturbed = blows == 0;
    let state = 0x5EED;
    let blows = Blows { left: blows, state };
    let mut site = Site { bench, blows, node, served: None, token: String::new() };

    // Media with two editions come in; one is kept.
    let (old, new) = (site.bench.path("old"), site.bench.path("new"));
    image(&old, 1);
    image(&new, 2);
    let media = site.bench.path("media");
    fs::create_dir_all(media.join("sources")).expect("folders can be made");
    fs::write(media.join("setup.exe"), corpus::code(100_000, 1)).expect("a file");
    let install = media.join("sources/install.wim");
    media::capture("capture", &old, &install, "Home", "Core", &["--compress=XPRESS"]);
    media::capture("append", &old, &install, "Pro", "Professional", &[]);
    let bench = &site.bench;
    let add = || {
        let mut command = bench.osupg();
        command.args(["package", "add", text(&media), "--name", "Monthly"]);
        command.args(["--edition", "Professional", "--json"]);
        command
    };
    let added = site.blows.run(&add, 5);
    // Killed after its commit it has done its work: the name is taken then.
    if added.code() != 0 {
        assert!(added.stderr.contains("already"), "{}", added.stderr);
    }
    assert_eq!(number(&site.bench.json(&["package", "show", "Monthly"]), "/revision/number"), 1);

    // Three points, and a node that trusts the site's key.
    fs::create_dir(site.bench.path("folder")).expect("a folder");
    let _ = site.bench.json(&["point", "add", "Folder", text(&site.bench.path("folder"))]);
    let _ = site.bench.json(&["point", "add", "Cloud", "s3://site/points"]);
    let _ = site.bench.json(&["point", "add", "Branch", "--node"]);
    let create = ["token", "create", "branch", "--right", "operate", "--quiet"];
    site.token = site.bench.run(&create).ok().text().trim().to_string();
    let key = site.bench.path("site.pem");
    fs::write(&key, site.bench.run(&["key", "show"]).ok().stdout).expect("a file");
    let mut trust = bins::osupg();
    trust.env_remove("OSUPG_CONFIG").arg("--home").arg(&site.node);
    let _ = child::run(trust.args(["trust", "add", text(&key), "--name", "site"])).ok();

    let to = ["publish", "Monthly", "--to", "Folder", "Cloud", "Branch"];
    site.json(&to);
    site.fetch();
    let tally = |site: &Site| site.bench.json(&["point", "status", "--package", "Monthly"]);
    assert_eq!(tally(&site)["tally"]["success"], 3, "{}", tally(&site));

    // Next month 5 % of the image is new.
    let commands: String = fs::read_dir(&new)
        .expect("a listing")
        .map(|folder| folder.expect("an entry").path())
        .map(|folder| {
            let name = folder.file_name().and_then(|name| name.to_str()).expect("a name");
            format!("add '{}' '/{name}'\n", text(&folder))
        })
        .collect();
    let list = site.bench.path("commands");
    fs::write(&list, commands).expect("a file");
    let mut update = tools::wimlib();
    update.arg("update").arg(&install).arg("2").arg("--rebuild");
    let _ = child::run_with_input(&mut update, fs::File::open(&list).expect("the file")).ok();
    let refreshed = site.json(&["package", "refresh", "Monthly"]);
    let shown = site.bench.json(&["package", "show", "Monthly"]);
    assert_eq!(number(&shown, "/revision/number"), 2);
    let published = site.json(&to);
    let fetched = site.fetch();
    assert_eq!(tally(&site)["tally"]["success"], 3, "{}", tally(&site));
    if undisturbed {
        // What travels is what changed, and at most 3 % of it more.
        let changed = number(&refreshed, "/work/new_size");
        assert!(changed > 100_000, "{changed}");
        for bytes in
            [sent(&published, "Folder"), sent(&published, "Cloud"), number(&fetched, "/sent")]
        {
            assert!(bytes * 100 <= changed * 103, "{bytes} sent, {changed} changed");
        }
    }
    let second = files(&site.bench.path("folder/OSU00001"));
    assert_eq!(files(&site.bench.path("branch/OSU00001")), second);
    let exported = site.bench.path("exported");
    let _ = site.bench.json(&["package", "export", "Monthly", text(&exported)]);
    assert_eq!(files(&exported), second);
    let _ =
        child::run(tools::wimlib().arg("verify").arg(exported.join("sources/install.wim"))).ok();

    // A file at a point is damaged; scheduled validation finds and mends it.
    let hurt = site.bench.path("folder/OSU00001/sources/install.wim");
    let mut bytes = fs::read(&hurt).expect("bytes");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::remove_file(&hurt).expect("it can be replaced");
    fs::write(&hurt, bytes).expect("it can be written");
    let when = ["schedule", "validate", "Folder", "--when", "* * * * *", "--repair"];
    let _ = site.bench.json(&when);
    site.served = None;
    let worker = site.bench.osupg().arg("worker").stderr(Stdio::null()).spawn();
    let worker = Running(worker.expect("a worker starts"));
    let start = Instant::now();
    while files(&site.bench.path("folder/OSU00001")) != second {
        assert!(start.elapsed() < Duration::from_secs(180), "the point stays damaged");
        sleep(Duration::from_millis(500));
    }
    drop(worker);
    let _ = site.bench.run(&["schedule", "remove", "Validate Folder"]).ok();
    assert_eq!(site.bench.run(&["point", "validate", "--at", "Folder", "Cloud"]).ok().code(), 0);

    // Back to the first revision, then away with it all.
    site.json(&["publish", "Monthly@1", "--to", "Folder", "Cloud", "Branch"]);
    site.fetch();
    let first = site.bench.path("first");
    let _ = site.bench.json(&["package", "export", "Monthly@1", text(&first)]);
    assert_eq!(files(&site.bench.path("folder/OSU00001")), files(&first));
    assert_eq!(files(&site.bench.path("branch/OSU00001")), files(&first));
    site.json(&["withdraw", "Monthly", "--from", "Folder", "Cloud", "Branch"]);
    site.fetch();
    let _ = site.bench.json(&["point", "catch-up"]);
    assert_eq!(files(&site.bench.path("folder")).len(), 1, "only the mark is left");
    assert_eq!(bucket_keys(at), 1, "only the mark is left");
    assert!(!site.bench.path("branch/OSU00001").exists());
    let _ = site.bench.json(&["package", "remove", "Monthly"]);
    let _ = site.bench.json(&["library", "gc"]);
    assert_eq!(site.bench.objects(), []);
    assert_eq!(site.bench.json(&["library", "check"])["sound"], true);
    second
}

#[test]
fn a_month_leaves_what_it_should_and_nothing_else() {
    month(0);
}

#[test]
fn fifty_blows_change_nothing_in_the_end() {
    // Its own assertions are those of the quiet month.
    month(50);
}
