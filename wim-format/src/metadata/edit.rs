//! Changing the tree of an image that is there already.

use std::collections::HashMap;

use super::build::{
    Beside, BuildError, Carried, EntryId, ImageBuilder, Inode, LinkedInode, Reparse,
};
use super::{DentryId, Metadata, SecurityId, StreamKind, TaggedItems};
use crate::limits::MAX_DEPTH;
use crate::name::{CaseSensitivity, Utf16Name, Utf16NameBuf};

impl ImageBuilder {
    /// The tree of an image, to be changed. What nobody knows the meaning of is kept; dentries that
    /// readers ignore ([`Metadata::warnings`]) are not.
    #[must_use]
    pub fn from_metadata<B: AsRef<[u8]>>(metadata: &Metadata<B>) -> Self {
        let mut image = Self::new(inode_of(metadata, DentryId::ROOT));
        image.entries[0].carried = Carried::of(metadata.dentry(DentryId::ROOT));
        image.descriptors = metadata.security().iter().map(<[u8]>::to_vec).collect();
        // Of equal ones the first is taken for files that come; none is dropped.
        for (descriptor, id) in image.descriptors.iter().zip(0..) {
            image.descriptor_ids.entry(descriptor.clone()).or_insert(id);
        }
        let links = metadata.hard_links();
        let mut inodes: HashMap<DentryId, u32> = HashMap::new();
        inodes.insert(DentryId::ROOT, 0);
        // A parent comes before its children, so positions agree.
        for id in metadata.ids().skip(1) {
            let first = links.first(id);
            let inode = *inodes.entry(first).or_insert_with(|| {
                image.inodes.push(LinkedInode { inode: inode_of(metadata, id), links: 0 });
                image.inodes.len() as u32 - 1
            });
            let dentry = metadata.dentry(id);
            let parent = metadata.parent(id).0;
            let depth = metadata.depth(id);
            let entry = image.push(dentry.name().to_owned(), inode, parent, depth);
            image.entries[entry.index()].short_name = dentry.short_name().to_owned();
            image.entries[entry.index()].carried = Carried::of(dentry);
            image.entries[parent as usize].children.push(entry.0);
        }
        image
    }

    /// What a directory holds under this name.
    #[must_use]
    pub fn child(
        &self,
        directory: EntryId,
        name: Utf16Name<'_>,
        case: CaseSensitivity,
    ) -> Option<EntryId> {
        let named = |name: Utf16Name<'_>, case| {
            let mut children = self.children(directory);
            children.find(|&child| self.name(child).matches(name, case))
        };
        named(name, CaseSensitivity::Sensitive).or_else(|| named(name, case))
    }

    /// The entry at a path, whose parts (WTF-8) are divided by slashes; the empty path is the root.
    #[must_use]
    pub fn lookup(&self, path: &[u8], case: CaseSensitivity) -> Option<EntryId> {
        let mut parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
        parts.try_fold(Self::ROOT, |directory, part| {
            let name = Utf16NameBuf::from_wtf8(part).ok()?;
            self.child(directory, name.as_name(), case)
        })
    }

    /// What a directory holds, in no particular order.
    pub fn children(&self, directory: EntryId) -> impl Iterator<Item = EntryId> {
        self.entries[directory.index()].children.iter().map(|&child| EntryId(child))
    }

    /// The name of an entry; empty for the root.
    #[must_use]
    pub fn name(&self, entry: EntryId) -> Utf16Name<'_> {
        self.entries[entry.index()].name.as_name()
    }

    /// The directory that holds an entry; the root holds itself.
    #[must_use]
    pub fn parent(&self, entry: EntryId) -> EntryId {
        EntryId(self.entries[entry.index()].parent)
    }

    /// Whether the file behind an entry, perhaps a removed one, still has a name.
    #[must_use]
    pub fn is_linked(&self, entry: EntryId) -> bool {
        self.inodes[self.entries[entry.index()].inode as usize].links > 0
    }

    /// Removes an entry and everything below it. Of the root only what it holds is removed. A removed
    /// entry is of no more use than for [`is_linked`](Self::is_linked).
    pub fn remove(&mut self, entry: EntryId) {
        let mut open: Vec<u32> = if entry == Self::ROOT {
            std::mem::take(&mut self.entries[0].children)
        } else {
            self.detach(entry);
            vec![entry.0]
        };
        while let Some(next) = open.pop() {
            let removed = &mut self.entries[next as usize];
            open.append(&mut removed.children);
            self.inodes[removed.inode as usize].links -= 1;
        }
    }

    /// Moves an entry, and everything below it, to a directory under a new name. It loses its
    /// short name unless it keeps its name. Whether the name is taken is found when the image is
    /// written.
    ///
    /// # Errors
    /// A name that no file can have; the root; a place below itself; too much depth.
    pub fn rename(
        &mut self,
        entry: EntryId,
        directory: EntryId,
        name: impl Into<Utf16NameBuf>,
    ) -> Result<(), BuildError> {
        let name = self.checked_name(directory, name.into())?;
        let mut above = directory;
        while above != Self::ROOT && above != entry {
            above = self.parent(above);
        }
        if above == entry {
            return Err(BuildError::WithinItself { name });
        }
        let depth = self.entries[directory.index()].depth + 1;
        self.set_depth(entry, depth)?;
        self.detach(entry);
        self.entries[directory.index()].children.push(entry.0);
        let moved = &mut self.entries[entry.index()];
        moved.parent = directory.0;
        if moved.name != name {
            moved.name = name;
            moved.short_name = Utf16NameBuf::default();
        }
        Ok(())
    }

    fn detach(&mut self, entry: EntryId) {
        let parent = self.parent(entry);
        self.entries[parent.index()].children.retain(|&child| child != entry.0);
    }

    /// Sets how deep an entry is, and everything below it. Nothing changes where that is too deep.
    fn set_depth(&mut self, entry: EntryId, depth: u16) -> Result<(), BuildError> {
        let mut below = vec![(entry.0, depth)];
        let mut next = 0;
        while let Some(&(entry, depth)) = below.get(next) {
            if depth >= MAX_DEPTH {
                return Err(BuildError::TooDeep);
            }
            let children = &self.entries[entry as usize].children;
            below.extend(children.iter().map(|&child| (child, depth + 1)));
            next += 1;
        }
        for (entry, depth) in below {
            self.entries[entry as usize].depth = depth;
        }
        Ok(())
    }
}

/// The file behind a dentry.
fn inode_of<B: AsRef<[u8]>>(metadata: &Metadata<B>, id: DentryId) -> Inode {
    let dentry = metadata.dentry(id);
    let known = metadata.security().get(dentry.security_id()).is_some();
    let mut tagged = TaggedItems::default();
    for item in dentry.tagged_items() {
        // It was read from a dentry, so it is no longer than one can be.
        let _ = tagged.push(item.tag, item.data);
    }
    let mut inode = Inode {
        attributes: dentry.attributes(),
        security: known.then(|| SecurityId(dentry.security_id())),
        creation_time: dentry.creation_time(),
        access_time: dentry.access_time(),
        write_time: dentry.write_time(),
        tagged,
        ..Inode::default()
    };
    if let Some(tag) = dentry.reparse_tag() {
        let flags = dentry.reparse_flags().1;
        inode.reparse = Reparse { tag, flags, ..Reparse::default() };
    }
    for stream in dentry.streams() {
        match stream.kind {
            StreamKind::Data | StreamKind::Efs => {
                inode.data = stream.hash;
                if dentry.is_directory() {
                    inode.reparse.beside = Beside::EmptyData;
                }
            }
            StreamKind::Named(name) => inode.named.push((name.to_owned(), stream.hash)),
            StreamKind::Reparse => inode.reparse.hash = stream.hash,
        }
    }
    inode
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sha1Hash;
    use crate::name::CaseSensitivity::{Insensitive, Sensitive};

    fn sample() -> ImageBuilder {
        let mut image = ImageBuilder::new(Inode::directory());
        let descriptor = image.add_security_descriptor(b"first").expect("a descriptor");
        image.inode_mut(ImageBuilder::ROOT).security = Some(descriptor);
        let a = image.add(ImageBuilder::ROOT, "a", Inode::directory()).expect("a name");
        let b = image.add(a, "b", Inode::directory()).expect("a name");
        let mut file = Inode::file(Sha1Hash([1; 20]));
        file.named.push(("stream".into(), Sha1Hash([2; 20])));
        let file = image.add(b, "File.txt", file).expect("a name");
        image.set_short_name(file, "FILE~1.TXT").expect("a name");
        image.link(ImageBuilder::ROOT, "link", file).expect("a name");
        image
    }

    fn reread(image: &ImageBuilder) -> Metadata<Vec<u8>> {
        Metadata::parse(image.to_bytes().expect("an image")).expect("an image")
    }

    fn paths(image: &ImageBuilder) -> Vec<String> {
        let tree = reread(image);
        let path = |id| String::from_utf8(tree.path(id)).expect("UTF-8");
        let mut paths: Vec<String> = tree.ids().map(path).collect();
        paths.sort();
        paths
    }

    #[test]
    fn what_is_not_changed_stays_as_it_is() {
        let bytes = sample().to_bytes().expect("an image");
        let tree = Metadata::parse(&bytes).expect("an image");
        let again = ImageBuilder::from_metadata(&tree).to_bytes().expect("an image");
        assert_eq!(again, bytes);
    }

    #[test]
    fn fields_of_unknown_meaning_stay() {
        let mut bytes = sample().to_bytes().expect("an image");
        let root = 8 + 8 + 8;
        bytes[root + 0x18..root + 0x28].copy_from_slice(&[7; 16]);
        bytes[root + 0x54..root + 0x58].copy_from_slice(&[9; 4]);
        let tree = Metadata::parse(&bytes).expect("an image");
        let again = ImageBuilder::from_metadata(&tree).to_bytes().expect("an image");
        assert_eq!(again, bytes);
    }

    #[test]
    fn links_to_directories_keep_their_streams() {
        for beside in [Beside::Nothing, Beside::EmptyData] {
            let mut image = sample();
            let hash = Sha1Hash([3; 20]);
            let mut link = Inode::reparse_point(Reparse { tag: 9, flags: 1, hash, beside });
            link.attributes |= super::super::FileAttributes::DIRECTORY;
            image.add(ImageBuilder::ROOT, "to", link).expect("a name");
            let bytes = image.to_bytes().expect("an image");
            let tree = Metadata::parse(&bytes).expect("an image");
            let link = tree.lookup("to", Sensitive).expect("it is there");
            let streams = if beside == Beside::Nothing { 1 } else { 2 };
            assert_eq!(tree.dentry(link).streams().count(), streams);
            let again = ImageBuilder::from_metadata(&tree).to_bytes().expect("an image");
            assert_eq!(again, bytes);
        }
    }

    #[test]
    fn lookups() {
        let image = sample();
        let file = image.lookup(b"/a/b/File.txt", Sensitive).expect("it is there");
        assert_eq!(image.name(file), Utf16NameBuf::from("File.txt").as_name());
        assert_eq!(image.lookup(b"a//b/file.TXT/", Insensitive), Some(file));
        assert_eq!(image.lookup(b"a/b/file.TXT", Sensitive), None);
        assert_eq!(image.lookup(b"/", Sensitive), Some(ImageBuilder::ROOT));
    }

    #[test]
    fn removing_one_name_leaves_the_others() {
        let mut image = sample();
        let a = image.lookup(b"a", Sensitive).expect("it is there");
        image.remove(a);
        assert_eq!(paths(&image), ["/", "/link"]);
        let tree = reread(&image);
        let link = tree.lookup("link", Sensitive).expect("it is there");
        assert_eq!(tree.dentry(link).hard_link_group(), 0, "it is the only name now");
        image.remove(ImageBuilder::ROOT);
        assert_eq!(paths(&image), ["/"]);
    }

    #[test]
    fn renaming() {
        let mut image = sample();
        let b = image.lookup(b"a/b", Sensitive).expect("it is there");
        image.rename(b, ImageBuilder::ROOT, "c").expect("a place");
        assert_eq!(paths(&image), ["/", "/a", "/c", "/c/File.txt", "/link"]);
        let file = image.lookup(b"c/File.txt", Sensitive).expect("it is there");
        let a = image.lookup(b"a", Sensitive).expect("it is there");
        image.rename(a, b, "a").expect("a place");
        image.rename(file, a, "File.txt").expect("a place");
        assert_eq!(paths(&image), ["/", "/c", "/c/a", "/c/a/File.txt", "/link"]);
        let tree = reread(&image);
        let moved = tree.lookup("c/a/File.txt", Sensitive).expect("it is there");
        assert!(!tree.dentry(moved).short_name().is_empty(), "it kept its name");
        let error = image.rename(b, a, "x").expect_err("below itself");
        assert!(matches!(error, BuildError::WithinItself { .. }), "{error}");
        assert!(image.rename(ImageBuilder::ROOT, a, "x").is_err());
    }

    #[test]
    fn depth_moves_along() {
        let mut image = ImageBuilder::new(Inode::directory());
        let mut deepest = ImageBuilder::ROOT;
        for _ in 0..MAX_DEPTH / 2 {
            deepest = image.add(deepest, "d", Inode::directory()).expect("a name");
        }
        let top = image.lookup(b"d", Sensitive).expect("it is there");
        let other = image.add(ImageBuilder::ROOT, "o", Inode::directory()).expect("a name");
        let mut other_deepest = other;
        for _ in 0..MAX_DEPTH / 2 {
            other_deepest = image.add(other_deepest, "d", Inode::directory()).expect("a name");
        }
        assert_eq!(image.rename(top, other_deepest, "d"), Err(BuildError::TooDeep));
        image.rename(deepest, other, "x").expect("a place");
        image.rename(deepest, other_deepest, "x").expect("a place");
        assert!(image.to_bytes().is_ok());
    }
}
