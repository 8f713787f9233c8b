//! XPRESS chunks: any bytes, any output size up to one chunk.
//!
//! Layout of an input: one byte picks the chunk size, three bytes (little endian) the output size,
//! the rest is the compressed chunk. A decoder that has just failed is used again on purpose: state
//! left behind by one chunk must not leak into the next. What comes out is compared with the plain
//! decoder, whatever instructions the fast one may use.
#![cfg_attr(fuzzing, no_main)]

use wim_format::codec::{Codec, Cpu, Decoder};
use wim_format::testing::decode_plainly;

/// Exponents of the chunk sizes in play.
const CHUNK_BITS: [u32; 3] = [12, 15, 16];

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let [pick, a, b, c, src @ ..] = input else { return };
    let chunk_size = 1 << CHUNK_BITS[usize::from(*pick) % CHUNK_BITS.len()];
    let size = u32::from_le_bytes([*a, *b, *c, 0]) % (chunk_size + 1);
    let codec = Codec::Xpress;
    let empty = || vec![0; size as usize];
    let mut expected = empty();
    let outcome = decode_plainly(codec, chunk_size, src, &mut expected);
    for cpu in Cpu::choices() {
        let mut decoder = Decoder::with_cpu(codec, chunk_size, cpu).expect("a legal chunk size");
        let (mut first, mut again, mut pair) = (empty(), empty(), (empty(), empty()));
        let alone = decoder.decode(src, &mut first);
        assert_eq!(outcome.is_ok(), alone.is_ok(), "plainly {outcome:?}, fast {alone:?}");
        assert_eq!(alone, decoder.decode(src, &mut again), "the second run differs");
        let both = decoder.decode_two((src, &mut pair.0), (src, &mut pair.1));
        assert_eq!(both, [alone; 2], "two chunks at once differ from one");
        if outcome.is_ok() {
            assert!(first == expected, "the plain decoder differs");
            assert!(first == again && first == pair.0 && first == pair.1, "the outputs differ");
        }
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
