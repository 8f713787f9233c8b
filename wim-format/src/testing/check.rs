//! What must hold of any bytes at all: the bodies of fuzz targets and property tests.
//!
//! Each function parses its input; if that succeeds, it checks what must be true of everything
//! that parses, and that writing gives the same again. They panic when something is wrong.

use std::collections::HashMap;

use crate::blob_table::{BLOB_ENTRY_LEN, BlobPlace, BlobTable};
use crate::codec::{Codec, Cpu, Decoder, Encoder, Hints, Level, decode_plainly};
use crate::header::{HEADER_LEN, Header, Layout, Version};
use crate::hive::Hive;
use crate::integrity::IntegrityTable;
use crate::metadata::reparse::ReparsePoint;
use crate::metadata::{DentryId, Metadata};
use crate::name::{CaseSensitivity, Utf16NameBuf};
use crate::resource::{ChunkTable, ResourceHeader, SOLID_HEADER_LEN, SolidHeader};
use crate::xml::WimXml;
use crate::{FormatError, Sha1Hash};

/// Any bytes as a header.
pub fn header(input: &[u8]) {
    let Ok(header) = Header::parse(input) else { return };
    let written = header.to_bytes();
    assert_eq!(Header::parse(&written).as_ref(), Ok(&header));
    let unused = 0x94..HEADER_LEN;
    assert_eq!(written[..unused.start], input[..unused.start]);
    assert!(header.boot_image().is_none_or(|boot| (1..=header.image_count).contains(&boot)));
    let _ = header.codec();
    let len = input.len() as u64;
    let is_inside = |table: ResourceHeader| table.size == 0 || table.end() <= len;
    if header.check_file_len(len).is_ok() {
        assert!(is_inside(header.blob_table) && is_inside(header.xml));
    }
    assert_eq!(header.check_integrity_place(len).is_ok(), is_inside(header.integrity));
}

/// A byte of choices, a byte for the number of images, then any bytes as a blob table. The
/// headers of solid resources are read from the table itself.
pub fn blob_table(input: &[u8]) {
    let [choices, images, table @ ..] = input else { return };
    let mut header = plain_header();
    header.version = if choices & 1 == 0 { Version::Solid } else { Version::Normal };
    header.part_number = u16::from(choices >> 1 & 1) + 1;
    header.image_count = u32::from(*images);
    let solid_header = |resource: &ResourceHeader| {
        let offset = usize::try_from(resource.offset).unwrap_or(usize::MAX);
        SolidHeader::parse(table.get(offset..).unwrap_or_default())
    };
    let Ok(parsed) = BlobTable::parse::<FormatError>(table, &header, solid_header) else { return };
    let entries = table.len().div_ceil(BLOB_ENTRY_LEN);
    let kept = parsed.metadata.len() + parsed.blobs.len() + parsed.solid.len();
    assert_eq!(kept + parsed.ignored.len(), entries);
    assert!(parsed.metadata.len() <= usize::from(*images));
    let Ok(written) = parsed.to_bytes() else { return };
    let again = BlobTable::parse::<FormatError>(&written, &header, solid_header)
        .expect("what was read can be written and read again");
    assert_eq!(again.metadata, parsed.metadata);
    assert_eq!(by_hash(&again), by_hash(&parsed));
    assert!(again.ignored.is_empty());
    assert_eq!(again.to_bytes().as_ref(), Ok(&written));
}

/// Blobs without regard to their order.
fn by_hash(table: &BlobTable) -> HashMap<Sha1Hash, (u64, u32, ResourceHeader, u64)> {
    let place = |place: &BlobPlace| match *place {
        BlobPlace::Resource(resource) => (resource, 0),
        BlobPlace::Solid { resource, offset } => (table.solid[resource].resource, offset),
    };
    let entry = |blob: &crate::blob_table::Blob| {
        let (resource, offset) = place(&blob.place);
        (blob.hash, (blob.size, blob.refcount, resource, offset))
    };
    table.blobs.iter().map(entry).collect()
}

fn plain_header() -> Header {
    Header::parse(&super::TinyWim::default().build()).expect("a tiny WIM has a valid header")
}

/// Any bytes as an integrity table.
pub fn integrity(input: &[u8]) {
    let Ok(table) = IntegrityTable::parse(input) else { return };
    assert_eq!(table.to_bytes().as_deref(), Ok(input));
    let pieces = table.hashes.len() as u64;
    let end = HEADER_LEN as u64 + pieces * u64::from(table.chunk_size);
    let ranges: Vec<_> = table.ranges(end).expect("one hash for each piece").collect();
    assert_eq!(ranges.len(), table.hashes.len());
    assert!(ranges.windows(2).all(|pair| pair[0].0.end == pair[1].0.start));
    assert!(table.ranges(end + 1).is_err());
}

/// A resource header of 24 bytes, a byte of choices, then any bytes as its chunk table.
pub fn chunk_table(input: &[u8]) {
    let Some((&[choices, ref head @ ..], table)) = input.split_first_chunk::<25>() else { return };
    let resource = ResourceHeader::parse(head).expect("24 bytes are a resource header");
    if choices & 3 == 3 {
        solid_chunk_table(table, resource.size);
        return;
    }
    let layout = if choices & 1 == 0 { Layout::Normal } else { Layout::Pipable };
    let chunk_size = 1 << (choices >> 3);
    let parsed = ChunkTable::parse(table, &resource, chunk_size, layout);
    let Ok(range) = ChunkTable::table_range(&resource, chunk_size, layout) else {
        assert!(parsed.is_err());
        return;
    };
    assert!(range.end <= resource.size);
    let Ok(parsed) = parsed else { return };
    assert_eq!(range.end - range.start, table.len() as u64);
    let prefix = if layout == Layout::Pipable { 4 } else { 0 };
    let start = if layout == Layout::Pipable { 0 } else { range.end };
    chunks(&parsed, start, resource.size, prefix);
}

fn solid_chunk_table(input: &[u8], resource_size: u64) {
    let Ok(header) = SolidHeader::parse(input) else { return };
    assert_eq!(SolidHeader::parse(&header.to_bytes()), Ok(header));
    let table = &input[SOLID_HEADER_LEN..];
    let Ok(parsed) = ChunkTable::parse_solid(table, &header, resource_size) else { return };
    chunks(&parsed, SOLID_HEADER_LEN as u64 + table.len() as u64, resource_size, 0);
}

/// Chunks lie one behind the other between `start` and `end` and unpack to the promised size.
fn chunks(table: &ChunkTable<'_>, start: u64, end: u64, prefix: u64) {
    // A table of one chunk needs no bytes, so the number of chunks is bounded by the input.
    let spans: Result<Vec<_>, _> = table.iter().collect();
    assert!(table.get(table.len()).is_err());
    let Ok(spans) = spans else { return };
    let (mut at, mut position) = (start, 0);
    for (span, index) in spans.iter().zip(0..) {
        assert_eq!(span.offset, at + prefix);
        assert!(span.compressed >= 1 && span.compressed <= span.uncompressed);
        assert_eq!(table.chunk_of(position), (index, 0));
        at = span.offset + u64::from(span.compressed);
        position += u64::from(span.uncompressed);
    }
    assert!(at <= end);
    assert_eq!(position, table.uncompressed_size());
}

/// Any bytes as a metadata resource.
pub fn metadata(input: &[u8]) {
    let Ok(tree) = Metadata::parse(input) else { return };
    let security = tree.security();
    assert_eq!(security.iter().count(), security.len());
    let links = tree.hard_links();
    for id in tree.ids() {
        dentry(&tree, id);
        assert!(links.links(id).contains(&id) && links.links(id).len() == links.count(id));
    }
    let mut seen = 0;
    tree.walk(DentryId::ROOT, |step| {
        // To compare every path of a deep tree would take time quadratic in its depth.
        assert!(seen > 64 || step.path == tree.path(step.id));
        seen += 1;
    });
    assert_eq!(seen, tree.len());
    tree.stats(|hash| Some(u64::from(hash.0[0])));
    rewritten(&tree);
}

fn dentry(tree: &Metadata<&[u8]>, id: DentryId) {
    let dentry = tree.dentry(id);
    assert!(id == DentryId::ROOT || tree.parent(id) < id);
    let names: Vec<_> = tree.children(id).map(|child| tree.dentry(child).name()).collect();
    assert!(names.windows(2).all(|pair| pair[0].cmp_ntfs(pair[1]).is_lt()));
    for child in tree.children(id) {
        assert_eq!(tree.parent(child), id);
        assert_eq!(tree.depth(child), tree.depth(id) + 1);
        let name = tree.dentry(child).name();
        assert_eq!(tree.child(id, name, CaseSensitivity::Sensitive), Some(child));
        assert_eq!(tree.child(id, name, CaseSensitivity::Insensitive), Some(child));
    }
    let name = dentry.name();
    assert_eq!(Utf16NameBuf::from_wtf8(&name.to_wtf8()), Ok(name.to_owned()));
    assert_eq!(Utf16NameBuf::from_units(name.units()), name.to_owned());
    let _ = (dentry.short_name().to_string(), dentry.unix_data(), dentry.object_id());
    let _ = (dentry.extended_attributes().count(), dentry.tagged_items().count());
    assert!(dentry.streams().count() <= 1 + dentry.extra_streams().count().max(1));
    if let Some(tag) = dentry.reparse_tag() {
        let _ = ReparsePoint::parse(tag, name.as_bytes());
    }
}

/// Writing keeps the tree; writing what was written keeps every byte.
fn rewritten(tree: &Metadata<&[u8]>) {
    let written = tree.to_bytes();
    let again = Metadata::parse(written.as_slice()).expect("what was written can be read");
    assert_eq!(again.len(), tree.len());
    for id in tree.ids() {
        let (old, new) = (tree.dentry(id), again.dentry(id));
        assert_eq!(tree.parent(id), again.parent(id));
        assert_eq!((old.name(), old.short_name()), (new.name(), new.short_name()));
        assert!(old.streams().eq(new.streams()));
        assert!(old.tagged_items().eq(new.tagged_items()));
    }
    assert_eq!(again.to_bytes(), written);
}

/// Any bytes as the data of a symbolic link, a junction and a WOF file.
pub fn reparse(input: &[u8]) {
    use crate::metadata::reparse::{
        LinkKind, TAG_JUNCTION, TAG_SYMLINK, TAG_WOF, junction_data, symlink_data,
    };
    if let Ok(link @ ReparsePoint::Symlink { target, print, relative }) =
        ReparsePoint::parse(TAG_SYMLINK, input)
    {
        let kind = if relative { LinkKind::Relative } else { LinkKind::Absolute };
        if let Ok(data) = symlink_data(target, print, kind) {
            assert_eq!(ReparsePoint::parse(TAG_SYMLINK, &data), Ok(link));
        }
    }
    if let Ok(link @ ReparsePoint::Junction { target, print }) =
        ReparsePoint::parse(TAG_JUNCTION, input)
        && let Ok(data) = junction_data(target, print)
    {
        assert_eq!(ReparsePoint::parse(TAG_JUNCTION, &data), Ok(link));
    }
    let _ = ReparsePoint::parse(TAG_WOF, input);
}

/// Any bytes as the XML of a WIM; edits must leave the rest alone.
pub fn xml(input: &[u8]) {
    let Ok(mut xml) = WimXml::parse(input) else { return };
    assert_eq!(xml.to_bytes(), input);
    assert_eq!(xml.images().len() as u32, xml.image_count());
    let images = xml.image_count();
    if images == 0 {
        assert_eq!(xml.add_image(), Ok(1));
    } else if images < 65_535 {
        assert_eq!(xml.copy_image(&xml.clone(), 1), Ok(images + 1));
    }
    let last = xml.image_count();
    let first = xml.image(1);
    let name = "<&\">\u{10ffff}";
    xml.set_property(last, "NAME", name).expect("a valid edit");
    xml.set_property(last, "WINDOWS/LANGUAGES/LANGUAGE", "x").expect("a valid edit");
    xml.set_total_bytes(u64::MAX);
    let again = WimXml::parse(&xml.to_bytes()).expect("an edited document can be read");
    assert_eq!(again.image_count(), last);
    assert_eq!(again.property(last, "NAME").expect("a valid path").as_deref(), Some(name));
    assert_eq!(again.total_bytes(), Some(u64::MAX));
    if last > 1 {
        assert_eq!(again.image(1), first);
    }
    xml.remove_image(1).expect("there is an image");
    let again = WimXml::parse(&xml.to_bytes()).expect("an edited document can be read");
    assert_eq!(again.image_count(), last - 1);
}

/// A byte that picks one of `sizes` as the chunk size, three bytes (little endian) for the output's
/// size, then any bytes as a chunk of LZX or XPRESS. What comes out is compared with the plain
/// decoder, whatever instructions the fast one may use. A decoder that has just failed is used again
/// on purpose: state left behind by one chunk must not leak into the next.
pub fn chunk(codec: Codec, sizes: &[u32], input: &[u8]) {
    let [pick, a, b, c, src @ ..] = input else { return };
    let chunk_size = sizes[usize::from(*pick) % sizes.len()];
    let size = u32::from_le_bytes([*a, *b, *c, 0]) % (chunk_size + 1);
    let empty = || vec![0; size as usize];
    let mut expected = empty();
    let outcome = decode_plainly(codec, chunk_size, src, &mut expected);
    for cpu in Cpu::choices() {
        let mut decoder = Decoder::with_cpu(codec, chunk_size, cpu).expect("a legal chunk size");
        let (mut first, mut again, mut pair) = (empty(), empty(), (empty(), empty()));
        let alone = decoder.decode(src, &mut first);
        assert_eq!(outcome.is_ok(), alone.is_ok(), "plainly {outcome:?}, fast {alone:?}");
        assert_eq!(alone, decoder.decode(src, &mut again), "the second run differs");
        let both = decoder.decode_two((src, &mut pair.0), (src, &mut pair.1));
        assert_eq!(both, [alone; 2], "two chunks at once differ from one");
        if outcome.is_ok() {
            assert!(first == expected, "the plain decoder differs");
            assert!(first == again && first == pair.0 && first == pair.1, "the outputs differ");
        }
    }
}

/// A byte that picks a chunk size from `sizes` and a level, a byte that says where the second chunk
/// starts and how often both are repeated, then any bytes as two chunks: each comes back from what
/// it was encoded to, and a used encoder gives the same as a fresh one.
pub fn encoded_chunks(codec: Codec, sizes: &[u32], input: &[u8]) {
    let [pick, cut, bytes @ ..] = input else { return };
    let chunk_size = sizes[usize::from(*pick) % sizes.len()];
    let level = Level::ALL[usize::from(*pick) / sizes.len() % Level::ALL.len()];
    let encoder = || Encoder::new(codec, chunk_size, level).expect("a legal chunk size");
    let mut used = encoder();
    let (first, second) = bytes.split_at(bytes.len() * usize::from(cut & 15) / 15);
    for bytes in [first, second] {
        let mut chunk = bytes.repeat(1 + usize::from(cut >> 4));
        chunk.truncate(chunk_size as usize);
        let mut stream = vec![0; chunk.len()];
        let len = used.encode(&chunk, &mut stream);
        let mut again = vec![0xFF; chunk.len()];
        assert_eq!(encoder().encode(&chunk, &mut again), len, "a fresh encoder differs");
        let Some(len) = len else { continue };
        assert!(len < chunk.len(), "the chunk has not become smaller");
        assert!(stream[..len] == again[..len], "a fresh encoder differs");
        let mut decoded = vec![0; chunk.len()];
        let outcome = decode_plainly(codec, chunk_size, &stream[..len], &mut decoded);
        assert_eq!(outcome, Ok(()));
        assert!(decoded == chunk, "something else has come back");
        if codec != Codec::Xpress {
            continue;
        }
        let other = &first[..first.len().min(1 << 16)];
        let of = |chunk| hints(chunk, 1 << 16, Level::Usual);
        for hints in [of(&chunk), of(other), broken_hints(bytes)] {
            let Some(len) = used.encode_with_hints(&chunk, &hints, &mut stream) else { continue };
            decoded.fill(0);
            let outcome = decode_plainly(codec, chunk_size, &stream[..len], &mut decoded);
            assert_eq!(outcome, Ok(()));
            assert!(decoded == chunk, "something else has come back by hints");
        }
    }
}

/// The matches of a chunk in LZX, as an encoder of this level chooses them.
pub(crate) fn hints(chunk: &[u8], size: u32, level: Level) -> Hints {
    let mut encoder = Encoder::new(Codec::Lzx, size, level).expect("a legal chunk size");
    let mut stream = vec![0; chunk.len()];
    let Some(len) = encoder.encode(chunk, &mut stream) else { return Hints::default() };
    let (mut decoded, mut hints) = (vec![0; chunk.len()], Hints::default());
    let mut decoder = Decoder::new(Codec::Lzx, size).expect("a legal chunk size");
    // Beside another one, which is shorter.
    let zeros = [0; 2000];
    let mut short = [0; 2000];
    let short_len = encoder.encode(&zeros, &mut short).expect("zeros get smaller");
    let mut twin = [1; 2000];
    let chunks = [(&short[..short_len], &mut twin[..]), (&stream[..len], &mut decoded[..])];
    decoder.decode_many_with_hints(chunks, |number, outcome, decoded, found| {
        assert_eq!(outcome, Ok(()));
        if number == 1 {
            assert!(decoded == chunk);
            hints = found.clone();
        }
    });
    hints
}

/// What is found in any bytes until they turn out to be no LZX.
fn broken_hints(bytes: &[u8]) -> Hints {
    let (mut decoded, mut hints) = (vec![0; 1 << 16], Hints::default());
    let mut decoder = Decoder::new(Codec::Lzx, 1 << 16).expect("a legal chunk size");
    decoder.decode_many_with_hints([(bytes, &mut decoded[..])], |_, _, _, found| {
        hints = found.clone();
    });
    hints
}

/// Any bytes as a registry hive.
pub fn hive(input: &[u8]) {
    let Ok(hive) = Hive::parse(input) else { return };
    let Ok(root) = hive.root() else { return };
    // Keys may go round in circles, so a walk has to end by itself.
    let (mut open, mut seen) = (vec![root], 0);
    while let Some(key) = open.pop()
        && seen < 100
    {
        seen += 1;
        for name in ["", "ProductName", "x"] {
            if let Ok(Some(value)) = key.value(name) {
                assert!(value.data.len() <= input.len());
                let _ = (value.text(), value.number());
            }
        }
        let Ok(subkeys) = key.subkeys() else { continue };
        for subkey in subkeys.take(100).flatten() {
            let name = subkey.name().as_name().to_string();
            // There may be another of that name in front of it, or a broken one.
            assert!(!matches!(key.subkey(&name), Ok(None)) || name.contains('\u{fffd}'));
            open.push(subkey);
        }
    }
    let _ = hive.key(r"Microsoft\Windows NT\CurrentVersion");
}
