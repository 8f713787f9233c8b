//! Contents for sample files: made by rule, so that every run makes the same, and neither all
//! zeros nor all noise, so that they compress and share as real files do.

use std::fmt::Write as _;

/// Words of the sample texts.
const WORDS: [&str; 48] = [
    "setup",
    "image",
    "edition",
    "the",
    "of",
    "and",
    "to",
    "service",
    "a",
    "component",
    "driver",
    "is",
    "language",
    "package",
    "update",
    "for",
    "in",
    "system",
    "file",
    "folder",
    "with",
    "that",
    "device",
    "boot",
    "when",
    "registry",
    "option",
    "value",
    "default",
    "user",
    "policy",
    "network",
    "volume",
    "partition",
    "recovery",
    "installed",
    "before",
    "after",
    "not",
    "required",
    "online",
    "offline",
    "feature",
    "version",
    "build",
    "resource",
    "manifest",
    "catalog",
];

/// Numbers in a fixed order that looks like none: xorshift64*, seeded by a name.
#[derive(Debug, Clone)]
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn of(name: &str) -> Self {
        let hash = blake3::hash(name.as_bytes());
        let seed =
            hash.as_bytes().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        // Zero would stay zero.
        Self(seed | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        // The high bits are the better ones.
        (self.next() >> 33) % limit
    }
}

/// Lines of words, about `len` bytes.
pub(super) fn prose(name: &str, len: usize) -> Vec<u8> {
    let mut numbers = Numbers::of(name);
    let mut text = String::with_capacity(len + 100);
    while text.len() < len {
        let words = 6 + numbers.below(8);
        for position in 0..words {
            let word = WORDS[numbers.below(WORDS.len() as u64) as usize];
            text.push_str(if position == 0 { "" } else { " " });
            text.push_str(word);
        }
        text.push_str(".\r\n");
    }
    text.into_bytes()
}

/// What stands in for machine code: runs of small records, text and noise, exactly `len` bytes.
pub(super) fn binary(name: &str, len: usize) -> Vec<u8> {
    let mut numbers = Numbers::of(name);
    let mut bytes = Vec::with_capacity(len + 256);
    while bytes.len() < len {
        match numbers.below(4) {
            0 => {
                let word = WORDS[numbers.below(WORDS.len() as u64) as usize];
                bytes.extend(word.encode_utf16().flat_map(u16::to_le_bytes));
                bytes.extend([0, 0]);
            }
            1 => (0..4).for_each(|_| bytes.extend(numbers.next().to_le_bytes())),
            2 => {
                let base = numbers.below(0x10_0000) as u32;
                for step in 0..8 {
                    bytes.extend([0x48, 0x8b, 0x05]);
                    bytes.extend((base + step * 16).to_le_bytes());
                }
            }
            _ => bytes.resize(bytes.len() + 24, 0),
        }
    }
    bytes.truncate(len);
    bytes
}

/// An INI file.
pub(super) fn ini(sections: &[(&str, &[(&str, &str)])]) -> Vec<u8> {
    let mut text = String::new();
    for (section, values) in sections {
        let _ = write!(text, "[{section}]\r\n");
        for (key, value) in *values {
            let _ = write!(text, "{key}={value}\r\n");
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_the_same_every_time_and_differ_by_name() {
        assert_eq!(binary("a", 10_000), binary("a", 10_000));
        assert_ne!(binary("a", 10_000), binary("b", 10_000));
        assert_eq!(binary("a", 10_000).len(), 10_000);
        assert!(binary("a", 0).is_empty());
        assert_eq!(prose("a", 500), prose("a", 500));
        assert!((500..700).contains(&prose("a", 500).len()));
    }

    #[test]
    fn ini_files_have_windows_line_ends() {
        assert_eq!(ini(&[("a", &[("b", "c")])]), b"[a]\r\nb=c\r\n");
    }
}
