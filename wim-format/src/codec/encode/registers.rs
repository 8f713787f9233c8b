//! The nearest nodes ahead in AVX2 registers.
//!
//! What is written to memory as vectors and read again one node further has to wait until it has
//! reached the cache; what stays in registers has not.
#![allow(unsafe_code)]

use super::nodes::{Ahead, FAR, LANES, Row, masks, relax};
use std::arch::x86_64::{
    __m256i, _mm_cvtsi128_si32, _mm256_add_epi32, _mm256_blend_epi32, _mm256_castsi256_si128,
    _mm256_loadu_si256, _mm256_min_epu32, _mm256_or_si256, _mm256_permutevar8x32_epi32,
    _mm256_set1_epi32, _mm256_setr_epi32, _mm256_storeu_si256,
};

/// Registers. Of ten matches that are tried, nine end within these, and eight within the first; with four
/// of them LZX usual takes 1.01 times as long.
const COUNT: usize = 2;
/// Nodes in registers.
const NODES: usize = COUNT * LANES;

static MASKS: [Row<NODES>; NODES + 1] = masks();

/// The nearest nodes ahead in registers, all others in memory. The cheapest way to a node is the
/// cheaper of both.
#[derive(Debug)]
pub(crate) struct InRegisters([__m256i; COUNT]);

impl InRegisters {
    /// Starts with no way to any node.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the processor has AVX2.
        unsafe { Self([_mm256_set1_epi32(FAR as i32); COUNT]) }
    }
}

#[inline(always)]
fn load(lanes: &[u32; LANES]) -> __m256i {
    // SAFETY: the reference is to all lanes; there is an `InRegisters` wherever this is called.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

impl Ahead for InRegisters {
    #[inline(always)]
    fn relax(&mut self, nodes: &mut [u32], row: &[u32], base: u32, count: usize) {
        let (masks, _) = MASKS[count.min(NODES)].0.as_chunks::<LANES>();
        let (rows, _) = row[..NODES].as_chunks::<LANES>();
        // SAFETY: `new` has made this where the processor has AVX2.
        unsafe {
            let base = _mm256_set1_epi32(base as i32);
            for i in 0..COUNT {
                let way = _mm256_add_epi32(base, load(&rows[i]));
                self.0[i] = _mm256_min_epu32(self.0[i], _mm256_or_si256(way, load(&masks[i])));
            }
        }
        if count > NODES {
            relax(&mut nodes[NODES..], &row[NODES..], base, count - NODES);
        }
    }

    #[inline(always)]
    fn advance(&mut self) -> u32 {
        let [a, b] = self.0;
        // SAFETY: as above.
        unsafe {
            let order = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0);
            let far = _mm256_set1_epi32(FAR as i32);
            self.0 = [
                _mm256_permutevar8x32_epi32(_mm256_blend_epi32::<1>(a, b), order),
                _mm256_permutevar8x32_epi32(_mm256_blend_epi32::<1>(b, far), order),
            ];
            _mm_cvtsi128_si32(_mm256_castsi256_si128(a)) as u32
        }
    }

    #[inline(always)]
    fn flush(&mut self, nodes: &mut [u32]) {
        let (nodes, _) = nodes[..NODES].as_chunks_mut::<LANES>();
        for (nodes, own) in nodes.iter_mut().zip(&mut self.0) {
            // SAFETY: as above, and the reference is to all lanes.
            unsafe {
                let cheaper = _mm256_min_epu32(load(nodes), *own);
                _mm256_storeu_si256(nodes.as_mut_ptr().cast(), cheaper);
                *own = _mm256_set1_epi32(FAR as i32);
            }
        }
    }
}
