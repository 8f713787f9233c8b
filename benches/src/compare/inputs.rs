//! The WIMs that are worked on, copied to memory, and what is known of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use osupg_tests::capture::{Captures, Effort, Kind};
use osupg_tests::corpus::Source;
use wim_extract::archive::{OpenOptions, Wim};

use super::measure::{Line, time};
use super::rows::Programs;

/// Everything the rows work on.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) wims: Vec<Input>,
    /// What the corpus's first WIMs were made from; the user's own WIM comes without.
    pub(super) trees: Option<Trees>,
    /// What the WIMs were made from, for the report.
    pub(super) origin: String,
}

/// Trees in memory.
#[derive(Debug)]
pub(super) struct Trees {
    pub(super) first: PathBuf,
    /// The next edition of it, with which it shares about 80 %.
    pub(super) next: PathBuf,
    /// Bytes of the files of each.
    pub(super) bytes: u64,
}

/// One WIM.
#[derive(Debug)]
pub(super) struct Input {
    /// Short name, part of row names.
    pub(super) name: &'static str,
    /// Name in titles.
    pub(super) title: String,
    /// The file, in memory.
    pub(super) path: PathBuf,
    /// Its length.
    pub(super) len: u64,
    /// The same file on a disk, for rows about disks.
    pub(super) on_disk: Option<PathBuf>,
    /// The rows that need only one WIM use this one.
    pub(super) main: bool,
    /// The tree that image 1 was made from, in memory.
    pub(super) tree: Option<PathBuf>,
    /// Image 1 exported: what `cp` and `dd` copy. In memory, and on a disk.
    pub(super) exported: PathBuf,
    pub(super) exported_on_disk: Option<PathBuf>,
    pub(super) exported_bytes: u64,
    /// It without image 1, whose data is still there, in memory.
    pub(super) deleted: PathBuf,
    /// It, split into parts, in memory.
    pub(super) parts: Vec<PathBuf>,
    /// Bytes of all blobs, uncompressed.
    pub(super) unique_bytes: u64,
    /// Bytes of the files of image 1, uncompressed, each once per hard link group.
    pub(super) image_bytes: u64,
    /// Number of images.
    pub(super) images: usize,
    /// Names in image 1.
    pub(super) names: usize,
    /// The largest file of image 1, and one of a few kilobytes: path and size.
    pub(super) largest: (String, u64),
    pub(super) small: (String, u64),
}

/// The kinds made from the corpus, in the order of the report.
pub(super) const KINDS: [(Kind, &str, &str); 4] = [
    (Kind::Lzx, "lzx", "LZX"),
    (Kind::Xpress, "xpress", "XPRESS"),
    (Kind::None, "none", "uncompressed"),
    (Kind::LzmsSolid, "lzms-solid", "LZMS solid"),
];

/// MiB of a part of a split WIM.
pub(super) const PART_SIZE: &str = "100";

/// Where inputs are put.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) memory: &'a Path,
    pub(super) disk: &'a Path,
}

/// The kinds in `wanted` of the corpus in `folder`. They are made once and kept beside it; the usual
/// compression levels take some minutes for the large corpus.
pub(super) fn from_corpus(
    folder: &Path,
    wanted: &dyn Fn(&str) -> bool,
    programs: &Programs,
    places: Places<'_>,
) -> Result<Inputs> {
    let stamp = fs::read_to_string(folder.join("manifest.sha256"))
        .with_context(|| format!("{} holds no corpus: build it first", folder.display()))?;
    let sources = ["A", "B", "PE"].map(|name| Source { name, root: folder.join(name) });
    let kept = folder.with_file_name(format!("bench-wims-{}", &stamp[..16]));
    let captures = Captures::new(kept, sources.into(), Effort::Usual);
    let [tree, next] = [("A", "source"), ("B", "next")].map(|(name, copy)| {
        let copy = places.memory.join(copy);
        time(&Line::new("cp").arg("-a").arg(folder.join(name)).arg(&copy)).map(|_| copy)
    });
    let (tree, next) = (tree?, next?);
    let mut wims = Vec::new();
    for (kind, name, title) in KINDS.into_iter().filter(|(_, name, _)| wanted(name)) {
        eprintln!("preparing {title}");
        let input = prepare(&captures.wim(kind), name, title.to_owned(), programs, places)?;
        wims.push(Input { tree: Some(tree.clone()), ..input });
    }
    let bytes = bytes_in(&tree)?;
    let trees = Some(Trees { first: tree, next, bytes });
    Ok(Inputs { wims, trees, origin: format!("corpus {}", stamp.trim()) })
}

/// The user's own WIM.
pub(super) fn from_wim(path: &Path, programs: &Programs, places: Places<'_>) -> Result<Inputs> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let input = prepare(path, "wim", name.clone(), programs, places)?;
    let origin = format!("{name}, {} bytes", path.metadata()?.len());
    Ok(Inputs { wims: vec![Input { main: true, ..input }], trees: None, origin })
}

fn prepare(
    original: &Path,
    name: &'static str,
    title: String,
    programs: &Programs,
    places: Places<'_>,
) -> Result<Input> {
    let path = places.memory.join(format!("{name}.wim"));
    fs::copy(original, &path).with_context(|| format!("copying {}", original.display()))?;
    let main = matches!(name, "lzx" | "wim");
    let exported = places.memory.join(format!("{name}-exported.wim"));
    let deleted = places.memory.join(format!("{name}-deleted.wim"));
    let (mut on_disk, mut exported_on_disk, mut exported_bytes) = (None, None, 0);
    let mut parts = Vec::new();
    if main {
        let export = Line::new(&programs.wimlib).words("export --quiet").arg(&path).arg("1");
        time(&export.arg(&exported))?;
        exported_bytes = exported.metadata()?.len();
        let copies = [&path, &exported]
            .map(|file| places.disk.join(file.file_name().expect("a file has a name")));
        fs::copy(&path, &copies[0])?;
        fs::copy(&exported, &copies[1])?;
        let [wim, export] = copies;
        (on_disk, exported_on_disk) = (Some(wim), Some(export));
        fs::copy(&path, &deleted)?;
        time(&Line::new(&programs.wimlib).words("delete --quiet --soft").arg(&deleted).arg("1"))?;
        let folder = places.memory.join(format!("{name}-parts"));
        fs::create_dir(&folder)?;
        let split = Line::new(&programs.wimlib).words("split --quiet").arg(&path);
        time(&split.arg(folder.join("part.swm")).arg(PART_SIZE))?;
        for part in fs::read_dir(&folder)? {
            parts.push(part?.path());
        }
        parts.sort();
    }
    let facts = facts(&path)?;
    Ok(Input {
        name,
        title,
        len: path.metadata()?.len(),
        path,
        on_disk,
        main,
        tree: None,
        exported,
        exported_on_disk,
        exported_bytes,
        deleted,
        parts,
        unique_bytes: facts.unique_bytes,
        image_bytes: facts.image_bytes,
        images: facts.images,
        names: facts.names,
        largest: facts.largest,
        small: facts.small,
    })
}

/// Bytes of all files below `folder`.
pub(super) fn bytes_in(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            bytes += bytes_in(&entry.path())?;
        } else if kind.is_file() {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

struct Facts {
    unique_bytes: u64,
    image_bytes: u64,
    images: usize,
    names: usize,
    largest: (String, u64),
    small: (String, u64),
}

/// Reads what the report tells of a WIM.
fn facts(path: &Path) -> Result<Facts> {
    let wim = Wim::open(path, &OpenOptions::default())?;
    let image = wim.image(1).context("the WIM has no image")?;
    let tree = wim.metadata(image)?;
    let links = tree.hard_links();
    let mut image_bytes = 0;
    let mut files = Vec::new();
    for id in tree.ids() {
        let Some(blob) = wim.find(&tree.dentry(id).data_hash()) else { continue };
        let size = wim.blob(blob).size;
        if links.first(id) == id {
            image_bytes += size;
        }
        if let Ok(name) = String::from_utf8(tree.path(id)) {
            files.push((name, size));
        }
    }
    ensure!(!files.is_empty(), "image 1 of {} holds no file", path.display());
    files.sort_by_key(|(_, size)| *size);
    let small = files.partition_point(|(_, size)| *size < 6_000).min(files.len() - 1);
    Ok(Facts {
        unique_bytes: wim.blobs().map(|(_, blob)| blob.size).sum(),
        image_bytes,
        images: wim.images().len(),
        names: tree.len(),
        largest: files[files.len() - 1].clone(),
        small: files[small].clone(),
    })
}
