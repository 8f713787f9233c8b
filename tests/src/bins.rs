//! The commands under test.
//!
//! Cargo builds a package's binaries only for that package's own tests, so they are built here, once
//! per test process, with the profile the tests themselves were built with.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// `wimx`, ready for arguments.
#[must_use]
pub fn wimx() -> Command {
    Command::new(wimx_path())
}

/// The path of `wimx`.
///
/// # Panics
/// When it does not build; the compiler's messages are printed.
pub fn wimx_path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| folder().join("wimx"))
}

/// What has `osupg` work through a service. Whoever runs the tests may use one.
pub const OF_A_SERVICE: [&str; 3] = ["OSUPG_SERVER", "OSUPG_SERVER_CA", "OSUPG_TOKEN"];

/// `osupg`, ready for arguments; it works through no service.
#[must_use]
pub fn osupg() -> Command {
    let mut command = Command::new(osupg_path());
    for name in OF_A_SERVICE {
        command.env_remove(name);
    }
    command
}

/// The path of `osupg`.
///
/// # Panics
/// When it does not build; the compiler's messages are printed.
pub fn osupg_path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| folder().join("osupg"))
}

/// The folder that holds this build's binaries: `target/debug` or `target/release`.
///
/// # Panics
/// When the test is not run from a Cargo target directory.
#[must_use]
pub fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    let deps = test.parent().expect("a test binary lies in a folder");
    assert!(deps.ends_with("deps"), "{} is not in a Cargo target directory", test.display());
    deps.parent().expect("`deps` lies in a profile folder").to_path_buf()
}

/// The folder of the commands, once they are built.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build)
}

/// Builds all commands: one by one, each would get dependencies with features of its own.
fn build() -> PathBuf {
    let folder = profile_dir();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bins", "--profile", profile]);
    cargo.arg("--target-dir").arg(folder.parent().expect("a profile folder lies in a target one"));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // What Cargo tells a test about its package, build scripts would take for a change of theirs: some
    // dependencies would be built anew each time.
    let of_the_test = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| of_the_test(name)) {
        cargo.env_remove(name);
    }
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "the commands do not build");
    folder
}
