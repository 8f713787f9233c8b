//! LZMS chunks: any bytes, any output size up to one chunk.
//!
//! Layout of an input: one byte picks the chunk size, three bytes (little endian) the output size,
//! the rest is the compressed chunk. A decoder that has just failed is used again on purpose: state
//! left behind by one chunk must not leak into the next.
#![cfg_attr(fuzzing, no_main)]

use wim_format::codec::{Codec, Decoder};

/// Exponents of the chunk sizes in play.
const CHUNK_BITS: [u32; 3] = [15, 17, 20];

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let [pick, a, b, c, src @ ..] = input else { return };
    let chunk_size = 1 << CHUNK_BITS[usize::from(*pick) % CHUNK_BITS.len()];
    let size = u32::from_le_bytes([*a, *b, *c, 0]) % (chunk_size + 1);
    let mut decoder = Decoder::new(Codec::Lzms, chunk_size).expect("a legal chunk size");
    let mut first = vec![0; size as usize];
    let mut again = vec![0; size as usize];
    let outcome = decoder.decode(src, &mut first);
    assert_eq!(outcome, decoder.decode(src, &mut again), "the second run differs");
    let mut pair = (vec![0; size as usize], vec![0; size as usize]);
    let both = decoder.decode_two((src, &mut pair.0), (src, &mut pair.1));
    assert_eq!(both, [outcome, outcome], "two chunks at once differ from one");
    if outcome.is_ok() {
        assert!(first == again && first == pair.0 && first == pair.1, "the outputs differ");
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
