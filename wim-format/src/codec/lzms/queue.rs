//! Queues of four recent sources, from which any can be moved to the front.
//!
//! There are no branches: places are as good as random.

use super::items::NEW;
use std::hint::select_unpredictable;

/// Four values, the latest first.
pub(super) trait Queue<T> {
    /// Moves what is at `place`, 0 to 3, to the front, or puts `new` there if that is [`NEW`] and
    /// drops the last; returns what is in front now.
    fn move_to_front(&mut self, place: u8, new: T) -> T;
}

impl<T: Copy> Queue<T> for [T; 4] {
    #[inline(always)]
    fn move_to_front(&mut self, place: u8, new: T) -> T {
        let [a, b, c, d] = *self;
        let old = select_unpredictable(place == 0, a, select_unpredictable(place == 1, b, c));
        let last = select_unpredictable(place == 3, d, new);
        let front = select_unpredictable(place < 3, old, last);
        *self = [
            front,
            select_unpredictable(place == 0, b, a),
            select_unpredictable(place < 2, c, b),
            select_unpredictable(place < 3, d, c),
        ];
        front
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use vector::Vector;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod vector {
    use super::{NEW, Queue};
    use std::arch::x86_64::{
        __m128i, _mm_blendv_epi8, _mm_castps_si128, _mm_castsi128_ps, _mm_cvtsi128_si32,
        _mm_extract_epi32, _mm_permutevar_ps, _mm_set_epi32, _mm_set1_epi32,
    };

    /// A queue in the lanes of a vector. It exists where AVX2 does.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Vector(__m128i);

    /// What happens for each place: where the lanes come from after the new value has replaced
    /// those that are marked. The last is as good as dropped when its place is taken.
    static STEPS: [Step; 8] = [
        Step { from: [0, 1, 2, 3], replaced: [0; 4] },
        Step { from: [1, 0, 2, 3], replaced: [0; 4] },
        Step { from: [2, 0, 1, 3], replaced: [0; 4] },
        Step { from: [3, 0, 1, 2], replaced: [0; 4] },
        PUSH,
        PUSH,
        PUSH,
        PUSH,
    ];
    const PUSH: Step = Step { from: [3, 0, 1, 2], replaced: [0, 0, 0, -1] };
    const _: () = assert!(NEW == 4);

    #[repr(C, align(32))]
    struct Step {
        from: [i32; 4],
        replaced: [i32; 4],
    }

    impl Vector {
        /// # Safety
        /// The processor has AVX2, and so do all functions in which the result is used.
        #[inline(always)]
        pub(in super::super) unsafe fn new(queue: [u32; 4]) -> Self {
            // SAFETY: passed on to the caller.
            Self(unsafe { lanes(queue.map(|value| value as i32)) })
        }

        #[inline(always)]
        pub(in super::super) fn to_array(self) -> [u32; 4] {
            // SAFETY: by `new`, the processor has AVX2, which includes SSE 4.1.
            unsafe {
                [
                    _mm_extract_epi32::<0>(self.0) as u32,
                    _mm_extract_epi32::<1>(self.0) as u32,
                    _mm_extract_epi32::<2>(self.0) as u32,
                    _mm_extract_epi32::<3>(self.0) as u32,
                ]
            }
        }
    }

    /// # Safety
    /// The processor has AVX2.
    #[inline(always)]
    unsafe fn lanes([a, b, c, d]: [i32; 4]) -> __m128i {
        // SAFETY: passed on to the caller.
        unsafe { _mm_set_epi32(d, c, b, a) }
    }

    impl Queue<u32> for Vector {
        #[inline(always)]
        fn move_to_front(&mut self, place: u8, new: u32) -> u32 {
            let step = &STEPS[usize::from(place & 7)];
            // SAFETY: by `new`, the processor has AVX2.
            unsafe {
                let new = _mm_set1_epi32(new as i32);
                let replaced = _mm_blendv_epi8(self.0, new, lanes(step.replaced));
                let moved = _mm_permutevar_ps(_mm_castsi128_ps(replaced), lanes(step.from));
                self.0 = _mm_castps_si128(moved);
                _mm_cvtsi128_si32(self.0) as u32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_ways_agree(steps in prop::collection::vec((0..=NEW, any::<u32>()), 0..50)) {
            let mut expected = vec![1, 2, 3, 4];
            let mut array = [1, 2, 3, 4];
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            // SAFETY: AVX2 is there.
            let mut vector = is_x86_feature_detected!("avx2")
                .then(|| unsafe { Vector::new([1, 2, 3, 4]) });
            for (place, new) in steps {
                let front = if place == NEW { new } else { expected.remove(usize::from(place)) };
                expected.insert(0, front);
                expected.truncate(4);
                prop_assert_eq!(array.move_to_front(place, new), front);
                prop_assert_eq!(&array[..], &expected[..]);
                #[cfg(target_arch = "x86_64")]
                if let Some(vector) = &mut vector {
                    prop_assert_eq!(vector.move_to_front(place, new), front);
                    prop_assert_eq!(&vector.to_array()[..], &expected[..]);
                }
            }
        }
    }
}
