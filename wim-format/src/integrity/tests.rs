use proptest::prelude::*;

use super::*;
use crate::testing::check;

#[test]
fn contradictions_are_refused() {
    let good = IntegrityTable { chunk_size: 100, hashes: vec![Sha1Hash([1; 20]); 2] };
    let good = good.to_bytes().unwrap();
    assert!(IntegrityTable::parse(&good).is_ok());
    for (offset, value) in [(0, 51u32), (4, 3), (4, u32::MAX), (8, 0)] {
        let mut bad = good.clone();
        bad[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        let error = IntegrityTable::parse(&bad).unwrap_err();
        let (found, at) = (u64::from(value), offset as u64);
        assert!(
            matches!(error, FormatError::Invalid { offset, found: f, .. } if offset == at && f == found)
        );
    }
    for len in 0..good.len() {
        assert!(IntegrityTable::parse(&good[..len]).is_err());
    }
}

#[test]
fn pieces_cover_what_they_should() {
    let pieces = |end, size| covered_ranges(end, size).collect::<Vec<_>>();
    assert_eq!(pieces(208, 10), []);
    assert_eq!(pieces(0, 10), []);
    assert_eq!(pieces(228, 10), [208..218, 218..228]);
    assert_eq!(pieces(229, 10), [208..218, 218..228, 228..229]);
    assert_eq!(pieces(229, 0), []);
    let table = IntegrityTable { chunk_size: 10, hashes: vec![Sha1Hash::ZERO; 2] };
    assert_eq!(table.ranges(228).unwrap().count(), 2);
    assert!(table.ranges(218).is_err() && table.ranges(229).is_err());
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        check::integrity(&bytes);
    }

    #[test]
    fn any_table(chunk_size in 1u32.., hashes: Vec<[u8; 20]>) {
        let hashes = hashes.into_iter().map(Sha1Hash).collect();
        let table = IntegrityTable { chunk_size, hashes };
        let bytes = table.to_bytes().unwrap();
        prop_assert_eq!(IntegrityTable::parse(&bytes), Ok(table));
        check::integrity(&bytes);
    }
}
