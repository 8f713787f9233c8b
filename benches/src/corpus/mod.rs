//! The corpus: real files arranged as Windows-like installs, the same bytes on every machine.
//!
//! Public packages, pinned by SHA-256, are fetched with `pip download` and unpacked into two
//! editions (`A`, `B`) and a small `PE`. What makes an install image special is added by rule:
//! libraries appear a second time under `Windows/WinSxS` as hard links, some files a second time as
//! real copies, and there are symbolic links, empty files and folders, and names outside ASCII.
//! Times depend on the path alone. The finished trees are listed in `manifest.txt`, whose SHA-256 is
//! pinned here, so a figure measured on one machine speaks of the same input on another.

mod extras;
mod manifest;
mod packages;
mod unpack;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use packages::{Image, LARGE, Package, SMALL};

/// How much to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// About 190 MB without duplicates, 66 MB to download.
    Small,
    /// About 1.5 GB without duplicates, 500 MB to download.
    Large,
}

impl Size {
    /// The images of this size: folder name and content.
    #[must_use]
    const fn images(self) -> &'static [Image] {
        match self {
            Self::Small => SMALL,
            Self::Large => LARGE,
        }
    }

    /// SHA-256 of the manifest of a corpus of this size.
    #[must_use]
    pub const fn checksum(self) -> &'static str {
        match self {
            Self::Small => "d61db2632bc513462faada09b010da126019e63a080dc105882d3774252f0ad9",
            Self::Large => "9f4b6e7fd8b1503232606948584f6582d43e44e5749d50919bfe828fffad1d59",
        }
    }
}

/// Builds the corpus in `folder` unless it is there already, and returns its checksum. Downloads are
/// kept in the folder `wheels` beside it.
///
/// # Errors
/// When a package cannot be had, the disk cannot be written, or the result differs from the pinned
/// checksum.
pub fn build(size: Size, folder: &Path) -> Result<&'static str> {
    let stamp = folder.join("manifest.sha256");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == size.checksum()) {
        return Ok(size.checksum());
    }
    let parent = folder.parent().context("the corpus folder has no parent")?;
    let wheels = parent.join("wheels");
    download(size, &wheels)?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    for (name, packages) in size.images() {
        let image = folder.join(name);
        for package in *packages {
            unpack::unpack(&wheels.join(package.file), &image, package)
                .with_context(|| format!("unpacking {} into {}", package.file, image.display()))?;
        }
        extras::add(&image).with_context(|| format!("completing {}", image.display()))?;
    }
    let checksum = check(size, folder)?;
    fs::write(&stamp, checksum)?;
    Ok(checksum)
}

/// Reads every file of a built corpus, writes `manifest.txt` and compares its checksum.
///
/// # Errors
/// When something cannot be read or the checksum is not the pinned one.
pub fn check(size: Size, folder: &Path) -> Result<&'static str> {
    let images: Vec<PathBuf> = size.images().iter().map(|(name, _)| folder.join(name)).collect();
    let found = manifest::write(folder, &images)?;
    ensure!(
        found == size.checksum(),
        "the corpus in {} has checksum {found}, expected {}: delete the folder and build it again",
        folder.display(),
        size.checksum()
    );
    Ok(size.checksum())
}

/// Fetches the wheels that `wheels` lacks.
fn download(size: Size, wheels: &Path) -> Result<()> {
    fs::create_dir_all(wheels).with_context(|| format!("creating {}", wheels.display()))?;
    let mut wanted: BTreeSet<(&str, &str)> = BTreeSet::new();
    for package in size.images().iter().flat_map(|(_, packages)| *packages) {
        let path = wheels.join(package.file);
        if !path.exists() || manifest::sha256_of(&path)? != package.sha256 {
            wanted.insert((package.file, package.sha256));
        }
    }
    for package in size.images().iter().flat_map(|(_, packages)| *packages) {
        if wanted.remove(&(package.file, package.sha256)) {
            fetch(package, wheels)?;
        }
    }
    Ok(())
}

/// Fetches one wheel with pip, which checks the hash.
fn fetch(package: &Package, wheels: &Path) -> Result<()> {
    let Package { name, version, sha256, .. } = package;
    eprintln!("fetching {name} {version}");
    let requirement = wheels.join("requirement.txt");
    fs::write(&requirement, format!("{name}=={version} --hash=sha256:{sha256}\n"))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]);
    pip.args(["--only-binary=:all:", "--platform", "win_amd64", "--python-version", "3.12"]);
    pip.args(["--implementation", "cp", "--disable-pip-version-check", "--dest"]);
    pip.arg(wheels).arg("--requirement").arg(&requirement);
    let status =
        pip.status().context("python3 -m pip does not start: is python3-pip installed?")?;
    fs::remove_file(&requirement)?;
    if !status.success() || !wheels.join(package.file).exists() {
        bail!("pip could not fetch {name} {version}");
    }
    Ok(())
}
