//! Objects of a library elsewhere, kept in a folder of this machine while they are worked with.
//!
//! The engine reads a stored WIM at many places at a time and comes back to each; a folder gives it
//! maps to read from. A file is checked whenever it is opened. The folder is bounded: what was used
//! longest ago goes first. Removing it at any time does no harm.

use std::fs::{self, File, FileTimes};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::Deserialize;
use wim_extract::map::Map;
use wim_extract::output::set_times;

use super::cut::MAX_PIECE;
use super::layout::{ObjectId, Piece};
use crate::error::{Error, Result};

/// Files of a writer that was killed go when they are so old.
const ABANDONED: Duration = Duration::from_secs(60 * 60);
/// How the file of a writer begins.
const PART: &str = ".part-";

/// The cache of a library elsewhere: a section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The folder; `cache` in the folder of the store when left out.
    pub folder: Option<PathBuf>,
    /// The most that it may hold, in MiB: at least 64.
    pub limit_mib: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { folder: None, limit_mib: 10 * 1024 }
    }
}

/// A bounded folder of objects.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
    /// Bytes in it, as far as this process knows; `None` until it has looked.
    held: Mutex<Option<u64>>,
}

impl Cache {
    /// The cache in `folder`, which is made if need be.
    ///
    /// # Errors
    /// When it cannot be made, or may hold too little to work with.
    pub fn open(folder: &Path, settings: &Settings) -> Result<Self> {
        if settings.limit_mib < 64 {
            return Err(Error::usage(format!(
                "the cache may hold {} MiB; it needs at least 64",
                settings.limit_mib
            ))
            .advise("set limit-mib in the section [cache] of the configuration"));
        }
        fs::create_dir_all(folder)
            .map_err(|error| Error::file("make the cache folder", folder, &error))?;
        let limit = settings.limit_mib.saturating_mul(1 << 20);
        Ok(Self { folder: folder.to_path_buf(), limit, held: Mutex::new(None) })
    }

    /// How many pieces may stay mapped: maps keep the disk of files that have left the cache.
    pub(crate) fn pieces(&self) -> usize {
        usize::try_from(self.limit / (2 * MAX_PIECE as u64)).unwrap_or(usize::MAX).max(4)
    }

    /// The bytes of an object, mapped. If they are not here whole, `fetch` gets them.
    ///
    /// # Errors
    /// That of `fetch`, or when the folder cannot be written.
    pub fn map(&self, piece: &Piece, fetch: impl FnOnce() -> Result<Bytes>) -> Result<Bytes> {
        let digits = piece.id.to_string();
        let path = self.folder.join(&digits[..2]).join(&digits);
        if let Some(bytes) = self.open_whole(&path, piece)? {
            return Ok(bytes);
        }
        let bytes = fetch()?;
        self.write(&path, &bytes)?;
        self.count(bytes.len() as u64)?;
        match self.open_whole(&path, piece)? {
            Some(mapped) => Ok(mapped),
            // Evicted at once, by this process or another: what was fetched is as good.
            None => Ok(bytes),
        }
    }

    /// The object at `path`, if it is there and every byte as it should be.
    fn open_whole(&self, path: &Path, piece: &Piece) -> Result<Option<Bytes>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("open", path, &error)),
        };
        let map = Map::new(&file).map_err(|error| Error::file("read", path, &error))?;
        let bytes = map.bytes().clone();
        if bytes.len() as u64 != piece.size || ObjectId::of(&bytes) != piece.id {
            return Ok(None);
        }
        // What was used last goes last. Should the time not be settable, it goes sooner.
        let _ = set_times(path, FileTimes::new().set_modified(SystemTime::now()));
        Ok(Some(bytes))
    }

    /// Not made durable: after a power cut it is checked and fetched anew.
    fn write(&self, path: &Path, bytes: &Bytes) -> Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        let part = folder.join(format!("{PART}{}", uuid::Uuid::new_v4().simple()));
        let written = fs::create_dir_all(folder)
            .and_then(|()| File::create_new(&part)?.write_all(bytes))
            .and_then(|()| fs::rename(&part, path));
        written.map_err(|error| {
            let _ = fs::remove_file(&part);
            Error::file("write", path, &error)
        })
    }

    /// Counts what was written, and makes room when it is too much.
    fn count(&self, bytes: u64) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let total = match *held {
            Some(total) => total + bytes,
            None => self.files()?.iter().map(|file| file.size).sum(),
        };
        *held = Some(if total > self.limit { self.make_room()? } else { total });
        Ok(())
    }

    /// Removes what was used longest ago until a tenth is free; gives what is left.
    fn make_room(&self) -> Result<u64> {
        let mut files = self.files()?;
        files.sort_by_key(|file| file.used);
        let mut total: u64 = files.iter().map(|file| file.size).sum();
        for file in &files {
            if total <= self.limit / 10 * 9 {
                break;
            }
            match fs::remove_file(&file.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::file("remove", &file.path, &error));
                }
                _ => total -= file.size,
            }
        }
        Ok(total)
    }

    /// What it holds. Unfinished files of killed writers go.
    fn files(&self) -> Result<Vec<Cached>> {
        let mut files = Vec::new();
        for folder in entries(&self.folder)? {
            if !folder.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            for entry in entries(&folder.path())? {
                // Gone meanwhile: another process makes room.
                let Ok(meta) = entry.metadata() else { continue };
                let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                if entry.file_name().to_string_lossy().starts_with(PART) {
                    if used.elapsed().is_ok_and(|age| age > ABANDONED) {
                        let _ = fs::remove_file(entry.path());
                    }
                    continue;
                }
                files.push(Cached { path: entry.path(), size: meta.len(), used });
            }
        }
        Ok(files)
    }
}

/// A file of the cache.
struct Cached {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file("list", folder, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(byte: u8, size: usize) -> (Piece, Bytes) {
        let bytes = Bytes::from(vec![byte; size]);
        (Piece { id: ObjectId::of(&bytes), size: size as u64 }, bytes)
    }

    fn never() -> Result<Bytes> {
        Err(Error::io("it should have been in the cache"))
    }

    #[test]
    fn an_object_is_fetched_once_and_checked_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), &Settings::default()).unwrap();
        let (piece, bytes) = object(1, 1000);
        assert_eq!(cache.map(&piece, || Ok(bytes.clone())).unwrap(), bytes);
        assert_eq!(cache.map(&piece, never).unwrap(), bytes);
        let digits = piece.id.to_string();
        let path = folder.path().join(&digits[..2]).join(&digits);
        for wrong in [&b"short"[..], &[2; 1000]] {
            fs::write(&path, wrong).unwrap();
            assert_eq!(cache.map(&piece, || Ok(bytes.clone())).unwrap(), bytes);
            assert_eq!(cache.map(&piece, never).unwrap(), bytes);
        }
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), &Settings { limit_mib: 64, folder: None }).unwrap();
        let objects: Vec<_> = (0..9).map(|byte| object(byte, 8 << 20)).collect();
        for (number, (piece, bytes)) in objects.iter().enumerate() {
            if number == 8 {
                // The first is used again before there is too much.
                assert!(cache.map(&objects[0].0, never).is_ok());
            }
            cache.map(piece, || Ok(bytes.clone())).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        let held: u64 = cache.files().unwrap().iter().map(|file| file.size).sum();
        assert!(held <= 64 << 20, "{held}");
        assert!(cache.map(&objects[0].0, never).is_ok());
        assert!(cache.map(&objects[8].0, never).is_ok());
        assert!(cache.map(&objects[1].0, never).is_err());
    }

    #[test]
    fn a_cache_too_small_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { limit_mib: 63, folder: None };
        assert!(Cache::open(folder.path(), &settings).is_err());
    }
}
