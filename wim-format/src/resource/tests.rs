use proptest::prelude::*;

use super::*;
use crate::Codec;
use crate::header::Layout;
use crate::testing::check;

fn resource(size: u64, uncompressed_size: u64) -> ResourceHeader {
    let flags = ResourceFlags::COMPRESSED;
    ResourceHeader { size, flags, offset: 208, uncompressed_size }
}

fn span(offset: u64, compressed: u32, uncompressed: u32) -> ChunkSpan {
    ChunkSpan { offset, compressed, uncompressed }
}

fn all(table: &ChunkTable<'_>) -> Result<Vec<ChunkSpan>, FormatError> {
    table.iter().collect()
}

/// The table of the vector v2lzx.wim: 70000 bytes in chunks of 32 KiB.
#[test]
fn a_table_as_wimlib_writes_it() {
    let resource = resource(346, 70_000);
    let bytes = [0x7a, 0, 0, 0, 0xf4, 0, 0, 0];
    assert_eq!(ChunkTable::table_range(&resource, 1 << 15, Layout::Normal), Ok(0..8));
    let table = ChunkTable::parse(&bytes, &resource, 1 << 15, Layout::Normal).unwrap();
    let expected = [span(8, 122, 32768), span(130, 122, 32768), span(252, 94, 4464)];
    assert_eq!(all(&table).unwrap(), expected);
    assert_eq!(write_chunk_table(&[122, 122, 94], 70_000).unwrap(), bytes);
    assert_eq!(table.chunk_of(32768), (1, 0));
    assert_eq!(table.chunk_of(69_999), (2, 4463));
}

#[test]
fn a_pipable_table_is_behind_its_chunks() {
    let resource = resource(346 + 12, 70_000);
    let bytes = [0x7a, 0, 0, 0, 0xf4, 0, 0, 0];
    assert_eq!(ChunkTable::table_range(&resource, 1 << 15, Layout::Pipable), Ok(350..358));
    let table = ChunkTable::parse(&bytes, &resource, 1 << 15, Layout::Pipable).unwrap();
    let expected = [span(4, 122, 32768), span(130, 122, 32768), span(256, 94, 4464)];
    assert_eq!(all(&table).unwrap(), expected);
    // The vector v4.wim: eleven bytes, stored raw in one chunk.
    let small = ResourceHeader { size: 15, uncompressed_size: 11, ..resource };
    let table = ChunkTable::parse(&[], &small, 1 << 15, Layout::Pipable).unwrap();
    assert_eq!(all(&table).unwrap(), [span(4, 11, 11)]);
    assert!(table.get(0).unwrap().is_raw());
}

/// Above 4 GiB the entries have eight bytes.
#[test]
fn entries_grow_with_the_resource() {
    assert_eq!(ChunkTable::table_len(0xffff_ffff, 1 << 30), 3 * 4);
    assert_eq!(ChunkTable::table_len(0x1_0000_0000, 1 << 30), 3 * 8);
    let sizes = [1 << 30, 1 << 30, 5, 1 << 30, 1];
    let bytes = write_chunk_table(&sizes, (4 << 30) + 1).unwrap();
    let resource = resource((3 << 30) + 6 + 32, (4 << 30) + 1);
    let table = ChunkTable::parse(&bytes, &resource, 1 << 30, Layout::Normal).unwrap();
    let found = all(&table).unwrap();
    assert_eq!(found.iter().map(|span| span.compressed).collect::<Vec<_>>(), sizes);
    assert_eq!(found[4], span((3 << 30) + 5 + 32, 1, 1));
    assert!(write_chunk_table(&[u32::MAX, 1, 1], 5).is_err());
}

#[test]
fn a_solid_table_holds_sizes() {
    let header =
        SolidHeader { uncompressed_size: 70_000, chunk_size: 1 << 15, codec: Some(Codec::Lzms) };
    assert_eq!(SolidHeader::parse(&header.to_bytes()), Ok(header));
    assert_eq!(header.table_len(), 12);
    let bytes: Vec<u8> = [100u32, 32768, 7].iter().flat_map(|size| size.to_le_bytes()).collect();
    let table = ChunkTable::parse_solid(&bytes, &header, 28 + 32875).unwrap();
    let expected = [span(28, 100, 32768), span(128, 32768, 32768), span(32896, 7, 4464)];
    assert_eq!(all(&table).unwrap(), expected);
    let cut = ChunkTable::parse_solid(&bytes, &header, 28 + 32874).unwrap();
    assert!(cut.get(1).is_ok() && cut.get(2).is_err());
    assert_eq!(all(&table.into_owned()).unwrap(), expected);
    for (offset, value) in [(8, 0), (8, 1 << 14), (8, 3 << 20), (12, 4)] {
        let mut bad = header.to_bytes();
        bad[offset..offset + 4].copy_from_slice(&u32::to_le_bytes(value));
        assert!(SolidHeader::parse(&bad).is_err(), "{offset} {value}");
    }
}

#[test]
fn lying_entries_are_refused() {
    let resource = resource(8 + 300, 70_000);
    let get = |first: u32, second: u32| {
        let bytes: Vec<u8> = [first, second].iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let table = ChunkTable::parse(&bytes, &resource, 1 << 15, Layout::Normal).unwrap();
        [0, 1, 2, 3].map(|index| table.get(index).is_ok())
    };
    assert_eq!(get(100, 200), [true, true, true, false]);
    assert_eq!(get(200, 100), [true, false, true, false], "entries go backwards");
    assert_eq!(get(0, 200), [false, true, true, false], "a chunk of no bytes");
    assert_eq!(get(100, 300), [true, true, false, false], "no bytes for the last chunk");
    assert_eq!(get(100, 301), [true, false, false, false], "beyond the resource");
    assert_eq!(get(100, u32::MAX), [true, false, false, false]);
    let larger = ResourceHeader { size: 8 + 70_001, ..resource };
    let bytes = [0x01, 0x80, 0, 0, 0x02, 0x80, 0, 0];
    let table = ChunkTable::parse(&bytes, &larger, 1 << 15, Layout::Normal).unwrap();
    assert!(table.get(0).is_err(), "larger than the chunk size");
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let huge = resource(1000, u64::MAX);
    for layout in [Layout::Normal, Layout::Pipable] {
        assert!(ChunkTable::table_range(&huge, 1 << 15, layout).is_err());
        assert!(ChunkTable::table_range(&huge, 0, layout).is_err());
        assert!(ChunkTable::parse(&[], &huge, 1 << 15, layout).is_err());
        let empty = ChunkTable::parse(&[], &resource(0, 0), 1 << 15, layout).unwrap();
        assert!(empty.is_empty() && empty.get(0).is_err());
    }
    let (uncompressed_size, codec) = (u64::MAX, None);
    let solid = SolidHeader { uncompressed_size, chunk_size: 1, codec };
    assert!(ChunkTable::parse_solid(&[0; 64], &solid, 1 << 40).is_err());
}

#[test]
fn blob_headers_have_a_magic_number() {
    let flags = ResourceFlags::METADATA;
    let header = BlobHeader { uncompressed_size: 7, hash: Sha1Hash([9; 20]), flags };
    let mut bytes = header.to_bytes();
    assert_eq!(bytes[..8], [0xd8, 0xb9, 0x3d, 0x44, 0xa2, 0x9b, 0x9b, 0x2b]);
    assert_eq!(BlobHeader::parse(&bytes), Ok(header));
    assert!(BlobHeader::parse(&bytes[..39]).is_err());
    bytes[0] ^= 1;
    assert!(BlobHeader::parse(&bytes).is_err());
}

proptest! {
    #[test]
    fn any_resource_header(bytes: [u8; 24]) {
        let header = ResourceHeader::parse(&bytes).unwrap();
        prop_assert_eq!(header.to_bytes(), bytes);
        prop_assert!(ResourceHeader::parse(&bytes[..23]).is_err());
    }

    #[test]
    fn any_bytes_as_chunk_table(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check::chunk_table(&bytes);
    }

    /// Plausible sizes, so that more than the first check is reached.
    #[test]
    fn any_chunk_table(
        choices: u8,
        size in 0u64..400,
        uncompressed_size in 0u64..200_000,
        table in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let header = resource(size, uncompressed_size).to_bytes();
        check::chunk_table(&[&[choices], header.as_slice(), &table].concat());
    }

    /// What is written is read again.
    #[test]
    fn written_tables(sizes in proptest::collection::vec(1u32..=4096, 1..40), cut in 0u64..4096) {
        let last = *sizes.last().unwrap();
        let uncompressed_size = sizes.len() as u64 * 4096 - cut.min(u64::from(4096 - last));
        let bytes = write_chunk_table(&sizes, uncompressed_size).unwrap();
        let sum: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
        for (layout, prefix) in [(Layout::Normal, 0), (Layout::Pipable, 4)] {
            let size = bytes.len() as u64 + sum + prefix * sizes.len() as u64;
            let resource = resource(size, uncompressed_size);
            let table = ChunkTable::parse(&bytes, &resource, 4096, layout).unwrap();
            let found: Vec<_> = all(&table).unwrap().iter().map(|span| span.compressed).collect();
            prop_assert_eq!(&found, &sizes);
        }
    }
}
