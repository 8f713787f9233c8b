//! Files that wimlib wrote, read field by field; see `tests/data/vectors/README.md`.

use std::collections::HashMap;
use std::path::Path;

use sha1::{Digest as _, Sha1};
use wim_format::blob_table::{Blob, BlobPlace, BlobTable, SolidResource};
use wim_format::header::{HEADER_LEN, Header, HeaderFlags, Layout, Version};
use wim_format::integrity::{DEFAULT_PIECE_SIZE, IntegrityTable};
use wim_format::metadata::reparse::{ReparsePoint, TAG_SYMLINK};
use wim_format::metadata::{DentryId, FileAttributes, ImageStats, Metadata, Stream, StreamKind};
use wim_format::name::{CaseSensitivity, Utf16NameBuf};
use wim_format::resource::{
    BLOB_HEADER_LEN, BlobHeader, ChunkTable, ResourceFlags, ResourceHeader, SOLID_HEADER_LEN,
    SolidHeader,
};
use wim_format::time::FileTime;
use wim_format::xml::WimXml;
use wim_format::{Codec, Decoder, FormatError, Sha1Hash};

/// A whole file and what its header and tables say.
struct Wim {
    bytes: Vec<u8>,
    header: Header,
    table: BlobTable,
    xml: WimXml,
}

impl Wim {
    fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/vectors");
        let bytes = std::fs::read(folder.join(name)).expect("a vector");
        let mut header = Header::parse(&bytes).expect("a valid header");
        if header.layout == Layout::Pipable {
            header = Header::parse(&bytes[bytes.len() - HEADER_LEN..]).expect("a final header");
        }
        header.check_file_len(bytes.len() as u64).expect("tables inside the file");
        let table: Result<_, FormatError> =
            BlobTable::parse(slice(&bytes, &header.blob_table), &header, |resource| {
                SolidHeader::parse(slice(&bytes, resource))
            });
        let table = table.expect("a valid blob table");
        let xml = WimXml::parse(slice(&bytes, &header.xml)).expect("valid XML");
        Self { bytes, header, table, xml }
    }

    fn at(&self, resource: &ResourceHeader) -> &[u8] {
        slice(&self.bytes, resource)
    }

    /// The uncompressed bytes of a non-solid resource.
    fn read(&self, resource: &ResourceHeader) -> Vec<u8> {
        let stored = self.at(resource);
        if !resource.is_compressed() {
            return stored.to_vec();
        }
        let (chunk_size, layout) = (self.header.chunk_size, self.header.layout);
        let range = ChunkTable::table_range(resource, chunk_size, layout).expect("a valid table");
        let table = &stored[range.start as usize..range.end as usize];
        let table = ChunkTable::parse(table, resource, chunk_size, layout).expect("a valid table");
        let codec = self.header.codec().expect("a known codec");
        decode(stored, &table, codec)
    }

    fn read_solid(&self, solid: &SolidResource) -> Vec<u8> {
        let stored = self.at(&solid.resource);
        let table = &stored[SOLID_HEADER_LEN..][..solid.header.table_len() as usize];
        let table = ChunkTable::parse_solid(table, &solid.header, solid.resource.size)
            .expect("a valid table");
        decode(stored, &table, solid.header.codec)
    }

    fn read_blob(&self, blob: &Blob) -> Vec<u8> {
        match blob.place {
            BlobPlace::Resource(resource) => self.read(&resource),
            BlobPlace::Solid { resource, offset } => {
                let all = self.read_solid(&self.table.solid[resource]);
                all[offset as usize..][..blob.size as usize].to_vec()
            }
        }
    }

    /// All blobs, each checked against its name.
    fn blobs(&self) -> HashMap<Sha1Hash, Vec<u8>> {
        let read = |blob: &Blob| (blob.hash, self.read_blob(blob));
        let blobs: HashMap<_, _> = self.table.blobs.iter().map(read).collect();
        blobs.iter().for_each(|(hash, bytes)| assert_eq!(*hash, sha1(bytes)));
        blobs
    }

    /// The metadata of the first image.
    fn metadata(&self) -> Vec<u8> {
        self.all_metadata().swap_remove(0)
    }

    /// The metadata of all images, each checked against its hash.
    fn all_metadata(&self) -> Vec<Vec<u8>> {
        let entries = self.table.metadata.iter();
        entries
            .map(|entry| {
                let bytes = self.read(&entry.resource);
                assert_eq!(entry.hash, sha1(&bytes));
                bytes
            })
            .collect()
    }
}

fn slice<'a>(bytes: &'a [u8], resource: &ResourceHeader) -> &'a [u8] {
    &bytes[resource.offset as usize..resource.end() as usize]
}

fn decode(stored: &[u8], table: &ChunkTable<'_>, codec: Option<Codec>) -> Vec<u8> {
    let mut out = vec![0; table.uncompressed_size() as usize];
    let codec = codec.expect("compressed resources have a codec");
    let mut decoder = Decoder::new(codec, table.chunk_size()).expect("a legal chunk size");
    for (span, chunk) in table.iter().zip(out.chunks_mut(table.chunk_size() as usize)) {
        let span = span.expect("a valid chunk");
        let src = &stored[span.offset as usize..][..span.compressed as usize];
        match span.is_raw() {
            true => chunk.copy_from_slice(src),
            false => decoder.decode(src, chunk).expect("a valid chunk"),
        }
    }
    out
}

fn sha1(bytes: &[u8]) -> Sha1Hash {
    Sha1Hash(Sha1::digest(bytes).into())
}

const HELLO: &str = "17d99aac9be75bc968839b7227d06d5d42e3fd5c";

fn hash(text: &str) -> Sha1Hash {
    text.parse().expect("40 digits")
}

#[test]
fn v1_header_and_tables() {
    let wim = Wim::open("v1.wim");
    let (metadata, stored) = (ResourceFlags::METADATA, ResourceHeader::stored);
    let expected = Header {
        layout: Layout::Normal,
        version: Version::Normal,
        flags: HeaderFlags::RP_FIX,
        chunk_size: 0,
        guid: wim.header.guid,
        part_number: 1,
        total_parts: 1,
        image_count: 1,
        blob_table: stored(0x3af, 150, metadata),
        xml: stored(0x445, 824, metadata),
        boot_metadata: stored(0xff, 688, metadata),
        integrity: stored(0x77d, 32, ResourceFlags::empty()),
        boot_index: 1,
    };
    assert_eq!(wim.header, expected);
    assert_eq!(wim.header.to_bytes(), wim.bytes[..HEADER_LEN]);
    assert_eq!((wim.header.codec(), wim.header.boot_image()), (Ok(None), Some(1)));

    assert_eq!(wim.table.metadata[0].resource, expected.boot_metadata);
    let blob = |text, size, refcount, offset| {
        let resource = stored(offset, size, ResourceFlags::empty());
        let place = BlobPlace::Resource(resource);
        Blob { hash: hash(text), size, refcount, part_number: 1, place }
    };
    let reparse = "92404143ce17f17f8a863eed8a65bdebed60a2ff";
    assert_eq!(wim.table.blobs, [blob(HELLO, 11, 2, 0xd0), blob(reparse, 36, 1, 0xdb)]);
    assert!(wim.table.ignored.is_empty() && wim.table.solid.is_empty());

    let blobs = wim.blobs();
    assert_eq!(blobs[&hash(HELLO)], b"hello, wim\n");
    let target = Utf16NameBuf::from("a.txt");
    let link =
        ReparsePoint::Symlink { target: target.as_name(), print: target.as_name(), relative: true };
    assert_eq!(ReparsePoint::parse(TAG_SYMLINK, &blobs[&hash(reparse)]), Ok(link));
}

#[test]
fn v1_metadata() {
    let wim = Wim::open("v1.wim");
    let bytes = wim.metadata();
    let tree = Metadata::parse(bytes.as_slice()).expect("valid metadata");
    assert!(tree.security().is_empty() && tree.warnings().is_empty());
    let find = |path| tree.lookup(path, CaseSensitivity::Sensitive).expect("a path of the image");
    let ids = ["/", "/a.txt", "/b.txt", "/c.lnk", "/d"].map(find);
    assert_eq!(ids, [0, 1, 2, 3, 4].map(DentryId));
    let [root, a, b, c, d] = ids.map(|id| tree.dentry(id));

    assert_eq!(root.attributes(), FileAttributes::DIRECTORY);
    assert_eq!((root.security_id(), root.subdir_offset()), (-1, 0x78));
    let time = FileTime(0x01d5_c119_4ad6_d707);
    assert_eq!([root.creation_time(), root.access_time(), root.write_time()], [time; 3]);
    for file in [a, b] {
        assert_eq!(file.attributes(), FileAttributes::NORMAL);
        assert_eq!((file.main_hash(), file.hard_link_group()), (hash(HELLO), 3));
        let streams = [Stream { kind: StreamKind::Data, hash: hash(HELLO) }];
        assert_eq!(file.streams().collect::<Vec<_>>(), streams);
        assert!(file.short_name().is_empty() && file.tagged_items().next().is_none());
    }
    assert_eq!(c.attributes(), FileAttributes::REPARSE_POINT);
    assert_eq!((c.main_hash(), c.reparse_tag()), (Sha1Hash::ZERO, Some(0xa000_000c)));
    assert_eq!(c.reparse_flags(), (0, 1));
    let streams: Vec<_> =
        c.extra_streams().map(|stream| (stream.name.len(), stream.hash)).collect();
    let reparse = hash("92404143ce17f17f8a863eed8a65bdebed60a2ff");
    assert_eq!(streams, [(0, reparse), (0, Sha1Hash::ZERO)]);
    assert_eq!((c.reparse_hash(), c.data_hash()), (Some(reparse), Sha1Hash::ZERO));
    assert_eq!((d.attributes(), d.subdir_offset()), (FileAttributes::DIRECTORY, 0x2a8));
    assert_eq!(tree.hard_links().links(ids[1]), [ids[1], ids[2]]);
}

#[test]
fn v1_xml_and_integrity() {
    let wim = Wim::open("v1.wim");
    let image = wim.xml.image(1).expect("one image");
    assert_eq!((image.name.as_deref(), image.description.as_deref()), (Some("NM"), Some("DESC")));
    let counts = (image.dir_count, image.file_count, image.total_bytes, image.hard_link_bytes);
    assert_eq!(counts, (Some(2), Some(3), Some(58), Some(11)));
    assert_eq!(image.creation_time, Some(FileTime(0x01dd_7a9b_c5fc_8bda)));
    assert_eq!(image.modification_time, Some(FileTime(0x01dd_7a9b_c5fc_90a8)));
    assert_eq!(wim.xml.total_bytes(), Some(1093));

    let table = IntegrityTable::parse(wim.at(&wim.header.integrity)).expect("a valid table");
    assert_eq!(table.chunk_size, DEFAULT_PIECE_SIZE);
    assert_eq!(table.hashes, [hash("0157f918ab0575189c6ed59422b5f54af0f8d1b1")]);
    let pieces = table.ranges(wim.header.blob_table.end()).expect("as many hashes as pieces");
    for (range, expected) in pieces {
        assert_eq!(range, 208..1093);
        assert_eq!(sha1(&wim.bytes[208..1093]), expected);
    }
}

/// The same three files through every codec and layout.
#[test]
fn compressed_vectors_hold_the_same_files() {
    let expected = Wim::open("v2lzx.wim").blobs();
    assert_eq!(expected.len(), 3);
    for (name, codec, chunk_size, version) in [
        ("v2xpress.wim", Codec::Xpress, 1 << 15, Version::Normal),
        ("v2lzx.wim", Codec::Lzx, 1 << 15, Version::Normal),
        ("v2lzms.wim", Codec::Lzms, 1 << 17, Version::Solid),
        ("v3.wim", Codec::Lzms, 1 << 17, Version::Solid),
        ("v4.wim", Codec::Lzx, 1 << 15, Version::Normal),
    ] {
        let wim = Wim::open(name);
        assert_eq!(wim.header.codec(), Ok(Some(codec)), "{name}");
        assert_eq!((wim.header.chunk_size, wim.header.version), (chunk_size, version), "{name}");
        assert_eq!(wim.blobs(), expected, "{name}");
        let tree = Metadata::parse(wim.metadata()).expect("valid metadata");
        let mut paths = Vec::new();
        tree.walk(DentryId::ROOT, |step| paths.push(step.path.to_vec()));
        assert_eq!(paths, [&b"/"[..], b"/a.txt", b"/big.txt", b"/rnd.bin"], "{name}");
    }
}

#[test]
fn v2lzx_chunks() {
    let wim = Wim::open("v2lzx.wim");
    let blob = wim.table.blobs.iter().find(|blob| blob.size == 70_000).expect("big.txt");
    let BlobPlace::Resource(resource) = blob.place else { panic!("not in a resource") };
    assert_eq!((resource.size, resource.flags), (346, ResourceFlags::COMPRESSED));
    let table = ChunkTable::parse(&wim.at(&resource)[..8], &resource, 1 << 15, Layout::Normal)
        .expect("a valid table");
    let sizes: Result<Vec<_>, _> = table.iter().map(|span| Ok(span?.compressed)).collect();
    assert_eq!(sizes, Ok::<_, FormatError>(vec![122, 122, 94]));
}

#[test]
fn v3_solid_resource() {
    let wim = Wim::open("v3.wim");
    let flags = ResourceFlags::SOLID;
    let resource = ResourceHeader { size: 3126, flags, offset: 208, uncompressed_size: 73_011 };
    let codec = Some(Codec::Lzms);
    let header = SolidHeader { uncompressed_size: 73_011, chunk_size: 1 << 26, codec };
    assert_eq!(wim.table.solid, [SolidResource { resource, header }]);
    let places: Vec<_> = wim.table.blobs.iter().map(|blob| (blob.size, blob.place)).collect();
    let solid = |offset| BlobPlace::Solid { resource: 0, offset };
    assert_eq!(places, [(3000, solid(0)), (11, solid(3000)), (70_000, solid(3011))]);
}

#[test]
fn v4_pipable_layout() {
    let wim = Wim::open("v4.wim");
    let first = Header::parse(&wim.bytes).expect("a valid header");
    assert!(first.blob_table.is_zero() && first.xml.is_zero());
    let hello = wim.table.blobs.iter().find(|blob| blob.size == 11).expect("a.txt");
    let BlobPlace::Resource(resource) = hello.place else { panic!("not in a resource") };
    assert_eq!((resource.size, resource.flags), (15, ResourceFlags::COMPRESSED));
    // Every item is preceded by its header; the leading XML has no TOTALBYTES.
    let before = &wim.bytes[resource.offset as usize - BLOB_HEADER_LEN..];
    let flags = ResourceFlags::COMPRESSED;
    let expected = BlobHeader { uncompressed_size: 11, hash: hash(HELLO), flags };
    assert_eq!(BlobHeader::parse(before), Ok(expected));
    let leading = BlobHeader::parse(&wim.bytes[HEADER_LEN..]).expect("a blob header");
    let xml = &wim.bytes[HEADER_LEN + BLOB_HEADER_LEN..][..leading.uncompressed_size as usize];
    let mut without_total = wim.xml.clone();
    without_total.remove_total_bytes();
    assert_eq!(without_total.to_bytes(), xml);
}

#[test]
fn v5_split_set() {
    let whole = Wim::open("v5.wim");
    let parts = ["v5.swm", "v52.swm"].map(Wim::open);
    let mut blobs = HashMap::new();
    for (part, number) in parts.iter().zip(1..) {
        assert_eq!((part.header.part_number, part.header.total_parts), (number, 2));
        assert!(part.header.flags.contains(HeaderFlags::SPANNED));
        assert_eq!(part.header.guid, parts[0].header.guid);
        assert_eq!(part.xml.to_bytes(), whole.xml.to_bytes());
        assert!(part.table.blobs.iter().all(|blob| blob.part_number == number));
        blobs.extend(part.blobs());
    }
    assert_eq!(blobs, whole.blobs());
    assert_eq!(parts[0].metadata(), whole.metadata());
    assert!(parts[1].table.metadata.is_empty());
}

/// What is read can be written again, byte for byte.
#[test]
fn every_structure_is_written_as_it_was() {
    let names = ["v1.wim", "v2xpress.wim", "v2lzx.wim", "v2lzms.wim", "v3.wim", "v4.wim"];
    let more = ["v5.wim", "v5.swm", "v52.swm", "ntfs.wim", "editions.wim"];
    for name in names.into_iter().chain(more) {
        let wim = Wim::open(name);
        let header = match wim.header.layout {
            Layout::Normal => &wim.bytes[..HEADER_LEN],
            Layout::Pipable => &wim.bytes[wim.bytes.len() - HEADER_LEN..],
        };
        assert_eq!(wim.header.to_bytes(), header, "{name}");
        let table = wim.table.to_bytes().expect("a writable table");
        assert_eq!(table, wim.at(&wim.header.blob_table), "{name}");
        assert_eq!(wim.xml.to_bytes(), wim.at(&wim.header.xml), "{name}");
        for (bytes, image) in wim.all_metadata().iter().zip(wim.xml.images()) {
            let tree = Metadata::parse(bytes.as_slice()).expect("valid metadata");
            assert!(tree.warnings().is_empty(), "{name}");
            assert_eq!(tree.to_bytes(), *bytes, "{name}");
            let sizes: HashMap<_, _> =
                wim.table.blobs.iter().map(|blob| (blob.hash, blob.size)).collect();
            let total_bytes = if wim.header.total_parts == 1 { image.total_bytes } else { None };
            let stats = tree.stats(|hash| sizes.get(hash).copied());
            let ImageStats { dir_count, file_count, .. } = stats;
            assert_eq!((Some(dir_count), Some(file_count)), (image.dir_count, image.file_count));
            if let Some(total_bytes) = total_bytes {
                let counted = (total_bytes, image.hard_link_bytes.expect("a number"));
                assert_eq!((stats.total_bytes, stats.hard_link_bytes), counted, "{name}");
            }
        }
    }
}

/// What an NTFS volume has beyond names, times and contents.
#[test]
fn ntfs_vector() {
    let wim = Wim::open("ntfs.wim");
    let bytes = wim.metadata();
    let tree = Metadata::parse(bytes.as_slice()).expect("valid metadata");
    let dentries = || tree.ids().map(|id| tree.dentry(id));
    for dentry in dentries() {
        let descriptor = tree.security().get(dentry.security_id()).expect("a descriptor");
        assert_eq!(descriptor[0], 1, "the revision of a security descriptor");
    }
    let junction = tree.lookup("/junction", CaseSensitivity::Sensitive).expect("a junction");
    let junction = tree.dentry(junction);
    let hash = junction.reparse_hash().expect("a reparse point");
    let data = &wim.blobs()[&hash];
    let tag = junction.reparse_tag().expect("a reparse point");
    assert!(matches!(ReparsePoint::parse(tag, data), Ok(ReparsePoint::Junction { .. })));
    assert!(dentries().any(|dentry| !dentry.short_name().is_empty()));
    assert!(dentries().any(|dentry| dentry.object_id().is_some()));
    let is_named = |stream: Stream<'_>| matches!(stream.kind, StreamKind::Named(_));
    assert!(dentries().any(|dentry| dentry.streams().any(is_named)));
    assert!(dentries().any(|dentry| dentry.hard_link_group() != 0));
}
