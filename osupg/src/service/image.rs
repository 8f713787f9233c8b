//! Single files of an image, read where they lie in the library.

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use wim_extract::archive::{BlobId, ImageIndex, Wim};
use wim_extract::error::Damage;
use wim_extract::output::write_all_at;
use wim_extract::pipeline::{self, Order, Plan, Sink};
use wim_extract::{Cancel, Silent};
use wim_format::Sha1Hash;
use wim_format::metadata::{DentryId, StreamKind};
use wim_format::name::CaseSensitivity;

use crate::error::{Error, Result};
use crate::package::images::from_engine;
use crate::text;

/// A file of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Its data; `None` when it is empty.
    pub(super) data: Option<BlobId>,
    /// Bytes.
    pub(super) size: u64,
    /// The SHA-1 of its data.
    pub(super) hash: Sha1Hash,
}

fn index(wim: &Wim, index: u32) -> Result<ImageIndex> {
    wim.image(index)
        .ok_or_else(|| Error::usage(format!("{} has no image {index}", text::clean(&wim.name()))))
}

/// The file at a path, whatever its capitals; `None` where there is none, or a folder.
///
/// # Errors
/// When the image is damaged.
pub(super) fn find(wim: &Wim, image: u32, path: &str) -> Result<Option<Found>> {
    let tree = wim.metadata(index(wim, image)?).map_err(|error| from_engine(&error))?;
    let Some(id) = tree.lookup(path, CaseSensitivity::Insensitive) else { return Ok(None) };
    let file = tree.dentry(tree.hard_links().first(id));
    if file.is_directory() {
        return Ok(None);
    }
    let hash = file.data_hash();
    if hash == Sha1Hash::ZERO {
        return Ok(Some(Found { data: None, size: 0, hash }));
    }
    let Some(blob) = wim.find(&hash) else {
        return Err(from_engine(&wim.missing(hash, Some(path.to_string()))));
    };
    Ok(Some(Found { data: Some(blob), size: wim.blob(blob).size, hash }))
}

/// The names in a folder of an image; nothing where there is no such folder.
///
/// # Errors
/// When the image is damaged.
pub(super) fn names(wim: &Wim, image: u32, folder: &str) -> Result<Vec<String>> {
    let tree = wim.metadata(index(wim, image)?).map_err(|error| from_engine(&error))?;
    let Some(id) = tree.lookup(folder, CaseSensitivity::Insensitive) else {
        return Ok(Vec::new());
    };
    let name = |id| String::from_utf8_lossy(&tree.dentry(id).name().to_wtf8()).into_owned();
    Ok(tree.children(id).map(name).collect())
}

/// Every file of an image with its size, in the order of the image.
///
/// # Errors
/// When the image is damaged.
pub(super) fn files(wim: &Wim, image: u32) -> Result<Vec<(String, u64)>> {
    let tree = wim.metadata(index(wim, image)?).map_err(|error| from_engine(&error))?;
    let links = tree.hard_links();
    let mut files = Vec::new();
    tree.walk(DentryId::ROOT, |entry| {
        let file = tree.dentry(links.first(entry.id));
        if file.is_directory() {
            return;
        }
        let data = file.streams().find(|stream| stream.kind == StreamKind::Data);
        let hash = data.map_or(Sha1Hash::ZERO, |stream| stream.hash);
        let size = wim.find(&hash).map_or(0, |blob| wim.blob(blob).size);
        let path = String::from_utf8_lossy(entry.path).trim_start_matches('/').to_string();
        files.push((path, size));
    });
    Ok(files)
}

/// The bytes of the file at a path, which are no more than `max`; `None` where there is none.
///
/// # Errors
/// When it is larger, or the image is damaged.
pub(super) fn read(
    wim: &Wim,
    image: u32,
    path: &str,
    max: u64,
    cancel: &Cancel,
) -> Result<Option<Bytes>> {
    let Some(found) = find(wim, image, path)? else { return Ok(None) };
    if found.size > max {
        return Err(Error::damaged(format!(
            "{path} in image {image} of {} has {} bytes, more than such a file can have",
            text::clean(&wim.name()),
            found.size
        )));
    }
    let Some(blob) = found.data else { return Ok(Some(Bytes::new())) };
    let sink = ToMemory { wim, bytes: Mutex::default() };
    run(wim, blob, &sink, cancel)?;
    let bytes = sink.bytes.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Some(bytes.into()))
}

/// Writes the file at a path to `place`, a new file.
///
/// # Errors
/// When there is no such file in the image, it is damaged, or `place` cannot be written.
pub(super) fn extract(
    wim: &Wim,
    image: u32,
    path: &str,
    place: &Path,
    cancel: &Cancel,
) -> Result<()> {
    let Some(found) = find(wim, image, path)? else {
        let name = wim.name();
        return Err(Error::usage(format!("image {image} of {} has no {path}", text::clean(&name))));
    };
    let file = File::create_new(place).map_err(|error| Error::file("make", place, &error))?;
    let Some(blob) = found.data else { return Ok(()) };
    let sink = OnDisk { wim, file, failed: Mutex::default() };
    let done = run(wim, blob, &sink, cancel);
    match sink.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(Error::file("write", place, &error)),
        None => done,
    }
}

fn run(wim: &Wim, blob: BlobId, sink: &dyn Sink, cancel: &Cancel) -> Result<()> {
    let options = pipeline::Options { order: Order::File, ..Default::default() };
    pipeline::run(&Plan::new(wim, [blob]), sink, &options, &Silent, cancel)
        .map_err(|error| from_engine(&error))
}

/// Keeps the pieces of one blob, which come in order.
struct ToMemory<'w> {
    wim: &'w Wim,
    bytes: Mutex<Vec<u8>>,
}

impl Sink for ToMemory<'_> {
    fn piece(&self, _: BlobId, _: u64, data: &[u8]) -> Result<(), wim_extract::Error> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(data);
        Ok(())
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), wim_extract::Error> {
        result.map_err(|damage| self.wim.damaged(blob, damage))
    }
}

/// Writes the pieces of one blob to their places in a file.
struct OnDisk<'w> {
    wim: &'w Wim,
    file: File,
    failed: Mutex<Option<std::io::Error>>,
}

impl Sink for OnDisk<'_> {
    fn piece(&self, _: BlobId, offset: u64, data: &[u8]) -> Result<(), wim_extract::Error> {
        write_all_at(&self.file, data, offset).map_err(|error| {
            let message = error.to_string();
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            wim_extract::Error::Parameter(message)
        })
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), wim_extract::Error> {
        result.map_err(|damage| self.wim.damaged(blob, damage))
    }
}
