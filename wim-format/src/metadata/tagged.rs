//! Tagged items: what a dentry holds after its names.
//!
//! ```text
//! u32 tag   u32 length   data   zeros to a multiple of 8
//! ```

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::dentry::Dentry;
use crate::bytes::align8;
use crate::{FormatError, Structure};

/// Tag of an object id.
pub const TAG_OBJECT_ID: u32 = 1;
/// Tag of extended attributes.
pub const TAG_EXTENDED_ATTRIBUTES: u32 = 2;
/// Tag of wimlib's UNIX owner, mode and device.
pub const TAG_UNIX_DATA: u32 = 0x337d_d873;
/// Tag under which older versions of wimlib stored Linux extended attributes.
pub const TAG_OLD_LINUX_XATTRS: u32 = 0x337d_d874;

/// A tagged item as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaggedItem<'a> {
    /// What it is, one of the `TAG_` constants or something unknown.
    pub tag: u32,
    /// Its contents, without padding.
    pub data: &'a [u8],
}

/// UNIX owner, permissions and device number, as wimlib keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnixData {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// File type and permissions, as in `stat`.
    pub mode: u32,
    /// Device number of a device node.
    pub rdev: u32,
}

/// The object id of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectId<'a> {
    /// The id, a GUID.
    pub id: [u8; 16],
    /// Birth volume, birth object and domain, where given: 48 bytes.
    pub birth: &'a [u8],
}

/// An extended attribute of NTFS, or of Linux in a WIM captured there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedAttribute<'a> {
    /// The name: any bytes but NUL.
    pub name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// 0x80: who does not understand the attribute must not open the file.
    pub flags: u8,
}

/// Tagged items to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaggedItems(Vec<u8>);

impl TaggedItems {
    /// Appends an item.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] for data of 4 GiB and more.
    pub fn push(&mut self, tag: u32, data: &[u8]) -> Result<(), FormatError> {
        let len = u32::try_from(data.len()).map_err(|_| FormatError::TooLarge {
            structure: Structure::TaggedItem,
            found: data.len() as u64,
            expected: "less than 4 GiB",
        })?;
        self.0.extend(tag.to_le_bytes());
        self.0.extend(len.to_le_bytes());
        self.0.extend(data);
        self.0.resize(align8(self.0.len()), 0);
        Ok(())
    }

    /// Appends UNIX owner, mode and device.
    pub fn push_unix_data(&mut self, unix: UnixData) {
        let UnixData { uid, gid, mode, rdev } = unix;
        self.0.extend(TAG_UNIX_DATA.to_le_bytes());
        self.0.extend(16u32.to_le_bytes());
        self.0.extend([uid, gid, mode, rdev].iter().flat_map(|field| field.to_le_bytes()));
    }

    /// Appends an item with these extended attributes; nothing when there are none.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] for a name of more than 255 bytes or a value of more than 65535.
    pub fn push_extended_attributes<'a>(
        &mut self,
        attributes: impl IntoIterator<Item = ExtendedAttribute<'a>>,
    ) -> Result<(), FormatError> {
        const EXPECTED: &str = "a name of at most 255 bytes and a value of at most 65535";
        let mut data = Vec::new();
        for ExtendedAttribute { name, value, flags } in attributes {
            let too_large = |found: usize| FormatError::TooLarge {
                structure: Structure::TaggedItem,
                found: found as u64,
                expected: EXPECTED,
            };
            let name_len = u8::try_from(name.len()).map_err(|_| too_large(name.len()))?;
            let value_len = u16::try_from(value.len()).map_err(|_| too_large(value.len()))?;
            let raw = RawAttribute { value_len: value_len.into(), name_len, flags };
            data.extend(raw.as_bytes());
            data.extend(name);
            data.push(0);
            data.extend(value);
        }
        if data.is_empty() { Ok(()) } else { self.push(TAG_EXTENDED_ATTRIBUTES, &data) }
    }

    /// The items as they stand in a dentry.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawAttribute {
    value_len: U16,
    name_len: u8,
    flags: u8,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawOldAttribute {
    name_len: U16,
    reserved: U16,
    value_len: U32,
}

impl<'a> Dentry<'a> {
    /// The tagged items. The first one that does not fit ends the list.
    pub fn tagged_items(self) -> impl Iterator<Item = TaggedItem<'a>> + use<'a> {
        let (_, mut rest) = self.tail();
        std::iter::from_fn(move || {
            let ([tag, len], after) = <[U32; 2]>::ref_from_prefix(rest).ok()?;
            let len = usize::try_from(len.get()).ok()?;
            let data = after.get(..len)?;
            // The last item may lack its padding.
            rest = after.get(align8(len)..).unwrap_or_default();
            Some(TaggedItem { tag: tag.get(), data })
        })
    }

    /// The data of the first item with this tag.
    #[must_use]
    pub fn tagged_item(self, tag: u32) -> Option<&'a [u8]> {
        self.tagged_items().find(|item| item.tag == tag).map(|item| item.data)
    }

    /// UNIX owner, mode and device, if the image was captured with them.
    #[must_use]
    pub fn unix_data(self) -> Option<UnixData> {
        let data = self.tagged_item(TAG_UNIX_DATA)?;
        let ([uid, gid, mode, rdev], _) = <[U32; 4]>::ref_from_prefix(data).ok()?;
        Some(UnixData { uid: uid.get(), gid: gid.get(), mode: mode.get(), rdev: rdev.get() })
    }

    /// The object id, if there is one.
    #[must_use]
    pub fn object_id(self) -> Option<ObjectId<'a>> {
        let (id, birth) = self.tagged_item(TAG_OBJECT_ID)?.split_first_chunk()?;
        Some(ObjectId { id: *id, birth: birth.get(..48).unwrap_or_default() })
    }

    /// The extended attributes, in either of the two forms that wimlib has used. The first one
    /// that does not fit ends the list.
    pub fn extended_attributes(self) -> impl Iterator<Item = ExtendedAttribute<'a>> + use<'a> {
        let mut new = self.tagged_item(TAG_EXTENDED_ATTRIBUTES).unwrap_or_default();
        let mut old = self.tagged_item(TAG_OLD_LINUX_XATTRS).unwrap_or_default();
        std::iter::from_fn(move || take_attribute(&mut new))
            .chain(std::iter::from_fn(move || take_old_attribute(&mut old)))
    }
}

fn take_attribute<'a>(rest: &mut &'a [u8]) -> Option<ExtendedAttribute<'a>> {
    let (raw, after) = RawAttribute::ref_from_prefix(rest).ok()?;
    let (name, after) = after.split_at_checked(raw.name_len.into())?;
    let (_nul, after) = after.split_first()?;
    let (value, after) = after.split_at_checked(raw.value_len.get().into())?;
    *rest = after;
    Some(ExtendedAttribute { name, value, flags: raw.flags })
}

fn take_old_attribute<'a>(rest: &mut &'a [u8]) -> Option<ExtendedAttribute<'a>> {
    let (raw, after) = RawOldAttribute::ref_from_prefix(rest).ok()?;
    let (name, after) = after.split_at_checked(raw.name_len.get().into())?;
    let value_len = usize::try_from(raw.value_len.get()).ok()?;
    let value = after.get(..value_len)?;
    let len = size_of::<RawOldAttribute>() + name.len() + value_len;
    *rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    Some(ExtendedAttribute { name, value, flags: 0 })
}
