//! One directory entry.

use bitflags::bitflags;
use zerocopy::little_endian::{I32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::bytes::{align8, invalid, record, truncated};
use crate::name::Utf16Name;
use crate::time::FileTime;
use crate::{FormatError, Sha1Hash, Structure};

/// Length of the fixed part of a dentry in bytes.
pub(super) const DENTRY_LEN: usize = 102;
/// Length of the fixed part of an extra stream entry in bytes.
pub(super) const EXTRA_STREAM_LEN: usize = 38;

bitflags! {
    /// Attributes of a file as Windows defines them. Unknown bits are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct FileAttributes: u32 {
        /// Read-only.
        const READONLY = 0x1;
        /// Hidden.
        const HIDDEN = 0x2;
        /// Part of the operating system.
        const SYSTEM = 0x4;
        /// A directory.
        const DIRECTORY = 0x10;
        /// To be archived.
        const ARCHIVE = 0x20;
        /// A device.
        const DEVICE = 0x40;
        /// No other attribute.
        const NORMAL = 0x80;
        /// Temporary.
        const TEMPORARY = 0x100;
        /// Sparse.
        const SPARSE_FILE = 0x200;
        /// Has a reparse point: a link, a junction, or something else that a driver interprets.
        const REPARSE_POINT = 0x400;
        /// Compressed by NTFS.
        const COMPRESSED = 0x800;
        /// Data is elsewhere.
        const OFFLINE = 0x1000;
        /// Not to be indexed for search.
        const NOT_CONTENT_INDEXED = 0x2000;
        /// Encrypted by EFS.
        const ENCRYPTED = 0x4000;
        /// Guarded by ReFS integrity streams.
        const INTEGRITY_STREAM = 0x8000;
        /// A virtual file.
        const VIRTUAL = 0x1_0000;
        /// Left out by the ReFS scrubber.
        const NO_SCRUB_DATA = 0x2_0000;

        const _ = !0;
    }
}

#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawDentry {
    pub(super) length: U64,
    pub(super) attributes: U32,
    pub(super) security_id: I32,
    pub(super) subdir_offset: U64,
    pub(super) unused: [u8; 16],
    pub(super) creation_time: U64,
    pub(super) access_time: U64,
    pub(super) write_time: U64,
    pub(super) main_hash: Sha1Hash,
    pub(super) unknown: U32,
    /// With REPARSE_POINT: tag u32, reserved u16, flags u16. Else: hard-link group u64.
    pub(super) link: [u8; 8],
    pub(super) extra_streams: U16,
    pub(super) short_name_len: U16,
    pub(super) name_len: U16,
}

const _: () = assert!(size_of::<RawDentry>() == DENTRY_LEN);

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawExtraStream {
    pub(super) length: U64,
    pub(super) reserved: [u8; 8],
    pub(super) hash: Sha1Hash,
    pub(super) name_len: U16,
}

const _: () = assert!(size_of::<RawExtraStream>() == EXTRA_STREAM_LEN);

/// Offset of the short name, which follows the name and its NUL.
const fn short_name_offset(name_len: usize) -> usize {
    if name_len == 0 { DENTRY_LEN } else { DENTRY_LEN + name_len + 2 }
}

/// The bytes of a dentry at `offset`, extra streams included and proved to be all there; `None` at
/// the end of a list.
pub(super) fn dentry_at(bytes: &[u8], offset: usize) -> Result<Option<usize>, FormatError> {
    const OF: Structure = Structure::Dentry;
    let length: &U64 = record(bytes, offset, OF)?;
    if length.get() <= 8 {
        return Ok(None);
    }
    let raw: &RawDentry = record(bytes, offset, OF)?;
    let left = bytes.len() - offset;
    let length = usize::try_from(length.get()).unwrap_or(usize::MAX);
    if length < DENTRY_LEN {
        return Err(invalid(OF, offset, length as u64, "a length of at least 102 bytes"));
    }
    if align8(length) > left {
        return Err(truncated(OF, offset, align8(length), left));
    }
    let (name, short) = (usize::from(raw.name_len.get()), usize::from(raw.short_name_len.get()));
    if !name.is_multiple_of(2) || !short.is_multiple_of(2) {
        let odd = if name.is_multiple_of(2) { short } else { name };
        return Err(invalid(OF, offset, odd as u64, "names of an even number of bytes"));
    }
    let names_end = match short {
        0 => DENTRY_LEN + name,
        _ => short_name_offset(name) + short,
    };
    if names_end > length {
        return Err(invalid(OF, offset, length as u64, "a length that includes both names"));
    }
    let mut end = offset + align8(length);
    for _ in 0..raw.extra_streams.get() {
        end = extra_stream_end(bytes, end)?;
    }
    Ok(Some(end))
}

fn extra_stream_end(bytes: &[u8], offset: usize) -> Result<usize, FormatError> {
    const OF: Structure = Structure::ExtraStream;
    let raw: &RawExtraStream = record(bytes, offset, OF)?;
    let left = bytes.len() - offset;
    let length = usize::try_from(raw.length.get()).unwrap_or(usize::MAX);
    let name = usize::from(raw.name_len.get());
    if !name.is_multiple_of(2) {
        return Err(invalid(OF, offset, name as u64, "a name of an even number of bytes"));
    }
    if length < EXTRA_STREAM_LEN + name {
        return Err(invalid(OF, offset, length as u64, "a length that includes the name"));
    }
    if align8(length) > left {
        return Err(truncated(OF, offset, align8(length), left));
    }
    Ok(offset + align8(length))
}

/// A directory entry, read from the bytes field by field.
#[derive(Debug, Clone, Copy)]
pub struct Dentry<'a> {
    /// From the first byte of the dentry to the end of the metadata resource. The parser has
    /// proved that names and extra streams are inside.
    bytes: &'a [u8],
}

impl<'a> Dentry<'a> {
    /// `bytes` begin with a dentry that [`dentry_at`] has accepted.
    pub(super) fn over(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn raw(self) -> &'a RawDentry {
        RawDentry::ref_from_prefix(self.bytes).map(|(raw, _)| raw).expect("the parser checked")
    }

    /// Windows attributes.
    #[must_use]
    pub fn attributes(self) -> FileAttributes {
        FileAttributes::from_bits_retain(self.raw().attributes.get())
    }

    /// Whether it is a directory, links to directories included.
    #[must_use]
    pub fn is_directory(self) -> bool {
        self.attributes().contains(FileAttributes::DIRECTORY)
    }

    /// Whether it has a reparse point: links, junctions and the like.
    #[must_use]
    pub fn is_reparse_point(self) -> bool {
        self.attributes().contains(FileAttributes::REPARSE_POINT)
    }

    /// Index of the security descriptor as stored; -1 (or any that does not exist) means none.
    /// [`super::SecurityDescriptors::get`] answers for both.
    #[must_use]
    pub fn security_id(self) -> i32 {
        self.raw().security_id.get()
    }

    /// Offset of the list of children in the metadata resource, as stored; 0 for none.
    #[must_use]
    pub fn subdir_offset(self) -> u64 {
        self.raw().subdir_offset.get()
    }

    /// When the file was made.
    #[must_use]
    pub fn creation_time(self) -> FileTime {
        FileTime(self.raw().creation_time.get())
    }

    /// When the file was last read.
    #[must_use]
    pub fn access_time(self) -> FileTime {
        FileTime(self.raw().access_time.get())
    }

    /// When the contents last changed.
    #[must_use]
    pub fn write_time(self) -> FileTime {
        FileTime(self.raw().write_time.get())
    }

    /// The hash in the fixed part, as stored. Which stream it is depends on the rest of the
    /// dentry: see [`Dentry::streams`].
    #[must_use]
    pub fn main_hash(self) -> Sha1Hash {
        self.raw().main_hash
    }

    /// The field at 0x54, whose meaning is unknown; 0 in most images.
    #[must_use]
    pub fn unknown_field(self) -> u32 {
        self.raw().unknown.get()
    }

    /// The 16 bytes at 0x18, unused and 0 in most images.
    #[must_use]
    pub fn unused_field(self) -> [u8; 16] {
        self.raw().unused
    }

    /// Number of the hard-link group, 0 for a file with one link. Links share it *and* their
    /// contents: see [`super::HardLinks`]. Reparse points have none.
    #[must_use]
    pub fn hard_link_group(self) -> u64 {
        match self.is_reparse_point() {
            true => 0,
            false => u64::from_le_bytes(self.raw().link),
        }
    }

    /// Tag of the reparse point, `None` when it is none.
    #[must_use]
    pub fn reparse_tag(self) -> Option<u32> {
        let [a, b, c, d, ..] = self.raw().link;
        self.is_reparse_point().then(|| u32::from_le_bytes([a, b, c, d]))
    }

    /// Reserved field and flags of a reparse point. Bit 0 of the flags says that the target of the
    /// link is stored as it was, not made relative to the captured directory.
    #[must_use]
    pub fn reparse_flags(self) -> (u16, u16) {
        let [.., a, b, c, d] = self.raw().link;
        (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
    }

    /// The name; empty for the root.
    #[must_use]
    pub fn name(self) -> Utf16Name<'a> {
        self.slice_name(DENTRY_LEN, self.raw().name_len)
    }

    /// The 8.3 name that DOS programs see; empty for none.
    #[must_use]
    pub fn short_name(self) -> Utf16Name<'a> {
        let raw = self.raw();
        self.slice_name(short_name_offset(raw.name_len.get().into()), raw.short_name_len)
    }

    fn slice_name(self, offset: usize, len: U16) -> Utf16Name<'a> {
        match usize::from(len.get()) {
            0 => Utf16Name::default(),
            len => Utf16Name::new(&self.bytes[offset..offset + len]),
        }
    }

    /// The dentry's own bytes, padded to 8, without the extra stream entries.
    pub(super) fn own_bytes(self) -> &'a [u8] {
        &self.bytes[..self.own_len()]
    }

    fn own_len(self) -> usize {
        // The parser checked that the padded length is inside `bytes`.
        align8(self.raw().length.get() as usize)
    }

    /// What lies between the names and the end of the dentry: padding, then tagged items.
    pub(super) fn tail(self) -> (usize, &'a [u8]) {
        let raw = self.raw();
        let (name, short) = (raw.name_len.get().into(), usize::from(raw.short_name_len.get()));
        let names_end = match short {
            0 => short_name_offset(name),
            _ => short_name_offset(name) + short + 2,
        };
        let start = align8(names_end);
        (start, self.own_bytes().get(start..).unwrap_or_default())
    }

    /// The extra stream entries, from the first byte of the first.
    pub(super) fn extra_bytes(self) -> &'a [u8] {
        &self.bytes[self.own_len()..]
    }

    /// Number of extra stream entries.
    pub(super) fn extra_count(self) -> u16 {
        self.raw().extra_streams.get()
    }

    /// The dentry with its extra streams, as stored.
    pub(super) fn record(self) -> &'a [u8] {
        let mut end = self.own_len();
        for _ in 0..self.extra_count() {
            end = extra_stream_end(self.bytes, end).unwrap_or(end);
        }
        &self.bytes[..end]
    }
}
