//! The streams of a file, as readers have to understand them.
//!
//! A dentry has a main hash and a number of extra stream entries. The rules by which these are
//! the reparse data, the unnamed data or named data come from what the Microsoft tools write:
//!
//! * a named entry is a named data stream;
//! * an unnamed entry (the main hash counts as the first one, unless it is zero) is the reparse
//!   data, if the file is a reparse point and none was found before; else the unnamed data, if
//!   none was found before; else nothing;
//! * only when neither was found does a zero main hash count: as empty reparse or unnamed data.
//!
//! For an encrypted file the unnamed stream is its raw EFS export instead.

use zerocopy::FromBytes;

use super::dentry::{Dentry, EXTRA_STREAM_LEN, FileAttributes, RawExtraStream};
use crate::Sha1Hash;
use crate::bytes::align8;
use crate::name::Utf16Name;

/// A stream of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream<'a> {
    /// What it is.
    pub kind: StreamKind<'a>,
    /// SHA-1 of its bytes; zero when it is empty.
    pub hash: Sha1Hash,
}

/// What a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamKind<'a> {
    /// The unnamed data: the file's contents.
    Data,
    /// Data under a name of its own.
    Named(Utf16Name<'a>),
    /// The data of the reparse point, without the 8-byte header.
    Reparse,
    /// The raw export of an encrypted file.
    Efs,
}

/// An extra stream entry as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtraStream<'a> {
    /// Its name; empty for unnamed streams.
    pub name: Utf16Name<'a>,
    /// Its hash.
    pub hash: Sha1Hash,
}

impl<'a> Dentry<'a> {
    /// The streams of the file. A directory without data has no unnamed stream.
    pub fn streams(self) -> impl Iterator<Item = Stream<'a>> + use<'a> {
        let unnamed = self.unnamed();
        let named = self.extra_streams().filter(|extra| !extra.name.is_empty());
        let named =
            named.map(|extra| Stream { kind: StreamKind::Named(extra.name), hash: extra.hash });
        let reparse = unnamed.reparse.map(|hash| Stream { kind: StreamKind::Reparse, hash });
        let data = unnamed.data.map(|hash| Stream { kind: self.data_kind(), hash });
        reparse.into_iter().chain(data).chain(named)
    }

    /// Hash of the unnamed data; zero when it is empty or there is none.
    #[must_use]
    pub fn data_hash(self) -> Sha1Hash {
        self.unnamed().data.unwrap_or_default()
    }

    /// Hash of the reparse data, `None` when the file is no reparse point.
    #[must_use]
    pub fn reparse_hash(self) -> Option<Sha1Hash> {
        self.unnamed().reparse
    }

    /// The extra stream entries, as stored.
    pub fn extra_streams(self) -> impl Iterator<Item = ExtraStream<'a>> + use<'a> {
        let mut rest = self.extra_bytes();
        (0..self.extra_count()).map_while(move |_| {
            let (raw, tail) = RawExtraStream::ref_from_prefix(rest).ok()?;
            let name = tail.get(..raw.name_len.get().into())?;
            let length = usize::try_from(raw.length.get()).ok()?.max(EXTRA_STREAM_LEN);
            rest = rest.get(align8(length)..).unwrap_or_default();
            Some(ExtraStream { name: Utf16Name::new(name), hash: raw.hash })
        })
    }

    fn data_kind(self) -> StreamKind<'a> {
        match self.attributes().contains(FileAttributes::ENCRYPTED) {
            true => StreamKind::Efs,
            false => StreamKind::Data,
        }
    }

    fn unnamed(self) -> Unnamed {
        let is_reparse = self.attributes().contains(FileAttributes::REPARSE_POINT);
        let main = self.main_hash();
        let main = (!main.is_zero()).then_some(main);
        let extra = self.extra_streams().filter(|extra| extra.name.is_empty());
        let mut hashes = main.into_iter().chain(extra.map(|extra| extra.hash));
        let mut found =
            Unnamed { reparse: if is_reparse { hashes.next() } else { None }, data: hashes.next() };
        if found.reparse.is_none() && found.data.is_none() {
            if is_reparse {
                found.reparse = Some(Sha1Hash::ZERO);
            } else if !self.is_directory() {
                found.data = Some(Sha1Hash::ZERO);
            }
        }
        found
    }
}

struct Unnamed {
    reparse: Option<Sha1Hash>,
    data: Option<Sha1Hash>,
}
