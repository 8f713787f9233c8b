//! SHA-1 kernels for x86-64: SHA-NI with several streams interleaved, and AVX-512 with sixteen.
//!
//! A value of [`ShaNi`] or [`Avx512`] proves that the processor has the instructions; nothing else
//! makes one. States come as five rows of one word per lane.

#![allow(unsafe_code)]

use super::BLOCK;
use super::lanes::Kernel;
use std::arch::x86_64::*;

/// Proof that the SHA extensions are there.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShaNi(());

impl ShaNi {
    /// Present if this processor has them.
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        present.then_some(Self(()))
    }
}

/// Two or four streams.
impl<const W: usize> Kernel<W> for ShaNi {
    fn advance(self, states: &mut [[u32; W]; 5], blocks: [&[[u8; BLOCK]]; W]) {
        // SAFETY: `self` proves that the processor has the features the function is compiled for.
        unsafe { sha_ni(states, blocks) }
    }
}

/// Proof that AVX-512 F and BW are there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// Present if this processor has them.
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        present.then_some(Self(()))
    }
}

impl Kernel<16> for Avx512 {
    fn advance(self, states: &mut [[u32; 16]; 5], blocks: [&[[u8; BLOCK]]; 16]) {
        // SAFETY: `self` proves that the processor has the features the function is compiled for.
        unsafe { avx512(states, blocks) }
    }
}

/// The state of `W` streams as SHA-NI wants it, and their message schedules.
struct Lanes<const W: usize> {
    /// Words a, b, c, d from the highest element down.
    abcd: [__m128i; W],
    /// Before the first group of rounds word e in the highest element; afterwards `abcd` as it was
    /// a group ago, of which the next e is a rotation.
    e: [__m128i; W],
    /// The last 16 words of the schedule, four groups in a ring.
    words: [[__m128i; W]; 4],
}

impl<const W: usize> Lanes<W> {
    /// Four rounds with function and constant number `F` and the words of group `group`.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn rounds<const F: i32>(&mut self, group: usize) {
        for lane in 0..W {
            let e = _mm_sha1nexte_epu32(self.e[lane], self.words[group % 4][lane]);
            self.e[lane] = self.abcd[lane];
            self.abcd[lane] = _mm_sha1rnds4_epu32::<F>(self.abcd[lane], e);
        }
    }

    /// Makes the words of group `group`, 4 to 19, from the four groups before it.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn schedule(&mut self, group: usize) {
        for lane in 0..W {
            let words = |back: usize| self.words[(group - back) % 4][lane];
            let early = _mm_xor_si128(_mm_sha1msg1_epu32(words(4), words(3)), words(2));
            self.words[group % 4][lane] = _mm_sha1msg2_epu32(early, words(1));
        }
    }

    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn load(&mut self, blocks: [&[u8; BLOCK]; W]) {
        let big_endian = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0A0B_0C0D_0E0F);
        for (lane, block) in blocks.iter().enumerate() {
            let (quarters, _) = block.as_chunks::<16>();
            for (words, quarter) in self.words.iter_mut().zip(quarters) {
                // SAFETY: `quarter` is 16 readable bytes; the load needs no alignment.
                let bytes = unsafe { _mm_loadu_si128(quarter.as_ptr().cast()) };
                words[lane] = _mm_shuffle_epi8(bytes, big_endian);
            }
        }
    }

    /// One block of every lane.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn block(&mut self, blocks: [&[u8; BLOCK]; W]) {
        let (abcd, e) = (self.abcd, self.e);
        self.load(blocks);
        // The first group adds e itself, which is not a rotated word yet.
        for lane in 0..W {
            let first = _mm_add_epi32(self.e[lane], self.words[0][lane]);
            self.e[lane] = self.abcd[lane];
            self.abcd[lane] = _mm_sha1rnds4_epu32::<0>(self.abcd[lane], first);
        }
        for group in 1..4 {
            self.rounds::<0>(group);
        }
        self.schedule(4);
        self.rounds::<0>(4);
        for group in 5..10 {
            self.schedule(group);
            self.rounds::<1>(group);
        }
        for group in 10..15 {
            self.schedule(group);
            self.rounds::<2>(group);
        }
        for group in 15..20 {
            self.schedule(group);
            self.rounds::<3>(group);
        }
        for lane in 0..W {
            self.abcd[lane] = _mm_add_epi32(self.abcd[lane], abcd[lane]);
            self.e[lane] = _mm_sha1nexte_epu32(self.e[lane], e[lane]);
        }
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn sha_ni<const W: usize>(states: &mut [[u32; W]; 5], blocks: [&[[u8; BLOCK]]; W]) {
    let zero = _mm_setzero_si128();
    let mut lanes = Lanes { abcd: [zero; W], e: [zero; W], words: [[zero; W]; 4] };
    for lane in 0..W {
        let [a, b, c, d, e] = states.map(|row| row[lane].cast_signed());
        lanes.abcd[lane] = _mm_set_epi32(a, b, c, d);
        lanes.e[lane] = _mm_set_epi32(e, 0, 0, 0);
    }
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    for at in 0..count {
        lanes.block(blocks.map(|blocks| &blocks[at]));
    }
    for lane in 0..W {
        let abcd = lanes.abcd[lane];
        let words = [
            _mm_extract_epi32::<3>(abcd),
            _mm_extract_epi32::<2>(abcd),
            _mm_extract_epi32::<1>(abcd),
            _mm_extract_epi32::<0>(abcd),
            _mm_extract_epi32::<3>(lanes.e[lane]),
        ];
        for (row, word) in states.iter_mut().zip(words) {
            row[lane] = word.cast_unsigned();
        }
    }
}

/// Sixteen streams, one in each 32-bit element of five registers.
#[target_feature(enable = "avx512f,avx512bw")]
fn avx512(states: &mut [[u32; 16]; 5], blocks: [&[[u8; BLOCK]]; 16]) {
    let mut state = [_mm512_setzero_si512(); 5];
    for (word, row) in state.iter_mut().zip(&*states) {
        // SAFETY: the row is 64 readable bytes; the load needs no alignment.
        *word = unsafe { _mm512_loadu_si512(row.as_ptr().cast()) };
    }
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    for at in 0..count {
        let mut words = load_words(&blocks, at);
        let before = state;
        state = rounds_20::<0, CHOOSE, 0x5A82_7999>(state, &mut words);
        state = rounds_20::<20, PARITY, 0x6ED9_EBA1>(state, &mut words);
        state = rounds_20::<40, MAJORITY, 0x8F1B_BCDC>(state, &mut words);
        state = rounds_20::<60, PARITY, 0xCA62_C1D6>(state, &mut words);
        for (word, before) in state.iter_mut().zip(before) {
            *word = _mm512_add_epi32(*word, before);
        }
    }
    for (row, word) in states.iter_mut().zip(state) {
        // SAFETY: the row is 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), word) };
    }
}

/// SHA-1's functions of three words as truth tables: bit `b << 2 | c << 1 | d` is the result.
const CHOOSE: i32 = 0xCA;
const PARITY: i32 = 0x96;
const MAJORITY: i32 = 0xE8;

/// Round `t`, whose function is `F` and whose constant is `K`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn round<const F: i32, const K: u32>(
    t: usize,
    [a, b, c, d, e]: [__m512i; 5],
    words: &mut [__m512i; 16],
) -> [__m512i; 5] {
    if t >= 16 {
        let three = _mm512_ternarylogic_epi32::<PARITY>(
            words[(t + 13) % 16],
            words[(t + 8) % 16],
            words[(t + 2) % 16],
        );
        words[t % 16] = _mm512_rol_epi32::<1>(_mm512_xor_si512(three, words[t % 16]));
    }
    let f = _mm512_ternarylogic_epi32::<F>(b, c, d);
    let constant = _mm512_set1_epi32(K.cast_signed());
    let with_word = _mm512_add_epi32(_mm512_add_epi32(e, constant), words[t % 16]);
    let with_f = _mm512_add_epi32(f, _mm512_rol_epi32::<5>(a));
    [_mm512_add_epi32(with_word, with_f), a, _mm512_rol_epi32::<30>(b), c, d]
}

/// The 20 rounds from `FROM` on, written out: kept in a loop, the words would not stay in
/// registers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rounds_20<const FROM: usize, const F: i32, const K: u32>(
    mut state: [__m512i; 5],
    words: &mut [__m512i; 16],
) -> [__m512i; 5] {
    macro_rules! rounds {
        ($($i:literal)*) => {
            $(state = round::<F, K>(FROM + $i, state, words);)*
        };
    }
    rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
    state
}

/// The sixteen words of block `at` of each lane: word `i` of lane `j` is element `j` of register
/// `i`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_words(blocks: &[&[[u8; BLOCK]]; 16], at: usize) -> [__m512i; 16] {
    let mut rows = [_mm512_setzero_si512(); 16];
    for (row, blocks) in rows.iter_mut().zip(blocks) {
        let block = &blocks[at];
        // SAFETY: the block is 64 readable bytes; the load needs no alignment.
        *row = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    }
    let big_endian =
        _mm512_broadcast_i32x4(_mm_set_epi64x(0x0C0D_0E0F_0809_0A0B, 0x0405_0607_0001_0203));
    let mut words = transpose(rows);
    for words in &mut words {
        *words = _mm512_shuffle_epi8(*words, big_endian);
    }
    words
}

/// Transposes a 16 × 16 matrix of 32-bit elements.
///
/// Closures and iterator adaptors do not inherit the target features here and would keep the
/// matrix in memory, hence the plain loops.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(mut rows: [__m512i; 16]) -> [__m512i; 16] {
    // Within each 128-bit quarter: 4 × 4 matrices, made of rows 4i to 4i + 3.
    for i in [0, 2, 4, 6, 8, 10, 12, 14] {
        let (even, odd) = (rows[i], rows[i + 1]);
        rows[i] = _mm512_unpacklo_epi32(even, odd);
        rows[i + 1] = _mm512_unpackhi_epi32(even, odd);
    }
    for i in [0, 4, 8, 12] {
        let [a, b, c, d] = [rows[i], rows[i + 1], rows[i + 2], rows[i + 3]];
        rows[i] = _mm512_unpacklo_epi64(a, c);
        rows[i + 1] = _mm512_unpackhi_epi64(a, c);
        rows[i + 2] = _mm512_unpacklo_epi64(b, d);
        rows[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    // Then the quarters themselves: column `4q + k` is quarter `q` of the `k`th of each four.
    for k in 0..4 {
        let [a, b, c, d] = [rows[k], rows[k + 4], rows[k + 8], rows[k + 12]];
        let (even_ab, odd_ab) = (even_quarters(a, b), odd_quarters(a, b));
        let (even_cd, odd_cd) = (even_quarters(c, d), odd_quarters(c, d));
        rows[k] = even_quarters(even_ab, even_cd);
        rows[k + 4] = even_quarters(odd_ab, odd_cd);
        rows[k + 8] = odd_quarters(even_ab, even_cd);
        rows[k + 12] = odd_quarters(odd_ab, odd_cd);
    }
    rows
}

/// Quarters 0 and 2 of `a`, then of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn even_quarters(a: __m512i, b: __m512i) -> __m512i {
    _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b)
}

/// Quarters 1 and 3 of `a`, then of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn odd_quarters(a: __m512i, b: __m512i) -> __m512i {
    _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b)
}
