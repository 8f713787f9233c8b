//! Archives cut short at every length and with every byte changed.

use std::thread;

use wim_format::header::Header;

use crate::{is_sound, vector};

/// One of each codec and layout; all under 6 kB.
const VECTORS: [&str; 7] =
    ["v1.wim", "v2xpress.wim", "v2lzx.wim", "v2lzms.wim", "v3.wim", "v4.wim", "ntfs.wim"];

/// Runs `test` on every vector, all at once.
fn on_every_vector(test: impl Fn(&str, &[u8]) + Sync) {
    thread::scope(|scope| {
        for name in VECTORS {
            let test = &test;
            scope.spawn(move || test(name, &vector(name)));
        }
    });
}

#[test]
fn whole_archives_are_sound() {
    on_every_vector(|name, whole| assert!(is_sound(whole), "{name}"));
}

/// The XML is at the end of every archive, an integrity table behind it: no cut leaves it whole.
#[test]
fn no_truncated_archive_is_sound() {
    on_every_vector(|name, whole| {
        for len in 0..whole.len() {
            assert!(!is_sound(&whole[..len]), "{name} cut to {len} of {} bytes", whole.len());
        }
    });
}

#[test]
fn every_changed_byte_is_survived() {
    on_every_vector(|_, whole| {
        let mut bytes = whole.to_vec();
        for at in 0..whole.len() {
            for mask in [0x01, 0x80] {
                bytes[at] ^= mask;
                is_sound(&bytes);
                bytes[at] ^= mask;
            }
        }
    });
}

/// An integrity table covers everything between the header and the XML.
#[test]
fn every_changed_byte_under_an_integrity_table_is_found() {
    let whole = vector("v1.wim");
    let header = Header::parse(&whole).expect("a valid header");
    assert!(header.integrity.size > 0, "this vector has an integrity table");
    let mut bytes = whole.clone();
    for at in 208..header.blob_table.end() as usize {
        bytes[at] ^= 0x10;
        assert!(!is_sound(&bytes), "byte {at}");
        bytes[at] ^= 0x10;
    }
}

/// Sizes, offsets and counts that no file can keep, at every place in the header and the blob table.
#[test]
fn invented_numbers_are_survived() {
    let numbers: [u64; 4] = [u64::MAX, 1 << 62, 1 << 40, 0x7fff_ffff];
    on_every_vector(|_, whole| {
        let header = Header::parse(whole).expect("a valid header");
        let table = header.blob_table.offset as usize..header.blob_table.end() as usize;
        for at in (8..208).chain(table) {
            for number in numbers {
                for width in [2, 4, 7, 8] {
                    let mut bytes = whole.to_vec();
                    let Some(place) = bytes.get_mut(at..at + width) else { continue };
                    place.copy_from_slice(&number.to_le_bytes()[..width]);
                    is_sound(&bytes);
                }
            }
        }
    });
}
