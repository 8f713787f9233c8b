//! A file as `dir --json` shows it. The structures here are the documented shape.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};
use wim_format::metadata::{Dentry, StreamKind, WalkEntry};

use super::detail::{ATTRIBUTE_NAMES, Details};
use crate::blobs::BlobView;
use crate::calendar::Rfc3339;
use crate::text::{Hex, lossy, lost};

/// One file of the listing.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    /// Path from the root; `/` for the root itself.
    path: Cow<'a, str>,
    /// The path in WTF-8, in hexadecimal, where it is not Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<Hex<'a>>,
    /// Windows attributes.
    attributes: u32,
    directory: bool,
    /// Bytes of the unnamed data; null when its blob is in no file given.
    size: Option<u64>,
    /// Number of names of the file.
    links: usize,
    #[serde(flatten)]
    detail: Option<Detail<'a>>,
}

/// What `--detailed` adds.
#[derive(Serialize)]
struct Detail<'a> {
    short_name: String,
    attribute_names: Vec<&'static str>,
    created: Rfc3339,
    modified: Rfc3339,
    accessed: Rfc3339,
    link_group: u64,
    reparse_tag: Option<u32>,
    /// Self-relative Windows security descriptor in hexadecimal.
    security_descriptor: Option<Hex<'a>>,
    object_id: Option<Value>,
    unix: Option<Value>,
    streams: Vec<Stream>,
}

/// A stream of a file.
#[derive(Serialize)]
struct Stream {
    /// `data`, `named`, `reparse` or `efs`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(flatten)]
    blob: BlobView,
}

impl Details<'_> {
    /// The view of one file.
    pub(super) fn entry<'a>(&'a self, entry: WalkEntry<'a>, detailed: bool) -> Entry<'a> {
        let (file, links) = self.file(entry);
        Entry {
            path: lossy(entry.path),
            path_hex: lost(entry.path),
            attributes: file.attributes().bits(),
            directory: file.is_directory(),
            size: BlobView::of_stream(self.wim, file.data_hash()).size(),
            links,
            detail: detailed.then(|| self.detail(self.tree.dentry(entry.id), file)),
        }
    }

    fn detail(&self, named: Dentry<'_>, file: Dentry<'_>) -> Detail<'_> {
        let attributes = file.attributes();
        let attribute_names = ATTRIBUTE_NAMES.into_iter();
        let attribute_names = attribute_names.filter(|(bit, _)| attributes.contains(*bit));
        Detail {
            short_name: named.short_name().to_string(),
            attribute_names: attribute_names.map(|(_, name)| name).collect(),
            created: Rfc3339(file.creation_time()),
            modified: Rfc3339(file.write_time()),
            accessed: Rfc3339(file.access_time()),
            link_group: file.hard_link_group(),
            reparse_tag: file.reparse_tag(),
            security_descriptor: self.security(file).map(Hex),
            object_id: object_id(file),
            unix: unix(file),
            streams: self.streams(file),
        }
    }

    fn streams(&self, file: Dentry<'_>) -> Vec<Stream> {
        let stream = |stream: wim_format::metadata::Stream<'_>| {
            let (kind, name) = match stream.kind {
                StreamKind::Data => ("data", None),
                StreamKind::Named(name) => ("named", Some(name.to_string())),
                StreamKind::Reparse => ("reparse", None),
                StreamKind::Efs => ("efs", None),
            };
            Stream { kind, name, blob: BlobView::of_stream(self.wim, stream.hash) }
        };
        file.streams().map(stream).collect()
    }
}

fn unix(file: Dentry<'_>) -> Option<Value> {
    let unix = file.unix_data()?;
    Some(json!({ "uid": unix.uid, "gid": unix.gid, "mode": unix.mode, "rdev": unix.rdev }))
}

fn object_id(file: Dentry<'_>) -> Option<Value> {
    let object = file.object_id()?;
    let mut birth = object.birth.chunks(16).map(|id| Hex(id).to_string());
    Some(json!({
        "id": Hex(&object.id).to_string(),
        "birth_volume": birth.next(),
        "birth_object": birth.next(),
        "domain": birth.next(),
    }))
}
