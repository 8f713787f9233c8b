//! Compression as the command line gives it: `lzx:50`, `32K`, a GUID.

use std::num::NonZeroU32;

use wim_format::{Codec, Level};

use wim_extract::Progress;
use wim_extract::export::{Compression, Grouping, Solid, SolidOrder};

use crate::args::SolidArgs;
use crate::bar::Bar;
use crate::failure::Failure;

/// What `--compress` and `--solid-compress` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method {
    /// `None` for no compression.
    pub(crate) codec: Option<Codec>,
    /// Wimlib's number for how hard to try.
    level: Option<NonZeroU32>,
    /// Whether LZMS goes by DISM's name for ESDs.
    is_recovery: bool,
}

impl Method {
    /// How hard to try.
    pub(crate) fn level(self) -> Level {
        match (self.codec, self.level) {
            (Some(codec), Some(number)) => Level::from_number(codec, number),
            _ => Level::default(),
        }
    }

    /// With which chunks: of `size` bytes, if given.
    pub(crate) fn chunks(self, size: Option<u32>) -> Result<Compression, Failure> {
        chunks(self.codec, size.or(self.codec.map(default_chunk_size)))
    }
}

impl SolidArgs {
    /// What the options about solid resources ask for; without `--solid` they have no effect, but have
    /// to make sense, as with wimlib-imagex, and it is `otherwise`.
    pub(crate) fn grouping(&self, otherwise: Grouping) -> Result<Grouping, Failure> {
        let solid = solid(self.solid_compress, self.solid_chunk_size)?;
        if !self.solid {
            return Ok(otherwise);
        }
        let order = if self.no_solid_sort { SolidOrder::Source } else { SolidOrder::Name };
        Ok(Grouping::Solid(Solid { order, ..solid }))
    }
}

/// A solid resource of this compression, LZMS by default, in chunks of `size` bytes, if given.
pub(crate) fn solid(method: Option<Method>, size: Option<u32>) -> Result<Solid, Failure> {
    let codec = method.map_or(Some(Codec::Lzms), |method| method.codec);
    let Some(codec) = codec else {
        let message = "a solid resource is compressed with xpress, lzx or lzms, not with none";
        return Err(Failure::Compression(message.into()));
    };
    let chunk_size = size.unwrap_or(match codec {
        Codec::Lzms => Solid::ESD.chunk_size,
        other => default_chunk_size(other),
    });
    // Looked at here, for wimlib's code.
    chunks(Some(codec), Some(chunk_size))?;
    let level = method.map(Method::level).unwrap_or_default();
    Ok(Solid { codec, chunk_size, level, ..Solid::ESD })
}

/// DISM makes an ESD when it is told `/Compress:recovery`; here that takes another option.
pub(crate) fn warn_of_recovery(method: Option<Method>, grouping: Grouping, bar: &Bar) {
    let is_solid = matches!(grouping, Grouping::Solid(_));
    if method.is_some_and(|method| method.is_recovery) && !is_solid {
        bar.warning(
            "--compress=recovery is LZMS without solid resources, unlike DISM's; --solid makes what \
             DISM makes, and --compress=lzms says that this is meant",
        );
    }
}

/// What stands around solid resources in a new archive, unless something else is asked for.
pub(crate) const AROUND_SOLID: Compression =
    Compression::Chunks { codec: Codec::Lzms, chunk_size: 128 << 10 };

/// A compression in chunks of `size` bytes.
pub(crate) fn chunks(codec: Option<Codec>, size: Option<u32>) -> Result<Compression, Failure> {
    let (Some(codec), Some(chunk_size)) = (codec, size) else {
        return match size {
            None => Ok(Compression::Stored),
            Some(_) => {
                Err(Failure::ChunkSize("stored data has no chunks; leave out --chunk-size".into()))
            }
        };
    };
    if !codec.is_valid_chunk_size(chunk_size) {
        let range = codec.chunk_size_range();
        return Err(Failure::ChunkSize(format!(
            "chunks of {chunk_size} bytes: this compression takes powers of two from {} to {}",
            range.start(),
            range.end()
        )));
    }
    Ok(Compression::Chunks { codec, chunk_size })
}

/// Parses `TYPE[:LEVEL]`. The level is one of wimlib's, a number from 1.
pub(crate) fn parse_method(text: &str) -> Result<Method, String> {
    let (name, level) = match text.split_once(':') {
        Some((name, level)) => (name, Some(level)),
        None => (text, None),
    };
    let level = level.map(str::parse).transpose();
    let level = level.map_err(|_| "the level behind the colon is a number from 1, as in lzx:50")?;
    let is_recovery = name.eq_ignore_ascii_case("recovery");
    let codec = match name.to_ascii_lowercase().as_str() {
        "none" => None,
        "xpress" | "fast" => Some(Codec::Xpress),
        "lzx" | "maximum" | "max" => Some(Codec::Lzx),
        "lzms" | "recovery" => Some(Codec::Lzms),
        _ => return Err("use none, xpress (fast), lzx (maximum) or lzms (recovery)".into()),
    };
    Ok(Method { codec, level, is_recovery })
}

/// Parses a number of bytes with an optional K, M or G (KiB, MiB, GiB).
pub(crate) fn parse_size(text: &str) -> Result<u32, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let unit = match suffix.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err("a size is a number with or without K, M or G".into()),
    };
    let number: u32 = number.parse().map_err(|_| "a size is a number from 1")?;
    match number.checked_mul(unit) {
        Some(0) => Err("a size is a number from 1".into()),
        Some(size) => Ok(size),
        None => Err("sizes reach up to 4 GiB".into()),
    }
}

/// Parses 32 hexadecimal digits in the order in which `wimx info` shows them, with or without
/// dashes, braces and `0x`.
pub(crate) fn parse_guid(text: &str) -> Result<[u8; 16], String> {
    let problem = "a GUID has 32 hexadecimal digits";
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'-' | b'{' | b'}')).collect();
    let mut guid = [0; 16];
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(problem.into());
    }
    for (byte, pair) in guid.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| problem)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| problem)?;
    }
    Ok(guid)
}

/// The chunk size that wimlib gives a codec, in bytes.
pub(crate) fn default_chunk_size(codec: Codec) -> u32 {
    match codec {
        Codec::Xpress | Codec::Lzx => 32 << 10,
        Codec::Lzms => 128 << 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods() {
        for (text, codec) in [
            ("none", None),
            ("XPRESS", Some(Codec::Xpress)),
            ("fast:1", Some(Codec::Xpress)),
            ("Maximum", Some(Codec::Lzx)),
            ("max", Some(Codec::Lzx)),
            ("lzx:50", Some(Codec::Lzx)),
            ("recovery", Some(Codec::Lzms)),
        ] {
            assert_eq!(parse_method(text).map(|method| method.codec), Ok(codec), "{text}");
        }
        let levels = |text| parse_method(text).map(Method::level);
        assert_eq!(levels("lzx"), Ok(Level::Usual));
        assert_eq!(levels("lzx:20"), Ok(Level::Fast));
        assert_eq!(levels("lzx:100"), Ok(Level::Best));
        for text in ["", "foo", "lzx:", "lzx:0", "lzx:-1", "lzx:x", "lzx:1:2", ":"] {
            assert!(parse_method(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, size) in
            [("32768", 32768), ("32K", 32768), ("64k", 65536), ("2M", 2 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "K", "0", "-1", "1.5M", "32KB", "4294967296", "4G", "32k5", "x"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn guids() {
        let guid =
            [0x71, 0xa5, 0x20, 0x9c, 0x1a, 0x6d, 0xa7, 0x19, 0x4a, 0x0a, 0xe5, 0x76, 0xb, 1, 2, 3];
        for text in [
            "71a5209c1a6da7194a0ae5760b010203",
            "0x71A5209C1A6DA7194A0AE5760B010203",
            "{71a5209c-1a6d-a719-4a0a-e5760b010203}",
        ] {
            assert_eq!(parse_guid(text), Ok(guid), "{text}");
        }
        for text in
            ["", "71a5209c", "71a5209c1a6da7194a0ae5760b01020x", "é1a5209c1a6da7194a0ae5760b0102"]
        {
            assert!(parse_guid(text).is_err(), "{text}");
        }
    }
}
