//! Sample media: a small but real Windows Setup tree, made by rule.
//!
//! Three editions share most of their files; `boot.wim` has two images; programs are real PE files
//! that do nothing. Every run makes the same bytes and times, so that the media can be added,
//! changed, compared and thrown away by anyone, with no Windows at hand.

mod pe;
mod text;
mod tree;
mod wim;

use std::fs::{self, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use wim_extract::output::set_times;

use crate::error::{Error, Result};
use crate::progress::{Phase, Watch};
use crate::staged::StagedFolder;
use pe::Program;
use text::{binary, ini, prose};

/// The time of all files: 2025-01-14T10:00:00Z, in seconds since 1970.
const EPOCH: u32 = 1_736_848_800;

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made {
    /// Where the media are.
    pub folder: PathBuf,
    /// Files in them.
    pub files: u64,
    /// The sum of their sizes.
    pub size: u64,
    /// The edition ids in `sources/install.wim`, by index.
    pub editions: Vec<&'static str>,
}

/// Makes sample media at `target`, whole or not at all.
///
/// # Errors
/// When something is at `target`, or the disk is full.
pub fn make(target: &Path, watch: Watch<'_>) -> Result<Made> {
    let staged = StagedFolder::begin(target)?;
    let root = staged.place();
    watch.progress.begin(Phase::Write, 0);
    for (path, data) in loose_files() {
        let path = root.join(path);
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder).map_err(|error| Error::file("make", folder, &error))?;
        fs::write(&path, data).map_err(|error| Error::file("write", &path, &error))?;
    }
    watch.check()?;
    wim::install(&root.join("sources/install.wim"), watch)?;
    watch.check()?;
    wim::boot(&root.join("sources/boot.wim"), watch)?;
    let (files, size) = settle(root)?;
    watch.progress.end();
    let folder = staged.target().to_path_buf();
    staged.finish()?;
    Ok(Made { folder, files, size, editions: tree::EDITIONS.map(|edition| edition.id).to_vec() })
}

/// Everything but the WIM files.
fn loose_files() -> Vec<(&'static str, Vec<u8>)> {
    let program = |program, name: &str, size| pe::build(program, EPOCH, &binary(name, size));
    vec![
        ("setup.exe", program(Program::Console, "setup.exe", 90_000)),
        (
            "autorun.inf",
            ini(&[("AutoRun.Amd64", &[("open", "setup.exe"), ("icon", "setup.exe,0")])]),
        ),
        ("bootmgr", binary("bootmgr", 400_000)),
        ("bootmgr.efi", program(Program::Efi, "bootmgr.efi", 1_500_000)),
        ("boot/boot.sdi", binary("boot.sdi", 3_170_304)),
        ("boot/etfsboot.com", binary("etfsboot.com", 4_096)),
        ("boot/fonts/sample.ttf", binary("boot font", 45_000)),
        ("efi/boot/bootx64.efi", program(Program::Efi, "bootmgr.efi", 1_500_000)),
        ("efi/microsoft/boot/efisys.bin", binary("efisys.bin", 1_474_560)),
        ("readme.txt", README.replace('\n', "\r\n").into_bytes()),
        ("sources/setup.exe", program(Program::Console, "sources/setup.exe", 350_000)),
        ("sources/setuphost.exe", program(Program::Console, "setuphost.exe", 700_000)),
        ("sources/setupcore.dll", program(Program::Library, "setupcore.dll", 1_100_000)),
        ("sources/appraiser.dll", program(Program::Library, "appraiser.dll", 600_000)),
        ("sources/en-us/setup.exe.mui", program(Program::Library, "setup.exe.mui", 8_000)),
        (
            "sources/lang.ini",
            ini(&[
                ("Available UI Languages", &[("en-US", "3")]),
                ("Fallback Languages", &[("en-US", "en-us")]),
            ]),
        ),
        (
            "sources/idwbinfo.txt",
            ini(&[(
                "BUILDINFO",
                &[("BuildArch", "amd64"), ("BuildBranch", wim::BRANCH), ("BuildType", "fre")],
            )]),
        ),
        ("sources/license/_default/license.rtf", prose("licence", 30_000)),
        ("support/logging/readme.txt", prose("logging", 2_000)),
    ]
}

const README: &str = "\
Sample media made by osupg. They have the shape of Windows Setup media and hold no Windows: the
programs are valid but do nothing, all contents are made by rule.
";

/// Gives every file and folder the same time; returns the number and size of the files.
fn settle(folder: &Path) -> Result<(u64, u64)> {
    let (mut files, mut size) = (0, 0);
    let failed = |path: &Path, error: &std::io::Error| Error::file("write", path, error);
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        let path = entry.path();
        let meta = entry.metadata().map_err(|error| failed(&path, &error))?;
        if meta.is_dir() {
            let (inner_files, inner_size) = settle(&path)?;
            (files, size) = (files + inner_files, size + inner_size);
        } else {
            (files, size) = (files + 1, size + meta.len());
            set_time(&path)?;
        }
    }
    set_time(folder)?;
    Ok((files, size))
}

fn set_time(path: &Path) -> Result<()> {
    let time = UNIX_EPOCH + Duration::from_secs(u64::from(EPOCH));
    set_times(path, FileTimes::new().set_modified(time))
        .map_err(|error| Error::file("set the time of", path, &error))
}
