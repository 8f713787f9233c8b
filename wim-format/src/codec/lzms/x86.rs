//! The x86 filter of LZMS: relative operands of some instructions are stored as absolute ones.
//!
//! It runs over every chunk of more than 17 bytes. Only where the same target (its low 16 bits)
//! was seen within the last 65535 bytes is the data taken to be code; then the operands of the
//! next instructions, up to a limit, are translated.
//!
//! Candidates are found 64 bytes at a time: comparisons of whole vectors that the compiler makes
//! from a plain loop, folded to one bit per position. The operand of an instruction is skipped, so
//! translating it never changes a position still to be looked at.

/// Shorter chunks are not filtered; instructions start before the last 16 bytes.
const TAIL: usize = 16;
/// How far after x86 code was recognised operands are still translated.
const REACH: i64 = 1023;
/// The same for `call rel32`, whose opcode is a single, common byte.
const CALL_REACH: i64 = 511;
/// A target seen again within this distance marks x86 code.
const USAGE_REACH: u32 = 65535;

/// Positions looked at together.
const BLOCK: usize = 64;
/// Bytes that decide on an instruction.
const OPCODE: usize = 3;

/// Where each target was last seen. Reused from chunk to chunk: positions keep growing, so that
/// what earlier chunks left lies out of reach.
#[derive(Debug)]
pub(super) struct TargetUsage {
    last: Box<[u32; 1 << 16]>,
    /// Position of the first byte of the next chunk.
    origin: u32,
}

impl TargetUsage {
    pub(super) fn new() -> Self {
        let last = vec![0; 1 << 16].into_boxed_slice();
        let last = last.try_into().unwrap_or_else(|_| Box::new([0; 1 << 16]));
        Self { last, origin: USAGE_REACH + 1 }
    }

    /// Makes room for the positions of a chunk of `size` bytes, at most 1 GiB.
    fn start(&mut self, size: u32) -> u32 {
        let next = size + USAGE_REACH + 1;
        if self.origin.checked_add(next).is_none() {
            self.last.fill(0);
            self.origin = USAGE_REACH + 1;
        }
        let origin = self.origin;
        self.origin += next;
        origin
    }

    /// Notes that `target` is used at `position`; whether it was before, within reach.
    #[inline(always)]
    fn note(&mut self, target: u16, position: u32) -> bool {
        let last = std::mem::replace(&mut self.last[usize::from(target)], position);
        position - last <= USAGE_REACH
    }
}

/// Turns absolute operands back into relative ones.
#[inline(always)]
pub(super) fn undo<const MODERN: bool>(data: &mut [u8], usage: &mut TargetUsage) {
    if data.len() <= TAIL + 1 {
        return;
    }
    let origin = usage.start(data.len() as u32);
    let mut filter = Filter { usage, origin, last_x86: -REACH - 1 };
    let end = data.len() - TAIL;
    let mut at = 1_usize;
    let mut block = 0;
    while let Some(window) = data[block..].first_chunk() {
        let mut candidates = candidates::<MODERN>(window);
        loop {
            candidates &= u64::MAX.checked_shl(at.saturating_sub(block) as u32).unwrap_or(0);
            let position = block + candidates.trailing_zeros() as usize;
            if candidates == 0 || position >= end {
                break;
            }
            at = filter.instruction(data, position);
        }
        block += BLOCK;
    }
    at = at.max(block);
    while at < end {
        at = filter.instruction(data, at);
    }
}

/// Which of the first 64 positions start an instruction that the filter knows, bit by bit. `MODERN`
/// is for code that runs where AVX2 is.
#[inline(always)]
#[allow(unsafe_code)]
fn candidates<const MODERN: bool>(window: &[u8; BLOCK + OPCODE - 1]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if MODERN {
        // SAFETY: AVX2 is there.
        return unsafe { avx2::candidates(window) };
    }
    portable_candidates(window)
}

#[inline(always)]
fn portable_candidates(window: &[u8; BLOCK + OPCODE - 1]) -> u64 {
    let mut starts = [0; BLOCK];
    for (at, start) in starts.iter_mut().enumerate() {
        let (first, second, third) = (window[at], window[at + 1], window[at + 2]);
        let rip_relative = third & 0x07 == 0x05;
        let known = (first == 0xE8)
            | (first == 0xE9)
            | ((first == 0x48) & (second == 0x8B) & (third & 0xF7 == 0x05))
            | ((first & 0xFB == 0x48) & (second == 0x8D) & rip_relative)
            | ((first == 0xF0) & (second == 0x83) & (third == 0x05))
            | ((first == 0xFF) & (second == 0x15));
        *start = u8::from(known);
    }
    let (eights, _) = starts.as_chunks::<8>();
    // The product moves bit 8i to bit 56 + i.
    let bits =
        |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    eights.iter().rev().fold(0, |mask, eight| mask << 8 | bits(eight))
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{BLOCK, OPCODE};
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8,
    };

    /// Positions looked at together.
    const LANES: usize = 32;

    /// As [`super::portable_candidates`].
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn candidates(window: &[u8; BLOCK + OPCODE - 1]) -> u64 {
        u64::from(starts(window, LANES)) << LANES | u64::from(starts(window, 0))
    }

    /// The positions from `at` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn starts(window: &[u8; BLOCK + OPCODE - 1], at: usize) -> u32 {
        let (first, second, third) =
            (load(window, at), load(window, at + 1), load(window, at + 2));
        let branch = is(masked(first, 0xFE), 0xE8);
        let lea = both(is(masked(first, 0xFB), 0x48), is(second, 0x8D));
        let lea = both(lea, is(masked(third, 0x07), 0x05));
        let mov = both(is(first, 0x48), is(second, 0x8B));
        let mov = both(mov, is(masked(third, 0xF7), 0x05));
        let lock = both(both(is(first, 0xF0), is(second, 0x83)), is(third, 0x05));
        let call = both(is(first, 0xFF), is(second, 0x15));
        let known = either(either(branch, lea), either(mov, either(lock, call)));
        _mm256_movemask_epi8(known) as u32
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    #[allow(unsafe_code)]
    fn load(window: &[u8; BLOCK + OPCODE - 1], at: usize) -> __m256i {
        let bytes = &window[at..at + LANES];
        // SAFETY: there are as many bytes as a vector has.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn is(bytes: __m256i, value: u8) -> __m256i {
        _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(value as i8))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn masked(bytes: __m256i, mask: u8) -> __m256i {
        _mm256_and_si256(bytes, _mm256_set1_epi8(mask as i8))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn both(a: __m256i, b: __m256i) -> __m256i {
        _mm256_and_si256(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn either(a: __m256i, b: __m256i) -> __m256i {
        _mm256_or_si256(a, b)
    }
}

/// Progress over one chunk.
struct Filter<'a> {
    usage: &'a mut TargetUsage,
    /// Position of the chunk's first byte in `usage`.
    origin: u32,
    /// End of the last operand whose target had been seen before.
    last_x86: i64,
}

impl Filter<'_> {
    /// Translates the instruction at `at`, if there is one; returns where to go on.
    #[inline(always)]
    fn instruction(&mut self, data: &mut [u8], at: usize) -> usize {
        let (opcode_bytes, reach) = match Instruction::at(&data[at..]) {
            None => return at + 1,
            Some(Instruction::Jump) => return at + 5,
            Some(Instruction::Call) => (1, CALL_REACH),
            Some(Instruction::Other(opcode_bytes)) => (opcode_bytes, REACH),
        };
        let operand_at = at + opcode_bytes;
        let Some(operand) = data[operand_at..].first_chunk_mut::<4>() else { return operand_at };
        let mut value = u32::from_le_bytes(*operand);
        if at as i64 - self.last_x86 <= reach {
            value = value.wrapping_sub(at as u32);
            *operand = value.to_le_bytes();
        }
        let target = (value as u16).wrapping_add(at as u16);
        let operand_end = operand_at + 3;
        if self.usage.note(target, self.origin + operand_end as u32) {
            self.last_x86 = operand_end as i64;
        }
        operand_end + 1
    }
}

/// Instructions that the filter knows.
enum Instruction {
    /// `call rel32`.
    Call,
    /// `jmp rel32`, skipped as a whole.
    Jump,
    /// One with a RIP-relative operand after this many bytes.
    Other(usize),
}

impl Instruction {
    /// What starts at the first of at least three bytes.
    #[inline(always)]
    fn at(code: &[u8]) -> Option<Self> {
        let &[opcode, second, third, ..] = code else { return None };
        match (opcode, second) {
            (0xE8, _) => Some(Self::Call),
            (0xE9, _) => Some(Self::Jump),
            (0x48, 0x8B) if third & 0xF7 == 0x05 => Some(Self::Other(3)),
            (0x48 | 0x4C, 0x8D) if third & 0x07 == 0x05 => Some(Self::Other(3)),
            (0xF0, 0x83) if third == 0x05 => Some(Self::Other(3)),
            (0xFF, 0x15) => Some(Self::Other(2)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The filter one position at a time.
    fn naive(data: &mut [u8], usage: &mut TargetUsage) {
        if data.len() <= TAIL + 1 {
            return;
        }
        let origin = usage.start(data.len() as u32);
        let mut filter = Filter { usage, origin, last_x86: -REACH - 1 };
        let end = data.len() - TAIL;
        let mut at = 1;
        while at < end {
            at = filter.instruction(data, at);
        }
    }

    /// Bytes that are often opcodes, and small operands so that targets repeat.
    fn code() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            Just(0xE8),
            Just(0xE9),
            Just(0x48),
            Just(0x4C),
            Just(0x8B),
            Just(0x8D),
            Just(0x05),
            Just(0x0D),
            Just(0xF0),
            Just(0x83),
            Just(0xFF),
            Just(0x15),
            Just(0),
            Just(1),
            any::<u8>()
        ];
        proptest::collection::vec(byte, 0..2000)
    }

    proptest! {
        #[test]
        fn blocks_equal_single_positions(chunks in proptest::collection::vec(code(), 1..4)) {
            let mut usages = [TargetUsage::new(), TargetUsage::new()];
            for chunk in chunks {
                let (mut fast, mut slow) = (chunk.clone(), chunk);
                undo(&mut fast, &mut usages[0]);
                naive(&mut slow, &mut usages[1]);
                prop_assert_eq!(fast, slow);
            }
        }
    }

    #[test]
    fn positions_start_again_before_they_wrap() {
        let mut used = TargetUsage::new();
        let code = [0xE8, 0x10, 0, 0, 0].repeat(40);
        let mut expected = code.clone();
        undo(&mut expected, &mut TargetUsage::new());
        for near in [u32::MAX - 65_735, u32::MAX - 65_536, u32::MAX - 1] {
            undo(&mut code.clone(), &mut used);
            used.origin = near;
            let mut data = code.clone();
            undo(&mut data, &mut used);
            assert_eq!(data, expected);
            assert!(used.origin < near);
        }
    }
}
