//! Archives for the tests: those that wimlib wrote, and larger ones made here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use wim_extract::archive::{BlobId, OpenOptions, Wim};
use wim_extract::error::Damage;
use wim_extract::pipeline::{self, Plan, Sink, Threads};
use wim_extract::source::MemorySource;
use wim_extract::{Cancel, Error, Silent, verify};
use wim_format::metadata::{ImageBuilder, Inode};
use wim_format::resource::ChunkTable;
use wim_format::testing::{Chunks, TinyWim};
use wim_format::{Codec, Sha1Hash};

/// Vectors that stand alone.
pub(crate) const WHOLE: [&str; 7] =
    ["v1.wim", "v2xpress.wim", "v2lzx.wim", "v2lzms.wim", "v3.wim", "v4.wim", "v5.wim"];

/// Where a vector is.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/vectors").join(name)
}

/// The bytes of a vector.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// Opens a vector.
pub(crate) fn open(name: &str) -> Wim {
    open_file(&path(name))
}

/// Opens a file.
pub(crate) fn open_file(path: &Path) -> Wim {
    Wim::open(path, &OpenOptions::default()).unwrap()
}

/// Opens both parts of the split vector.
pub(crate) fn open_split() -> Wim {
    let references = vec![path("v5*.swm").display().to_string()];
    Wim::open(path("v5.swm"), &OpenOptions { references, ..OpenOptions::default() }).unwrap()
}

/// Opens bytes as an archive.
pub(crate) fn open_bytes(bytes: Vec<u8>) -> Wim {
    Wim::from_source(Arc::new(MemorySource::new(bytes, "memory")), []).unwrap()
}

/// Verifies with that many threads.
pub(crate) fn verify(wim: &Wim, threads: usize) -> verify::Outcome {
    let options = verify::Options { threads: Threads::new(threads), ..<_>::default() };
    verify::run(wim, &options, &Silent, &Cancel::new()).unwrap()
}

/// The data of a blob.
pub(crate) fn read(wim: &Wim, blob: BlobId) -> Vec<u8> {
    struct Whole(Mutex<Vec<u8>>);
    impl Sink for Whole {
        fn piece(&self, _: BlobId, offset: u64, data: &[u8]) -> Result<(), Error> {
            let mut whole = self.0.lock().unwrap();
            let end = offset as usize + data.len();
            let len = whole.len().max(end);
            whole.resize(len, 0);
            whole[offset as usize..end].copy_from_slice(data);
            Ok(())
        }

        fn done(&self, _: BlobId, result: Result<(), Damage>) -> Result<(), Error> {
            result.unwrap();
            Ok(())
        }
    }
    let sink = Whole(Mutex::default());
    let plan = Plan::new(wim, [blob]);
    let options = pipeline::Options { threads: Threads::ONE, ..Default::default() };
    pipeline::run(&plan, &sink, &options, &Silent, &Cancel::new()).unwrap();
    sink.0.into_inner().unwrap()
}

/// Bytes that differ everywhere and with `seed`.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// The 32 KiB chunks of `big.txt` in `v2lzx.wim`: text and the LZX chunk it is decoded from.
pub(crate) fn lzx_chunks() -> Vec<(Vec<u8>, Vec<u8>)> {
    let file = bytes("v2lzx.wim");
    let wim = open("v2lzx.wim");
    let (_, blob) = wim.blobs().find(|(_, blob)| blob.size == 70_000).unwrap();
    let wim_format::blob_table::BlobPlace::Resource(place) = blob.place else {
        panic!("not solid")
    };
    let resource = &file[place.offset as usize..place.end() as usize];
    let layout = wim.header().layout;
    let range = ChunkTable::table_range(&place, 32768, layout).unwrap();
    let table = &resource[range.start as usize..range.end as usize];
    let table = ChunkTable::parse(table, &place, 32768, layout).unwrap();
    let mut decoder = wim_format::Decoder::new(Codec::Lzx, 32768).unwrap();
    let chunk = |index| {
        let span = table.get(index).unwrap();
        let chunk = &resource[span.offset as usize..][..span.compressed as usize];
        let mut text = vec![0; span.uncompressed as usize];
        decoder.decode(chunk, &mut text).unwrap();
        (text, chunk.to_vec())
    };
    (0..2).map(chunk).collect()
}

/// An archive with a blob of every size that is handled in its own way, compressed by LZX, raw in
/// chunks and stored. Gives the data too.
pub(crate) fn all_sizes(chunk_size: u32) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut wim = TinyWim::new(Some(Codec::Lzx), chunk_size);
    let mut blobs = Vec::new();
    let text = lzx_chunks();
    for (seed, chunks) in [(1, 3), (2, 5), (3, 40), (4, 200)] {
        // The bytes of each chunk count from its number, or all blobs would be alike.
        let pick = |index: usize| &text[(index + seed) % 2];
        let mut data: Vec<u8> = (0..chunks).flat_map(|index| pick(index).0.clone()).collect();
        let mut packed: Vec<Vec<u8>> = (0..chunks).map(|index| pick(index).1.clone()).collect();
        let tail = noise(seed * 1000 + 7, seed as u64);
        data.extend(&tail);
        packed.push(tail);
        if chunk_size == 32768 {
            wim.blob(&data, Chunks::Compressed(packed));
            blobs.push(data);
        }
    }
    for (seed, len) in
        [1, 100, 4096, 32768, 32769, 131_072, 131_073, 600_000, 3_000_001].into_iter().enumerate()
    {
        for (kind, chunks) in [(10, Chunks::Raw), (30, Chunks::Stored)] {
            let data = noise(len, (seed + kind) as u64);
            wim.blob(&data, chunks);
            blobs.push(data);
        }
    }
    wim.image("all", image_of(&blobs), Chunks::Stored);
    (wim.build(), blobs)
}

/// A solid archive: blobs of many sizes over raw chunks of `chunk_size`, many of which reach from
/// one chunk into others.
pub(crate) fn solid(chunk_size: u32) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut wim = TinyWim::new(Some(Codec::Lzms), 131_072);
    let sizes = [5, 70_000, 1, 33_000, 200_000, 40, 400_000, 32_768, 9];
    let blobs: Vec<Vec<u8>> =
        sizes.into_iter().zip(50..).map(|(len, seed)| noise(len, seed)).collect();
    let (first, second) = blobs.split_at(6);
    for group in [first, second] {
        let group: Vec<&[u8]> = group.iter().map(Vec::as_slice).collect();
        wim.solid(Some(Codec::Lzms), chunk_size, &group, None);
    }
    wim.image("all", image_of(&blobs), Chunks::Stored);
    wim.image("ends", image_of([&blobs[0], &blobs[5]]), Chunks::Stored);
    wim.image("middle", image_of([&blobs[3], &blobs[7]]), Chunks::Stored);
    (wim.build(), blobs)
}

/// The metadata of an image with a file for each of `blobs`.
pub(crate) fn image_of<'b>(blobs: impl IntoIterator<Item = &'b Vec<u8>>) -> Vec<u8> {
    let mut image = ImageBuilder::new(Inode::directory());
    for (number, blob) in blobs.into_iter().enumerate() {
        let name = format!("file{number:02}");
        image.add(ImageBuilder::ROOT, name.as_str(), Inode::file(sha1(blob))).unwrap();
    }
    image.to_bytes().unwrap()
}

pub(crate) fn sha1(data: &[u8]) -> Sha1Hash {
    wim_format::testing::sha1(data)
}
