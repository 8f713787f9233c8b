//! A store of its own for each test, and media to add to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use osupg_tests::child::{self, Finished};
use osupg_tests::{bins, corpus, tools};
use serde_json::Value;

/// Three editions: name, id, language, build revision.
pub(crate) const EDITIONS: [(&str, &str); 3] =
    [("Home", "Core"), ("Pro", "Professional"), ("Work", "Enterprise")];

/// A scratch folder with a store in it.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a scratch folder can be made") }
    }

    /// A path in the scratch folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the store.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// osupg on this store, ready for arguments.
    pub(crate) fn osupg(&self) -> Command {
        let mut command = bins::osupg();
        command.env_remove("OSUPG_HOME").env_remove("OSUPG_SITE_CODE");
        command.arg("--home").arg(self.home());
        command
    }

    /// Runs osupg with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        child::run(self.osupg().args(arguments).current_dir(self.folder.path()))
    }

    /// Runs osupg with these arguments and `--json`; it must succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let done = self.run(&[arguments, &["--json"]].concat()).ok();
        serde_json::from_slice(&done.stdout)
            .unwrap_or_else(|error| panic!("{} prints no JSON: {error}", done.command))
    }

    /// Runs osupg with these arguments; it must end with `code`. Returns what it said.
    pub(crate) fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code(), code, "{}: {}", done.command, done.stderr);
        assert!(done.stdout.is_empty(), "{} prints {}", done.command, done.text());
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        done.stderr
    }

    /// Every object file of the library: its name and size.
    pub(crate) fn objects(&self) -> Vec<(String, u64)> {
        let mut objects = Vec::new();
        let mut pending = vec![self.home().join("library")];
        while let Some(folder) = pending.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let entry = entry.expect("the library can be listed");
                if entry.file_type().expect("a kind").is_dir() {
                    pending.push(entry.path());
                } else {
                    let name = entry.file_name().into_string().expect("object names are text");
                    objects.push((name, entry.metadata().expect("a size").len()));
                }
            }
        }
        objects.sort();
        objects
    }

    /// Makes Windows Setup media in the folder `name`: three editions made by wimlib, a boot.wim,
    /// programs, an empty folder and an empty file, with times to the nanosecond.
    pub(crate) fn media(&self, name: &str) -> PathBuf {
        let media = self.path(name);
        let trees = corpus::made(&self.path(&format!("{name}.trees")));
        for folder in ["sources", "boot", "efi/boot", "support/empty"] {
            fs::create_dir_all(media.join(folder)).expect("folders can be made");
        }
        let install = media.join("sources/install.wim");
        for (number, (name, edition)) in EDITIONS.iter().enumerate() {
            let tree = if number == 0 { &trees[0].root } else { &trees[1].root };
            let verb = if number == 0 { "capture" } else { "append" };
            capture(verb, tree, &install, name, edition, &["--compress=LZX"]);
        }
        let boot = media.join("sources/boot.wim");
        capture("capture", &trees[0].root, &boot, "Setup", "WindowsPE", &["--compress=XPRESS"]);
        fs::write(media.join("setup.exe"), corpus::code(3_000_000, 5)).expect("files can be made");
        fs::write(media.join("boot/boot.sdi"), corpus::noise(100_000, 6)).expect("a file");
        fs::write(media.join("efi/boot/bootx64.efi"), corpus::code(70_000, 7)).expect("a file");
        fs::write(media.join("autorun.inf"), "[autorun]\r\nopen=setup.exe\r\n").expect("a file");
        fs::write(media.join("empty.txt"), "").expect("a file");
        let touch = Command::new("find")
            .arg(&media)
            .args(["-exec", "touch", "-d", "2024-05-06 07:08:09.123456789", "{}", "+"])
            .status();
        assert!(touch.expect("find runs").success());
        media
    }
}

/// Captures `tree` with wimlib as an image that says what Windows media say.
pub(crate) fn capture(
    verb: &str,
    tree: &Path,
    wim: &Path,
    name: &str,
    edition: &str,
    options: &[&str],
) {
    let mut command = tools::wimlib();
    command.arg(verb).arg(tree).arg(wim).arg(name);
    if verb == "capture" {
        command.args(options);
    }
    for property in [
        "ARCH=9",
        "LANGUAGES/LANGUAGE=en-US",
        "LANGUAGES/DEFAULT=en-US",
        "VERSION/MAJOR=10",
        "VERSION/MINOR=0",
        "VERSION/BUILD=26100",
        "VERSION/SPBUILD=1742",
    ] {
        command.arg(format!("--image-property=WINDOWS/{property}"));
    }
    command.arg(format!("--image-property=WINDOWS/EDITIONID={edition}"));
    let _ = child::run(&mut command).ok();
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("scratch paths are text")
}
