//! The nearest nodes ahead in AVX-512 registers: half as many as with AVX2, and lanes are hidden and moved
//! along by one instruction.
#![allow(unsafe_code)]

use super::nodes::{Ahead, FAR, relax};
use std::arch::x86_64::{
    __m512i, _mm_cvtsi128_si32, _mm512_add_epi32, _mm512_alignr_epi32, _mm512_castsi512_si128,
    _mm512_loadu_si512, _mm512_mask_min_epu32, _mm512_min_epu32, _mm512_set1_epi32,
    _mm512_storeu_si512,
};

/// Lanes of a register.
const LANES: usize = 16;
/// Nodes in registers.
const NODES: usize = 2 * LANES;

/// The nearest nodes ahead in registers, all others in memory. The cheapest way to a node is the
/// cheaper of both.
#[derive(Debug)]
pub(crate) struct InWideRegisters([__m512i; 2]);

impl InWideRegisters {
    /// Starts with no way to any node.
    ///
    /// # Safety
    /// The processor has AVX-512 F.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the processor has AVX-512 F.
        unsafe { Self([_mm512_set1_epi32(FAR as i32); 2]) }
    }
}

#[inline(always)]
fn load(lanes: &[u32; LANES]) -> __m512i {
    // SAFETY: the reference is to all lanes; there is an `InWideRegisters` wherever this is called.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

impl Ahead for InWideRegisters {
    #[inline(always)]
    fn relax(&mut self, nodes: &mut [u32], row: &[u32], base: u32, count: usize) {
        let (rows, _) = row[..NODES].as_chunks::<LANES>();
        let shown = ((1u64 << count.min(NODES)) - 1) as u32;
        // SAFETY: `new` has made this where the processor has AVX-512 F.
        unsafe {
            let base = _mm512_set1_epi32(base as i32);
            for (i, own) in self.0.iter_mut().enumerate() {
                let way = _mm512_add_epi32(base, load(&rows[i]));
                *own = _mm512_mask_min_epu32(*own, (shown >> (16 * i)) as u16, *own, way);
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
            let far = _mm512_set1_epi32(FAR as i32);
            self.0 = [_mm512_alignr_epi32::<1>(b, a), _mm512_alignr_epi32::<1>(far, b)];
            _mm_cvtsi128_si32(_mm512_castsi512_si128(a)) as u32
        }
    }

    #[inline(always)]
    fn flush(&mut self, nodes: &mut [u32]) {
        let (nodes, _) = nodes[..NODES].as_chunks_mut::<LANES>();
        for (nodes, own) in nodes.iter_mut().zip(&mut self.0) {
            // SAFETY: as above, and the reference is to all lanes.
            unsafe {
                let cheaper = _mm512_min_epu32(load(nodes), *own);
                _mm512_storeu_si512(nodes.as_mut_ptr().cast(), cheaper);
                *own = _mm512_set1_epi32(FAR as i32);
            }
        }
    }
}
