//! Brings an image, or chosen files of one, to a directory.
//!
//! ```text
//! image tree ── select ──► Layout ──► directories ──► pipeline ─► files, links ──► attributes of
//!                          (what goes   (made first,    (blobs in file order,       directories
//!                           where)       level by level) many threads)              (last)
//! ```
//!
//! The [`layout`] is made in memory before anything is touched: names are checked, hard links
//! brought together, every blob looked up, what the target cannot hold is counted. Then directories
//! are made, and the [pipeline](crate::pipeline) reads the blobs in the order of the file; the
//! thread that has decoded and checked a blob writes the files that have it, sets their times and
//! makes their hard links. Directories get their times at the end, when nothing changes them any
//! more.
//!
//! Nothing is ever made outside the target, see [`crate::beneath`]. Files that are in the way are
//! replaced (unlinked, not overwritten: other names of theirs keep their content), directories are
//! merged, and anything else in the target is left alone. A file is not left half-written: when
//! the run fails or is cancelled, the files that were being written are removed.
//!
//! What a POSIX directory cannot hold (security descriptors, Windows attributes, named streams,
//! short names, object ids, reparse points that are no links) is left out, with one warning for
//! each kind that says how many files had it. On Windows attributes and creation times are set, and
//! links are made as they are in the image; the rest is left out there too.

mod attributes;
mod blobs;
mod directories;
mod layout;
mod links;
mod losses;
mod names;
mod select;
mod sparse;
mod stream;
mod warnings;
mod write;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use wim_format::{
    header::{Header, HeaderFlags},
    metadata::DentryId,
    xml::WimXml,
};

use self::{
    blobs::{Blobs, Piped},
    directories::Directories,
    layout::Layout,
    warnings::Warnings,
    write::Writer,
};
pub use self::{
    select::{Matching, Selection, Structure, Unmatched},
    stream::to_writer,
};
use crate::{
    archive::{ImageIndex, ImageTree, Wim},
    beneath::{self, Component, Made},
    cancel::Cancel,
    error::{Action, Error},
    output,
    piped::{PipedBlobs, PipedWim},
    pipeline::{self, DamagedData, Plan, Threads, run_tasks},
    progress::{Amount, Phase, Progress},
    status::Status,
};

/// What becomes of the targets of absolute links, which in an image count from its root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkTargets {
    /// [`Fix`](LinkTargets::Fix) if the archive's header says that targets were made relative to
    /// the root when the image was captured, else [`Keep`](LinkTargets::Keep).
    #[default]
    AsArchiveSays,
    /// The path of the target directory is put in front, so that they lead to the files just
    /// extracted. Links that are marked as not made relative keep theirs.
    Fix,
    /// They stay absolute.
    Keep,
}

impl LinkTargets {
    /// Whether links of the archive with this header are fixed up.
    fn fix(self, header: &Header) -> bool {
        match self {
            Self::AsArchiveSays => header.flags.contains(HeaderFlags::RP_FIX),
            Self::Fix => true,
            Self::Keep => false,
        }
    }
}

/// What becomes of owner, group, mode, device nodes and extended attributes that were captured on
/// a UNIX system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnixData {
    /// Left out, with a warning.
    #[default]
    Ignore,
    /// Restored as far as possible; what the system refuses is a warning.
    Restore,
    /// Restored, and what the system refuses is an error.
    RestoreStrictly,
}

/// What becomes of files whose name the target cannot hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InvalidNames {
    /// They are left out, with all below them, and a warning for each.
    #[default]
    Skip,
    /// What the target cannot hold becomes `?`, and the name gets the suffix
    /// ` (invalid filename #N)`, as wimlib has it.
    Escape,
}

/// Whether something that a POSIX directory cannot hold is worth a warning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unsupported {
    /// One warning for each kind.
    #[default]
    Warn,
    /// The user does not want it anyway.
    Ignore,
    /// It must not be lost: an error before anything is extracted.
    Refuse,
}

/// How to extract.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Targets of absolute links. Only whole images are ever fixed up.
    pub links: LinkTargets,
    /// Owner, mode and so on.
    pub unix_data: UnixData,
    /// Names that the target cannot hold.
    pub invalid_names: InvalidNames,
    /// Windows security descriptors.
    pub security: Unsupported,
    /// Windows attributes.
    pub attributes: Unsupported,
    /// What happens to files whose data is damaged: [`DamagedData::Withhold`] is an error,
    /// [`DamagedData::Deliver`] extracts what there is, with a warning for each file.
    pub damaged: DamagedData,
    /// Number of worker threads. The result does not depend on it.
    pub threads: Threads,
}

/// What was extracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Directories, the target itself left out.
    pub directories: u64,
    /// Files, symbolic links and special files, each counted once.
    pub files: u64,
    /// Names beyond the first that files have: hard links.
    pub hard_links: u64,
    /// Bytes of file data, each file counted once.
    pub bytes: u64,
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, other: Outcome) {
        self.directories += other.directories;
        self.files += other.files;
        self.hard_links += other.hard_links;
        self.bytes += other.bytes;
    }
}

/// Applies a whole image to the directory `target`, which is made if its parent exists.
///
/// # Errors
/// The image cannot be read, a blob is missing (both before anything is touched) or damaged, the
/// system refuses something. What is complete by then stays.
pub fn run(
    wim: &Wim,
    image: ImageIndex,
    target: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let fix = options.links.fix(wim.header());
    let tree = wim.metadata(image)?;
    let extraction = Extraction { blobs: wim, tree: &tree, target, options, progress, cancel };
    extraction.run(&[DentryId::ROOT], Structure::Flat, fix, |layout, writer| {
        extraction.read(wim, layout, writer)
    })
}

/// Applies a whole image, of index `image`, of an archive that comes through a pipe. Its data is
/// written as it comes; how much it is, nobody knows before.
///
/// # Errors
/// As [`run`], and those of [`PipedWim`]. What is complete by then stays.
pub fn run_piped<R: io::Read + Send>(
    mut wim: PipedWim<R>,
    image: u32,
    target: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let fix = options.links.fix(wim.header());
    let tree = wim.metadata(image)?;
    let blobs = PipedBlobs::of(&tree);
    let piped = Piped { blobs: &blobs, name: wim.name().to_owned() };
    let extraction = Extraction { blobs: &piped, tree: &tree, target, options, progress, cancel };
    extraction.run(&[DentryId::ROOT], Structure::Flat, fix, |layout, writer| {
        extraction.begin(Amount::new(0, layout.blobs().count() as u64));
        run_tasks(writer.tasks(cancel), options.threads, cancel)?;
        wim.data(&blobs, layout.blobs(), writer, &extraction.pipeline(), progress, cancel)?;
        extraction.end();
        Ok(())
    })
}

/// Applies every image to a directory of its own in `target`, as [`image_directory`] names it.
///
/// # Errors
/// As [`run`]; images before the one that fails are complete.
pub fn run_all(
    wim: &Wim,
    target: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    make_target(target)?;
    let mut outcome = Outcome::default();
    let mut taken: Vec<PathBuf> = Vec::new();
    let names = WimXml::parse(wim.xml_bytes()).map(|xml| xml.images()).unwrap_or_default();
    for image in wim.images() {
        let name =
            names.iter().find(|xml| xml.index == image.get()).and_then(|xml| xml.name.as_deref());
        let mut directory = target.join(image_directory(image, name));
        if taken.contains(&directory) {
            directory = target.join(image.to_string());
        }
        if taken.contains(&directory) {
            return Err(Error::Usage(format!(
                "two images would go to {}; apply them one by one",
                directory.display()
            )));
        }
        outcome += run(wim, image, &directory, options, progress, cancel)?;
        taken.push(directory);
    }
    Ok(outcome)
}

/// The name of the directory that [`run_all`] gives an image: the image's own name, or its index
/// where it has none or one that is no name for a directory.
#[must_use]
pub fn image_directory(image: ImageIndex, name: Option<&str>) -> String {
    let usable = |name: &&str| {
        name.len() <= Component::MAX_LEN
            && !name.contains('\\')
            && Component::new(name.as_bytes()).is_some()
    };
    name.filter(usable).map_or_else(|| image.to_string(), str::to_owned)
}

/// Extracts the chosen files and directories (with all below them) to the directory `target`.
///
/// # Errors
/// As [`run`], and [`Error::NoSuchPath`] where a path is not in the image.
pub fn extract(
    wim: &Wim,
    image: ImageIndex,
    selection: &Selection<'_>,
    target: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let tree = wim.metadata(image)?;
    let chosen = selection.find(wim, image, &tree, progress)?;
    let extraction = Extraction { blobs: wim, tree: &tree, target, options, progress, cancel };
    extraction.run(&chosen, selection.structure, false, |layout, writer| {
        extraction.read(wim, layout, writer)
    })
}

/// One run of an extraction.
struct Extraction<'a> {
    blobs: &'a dyn Blobs,
    tree: &'a ImageTree,
    target: &'a Path,
    options: &'a Options,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

impl Extraction<'_> {
    /// Makes what is chosen; `read` has the data brought to the writer.
    fn run(
        &self,
        chosen: &[DentryId],
        structure: Structure,
        fix: bool,
        read: impl FnOnce(&Layout, &Writer<'_>) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        let Self { blobs, tree, .. } = *self;
        if cfg!(windows) && self.options.unix_data != UnixData::Ignore {
            return Err(Error::Unsupported(
                "Windows has no owners, modes and devices of UNIX; extract without --unix-data"
                    .into(),
            ));
        }
        let warnings = Warnings::new(self.progress);
        warnings.about_tree(tree);
        let layout = Layout::new(blobs, tree, self.options, chosen, structure, &warnings)?;
        self.cancel.check()?;
        let made = make_target(self.target)?;
        self.require_space(&layout)?;
        let directories = Directories::open(self.target, made, &layout)?;
        self.make_directories(&layout, &directories, &warnings)?;
        let fix = match fix {
            true => Some(beneath::absolute(self.target).map_err(self.io(Action::Open))?),
            false => None,
        };
        let writer = Writer::new(blobs, tree, &layout, &directories, self.options, fix, &warnings);
        read(&layout, &writer)?;
        self.set_attributes(tree, &layout, &directories, &warnings)?;
        warnings.finish();
        Ok(Outcome {
            directories: layout.directories().len() as u64 - 1,
            files: layout.files().len() as u64,
            hard_links: layout.hard_links(),
            bytes: layout.bytes(blobs),
        })
    }

    fn io(&self, action: Action) -> impl FnOnce(io::Error) -> Error {
        Error::io(action, self.target)
    }

    /// What the files need beyond the space of those that they replace must be there.
    fn require_space(&self, layout: &Layout) -> Result<(), Error> {
        let needed = layout.space();
        if output::require_space(self.target, needed).is_ok() {
            return Ok(());
        }
        // Only now is it worth a look at every file.
        let there = layout.files().iter().filter_map(|file| {
            let found = Status::of_link(&self.target.join(layout.path_of(file.link))).ok()?;
            // A file with further names keeps its space.
            (found.is_file() && found.links() == 1).then(|| found.allocated())
        });
        let replaced = there.fold(0, u64::saturating_add);
        output::require_space(self.target, needed.saturating_sub(replaced))
    }

    fn make_directories(
        &self,
        layout: &Layout,
        directories: &Directories<'_>,
        warnings: &Warnings<'_>,
    ) -> Result<(), Error> {
        let count = layout.directories().len() as u64 - 1;
        self.progress.begin(Phase::Structure, Amount::new(0, count));
        for directory in layout.directories_to_make() {
            self.cancel.check()?;
            directories.make(directory, warnings)?;
            self.progress.advance(Amount::new(0, 1));
        }
        self.progress.end(Phase::Structure);
        Ok(())
    }

    /// Reads the data from an archive.
    fn read(&self, wim: &Wim, layout: &Layout, writer: &Writer<'_>) -> Result<(), Error> {
        let plan = Plan::new(wim, layout.blobs());
        self.begin(plan.amount());
        let (options, tasks) = (self.pipeline(), writer.tasks(self.cancel));
        pipeline::run_with(&plan, tasks, writer, &options, self.progress, self.cancel)?;
        self.end();
        Ok(())
    }

    fn begin(&self, total: Amount) {
        self.progress.begin(Phase::Extract, total);
    }

    fn end(&self) {
        self.progress.end(Phase::Extract);
    }

    fn pipeline(&self) -> pipeline::Options {
        let Options { threads, damaged, .. } = *self.options;
        pipeline::Options { threads, damaged, ..pipeline::Options::default() }
    }

    fn set_attributes(
        &self,
        tree: &ImageTree,
        layout: &Layout,
        directories: &Directories<'_>,
        warnings: &Warnings<'_>,
    ) -> Result<(), Error> {
        let count = layout.directories().len() as u64;
        self.progress.begin(Phase::Attributes, Amount::new(0, count));
        // Children before their parents: a parent's mode may shut us out.
        for directory in layout.directories_to_make().rev().chain([layout::DirectoryId::TARGET]) {
            self.cancel.check()?;
            directories.set_attributes(directory, tree, self.options.unix_data, warnings)?;
            self.progress.advance(Amount::new(0, 1));
        }
        self.progress.end(Phase::Attributes);
        Ok(())
    }
}

/// Makes the directory `target` unless it is there.
fn make_target(target: &Path) -> Result<Made, Error> {
    match fs::create_dir(target) {
        Ok(()) => Ok(Made::New),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::metadata(target).map_err(Error::io(Action::Open, target))?;
            if found.is_dir() {
                return Ok(Made::Existing);
            }
            Err(Error::Unsupported(format!(
                "{} is not a directory, and only directories can be extracted to; to apply to a \
                 disk, mount its file system and give the mount point",
                target.display()
            )))
        }
        Err(error) => Err(Error::io(Action::MakeDirectory, target)(error)),
    }
}
