//! Caps on what a file may make us do.
//!
//! Every allocation is bounded by bytes that are really there. Where a number alone could ask for
//! more (an uncompressed size, a depth), the cap is here, with its reason.

/// Most images in one WIM; the largest number that wimlib and the Microsoft tools accept.
pub const MAX_IMAGES: u32 = 65_535;

/// Directories nest less deep than this; wimlib refuses the same depth.
pub const MAX_DEPTH: u16 = 16_384;

/// A metadata resource may unpack to at most this many times the size of the whole file.
///
/// wimlib uses the same bound. Real metadata compresses 3:1 to 10:1.
pub const MAX_METADATA_RATIO: u64 = 512;

/// Largest size of a resource in the file: its field has 56 bits.
pub const MAX_RESOURCE_SIZE: u64 = (1 << 56) - 1;

/// Longest name in bytes, without its NUL: an even number that fits 16 bits.
pub const MAX_NAME_BYTES: usize = 65_534;

/// Largest metadata resource that is parsed; offsets into it are kept in 32 bits.
///
/// 4 GiB of metadata describe more than 20 million files.
pub const MAX_PARSED_BYTES: u64 = u32::MAX as u64;

/// Largest XML document that is parsed, counted in UTF-8.
///
/// 65535 images with a full WINDOWS block each take about 200 MB.
pub const MAX_XML_BYTES: usize = 1 << 30;

/// Deepest nesting of XML elements. Real documents have five levels.
pub const MAX_XML_DEPTH: usize = 256;

/// Whether a metadata resource of `uncompressed_size` bytes is credible in a file of `file_len`.
#[must_use]
pub const fn is_credible_metadata_size(uncompressed_size: u64, file_len: u64) -> bool {
    uncompressed_size / MAX_METADATA_RATIO <= file_len && uncompressed_size <= MAX_PARSED_BYTES
}
