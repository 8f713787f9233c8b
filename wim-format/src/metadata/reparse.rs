//! Reparse points: symbolic links, junctions, WOF-compressed files, and what is not known.
//!
//! The data in a WIM lacks the 8-byte header that Windows puts in front (tag and length, which the
//! dentry has). Third-party tags begin with a GUID.

use zerocopy::FromBytes;
use zerocopy::little_endian::{U16, U32};

use crate::bytes::{range, record};
use crate::name::Utf16Name;
use crate::{FormatError, Structure};

/// Tag of a symbolic link.
pub const TAG_SYMLINK: u32 = 0xa000_000c;
/// Tag of a junction, also called mount point.
pub const TAG_JUNCTION: u32 = 0xa000_0003;
/// Tag of a file whose data the Windows Overlay Filter provides.
pub const TAG_WOF: u32 = 0x8000_0017;

/// A reparse point, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReparsePoint<'a> {
    /// A symbolic link.
    Symlink {
        /// Where it leads, in the kernel's spelling (`\??\C:\…` when absolute).
        target: Utf16Name<'a>,
        /// Where it leads, as shown to the user.
        print: Utf16Name<'a>,
        /// Whether the target counts from the link's directory.
        relative: bool,
    },
    /// A junction: a link from directory to directory, always absolute.
    Junction {
        /// Where it leads, in the kernel's spelling.
        target: Utf16Name<'a>,
        /// Where it leads, as shown to the user.
        print: Utf16Name<'a>,
    },
    /// A file backed by the Windows Overlay Filter.
    Wof {
        /// 1: the data is in a WIM; 2: it is compressed in the stream `WofCompressedData`.
        provider: u32,
        /// What the provider needs.
        data: &'a [u8],
    },
    /// Any other tag.
    Other {
        /// The tag.
        tag: u32,
        /// The data.
        data: &'a [u8],
    },
}

impl<'a> ReparsePoint<'a> {
    /// Reads the data of a reparse point with this tag.
    ///
    /// # Errors
    /// The data of a link, a junction or a WOF file is too short for what it says.
    pub fn parse(tag: u32, data: &'a [u8]) -> Result<Self, FormatError> {
        const OF: Structure = Structure::ReparseData;
        Ok(match tag {
            TAG_SYMLINK => {
                let flags: &U32 = record(data, 8, OF)?;
                let (target, print) = link_names(data, 12)?;
                Self::Symlink { target, print, relative: flags.get() & 1 != 0 }
            }
            TAG_JUNCTION => {
                let (target, print) = link_names(data, 8)?;
                Self::Junction { target, print }
            }
            TAG_WOF => {
                let [_version, provider]: &[U32; 2] = record(data, 0, OF)?;
                Self::Wof { provider: provider.get(), data: &data[8..] }
            }
            _ => Self::Other { tag, data },
        })
    }
}

/// The data of a symbolic link, as wimlib and Windows lay it out: both names end with a NUL.
///
/// # Errors
/// [`FormatError::TooLarge`] when names and terminators do not fit 65535 bytes.
pub fn symlink_data(
    target: Utf16Name<'_>,
    print: Utf16Name<'_>,
    kind: LinkKind,
) -> Result<Vec<u8>, FormatError> {
    let flags = match kind {
        LinkKind::Absolute => 0u32,
        LinkKind::Relative => 1,
    };
    link_data(target, print, &flags.to_le_bytes())
}

/// The data of a junction.
///
/// # Errors
/// As [`symlink_data`].
pub fn junction_data(target: Utf16Name<'_>, print: Utf16Name<'_>) -> Result<Vec<u8>, FormatError> {
    link_data(target, print, &[])
}

/// What the target of a symbolic link counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// The root of a volume.
    Absolute,
    /// The directory of the link.
    Relative,
}

fn link_data(
    target: Utf16Name<'_>,
    print: Utf16Name<'_>,
    flags: &[u8],
) -> Result<Vec<u8>, FormatError> {
    let (target, print) = (target.as_bytes(), print.as_bytes());
    let names_len = target.len() + print.len() + 4;
    if names_len > usize::from(u16::MAX) {
        let (structure, expected) = (Structure::ReparseData, "names of at most 65531 bytes");
        return Err(FormatError::TooLarge { structure, found: names_len as u64, expected });
    }
    let fields = [0, target.len(), target.len() + 2, print.len()];
    let mut data: Vec<u8> = fields.iter().flat_map(|field| (*field as u16).to_le_bytes()).collect();
    data.extend(flags);
    for name in [target, print] {
        data.extend(name);
        data.extend([0; 2]);
    }
    Ok(data)
}

/// The two names of a link; their offsets count from `base`.
fn link_names(data: &[u8], base: usize) -> Result<(Utf16Name<'_>, Utf16Name<'_>), FormatError> {
    const OF: Structure = Structure::ReparseData;
    let (raw, _) = <[U16; 4]>::ref_from_prefix(data)
        .map_err(|_| crate::bytes::truncated(OF, 0, 8, data.len()))?;
    let [target_offset, target_len, print_offset, print_len] = raw.map(|field| field.get().into());
    let name = |offset: usize, len: usize| range(data, base + offset, len, OF).map(Utf16Name::new);
    Ok((name(target_offset, target_len)?, name(print_offset, print_len)?))
}
