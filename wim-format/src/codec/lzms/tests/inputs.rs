//! Contents of the fixtures in `tests/data/lzms`, made anew for each run: see the README there.

/// Pseudo-random numbers, the same on every machine (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % limit
    }
}

/// Lines of words, some far more common than others.
pub(in crate::codec::lzms) fn text() -> Vec<u8> {
    let mut random = Random(1);
    let mut text = Vec::new();
    for line in 0..900 {
        text.extend(format!("{line}:").bytes());
        for _ in 0..random.below(12) {
            let rank = random.below(40) * random.below(40) / 40;
            text.extend(format!(" {:x}", (rank + 7).wrapping_mul(0x9E37_79B1)).bytes());
        }
        text.push(b'\n');
    }
    text
}

/// Bytes like x86-64 code: calls and RIP-relative operands with few targets, each relative.
pub(in crate::codec::lzms) fn code() -> Vec<u8> {
    const OPCODES: [&[u8]; 8] = [
        &[0xE8],
        &[0xE9],
        &[0x48, 0x8D, 0x0D],
        &[0x4C, 0x8D, 0x05],
        &[0x48, 0x8B, 0x05],
        &[0x48, 0x8B, 0x1D],
        &[0xF0, 0x83, 0x05],
        &[0xFF, 0x15],
    ];
    let mut random = Random(2);
    let mut code = Vec::new();
    while code.len() < 60_000 {
        code.extend_from_slice(OPCODES[random.below(8) as usize]);
        let target = random.below(60) * random.below(60) * 16;
        code.extend(target.wrapping_sub(code.len() as u32 + 4).to_le_bytes());
        for _ in 0..random.below(6) {
            code.push([0x90, 0x55, 0x89, 0xC3, 0xCC, 0x48, 0xFF][random.below(7) as usize]);
        }
    }
    code
}

/// Tables and waves: what delta matches are for.
pub(in crate::codec::lzms) fn records() -> Vec<u8> {
    let mut records = Vec::new();
    for i in 0..6000_u32 {
        records.extend((i * 12 + i / 700).to_le_bytes());
    }
    for i in 0..9000_i32 {
        let wave = (i % 400 - 200).abs() * 90 + (i % 31) * 7;
        records.extend((wave as i16).to_le_bytes());
        records.extend((-wave as i16).to_le_bytes());
    }
    records
}

/// Noise that comes again from near and far, with single bytes changed.
pub(in crate::codec::lzms) fn repeats() -> Vec<u8> {
    let mut random = Random(3);
    let mut bytes: Vec<u8> = (0..2000).map(|_| random.below(256) as u8).collect();
    while bytes.len() < 100_000 {
        let from = random.below(bytes.len() as u32 - 64) as usize;
        let length = (1 << random.below(10)).min(bytes.len() - from);
        bytes.extend_from_within(from..from + length);
        bytes.push(random.below(256) as u8);
    }
    bytes
}

/// One byte all over.
pub(in crate::codec::lzms) fn zeros() -> Vec<u8> {
    vec![0; 100_000]
}
