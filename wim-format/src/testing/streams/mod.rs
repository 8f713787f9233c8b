//! Compressed streams put together by hand, token by token: valid ones of every kind, and with the
//! bits at hand also those that no encoder would write.

mod bits;
pub mod lzx;
mod prefix;
pub mod xpress;

pub use bits::BitWriter;
pub use prefix::{codewords, lengths_for};

/// One step of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// One byte.
    Literal(u8),
    /// `length` bytes copied from `offset` bytes back.
    Match {
        /// How many.
        length: usize,
        /// From where.
        offset: usize,
    },
}

/// What a row of tokens stands for. Every offset has to be within the output so far.
#[must_use]
pub fn expand(tokens: &[Token]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &token in tokens {
        match token {
            Token::Literal(byte) => bytes.push(byte),
            Token::Match { length, offset } => {
                for _ in 0..length {
                    bytes.push(bytes[bytes.len() - offset]);
                }
            }
        }
    }
    bytes
}

/// Cuts `bytes` into literals and matches of `lengths`, each match the nearest one that starts with
/// the same three bytes.
#[must_use]
pub fn parse(bytes: &[u8], lengths: std::ops::RangeInclusive<usize>) -> Vec<Token> {
    let mut seen = std::collections::HashMap::new();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let found = bytes.get(at..at + 3).and_then(|key| seen.get(key).copied());
        let same = found.map_or(0, |from: usize| {
            let pairs = bytes[from..].iter().zip(&bytes[at..]);
            pairs.take(*lengths.end()).take_while(|(a, b)| a == b).count()
        });
        let (token, len) = match found {
            Some(from) if lengths.contains(&same) => {
                (Token::Match { length: same, offset: at - from }, same)
            }
            _ => (Token::Literal(bytes[at]), 1),
        };
        for place in at..at + len {
            if let Some(key) = bytes.get(place..place + 3) {
                seen.insert(key, place);
            }
        }
        tokens.push(token);
        at += len;
    }
    tokens
}
