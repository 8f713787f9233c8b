//! Why bytes are not what they claim to be.

use thiserror::Error;

/// A structure of the file is malformed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormatError {}

/// A compressed chunk cannot be decoded to its stated size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The compressed data ends before the output is full.
    #[error("compressed data ends too early")]
    Truncated,
    /// A prefix code is over-full, or incomplete where the format asks for a complete one.
    #[error("invalid prefix code")]
    BadCode,
    /// A match reaches back beyond the start of the chunk.
    #[error("match offset reaches before the start of the chunk")]
    OffsetBeforeStart,
    /// A match or run goes past the end of its block or chunk.
    #[error("match or run goes past the end of its block or chunk")]
    Overrun,
    /// A block header has an unknown type or an impossible size.
    #[error("invalid block header")]
    BadBlock,
    /// The chunk is larger than the decoder was made for, or its sizes make no sense.
    #[error("chunk sizes are out of range")]
    BadSize,
}
