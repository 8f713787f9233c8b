//! Counts what the target cannot hold, or what is not restored.

use wim_format::metadata::{Dentry, FileAttributes, StreamKind};

use super::{Options, UnixData, Unsupported, warnings::Warnings};
use crate::error::Error;

/// Windows attributes whose loss is told, as wimlib does: the others have no effect on the file's
/// use or are told otherwise.
#[cfg(unix)]
const ATTRIBUTES: [(FileAttributes, &str); 5] = [
    (FileAttributes::READONLY, "read-only"),
    (FileAttributes::HIDDEN, "hidden"),
    (FileAttributes::SYSTEM, "system"),
    (FileAttributes::COMPRESSED, "compressed"),
    (FileAttributes::NOT_CONTENT_INDEXED, "not indexed"),
];

/// On Windows the others are set.
#[cfg(windows)]
const ATTRIBUTES: [(FileAttributes, &str); 1] = [(FileAttributes::COMPRESSED, "compressed")];

/// Numbers of files that have something which is not extracted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Losses {
    encrypted: u64,
    named_streams: u64,
    attributes: [u64; ATTRIBUTES.len()],
    reparse_points: u64,
    security: u64,
    object_ids: u64,
    short_names: u64,
    unix_data: u64,
    extended_attributes: u64,
}

impl Losses {
    /// Counts what is lost of `dentry`. `is_link`: its reparse point becomes a symbolic link.
    pub(super) fn count(&mut self, dentry: &Dentry<'_>, is_link: bool) {
        let attributes = dentry.attributes();
        let has = |flag| u64::from(attributes.contains(flag));
        for (count, (flag, _)) in self.attributes.iter_mut().zip(ATTRIBUTES) {
            *count += has(flag);
        }
        if !is_link {
            self.reparse_points += has(FileAttributes::REPARSE_POINT);
        }
        self.encrypted += has(FileAttributes::ENCRYPTED) & u64::from(!dentry.is_directory());
        let named = |kind| matches!(kind, StreamKind::Named(_));
        self.named_streams += u64::from(dentry.streams().any(|stream| named(stream.kind)));
        self.security += u64::from(dentry.security_id() >= 0);
        self.object_ids += u64::from(dentry.object_id().is_some());
        self.short_names += u64::from(!dentry.short_name().is_empty());
        self.unix_data += u64::from(dentry.unix_data().is_some());
        self.extended_attributes += u64::from(dentry.extended_attributes().next().is_some());
    }

    /// Tells the user, one warning for each kind.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for what must not be lost.
    pub(super) fn tell(&self, options: &Options, warnings: &Warnings<'_>) -> Result<(), Error> {
        let tell = |count: u64, what: &str| {
            if count > 0 {
                let files = if count == 1 { "file" } else { "files" };
                warnings.tell(&format!("ignoring {what} of {count} {files}"));
            }
        };
        tell(self.encrypted, "EFS-encrypted data");
        tell(self.named_streams, "named data streams");
        judge(options.attributes, self.attributes.iter().sum(), "Windows attributes")?;
        if options.attributes == Unsupported::Warn {
            for (count, (_, name)) in self.attributes.iter().zip(ATTRIBUTES) {
                tell(*count, &format!("the Windows attribute \"{name}\""));
            }
        }
        tell(self.reparse_points, "reparse points that are neither links nor junctions");
        judge(options.security, self.security, "Windows security descriptors")?;
        if options.security == Unsupported::Warn {
            tell(self.security, "Windows security descriptors");
        }
        tell(self.object_ids, "object ids");
        tell(self.short_names, "short (8.3) names");
        if options.unix_data == UnixData::Ignore {
            let how = if cfg!(unix) { " (--unix-data restores them)" } else { "" };
            tell(self.unix_data, &format!("UNIX owner and mode{how}"));
            tell(self.extended_attributes, &format!("extended attributes{how}"));
        }
        Ok(())
    }
}

/// Refuses to lose what must not be lost.
fn judge(policy: Unsupported, count: u64, what: &str) -> Result<(), Error> {
    if policy == Unsupported::Refuse && count > 0 {
        return Err(Error::Unsupported(format!(
            "{count} files have {what}, which a directory on this system cannot hold; extract \
             without asking for them"
        )));
    }
    Ok(())
}
