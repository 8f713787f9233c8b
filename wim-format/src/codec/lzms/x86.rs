//! The x86 filter of LZMS: relative operands of some instructions are stored as absolute ones. Both
//! ways are the same walk; only what becomes of an operand differs.
//!
//! It runs over every chunk of more than 17 bytes. Only where the same target (its low 16 bits)
//! was seen within the last 65535 bytes is the data taken to be code; then the operands of the
//! next instructions, up to a limit, are translated.
//!
//! Candidates are found 64 bytes at a time by comparing whole vectors, and listed for some blocks
//! before the first is looked at: so the loop over them, which has no branches that would be guessed
//! wrongly, can go on for long, and what it needs of a table too large for the nearest cache has been
//! asked for. The operand of an instruction is skipped, so translating it never changes a position
//! still to be looked at.

use crate::codec::cpu::prefetch;
use std::hint::select_unpredictable;

/// Shorter chunks are not filtered; instructions start before the last 16 bytes.
const TAIL: usize = 16;
/// How far after x86 code was recognised operands are still translated.
const REACH: i16 = 1023;
/// The same for `call rel32`, whose opcode is a single, common byte.
const CALL_REACH: i16 = 511;
/// A target seen again within this distance marks x86 code.
const USAGE_REACH: u32 = 65535;

/// Positions looked at together.
const BLOCK: usize = 64;
/// Bytes that decide on an instruction.
const OPCODE: usize = 3;
/// Positions whose candidates are listed together.
const SEGMENT: usize = 16 * BLOCK;
/// Candidates that every block has room for in the list, whether it has as many or not.
const LISTED: usize = 4;

/// Which way operands are translated.
trait Direction {
    /// What becomes of an operand at or near `at`.
    fn translate(operand: u32, at: u32) -> u32;
    /// Which of an operand before and after its translation is the relative one.
    fn relative(before: u32, after: u32) -> u32;
}

/// From absolute operands back to relative ones: what a decoder does.
struct ToRelative;

impl Direction for ToRelative {
    #[inline(always)]
    fn translate(operand: u32, at: u32) -> u32 {
        operand.wrapping_sub(at)
    }

    #[inline(always)]
    fn relative(_: u32, after: u32) -> u32 {
        after
    }
}

/// From relative operands to absolute ones: what an encoder does.
struct ToAbsolute;

impl Direction for ToAbsolute {
    #[inline(always)]
    fn translate(operand: u32, at: u32) -> u32 {
        operand.wrapping_add(at)
    }

    #[inline(always)]
    fn relative(before: u32, _: u32) -> u32 {
        before
    }
}

/// What becomes of an instruction.
#[derive(Debug, Clone, Copy)]
struct Instruction {
    /// Bytes before its operand.
    opcode_bytes: u8,
    /// How far after x86 code was recognised its operand is translated; nowhere if negative.
    reach: i16,
}

/// Instructions by their first byte; other bytes mean nothing.
static INSTRUCTIONS: [Instruction; 256] = {
    let mut instructions = [Instruction { opcode_bytes: 3, reach: REACH }; 256];
    instructions[0xE8] = Instruction { opcode_bytes: 1, reach: CALL_REACH };
    instructions[JUMP as usize] = Instruction { opcode_bytes: 1, reach: -1 };
    instructions[0xFF] = Instruction { opcode_bytes: 2, reach: REACH };
    instructions
};

/// `jmp rel32`, of which nothing is translated or noted; it is only skipped.
const JUMP: u8 = 0xE9;

/// Targets that are told apart.
const TARGETS: usize = 1 << 16;

/// Where each target was last seen. Reused from chunk to chunk: positions keep growing, so that
/// what earlier chunks left lies out of reach.
#[derive(Debug)]
pub(super) struct TargetUsage {
    /// By target, and one that nobody looks at.
    last: Box<[u32; TARGETS + 1]>,
    /// Position of the first byte of the next chunk.
    origin: u32,
}

impl TargetUsage {
    pub(super) fn new() -> Self {
        let last = vec![0; TARGETS + 1].into_boxed_slice();
        let last = last.try_into().unwrap_or_else(|_| Box::new([0; TARGETS + 1]));
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

    /// Notes that `target`, at most [`TARGETS`], is used at `position`; whether it was before, within reach.
    #[inline(always)]
    fn note(&mut self, target: usize, position: u32) -> bool {
        let last = std::mem::replace(&mut self.last[target], position);
        position - last <= USAGE_REACH
    }
}

/// Turns absolute operands back into relative ones.
#[inline(always)]
pub(super) fn undo<const MODERN: bool>(data: &mut [u8], usage: &mut TargetUsage) {
    filter::<MODERN, ToRelative>(data, usage);
}

/// Turns relative operands into absolute ones.
#[inline(always)]
pub(super) fn apply<const MODERN: bool>(data: &mut [u8], usage: &mut TargetUsage) {
    filter::<MODERN, ToAbsolute>(data, usage);
}

#[inline(always)]
fn filter<const MODERN: bool, D: Direction>(data: &mut [u8], usage: &mut TargetUsage) {
    if data.len() <= TAIL + 1 {
        return;
    }
    let mut filter = Filter::new(usage, data.len());
    let end = data.len() - TAIL;
    let mut list = List::new();
    let mut scanned = 0;
    while scanned < end {
        let from = scanned;
        scanned = list.fill::<MODERN>(data, from);
        if scanned == from {
            break;
        }
        for &position in list.positions() {
            filter.prefetch(data, from + usize::from(position));
        }
        for &position in list.positions() {
            let position = from + usize::from(position);
            if position >= filter.at && position < end {
                filter.translate::<D>(data, position);
            }
        }
    }
    for position in scanned..end {
        if position >= filter.at && starts_instruction(&data[position..]) {
            filter.translate::<D>(data, position);
        }
    }
}

/// Where instructions start within a segment.
struct List {
    positions: [u16; (SEGMENT + LISTED).next_power_of_two()],
    count: usize,
}

impl List {
    fn new() -> Self {
        Self { positions: [0; (SEGMENT + LISTED).next_power_of_two()], count: 0 }
    }

    fn positions(&self) -> &[u16] {
        &self.positions[..self.count]
    }

    /// Lists the instructions in the whole blocks of the segment at `from`; returns where those end.
    #[inline(always)]
    fn fill<const MODERN: bool>(&mut self, data: &[u8], from: usize) -> usize {
        self.count = 0;
        for block in (0..SEGMENT).step_by(BLOCK) {
            let Some(window) = data[from + block..].first_chunk() else { return from + block };
            self.add(block, candidates::<MODERN>(window));
        }
        from + SEGMENT
    }

    /// Adds the positions of a block as its bits say, some more than there are without looking.
    #[inline(always)]
    fn add(&mut self, block: usize, mut candidates: u64) {
        let mask = self.positions.len() - 1;
        let next = self.count + candidates.count_ones() as usize;
        let mut put = |at: usize| {
            self.positions[at & mask] = (block + candidates.trailing_zeros() as usize) as u16;
            candidates &= candidates.wrapping_sub(1);
        };
        for at in self.count..self.count + LISTED {
            put(at);
        }
        for at in self.count + LISTED..next {
            put(at);
        }
        self.count = next;
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
        let (first, second, third) = (load(window, at), load(window, at + 1), load(window, at + 2));
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

/// Whether an instruction that the filter knows starts at the first of some bytes.
fn starts_instruction(code: &[u8]) -> bool {
    let &[opcode, second, third, ..] = code else { return false };
    match (opcode, second) {
        (0xE8 | JUMP, _) | (0xFF, 0x15) => true,
        (0x48, 0x8B) => third & 0xF7 == 0x05,
        (0x48 | 0x4C, 0x8D) => third & 0x07 == 0x05,
        (0xF0, 0x83) => third == 0x05,
        _ => false,
    }
}

/// Progress over one chunk.
struct Filter<'a> {
    usage: &'a mut TargetUsage,
    /// Position of the chunk's first byte in `usage`.
    origin: u32,
    /// End of the last operand whose target had been seen before.
    last_x86: i64,
    /// Where the next instruction may start.
    at: usize,
}

impl<'a> Filter<'a> {
    /// Starts a chunk of `size` bytes.
    fn new(usage: &'a mut TargetUsage, size: usize) -> Self {
        let origin = usage.start(size as u32);
        Self { usage, origin, last_x86: -i64::from(REACH) - 1, at: 1 }
    }

    /// Asks for what is known of the target of the instruction at `at`, most likely one to translate.
    #[inline(always)]
    fn prefetch(&self, data: &[u8], at: usize) {
        let operand_at = at + usize::from(INSTRUCTIONS[usize::from(data[at])].opcode_bytes);
        if let Some(operand) = data[operand_at..].first_chunk() {
            prefetch(&self.usage.last[..], u16::from_le_bytes(*operand).into());
        }
    }

    /// Translates the instruction that starts at `at`.
    #[inline(always)]
    fn translate<D: Direction>(&mut self, data: &mut [u8], at: usize) {
        let is_jump = data[at] == JUMP;
        let Instruction { opcode_bytes, reach } = INSTRUCTIONS[usize::from(data[at])];
        let operand_at = at + usize::from(opcode_bytes);
        let Some(operand) = data[operand_at..].first_chunk_mut::<4>() else { return };
        let before = u32::from_le_bytes(*operand);
        let is_code = at as i64 - self.last_x86 <= i64::from(reach);
        let after = select_unpredictable(is_code, D::translate(before, at as u32), before);
        *operand = after.to_le_bytes();
        let relative = D::relative(before, after);
        let target = usize::from((relative as u16).wrapping_add(at as u16));
        let target = select_unpredictable(is_jump, TARGETS, target);
        let operand_end = operand_at + 3;
        let is_used = self.usage.note(target, self.origin + operand_end as u32) & !is_jump;
        self.last_x86 = select_unpredictable(is_used, operand_end as i64, self.last_x86);
        self.at = operand_end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::stages::{ApplyX86, UndoX86};
    use super::*;
    use crate::codec::cpu::Cpu;
    use proptest::prelude::*;

    /// The filter one position at a time, by the words of the format's description.
    fn naive(data: &mut [u8]) {
        let mut last_usage = vec![-65536_i64; 1 << 16];
        let mut last_x86 = -1024_i64;
        let mut at = 1;
        while at + TAIL < data.len() {
            let (opcode_bytes, limit) = match data[at..at + 3] {
                [0x48 | 0x4C, 0x8D, third] if third & 7 == 5 => (3, 1023),
                [0x48, 0x8B, 0x05 | 0x0D] => (3, 1023),
                [0xE8, ..] => (1, 511),
                [0xE9, ..] => {
                    at += 5;
                    continue;
                }
                [0xF0, 0x83, 0x05] => (3, 1023),
                [0xFF, 0x15, _] => (2, 1023),
                _ => {
                    at += 1;
                    continue;
                }
            };
            let operand_at = at + opcode_bytes;
            let operand = data[operand_at..].first_chunk_mut::<4>().unwrap();
            if at as i64 - last_x86 <= limit {
                *operand = u32::from_le_bytes(*operand).wrapping_sub(at as u32).to_le_bytes();
            }
            let target = (at + usize::from(operand[0]) + 256 * usize::from(operand[1])) % (1 << 16);
            let end = operand_at as i64 + 3;
            if end - last_usage[target] <= 65535 {
                last_x86 = end;
            }
            last_usage[target] = end;
            at = operand_at + 4;
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
        proptest::collection::vec(byte, 0..5000)
    }

    /// Whatever this machine can run.
    fn undo_every_way(chunk: &[u8], usages: &mut [TargetUsage; 2]) -> [Vec<u8>; 2] {
        let (mut portable, mut best) = (chunk.to_vec(), chunk.to_vec());
        undo::<false>(&mut portable, &mut usages[0]);
        Cpu::detect().run(UndoX86 { dst: &mut best, usage: &mut usages[1] });
        [portable, best]
    }

    proptest! {
        #[test]
        fn equals_one_position_at_a_time(chunks in proptest::collection::vec(code(), 1..4)) {
            let mut usages = [TargetUsage::new(), TargetUsage::new()];
            for chunk in chunks {
                let outcomes = undo_every_way(&chunk, &mut usages);
                let mut expected = chunk;
                naive(&mut expected);
                prop_assert_eq!(&outcomes[0], &expected);
                prop_assert_eq!(&outcomes[1], &expected);
            }
        }
    }

    proptest! {
        #[test]
        fn applied_and_undone_leaves_no_trace(chunks in proptest::collection::vec(code(), 1..4)) {
            let mut usages = [TargetUsage::new(), TargetUsage::new(), TargetUsage::new()];
            let [there, there_too, back] = &mut usages;
            for chunk in chunks {
                let (mut portable, mut best) = (chunk.clone(), chunk.clone());
                apply::<false>(&mut portable, there);
                Cpu::detect().run(ApplyX86 { data: &mut best, usage: there_too });
                prop_assert_eq!(&best, &portable);
                undo::<false>(&mut best, back);
                prop_assert_eq!(best, chunk);
            }
        }
    }

    #[test]
    fn positions_start_again_before_they_wrap() {
        let mut used = TargetUsage::new();
        let code = [0xE8, 0x10, 0, 0, 0].repeat(40);
        let mut expected = code.clone();
        undo::<false>(&mut expected, &mut TargetUsage::new());
        for near in [u32::MAX - 65_735, u32::MAX - 65_536, u32::MAX - 1] {
            undo::<false>(&mut code.clone(), &mut used);
            used.origin = near;
            let mut data = code.clone();
            undo::<false>(&mut data, &mut used);
            assert_eq!(data, expected);
            assert!(used.origin < near);
        }
    }
}
