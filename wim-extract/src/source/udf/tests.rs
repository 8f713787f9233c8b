//! A maker of small images, and what the reader does with sound and broken ones.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::{tag::crc, *};
use crate::source::MemorySource;

const BLOCK: usize = 2048;
/// First sector of the partition in images made here.
const PARTITION: u32 = 8;

/// How a node of [`Image`] describes its data.
#[derive(Clone, Copy)]
enum Describe {
    Short,
    Long,
    Embedded,
    /// Short descriptors, each in a block of its own.
    Continued,
}

/// An image in the making: blocks of the partition, the volume structures added at the end.
struct Image {
    blocks: Vec<[u8; BLOCK]>,
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

fn put32(block: &mut [u8], at: usize, value: u32) {
    put(block, at, &value.to_le_bytes());
}

/// Writes the tag: identifier, version 2, checksum, CRC of `covered` bytes, location.
fn seal(block: &mut [u8], id: u16, location: u32, covered: usize) {
    put(block, 0, &id.to_le_bytes());
    put(block, 2, &2u16.to_le_bytes());
    let crc = crc(&block[16..16 + covered]);
    put(block, 8, &crc.to_le_bytes());
    put(block, 10, &(covered as u16).to_le_bytes());
    put32(block, 12, location);
    block[4] = 0;
    block[4] = block[..16].iter().fold(0, |sum, &byte| sum.wrapping_add(byte));
}

impl Image {
    fn new() -> Image {
        // Block 0 is the file set descriptor.
        Image { blocks: vec![[0; BLOCK]] }
    }

    fn add(&mut self, block: [u8; BLOCK]) -> u32 {
        self.blocks.push(block);
        self.blocks.len() as u32 - 1
    }

    fn add_data(&mut self, data: &[u8]) -> Vec<(u32, u32)> {
        let mut extents = Vec::new();
        for piece in data.chunks(BLOCK) {
            let mut block = [0; BLOCK];
            put(&mut block, 0, piece);
            extents.push((piece.len() as u32, self.add(block)));
        }
        extents
    }

    /// Adds a file entry whose data is `extents` (length with type bits, block); gives its block.
    fn entry(&mut self, kind: u8, size: u64, extents: &[(u32, u32)], describe: Describe) -> u32 {
        let mut block = [0; BLOCK];
        put(&mut block, 20, &4u16.to_le_bytes());
        block[27] = kind;
        put(&mut block, 56, &size.to_le_bytes());
        put(&mut block, 84, &[0, 0x10, 0xE8, 7, 2, 29, 12, 34, 56, 0, 0, 0]);
        let mut descriptors = Vec::new();
        let flags = match describe {
            Describe::Short | Describe::Embedded => {
                extents.iter().for_each(|&(len, at)| descriptors.extend(short(len, at)));
                0
            }
            Describe::Long => {
                for &(len, at) in extents {
                    descriptors.extend(short(len, at));
                    descriptors.extend([0; 8]);
                }
                1
            }
            Describe::Continued => {
                descriptors = self.continued(extents);
                0
            }
        };
        block[34] = flags;
        put32(&mut block, 172, descriptors.len() as u32);
        put(&mut block, 176, &descriptors);
        let location = self.blocks.len() as u32;
        seal(&mut block, tag::id::FILE_ENTRY, location, BLOCK - 16);
        self.add(block)
    }

    /// Puts each extent into an allocation extent descriptor of its own, chained; gives what leads
    /// to the first.
    fn continued(&mut self, extents: &[(u32, u32)]) -> Vec<u8> {
        let mut next = Vec::new();
        for &(len, at) in extents.iter().rev() {
            let mut block = [0; BLOCK];
            let mut descriptors = short(len, at).to_vec();
            descriptors.extend(next);
            put32(&mut block, 20, descriptors.len() as u32);
            put(&mut block, 24, &descriptors);
            let location = self.blocks.len() as u32;
            seal(&mut block, tag::id::ALLOCATION_EXTENT, location, 8 + descriptors.len());
            let location = self.add(block);
            next = short(3 << 30 | BLOCK as u32, location).to_vec();
        }
        next
    }

    fn file(&mut self, data: &[u8], describe: Describe) -> u32 {
        if let Describe::Embedded = describe {
            let mut block = [0; BLOCK];
            put(&mut block, 20, &4u16.to_le_bytes());
            block[27] = 5;
            block[34] = 3;
            put(&mut block, 56, &(data.len() as u64).to_le_bytes());
            put32(&mut block, 168, 8);
            put32(&mut block, 172, data.len() as u32);
            put(&mut block, 184, data);
            seal(&mut block, tag::id::FILE_ENTRY, self.blocks.len() as u32, BLOCK - 16);
            return self.add(block);
        }
        let extents = self.add_data(data);
        self.entry(5, data.len() as u64, &extents, describe)
    }

    /// A directory of (name, block of the file entry, whether that is a directory).
    fn directory(&mut self, children: &[(&str, u32, bool)]) -> u32 {
        let mut data = identifier(8 | 2, b"", 0);
        for &(name, at, is_directory) in children {
            data.extend(identifier(u8::from(is_directory) * 2, &encode(name), at));
        }
        let extents = self.add_data(&data);
        self.entry(4, data.len() as u64, &extents, Describe::Short)
    }

    /// The image, with its root directory at block `root`.
    fn finish(mut self, root: u32) -> Vec<u8> {
        put32(&mut self.blocks[0], 400, BLOCK as u32);
        put32(&mut self.blocks[0], 404, root);
        seal(&mut self.blocks[0], tag::id::FILE_SET, 0, 496);
        let mut sectors = vec![[0; BLOCK]; PARTITION as usize];
        let mut partition = [0; BLOCK];
        put32(&mut partition, 188, PARTITION);
        put32(&mut partition, 192, self.blocks.len() as u32);
        seal(&mut partition, tag::id::PARTITION, 1, 496);
        let mut logical = [0; BLOCK];
        put(&mut logical, 84, b"\x08MEDIA");
        logical[84 + 127] = 6;
        put32(&mut logical, 212, BLOCK as u32);
        put32(&mut logical, 248, BLOCK as u32);
        put32(&mut logical, 264, 6);
        put32(&mut logical, 268, 1);
        put(&mut logical, 440, &[1, 6]);
        seal(&mut logical, tag::id::LOGICAL_VOLUME, 2, 430);
        let mut end = [0; BLOCK];
        seal(&mut end, tag::id::TERMINATING, 3, 496);
        (sectors[1], sectors[2], sectors[3]) = (partition, logical, end);
        sectors.extend(self.blocks);
        let mut anchor = [0; BLOCK];
        put32(&mut anchor, 16, 3 * BLOCK as u32);
        put32(&mut anchor, 20, 1);
        seal(&mut anchor, tag::id::ANCHOR, sectors.len() as u32, 496);
        sectors.push(anchor);
        sectors.concat()
    }
}

fn short(len: u32, at: u32) -> [u8; 8] {
    (u64::from(at) << 32 | u64::from(len)).to_le_bytes()
}

fn encode(name: &str) -> Vec<u8> {
    if name.chars().all(|c| u32::from(c) < 256) {
        return std::iter::once(8).chain(name.chars().map(|c| c as u8)).collect();
    }
    std::iter::once(16).chain(name.encode_utf16().flat_map(u16::to_be_bytes)).collect()
}

/// A file identifier descriptor, with four bytes of implementation use.
fn identifier(characteristics: u8, name: &[u8], at: u32) -> Vec<u8> {
    let mut fid = vec![0; (38 + 4 + name.len()).next_multiple_of(4)];
    fid[18] = characteristics;
    fid[19] = name.len() as u8;
    put32(&mut fid, 20, BLOCK as u32);
    put32(&mut fid, 24, at);
    fid[36] = 4;
    put(&mut fid, 42, name);
    let covered = fid.len() - 16;
    seal(&mut fid, tag::id::FILE_IDENTIFIER, 0, covered);
    fid
}

fn content(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(31) ^ (i >> 8) as u8 ^ seed).collect()
}

/// An image with a file of every kind of allocation.
fn sample() -> Vec<u8> {
    let mut image = Image::new();
    let install = image.file(&content(5000, 1), Describe::Short);
    let boot = image.file(&content(4096, 2), Describe::Long);
    let small = image.file(b"embedded", Describe::Embedded);
    let chained = image.file(&content(9000, 3), Describe::Continued);
    let empty = image.file(b"", Describe::Short);
    let hole = image.add_data(b"begin").into_iter().next().unwrap();
    let sparse = [(2048, hole.1), (2 << 30 | 4096, 0), (1 << 30 | 100, 0)];
    let sparse = image.entry(5, 2048 + 4096 + 100, &sparse, Describe::Short);
    let sources = image.directory(&[("Install.WIM", install, false), ("boot.wim", boot, false)]);
    let deep = image.directory(&[("日本語.txt", small, false), ("chained", chained, false)]);
    let root = image.directory(&[
        ("sources", sources, true),
        ("café", deep, true),
        ("empty", empty, false),
        ("sparse", sparse, false),
    ]);
    image.finish(root)
}

fn open(image: Vec<u8>) -> Result<Iso, SourceError> {
    Iso::from_source(Arc::new(MemorySource::new(image, "test.iso")))
}

fn read(iso: &Iso, path: &str) -> Bytes {
    let source = iso.source(&iso.find(path).unwrap().unwrap()).unwrap();
    source.bytes(0, source.len() as usize).unwrap()
}

/// Opens, lists and reads all of an image, as far as it can be.
fn exercise(image: Vec<u8>) {
    let size = image.len() as u64;
    let Ok(iso) = open(image) else { return };
    let _ = iso.find("sources/install.wim");
    for entry in iso.entries().unwrap_or_default() {
        if let Ok(source) = iso.source(&entry) {
            assert_eq!(source.len(), entry.size);
            let _ = source.bytes(0, source.len().min(size) as usize);
        }
    }
}

#[test]
fn every_kind_of_allocation_is_read() {
    let iso = open(sample()).unwrap();
    assert_eq!(iso.label(), "MEDIA");
    assert_eq!(read(&iso, "sources/install.wim"), content(5000, 1));
    assert_eq!(read(&iso, "\\SOURCES\\BOOT.WIM"), content(4096, 2));
    assert_eq!(read(&iso, "CAFÉ/日本語.TXT"), &b"embedded"[..]);
    assert_eq!(read(&iso, "café/chained"), content(9000, 3));
    assert_eq!(read(&iso, "empty"), &b""[..]);
    let sparse = read(&iso, "sparse");
    assert_eq!((&sparse[..5], sparse.len()), (&b"begin"[..], 6244));
    assert!(sparse[5..].iter().all(|&byte| byte == 0));
    assert!(iso.find("sources/none").unwrap().is_none());
    assert!(iso.find("empty/none").unwrap().is_none());
}

#[test]
fn the_listing_has_everything_in_order() {
    let entries = open(sample()).unwrap().entries().unwrap();
    let listed: Vec<_> = entries.iter().map(|e| (e.path.as_str(), e.kind, e.size)).collect();
    let (directory, file) = (EntryKind::Directory, EntryKind::File);
    let sizes = |name| entries.iter().find(|e| e.path == name).unwrap().size;
    assert_eq!(
        listed,
        [
            ("sources", directory, sizes("sources")),
            ("café", directory, sizes("café")),
            ("empty", file, 0),
            ("sparse", file, 6244),
            ("sources/Install.WIM", file, 5000),
            ("sources/boot.wim", file, 4096),
            ("café/日本語.txt", file, 8),
            ("café/chained", file, 9000),
        ]
    );
    let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_709_210_096);
    assert_eq!(entries[0].modified, Some(time));
}

#[test]
fn a_file_in_many_neighbouring_extents_is_one_slice_of_the_image() {
    let image = Bytes::from(sample());
    let iso = Iso::from_source(Arc::new(MemorySource::new(image.clone(), "test.iso"))).unwrap();
    let source = iso.source(&iso.find("sources/install.wim").unwrap().unwrap()).unwrap();
    let bytes = source.bytes(100, 4800).unwrap();
    assert!(image.as_ptr_range().contains(&bytes.as_ptr()));
}

#[test]
fn the_reserve_sequence_is_used_when_the_main_one_is_damaged() {
    let mut image = sample();
    // The reserve is a copy at sector 4 to 6, which names its own place.
    let sectors: Vec<_> = (1..4).map(|s| image[s * BLOCK..(s + 1) * BLOCK].to_vec()).collect();
    for (sector, (mut copy, id)) in (4u32..).zip(sectors.into_iter().zip([5, 6, 8])) {
        seal(&mut copy, id, sector, 430);
        put(&mut image, sector as usize * BLOCK, &copy);
    }
    let anchor = image.len() - BLOCK;
    put32(&mut image[anchor..], 24, 3 * BLOCK as u32);
    put32(&mut image[anchor..], 28, 4);
    seal(&mut image[anchor..], 2, (anchor / BLOCK) as u32, 496);
    image[BLOCK + 100] ^= 1;
    assert_eq!(read(&open(image).unwrap(), "café/日本語.txt"), &b"embedded"[..]);
}

#[test]
fn circles_and_lies_are_errors() {
    // A directory that contains itself.
    let mut image = Image::new();
    let own = image.blocks.len() as u32 + 1;
    let root = image.directory(&[("again", own, true)]);
    assert_eq!(root, own);
    let error = open(image.finish(root)).unwrap().entries().unwrap_err();
    assert!(error.to_string().contains("two places"), "{error}");

    // Allocation descriptors that lead to themselves.
    let mut image = Image::new();
    let mut block = [0; BLOCK];
    put32(&mut block, 20, 8);
    put(&mut block, 24, &short(3 << 30 | 2048, 1));
    seal(&mut block, tag::id::ALLOCATION_EXTENT, 1, 16);
    let chain = image.add(block);
    let file = image.entry(5, 100, &[(3 << 30 | 2048, chain)], Describe::Short);
    let root = image.directory(&[("file", file, false)]);
    let iso = open(image.finish(root)).unwrap();
    let error = iso.source(&iso.find("file").unwrap().unwrap()).unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");

    // A file longer than its extents, and one whose extent is outside the image.
    for (size, extent, text) in [(101, 100, "longer"), (1 << 20, 1 << 20, "ends at")] {
        let mut image = Image::new();
        let file = image.entry(5, size, &[(extent, 0)], Describe::Short);
        let root = image.directory(&[("file", file, false)]);
        let iso = open(image.finish(root)).unwrap();
        let error = iso.source(&iso.find("file").unwrap().unwrap()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }

    // A name twice, of which a path would find only the first.
    let mut image = Image::new();
    let file = image.file(b"x", Describe::Short);
    let inner = image.directory(&[("inner", file, false)]);
    let root = image.directory(&[("same", file, false), ("same", inner, true)]);
    let error = open(image.finish(root)).unwrap().entries().unwrap_err();
    assert!(error.to_string().contains("same name"), "{error}");

    // A name that leads out of the target.
    let mut image = Image::new();
    let file = image.file(b"x", Describe::Short);
    let root = image.directory(&[("..", file, false)]);
    assert!(open(image.finish(root)).unwrap().entries().is_err());
}

#[test]
fn a_huge_directory_of_holes_allocates_nothing() {
    let mut image = Image::new();
    let holes = vec![(2 << 30 | 0x3FFF_F800, 0); 200];
    let size = 200 * 0x3FFF_F800;
    let root = image.entry(4, size, &holes, Describe::Short);
    let error = open(image.finish(root)).unwrap().entries().unwrap_err();
    assert!(error.to_string().contains("bytes of directories"), "{error}");
}

#[test]
fn what_is_no_udf_is_told() {
    for image in [vec![], vec![0; 100_000], b"MSWIM\0\0\0".to_vec()] {
        let error = open(image).unwrap_err();
        assert!(error.to_string().contains("not an ISO image"), "{error}");
    }
}

#[test]
fn every_truncation_is_survived() {
    let image = sample();
    for len in (0..image.len()).step_by(512) {
        exercise(image[..len].to_vec());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Bytes are overwritten and the tags sealed again, so that the lies reach the parsers.
    #[test]
    fn damaged_images_never_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        sealed: bool,
    ) {
        let mut image = sample();
        for (place, value) in damage {
            // Only the structures matter, and most bytes of the image are padding.
            let place = place.index(image.len());
            image[place / BLOCK * BLOCK + place % BLOCK % 480] = value;
        }
        if sealed {
            for (sector, block) in image.chunks_exact_mut(BLOCK).enumerate() {
                let id = u16::from_le_bytes([block[0], block[1]]);
                let location = match id {
                    0 => continue,
                    256.. => (sector as u32).wrapping_sub(PARTITION),
                    _ => sector as u32,
                };
                let covered = usize::from(u16::from_le_bytes([block[10], block[11]]));
                seal(block, id, location, covered.min(BLOCK - 16));
            }
        }
        exercise(image);
    }

    #[test]
    fn any_bytes_never_panic(image in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        exercise(image);
    }
}
