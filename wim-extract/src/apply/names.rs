//! Names as the target takes them.

use wim_format::{
    metadata::DentryId,
    name::{CaseSensitivity, Utf16NameBuf},
};

use super::InvalidNames;
use crate::{archive::ImageTree, beneath::Component};

/// Why a name is not as it is in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It holds what no name here can have, or is no name at all.
    Characters,
    /// It has more than 255 bytes in UTF-8, on Windows in UTF-16 units.
    TooLong,
}

/// Gives out names, and numbers those that are escaped.
#[derive(Debug)]
pub(super) struct Names {
    policy: InvalidNames,
    escaped: u64,
}

impl Names {
    pub(super) fn new(policy: InvalidNames) -> Names {
        Names { policy, escaped: 0 }
    }

    /// Appends the name under which `id` goes into the target to `out`. The error is a fault that
    /// keeps it out; a fault beside `Ok` was mended.
    pub(super) fn append(
        &mut self,
        tree: &ImageTree,
        id: DentryId,
        out: &mut Vec<u8>,
    ) -> Result<Option<Fault>, Fault> {
        let start = out.len();
        tree.dentry(id).name().append_wtf8(out);
        let fault = match Component::new(&out[start..]) {
            None => Fault::Characters,
            Some(name) if name.is_too_long() => Fault::TooLong,
            Some(_) => return Ok(None),
        };
        if self.policy == InvalidNames::Skip {
            out.truncate(start);
            return Err(fault);
        }
        let name = self.escape(tree, id, &out[start..]);
        out.truncate(start);
        out.extend(name);
        Ok(Some(fault))
    }

    /// A name made of `name` that the target takes and no sibling has.
    fn escape(&mut self, tree: &ImageTree, id: DentryId, name: &[u8]) -> Vec<u8> {
        let cleaned = Component::cleaned(&String::from_utf8_lossy(name));
        loop {
            self.escaped += 1;
            let suffix = format!(" (invalid filename #{})", self.escaped);
            let kept = cleaned.floor_char_boundary(Component::MAX_LEN - suffix.len());
            let escaped = format!("{}{suffix}", &cleaned[..kept]);
            let sibling = Utf16NameBuf::from(escaped.as_str());
            let directory = tree.parent(id);
            if tree.child(directory, sibling.as_name(), CaseSensitivity::Insensitive).is_none() {
                return escaped.into_bytes();
            }
        }
    }
}
