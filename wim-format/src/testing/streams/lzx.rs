//! LZX streams, as WIM has them.

use super::{BitWriter, Token, codewords, lengths_for};

/// Lengths of matches that LZX has.
pub const MATCH_LENGTHS: std::ops::RangeInclusive<usize> = 2..=257;

/// Symbols of the length code.
const LENGTH_SYMBOLS: usize = 249;

/// Kinds of compressed blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// All offset bits are raw.
    Verbatim,
    /// The last three offset bits are coded.
    Aligned,
}

/// A chunk in the making.
#[derive(Debug, Clone)]
pub struct LzxWriter {
    /// The bits so far, for a test to add its own.
    pub bits: BitWriter,
    order: u32,
    recent: [usize; 3],
    main_lengths: Vec<u8>,
    length_lengths: Vec<u8>,
}

/// A match or literal as symbols of the three codes and raw bits between them.
struct Step {
    main: usize,
    length: Option<usize>,
    raw: (u64, u32),
    aligned: Option<usize>,
}

impl LzxWriter {
    /// Starts a chunk of a WIM whose chunks have 2^`order` bytes, 15 to 21.
    #[must_use]
    pub fn new(order: u32) -> Self {
        Self {
            bits: BitWriter::default(),
            order,
            recent: [1; 3],
            main_lengths: vec![0; main_symbols(order)],
            length_lengths: vec![0; LENGTH_SYMBOLS],
        }
    }

    /// Writes a block of `size` uncompressed bytes with codes made for its tokens.
    pub fn block(&mut self, block: Block, tokens: &[Token], size: usize) {
        let steps: Vec<Step> = tokens.iter().map(|&token| self.step(block, token)).collect();
        let count = |symbols: &mut dyn Iterator<Item = usize>, alphabet| {
            let mut frequencies = vec![0; alphabet];
            symbols.for_each(|symbol| frequencies[symbol] += 1);
            frequencies
        };
        let main = count(&mut steps.iter().map(|step| step.main), main_symbols(self.order));
        let length = count(&mut steps.iter().filter_map(|step| step.length), LENGTH_SYMBOLS);
        let aligned = count(&mut steps.iter().filter_map(|step| step.aligned), 8);
        let main = lengths_for(&main, 16);
        let length = lengths_for(&length, 16);
        let aligned = lengths_for(&aligned, 7);
        self.block_header(if block == Block::Verbatim { 1 } else { 2 }, size);
        self.codes(block, &main, &length, &aligned);
        let codes = [&main, &length, &aligned].map(|lengths| codewords(lengths));
        for step in &steps {
            self.bits.put(codes[0][step.main], main[step.main].into());
            if let Some(symbol) = step.length {
                self.bits.put(codes[1][symbol], length[symbol].into());
            }
            self.bits.put(step.raw.0, step.raw.1);
            if let Some(symbol) = step.aligned {
                self.bits.put(codes[2][symbol], aligned[symbol].into());
            }
        }
    }

    /// Writes an uncompressed block, which sets the recent offsets.
    pub fn uncompressed(&mut self, bytes: &[u8], recent: [u32; 3]) {
        self.block_header(3, bytes.len());
        self.bits.finish_word();
        recent.iter().for_each(|offset| self.bits.put_bytes(&offset.to_le_bytes()));
        let mut bytes = bytes.to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        self.bits.put_bytes(&bytes);
        self.recent = recent.map(|offset| offset as usize);
    }

    /// Writes a block header: its type, and its size the short way where there is one.
    pub fn block_header(&mut self, kind: u64, size: usize) {
        self.bits.put(kind, 3);
        if size == 32768 {
            self.bits.put(1, 1);
        } else {
            self.bits.put(0, 1);
            self.bits.put(size as u64, if self.order == 15 { 16 } else { 24 });
        }
    }

    /// Writes the lengths of all codes.
    pub fn codes(&mut self, block: Block, main: &[u8], length: &[u8], aligned: &[u8]) {
        if block == Block::Aligned {
            aligned.iter().for_each(|&length| self.bits.put(length.into(), 3));
        }
        let old_main = std::mem::replace(&mut self.main_lengths, main.to_vec());
        let old_length = std::mem::replace(&mut self.length_lengths, length.to_vec());
        self.lengths(&old_main[..256], &main[..256]);
        self.lengths(&old_main[256..], &main[256..]);
        self.lengths(&old_length, length);
    }

    /// Writes one part of the code lengths, with runs where there are any.
    fn lengths(&mut self, old: &[u8], new: &[u8]) {
        let (lengths, codes) = self.pretree();
        let mut put = |symbol: usize, extra: u64, count: u32| {
            self.bits.put(codes[symbol], lengths[symbol].into());
            self.bits.put(extra, count);
        };
        let difference = |at: usize| usize::from((old[at] + 17 - new[at]) % 17);
        let mut at = 0;
        while at < new.len() {
            let run = new[at..].iter().take_while(|&&length| length == new[at]).count();
            at += match (new[at], run) {
                (0, 20..) => {
                    let run = run.min(51);
                    put(18, run as u64 - 20, 5);
                    run
                }
                (0, 4..) => {
                    put(17, run as u64 - 4, 4);
                    run
                }
                (_, 4..) => {
                    let run = run.min(5);
                    put(19, run as u64 - 4, 1);
                    put(difference(at), 0, 0);
                    run
                }
                _ => {
                    put(difference(at), 0, 0);
                    1
                }
            };
        }
    }

    /// Writes a pretree that has every symbol, and gives its lengths and codewords.
    pub fn pretree(&mut self) -> (Vec<u8>, Vec<u64>) {
        let lengths: Vec<u8> = (0..20).map(|symbol| if symbol < 8 { 5 } else { 4 }).collect();
        lengths.iter().for_each(|&length| self.bits.put(length.into(), 4));
        let codes = codewords(&lengths);
        (lengths, codes)
    }

    fn step(&mut self, block: Block, token: Token) -> Step {
        let (length, offset) = match token {
            Token::Literal(byte) => {
                return Step { main: byte.into(), length: None, raw: (0, 0), aligned: None };
            }
            Token::Match { length, offset } => (length, offset),
        };
        let (slot, mut raw) = match self.recent.iter().position(|&recent| recent == offset) {
            Some(recent) => {
                self.recent.swap(0, recent);
                (recent, (0, 0))
            }
            None => {
                self.recent = [offset, self.recent[0], self.recent[1]];
                slot_of(offset)
            }
        };
        let mut aligned = None;
        if block == Block::Aligned && slot >= 8 {
            aligned = Some(raw.0 as usize % 8);
            raw = (raw.0 / 8, raw.1 - 3);
        }
        let header = (length - 2).min(7);
        let length = (header == 7).then(|| length - 9);
        Step { main: 256 + 8 * slot + header, length, raw, aligned }
    }

    /// The chunk as bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.bits.bytes()
    }
}

/// Symbols of the main code with a window of 2^`order` bytes.
#[must_use]
pub fn main_symbols(order: u32) -> usize {
    256 + 8 * [30, 32, 34, 36, 38, 42, 50][order as usize - 15]
}

/// The slot of a new offset, and the rest of it with its number of bits.
fn slot_of(offset: usize) -> (usize, (u64, u32)) {
    let mut base = 1;
    for slot in 3.. {
        let bits = if slot < 4 { 0 } else { (slot as u32 / 2 - 1).min(17) };
        if offset < base + (1 << bits) {
            return (slot, ((offset - base) as u64, bits));
        }
        base += 1 << bits;
    }
    unreachable!("there is a slot for every offset")
}

/// Translates the calls in a chunk as an encoder does before anything else.
pub fn translate_calls(chunk: &mut [u8]) {
    let mut at = 0;
    while at + 10 < chunk.len() {
        if chunk[at] != 0xE8 {
            at += 1;
            continue;
        }
        let operand = &mut chunk[at + 1..at + 5];
        let relative = i32::from_le_bytes([operand[0], operand[1], operand[2], operand[3]]);
        let position = at as i32;
        if (-position..12_000_000).contains(&relative) {
            let absolute = if relative < 12_000_000 - position {
                relative + position
            } else {
                relative - 12_000_000
            };
            operand.copy_from_slice(&absolute.to_le_bytes());
        }
        at += 5;
    }
}

/// Compresses a chunk: calls translated, then blocks of about `block_tokens` tokens, verbatim and
/// aligned in turns.
#[must_use]
pub fn compress(chunk: &[u8], order: u32, block_tokens: usize) -> Vec<u8> {
    let mut chunk = chunk.to_vec();
    translate_calls(&mut chunk);
    let tokens = super::parse(&chunk, MATCH_LENGTHS);
    let mut writer = LzxWriter::new(order);
    for (tokens, block) in
        tokens.chunks(block_tokens).zip([Block::Verbatim, Block::Aligned].iter().cycle())
    {
        let size = tokens.iter().map(size_of_token).sum();
        writer.block(*block, tokens, size);
    }
    writer.bytes()
}

/// Bytes that a token stands for.
#[must_use]
pub fn size_of_token(token: &Token) -> usize {
    match token {
        Token::Literal(_) => 1,
        Token::Match { length, .. } => *length,
    }
}
