use std::io::{Cursor, Write};

use wim_extract::Cancel;
use wim_extract::source::MemorySource;

use super::*;
use crate::progress::Silent;

/// A cabinet that the `cab` crate writes; a folder for each of `folders`.
pub(in crate::service) fn written(
    codec: cab::CompressionType,
    folders: &[&[(&str, &[u8])]],
) -> Vec<u8> {
    let mut builder = cab::CabinetBuilder::new();
    for files in folders {
        let folder = builder.add_folder(codec);
        for (name, _) in *files {
            folder.add_file(*name);
        }
    }
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    let mut data = folders.iter().flat_map(|files| files.iter().map(|(_, data)| *data));
    while let Some(mut file) = writer.next_file().unwrap() {
        file.write_all(data.next().unwrap()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn open(bytes: Vec<u8>) -> Result<Cabinet> {
    Cabinet::open(Arc::new(MemorySource::new(bytes, "test.cab")))
}

/// Every file of a cabinet.
fn contents(cabinet: &Cabinet) -> Result<Vec<(String, Vec<u8>)>> {
    let cancel = Cancel::new();
    let watch = Watch { progress: &Silent, cancel: &cancel };
    let mut all: Vec<Option<Vec<u8>>> = vec![None; cabinet.files().len()];
    let mut places: Vec<_> = all.iter_mut().map(Some).collect();
    cabinet.extract(
        |file| {
            let at = cabinet.files().iter().position(|other| other.path == file.path).unwrap();
            let into = places[at].take().unwrap();
            Ok(Some(Box::new(Kept::new(into)) as Box<dyn Sink>))
        },
        watch,
    )?;
    let names = cabinet.files().iter().map(|file| file.path.clone());
    Ok(names.zip(all.into_iter().flatten()).collect())
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|at| if at % 3 == 0 { next() } else { b'a' }).collect()
}

#[test]
fn files_of_several_folders_come_back() {
    let (large, small) = (noise(100_000), noise(10));
    for codec in [cab::CompressionType::None, cab::CompressionType::MsZip] {
        let bytes = written(
            codec,
            &[
                &[("update.mum", &small), ("a\\b.dll", &large), ("empty", b"")],
                &[("second", &large)],
            ],
        );
        let cabinet = open(bytes).unwrap();
        let expected =
            [("update.mum", &small[..]), ("a/b.dll", &large), ("empty", b""), ("second", &large)];
        let expected: Vec<_> =
            expected.map(|(name, data)| (name.to_string(), data.to_vec())).into();
        assert_eq!(contents(&cabinet).unwrap(), expected);
    }
}

#[test]
fn damage_and_lies_are_found() {
    let data = noise(70_000);
    let bytes = written(cab::CompressionType::MsZip, &[&[("one", &data), ("two", &data)]]);
    // The first record of a file is behind the header and one folder.
    let file = 36 + 8;
    let with = |at: usize, value: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        open(bytes).and_then(|cabinet| contents(&cabinet)).unwrap_err().to_string()
    };
    assert!(with(0, b"MZ").contains("does not begin as a cabinet"));
    assert!(with(25, &[2]).contains("version 2"));
    assert!(with(30, &[1]).contains("one of several"));
    assert!(with(file, &[0xff; 4]).contains("behind the data"), "{}", with(file, &[0xff; 4]));
    assert!(with(file + 8, &[9, 0]).contains("folder 9"));
    assert!(with(file + 16 + 4 + 4, &[1, 0, 0, 0]).contains("overlap"));
    assert!(
        with(40, &[0xff, 0xff]).contains("cut off") || with(40, &[0xff, 0xff]).contains("block")
    );
    assert!(with(bytes.len() - 100, &[0x55; 50]).contains("cannot be decoded"));
    for len in [0, 10, 40, 60, bytes.len() - 1] {
        assert!(open(bytes[..len].to_vec()).is_err(), "{len}");
    }
}

proptest::proptest! {
    #[test]
    fn no_cabinet_does_harm(at in 0_usize..200, value: [u8; 2]) {
        let data = noise(3000);
        let mut bytes = written(cab::CompressionType::MsZip, &[&[("one", &data), ("two", &data)]]);
        if let Some(place) = bytes.get_mut(at..at + 2) {
            place.copy_from_slice(&value);
        }
        let _ = open(bytes).and_then(|cabinet| contents(&cabinet));
    }
}

/// Bits of LZX: 16 at a time, the first one highest, each word little-endian.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    word: u32,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u64, count: u32) {
        for at in (0..count).rev() {
            self.word = self.word << 1 | (value >> at & 1) as u32;
            self.used += 1;
            if self.used == 16 {
                self.bytes.extend((self.word as u16).to_le_bytes());
                (self.word, self.used) = (0, 0);
            }
        }
    }
}

/// The LZX of a cabinet for one short file. Our encoder makes that of WIM files, whose header is
/// shorter: no word on calls, and the size of a block in 16 bits.
fn lzx(data: &[u8]) -> Vec<u8> {
    use wim_format::{Codec, Encoder, Level};
    assert!(data.len() < 32_768 && !data.contains(&0xe8));
    let mut encoded = vec![0; data.len()];
    let mut encoder = Encoder::new(Codec::Lzx, 32_768, Level::default()).unwrap();
    let len = encoder.encode(data, &mut encoded).expect("text gets smaller");
    let words = encoded[..len]
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let mut old = words.flat_map(|word| (0..16).rev().map(move |at| u64::from(word >> at & 1)));
    let mut take = |count: u32| (0..count).fold(0, |value, _| value << 1 | old.next().unwrap());
    let (kind, short, size) = (take(3), take(1), take(16));
    assert_eq!((short, size), (0, data.len() as u64), "one block, shorter than a chunk");
    let mut new = Bits::default();
    new.put(0, 1);
    new.put(kind, 3);
    new.put(size, 24);
    old.for_each(|bit| new.put(bit, 1));
    new.put(0, 16 + (16 - new.used) % 16);
    new.bytes
}

/// A cabinet of LZX folders, one file in each.
pub(in crate::service) fn lzx_cabinet(files: &[(&str, &[u8])]) -> Vec<u8> {
    let count = files.len() as u16;
    let names: usize = files.iter().map(|(name, _)| 17 + name.len()).sum();
    let file_at = 36 + 8 * files.len();
    let mut data_at = (file_at + names) as u32;
    let (mut folders, mut entries, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (name, bytes)) in (0_u16..).zip(files) {
        let packed = lzx(bytes);
        folders.extend(data_at.to_le_bytes());
        folders.extend([1, 0, 3, 15]);
        entries.extend((bytes.len() as u32).to_le_bytes());
        entries.extend([0; 4]);
        entries.extend(number.to_le_bytes());
        entries.extend([0x21, 0x58, 0, 0, 0x20, 0]);
        entries.extend(name.as_bytes());
        entries.push(0);
        // A checksum of 0 is none.
        data.extend([0; 4]);
        data.extend((packed.len() as u16).to_le_bytes());
        data.extend((bytes.len() as u16).to_le_bytes());
        data_at += 8 + packed.len() as u32;
        data.extend(packed);
    }
    let mut cabinet = b"MSCF\0\0\0\0".to_vec();
    cabinet.extend(data_at.to_le_bytes());
    cabinet.extend([0; 4]);
    cabinet.extend((file_at as u32).to_le_bytes());
    cabinet.extend([0, 0, 0, 0, 3, 1]);
    cabinet.extend(count.to_le_bytes());
    cabinet.extend(count.to_le_bytes());
    cabinet.extend([0; 6]);
    cabinet.extend([folders, entries, data].concat());
    cabinet
}

#[test]
fn lzx_comes_back_and_cabextract_agrees() {
    // The same all the way: one block.
    let line = |n| format!("line {:03} of some text\r\n", n * 577 % 900);
    let text: String = (0..900).map(line).collect();
    let files = [("update.mum", text.as_bytes()), ("second.txt", &text.as_bytes()[..9000])];
    let bytes = lzx_cabinet(&files);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lzx.cab");
    std::fs::write(&path, &bytes).unwrap();
    let done = std::process::Command::new("cabextract").arg("-t").arg(&path).output();
    let done = done.expect("cabextract is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let expected = files.map(|(name, data)| (name.to_string(), data.to_vec()));
    assert_eq!(contents(&open(bytes.clone()).unwrap()).unwrap(), expected);
    // Damage in the data is an error, whatever the decoder thinks of it.
    let damaged = (0..20).filter(|at| {
        let mut bytes = bytes.clone();
        let place = bytes.len() - 20 - 20 * at;
        bytes[place] ^= 0xff;
        open(bytes).and_then(|cabinet| contents(&cabinet)).map_or(true, |found| found != expected)
    });
    assert_eq!(damaged.count(), 20);
}
