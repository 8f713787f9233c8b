//! Laying out what an [`ImageBuilder`] has collected.
//!
//! Which stream goes where (what Microsoft's tools and wimlib write):
//!
//! * an encrypted file has only its EFS export, in the main hash;
//! * without named streams, a single unnamed stream goes to the main hash;
//! * else the main hash is zero, and extra entries hold the reparse data, the unnamed data (which
//!   every file has, if empty, but no directory), and the named streams, in this order.

use zerocopy::IntoBytes;

use super::build::{Beside, BuildError, Entry, ImageBuilder, Inode, LinkedInode};
use super::dentry::{EXTRA_STREAM_LEN, FileAttributes, RawDentry, RawExtraStream};
use super::write::{END_OF_LIST, enter_list};
use crate::bytes::align8;
use crate::limits::MAX_PARSED_BYTES;
use crate::name::{Utf16Name, Utf16NameBuf};
use crate::{FormatError, Sha1Hash, Structure};

/// Turns a number of descriptors into the index of the next one.
pub(super) fn security_id(count: usize) -> Result<i32, FormatError> {
    i32::try_from(count).map_err(|_| {
        let expected = "fewer than 2^31 security descriptors";
        too_large(Structure::SecurityData, count, expected)
    })
}

/// Writes one image.
pub(super) struct Emitter<'b> {
    image: &'b ImageBuilder,
    out: Vec<u8>,
    /// Of each inode with several names: the number of its group, given at its first name.
    groups: Vec<u64>,
    last_group: u64,
}

impl<'b> Emitter<'b> {
    pub(super) fn new(image: &'b ImageBuilder) -> Self {
        let groups = vec![0; image.inodes.len()];
        Self { image, out: Vec::new(), groups, last_group: 0 }
    }

    pub(super) fn emit(mut self) -> Result<Vec<u8>, BuildError> {
        self.security()?;
        let root = self.out.len();
        self.dentry(&self.image.entries[ImageBuilder::ROOT.index()])?;
        self.out.extend(END_OF_LIST);
        // Directories whose lists are still to be written, the next one last, each with the
        // place of its dentry.
        let mut open = vec![(0, root)];
        while let Some((directory, dentry)) = open.pop() {
            enter_list(&mut self.out, dentry);
            let first = open.len();
            for child in self.sorted_children(directory)? {
                let entry = &self.image.entries[child as usize];
                if self.inode(entry).inode.is_plain_directory() {
                    open.push((child, self.out.len()));
                }
                self.dentry(entry)?;
            }
            self.out.extend(END_OF_LIST);
            open[first..].reverse();
            if self.out.len() as u64 > MAX_PARSED_BYTES {
                let expected = "less than 4 GiB of metadata";
                Err(too_large(Structure::Dentry, self.out.len(), expected))?;
            }
        }
        Ok(self.out)
    }

    fn inode(&self, entry: &Entry) -> &'b LinkedInode {
        &self.image.inodes[entry.inode as usize]
    }

    fn security(&mut self) -> Result<(), FormatError> {
        let descriptors = &self.image.descriptors;
        let sizes: usize = descriptors.iter().map(Vec::len).sum();
        let total = 8 + 8 * descriptors.len() + sizes;
        let expected = "less than 4 GiB of security descriptors";
        let stored = u32::try_from(align8(total))
            .map_err(|_| too_large(Structure::SecurityData, total, expected))?;
        self.out.extend(stored.to_le_bytes());
        self.out.extend((descriptors.len() as u32).to_le_bytes());
        for descriptor in descriptors {
            self.out.extend((descriptor.len() as u64).to_le_bytes());
        }
        descriptors.iter().for_each(|descriptor| self.out.extend(descriptor));
        self.out.resize(align8(self.out.len()), 0);
        Ok(())
    }

    fn sorted_children(&self, directory: u32) -> Result<Vec<u32>, BuildError> {
        let name = |child: &u32| self.image.entries[*child as usize].name.as_name();
        let mut children = self.image.entries[directory as usize].children.clone();
        children.sort_by(|a, b| name(a).cmp_ntfs(name(b)));
        match children.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
            Some(pair) => Err(BuildError::DuplicateName { name: name(&pair[0]).to_owned() }),
            None => Ok(children),
        }
    }

    fn dentry(&mut self, entry: &Entry) -> Result<(), FormatError> {
        let linked = self.inode(entry);
        let inode = &linked.inode;
        let streams = StoredStreams::of(inode);
        let start = self.out.len();
        let raw = RawDentry {
            length: 0.into(),
            attributes: inode.attributes.bits().into(),
            security_id: inode.security.map_or(-1, |id| id.0).into(),
            subdir_offset: 0.into(),
            unused: entry.carried.unused,
            creation_time: inode.creation_time.0.into(),
            access_time: inode.access_time.0.into(),
            write_time: inode.write_time.0.into(),
            main_hash: streams.main,
            unknown: entry.carried.unknown.into(),
            link: self.link_field(entry, linked),
            extra_streams: streams.count()?.into(),
            short_name_len: name_len(&entry.short_name)?.into(),
            name_len: name_len(&entry.name)?.into(),
        };
        self.out.extend(raw.as_bytes());
        self.name(entry.name.as_name());
        self.name(entry.short_name.as_name());
        self.pad(start);
        self.out.extend(inode.tagged.as_bytes());
        let length = (self.out.len() - start) as u64;
        self.out[start..start + 8].copy_from_slice(&length.to_le_bytes());
        for hash in streams.unnamed {
            self.extra_stream(&Utf16NameBuf::default(), hash)?;
        }
        streams.named.iter().try_for_each(|(name, hash)| self.extra_stream(name, *hash))
    }

    /// Reparse tag and flags, or the number of the hard-link group.
    fn link_field(&mut self, entry: &Entry, linked: &LinkedInode) -> [u8; 8] {
        let inode = &linked.inode;
        if inode.attributes.contains(FileAttributes::REPARSE_POINT) {
            let tag = u64::from(inode.reparse.tag);
            let reserved = u64::from(entry.carried.reparse_reserved);
            let flags = u64::from(inode.reparse.flags);
            return (tag | reserved << 32 | flags << 48).to_le_bytes();
        }
        if linked.links < 2 {
            return [0; 8];
        }
        let group = &mut self.groups[entry.inode as usize];
        if *group == 0 {
            self.last_group += 1;
            *group = self.last_group;
        }
        group.to_le_bytes()
    }

    fn extra_stream(&mut self, name: &Utf16NameBuf, hash: Sha1Hash) -> Result<(), FormatError> {
        let start = self.out.len();
        let units = name.as_name().len();
        let length = align8(EXTRA_STREAM_LEN + if units == 0 { 0 } else { 2 * units + 2 });
        let raw = RawExtraStream {
            length: (length as u64).into(),
            reserved: [0; 8],
            hash,
            name_len: name_len(name)?.into(),
        };
        self.out.extend(raw.as_bytes());
        self.name(name.as_name());
        self.pad(start);
        Ok(())
    }

    fn name(&mut self, name: Utf16Name<'_>) {
        if !name.is_empty() {
            self.out.extend(name.as_bytes());
            self.out.extend([0; 2]);
        }
    }

    fn pad(&mut self, start: usize) {
        let len = self.out.len() - start;
        self.out.resize(start + align8(len), 0);
    }
}

/// The streams of a file as they are stored.
struct StoredStreams<'a> {
    main: Sha1Hash,
    /// Extra entries without a name.
    unnamed: Vec<Sha1Hash>,
    /// Extra entries with a name.
    named: &'a [(Utf16NameBuf, Sha1Hash)],
}

impl<'a> StoredStreams<'a> {
    fn of(inode: &'a Inode) -> Self {
        let is = |attribute| inode.attributes.contains(attribute);
        if is(FileAttributes::ENCRYPTED) && !is(FileAttributes::DIRECTORY) {
            return Self { main: inode.data, unnamed: Vec::new(), named: &[] };
        }
        let reparse = is(FileAttributes::REPARSE_POINT).then_some(inode.reparse.hash);
        let beside = reparse.is_some() && inode.reparse.beside == Beside::EmptyData;
        let data = (!is(FileAttributes::DIRECTORY) || beside).then_some(inode.data);
        let mut unnamed: Vec<_> = reparse.into_iter().chain(data).collect();
        let mut main = Sha1Hash::ZERO;
        if inode.named.is_empty() && unnamed.len() < 2 {
            main = unnamed.pop().unwrap_or_default();
        }
        Self { main, unnamed, named: &inode.named }
    }

    fn count(&self) -> Result<u16, FormatError> {
        let count = self.unnamed.len() + self.named.len();
        let expected = "at most 65535 streams of one file";
        u16::try_from(count).map_err(|_| too_large(Structure::Dentry, count, expected))
    }
}

fn name_len(name: &Utf16NameBuf) -> Result<u16, FormatError> {
    let len = 2 * name.as_name().len();
    let expected = "a name of at most 32767 UTF-16 units";
    u16::try_from(len).map_err(|_| too_large(Structure::Dentry, len, expected))
}

fn too_large(structure: Structure, found: usize, expected: &'static str) -> FormatError {
    FormatError::TooLarge { structure, found: found as u64, expected }
}
