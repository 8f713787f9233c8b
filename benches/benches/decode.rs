//! Decoding on one core, by codec and chunk size.
//!
//! The sample is this program itself, machine code and debug information, cut into chunks.
//! Without the feature `libwim` a plain encoder of the tests compresses them; with it, libwim does,
//! and decodes them beside us. For figures to rely on, see `paired`: criterion times one contender
//! after the other, and other load on the machine falls on one of them.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
#[cfg(feature = "libwim")]
use osupg_benches::libwim;
use wim_format::codec::{Codec, Cpu, Decoder};
use wim_format::testing::streams::BitWriter;
#[cfg(not(feature = "libwim"))]
use wim_format::testing::streams::{lzx, xpress};

/// Bytes of the sample.
const SAMPLE: usize = 2 << 20;

/// A chunk and the stream that it was compressed to.
type Chunk = (Vec<u8>, Vec<u8>);

fn decode(criterion: &mut Criterion) {
    for (name, codec, chunk_size) in [
        ("xpress", Codec::Xpress, 1 << 15),
        ("lzx", Codec::Lzx, 1 << 15),
        ("lzx", Codec::Lzx, 1 << 21),
        #[cfg(feature = "libwim")]
        ("lzms", Codec::Lzms, 1 << 17),
    ] {
        let chunks = chunks(codec, chunk_size);
        let bytes: usize = chunks.iter().map(|(bytes, _)| bytes.len()).sum();
        let mut group = criterion.benchmark_group(format!("decode/{name}"));
        group.throughput(Throughput::Bytes(bytes as u64)).sample_size(20);
        let id = |who: &str| BenchmarkId::new(who.to_owned(), chunk_size);
        let mut dst = vec![0; 2 * chunk_size as usize];
        for (who, cpu) in [("one", Cpu::detect()), ("one, portable", Cpu::PORTABLE)] {
            let mut decoder = Decoder::with_cpu(codec, chunk_size, cpu).expect("a legal size");
            group.bench_function(id(who), |bencher| {
                bencher.iter(|| one_by_one(&mut decoder, &chunks, &mut dst));
            });
        }
        let mut decoder = Decoder::new(codec, chunk_size).expect("a legal size");
        group.bench_function(id("two"), |bencher| {
            bencher.iter(|| two_by_two(&mut decoder, &chunks, &mut dst));
        });
        #[cfg(feature = "libwim")]
        {
            let mut decoder = libwim::Decompressor::new(codec, chunk_size).expect("a legal size");
            group.bench_function(id("libwim"), |bencher| {
                bencher.iter(|| {
                    for (bytes, stream) in &chunks {
                        decoder.decode(stream, &mut dst[..bytes.len()]).expect("a valid chunk");
                    }
                });
            });
        }
        if (codec, chunk_size) == (Codec::Lzx, 1 << 15) && !cfg!(feature = "libwim") {
            let chunks: Vec<Chunk> = chunks
                .iter()
                .map(|(bytes, stream)| (bytes.clone(), for_lzxd(stream, bytes.len())))
                .collect();
            group.bench_function(id("lzxd"), |bencher| {
                bencher.iter(|| {
                    for (bytes, stream) in &chunks {
                        let mut decoder = lzxd::Lzxd::new(lzxd::WindowSize::KB32);
                        decoder.decompress_next(stream, bytes.len()).expect("a valid chunk");
                    }
                });
            });
        }
        group.finish();
    }
}

fn one_by_one(decoder: &mut Decoder, chunks: &[Chunk], dst: &mut [u8]) {
    for (bytes, stream) in chunks {
        decoder.decode(stream, &mut dst[..bytes.len()]).expect("a valid chunk");
    }
}

fn two_by_two(decoder: &mut Decoder, chunks: &[Chunk], dst: &mut [u8]) {
    for pair in chunks.chunks(2) {
        let [(a, first), (b, second)] = pair else { return one_by_one(decoder, pair, dst) };
        let (dst_a, rest) = dst.split_at_mut(a.len());
        let outcomes = decoder.decode_two((first, dst_a), (second, &mut rest[..b.len()]));
        outcomes.iter().for_each(|outcome| assert_eq!(*outcome, Ok(())));
    }
}

/// The chunks of the sample that compression makes smaller.
fn chunks(codec: Codec, chunk_size: u32) -> Vec<Chunk> {
    let program = std::env::current_exe().and_then(std::fs::read).expect("a program can be read");
    // The start is tables that hardly compress.
    let start = program.len() / 4;
    let sample = &program[start..(start + SAMPLE).min(program.len())];
    #[cfg(feature = "libwim")]
    let mut compressor = libwim::Compressor::new(codec, chunk_size, 50).expect("a legal size");
    #[cfg(feature = "libwim")]
    let mut compress = |bytes: &[u8]| compressor.compress(bytes);
    #[cfg(not(feature = "libwim"))]
    let compress = |bytes: &[u8]| match codec {
        Codec::Xpress => Some(xpress::compress(bytes)),
        Codec::Lzx => Some(lzx::compress(bytes, chunk_size.ilog2(), usize::MAX)),
        Codec::Lzms => None,
    };
    let chunks = sample.chunks(chunk_size as usize);
    chunks.filter_map(|bytes| Some((bytes.to_vec(), compress(bytes)?))).collect()
}

/// A chunk of one block in the form of cabinets: a header that says how calls are translated, and
/// always 24 bits of block size.
fn for_lzxd(stream: &[u8], len: usize) -> Vec<u8> {
    let old = BitWriter::from_bytes(stream);
    let short = len == 1 << 15;
    let mut new = BitWriter::default();
    new.put(1, 1);
    new.put(12_000_000, 32);
    new.put(u64::from(stream[1] >> 5), 3);
    new.put(len as u64, 24);
    new.append(&old, if short { 4 } else { 20 });
    new.bytes()
}

criterion_group!(benches, decode);
criterion_main!(benches);
