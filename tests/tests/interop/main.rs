//! WIMs written by `wimlib-imagex` through our commands, and what ours write through `wimlib-imagex`
//! and 7-Zip.
//!
//! Every test exists twice: over small made trees in all kinds of WIM, in every `cargo test`; and over
//! real files, marked `ignore`, which `tests/run` includes. Of these, more than 1 GB is gone through in
//! the two kinds that are made and read in reasonable time, and a seventh of that in all others.

mod apply;
mod export;
mod metadata;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use osupg_tests::capture::{Captures, Effort, Kind};
use osupg_tests::child::{Finished, run};
use osupg_tests::tools::{seven_zip, wimlib};
use osupg_tests::tree::{Times, Tree, after_a_round_trip, describe};
use osupg_tests::{bins, corpus};
use tempfile::TempDir;

/// The kinds made from the large corpus of real files: what install media come as.
const LARGE_KINDS: [Kind; 2] = [Kind::None, Kind::Lzx];

/// The kinds made from the small one.
const SMALL_KINDS: [Kind; 6] =
    [Kind::Xpress, Kind::Lzx2M, Kind::LzmsSolid, Kind::Pipable, Kind::Integrity, Kind::Split];

/// Archives of one corpus and what their images hold.
struct Archives {
    captures: Captures,
    trees: Vec<Tree>,
    kinds: &'static [Kind],
}

impl Archives {
    /// Small ones, made anew in every run.
    fn made() -> &'static Self {
        static MADE: OnceLock<Archives> = OnceLock::new();
        MADE.get_or_init(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
            if folder.exists() {
                fs::remove_dir_all(&folder).expect("the last run's archives can be removed");
            }
            let sources = corpus::made(&folder.join("trees"));
            Self::new(Captures::new(folder.join("wims"), sources, Effort::Usual), &Kind::ALL)
        })
    }

    /// Real ones of both sizes, kept between runs.
    fn real() -> &'static [Self; 2] {
        static REAL: OnceLock<[Archives; 2]> = OnceLock::new();
        REAL.get_or_init(|| {
            [("large", &LARGE_KINDS[..]), ("small", &SMALL_KINDS)].map(|(size, kinds)| {
                let sources = corpus::real(size);
                let folder = corpus::archives_of(&sources);
                Self::new(Captures::new(folder, sources, Effort::Low), kinds)
            })
        })
    }

    fn new(captures: Captures, kinds: &'static [Kind]) -> Self {
        let trees = captures
            .sources()
            .iter()
            .map(|source| describe(&source.root, Times::Compare).expect("the source can be read"))
            .map(|tree| after_a_round_trip(&tree))
            .collect();
        for kind in kinds {
            let _ = captures.wim(*kind);
        }
        Self { captures, trees, kinds }
    }

    fn wims(&self) -> impl Iterator<Item = Wim> {
        self.kinds.iter().map(|kind| Wim { kind: *kind, path: self.captures.wim(*kind) })
    }

    /// Image numbers, from 1, with the image's tree.
    fn images(&self) -> impl Iterator<Item = (usize, &Tree)> {
        (1..).zip(&self.trees)
    }
}

/// One archive.
struct Wim {
    kind: Kind,
    path: PathBuf,
}

impl Wim {
    /// Adds the option that names the other parts, where there are any.
    fn with_parts(&self, command: &mut Command) -> Finished {
        run(command.args(self.kind.references(&self.path)))
    }
}

/// A folder for outputs, in memory where there is room, and the right to use both processors.
struct Scratch {
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Scratch {
    /// Waits until no other test over large outputs runs.
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = Path::new("/dev/shm");
        let room = rustix::fs::statvfs(memory).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
        let parent = if room > 10 << 30 { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        let folder = TempDir::with_prefix_in("osupg-", parent).expect("a scratch folder");
        Self { folder, _alone: alone }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Removes what a step has left, so that the next one starts with an empty folder.
    fn clear(&self) {
        for entry in fs::read_dir(self.folder.path()).expect("the scratch folder can be read") {
            let path = entry.expect("the scratch folder can be read").path();
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                .expect("the scratch folder can be cleared");
        }
    }
}

/// Runs our command.
fn wimx(arguments: &str) -> Command {
    with_words(bins::wimx(), arguments)
}

/// Runs wimlib's.
fn peer(arguments: &str) -> Command {
    with_words(wimlib(), arguments)
}

fn with_words(mut command: Command, words: &str) -> Command {
    command.args(words.split_whitespace());
    command
}

/// What both other tools say of a WIM that we have written.
fn accepted_by_others(wim: &Path, kind: Kind) {
    run(peer("verify --quiet").arg(wim)).ok();
    if kind.seven_zip_reads() {
        run(with_words(seven_zip(), "t -bd").arg(wim)).ok();
    }
}
