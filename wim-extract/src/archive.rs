//! An open archive: one file, the parts of a split set, or a delta with what it builds on.
//!
//! ```text
//! Wim ── parts: the file itself, then those found by reference
//!  │       each: source, header, blob table
//!  ├── blob index: SHA-1 → BlobId, over all parts
//!  ├── XML of the file itself
//!  └── images: metadata, decoded when first asked for and kept
//! ```
//!
//! Tables are checked against the file once, here; what lies behind them (chunk tables, blob data)
//! is checked when it is read.

mod index;
mod open;

pub(crate) use self::open::{head, read_header, read_table};

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use wim_format::blob_table::{Blob, BlobPlace, BlobTable, MetadataEntry, SolidResource};
use wim_format::header::Header;
use wim_format::metadata::{DentryId, Metadata};
use wim_format::resource::ResourceHeader;
use wim_format::xml::WimXml;
use wim_format::{Codec, FormatError, Sha1Hash};

pub(crate) use self::index::Index;
use crate::blob::{Coding, Form, Resource, read_whole};
use crate::cancel::Cancel;
use crate::error::{Damage, Error, Of};
use crate::hash::sha1;
use crate::pipeline::lock::Lock;
use crate::pipeline::{Task, Threads, run_tasks};
use crate::source::{Access, Source};

/// Names a blob of an open [`Wim`]: its position among the blobs of all parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(u32);

impl BlobId {
    /// Position among all blobs, from 0; for arrays beside [`Wim::blobs`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The blob at a position.
    pub(crate) const fn at(position: u32) -> Self {
        Self(position)
    }
}

/// Names an image of an open [`Wim`], by its index from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageIndex(u32);

impl ImageIndex {
    /// The index as users know it, from 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    fn position(self) -> usize {
        self.0 as usize - 1
    }
}

impl std::fmt::Display for ImageIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether an integrity table is checked when a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Integrity {
    /// Not checked.
    #[default]
    Ignore,
    /// Checked, if there is one; an archive that does not agree with it is not opened.
    Check,
}

/// How to open an archive.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Memory maps or reads.
    pub access: Access,
    /// Patterns of the other parts of a split set, or of the archives that a delta builds on.
    /// Files that match and are the archive itself are passed over.
    pub references: Vec<String>,
    /// Whether to check integrity tables.
    pub integrity: Integrity,
    /// Threads that decode the metadata of an image that is looked at by itself.
    pub threads: Threads,
}

/// One file of an archive.
#[derive(Debug)]
pub struct Part {
    /// Its bytes.
    pub source: Arc<dyn Source>,
    /// Its header. For a pipable file the one at the end.
    pub header: Header,
    /// Its blobs; those that an earlier part has too are left out.
    pub blobs: BlobTable,
    /// Compression of the resources that are not solid.
    coding: Coding,
    /// Id of its first blob.
    first: u32,
}

/// The directory tree of an image.
pub type ImageTree = Metadata<Bytes>;

/// An open archive.
#[derive(Debug)]
pub struct Wim {
    parts: Vec<Part>,
    index: Index,
    xml: WimXml,
    xml_bytes: Bytes,
    images: Vec<Image>,
    warnings: Vec<String>,
    threads: Threads,
}

/// What is kept of an image.
#[derive(Debug)]
struct Image {
    /// `None` in a later part of a split set, which has no metadata, and where some is lost.
    entry: Option<MetadataEntry>,
    tree: OnceLock<Arc<ImageTree>>,
}

impl Wim {
    /// Opens the archive at `path`: a WIM or ESD file, the first part of a split set, or an ISO
    /// image with one in it, as [`crate::source::open`] has it.
    ///
    /// # Errors
    /// The file cannot be read, is no WIM, or its header, tables or XML are malformed.
    pub fn open(path: impl Into<PathBuf>, options: &OpenOptions) -> Result<Self, Error> {
        open::open(&path.into(), options)
    }

    /// The files that [`open`](Self::open) would read, the archive itself first.
    ///
    /// # Errors
    /// One cannot be opened, or nothing matches a pattern.
    pub fn files(
        path: impl Into<PathBuf>,
        options: &OpenOptions,
    ) -> Result<Vec<Arc<dyn Source>>, Error> {
        open::files(&path.into(), options)
    }

    /// Opens the files that `options` refer to beside the archive at `path`, each by itself.
    ///
    /// # Errors
    /// As [`open`](Self::open), and for a pattern that no file matches.
    pub fn open_references(path: &Path, options: &OpenOptions) -> Result<Vec<Self>, Error> {
        let sources = open::references(path, options)?;
        sources.into_iter().map(|source| Self::from_source(source, [])).collect()
    }

    /// Opens the archive in `source`; `references` are further parts, as of
    /// [`OpenOptions::references`].
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_source(
        source: Arc<dyn Source>,
        references: impl IntoIterator<Item = Arc<dyn Source>>,
    ) -> Result<Self, Error> {
        open::from_sources(source, references)
    }

    /// What to call the archive in messages: the path as the user knows it.
    #[must_use]
    pub fn name(&self) -> String {
        self.main().source.name()
    }

    /// The header of the file itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.main().header
    }

    /// The XML data of the file itself.
    #[must_use]
    pub fn xml(&self) -> &WimXml {
        &self.xml
    }

    /// The XML data as it stands in the file: UTF-16LE.
    #[must_use]
    pub fn xml_bytes(&self) -> &Bytes {
        &self.xml_bytes
    }

    /// What was odd when the archive was opened, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The file itself, then those it refers to.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn main(&self) -> &Part {
        &self.parts[0]
    }

    /// Compression of the resources that are not solid, `None` when they are stored.
    #[must_use]
    pub fn codec(&self) -> Option<Codec> {
        self.main().coding.codec
    }

    /// How resources that are not solid are coded.
    pub(crate) fn coding(&self) -> Coding {
        self.main().coding
    }

    /// Number of images.
    #[must_use]
    pub fn image_count(&self) -> u32 {
        self.images.len() as u32
    }

    /// All images.
    pub fn images(&self) -> impl ExactSizeIterator<Item = ImageIndex> + use<> {
        (0..self.image_count()).map(|position| ImageIndex(position + 1))
    }

    /// The image of that index, from 1, if there is one.
    #[must_use]
    pub fn image(&self, index: u32) -> Option<ImageIndex> {
        (1..=self.image_count()).contains(&index).then_some(ImageIndex(index))
    }

    /// The images that a user means by `operand`: an index from 1, a name, or `all` or `*`.
    /// What looks like a number is one, and what is not Unicode is nobody's name.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], which lists those there are.
    pub fn resolve(&self, operand: impl AsRef<OsStr>) -> Result<Vec<ImageIndex>, Error> {
        let Some(operand) = operand.as_ref().to_str() else {
            return Err(self.no_such_image(&operand.as_ref().to_string_lossy()));
        };
        if operand == "*" || operand.eq_ignore_ascii_case("all") {
            return Ok(self.images().collect());
        }
        let found = if !operand.is_empty() && operand.bytes().all(|byte| byte.is_ascii_digit()) {
            operand.parse().ok().and_then(|index| self.image(index))
        } else {
            self.image_named(operand)
        };
        found.map(|image| vec![image]).ok_or_else(|| self.no_such_image(operand))
    }

    /// The image of that name. The empty name is nobody's.
    #[must_use]
    pub fn image_named(&self, name: &str) -> Option<ImageIndex> {
        let images = self.xml.images();
        let found = images.iter().find(|image| image.name.as_deref() == Some(name))?;
        if name.is_empty() { None } else { self.image(found.index) }
    }

    fn no_such_image(&self, operand: &str) -> Error {
        let names = self.xml.images();
        let mut known = match self.image_count() {
            1 => "1 image:".to_owned(),
            count => format!("{count} images:"),
        };
        for image in names.iter().take(20) {
            known += &format!(" {} {:?},", image.index, image.name.as_deref().unwrap_or_default());
        }
        let known = known.trim_end_matches([',', ':']).to_owned();
        Error::NoSuchImage { file: self.name(), operand: operand.to_owned(), known }
    }

    /// The metadata resource of an image.
    ///
    /// # Errors
    /// [`Error::NotFirstPart`] for a later part of a split set, which has none;
    /// [`Error::ImageCount`] where that of some image is lost.
    pub fn metadata_entry(&self, image: ImageIndex) -> Result<&MetadataEntry, Error> {
        let entry = self.images[image.position()].entry.as_ref();
        entry.ok_or_else(|| match self.header().part_number {
            1 => self.image_count_error(),
            part => {
                Error::NotFirstPart { file: self.name(), part, total: self.header().total_parts }
            }
        })
    }

    /// Makes sure that no image has lost its metadata.
    ///
    /// # Errors
    /// As [`metadata_entry`](Self::metadata_entry).
    pub(crate) fn require_metadata(&self) -> Result<(), Error> {
        // All have it, or none.
        self.images().next().map_or(Ok(()), |image| self.metadata_entry(image).map(drop))
    }

    /// Whether blobs are put together in solid resources.
    #[must_use]
    pub fn has_solid(&self) -> bool {
        self.parts().iter().any(|part| !part.blobs.solid.is_empty())
    }

    pub(crate) fn image_count_error(&self) -> Error {
        let (stated, xml) = (self.header().image_count, self.image_count());
        let found = self.main().blobs.metadata.len() as u32;
        let header = if stated == xml { found } else { stated };
        Error::ImageCount { file: self.name(), header, xml }
    }

    /// The directory tree of an image, decoded and checked when first asked for.
    ///
    /// # Errors
    /// The metadata resource is damaged or malformed, or in another part of the split set.
    pub fn metadata(&self, image: ImageIndex) -> Result<Arc<ImageTree>, Error> {
        let tree = &self.images[image.position()].tree;
        if let Some(tree) = tree.get() {
            return Ok(Arc::clone(tree));
        }
        let loaded = self.read_metadata(image, self.threads)?;
        Ok(Arc::clone(tree.get_or_init(|| Arc::new(loaded))))
    }

    /// Like [`metadata`](Self::metadata), but keeps nothing and uses no other thread: for one look at
    /// every image.
    ///
    /// # Errors
    /// As `metadata`.
    pub fn load_metadata(&self, image: ImageIndex) -> Result<ImageTree, Error> {
        self.read_metadata(image, Threads::ONE)
    }

    fn read_metadata(&self, image: ImageIndex, threads: Threads) -> Result<ImageTree, Error> {
        /// Bytes whose hash is worth a thread.
        const SHARE: usize = 1 << 20;
        let entry = self.metadata_entry(image)?;
        let resource = self.main().resource(entry.resource);
        open::check_metadata_size(&resource).map_err(|error| self.malformed(image, error))?;
        let damaged = |damage| {
            let image = image.get();
            Error::DamagedMetadata { file: self.name(), image, damage }
        };
        let bytes = read_whole(&resource, threads).map_err(damaged)?;
        // Parsing does not trust the bytes and need not wait for their hash.
        let (hash, tree) = (Lock::new(None), Lock::new(None));
        let tasks: Vec<Task<'_>> = vec![
            Box::new(|| {
                *hash.lock() = Some(sha1(&bytes));
                Ok(())
            }),
            Box::new(|| {
                *tree.lock() = Some(Metadata::parse(bytes.clone()));
                Ok(())
            }),
        ];
        let threads = if bytes.len() < SHARE { Threads::ONE } else { threads };
        run_tasks(tasks, threads, &Cancel::new())?;
        match (hash.into_inner(), tree.into_inner()) {
            (Some(found), Some(tree)) if found == entry.hash => {
                tree.map_err(|error| self.malformed(image, error))
            }
            (found, _) => {
                let found = found.unwrap_or_default();
                Err(damaged(Damage::Hash { expected: entry.hash, found }))
            }
        }
    }

    fn malformed(&self, image: ImageIndex, source: FormatError) -> Error {
        Error::Malformed { file: self.name(), of: Of::Image(image.get()), source }
    }

    /// Number of blobs of all parts.
    #[must_use]
    pub fn blob_count(&self) -> u32 {
        self.parts.last().map_or(0, |part| part.first + part.blobs.blobs.len() as u32)
    }

    /// All blobs of all parts, without the metadata resources.
    pub fn blobs(&self) -> impl Iterator<Item = (BlobId, &Blob)> {
        self.parts.iter().flat_map(|part| {
            let ids = (part.first..).map(BlobId);
            ids.zip(&part.blobs.blobs)
        })
    }

    /// The blob of that SHA-1, if any part has it.
    #[must_use]
    pub fn find(&self, hash: &Sha1Hash) -> Option<BlobId> {
        self.index.find(hash, |id| self.blob(id).hash)
    }

    /// A blob.
    ///
    /// # Panics
    /// When `id` is of another, larger archive. So do all methods that take an id.
    #[must_use]
    pub fn blob(&self, id: BlobId) -> &Blob {
        open::blob_of(&self.parts, id)
    }

    /// Which of [`parts`](Self::parts) holds the blob.
    #[must_use]
    pub fn part_of(&self, id: BlobId) -> usize {
        match &self.parts[..] {
            [_] => 0,
            parts => parts.partition_point(|part| part.first <= id.0) - 1,
        }
    }

    /// Where the blob's resource begins in its file.
    pub(crate) fn file_offset(&self, id: BlobId) -> u64 {
        match self.blob(id).place {
            BlobPlace::Resource(resource) => resource.offset,
            BlobPlace::Solid { resource, .. } => self.solid_offset(self.part_of(id), resource),
        }
    }

    /// A solid resource of a part.
    pub(crate) fn solid_resource(&self, part: usize, index: usize) -> &SolidResource {
        &self.parts[part].blobs.solid[index]
    }

    /// Where a solid resource begins in its file.
    pub(crate) fn solid_offset(&self, part: usize, index: usize) -> u64 {
        self.solid_resource(part, index).resource.offset
    }

    /// What is needed to read the resource that holds the blob.
    pub(crate) fn resource(&self, id: BlobId) -> Resource<'_> {
        let part = &self.parts[self.part_of(id)];
        match self.blob(id).place {
            BlobPlace::Resource(place) => part.resource(place),
            BlobPlace::Solid { resource, .. } => part.solid(resource),
        }
    }

    /// The error of a blob that is missing.
    #[must_use]
    pub fn missing(&self, hash: Sha1Hash, path: Option<String>) -> Error {
        Error::MissingBlob { file: self.name(), path, hash }
    }

    /// The error of a damaged blob. To name a file that has its data, all metadata is searched.
    #[must_use]
    pub fn damaged(&self, blob: BlobId, damage: Damage) -> Error {
        let hash = self.blob(blob).hash;
        let file = self.parts[self.part_of(blob)].source.name();
        Error::Damaged { file, path: self.path_of(&hash), hash, damage }
    }

    /// The first file, in any image, that has data of that hash: "image 1: /path/of/file".
    #[must_use]
    pub fn path_of(&self, hash: &Sha1Hash) -> Option<String> {
        self.images().find_map(|image| {
            let tree = self.metadata(image).ok()?;
            let found = tree.ids().find(|&id: &DentryId| {
                tree.dentry(id).streams().any(|stream| stream.hash == *hash)
            })?;
            let path = tree.path(found);
            Some(format!("image {image}: {}", String::from_utf8_lossy(&path)))
        })
    }
}

impl Part {
    /// What is needed to read a resource of this part that is not solid.
    pub(crate) fn resource(&self, place: ResourceHeader) -> Resource<'_> {
        let form = match place.is_compressed() {
            true => Form::Chunks(self.coding, self.header.layout),
            false => Form::Stored,
        };
        Resource { source: &*self.source, place, form }
    }

    /// What is needed to read a solid resource of this part.
    pub(crate) fn solid(&self, index: usize) -> Resource<'_> {
        let solid = &self.blobs.solid[index];
        Resource { source: &*self.source, place: solid.resource, form: Form::Solid(solid.header) }
    }
}
