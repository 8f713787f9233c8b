//! Windows Setup media with images that wimlib made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use osupg_tests::{child, corpus, tools};

use crate::osupg_support::Bench;

/// The editions: name and id.
pub(crate) const EDITIONS: [(&str, &str); 3] =
    [("Home", "Core"), ("Pro", "Professional"), ("Work", "Enterprise")];

impl Bench {
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
