//! Windows Imaging (WIM) structures and codecs: bytes in, bytes out.
//!
//! No I/O and no threads: every parser takes a slice and every writer returns or appends bytes, so
//! the same code serves memory maps, network ranges, tests and fuzzers. Nothing here trusts its
//! input: a length, offset, count or name is checked before it is used.

#![deny(unsafe_code)]

pub mod blob_table;
pub mod codec;
pub mod error;
pub mod hash;
pub mod header;
pub mod hive;
pub mod integrity;
pub mod limits;
pub mod metadata;
pub mod name;
pub mod resource;
pub mod time;
pub mod xml;

mod bytes;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use codec::{Codec, Decoder, EncodeError, Encoder, Hints, LZMS_LIMIT, Level};
pub use error::{DecodeError, FormatError, Structure};
pub use hash::Sha1Hash;
