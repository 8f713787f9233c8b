//! What `wimx` prints, word for word, and how it behaves towards pipes, links and terminals.

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use osupg_tests::{bins, child};
use serde_json::Value;

/// The cases of `cmd/*.trycmd`, run over the vectors. After a change that is meant,
/// `TRYCMD=overwrite cargo test -p osupg-tests --test cli` writes the new output into them.
#[test]
fn commands_print_what_their_cases_say() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("wimx", bins::wimx_path());
    cases.env("NO_COLOR", "1").env("COLUMNS", "100").env("LC_ALL", "C.UTF-8");
    cases.case("cmd/*.trycmd");
}

fn vector(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data/vectors")).join(name)
}

fn wimx(arguments: &[&str]) -> Command {
    let mut command = bins::wimx();
    command.current_dir(vector("")).args(arguments);
    command
}

/// `wimx dir x.wim | head -1` is silent and ends with the code that shells give to SIGPIPE.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [
        &["dir", "editions.wim", "all", "--detailed"][..],
        &["dir", "editions.wim", "all", "--json"],
        &["extract", "v5.wim", "1", "/big.txt", "--to-stdout"],
        &["info", "editions.wim", "--xml"],
        &["info", "--help"],
    ] {
        let mut command = wimx(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().expect("wimx starts");
        // Closed before anything is read, so that every write fails.
        drop(running.stdout.take());
        let mut said = String::new();
        let mut stderr = running.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut said).expect("UTF-8");
        let status = running.wait().expect("wimx ends");
        // The help may be out before the pipe is closed.
        let code = status.code().expect("no signal");
        assert!(code == 141 || code == 0, "{arguments:?}: {code}");
        assert_eq!(said, "", "{arguments:?}");
    }
}

#[test]
fn links_run_the_command_they_are_named_after() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let run = |name: &str, arguments: &[&str]| {
        let link = folder.path().join(name);
        symlink(bins::wimx_path(), &link).expect("a link");
        child::run(Command::new(link).current_dir(vector("")).args(arguments))
    };
    assert!(run("wiminfo", &["v1.wim"]).ok().text().contains("Image Count:    1"));
    assert_eq!(run("wimdir", &["v3.wim"]).ok().text(), "/\n/a.txt\n/big.txt\n/rnd.bin\n");
    assert!(run("wimverify", &["v3.wim"]).ok().text().contains("successfully verified"));
    let data = run("wimextract", &["v1.wim", "1", "a.txt", "--to-stdout"]).ok();
    assert_eq!(data.stdout, b"hello, wim\n");
    let target = folder.path().join("target");
    run("wimapply", &["v1.wim", target.to_str().expect("UTF-8")]).ok();
    assert_eq!(fs::read(target.join("b.txt")).expect("a file"), b"hello, wim\n");
    let exported = folder.path().join("x.wim");
    run("wimexport", &["v1.wim", "1", exported.to_str().expect("UTF-8")]).ok();
    assert!(exported.exists());
    assert_eq!(run("wimbogus", &["v1.wim"]).code(), 2);
}

/// Every command prints one JSON document on standard output, whether it succeeds or fails.
#[test]
fn json_is_one_document_in_every_case() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let target = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (applied, extracted) = (target("applied"), format!("--dest-dir={}", target("extracted")));
    let (exported, changed) = (target("x.wim"), target("changed.wim"));
    fs::copy(vector("v1.wim"), &changed).expect("a copy");
    child::run(Command::new("chmod").args(["u+w", &changed])).ok();
    let cases: [(&[&str], i32, &str); 19] = [
        (&[], 2, "/error/message"),
        (&["bogus"], 2, "/error/message"),
        (&["capture"], 255, "/error/message"),
        (&["info", "v1.wim", "--bogus"], 255, "/error/message"),
        (&["export", "v1.wim", "1", &exported, "--solid-c"], 255, "/error/message"),
        (&["info", "editions.wim"], 0, "/images/2/index"),
        (&["info", &changed, "1", "New"], 0, "/changes/0/old"),
        (&["info", "editions.wim", "7"], 18, "/error/message"),
        (&["info", "nope.wim"], 47, "/error/message"),
        (&["dir", "ntfs.wim", "--detailed"], 0, "/images/0/entries/3/streams"),
        (&["dir", "v52.swm", "1"], 36, "/error/message"),
        (&["dir", "editions.wim"], 255, "/error/message"),
        (&["verify", "v4.wim"], 0, "/bytes"),
        (&["verify", "v5.swm"], 55, "/damage/1/files/0/path"),
        (&["extract", "ntfs.wim", "1", &extracted], 0, "/warnings/0"),
        (&["extract", "ntfs.wim", "1", "/nope", &extracted], 49, "/error/message"),
        (&["apply", "editions.wim", "2", &applied], 0, "/files"),
        (&["export", "editions.wim", "all", &exported], 0, "/images/2"),
        (&["export", "editions.wim", "1", &exported], 11, "/error/message"),
    ];
    for (arguments, code, pointer) in cases {
        let finished = child::run(wimx(arguments).arg("--json"));
        assert_eq!(finished.code(), code, "{arguments:?}: {}", finished.stderr);
        let document: Value = serde_json::from_slice(&finished.stdout).expect("one JSON document");
        assert!(document.pointer(pointer).is_some(), "{arguments:?}: {document:#}");
        let error = document.pointer("/error/code").and_then(Value::as_i64).unwrap_or(0);
        assert_eq!(error, i64::from(code), "{arguments:?}: {document:#}");
    }
}

/// A name that is no Unicode: a lone surrogate, which Windows allows.
#[test]
fn names_that_are_not_unicode_are_shown_and_found() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let wim = folder.path().join("x.wim");
    let mut bytes = fs::read(vector("v1.wim")).expect("a vector");
    // In the metadata of v1.wim, which is stored: the name b.txt becomes U+D800 followed by .txt.
    let name: Vec<u8> = "b.txt".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let at = (255..943).find(|&at| bytes[at..].starts_with(&name)).expect("the name");
    bytes[at..at + 2].copy_from_slice(&0xd800u16.to_le_bytes());
    let hash: [u8; 20] =
        sha1::Digest::finalize(<sha1::Sha1 as sha1::Digest>::new_with_prefix(&bytes[255..943]))
            .into();
    // The first entry of the blob table at 943 is that of the metadata.
    bytes[943 + 30..943 + 50].copy_from_slice(&hash);
    fs::write(&wim, bytes).expect("a file");
    let wim = wim.to_str().expect("UTF-8");

    let listed = child::run(&mut wimx(&["dir", wim])).ok();
    let wtf8 = b"/\xed\xa0\x80.txt";
    assert!(listed.stdout.split(|&byte| byte == b'\n').any(|line| line == wtf8));
    let document = child::run(&mut wimx(&["dir", wim, "--json"])).ok();
    let document: Value = serde_json::from_slice(&document.stdout).expect("JSON");
    let entries = document["images"][0]["entries"].as_array().expect("entries");
    let entry = entries.iter().find(|entry| entry["path"] == "/\u{fffd}.txt").expect("the file");
    assert_eq!(entry["path_hex"], "2feda0802e747874");
    let path = std::ffi::OsStr::from_bytes(wtf8);
    let found = child::run(wimx(&["dir", wim, "--one-file-only", "--path"]).arg(path)).ok();
    assert_eq!(found.stdout, [&wtf8[..], b"\n"].concat());
}

/// Colours only where a terminal is, and never against NO_COLOR; here nothing is a terminal.
#[test]
fn messages_have_no_colours_in_a_pipe() {
    let finished = child::run(&mut wimx(&["info", "nope.wim"]));
    assert!(finished.stderr.starts_with("error: "), "{:?}", finished.stderr);
    let forced = child::run(wimx(&["info", "nope.wim"]).env("CLICOLOR_FORCE", "1"));
    assert!(forced.stderr.contains("\u{1b}["), "{:?}", forced.stderr);
    let refused = child::run(wimx(&["info", "nope.wim"]).env("NO_COLOR", "1"));
    assert!(refused.stderr.starts_with("error: "), "{:?}", refused.stderr);
}

/// On a terminal an escape sequence in a name must not reach it. `script` gives wimx a terminal.
#[test]
fn a_terminal_gets_no_control_characters_from_an_archive() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let wim = folder.path().join("x.wim");
    fs::copy(vector("v2lzx.wim"), &wim).expect("a copy");
    child::run(Command::new("chmod").arg("u+w").arg(&wim)).ok();
    let name = "evil\u{9b}31mname";
    child::run(wimx(&["info"]).arg(&wim).args(["1", name])).ok();
    let piped = child::run(wimx(&["info"]).arg(&wim)).ok();
    assert!(piped.text().contains(name));
    let line = format!("'{}' info '{}'", bins::wimx_path().display(), wim.display());
    let mut script = Command::new("script");
    let shown = child::run(script.args(["-qec", &line, "/dev/null"])).ok();
    assert!(!shown.text().contains('\u{9b}'), "{:?}", shown.text());
    assert!(String::from_utf8_lossy(&shown.stdout).contains("31mname"), "{:?}", shown.text());
}

/// `wimx links` makes what the test above makes by hand; other files are never replaced.
#[test]
fn links_make_wimx_stand_in_for_wimlib_imagex() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().to_str().expect("UTF-8");
    for (hard, directory) in [(false, "soft"), (true, "hard")] {
        let directory = folder.path().join(directory);
        fs::create_dir(&directory).expect("a folder");
        let mut links = wimx(&["links", directory.to_str().expect("UTF-8"), "--json"]);
        // A hard link needs the same file system; the scratch folder may be on another.
        if hard {
            let copy = folder.path().join("wimx");
            child::install(bins::wimx_path(), &copy);
            links = Command::new(copy);
            links.args(["links", directory.to_str().expect("UTF-8"), "--json", "--hard"]);
        }
        let document = child::run(&mut links).ok();
        let document: Value = serde_json::from_slice(&document.stdout).expect("JSON");
        let made = document["made"].as_array().expect("names").clone();
        assert!(made.contains(&"wimapply".into()) && made.contains(&"wimsplit".into()));
        assert_eq!(fs::read_dir(&directory).expect("a listing").count(), made.len());
        let info = |name: &str, arguments: &[&str]| {
            let mut command = Command::new(directory.join(name));
            child::run(command.current_dir(vector("")).args(arguments)).ok().text()
        };
        let expected = info("wiminfo", &["v1.wim"]);
        assert!(expected.contains("Image Count:    1"));
        assert_eq!(info("wimlib-imagex", &["info", "v1.wim"]), expected);
        let again = child::run(&mut links).ok();
        let again: Value = serde_json::from_slice(&again.stdout).expect("JSON");
        assert_eq!(again["kept"].as_array().expect("names").len(), made.len());
        fs::remove_file(directory.join("wiminfo")).expect("it can be removed");
        fs::remove_file(directory.join("wimdir")).expect("it can be removed");
        fs::write(directory.join("wiminfo"), "not ours").expect("a file");
        let refused = child::run(&mut links);
        assert_eq!(refused.code(), 35);
        assert!(refused.stderr.contains("cannot create link"), "{}", refused.stderr);
        assert_eq!(fs::read(directory.join("wiminfo")).expect("a file"), b"not ours");
        assert!(!directory.join("wimdir").exists(), "no link is made when one cannot be");
    }
    assert_eq!(child::run(&mut wimx(&["links", &format!("{path}/nope")])).code(), 47);
}

#[test]
fn manual_pages_and_completions_know_every_command() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let directory = folder.path().join("man");
    child::run(&mut wimx(&["man", directory.to_str().expect("UTF-8")])).ok();
    let page = |name: &str| fs::read_to_string(directory.join(name)).expect("a page");
    assert!(page("wimx.1").contains("wimx\\-split(1)"));
    assert!(page("wimcapture.1").contains(".TH wimcapture 1"));
    assert_eq!(page("wimlib-imagex.1"), page("wimx.1"));
    assert!(!page("wimx.1").contains("help(1)"));
    let split = page("wimx-split.1");
    for expected in [".TH wimx-split 1", "include\\-integrity", "\\-\\-json", ".SH NOTES", "3800"] {
        assert!(split.contains(expected), "{expected}: {split}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let text = child::run(&mut wimx(&["completions", shell])).ok().text();
        assert!(text.contains("split") && text.contains("include-integrity"), "{shell}");
    }
    assert_eq!(child::run(&mut wimx(&["completions", "nosh"])).code(), 255);
}

#[test]
fn help_is_a_command_too() {
    let run = |arguments: &[&str]| child::run(&mut wimx(arguments));
    assert_eq!(run(&["help"]).ok().text(), run(&["--help"]).ok().text());
    assert_eq!(run(&["help", "apply"]).ok().text(), run(&["apply", "--help"]).ok().text());
    assert_eq!(run(&["help", "bogus"]).code(), 2);
}

/// Under the names of wimlib, wimx is what scripts take for it.
#[test]
fn links_have_wimlibs_version_and_commands() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    for name in ["wimlib-imagex", "wimcapture", "wimunmount"] {
        let link = folder.path().join(name);
        symlink(bins::wimx_path(), &link).expect("a link");
        let said = child::run(Command::new(link).arg("--version")).ok().text();
        assert!(said.starts_with("wimlib-imagex 1.14.5 (compatible: wimx "), "{said}");
    }
    let help = child::run(Command::new(folder.path().join("wimlib-imagex")).arg("help"));
    assert_eq!(help.code(), 2, "{}", help.stderr);
}

#[test]
fn nothing_is_mounted_and_what_to_do_instead_is_said() {
    for (arguments, code) in [
        (&["mount", "v1.wim", "1", "/mnt", "--allow-other"][..], 68),
        (&["mountrw", "--staging-dir=/tmp", "v1.wim", "/mnt"], 68),
        (&["unmount", "/mnt", "--commit"], 68),
        (&["mount"], 255),
    ] {
        let finished = child::run(&mut wimx(arguments));
        assert_eq!(finished.code(), code, "{arguments:?}: {}", finished.stderr);
        assert_eq!(finished.stderr.contains("wimx apply"), code == 68, "{}", finished.stderr);
    }
}

#[test]
fn a_comparison_ends_with_0_or_1_and_says_what_differs() {
    let run = |arguments: &[&str]| child::run(&mut wimx(arguments));
    let same = run(&["diff", "v1.wim", "v1.wim:1"]);
    assert_eq!(same.text(), "The images are the same: 5 files and directories.\n");
    assert_eq!(same.code(), 0);
    let differ = run(&["diff", "v1.wim:1", "v2lzx.wim"]);
    assert_eq!(differ.code(), 1);
    let text = differ.text();
    let letters = text.lines().all(|line| {
        ["A /", "D /", "M /", "R /"].iter().any(|letter| line.starts_with(letter))
            || line.ends_with(" the same.")
    });
    assert!(letters && text.lines().count() > 1, "{text}");
    let quiet = run(&["diff", "v1.wim:1", "v2lzx.wim", "--quiet"]);
    assert_eq!((quiet.code(), quiet.text().as_str()), (1, ""));
    let json = run(&["diff", "v1.wim", "v2lzx.wim", "--json"]);
    let document: Value = serde_json::from_slice(&json.stdout).expect("one JSON document");
    assert_eq!((json.code(), &document["same"]), (1, &Value::Bool(false)));
    let changes = document["changes"].as_array().expect("changes");
    assert_eq!(changes.len() + 1, text.lines().count());
    assert_eq!(run(&["diff", "editions.wim", "editions.wim:1"]).code(), 255);
    assert_eq!(run(&["diff", "editions.wim:1", "editions.wim:9"]).code(), 18);
    assert_eq!(run(&["diff", "v1.wim", "nope.wim:1"]).code(), 47);
    assert_eq!(run(&["diff", "editions.wim:1", "editions.wim:1"]).code(), 0);
}
