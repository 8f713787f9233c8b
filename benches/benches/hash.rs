//! SHA-1 on one core: one long message and many short ones, ours and the crate `sha1`.

use ::sha1::Digest as _;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wim_extract::hash::{sha1, sha1_many};

/// Bytes hashed in all.
const TOTAL: usize = 4 << 20;

fn hash(criterion: &mut Criterion) {
    let bytes: Vec<u8> = (0..TOTAL).map(|i| ((i * i) >> 7) as u8).collect();
    let mut group = criterion.benchmark_group("hash");
    group.throughput(Throughput::Bytes(TOTAL as u64)).sample_size(20);
    for size in [1 << 12, 1 << 15, TOTAL] {
        let messages: Vec<&[u8]> = bytes.chunks(size).collect();
        group.bench_function(BenchmarkId::new("ours, many", size), |bencher| {
            let mut hashes = Vec::new();
            bencher.iter(|| sha1_many(&messages, &mut hashes));
        });
        group.bench_function(BenchmarkId::new("ours, one by one", size), |bencher| {
            bencher.iter(|| {
                for message in &messages {
                    std::hint::black_box(sha1(message));
                }
            });
        });
        group.bench_function(BenchmarkId::new("sha1", size), |bencher| {
            bencher.iter(|| {
                for message in &messages {
                    std::hint::black_box(::sha1::Sha1::digest(message));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hash);
criterion_main!(benches);
