//! The symbols of an LZMS chunk: literals, offsets, powers and lengths.

use super::adaptive::AdaptiveCode;
use super::slots::{BYTES, LENGTHS, OFFSETS, POWERS, offset_symbols};

/// What a symbol means, and hence which of the codes it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Literal,
    LzOffset,
    Length,
    DeltaPower,
    DeltaOffset,
}

/// The codes, by [`Kind`].
pub(super) const CODES: usize = 5;

/// The codes before the first chunk.
pub(super) fn codes() -> [AdaptiveCode; CODES] {
    [
        AdaptiveCode::new(1024, &BYTES),
        AdaptiveCode::new(1024, &OFFSETS),
        AdaptiveCode::new(512, &LENGTHS),
        AdaptiveCode::new(512, &BYTES),
        AdaptiveCode::new(1024, &OFFSETS),
    ]
}

/// How many symbols each code has in a chunk of `size` bytes.
pub(super) fn alphabets(size: usize) -> [usize; CODES] {
    let offsets = offset_symbols(size);
    [BYTES.len(), offsets, LENGTHS.len(), POWERS, offsets]
}
