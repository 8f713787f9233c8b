//! Where the offset of a match comes from: it is new, or one of the latest.

/// The source of an offset that is new.
pub(crate) const NEW: u8 = 3;

/// What is known of the offsets of earlier matches.
pub(crate) trait Offsets: Copy {
    /// The same for processors that [`Cpu::detect`](super::cpu::Cpu::detect) calls modern.
    type Modern: Offsets;

    /// The offset of the next match: number `source` of the recent ones, or, where that is [`NEW`],
    /// `offset`.
    fn next(&mut self, source: u8, offset: u32) -> u32;

    /// For a modern processor.
    ///
    /// # Safety
    /// The processor has AVX2, and so do all functions in which the result is used.
    #[allow(unsafe_code)]
    unsafe fn into_modern(self) -> Self::Modern;

    /// Back from [`into_modern`](Self::into_modern).
    fn from_modern(modern: Self::Modern) -> Self;
}

/// Every offset is new.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AllNew;

impl Offsets for AllNew {
    type Modern = Self;

    #[inline(always)]
    fn next(&mut self, _source: u8, offset: u32) -> u32 {
        offset
    }

    #[allow(unsafe_code)]
    unsafe fn into_modern(self) -> Self {
        self
    }

    fn from_modern(modern: Self) -> Self {
        modern
    }
}

/// The three recent offsets of LZX, latest first. A new offset drives out the last of them; taking
/// the second or third swaps it with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recent(pub(crate) [u32; 3]);

impl Recent {
    /// As every chunk starts.
    pub(crate) const START: Self = Self([1; 3]);
}

impl Offsets for Recent {
    #[cfg(target_arch = "x86_64")]
    type Modern = vector::RecentVector;
    #[cfg(not(target_arch = "x86_64"))]
    type Modern = Self;

    /// Without branches: which source it is, is as good as random.
    #[inline(always)]
    fn next(&mut self, source: u8, offset: u32) -> u32 {
        use std::hint::select_unpredictable as select;
        let [first, second, third] = self.0;
        let old = select(source == 0, first, select(source == 1, second, third));
        let next = select(source == NEW, offset, old);
        self.0 = [
            next,
            select(source.is_multiple_of(2), second, first),
            select(source < 2, third, select(source == 2, first, second)),
        ];
        next
    }

    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    unsafe fn into_modern(self) -> Self::Modern {
        // SAFETY: passed on to the caller.
        unsafe { vector::RecentVector::new(self) }
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[allow(unsafe_code)]
    unsafe fn into_modern(self) -> Self {
        self
    }

    #[cfg(target_arch = "x86_64")]
    fn from_modern(modern: Self::Modern) -> Self {
        modern.scalar()
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn from_modern(modern: Self) -> Self {
        modern
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod vector {
    use super::{Offsets, Recent};
    use std::arch::x86_64::{
        __m128i, _mm_cvtsi128_si32, _mm_extract_epi32, _mm_insert_epi32, _mm_loadu_si128,
        _mm_set_epi32, _mm_shuffle_epi8,
    };

    /// [`Recent`] in the lower three lanes of a vector; the highest is for the new offset. Each
    /// source is a permutation of the lanes. It exists where AVX2 does.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct RecentVector(__m128i);

    /// The bytes of lanes 0 to 3 in the order in which each source leaves them.
    static PERMUTATIONS: [[i32; 4]; 4] =
        [lanes(0, 1, 2), lanes(1, 0, 2), lanes(2, 1, 0), lanes(3, 0, 1)];

    const fn lanes(first: i32, second: i32, third: i32) -> [i32; 4] {
        const FIRST_LANE: i32 = 0x0302_0100;
        const NEXT_LANE: i32 = 0x0404_0404;
        [
            FIRST_LANE + first * NEXT_LANE,
            FIRST_LANE + second * NEXT_LANE,
            FIRST_LANE + third * NEXT_LANE,
            FIRST_LANE,
        ]
    }

    impl RecentVector {
        /// # Safety
        /// The processor has AVX2, and so do all functions in which the result is used.
        #[inline(always)]
        pub(super) unsafe fn new(recent: Recent) -> Self {
            let [first, second, third] = recent.0.map(|offset| offset as i32);
            // SAFETY: SSE2 is part of x86-64.
            Self(unsafe { _mm_set_epi32(0, third, second, first) })
        }

        #[inline(always)]
        pub(super) fn scalar(self) -> Recent {
            // SAFETY: by `new`, the processor has AVX2, which includes SSE 4.1.
            unsafe {
                Recent([
                    _mm_extract_epi32::<0>(self.0) as u32,
                    _mm_extract_epi32::<1>(self.0) as u32,
                    _mm_extract_epi32::<2>(self.0) as u32,
                ])
            }
        }
    }

    impl Offsets for RecentVector {
        type Modern = Self;

        #[inline(always)]
        fn next(&mut self, source: u8, offset: u32) -> u32 {
            let permutation = &PERMUTATIONS[usize::from(source % 4)];
            // SAFETY: by `new`, the processor has AVX2, which includes SSE 4.1 and SSSE3. A
            // permutation is 16 readable bytes, which the load wants in no place in particular.
            unsafe {
                let lanes = _mm_insert_epi32::<3>(self.0, offset as i32);
                let permutation = _mm_loadu_si128(permutation.as_ptr().cast());
                self.0 = _mm_shuffle_epi8(lanes, permutation);
                _mm_cvtsi128_si32(self.0) as u32
            }
        }

        unsafe fn into_modern(self) -> Self {
            self
        }

        fn from_modern(modern: Self) -> Self {
            modern
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The three rules, word by word.
    fn naive(recent: &mut [u32; 3], source: u8, offset: u32) -> u32 {
        match source {
            NEW => *recent = [offset, recent[0], recent[1]],
            source => recent.swap(0, usize::from(source)),
        }
        recent[0]
    }

    proptest! {
        #[test]
        fn all_ways_agree(steps in prop::collection::vec((0u8..4, any::<u32>()), 0..50)) {
            let mut expected = [1, 2, 3];
            let mut scalar = Recent(expected);
            let outcome: Vec<u32> = steps
                .iter()
                .map(|&(source, offset)| naive(&mut expected, source, offset))
                .collect();
            for (&(source, offset), &outcome) in steps.iter().zip(&outcome) {
                prop_assert_eq!(scalar.next(source, offset), outcome);
            }
            prop_assert_eq!(scalar.0, expected);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                #[allow(unsafe_code)]
                // SAFETY: AVX2 is there.
                let mut vector = unsafe { Recent([1, 2, 3]).into_modern() };
                for (&(source, offset), &outcome) in steps.iter().zip(&outcome) {
                    prop_assert_eq!(vector.next(source, offset), outcome);
                }
                prop_assert_eq!(Recent::from_modern(vector).0, expected);
            }
        }
    }
}
