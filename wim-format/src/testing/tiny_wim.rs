//! Writes small WIMs in every layout, valid unless the test spoils them.

use super::sha1;
use crate::blob_table::{Blob, BlobPlace, BlobTable, MetadataEntry, SolidResource};
use crate::hash::Sha1Map;
use crate::header::{HEADER_LEN, Header, HeaderFlags, Layout, Version};
use crate::integrity::{IntegrityTable, covered_ranges};
use crate::metadata::Metadata;
use crate::resource::{
    BlobHeader, ChunkTable, ResourceFlags, ResourceHeader, SolidHeader, chunk_count,
    write_chunk_table,
};
use crate::xml::WimXml;
use crate::{Codec, Sha1Hash};

/// How the bytes of a blob are put into the file.
#[derive(Debug, Clone)]
pub enum Chunks {
    /// Without chunks and chunk table.
    Stored,
    /// Cut into chunks, each stored raw, which needs no encoder and is valid for every codec.
    Raw,
    /// These compressed chunks, one for each chunk of the uncompressed bytes.
    Compressed(Vec<Vec<u8>>),
}

/// A WIM to be built.
#[derive(Debug, Clone)]
pub struct TinyWim {
    layout: Layout,
    codec: Option<Codec>,
    chunk_size: u32,
    guid: [u8; 16],
    piece_size: Option<u32>,
    blobs: Vec<Item>,
    solid: Vec<Solid>,
    images: Vec<(String, Item)>,
}

#[derive(Debug, Clone)]
struct Item {
    data: Vec<u8>,
    chunks: Chunks,
}

#[derive(Debug, Clone)]
struct Solid {
    header: SolidHeader,
    /// Hash and size of each blob, in order.
    blobs: Vec<(Sha1Hash, u64)>,
    chunks: Vec<Vec<u8>>,
}

/// The tables of a WIM just before they are written, for a test to spoil.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The header; where the tables are is filled in later, whatever stands there.
    pub header: Header,
    /// The blob table as stored.
    pub blob_table: Vec<u8>,
    /// The XML as stored.
    pub xml: Vec<u8>,
}

impl Default for TinyWim {
    fn default() -> Self {
        Self::new(None, 0)
    }
}

impl TinyWim {
    /// An empty WIM; `chunk_size` counts when there is a codec.
    #[must_use]
    pub fn new(codec: Option<Codec>, chunk_size: u32) -> Self {
        Self {
            layout: Layout::Normal,
            codec,
            chunk_size,
            guid: *b"a tiny test WIM!",
            piece_size: None,
            blobs: Vec::new(),
            solid: Vec::new(),
            images: Vec::new(),
        }
    }

    /// Makes it pipable. Solid resources cannot be in it then.
    #[must_use]
    pub fn pipable(mut self) -> Self {
        self.layout = Layout::Pipable;
        self
    }

    /// Adds an integrity table with pieces of that size.
    #[must_use]
    pub fn with_integrity(mut self, piece_size: u32) -> Self {
        self.piece_size = Some(piece_size);
        self
    }

    /// Adds a blob and returns its hash, for the metadata to refer to.
    pub fn blob(&mut self, data: &[u8], chunks: Chunks) -> Sha1Hash {
        self.blobs.push(Item { data: data.to_vec(), chunks });
        sha1(data)
    }

    /// Adds a solid resource that holds `blobs` one after the other; `chunks` are its compressed
    /// chunks, or `None` for raw ones. Returns the hashes of the blobs.
    pub fn solid(
        &mut self,
        codec: Option<Codec>,
        chunk_size: u32,
        blobs: &[&[u8]],
        chunks: Option<Vec<Vec<u8>>>,
    ) -> Vec<Sha1Hash> {
        let data = blobs.concat();
        let uncompressed_size = data.len() as u64;
        let raw = || data.chunks(chunk_size as usize).map(<[u8]>::to_vec).collect();
        let hashes: Vec<_> = blobs.iter().map(|blob| sha1(blob)).collect();
        let sizes = blobs.iter().map(|blob| blob.len() as u64);
        self.solid.push(Solid {
            header: SolidHeader { uncompressed_size, chunk_size, codec },
            blobs: hashes.iter().copied().zip(sizes).collect(),
            chunks: chunks.unwrap_or_else(raw),
        });
        hashes
    }

    /// Adds an image with this metadata resource.
    pub fn image(&mut self, name: &str, metadata: Vec<u8>, chunks: Chunks) {
        self.images.push((name.to_owned(), Item { data: metadata, chunks }));
    }

    /// Writes the file.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        self.build_with(|_| ())
    }

    /// Writes the file after `edit` has had its way with the tables.
    #[must_use]
    pub fn build_with(&self, edit: impl FnOnce(&mut Draft)) -> Vec<u8> {
        let mut file = File { out: vec![0; HEADER_LEN], wim: self };
        if self.layout == Layout::Pipable {
            file.table(&self.xml().to_bytes(), ResourceFlags::METADATA);
        }
        let blob_table = file.contents();
        let mut xml = self.xml();
        xml.set_total_bytes(file.out.len() as u64 + blob_table.len() as u64);
        let mut draft =
            Draft { header: self.header(), blob_table: blob_table.clone(), xml: xml.to_bytes() };
        edit(&mut draft);
        let mut header = draft.header;
        header.blob_table = file.table(&draft.blob_table, ResourceFlags::METADATA);
        header.xml = file.table(&draft.xml, ResourceFlags::METADATA);
        if let Some(piece_size) = self.piece_size {
            header.integrity = file.integrity(header.blob_table.end(), piece_size);
        }
        file.finish(&header)
    }

    fn header(&self) -> Header {
        let is_solid = !self.solid.is_empty() || self.codec == Some(Codec::Lzms);
        Header {
            layout: self.layout,
            version: if is_solid { Version::Solid } else { Version::Normal },
            flags: HeaderFlags::of_codec(self.codec),
            chunk_size: self.codec.map_or(0, |_| self.chunk_size),
            guid: self.guid,
            part_number: 1,
            total_parts: 1,
            image_count: self.images.len() as u32,
            blob_table: ResourceHeader::default(),
            xml: ResourceHeader::default(),
            boot_metadata: ResourceHeader::default(),
            integrity: ResourceHeader::default(),
            boot_index: 0,
        }
    }

    /// The XML with the counts of each image, as far as its metadata can be read.
    fn xml(&self) -> WimXml {
        let sizes: Sha1Map<u64> = self.sizes().collect();
        let mut xml = WimXml::new();
        for (name, item) in &self.images {
            let stats = Metadata::parse(item.data.as_slice())
                .map(|metadata| metadata.stats(|hash| sizes.get(hash).copied()))
                .unwrap_or_default();
            let properties = [
                ("NAME", name.clone()),
                ("DIRCOUNT", stats.dir_count.to_string()),
                ("FILECOUNT", stats.file_count.to_string()),
                ("TOTALBYTES", stats.total_bytes.to_string()),
                ("HARDLINKBYTES", stats.hard_link_bytes.to_string()),
            ];
            let index = xml.add_image().expect("a test has few images");
            for (path, value) in properties {
                xml.set_property(index, path, &value).expect("plain names and values");
            }
        }
        xml
    }

    fn sizes(&self) -> impl Iterator<Item = (Sha1Hash, u64)> + '_ {
        let single = self.blobs.iter().map(|item| (sha1(&item.data), item.data.len() as u64));
        single.chain(self.solid.iter().flat_map(|solid| solid.blobs.iter().copied()))
    }

    /// How often the images refer to each blob.
    fn refcounts(&self) -> Sha1Map<u32> {
        let mut counts = Sha1Map::default();
        for (_, item) in &self.images {
            let Ok(metadata) = Metadata::parse(item.data.as_slice()) else { continue };
            let streams = metadata.ids().flat_map(|id| metadata.dentry(id).streams());
            streams.for_each(|stream| *counts.entry(stream.hash).or_default() += 1);
        }
        counts
    }
}

/// The file as far as it is written.
struct File<'w> {
    out: Vec<u8>,
    wim: &'w TinyWim,
}

impl File<'_> {
    /// Writes all resources and returns the blob table.
    fn contents(&mut self) -> Vec<u8> {
        let mut table = BlobTable::default();
        if self.wim.layout == Layout::Pipable {
            self.metadata(&mut table);
        }
        let refcounts = self.wim.refcounts();
        let refcount = |hash: &Sha1Hash| refcounts.get(hash).copied().unwrap_or(1);
        for item in &self.wim.blobs {
            let resource = self.resource(item, ResourceFlags::empty());
            let hash = sha1(&item.data);
            table.blobs.push(Blob {
                hash,
                size: item.data.len() as u64,
                refcount: refcount(&hash),
                part_number: 1,
                place: BlobPlace::Resource(resource),
            });
        }
        for solid in &self.wim.solid {
            let mut offset = 0;
            for &(hash, size) in &solid.blobs {
                let place = BlobPlace::Solid { resource: table.solid.len(), offset };
                let refcount = refcount(&hash);
                table.blobs.push(Blob { hash, size, refcount, part_number: 1, place });
                offset += size;
            }
            table.solid.push(self.solid(solid));
        }
        if self.wim.layout == Layout::Normal {
            self.metadata(&mut table);
        }
        table.to_bytes().expect("the table was just made")
    }

    fn metadata(&mut self, table: &mut BlobTable) {
        for (_, item) in &self.wim.images {
            let resource = self.resource(item, ResourceFlags::METADATA);
            table.metadata.push(MetadataEntry { resource, hash: sha1(&item.data) });
        }
    }

    fn resource(&mut self, item: &Item, flags: ResourceFlags) -> ResourceHeader {
        let chunk_size = self.wim.chunk_size;
        let raw: Vec<Vec<u8>>;
        let chunks = match &item.chunks {
            Chunks::Stored => return self.stored(&item.data, flags),
            Chunks::Raw => {
                raw = item.data.chunks(chunk_size as usize).map(<[u8]>::to_vec).collect();
                &raw
            }
            Chunks::Compressed(chunks) => chunks,
        };
        let size = item.data.len() as u64;
        assert_eq!(chunks.len() as u64, chunk_count(size, chunk_size), "one for each chunk");
        let flags = flags | ResourceFlags::COMPRESSED;
        self.blob_header(&item.data, flags);
        let offset = self.out.len() as u64;
        let sizes: Vec<u32> = chunks.iter().map(|chunk| chunk.len() as u32).collect();
        let table = write_chunk_table(&sizes, size).expect("a test's chunks are small");
        assert_eq!(table.len() as u64, ChunkTable::table_len(size, chunk_size));
        match self.wim.layout {
            Layout::Normal => {
                self.out.extend(table);
                chunks.iter().for_each(|chunk| self.out.extend(chunk));
            }
            Layout::Pipable => {
                for (chunk, size) in chunks.iter().zip(sizes) {
                    self.out.extend(size.to_le_bytes());
                    self.out.extend(chunk);
                }
                self.out.extend(table);
            }
        }
        let in_file = self.out.len() as u64 - offset;
        ResourceHeader { size: in_file, flags, offset, uncompressed_size: size }
    }

    fn solid(&mut self, solid: &Solid) -> SolidResource {
        let offset = self.out.len() as u64;
        self.out.extend(solid.header.to_bytes());
        for chunk in &solid.chunks {
            self.out.extend((chunk.len() as u32).to_le_bytes());
        }
        solid.chunks.iter().for_each(|chunk| self.out.extend(chunk));
        let size = self.out.len() as u64 - offset;
        let uncompressed_size = solid.header.uncompressed_size;
        let flags = ResourceFlags::SOLID;
        let resource = ResourceHeader { size, flags, offset, uncompressed_size };
        SolidResource { resource, header: solid.header }
    }

    fn table(&mut self, data: &[u8], flags: ResourceFlags) -> ResourceHeader {
        self.stored(data, flags)
    }

    fn stored(&mut self, data: &[u8], flags: ResourceFlags) -> ResourceHeader {
        self.blob_header(data, flags);
        let offset = self.out.len() as u64;
        self.out.extend(data);
        ResourceHeader::stored(offset, data.len() as u64, flags)
    }

    fn blob_header(&mut self, data: &[u8], flags: ResourceFlags) {
        if self.wim.layout == Layout::Pipable {
            let uncompressed_size = data.len() as u64;
            let header = BlobHeader { uncompressed_size, hash: sha1(data), flags };
            self.out.extend(header.to_bytes());
        }
    }

    fn integrity(&mut self, blob_table_end: u64, piece_size: u32) -> ResourceHeader {
        let pieces = covered_ranges(blob_table_end, piece_size);
        let hash =
            |piece: std::ops::Range<u64>| sha1(&self.out[piece.start as usize..piece.end as usize]);
        let table = IntegrityTable { chunk_size: piece_size, hashes: pieces.map(hash).collect() };
        let table = table.to_bytes().expect("a test has few pieces");
        self.table(&table, ResourceFlags::empty())
    }

    fn finish(mut self, header: &Header) -> Vec<u8> {
        let bytes = header.to_bytes();
        match self.wim.layout {
            Layout::Normal => self.out[..HEADER_LEN].copy_from_slice(&bytes),
            Layout::Pipable => {
                let zero = ResourceHeader::default();
                let first =
                    Header { blob_table: zero, xml: zero, integrity: zero, ..header.clone() };
                self.out[..HEADER_LEN].copy_from_slice(&first.to_bytes());
                self.out.extend(bytes);
            }
        }
        self.out
    }
}
