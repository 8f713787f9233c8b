use proptest::prelude::*;

use super::*;
use crate::testing::{TinyWim, check};

fn header() -> Header {
    Header::parse(&TinyWim::default().build()).unwrap()
}

/// The header with the 32-bit field at `offset` replaced.
fn with(offset: usize, value: u32) -> Result<Header, FormatError> {
    let mut bytes = header().to_bytes();
    bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    Header::parse(&bytes)
}

#[test]
fn wrong_fields_are_named() {
    assert_eq!(
        Header::parse(&[b'x'; HEADER_LEN]),
        Err(FormatError::NotWim { found: *b"xxxxxxxx" })
    );
    assert_eq!(with(8, 207), Err(FormatError::HeaderSize { found: 207 }));
    assert_eq!(with(12, 0x10e00), Err(FormatError::UnknownVersion { found: 0x10e00 }));
    assert_eq!(with(0x28, 0x0001_0000), Err(FormatError::PartNumber { part: 0, total: 1 }));
    assert_eq!(with(0x28, 0x0001_0002), Err(FormatError::PartNumber { part: 2, total: 1 }));
    assert_eq!(with(0x2c, 65_536), Err(FormatError::ImageCount { found: 65_536 }));
    for len in 0..HEADER_LEN {
        let cut = Header::parse(&header().to_bytes()[..len]);
        assert!(matches!(cut, Err(FormatError::Truncated { needed: 208, .. })), "{len}");
    }
}

#[test]
fn codecs_follow_the_flags() {
    let codec = |flags, chunk_size| {
        Header { flags: HeaderFlags::from_bits_retain(flags), chunk_size, ..header() }.codec()
    };
    assert_eq!(codec(0x6_0000, 1 << 15), Ok(None));
    assert_eq!(codec(0x2_0002, 1 << 15), Ok(Some(Codec::Xpress)));
    assert_eq!(codec(0x20_0002, 1 << 12), Ok(Some(Codec::Xpress)));
    assert_eq!(codec(0x8_0002, 1 << 17), Ok(Some(Codec::Lzms)));
    assert_eq!(codec(0xe_0002, 1 << 15), Ok(Some(Codec::Lzx)));
    assert_eq!(codec(0x1_0002, 1 << 15), Err(FormatError::UnknownCompression { flags: 0x1_0002 }));
    for bad in [0, 1 << 14, 3 << 14, 1 << 22] {
        let error = codec(0x4_0002, bad);
        assert!(matches!(error, Err(FormatError::ChunkSize { found, .. }) if found == bad));
    }
    for codec in [None, Some(Codec::Xpress), Some(Codec::Lzx), Some(Codec::Lzms)] {
        let flags = HeaderFlags::of_codec(codec);
        assert_eq!(Header { flags, chunk_size: 1 << 15, ..header() }.codec(), Ok(codec));
    }
}

#[test]
fn a_boot_index_beyond_the_images_is_none() {
    let boot = |boot_index| Header { image_count: 2, boot_index, ..header() }.boot_image();
    assert_eq!([boot(0), boot(1), boot(2), boot(3)], [None, Some(1), Some(2), None]);
}

#[test]
fn tables_must_be_inside_the_file() {
    let table = |offset, size| ResourceHeader { offset, size, ..ResourceHeader::default() };
    let xml = |xml| Header { xml, blob_table: table(208, 50), ..header() }.check_file_len(1000);
    assert_eq!(xml(table(900, 100)), Ok(()));
    assert_eq!(xml(table(0, 0)), Ok(()));
    for (offset, size) in [(901, 100), (u64::MAX, 1), (0, u64::MAX >> 8)] {
        let structure = Structure::Xml;
        let expected = FormatError::OutsideFile { structure, offset, size, file_len: 1000 };
        assert_eq!(xml(table(offset, size)), Err(expected));
    }
    let integrity = Header { integrity: table(901, 100), blob_table: table(208, 50), ..header() };
    assert_eq!(integrity.check_file_len(1000), Ok(()), "it can be read without that table");
    let (structure, file_len) = (Structure::IntegrityTable, 1000);
    let expected = FormatError::OutsideFile { structure, offset: 901, size: 100, file_len };
    assert_eq!(integrity.check_integrity_place(1000), Err(expected));
    assert_eq!(integrity.check_integrity_place(1001), Ok(()));
    let empty = Header { xml: table(0, 0), blob_table: table(0, 0), ..header() };
    assert_eq!(empty.check_file_len(1000), Err(FormatError::Incomplete));
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        check::header(&bytes);
    }

    #[test]
    fn any_changed_header(changes in proptest::collection::vec((0..HEADER_LEN, any::<u8>()), 0..9)) {
        let mut bytes = header().to_bytes();
        changes.into_iter().for_each(|(offset, value)| bytes[offset] = value);
        check::header(&bytes);
    }
}
