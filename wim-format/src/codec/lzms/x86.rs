//! The x86 filter of LZMS: relative operands of some instructions are stored as absolute ones.
//!
//! It runs over every chunk of more than 17 bytes. Only where the same target (its low 16 bits)
//! was seen within the last 65535 bytes is the data taken to be code; then the operands of the
//! next instructions, up to a limit, are translated.

/// Shorter chunks are not filtered; instructions start before the last 16 bytes.
const TAIL: usize = 16;
/// How far after x86 code was recognised operands are still translated.
const REACH: i64 = 1023;
/// The same for `call rel32`, whose opcode is a single, common byte.
const CALL_REACH: i64 = 511;
/// A target seen again within this distance marks x86 code.
const USAGE_REACH: i64 = 65535;

/// Where each target was last seen. Reused from chunk to chunk: positions keep growing, so that
/// what earlier chunks left lies out of reach.
#[derive(Debug)]
pub(super) struct TargetUsage {
    last: Box<[i64; 1 << 16]>,
    /// Position of the first byte of the next chunk.
    origin: i64,
}

impl TargetUsage {
    pub(super) fn new() -> Self {
        let last = vec![0; 1 << 16].into_boxed_slice();
        let last = last.try_into().unwrap_or_else(|_| Box::new([0; 1 << 16]));
        Self { last, origin: USAGE_REACH + 1 }
    }
}

/// Turns absolute operands back into relative ones.
pub(super) fn undo(data: &mut [u8], usage: &mut TargetUsage) {
    if data.len() <= TAIL + 1 {
        return;
    }
    let end = data.len() - TAIL;
    let origin = usage.origin;
    let mut last_x86 = -REACH - 1;
    let mut at = 1;
    while at < end {
        let Some(instruction) = Instruction::at(&data[at..]) else {
            at += 1;
            continue;
        };
        let (opcode_bytes, reach) = match instruction {
            Instruction::Jump => {
                at += 5;
                continue;
            }
            Instruction::Call => (1, CALL_REACH),
            Instruction::Other(opcode_bytes) => (opcode_bytes, REACH),
        };
        let Some(operand) = data[at + opcode_bytes..].first_chunk_mut::<4>() else { return };
        let position = at as i64;
        if position - last_x86 <= reach {
            *operand = u32::from_le_bytes(*operand).wrapping_sub(at as u32).to_le_bytes();
        }
        let target = u16::from_le_bytes([operand[0], operand[1]]).wrapping_add(at as u16);
        at += opcode_bytes + 4;
        let operand_end = at as i64 - 1;
        let seen = &mut usage.last[usize::from(target)];
        if origin + operand_end - *seen <= USAGE_REACH {
            last_x86 = operand_end;
        }
        *seen = origin + operand_end;
    }
    usage.origin += data.len() as i64 + USAGE_REACH + 1;
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
