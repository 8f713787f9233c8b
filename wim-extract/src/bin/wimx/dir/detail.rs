//! Everything known about a file: `dir --detailed`.

use std::io::{self, Write};

use wim_extract::archive::{ImageTree, Wim};
use wim_format::metadata::{Dentry, FileAttributes, HardLinks, StreamKind, UnixData, WalkEntry};

use crate::blobs::BlobView;
use crate::calendar::Plain;
use crate::text::Hex;

/// Attributes in wimlib's order, with the names it gives them.
pub(super) const ATTRIBUTE_NAMES: [(FileAttributes, &str); 15] = [
    (FileAttributes::READONLY, "READONLY"),
    (FileAttributes::HIDDEN, "HIDDEN"),
    (FileAttributes::SYSTEM, "SYSTEM"),
    (FileAttributes::DIRECTORY, "DIRECTORY"),
    (FileAttributes::ARCHIVE, "ARCHIVE"),
    (FileAttributes::DEVICE, "DEVICE"),
    (FileAttributes::NORMAL, "NORMAL"),
    (FileAttributes::TEMPORARY, "TEMPORARY"),
    (FileAttributes::SPARSE_FILE, "SPARSE_FILE"),
    (FileAttributes::REPARSE_POINT, "REPARSE_POINT"),
    (FileAttributes::COMPRESSED, "COMPRESSED"),
    (FileAttributes::OFFLINE, "OFFLINE"),
    (FileAttributes::NOT_CONTENT_INDEXED, "NOT_CONTENT_INDEXED"),
    (FileAttributes::ENCRYPTED, "ENCRYPTED"),
    (FileAttributes::VIRTUAL, "VIRTUAL"),
];

const RULE: &str = "\
----------------------------------------------------------------------------";

/// An image with what lies outside of its dentries at hand.
pub(super) struct Details<'w> {
    pub(super) wim: &'w Wim,
    pub(super) tree: &'w ImageTree,
    links: HardLinks,
    security: Vec<&'w [u8]>,
}

impl<'w> Details<'w> {
    pub(super) fn new(wim: &'w Wim, tree: &'w ImageTree) -> Self {
        let (links, security) = (tree.hard_links(), tree.security().iter().collect());
        Self { wim, tree, links, security }
    }

    /// The dentry from which all but the names of a file is taken, and the number of its names.
    pub(super) fn file(&self, entry: WalkEntry<'_>) -> (Dentry<'w>, usize) {
        (self.tree.dentry(self.links.first(entry.id)), self.links.count(entry.id))
    }

    /// The security descriptor of a file.
    pub(super) fn security(&self, file: Dentry<'_>) -> Option<&'w [u8]> {
        let id = usize::try_from(file.security_id()).ok()?;
        self.security.get(id).copied()
    }

    /// Writes wimlib's lines.
    pub(super) fn print(&self, entry: WalkEntry<'_>, out: &mut impl Write) -> io::Result<()> {
        let (file, links) = self.file(entry);
        writeln!(out, "{RULE}")?;
        write!(out, "Full Path           = \"")?;
        out.write_all(entry.path)?;
        write!(out, "\"\nShort Name          = \"")?;
        out.write_all(&self.tree.dentry(entry.id).short_name().to_wtf8())?;
        writeln!(out, "\"")?;
        print_attributes(out, file)?;
        if let Some(descriptor) = self.security(file) {
            writeln!(out, "Security Descriptor = {}", Hex(descriptor))?;
        }
        print_times(out, file)?;
        if let Some(tag) = file.reparse_tag() {
            writeln!(out, "Reparse Tag         = {tag:#x}")?;
        }
        writeln!(out, "Link Group ID       = {:#018x}", file.hard_link_group())?;
        writeln!(out, "Link Count          = {links}")?;
        print_tagged(out, file)?;
        self.print_streams(out, file)
    }

    /// The streams; first one without a name, even where there is none.
    ///
    /// wimlib does not show the unnamed data of a reparse point. We do, unless it is empty.
    fn print_streams(&self, out: &mut impl Write, file: Dentry<'_>) -> io::Result<()> {
        let is_named = |kind| matches!(kind, StreamKind::Named(_));
        if file.streams().next().is_none_or(|first| is_named(first.kind)) {
            writeln!(out, "\tUnnamed data stream:")?;
            BlobView::EMPTY.print(out)?;
        }
        for stream in file.streams() {
            match stream.kind {
                StreamKind::Data if file.reparse_tag().is_some() && stream.hash.is_zero() => {
                    continue;
                }
                StreamKind::Data => writeln!(out, "\tUnnamed data stream:")?,
                StreamKind::Reparse => writeln!(out, "\tReparse point stream:")?,
                StreamKind::Efs => writeln!(out, "\tRaw encrypted data stream:")?,
                StreamKind::Named(name) => {
                    write!(out, "\tNamed data stream \"")?;
                    out.write_all(&name.to_wtf8())?;
                    writeln!(out, "\":")?;
                }
            }
            BlobView::of_stream(self.wim, stream.hash).print(out)?;
        }
        Ok(())
    }
}

fn print_attributes(out: &mut impl Write, file: Dentry<'_>) -> io::Result<()> {
    let attributes = file.attributes();
    writeln!(out, "Attributes          = {:#010x}", attributes.bits())?;
    for (attribute, name) in ATTRIBUTE_NAMES {
        if attributes.contains(attribute) {
            writeln!(out, "    FILE_ATTRIBUTE_{name} is set")?;
        }
    }
    Ok(())
}

fn print_times(out: &mut impl Write, file: Dentry<'_>) -> io::Result<()> {
    writeln!(out, "Creation Time       = {}", Plain(file.creation_time()))?;
    writeln!(out, "Last Write Time     = {}", Plain(file.write_time()))?;
    writeln!(out, "Last Access Time    = {}", Plain(file.access_time()))
}

fn print_tagged(out: &mut impl Write, file: Dentry<'_>) -> io::Result<()> {
    if let Some(unix) = file.unix_data() {
        let UnixData { uid, gid, mode, rdev } = unix;
        writeln!(out, "UNIX Data           = uid:{uid} gid:{gid} mode:0{mode:o} rdev:{rdev:#x}")?;
    }
    let Some(object) = file.object_id() else { return Ok(()) };
    let names = ["Object ID", "Birth Volume ID", "Birth Object ID", "Domain ID"];
    let ids = std::iter::once(object.id.as_slice()).chain(object.birth.chunks(16));
    for (name, id) in names.into_iter().zip(ids) {
        if id.iter().any(|&byte| byte != 0) {
            writeln!(out, "{name:<19} = 0x{}", Hex(id))?;
        }
    }
    Ok(())
}
