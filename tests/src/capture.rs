//! WIMs of every kind, made by `wimlib-imagex` from directory trees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::run_within;
use crate::corpus::Source;
use crate::tools::wimlib;

/// A kind of WIM that `wimlib-imagex` can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Without compression.
    None,
    /// XPRESS, 32 KiB chunks.
    Xpress,
    /// XPRESS, 4 KiB chunks.
    Xpress4K,
    /// XPRESS, 64 KiB chunks.
    Xpress64K,
    /// LZX, 32 KiB chunks.
    Lzx,
    /// LZX, 2 MiB chunks.
    Lzx2M,
    /// LZMS, 128 KiB chunks, not solid.
    Lzms,
    /// LZMS, one solid resource of 64 MiB chunks: what an ESD is.
    LzmsSolid,
    /// XPRESS in a solid resource.
    XpressSolid,
    /// LZX, written for reading from a pipe.
    Pipable,
    /// LZX with an integrity table.
    Integrity,
    /// LZX in several parts.
    Split,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Xpress,
        Self::Xpress4K,
        Self::Xpress64K,
        Self::Lzx,
        Self::Lzx2M,
        Self::Lzms,
        Self::LzmsSolid,
        Self::XpressSolid,
        Self::Pipable,
        Self::Integrity,
        Self::Split,
    ];

    /// The name of the file (of the first part, for split ones).
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::None => "none.wim",
            Self::Xpress => "xpress.wim",
            Self::Xpress4K => "xpress-4k.wim",
            Self::Xpress64K => "xpress-64k.wim",
            Self::Lzx => "lzx.wim",
            Self::Lzx2M => "lzx-2m.wim",
            Self::Lzms => "lzms.wim",
            Self::LzmsSolid => "lzms-solid.esd",
            Self::XpressSolid => "xpress-solid.wim",
            Self::Pipable => "pipable.wim",
            Self::Integrity => "integrity.wim",
            Self::Split => "split.swm",
        }
    }

    /// The kind that this one is made from, and the options of `wimlib-imagex export` that make it.
    const fn recipe(self) -> (Self, &'static [&'static str]) {
        match self {
            Self::None => (Self::None, &[]),
            Self::Xpress => (Self::None, &["--compress=XPRESS"]),
            Self::Xpress4K => (Self::None, &["--compress=XPRESS", "--chunk-size=4K"]),
            Self::Xpress64K => (Self::None, &["--compress=XPRESS", "--chunk-size=64K"]),
            Self::Lzx => (Self::None, &["--compress=LZX"]),
            Self::Lzx2M => (Self::None, &["--compress=LZX", "--chunk-size=2M"]),
            Self::Lzms => (Self::None, &["--compress=LZMS"]),
            Self::LzmsSolid => (Self::None, &["--solid", "--solid-compress=LZMS"]),
            Self::XpressSolid => {
                (Self::None, &["--compress=XPRESS", "--solid", "--solid-compress=XPRESS"])
            }
            Self::Pipable => (Self::None, &["--compress=LZX", "--pipable"]),
            Self::Integrity => (Self::Lzx, &["--check"]),
            Self::Split => (Self::Lzx, &[]),
        }
    }

    /// Whether 7-Zip opens files of this kind.
    #[must_use]
    pub const fn seven_zip_reads(self) -> bool {
        !matches!(self, Self::Pipable | Self::XpressSolid)
    }

    /// The option that names the other parts of `wim`, when it is split.
    #[must_use]
    pub fn references(self, wim: &Path) -> Option<String> {
        let parts = wim.with_file_name("split*.swm");
        (self == Self::Split).then(|| format!("--ref={}", parts.display()))
    }
}

/// How hard wimlib's encoders try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// As by default: every feature of a format gets used.
    Usual,
    /// As little as gives a fair size in bearable time, for gigabytes on a small machine.
    Low,
}

impl Effort {
    /// `option` with the level that this effort means.
    fn level(self, option: &str) -> String {
        let level = match option.rsplit_once('=') {
            _ if self == Self::Usual => "",
            Some((_, "XPRESS" | "LZX")) => ":20",
            Some((_, "LZMS")) => ":1",
            _ => "",
        };
        format!("{option}{level}")
    }
}

/// WIMs made from one set of trees, kept in a folder.
#[derive(Debug)]
pub struct Captures {
    folder: PathBuf,
    sources: Vec<Source>,
    effort: Effort,
}

impl Captures {
    /// Keeps WIMs of `sources`, one image each, in `folder`. What is in there already is used.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn new(folder: PathBuf, sources: Vec<Source>, effort: Effort) -> Self {
        fs::create_dir_all(&folder).expect("the folder for captures can be made");
        Self { folder, sources, effort }
    }

    /// The trees: image 1 is made from the first, and so on.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The WIM of `kind`, made now if it is not there. One process at a time makes any.
    ///
    /// # Panics
    /// When wimlib fails.
    #[must_use]
    pub fn wim(&self, kind: Kind) -> PathBuf {
        let lock = fs::File::create(self.folder.join("lock")).expect("a lock file can be made");
        lock.lock().expect("a file can be locked");
        self.wim_under_lock(kind)
    }

    fn wim_under_lock(&self, kind: Kind) -> PathBuf {
        let wim = self.folder.join(kind.file());
        if wim.exists() {
            return wim;
        }
        // Made in a folder of its own, so that an interrupted run leaves nothing that looks whole.
        let scratch = self.folder.join(format!("{}.making", kind.file()));
        if scratch.exists() {
            fs::remove_dir_all(&scratch).expect("a left-over can be removed");
        }
        fs::create_dir(&scratch).expect("a folder can be made");
        self.make(kind, &scratch.join(kind.file()));
        let mut made: Vec<_> = fs::read_dir(&scratch)
            .expect("a folder can be read")
            .map(|entry| entry.expect("a folder can be read").file_name())
            .collect();
        // The first part of a split set goes last: it is the one that is looked for.
        made.sort_by_key(|name| name == kind.file());
        for name in made {
            fs::rename(scratch.join(&name), self.folder.join(&name)).expect("a file can be moved");
        }
        fs::remove_dir(&scratch).expect("an empty folder can be removed");
        wim
    }

    fn make(&self, kind: Kind, wim: &Path) {
        let (base, options) = kind.recipe();
        match kind {
            Kind::None => {
                for (index, source) in self.sources.iter().enumerate() {
                    let mut command = wimlib();
                    command.arg(if index == 0 { "capture" } else { "append" });
                    command.arg(&source.root).arg(wim).arg(source.name);
                    command.arg(format!("The tree {}", source.name));
                    if index == 0 {
                        command.arg("--compress=none");
                    }
                    make(&mut command);
                }
            }
            Kind::Split => {
                let whole = self.wim_under_lock(base);
                let size = whole.metadata().expect("it was made").len() as f64;
                let part = size / 4.0 / f64::from(1 << 20);
                let mut command = wimlib();
                command.arg("split").arg(whole).arg(wim).arg(format!("{part:.3}"));
                make(&mut command);
            }
            _ => {
                let mut command = wimlib();
                command.arg("export").arg(self.wim_under_lock(base)).arg("all").arg(wim);
                command.args(options.iter().map(|option| self.effort.level(option)));
                make(&mut command);
            }
        }
    }
}

/// Runs wimlib to make a file. Compressing gigabytes takes minutes, on a busy machine many.
fn make(command: &mut Command) {
    const LIMIT: Duration = Duration::from_secs(3600);
    run_within(command.arg("--quiet"), LIMIT).ok();
}
