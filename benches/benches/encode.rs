//! Encoding on one core, by codec, chunk size and level.
//!
//! The sample is this program itself, machine code and debug information, cut into chunks. For
//! figures to rely on, beside libwim's, see `paired_encode`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wim_format::{Codec, Encoder, Level};

/// Bytes of the sample.
const SAMPLE: usize = 1 << 20;

fn encode(criterion: &mut Criterion) {
    let program = std::env::current_exe().and_then(std::fs::read).expect("a readable program");
    let middle = program.len() / 3;
    let sample = &program[middle..program.len().min(middle + SAMPLE)];
    for (name, codec, chunk_size) in [
        ("xpress", Codec::Xpress, 1u32 << 15),
        ("lzx", Codec::Lzx, 1 << 15),
        ("lzx-2m", Codec::Lzx, 1 << 21),
    ] {
        let mut group = criterion.benchmark_group(format!("encode/{name}"));
        group.throughput(Throughput::Bytes(sample.len() as u64)).sample_size(10);
        for level in Level::ALL {
            let mut encoder = Encoder::new(codec, chunk_size, level).expect("a legal chunk size");
            let mut dst = vec![0; chunk_size as usize];
            group.bench_function(BenchmarkId::from_parameter(format!("{level:?}")), |bencher| {
                bencher.iter(|| {
                    let chunks = sample.chunks(chunk_size as usize);
                    chunks.filter_map(|chunk| encoder.encode(chunk, &mut dst)).sum::<usize>()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
