use proptest::prelude::*;

use super::*;
use crate::header::HeaderFlags;
use crate::resource::RESOURCE_HEADER_LEN;
use crate::testing::{Chunks, TinyWim, check};

const SOLID: ResourceFlags = ResourceFlags::SOLID;

fn header(version: Version) -> Header {
    let header = Header::parse(&TinyWim::default().build()).unwrap();
    Header { version, image_count: 2, flags: HeaderFlags::empty(), ..header }
}

fn hash(byte: u8) -> Sha1Hash {
    Sha1Hash([byte; 20])
}

fn entry(resource: ResourceHeader, part: u16, refcount: u32, hash: Sha1Hash) -> Vec<u8> {
    let fields: [&[u8]; 4] =
        [&resource.to_bytes(), &part.to_le_bytes(), &refcount.to_le_bytes(), &hash.0];
    fields.concat()
}

fn stored(offset: u64, size: u64) -> ResourceHeader {
    ResourceHeader::stored(offset, size, ResourceFlags::empty())
}

fn solid_resource(offset: u64) -> Vec<u8> {
    let uncompressed_size = SOLID_RESOURCE_MARK;
    let place = ResourceHeader { size: 50, flags: SOLID, offset, uncompressed_size };
    entry(place, 1, 1, Sha1Hash::ZERO)
}

fn solid_blob(offset: u64, size: u64, byte: u8) -> Vec<u8> {
    let place = ResourceHeader { size, flags: SOLID, offset, uncompressed_size: 0 };
    entry(place, 1, 1, hash(byte))
}

/// Every solid resource unpacks to 100 bytes.
fn hundred_bytes(_: &ResourceHeader) -> Result<SolidHeader, FormatError> {
    Ok(SolidHeader { uncompressed_size: 100, chunk_size: 1 << 15, codec: None })
}

fn parse(version: Version, entries: &[Vec<u8>]) -> Result<BlobTable, FormatError> {
    BlobTable::parse(&entries.concat(), &header(version), hundred_bytes)
}

fn reasons(table: &BlobTable) -> Vec<(usize, IgnoredReason)> {
    table.ignored.iter().map(|ignored| (ignored.entry, ignored.reason)).collect()
}

#[test]
fn entries_that_readers_pass_over() {
    let metadata = ResourceHeader { flags: ResourceFlags::METADATA, ..stored(300, 9) };
    let table = parse(
        Version::Normal,
        &[
            entry(stored(208, 10), 1, 1, Sha1Hash::ZERO),
            entry(stored(208, 0), 1, 1, hash(1)),
            entry(stored(208, 10), 2, 1, hash(2)),
            entry(stored(208, 10), 1, 5, hash(3)),
            entry(stored(218, 10), 1, 1, hash(3)),
            entry(metadata, 1, 0, hash(4)),
            entry(metadata, 1, 1, hash(5)),
            entry(metadata, 1, 1, hash(5)),
            entry(metadata, 1, 1, hash(6)),
        ],
    )
    .unwrap();
    let expected = [
        (0, IgnoredReason::ZeroHash),
        (1, IgnoredReason::Empty),
        (2, IgnoredReason::OtherPart),
        (4, IgnoredReason::Duplicate),
        (5, IgnoredReason::UnreferencedMetadata),
        (8, IgnoredReason::SurplusMetadata),
    ];
    assert_eq!(reasons(&table), expected);
    assert_eq!(table.metadata.len(), 2, "two images may have the same metadata");
    let place = BlobPlace::Resource(stored(208, 10));
    let blob = Blob { hash: hash(3), size: 10, refcount: 5, part_number: 1, place };
    assert_eq!(table.blobs, [blob]);
    let second_part = Header { part_number: 2, total_parts: 2, ..header(Version::Normal) };
    let bytes = entry(metadata, 2, 1, hash(1));
    let table = BlobTable::parse(&bytes, &second_part, hundred_bytes).unwrap();
    assert_eq!(reasons(&table), [(0, IgnoredReason::MetadataOutsideFirstPart)]);
}

#[test]
fn entries_that_cannot_be() {
    let metadata = ResourceHeader { flags: ResourceFlags::METADATA, ..stored(300, 9) };
    let solid_metadata = ResourceHeader { flags: metadata.flags | SOLID, ..metadata };
    let unequal = ResourceHeader { uncompressed_size: 11, ..stored(208, 10) };
    let good = entry(stored(208, 10), 1, 1, hash(1));
    for (bad, at) in [
        (entry(metadata, 1, 2, hash(2)), 76),
        (entry(solid_metadata, 1, 1, hash(2)), 50),
        (entry(unequal, 1, 1, hash(2)), 50),
    ] {
        let error = parse(Version::Solid, &[good.clone(), bad]).unwrap_err();
        assert!(matches!(error, FormatError::Invalid { offset, .. } if offset == at), "{error}");
    }
}

#[test]
fn an_entry_that_is_cut_is_ignored() {
    let good = entry(stored(208, 10), 1, 1, hash(1));
    for len in [1, 49] {
        let table = parse(Version::Solid, &[good.clone(), vec![7; len]]).unwrap();
        assert_eq!(table.blobs.len(), 1);
        assert_eq!(reasons(&table), [(1, IgnoredReason::Cut)]);
    }
}

#[test]
fn solid_blobs_find_their_resource() {
    let entries = [
        entry(stored(208, 10), 1, 1, hash(1)),
        solid_resource(300),
        solid_blob(0, 40, 2),
        solid_blob(40, 60, 3),
        solid_resource(350),
        solid_blob(100, 100, 4),
        // In the first resource, though listed behind the second.
        solid_blob(10, 5, 5),
        // Across both, behind both, and further than numbers go.
        solid_blob(99, 2, 6),
        solid_blob(200, 1, 7),
        solid_blob(u64::MAX, 1, 8),
        entry(stored(400, 10), 1, 1, hash(9)),
        // A new run counts from zero again.
        solid_resource(410),
        solid_blob(0, 100, 10),
    ];
    let table = parse(Version::Solid, &entries).unwrap();
    let place = |byte| {
        let blob = table.blobs.iter().find(|blob| blob.hash == hash(byte))?;
        Some((blob.size, blob.place))
    };
    let solid = |resource, offset| BlobPlace::Solid { resource, offset };
    assert_eq!(place(2), Some((40, solid(0, 0))));
    assert_eq!(place(3), Some((60, solid(0, 40))));
    assert_eq!(place(4), Some((100, solid(1, 0))));
    assert_eq!(place(5), Some((5, solid(0, 10))));
    assert_eq!(place(10), Some((100, solid(2, 0))));
    let outside = IgnoredReason::OutsideSolidResource;
    assert_eq!(reasons(&table), [(7, outside), (8, outside), (9, outside)]);
    assert_eq!(table.solid[1].resource.offset, 350);
    assert_eq!(table.solid[1].resource.uncompressed_size, 100);
    // Written again, the blobs are in order and count through the run.
    let written = table.to_bytes().unwrap();
    let offsets: Vec<_> = written
        .chunks(BLOB_ENTRY_LEN)
        .map(|entry| ResourceHeader::parse(&entry[..RESOURCE_HEADER_LEN]).unwrap().offset)
        .collect();
    assert_eq!(offsets, [208, 300, 0, 10, 40, 350, 100, 400, 410, 0]);
    let again = BlobTable::parse(&written, &header(Version::Solid), hundred_bytes).unwrap();
    assert_eq!(again.to_bytes().unwrap(), written);
}

/// A flag that means nothing is kept when the table is written again.
#[test]
fn unused_flags_are_kept() {
    let flags = SOLID | ResourceFlags::FREE | ResourceFlags::SPANNED;
    let uncompressed_size = SOLID_RESOURCE_MARK;
    let place = ResourceHeader { size: 50, flags, offset: 300, uncompressed_size };
    let entries = [entry(place, 1, 1, Sha1Hash::ZERO), solid_blob(0, 10, 1)];
    let table = parse(Version::Solid, &entries).unwrap();
    assert_eq!(table.to_bytes().unwrap(), entries.concat());
}

#[test]
fn solid_means_nothing_in_the_old_version() {
    let place = ResourceHeader { flags: SOLID, ..stored(208, 10) };
    let table = parse(Version::Normal, &[entry(place, 1, 1, hash(1))]).unwrap();
    assert_eq!(table.blobs[0].place, BlobPlace::Resource(place));
}

#[test]
fn errors_of_the_callback_come_through() {
    #[derive(Debug, PartialEq)]
    struct ReadFailed;
    impl From<FormatError> for ReadFailed {
        fn from(error: FormatError) -> Self {
            panic!("{error}")
        }
    }
    let result = BlobTable::parse(&solid_resource(1), &header(Version::Solid), |_| Err(ReadFailed));
    assert_eq!(result, Err(ReadFailed));
}

#[test]
fn a_blob_needs_its_solid_resource() {
    let place = BlobPlace::Solid { resource: 0, offset: 0 };
    let blob = Blob { hash: hash(1), size: 1, refcount: 1, part_number: 1, place };
    let table = BlobTable { blobs: vec![blob], ..BlobTable::default() };
    assert!(table.to_bytes().is_err());
}

#[test]
fn tiny_wims_have_the_tables_they_should() {
    let mut wim = TinyWim::new(None, 0);
    let first = wim.blob(b"first", Chunks::Stored);
    let solid = wim.solid(None, 4, &[b"second", b"third"], None);
    let file = wim.build();
    let header = Header::parse(&file).unwrap();
    let at = |resource: &ResourceHeader| &file[resource.offset as usize..resource.end() as usize];
    let table = BlobTable::parse(at(&header.blob_table), &header, |resource| {
        SolidHeader::parse(at(resource))
    })
    .unwrap();
    let hashes: Vec<_> = table.blobs.iter().map(|blob| blob.hash).collect();
    assert_eq!(hashes, [first, solid[0], solid[1]]);
    assert_eq!(table.blobs[2].place, BlobPlace::Solid { resource: 0, offset: 6 });
    assert_eq!(table.to_bytes().unwrap(), at(&header.blob_table));
}

/// Small numbers, so that blobs meet resources; now and then anything.
fn any_entry() -> impl Strategy<Value = Vec<u8>> {
    let offset = prop_oneof![4 => 0u64..300, 1 => any::<u64>()];
    let size = prop_oneof![4 => 0u64..120, 1 => 0u64..1 << 56];
    let flags = prop_oneof![Just(0u8), Just(0x10), Just(0x10), Just(2), Just(4), any::<u8>()];
    let uncompressed = prop_oneof![Just(None), Just(Some(SOLID_RESOURCE_MARK)), Just(Some(0))];
    (offset, size, flags, uncompressed, 1u16..3, 0u32..3, 0u8..9).prop_map(
        |(offset, size, flags, uncompressed, part, refcount, byte)| {
            let flags = ResourceFlags::from_bits_retain(flags);
            let uncompressed_size = uncompressed.unwrap_or(size);
            let resource = ResourceHeader { size, flags, offset, uncompressed_size };
            entry(resource, part, refcount, hash(byte))
        },
    )
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        check::blob_table(&bytes);
    }

    #[test]
    fn any_table(choices: u8, images: u8, entries in proptest::collection::vec(any_entry(), 0..20)) {
        check::blob_table(&[&[choices, images], entries.concat().as_slice()].concat());
    }
}
