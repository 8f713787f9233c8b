//! Copies images to a new or an existing archive.
//!
//! ```text
//! select   which blobs do the images refer to, how often; are all there
//! layout   where each resource goes in the output: a list of segments, each a range of a source,
//!          bytes made here, or a blob to be decoded
//! pack     what has another compression than the destination is decoded and compressed anew
//! execute  ranges are copied by the kernel, neighbours as one; blobs are decoded in parallel;
//!          hashes of the integrity table are taken from the sources meanwhile
//! ```
//!
//! Resources are copied as they are wherever codec, chunk size and layout agree. Of a solid
//! resource, those chunks are taken that hold something wanted; resources of a pipable archive are
//! laid out anew from the same chunks. So the whole layout is known before the first byte is
//! written, and a plan can also be read like a file, without writing it ([`ExportPlan::source`]).

pub(crate) mod add;
mod destination;
mod order;
mod recast;
pub(crate) mod select;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use wim_format::header::{Header, HeaderFlags, Layout, Version};
use wim_format::xml::{EditError, WimXml};
use wim_format::{Codec, Level};

use self::add::{Manner, OldSolid, Recode};
pub(crate) use self::destination::{add_to, keep, keep_others};
use self::select::{Absent, Selection};
use crate::archive::{ImageIndex, Wim};
use crate::blob::Coding;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::integrity;
use crate::output::{AtomicFile, require_space};
use crate::pipeline::Threads;
use crate::progress::Progress;
use crate::source::Source;
pub use crate::write::Pipable;
pub use crate::write::execute::Verification;
use crate::write::layout::{Draft, Drafted};
use crate::write::pack::Packing;
pub use crate::write::pack::order::SolidOrder;
use crate::write::pack::solid::SolidPacking;
use crate::write::session::{self, Context};
use crate::write::{execute, view};

/// How to export.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Number of threads. The bytes written do not depend on it.
    pub threads: Threads,
    /// Name of the exported image in the destination; `None` keeps its name, the empty text leaves
    /// it without. Only for a single image.
    pub name: Option<String>,
    /// Description of the exported image; `None` keeps it, the empty text removes it. Only for a
    /// single image.
    pub description: Option<String>,
    /// Further properties of the exported images in the XML, path and value, such as `WIMBOOT`.
    pub properties: Vec<(String, String)>,
    /// Whether the exported image becomes the one to boot.
    pub boot: Boot,
    /// Whether the destination gets an integrity table.
    pub integrity: IntegrityTable,
    /// Compression of a new destination. One that is there keeps its codec; for other chunks it is
    /// written anew.
    pub compression: Compression,
    /// How hard the encoder tries, where something is compressed.
    pub level: Level,
    /// Which data is compressed anew.
    pub recompress: Recompress,
    /// Whether the SHA-1 of every copied blob is checked.
    pub verification: Verification,
    /// GUID of a new destination; random when `None`.
    pub guid: Option<[u8; 16]>,
    /// What is done with an existing destination.
    pub existing: Existing,
    /// Whether the destination is pipable.
    pub pipable: Pipable,
    /// Whether the data of files is put together.
    pub grouping: Grouping,
}

/// Whether an exported image becomes the one to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boot {
    /// The destination's boot image stays; a new destination has none.
    #[default]
    Leave,
    /// The exported image; of several, the one that is the source's boot image.
    Mark,
}

/// Whether the destination gets an integrity table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntegrityTable {
    /// If it had one before; a new destination gets none.
    #[default]
    Keep,
    /// It gets one.
    Write,
    /// It gets none.
    Omit,
}

/// Compression of a new destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// That of the source, solid resources included.
    #[default]
    AsSource,
    /// None: everything is decoded.
    Stored,
    /// Chunks of this codec and size. (Solid resources have their own: [`Grouping`].)
    Chunks {
        /// The codec.
        codec: Codec,
        /// Uncompressed bytes of a chunk.
        chunk_size: u32,
    },
}

/// Whether the data of files is put together, into solid resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grouping {
    /// As in the archive that is added to or copied: where it has solid resources and keeps its codec,
    /// they are kept, and further data goes into others. A new archive has none.
    #[default]
    Keep,
    /// Each blob gets a resource of its own.
    Single,
    /// All data that is not in such a resource yet goes into a new one, of this kind.
    Solid(Solid),
}

/// How a solid resource is made. An encoder of LZMS takes some nine bytes for each byte of its chunk;
/// as many of them work as there are threads, and as there is memory for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solid {
    /// The codec.
    pub codec: Codec,
    /// Uncompressed bytes of a chunk. It need not be one that the rest of the archive could have.
    pub chunk_size: u32,
    /// How hard the encoder tries.
    pub level: Level,
    /// In which order blobs are put together.
    pub order: SolidOrder,
}

impl Solid {
    /// What Microsoft's `install.esd` has: LZMS in chunks of 64 MiB.
    pub const ESD: Self = Self {
        codec: Codec::Lzms,
        chunk_size: 64 << 20,
        level: Level::Usual,
        order: SolidOrder::Name,
    };
}

impl Grouping {
    /// How an archive of this coding and layout is packed that begins as `like`, if as any.
    ///
    /// # Errors
    /// [`Error::Parameter`] for solid resources in the pipable layout, which has none.
    pub(crate) fn packing(
        self,
        coding: Coding,
        level: Level,
        layout: Layout,
        like: Option<&Wim>,
    ) -> Result<Packing, Error> {
        let solid = match (self, layout) {
            (Self::Solid(_), Layout::Pipable) => {
                return Err(Error::Parameter(
                    "a pipable archive cannot have solid resources; choose one of the two".into(),
                ));
            }
            (Self::Solid(Solid { codec, chunk_size, level, order }), Layout::Normal) => {
                Some(SolidPacking { codec, chunk_size, level, order })
            }
            (Self::Keep, Layout::Normal) => {
                let like = like.filter(|wim| wim.codec() == coding.codec);
                like.and_then(|wim| Packing::like(wim, level).solid)
            }
            (Self::Keep, Layout::Pipable) | (Self::Single, _) => None,
        };
        Ok(Packing { coding, level, solid })
    }
}

/// Which data is compressed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recompress {
    /// What has another compression than the destination; the rest is copied as it is.
    #[default]
    WhenNeeded,
    /// All.
    Always,
}

/// What is done with an existing destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// What is new is appended in place; what was there stays valid until the last write.
    #[default]
    Append,
    /// All that is in use is written to a new file, which takes the place of the old one.
    Rebuild,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Indices, in the destination, of the images exported.
    pub images: Vec<u32>,
    /// Length of the destination in bytes.
    pub len: u64,
    /// Bytes copied as they were.
    pub copied: u64,
    /// Bytes decoded.
    pub decoded: u64,
    /// Blobs written.
    pub blobs: u64,
    /// Blobs that were not written because the destination had them.
    pub shared: u64,
    /// Uncompressed bytes in copied solid chunks that no image refers to.
    pub carried: u64,
}

/// A file that is laid out but not written.
#[derive(Debug)]
pub struct ExportPlan<'w> {
    wim: &'w Wim,
    drafted: Drafted,
    outcome: Outcome,
    threads: Threads,
    verification: Verification,
}

/// Lays out a new archive with `images` of `wim`.
///
/// # Errors
/// Damaged metadata, a blob that is missing, options that contradict each other, or
/// [`Error::Unsupported`] where data would have to be compressed anew.
pub fn plan<'w>(
    wim: &'w Wim,
    images: &[ImageIndex],
    options: &Options,
    cancel: &Cancel,
) -> Result<ExportPlan<'w>, Error> {
    check_options(images, options)?;
    plan_of(&Selection::of(wim, images, Absent::Refuse, options.threads, cancel)?, options)
}

/// Plans an export of a selection.
pub(crate) fn plan_of<'w>(
    selection: &Selection<'w>,
    options: &Options,
) -> Result<ExportPlan<'w>, Error> {
    let wim = selection.wim;
    let images: Vec<_> = selection.images.iter().map(|image| image.index).collect();
    let mut draft = Draft::new(add::coding(wim, options.compression), Layout::Normal);
    let manner = Manner { recode: Recode::Never, solid: OldSolid::Keep };
    let added = add::add_all(&mut draft, selection, manner, options.threads)?;
    let mut xml = WimXml::new();
    let indices = copy_images(&mut xml, selection, options)?;
    let mut header = new_header(wim, &draft, options);
    header.boot_index = boot_index(wim, &images, &indices, options)?;
    let table = integrity::new_piece_size(options.integrity);
    let drafted = draft.finish(header, xml, table)?;
    let outcome = Outcome {
        images: indices,
        len: drafted.len(),
        copied: added.copied,
        decoded: added.decoded,
        blobs: added.blobs,
        shared: 0,
        carried: added.carried,
    };
    let Options { threads, verification, .. } = *options;
    Ok(ExportPlan { wim, drafted, outcome, threads, verification })
}

impl ExportPlan<'_> {
    /// Length of the file.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.drafted.len()
    }

    /// Never so: there is always a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// What writing it will do.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Writes the file to `path`: whole, or not at all. A file of that name is replaced.
    ///
    /// # Errors
    /// [`Error::NoSpace`] before anything is written; else those of reading and writing, damaged
    /// blobs, [`Error::Cancelled`].
    pub fn write(
        self,
        path: &Path,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Outcome, Error> {
        let file = AtomicFile::create(path)?;
        require_space(file.directory(), self.drafted.len())?;
        file.reserve(self.drafted.to_reserve())?;
        execute::write(&self.job(), file.file(), file.target(), progress, cancel)?;
        if let Some(head) = self.drafted.head() {
            file.write_at(&head, 0)?;
        }
        file.commit()?;
        Ok(self.outcome)
    }

    /// The planned file as a source, byte for byte what [`write`](Self::write) would write. Its
    /// bytes come from the archive's own sources when they are asked for. The integrity table, if
    /// there is to be one, is computed here.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where blobs have to be decoded; those of reading;
    /// [`Error::Cancelled`].
    pub fn source(
        &self,
        name: impl Into<String>,
        cancel: &Cancel,
    ) -> Result<Arc<dyn Source>, Error> {
        if !self.drafted.is_known() {
            return Err(Error::Unsupported(format!(
                "{}: has to be decoded for this destination; write it to a file",
                self.wim.name()
            )));
        }
        view::source(&self.drafted, name.into(), self.threads, cancel)
    }

    fn job(&self) -> execute::Job<'_> {
        execute::Job {
            inputs: vec![self.wim],
            drafted: &self.drafted,
            threads: self.threads,
            verification: self.verification,
        }
    }
}

/// Copies `images` of `wim` to `destination`, a new file or an archive that is there already. Data
/// whose compression is another than the destination's is compressed anew.
///
/// # Errors
/// Those of [`plan`]; an existing destination that is read-only, locked, in parts or of another
/// compression, or has an image of the same name; those of reading and writing. Unless it succeeds,
/// the destination is as it was before.
pub fn run(
    wim: &Wim,
    images: &[ImageIndex],
    destination: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    check_options(images, options)?;
    let context = Context { threads: options.threads, progress, cancel };
    destination::run(wim, images, destination, options, context)
}

/// Copies `images` of `wim` to a new archive, which goes to `out` one byte after the other: a pipable
/// one.
///
/// # Errors
/// Those of [`plan`], but not for data that has to be compressed anew; [`Error::Parameter`] for
/// another layout, or an integrity table; those of reading and writing. What was written by then is
/// not a whole archive.
pub fn to_stream(
    wim: &Wim,
    images: &[ImageIndex],
    out: File,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    check_options(images, options)?;
    let context = Context { threads: options.threads, progress, cancel };
    destination::stream(wim, images, out, options, context)
}

fn check_options(images: &[ImageIndex], options: &Options) -> Result<(), Error> {
    let usage = |text: &str| Err(Error::Parameter(text.to_owned()));
    if images.len() != 1 && (options.name.is_some() || options.description.is_some()) {
        return usage("a name or description can be given only when one image is exported");
    }
    Ok(())
}

/// Copies what the XML says of the selected images to the end of `xml`; returns their new indices.
fn copy_images(
    xml: &mut WimXml,
    selection: &Selection<'_>,
    options: &Options,
) -> Result<Vec<u32>, Error> {
    let parameter = |error: EditError| Error::Parameter(error.to_string());
    let mut indices = Vec::new();
    for image in &selection.images {
        let index = xml.copy_image(selection.wim.xml(), image.index.get()).map_err(parameter)?;
        image.correct_counts(xml, index).map_err(parameter)?;
        for (property, value) in [("NAME", &options.name), ("DESCRIPTION", &options.description)] {
            match value.as_deref() {
                None => {}
                Some("") => drop(xml.remove_property(index, property).map_err(parameter)?),
                Some(value) => xml.set_property(index, property, value).map_err(parameter)?,
            }
        }
        for (path, value) in &options.properties {
            xml.set_property(index, path, value).map_err(parameter)?;
        }
        indices.push(index);
    }
    Ok(indices)
}

/// The boot index of the destination; 0 where none of the exported images is to be booted.
fn boot_index(
    wim: &Wim,
    images: &[ImageIndex],
    indices: &[u32],
    options: &Options,
) -> Result<u32, Error> {
    match (options.boot, images, indices) {
        (Boot::Leave, ..) => Ok(0),
        (Boot::Mark, [_], [index]) => Ok(*index),
        (Boot::Mark, ..) => {
            let boot = wim.header().boot_image();
            let position = images.iter().position(|image| Some(image.get()) == boot);
            let index = position.and_then(|position| indices.get(position)).copied();
            index.ok_or_else(|| {
                Error::Usage(format!(
                    "{}: none of the exported images is marked to be booted; export the one that \
                     is to be booted by itself",
                    wim.name()
                ))
            })
        }
    }
}

/// The header of a new file, its tables still unknown.
fn new_header(wim: &Wim, draft: &Draft, options: &Options) -> Header {
    let mut header = session::new_header(draft.coding(), Layout::Normal, options.guid);
    inherit(&mut header, wim, options);
    if draft.has_solid() {
        header.version = Version::Solid;
    }
    header
}

/// What the header of a new file takes over from that of the source.
fn inherit(header: &mut Header, wim: &Wim, options: &Options) {
    let source = wim.header();
    header.flags |= source.flags & HeaderFlags::RP_FIX;
    if options.compression == Compression::AsSource {
        // With the very flags of the source, which may say XPRESS_2.
        header.flags -= HeaderFlags::METHODS;
        header.flags |= source.flags & HeaderFlags::METHODS;
    }
}
