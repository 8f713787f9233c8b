//! Bundles: revisions in one file, for stores that no network reaches.
//!
//! ```text
//! header   how it is locked                                         see header
//! frames   the length of the index (8 bytes, little-endian)         see frame
//!          the index: a signed statement of what follows            see index
//!          the pieces, each from a frame of its own on
//!          the end
//! ```
//!
//! A bundle is full, or the difference to revisions that its reader has. It says who made it, and is
//! taken in only if that key is trusted; it can be locked by a passphrase or to the key of one store.
//! Damage is found early by the checksums of the frames; what counts is the signature of the index
//! and the BLAKE3 of every piece.
//!
//! Taking a bundle in changes nothing that is seen until its last byte was read and checked. Stopped
//! on the way, the pieces that were stored wait for the next attempt, which passes over them.

pub mod cipher;
pub mod create;
pub mod frame;
pub mod header;
pub mod import;
pub mod index;
pub mod inspect;

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::home::Home;
use crate::text;
use crate::trust::Envelope;
use frame::{FrameReader, Kind};
use header::Locked;

/// Bytes that a file with a passphrase may have.
const MAX_PASSPHRASE: u64 = 1024;
/// Characters that a passphrase must have.
const SHORTEST_PASSPHRASE: usize = 8;

/// A bundle whose header and index were read.
struct Opened {
    /// How it is locked.
    locked: Locked,
    /// The signed index.
    envelope: Envelope,
    /// The frames behind the index.
    frames: FrameReader<BufReader<File>>,
    /// Where they begin in the file.
    start: u64,
    /// Bytes of the file.
    size: u64,
}

impl Opened {
    /// Opens a bundle and reads its index. Nothing in it is to be believed yet.
    fn open(path: &Path, passphrase: Option<&Path>, home: &Home) -> Result<Self> {
        let about = |error: Error| error.context(text::path(path));
        let file = File::open(path).map_err(|error| Error::file("open", path, &error))?;
        let meta = file.metadata().map_err(|error| Error::file("examine", path, &error))?;
        if !meta.is_file() {
            return Err(Error::usage(format!("{} is no file", text::path(path))));
        }
        let mut file = BufReader::with_capacity(256 << 10, file);
        let (locked, header) = header::read(&mut file).map_err(about)?;
        let passphrase = passphrase.map(read_passphrase).transpose()?;
        let cipher =
            header::unlock(&locked, &header, passphrase.as_deref().map(String::as_str), home)
                .map_err(about)?;
        let sealed = cipher.overhead() > 0;
        let mut frames = FrameReader::new(file, cipher);
        let length = frames.content(Kind::Index, 8).map_err(about)?;
        let length = <[u8; 8]>::try_from(length).map(u64::from_le_bytes).unwrap_or(u64::MAX);
        // An index that the file cannot hold is refused before memory is taken for it.
        if length > index::MAX_BYTES.min(meta.len()) {
            return Err(about(Error::damaged(format!(
                "the bundle announces an index of {}",
                text::size(length)
            ))));
        }
        let json = frames.content(Kind::Index, length as usize).map_err(about)?;
        let envelope = Envelope::from_json(&json).map_err(about)?;
        let start = [8, length]
            .into_iter()
            .filter_map(|size| frame::size_of_content(size, sealed))
            .sum::<u64>()
            + header::SIZE as u64;
        Ok(Self { locked, envelope, frames, start, size: meta.len() })
    }

    /// Whether the frames are sealed.
    fn sealed(&self) -> bool {
        self.locked != Locked::Open
    }
}

/// Whether the file begins like a bundle, or is empty.
fn may_be_replaced(path: &Path) -> Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(Error::file("examine", path, &error)),
    };
    let size = file.seek(SeekFrom::End(0)).map_err(|error| Error::file("read", path, &error))?;
    file.rewind().map_err(|error| Error::file("read", path, &error))?;
    Ok(size == 0 || header::read(&mut file).is_ok())
}

/// The passphrase in a file: its first line.
fn read_passphrase(path: &Path) -> Result<Zeroizing<String>> {
    use std::io::Read;
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(MAX_PASSPHRASE + 1).read_to_end(&mut bytes))
        .map_err(|error| Error::file("read the passphrase", path, &error))?;
    let bad = |what: &str| Error::usage(format!("the passphrase in {} {what}", text::path(path)));
    if bytes.len() as u64 > MAX_PASSPHRASE {
        return Err(bad("is longer than 1024 bytes"));
    }
    let line = std::str::from_utf8(&bytes).map_err(|_| bad("is not UTF-8"))?;
    let line = line.lines().next().unwrap_or_default();
    if line.chars().count() < SHORTEST_PASSPHRASE {
        return Err(bad("has fewer than eight characters")
            .advise("take several words: the bundle can be tried against guesses for ever"));
    }
    Ok(Zeroizing::new(line.to_string()))
}

#[cfg(test)]
mod tests;
