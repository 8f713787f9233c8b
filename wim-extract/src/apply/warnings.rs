//! Warnings that do not drown the user: of each kind some are told one by one, the rest counted.

use std::collections::HashMap;

use wim_format::metadata::WarningKind;

use crate::{archive::ImageTree, pipeline::lock::Lock, progress::Progress};

/// Warnings of one kind that are told one by one.
const TOLD: u64 = 50;

/// Passes warnings on.
pub(super) struct Warnings<'p> {
    progress: &'p dyn Progress,
    counts: Lock<HashMap<&'static str, u64>>,
}

impl<'p> Warnings<'p> {
    pub(super) fn new(progress: &'p dyn Progress) -> Warnings<'p> {
        Warnings { progress, counts: Lock::default() }
    }

    /// Tells `text`, one of many of the same `kind`: a plural, such as "files that …".
    pub(super) fn one_of(&self, kind: &'static str, text: impl FnOnce() -> String) {
        let count = {
            let mut counts = self.counts.lock();
            let count = counts.entry(kind).or_default();
            *count += 1;
            *count
        };
        if count <= TOLD {
            self.progress.warning(&text());
        }
    }

    /// Tells something that is said once.
    pub(super) fn tell(&self, text: &str) {
        self.progress.warning(text);
    }

    /// Tells what the reader of the metadata has passed over.
    pub(super) fn about_tree(&self, tree: &ImageTree) {
        for warning in tree.warnings() {
            // A link to a directory has an empty list of children in every archive.
            if warning.kind == WarningKind::ChildrenOfFile {
                continue;
            }
            self.one_of("entries that break the rules of the format", || {
                let directory = tree.path(warning.directory);
                format!("in {}: {}", String::from_utf8_lossy(&directory), warning.kind)
            });
        }
    }

    /// Tells how many more of each kind there were.
    pub(super) fn finish(&self) {
        let mut more: Vec<_> = self.counts.lock().drain().filter(|(_, n)| *n > TOLD).collect();
        more.sort_unstable();
        for (kind, count) in more {
            self.tell(&format!("and {} more {kind}", count - TOLD));
        }
    }
}
