//! The other implementations that ours is held against.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// `wimlib-imagex`, ready for arguments.
#[must_use]
pub fn wimlib() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PATH.get_or_init(|| find(&["wimlib-imagex"], "wimtools")))
}

/// 7-Zip, ready for arguments.
#[must_use]
pub fn seven_zip() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PATH.get_or_init(|| find(&["7zz", "7z"], "7zip")))
}

/// The first of `names` on the search path.
fn find(names: &[&str], package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates =
        names.iter().flat_map(|name| std::env::split_paths(&path).map(move |dir| dir.join(name)));
    candidates.find(|file| is_file(file)).unwrap_or_else(|| {
        panic!("{} is not installed (package {package}): run tests/setup", names[0])
    })
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}
