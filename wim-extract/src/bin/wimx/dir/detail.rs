//! Everything known about a file: `dir --detailed`.

use std::io::{self, Write};

use wim_format::Sha1Hash;
use wim_format::metadata::{Dentry, FileAttributes, StreamKind};

use crate::blobs::BlobView;
use crate::calendar::Plain;

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

const RULE: &str =
    "----------------------------------------------------------------------------";

/// What is to be shown: a dentry with what lies outside it.
pub(super) struct Detail<'a> {
    /// Path from the root, WTF-8.
    pub(super) path: &'a [u8],
    /// The dentry that has this name.
    pub(super) named: Dentry<'a>,
    /// The first dentry of the file, from which all else is taken.
    pub(super) file: Dentry<'a>,
    /// Number of names of the file.
    pub(super) links: usize,
    /// The file's security descriptor.
    pub(super) security: Option<&'a [u8]>,
}

impl Detail<'_> {
    /// Writes wimlib's lines; `blob` says where the data with a hash is.
    pub(super) fn print(
        &self,
        out: &mut impl Write,
        blob: impl Fn(Sha1Hash) -> BlobView,
    ) -> io::Result<()> {
        self.print_names_and_attributes(out)?;
        self.print_times_and_links(out)?;
        self.print_tagged(out)?;
        let mut unnamed = false;
        for stream in self.file.streams() {
            match stream.kind {
                StreamKind::Named(_) if !unnamed => {
                    // A directory has no unnamed stream; wimlib shows an empty one all the same.
                    print_stream(out, "Unnamed data stream", BlobView::EMPTY)?;
                    unnamed = true;
                }
                _ => {}
            }
            match stream.kind {
                StreamKind::Data => print_stream(out, "Unnamed data stream", blob(stream.hash))?,
                StreamKind::Reparse => {
                    print_stream(out, "Reparse point stream", blob(stream.hash))?;
                }
                StreamKind::Efs => {
                    print_stream(out, "Raw encrypted data stream", blob(stream.hash))?;
                }
                StreamKind::Named(name) => {
                    write!(out, "\tNamed data stream \"")?;
                    out.write_all(&name.to_wtf8())?;
                    writeln!(out, "\":")?;
                    blob(stream.hash).print(out)?;
                }
            }
            unnamed = true;
        }
        if !unnamed {
            print_stream(out, "Unnamed data stream", BlobView::EMPTY)?;
        }
        Ok(())
    }

    fn print_names_and_attributes(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{RULE}")?;
        write!(out, "Full Path           = \"")?;
        out.write_all(self.path)?;
        write!(out, "\"\nShort Name          = \"")?;
        out.write_all(&self.named.short_name().to_wtf8())?;
        writeln!(out, "\"")?;
        let attributes = self.file.attributes();
        writeln!(out, "Attributes          = {:#010x}", attributes.bits())?;
        for (attribute, name) in ATTRIBUTE_NAMES {
            if attributes.contains(attribute) {
                writeln!(out, "    FILE_ATTRIBUTE_{name} is set")?;
            }
        }
        if let Some(descriptor) = self.security {
            write!(out, "Security Descriptor = ")?;
            print_hex(out, descriptor)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn print_times_and_links(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "Creation Time       = {}", Plain(self.file.creation_time()))?;
        writeln!(out, "Last Write Time     = {}", Plain(self.file.write_time()))?;
        writeln!(out, "Last Access Time    = {}", Plain(self.file.access_time()))?;
        if let Some(tag) = self.file.reparse_tag() {
            writeln!(out, "Reparse Tag         = {tag:#x}")?;
        }
        let group = self.file.hard_link_group();
        writeln!(out, "Link Group ID       = {group:#018x}")?;
        writeln!(out, "Link Count          = {}", self.links)
    }

    fn print_tagged(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some(unix) = self.file.unix_data() {
            writeln!(
                out,
                "UNIX Data           = uid:{} gid:{} mode:0{:o} rdev:{:#x}",
                unix.uid, unix.gid, unix.mode, unix.rdev
            )?;
        }
        let Some(object) = self.file.object_id() else { return Ok(()) };
        let names = ["Object ID", "Birth Volume ID", "Birth Object ID", "Domain ID"];
        let ids = [object.id.as_slice()].into_iter().chain(object.birth.chunks(16));
        for (name, id) in names.into_iter().zip(ids) {
            if name == "Object ID" || id.iter().any(|&byte| byte != 0) {
                write!(out, "{name:<19} = 0x")?;
                print_hex(out, id)?;
                writeln!(out)?;
            }
        }
        Ok(())
    }
}

fn print_stream(out: &mut impl Write, kind: &str, blob: BlobView) -> io::Result<()> {
    writeln!(out, "\t{kind}:")?;
    blob.print(out)
}

fn print_hex(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}
