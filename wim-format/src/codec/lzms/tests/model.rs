//! A second LZMS, as plain as can be, that encodes: it keeps every state the way the format's text
//! describes it, and shares nothing with the decoder but the slot tables.

use crate::codec::lzms::slots::{LENGTHS, OFFSETS, Slot, offset_symbols};

/// One item of a chunk.
#[derive(Debug, Clone, Copy)]
pub(in crate::codec::lzms) enum Item {
    Literal(u8),
    Lz {
        offset: u32,
        length: u32,
    },
    /// Index among the three visible recent offsets.
    LzRepeat {
        index: usize,
        length: u32,
    },
    Delta {
        power: u32,
        offset: u32,
        length: u32,
    },
    /// Index among the three visible recent pairs.
    DeltaRepeat {
        index: usize,
        length: u32,
    },
}

/// Recent offsets: an offset becomes visible one item after its match. Four are known, the coming
/// one included, and the first three of the visible ones can be named.
#[derive(Clone)]
pub(in crate::codec::lzms) struct Recent<T> {
    visible: Vec<T>,
    coming: Option<T>,
}

impl<T: Copy> Recent<T> {
    fn new(start: [T; 4]) -> Self {
        Self { visible: start.to_vec(), coming: None }
    }

    pub(in crate::codec::lzms) fn get(&self, index: usize) -> T {
        self.visible[index]
    }

    /// An item passes that brings `next`, or nothing to this queue.
    fn pass(&mut self, next: Option<T>) {
        if let Some(come) = self.coming.take() {
            self.visible.insert(0, come);
            self.visible.truncate(4);
        }
        self.coming = next;
    }

    fn take(&mut self, index: usize) -> T {
        let value = self.visible.remove(index);
        self.pass(Some(value));
        value
    }
}

/// What a sequence of items stands for, before the x86 filter is undone.
pub(in crate::codec::lzms) struct Output {
    pub(in crate::codec::lzms) bytes: Vec<u8>,
    pub(in crate::codec::lzms) lz: Recent<u32>,
    pub(in crate::codec::lzms) delta: Recent<(u32, u32)>,
}

impl Output {
    pub(in crate::codec::lzms) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            lz: Recent::new([1, 2, 3, 4]),
            delta: Recent::new([(0, 1), (0, 2), (0, 3), (0, 4)]),
        }
    }

    pub(in crate::codec::lzms) fn apply(&mut self, item: Item) {
        match item {
            Item::Literal(byte) => {
                self.bytes.push(byte);
                self.lz.pass(None);
                self.delta.pass(None);
            }
            Item::Lz { offset, length } => {
                self.delta.pass(None);
                self.lz.pass(Some(offset));
                self.copy(offset, length);
            }
            Item::LzRepeat { index, length } => {
                self.delta.pass(None);
                let offset = self.lz.take(index);
                self.copy(offset, length);
            }
            Item::Delta { power, offset, length } => {
                self.lz.pass(None);
                self.delta.pass(Some((power, offset)));
                self.copy_delta(power, offset, length);
            }
            Item::DeltaRepeat { index, length } => {
                self.lz.pass(None);
                let (power, offset) = self.delta.take(index);
                self.copy_delta(power, offset, length);
            }
        }
    }

    fn copy(&mut self, offset: u32, length: u32) {
        for _ in 0..length {
            self.bytes.push(self.bytes[self.bytes.len() - offset as usize]);
        }
    }

    fn copy_delta(&mut self, power: u32, offset: u32, length: u32) {
        let (span, distance) = (1 << power, (offset as usize) << power);
        for _ in 0..length {
            let at = self.bytes.len();
            let back = |n: usize| self.bytes[at - n];
            let byte = back(span).wrapping_add(back(distance)).wrapping_sub(back(distance + span));
            self.bytes.push(byte);
        }
    }
}

/// Encodes the items of a chunk whose output has `size` bytes.
pub(in crate::codec::lzms) fn encode(items: &[Item], size: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(size);
    for &item in items {
        encoder.item(item);
    }
    encoder.finish()
}

/// A decision class: all decisions so far, and the history of each entry.
struct Class {
    context_bits: usize,
    context: usize,
    histories: Vec<Vec<bool>>,
}

impl Class {
    fn new(context_bits: usize) -> Self {
        let start = (0..64).rev().map(|bit| 0x5555_5555_u64 >> bit & 1 == 1).collect::<Vec<bool>>();
        Self { context_bits, context: 0, histories: vec![start; 1 << context_bits] }
    }
}

/// An adaptive code as lengths and codewords.
struct Code {
    period: usize,
    uses: usize,
    frequencies: Vec<u32>,
    codewords: Vec<(u32, u32)>,
}

impl Code {
    fn new(symbols: usize, period: usize) -> Self {
        let mut code =
            Self { period, uses: 0, frequencies: vec![1; symbols], codewords: Vec::new() };
        code.build();
        code
    }

    fn build(&mut self) {
        let mut order: Vec<usize> = (0..self.frequencies.len()).collect();
        order.sort_by_key(|&symbol| (self.frequencies[symbol], symbol));
        // Nodes: weight and leaves below. Two queues; leaves first where weights are equal.
        let mut depths = vec![0; order.len()];
        let mut leaves = std::collections::VecDeque::new();
        for (place, &symbol) in order.iter().enumerate() {
            leaves.push_back((self.frequencies[symbol], vec![place]));
        }
        let mut inner = std::collections::VecDeque::<(u32, Vec<usize>)>::new();
        while leaves.len() + inner.len() > 1 {
            let mut parent = (0, Vec::new());
            for _ in 0..2 {
                let inner_weight = inner.front().map_or(u32::MAX, |node| node.0);
                let from_leaves = leaves.front().is_some_and(|leaf| leaf.0 <= inner_weight);
                let queue = if from_leaves { &mut leaves } else { &mut inner };
                let (weight, below) = queue.pop_front().unwrap();
                below.iter().for_each(|&place| depths[place] += 1);
                parent.0 += weight;
                parent.1.extend(below);
            }
            inner.push_back(parent);
        }
        if order.len() == 1 {
            depths[0] = 1;
        }
        depths.sort_unstable_by(|a, b| b.cmp(a));
        let mut lengths = vec![0; order.len()];
        for (&symbol, &depth) in order.iter().zip(&depths) {
            lengths[symbol] = depth;
        }
        let mut by_length: Vec<usize> = (0..lengths.len()).collect();
        by_length.sort_by_key(|&symbol| (lengths[symbol], symbol));
        self.codewords = vec![(0, 0); lengths.len()];
        let (mut codeword, mut length) = (0, 0);
        for symbol in by_length {
            codeword <<= lengths[symbol] - length;
            length = lengths[symbol];
            self.codewords[symbol] = (codeword, length);
            codeword += 1;
        }
    }

    /// The codeword of a symbol, which is then counted.
    fn code(&mut self, symbol: usize) -> (u32, u32) {
        let codeword = self.codewords[symbol];
        self.frequencies[symbol] += 1;
        self.uses += 1;
        if self.uses == self.period {
            self.build();
            self.frequencies.iter_mut().for_each(|frequency| *frequency = *frequency / 2 + 1);
            self.uses = 0;
        }
        codeword
    }
}

struct Encoder {
    /// The range coder: a number of 33 bits whose top may still carry, the word before it, and how
    /// many words of ones lie between.
    low: u64,
    range: u32,
    held: Option<u16>,
    ones: usize,
    words: Vec<u8>,
    /// The backward bits in order.
    bits: Vec<bool>,
    is_match: Class,
    is_delta: Class,
    lz_repeats: Class,
    lz_place: [Class; 2],
    delta_repeats: Class,
    delta_place: [Class; 2],
    literal: Code,
    lz_offset: Code,
    length: Code,
    delta_offset: Code,
    delta_power: Code,
}

impl Encoder {
    fn new(size: usize) -> Self {
        let offsets = offset_symbols(size);
        Self {
            low: 0,
            range: u32::MAX,
            held: None,
            ones: 0,
            words: Vec::new(),
            bits: Vec::new(),
            is_match: Class::new(4),
            is_delta: Class::new(5),
            lz_repeats: Class::new(6),
            lz_place: [Class::new(6), Class::new(6)],
            delta_repeats: Class::new(6),
            delta_place: [Class::new(6), Class::new(6)],
            literal: Code::new(256, 1024),
            lz_offset: Code::new(offsets, 1024),
            length: Code::new(54, 512),
            delta_offset: Code::new(offsets, 1024),
            delta_power: Code::new(8, 512),
        }
    }

    fn item(&mut self, item: Item) {
        let is_literal = matches!(item, Item::Literal(_));
        self.decide(|e| &mut e.is_match, !is_literal);
        let is_delta = matches!(item, Item::Delta { .. } | Item::DeltaRepeat { .. });
        if !is_literal {
            self.decide(|e| &mut e.is_delta, is_delta);
        }
        match item {
            Item::Literal(byte) => {
                let codeword = self.literal.code(byte.into());
                self.put(codeword);
            }
            Item::Lz { offset, length } => {
                self.decide(|e| &mut e.lz_repeats, false);
                self.slot(|e| &mut e.lz_offset, &OFFSETS, offset);
                self.slot(|e| &mut e.length, &LENGTHS, length);
            }
            Item::LzRepeat { index, length } => {
                self.decide(|e| &mut e.lz_repeats, true);
                self.decide(|e| &mut e.lz_place[0], index > 0);
                if index > 0 {
                    self.decide(|e| &mut e.lz_place[1], index > 1);
                }
                self.slot(|e| &mut e.length, &LENGTHS, length);
            }
            Item::Delta { power, offset, length } => {
                self.decide(|e| &mut e.delta_repeats, false);
                let codeword = self.delta_power.code(power as usize);
                self.put(codeword);
                self.slot(|e| &mut e.delta_offset, &OFFSETS, offset);
                self.slot(|e| &mut e.length, &LENGTHS, length);
            }
            Item::DeltaRepeat { index, length } => {
                self.decide(|e| &mut e.delta_repeats, true);
                self.decide(|e| &mut e.delta_place[0], index > 0);
                if index > 0 {
                    self.decide(|e| &mut e.delta_place[1], index > 1);
                }
                self.slot(|e| &mut e.length, &LENGTHS, length);
            }
        }
    }

    fn decide(&mut self, class: fn(&mut Self) -> &mut Class, bit: bool) {
        let class = class(self);
        let history = &mut class.histories[class.context];
        let zeros = history[history.len() - 64..].iter().filter(|&&bit| !bit).count() as u32;
        history.push(bit);
        class.context = (class.context << 1 | usize::from(bit)) & ((1 << class.context_bits) - 1);
        if self.range <= 0xFFFF {
            self.range <<= 16;
            self.shift();
        }
        let bound = (self.range >> 6) * zeros.clamp(1, 63);
        if bit {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
    }

    /// Moves the top word of `low` out, or holds it back while a carry may still change it.
    fn shift(&mut self) {
        let top = (self.low >> 16) as u32;
        if top == 0xFFFF {
            self.ones += 1;
        } else {
            let carry = (top >> 16) as u16;
            if let Some(held) = self.held {
                self.words.extend((held + carry).to_le_bytes());
            }
            for _ in 0..std::mem::take(&mut self.ones) {
                self.words.extend(0xFFFF_u16.wrapping_add(carry).to_le_bytes());
            }
            self.held = Some(top as u16);
        }
        self.low = (self.low & 0xFFFF) << 16;
    }

    fn put(&mut self, (value, count): (u32, u32)) {
        self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }

    fn slot(&mut self, code: fn(&mut Self) -> &mut Code, slots: &[Slot], value: u32) {
        let slot = slots[slots.partition_point(|slot| slot.base() <= value) - 1];
        let codeword = code(self).code(slot.symbol());
        self.put(codeword);
        self.put((value - slot.base(), slot.extra_bits()));
    }

    fn finish(mut self) -> Vec<u8> {
        for _ in 0..3 {
            self.shift();
        }
        let mut chunk = self.words;
        let words: Vec<u16> = self
            .bits
            .chunks(16)
            .map(|bits| (0..16).fold(0, |w, i| w << 1 | u16::from(bits.get(i) == Some(&true))))
            .collect();
        chunk.extend(words.iter().rev().flat_map(|word| word.to_le_bytes()));
        chunk
    }
}
