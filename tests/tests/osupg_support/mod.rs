//! A store of its own for each test.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use osupg_tests::bins;
use osupg_tests::child::{self, Finished};
use serde_json::Value;

/// A scratch folder with a store in it.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::in_folder(&std::env::temp_dir())
    }

    /// A scratch folder in this one: for what is too large for /tmp.
    pub(crate) fn in_folder(parent: &Path) -> Self {
        let folder = tempfile::TempDir::with_prefix_in("osupg-", parent);
        Self { folder: folder.expect("a scratch folder can be made") }
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
        command.env_remove("OSUPG_HOME").env_remove("OSUPG_SITE_CODE").env_remove("OSUPG_CONFIG");
        command.arg("--home").arg(self.home());
        let config = self.path("osupg.toml");
        if config.exists() {
            command.arg("--config").arg(config);
        }
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
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("scratch paths are text")
}
