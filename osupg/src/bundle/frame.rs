//! The frames of a bundle.
//!
//! ```text
//! offset  size
//!      0     1   kind: 1 index, 2 data, 3 end
//!      1     3   zero
//!      4     4   length of the body, little-endian; at most 1 MiB and 16 bytes
//!      8     4   CRC-32 of the eight bytes before and of the body
//!     12         the body
//! ```
//!
//! The checksum finds what a worn disk or a cut copy did to a frame before anything is made of it,
//! and without any key. It proves nothing: pieces are checked by BLAKE3, the index by signature.
//!
//! The body of an encrypted frame is sealed with ChaCha20-Poly1305. The nonce is the number of the
//! frame from 0, in the last eight of its twelve bytes, big-endian; the key belongs to this one file
//! (see [`cipher`](super::cipher)), so no nonce is ever used twice. The kind and the length are
//! sealed with it as associated data: frames cannot be swapped, left out, or passed off as others.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::cipher::{Cipher, TAG};
use crate::error::{Error, Result};

/// Bytes of content in a frame at most.
pub const MAX_BODY: usize = 1 << 20;
/// Bytes before the body.
pub const HEAD: usize = 12;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of the index.
    Index,
    /// A piece or a part of one.
    Data,
    /// Nothing: the bundle ends here.
    End,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Index => 1,
            Self::Data => 2,
            Self::End => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Index),
            2 => Some(Self::Data),
            3 => Some(Self::End),
            _ => None,
        }
    }
}

/// Writes frames.
pub struct FrameWriter<W> {
    to: W,
    cipher: Cipher,
    number: u64,
    written: u64,
}

impl<W: Write> FrameWriter<W> {
    /// Frames from number 0, sealed with `cipher`.
    pub fn new(to: W, cipher: Cipher) -> Self {
        Self { to, cipher, number: 0, written: 0 }
    }

    /// Writes `content` as one frame or, if it is long, several.
    ///
    /// # Errors
    /// Those of writing.
    pub fn content(&mut self, kind: Kind, content: &[u8]) -> io::Result<()> {
        content.chunks(MAX_BODY).try_for_each(|part| self.frame(kind, part))
    }

    /// Writes the end; returns the bytes of all frames.
    ///
    /// # Errors
    /// Those of writing.
    pub fn end(mut self) -> io::Result<u64> {
        self.frame(Kind::End, &[])?;
        self.to.flush()?;
        Ok(self.written)
    }

    fn frame(&mut self, kind: Kind, content: &[u8]) -> io::Result<()> {
        let length = content.len() + self.cipher.overhead();
        let start = start(kind, length as u32);
        let body = self.cipher.seal(self.number, &start, content);
        self.to.write_all(&start)?;
        self.to.write_all(&checksum(&start, &body).to_le_bytes())?;
        self.to.write_all(&body)?;
        self.number += 1;
        self.written += (HEAD + body.len()) as u64;
        Ok(())
    }
}

/// Reads frames.
pub struct FrameReader<R> {
    from: R,
    cipher: Cipher,
    number: u64,
}

impl<R: Read> FrameReader<R> {
    /// Frames from number 0, sealed with `cipher`.
    pub fn new(from: R, cipher: Cipher) -> Self {
        Self { from, cipher, number: 0 }
    }

    /// The next frame, whole and opened.
    ///
    /// # Errors
    /// When it is cut short, damaged, or was not sealed in this place with this key.
    pub fn read(&mut self) -> Result<(Kind, Vec<u8>)> {
        let (kind, length, start, expected) = self.head()?;
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).map_err(|error| self.unreadable(&error))?;
        if checksum(&start, &body) != expected {
            return Err(self.damaged("its checksum does not fit").advise(COPY_AGAIN));
        }
        let content = self.cipher.open(self.number, &start, body).ok_or_else(|| {
            if self.number == 0 {
                Error::usage("the key or passphrase is not the one the bundle was made for")
            } else {
                self.damaged("it was not sealed in this place")
            }
        })?;
        self.number += 1;
        Ok((kind, content))
    }

    /// The content of `size` bytes that was written by one call of [`FrameWriter::content`].
    ///
    /// # Errors
    /// As [`next`](Self::next), and when the frames are others than that call writes.
    pub fn content(&mut self, kind: Kind, size: usize) -> Result<Vec<u8>> {
        let mut content = Vec::with_capacity(size.min(MAX_BODY));
        while content.len() < size {
            let number = self.number;
            let (found, part) = self.read()?;
            let expected = (size - content.len()).min(MAX_BODY);
            if found != kind || part.len() != expected {
                return Err(damaged(number, "it is not the one that the index announces"));
            }
            if content.is_empty() {
                content = part;
            } else {
                content.extend_from_slice(&part);
            }
        }
        Ok(content)
    }

    /// Checks that the end is here, and nothing after it.
    ///
    /// # Errors
    /// When it is not.
    pub fn end(mut self) -> Result<()> {
        let number = self.number;
        match self.read()? {
            (Kind::End, body) if body.is_empty() => {}
            _ => return Err(damaged(number, "the end is expected here")),
        }
        match self.from.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::damaged("there are bytes after the end of the bundle")),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    fn head(&mut self) -> Result<(Kind, usize, [u8; 8], u32)> {
        let mut head = [0; HEAD];
        self.from.read_exact(&mut head).map_err(|error| self.unreadable(&error))?;
        let [kind, z1, z2, z3, l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let start = [kind, z1, z2, z3, l0, l1, l2, l3];
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let kind = Kind::from_byte(kind).filter(|_| [z1, z2, z3] == [0; 3]);
        let fits = (self.cipher.overhead()..=MAX_BODY + self.cipher.overhead()).contains(&length);
        match kind {
            Some(kind) if fits => Ok((kind, length, start, u32::from_le_bytes([c0, c1, c2, c3]))),
            _ => Err(self.damaged("its head is not one of a frame").advise(COPY_AGAIN)),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.damaged("the file ends in it").advise(COPY_AGAIN);
        }
        Error::io(format!("cannot read the bundle: {error}"))
    }

    fn damaged(&self, what: &str) -> Error {
        damaged(self.number, what)
    }
}

impl<R: Read + Seek> FrameReader<R> {
    /// Passes over the frames of a content of `size` bytes without looking at them.
    ///
    /// # Errors
    /// Those of seeking.
    pub fn skip(&mut self, size: u64) -> Result<()> {
        let frames = size.div_ceil(MAX_BODY as u64);
        let bytes = frames
            .checked_mul((HEAD + self.cipher.overhead()) as u64)
            .and_then(|heads| heads.checked_add(size))
            .and_then(|bytes| i64::try_from(bytes).ok())
            .ok_or_else(|| self.damaged("the index announces more than a file can hold"))?;
        self.from
            .seek(SeekFrom::Current(bytes))
            .map_err(|error| Error::io(format!("cannot read the bundle: {error}")))?;
        self.number += frames;
        Ok(())
    }
}

const COPY_AGAIN: &str = "copy the file again from where it was made";

fn damaged(number: u64, what: &str) -> Error {
    Error::damaged(format!("the bundle is damaged in frame {number}: {what}"))
}

fn start(kind: Kind, length: u32) -> [u8; 8] {
    let [l0, l1, l2, l3] = length.to_le_bytes();
    [kind.byte(), 0, 0, 0, l0, l1, l2, l3]
}

fn checksum(start: &[u8; 8], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(start);
    crc.update(body);
    crc.finalize()
}

/// Bytes that a content of `size` bytes takes in a bundle; `None` beyond what a file can hold.
#[must_use]
pub fn size_of_content(size: u64, sealed: bool) -> Option<u64> {
    let head = (HEAD + if sealed { TAG } else { 0 }) as u64;
    size.div_ceil(MAX_BODY as u64).checked_mul(head)?.checked_add(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn bundle(cipher: &Cipher) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::new(&mut bytes, cipher.clone());
        writer.content(Kind::Index, b"index").unwrap();
        writer.content(Kind::Data, &vec![7; MAX_BODY + 10]).unwrap();
        writer.content(Kind::Data, b"last").unwrap();
        let written = writer.end().unwrap();
        assert_eq!(written, bytes.len() as u64);
        bytes
    }

    fn read(bytes: &[u8], cipher: &Cipher) -> Result<()> {
        let mut reader = FrameReader::new(Cursor::new(bytes), cipher.clone());
        reader.content(Kind::Index, 5)?;
        reader.content(Kind::Data, MAX_BODY + 10)?;
        reader.content(Kind::Data, 4)?;
        reader.end()
    }

    #[test]
    fn frames_come_back_and_can_be_passed_over() {
        for cipher in [Cipher::none(), Cipher::of_key([5; 32])] {
            let bytes = bundle(&cipher);
            read(&bytes, &cipher).unwrap();
            let mut reader = FrameReader::new(Cursor::new(&bytes), cipher.clone());
            reader.skip(5).unwrap();
            reader.skip(MAX_BODY as u64 + 10).unwrap();
            assert_eq!(reader.content(Kind::Data, 4).unwrap(), b"last");
            reader.end().unwrap();
        }
    }

    #[test]
    fn every_cut_and_flipped_byte_is_found() {
        for cipher in [Cipher::none(), Cipher::of_key([5; 32])] {
            let mut bytes = Vec::new();
            let mut writer = FrameWriter::new(&mut bytes, cipher.clone());
            writer.content(Kind::Index, b"index").unwrap();
            writer.content(Kind::Data, b"last").unwrap();
            writer.end().unwrap();
            let read = |bytes: &[u8]| {
                let mut reader = FrameReader::new(Cursor::new(bytes), cipher.clone());
                reader.content(Kind::Index, 5)?;
                reader.content(Kind::Data, 4)?;
                reader.end()
            };
            read(&bytes).unwrap();
            for at in 0..bytes.len() {
                assert!(read(&bytes[..at]).is_err(), "cut at {at}");
                let mut flipped = bytes.clone();
                flipped[at] ^= 0x10;
                assert!(read(&flipped).is_err(), "flipped at {at}");
            }
            assert!(read(&[&bytes[..], &[0]].concat()).is_err(), "something after the end");
        }
    }

    /// Whoever forges a frame can make its checksum fit; where there is a key, that is not enough.
    #[test]
    fn sealed_frames_cannot_be_swapped_or_made_up() {
        let cipher = Cipher::of_key([5; 32]);
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::new(&mut bytes, cipher.clone());
        writer.content(Kind::Data, b"one").unwrap();
        writer.content(Kind::Data, b"two").unwrap();
        writer.end().unwrap();
        let frame = HEAD + 3 + TAG;
        let swapped = [&bytes[frame..2 * frame], &bytes[..frame], &bytes[2 * frame..]].concat();
        let mut reader = FrameReader::new(Cursor::new(&swapped), cipher.clone());
        assert!(reader.read().is_err());
        let left_out = [&bytes[..frame], &bytes[2 * frame..]].concat();
        let mut reader = FrameReader::new(Cursor::new(&left_out), cipher.clone());
        assert_eq!(reader.read().unwrap(), (Kind::Data, b"one".to_vec()));
        assert!(reader.end().is_err());
        let mut wrong_key = FrameReader::new(Cursor::new(&bytes), Cipher::of_key([6; 32]));
        assert!(wrong_key.read().unwrap_err().to_string().contains("passphrase"));
    }

    #[test]
    fn lengths_are_checked_before_memory_is_taken() {
        let cipher = Cipher::none();
        for length in [MAX_BODY as u32 + 1, u32::MAX] {
            let head = start(Kind::Data, length);
            let crc = checksum(&head, &[]).to_le_bytes();
            let bytes = [&head[..], &crc].concat();
            let error = FrameReader::new(Cursor::new(bytes), cipher.clone()).read().unwrap_err();
            assert!(error.to_string().contains("head"), "{error}");
        }
        let mut reader = FrameReader::new(Cursor::new(Vec::new()), cipher);
        assert!(reader.skip(u64::MAX).is_err());
    }
}
