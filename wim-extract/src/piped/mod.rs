//! Reading a pipable archive from its first byte to its last, without ever going back.
//!
//! ```text
//! header, XML, images  ──►  PipedWim ── tree of one image ──► what is wanted
//! data                 ──►  batch by batch: chunks are read while those before are decoded, hashed
//!                           and handed to a sink on all threads
//! ```
//!
//! Nothing that the stream says of itself is believed before the bytes are there: memory grows with
//! what has been read. Each resource is checked against the hash in front of it.

mod batch;
mod data;
mod records;

use std::ffi::OsStr;
use std::io::Read;

use bytes::Bytes;
use wim_format::header::Header;
use wim_format::metadata::Metadata;
use wim_format::resource::{BlobHeader, ResourceFlags};
use wim_format::xml::WimXml;
use wim_format::{Codec, FormatError, Structure, limits};

pub use self::data::PipedBlobs;
use self::records::{Record, Records};
use crate::archive::ImageTree;
use crate::cancel::Cancel;
use crate::error::{Damage, Error, Of};
use crate::hash::sha1;
use crate::pipeline::decode::decode_one;

/// Room for the tables of the smallest archives, for which the proportions are others.
const SMALL: u64 = 64 << 10;

/// A pipable archive of which the header and the XML have been read.
#[derive(Debug)]
pub struct PipedWim<R> {
    records: Records<R>,
    header: Header,
    codec: Option<Codec>,
    xml: WimXml,
}

impl<R: Read + Send> PipedWim<R> {
    /// Begins to read the archive that `input` gives; `name` is what to call it in messages.
    ///
    /// # Errors
    /// What comes is no WIM, or one that is not pipable, or a later part of a split set; its header or
    /// XML is malformed; it ends; [`Error::Cancelled`].
    pub fn open(input: R, name: impl Into<String>, cancel: &Cancel) -> Result<Self, Error> {
        let mut records = Records::new(input, name.into(), cancel);
        let header = records.first_header()?;
        let codec = header.codec().map_err(|source| records.malformed(source))?;
        if header.part_number != 1 {
            return Err(Error::NotFirstPart {
                file: records.name().to_owned(),
                part: header.part_number,
                total: header.total_parts,
            });
        }
        let mut wim = Self { records, header, codec, xml: WimXml::new() };
        let of_xml = wim.next_of_all("the XML document")?;
        let bytes = wim.read_all(of_xml).map_err(|error| match error {
            Error::Damaged { file, damage, .. } => {
                Error::DamagedTable { file, structure: Structure::Xml, damage }
            }
            error => error,
        })?;
        wim.xml = WimXml::parse(&bytes).map_err(|source| wim.records.malformed(source))?;
        let file = || wim.records.name().to_owned();
        if wim.xml.is_encrypted() {
            return Err(Error::Encrypted { file: file() });
        }
        let (header, xml) = (wim.header.image_count, wim.xml.image_count());
        if header != xml {
            return Err(Error::ImageCount { file: file(), header, xml });
        }
        Ok(wim)
    }

    /// What to call it in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.records.name()
    }

    /// The header at the start, which does not know where the tables are.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The XML at the start.
    #[must_use]
    pub fn xml(&self) -> &WimXml {
        &self.xml
    }

    /// The index of the image that a user means by `operand`, an index or a name; without it, of the
    /// only one.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], which lists those there are.
    pub fn resolve(&self, operand: Option<&OsStr>) -> Result<u32, Error> {
        let count = self.header.image_count;
        let images = self.xml.images();
        let found = match operand.map(OsStr::to_str) {
            None => (count == 1).then_some(1),
            // What is not Unicode is nobody's name.
            Some(None) => None,
            Some(Some(index)) if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => {
                index.parse().ok().filter(|index| (1..=count).contains(index))
            }
            Some(Some(name)) => images
                .iter()
                .find(|image| !name.is_empty() && image.name.as_deref() == Some(name))
                .map(|image| image.index),
        };
        found.ok_or_else(|| {
            let known = images.iter().take(20).map(|image| {
                format!("{} {:?}", image.index, image.name.as_deref().unwrap_or_default())
            });
            let known = known.collect::<Vec<_>>().join(", ");
            let images = if count == 1 { "image" } else { "images" };
            let known = format!("{count} {images}: {known}; choose one of them");
            let operand = operand.unwrap_or_default().to_string_lossy().into_owned();
            Error::NoSuchImage { file: self.name().to_owned(), operand, known }
        })
    }

    /// Reads the metadata of all images, and gives the tree of image `index`, from 1.
    ///
    /// # Errors
    /// It is damaged or malformed, or the stream ends; [`Error::Cancelled`].
    pub fn metadata(&mut self, index: u32) -> Result<ImageTree, Error> {
        let mut tree = None;
        for image in 1..=self.header.image_count {
            let header = self.next_of_all("the images")?;
            if !header.flags.contains(ResourceFlags::METADATA) {
                return Err(Error::BrokenStream {
                    file: self.name().to_owned(),
                    offset: self.records.at(),
                    problem: format!("the metadata of image {image} should come here"),
                });
            }
            if image != index {
                let open = self.records.open(header, self.header.chunk_size)?;
                self.records.skip_resource(open)?;
                continue;
            }
            let bytes = self.read_all(header).map_err(|error| match error {
                Error::Damaged { file, damage, .. } => {
                    Error::DamagedMetadata { file, image, damage }
                }
                error => error,
            })?;
            let parsed = Metadata::parse(bytes).map_err(|source| Error::Malformed {
                file: self.name().to_owned(),
                of: Of::Image(image),
                source,
            });
            tree = Some(parsed?);
        }
        tree.ok_or_else(|| self.records.ends("the images"))
    }

    /// The next record, which is a resource at the start of the archive.
    fn next_of_all(&mut self, what: &str) -> Result<BlobHeader, Error> {
        match self.records.next()? {
            Some(Record::Resource(header)) => Ok(header),
            Some(Record::Header) => Err(Error::BrokenStream {
                file: self.name().to_owned(),
                offset: self.records.at(),
                problem: format!("a header stands where {what} should"),
            }),
            None => Err(self.records.ends(what)),
        }
    }

    /// The whole of a resource that is held in memory, decoded and checked.
    fn read_all(&mut self, header: BlobHeader) -> Result<Bytes, Error> {
        let mut open = self.records.open(header, self.header.chunk_size)?;
        let (mut all, mut compressed) = (Vec::new(), Vec::new());
        let mut decoder = None;
        while let Some(chunk) = self.records.chunk(&mut open, &mut compressed)? {
            let size = chunk.start + chunk.uncompressed as u64;
            if !limits::is_credible_metadata_size(size, self.records.at().max(SMALL)) {
                return Err(self.records.malformed(FormatError::TooLarge {
                    structure: Structure::BlobHeader,
                    found: header.uncompressed_size,
                    expected: "tables in proportion to the stream",
                }));
            }
            let start = all.len();
            all.resize(start + chunk.uncompressed, 0);
            let coder = self.codec.map(|codec| (codec, self.header.chunk_size));
            let decoded = decode_one(&mut decoder, coder, &compressed, &mut all[start..]);
            decoded.map_err(|source| {
                let damage = Damage::Decode { chunk: chunk.number, offset: chunk.offset, source };
                self.records.damaged(&header, damage)
            })?;
            compressed.clear();
        }
        let found = sha1(&all);
        if found != header.hash {
            let damage = Damage::Hash { expected: header.hash, found };
            return Err(self.records.damaged(&header, damage));
        }
        Ok(all.into())
    }
}
