//! A new archive from blobs and metadata trees.

use std::path::Path;

use bytes::Bytes;
use wim_format::Sha1Hash;
use wim_format::blob_table::{Blob, BlobPlace};
use wim_format::header::{Header, Layout};
use wim_format::resource::ResourceFlags;
use wim_format::time::FileTime;
use wim_format::xml::WimXml;

use super::execute::{self, Job, Verification};
use super::layout::{Draft, Item, Segment};
use super::session::{count_references, new_header, parameter, set_counts};
use crate::blob::Coding;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::export::IntegrityTable;
use crate::hash::sha1;
use crate::integrity;
use crate::output::AtomicFile;
use crate::pipeline::Threads;
use crate::progress::Progress;

/// Bytes that are gathered before they are written.
const GATHER: usize = 1 << 20;

/// Blobs are stored as they are.
const STORED: Coding = Coding { codec: None, chunk_size: 0 };

/// How to write an archive.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// GUID; random when `None`.
    pub guid: Option<[u8; 16]>,
    /// Whether the archive gets an integrity table.
    pub integrity: IntegrityTable,
    /// Number of threads that compute it.
    pub threads: Threads,
}

/// Writes a new archive. Nothing is seen of it until [`finish`](Self::finish); dropped before, it
/// leaves nothing behind.
///
/// Blobs are stored uncompressed, each only once. They may be added in any order, also after images
/// that refer to them; only when all is there are references counted.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("new.wim");
/// use wim_extract::write::{Options, WimWriter};
/// use wim_extract::{Cancel, Silent};
/// use wim_format::metadata::{ImageBuilder, Inode};
/// use wim_format::time::FileTime;
///
/// let mut writer = WimWriter::create(&path, &Options::default())?;
/// let data = writer.add_blob(b"hello, wim\n")?;
/// let mut image = ImageBuilder::new(Inode::directory());
/// image.add(ImageBuilder::ROOT, "a.txt", Inode::file(data))?;
/// let index = writer.add_image("First", image.to_bytes()?, FileTime(0))?;
/// writer.set_boot(index);
/// writer.finish(&Silent, &Cancel::new())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WimWriter {
    file: AtomicFile,
    draft: Draft,
    /// What is to be written next, and where.
    gathered: Vec<u8>,
    gathered_at: u64,
    images: Vec<(Bytes, Sha1Hash)>,
    xml: WimXml,
    boot: u32,
    options: Options,
}

impl WimWriter {
    /// Begins an archive that will be called `path`, in place of any file of that name.
    ///
    /// # Errors
    /// The directory does not exist or cannot be written.
    pub fn create(path: &Path, options: &Options) -> Result<Self, Error> {
        let draft = Draft::new(STORED, Layout::Normal);
        Ok(Self {
            file: AtomicFile::create(path)?,
            gathered: Vec::new(),
            gathered_at: draft.at(),
            draft,
            images: Vec::new(),
            xml: WimXml::new(),
            boot: 0,
            options: options.clone(),
        })
    }

    /// Adds a blob, unless it is there already, and gives its hash. Empty data has no blob, and
    /// the hash [`Sha1Hash::ZERO`].
    ///
    /// # Errors
    /// Those of writing.
    pub fn add_blob(&mut self, data: &[u8]) -> Result<Sha1Hash, Error> {
        if data.is_empty() {
            return Ok(Sha1Hash::ZERO);
        }
        let hash = sha1(data);
        if self.draft.share(&hash, 0) {
            return Ok(hash);
        }
        let size = data.len() as u64;
        let place = self.draft.stored(size, ResourceFlags::empty());
        self.draft.push(Segment::Written { len: size });
        let place = BlobPlace::Resource(place);
        self.draft.enter(Blob { hash, size, refcount: 0, part_number: 1, place }, None);
        if self.gathered.len() + data.len() > GATHER {
            self.flush()?;
        }
        if data.len() > GATHER {
            self.file.write_at(data, self.gathered_at)?;
            self.gathered_at += size;
        } else {
            self.gathered.extend_from_slice(data);
        }
        Ok(hash)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.write_at(&self.gathered, self.gathered_at)?;
        self.gathered_at += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }

    /// Adds an image and gives its index, from 1. `metadata` is its metadata resource, as
    /// [`ImageBuilder`](wim_format::metadata::ImageBuilder) makes it; `time` is when it was made.
    ///
    /// # Errors
    /// The name is taken or cannot stand in XML, or there are too many images.
    pub fn add_image(
        &mut self,
        name: &str,
        metadata: Vec<u8>,
        time: FileTime,
    ) -> Result<u32, Error> {
        let taken = |image: &wim_format::xml::ImageXml| image.name.as_deref() == Some(name);
        if !name.is_empty() && self.xml.images().iter().any(taken) {
            let file = self.file.target().display().to_string();
            return Err(Error::NameTaken { file, name: name.to_owned() });
        }
        let index = self.xml.add_image().map_err(parameter)?;
        if !name.is_empty() {
            self.xml.set_property(index, "NAME", name).map_err(parameter)?;
        }
        // The counts come between name and times, as in every other archive.
        for count in ["DIRCOUNT", "FILECOUNT", "TOTALBYTES", "HARDLINKBYTES"] {
            self.xml.set_property(index, count, "0").map_err(parameter)?;
        }
        for property in ["CREATIONTIME", "LASTMODIFICATIONTIME"] {
            self.xml.set_time(index, property, time).map_err(parameter)?;
        }
        let hash = sha1(&metadata);
        self.images.push((metadata.into(), hash));
        Ok(index)
    }

    /// What the XML says of the images, to be added to.
    pub fn xml_mut(&mut self) -> &mut WimXml {
        &mut self.xml
    }

    /// Makes an image the one to boot; 0 for none.
    pub fn set_boot(&mut self, image: u32) {
        self.boot = image;
    }

    /// Writes metadata, tables and header, makes the file durable and gives it its name.
    ///
    /// # Errors
    /// The metadata of an image is malformed or refers to a blob that was not added; those of
    /// writing; [`Error::Cancelled`].
    pub fn finish(mut self, progress: &dyn Progress, cancel: &Cancel) -> Result<(), Error> {
        self.flush()?;
        for (index, (metadata, hash)) in (1..).zip(std::mem::take(&mut self.images)) {
            let path = self.file.target();
            let stats = count_references(&mut self.draft, &metadata, index, path, &|_| None)?;
            set_counts(&mut self.xml, index, &stats).map_err(parameter)?;
            self.draft.add_image(Item::stored(metadata, hash, ResourceFlags::empty()));
        }
        let piece_size = integrity::new_piece_size(self.options.integrity);
        let header = Header {
            boot_index: self.boot,
            ..new_header(STORED, Layout::Normal, self.options.guid)
        };
        let drafted = self.draft.finish(header, self.xml, piece_size)?;
        let job = Job {
            inputs: Vec::new(),
            drafted: &drafted,
            threads: self.options.threads,
            verification: Verification::Trust,
        };
        execute::write(&job, self.file.file(), self.file.target(), progress, cancel)?;
        if let Some(head) = drafted.head() {
            self.file.write_at(&head, 0)?;
        }
        self.file.commit()
    }
}
