/// Writes bits into 16-bit little-endian words, most significant bit first.
#[derive(Debug, Clone, Default)]
pub struct BitWriter {
    bits: Vec<bool>,
}

impl BitWriter {
    /// Writes the lowest `count` bits of `value`, the highest of them first.
    pub fn put(&mut self, value: u64, count: u32) {
        self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }

    /// Bits written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// Fills the current word with zeros; where there is none begun, writes a whole one.
    pub fn finish_word(&mut self) {
        self.bits.resize(self.bits.len() / 16 * 16 + 16, false);
    }

    /// Writes whole bytes as they are; the bits so far have to fill their words, and the number of
    /// bytes has to be even.
    ///
    /// # Panics
    /// If not.
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        assert!(self.bits.len().is_multiple_of(16) && bytes.len().is_multiple_of(2));
        for word in bytes.chunks_exact(2) {
            self.put(u64::from(u16::from_le_bytes([word[0], word[1]])), 16);
        }
    }

    /// The words as bytes, the last one filled with zeros.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let word = |bits: &[bool]| {
            let word = (0..16).fold(0, |word, i| word << 1 | u16::from(bits.get(i) == Some(&true)));
            word.to_le_bytes()
        };
        self.bits.chunks(16).flat_map(word).collect()
    }

    /// The bits of words given as bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut writer = Self::default();
        for word in bytes.chunks(2) {
            let word = u16::from_le_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
            writer.put(u64::from(word), 16);
        }
        writer
    }

    /// Writes what `other` holds from bit `start` on.
    pub fn append(&mut self, other: &Self, start: usize) {
        self.bits.extend_from_slice(&other.bits[start..]);
    }
}
