//! Why an operation failed: what file, where in it, what was expected, and what to do about it.
//!
//! [`Error::code`] gives the exit status of `wimlib-imagex` for the same cause, so scripts that
//! look at it keep working.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use wim_format::{DecodeError, FormatError, Sha1Hash, Structure};

use crate::source::SourceError;

/// What the operating system was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Open an existing file.
    Open,
    /// Read from a file, or map it.
    Read,
    /// Create a file.
    Create,
    /// Create a directory.
    MakeDirectory,
    /// Give a file a further name, or make a symbolic link to it.
    Link,
    /// Write to a file, or make what was written durable.
    Write,
    /// Rename a finished file into its place.
    Rename,
    /// Remove a file.
    Remove,
    /// Read a file's size, times or other properties.
    Stat,
    /// Look at a file that is to be captured.
    Scan,
    /// List what is in a directory that is to be captured.
    List,
    /// Set a file's times, owner, permissions or extended attributes.
    SetAttributes,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Create => "create",
            Self::MakeDirectory => "create directory",
            Self::Link => "create link",
            Self::Write => "write",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Stat | Self::Scan => "examine",
            Self::List => "list directory",
            Self::SetAttributes => "set attributes of",
        })
    }
}

/// Whose bytes are malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Of {
    /// One of the file's own structures; the [`FormatError`] says which.
    File,
    /// The metadata of an image (1-based index).
    Image(u32),
    /// A solid resource (its offset in the file).
    Resource(u64),
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Image(image) => write!(f, "image {image}: "),
            Self::Resource(offset) => write!(f, "resource at offset {offset}: "),
        }
    }
}

/// What is wrong with a blob's stored data.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum Damage {
    /// The bytes decode, but to something else than the blob table promises.
    #[error("SHA-1 is {found}, expected {expected}")]
    Hash {
        /// SHA-1 in the blob table.
        expected: Sha1Hash,
        /// SHA-1 of the decoded bytes.
        found: Sha1Hash,
    },
    /// A chunk cannot be decoded.
    #[error("chunk {chunk} at file offset {offset}: {source}")]
    Decode {
        /// Number of the chunk in its resource, from 0.
        chunk: u64,
        /// Where in the file its compressed bytes begin.
        offset: u64,
        /// What the decoder found.
        source: DecodeError,
    },
    /// The chunk table or solid resource header makes no sense.
    #[error("{0}")]
    Layout(FormatError),
    /// The resource lies outside the file, which is therefore truncated.
    #[error("bytes {offset}..{end} are past the end of the file ({file_len} bytes)")]
    Truncated {
        /// First byte of the resource in the file.
        offset: u64,
        /// Byte after its last.
        end: u64,
        /// Length of the file.
        file_len: u64,
    },
    /// The operating system could not read the file.
    #[error("cannot read at file offset {offset}: {source}")]
    Read {
        /// Where the read began.
        offset: u64,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The blob table puts another blob in the same place of a solid resource.
    #[error("its place in the solid resource overlaps that of another blob")]
    Overlap,
    /// A compressed chunk in a file whose header names no compression.
    #[error("chunk at file offset {offset} is compressed, but the header names no compression")]
    NoCodec {
        /// Where in the file the chunk begins.
        offset: u64,
    },
    /// More memory is needed to decode it than there is.
    #[error("{bytes} bytes of memory are needed to decode it, which cannot be had")]
    Memory {
        /// How much was asked for.
        bytes: usize,
    },
}

impl Damage {
    /// Exit status of `wimlib-imagex` for this damage.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Hash { .. } => 28,
            Self::Decode { .. } | Self::Layout(_) | Self::NoCodec { .. } => 2,
            Self::Overlap => 20,
            Self::Memory { .. } => 39,
            Self::Truncated { .. } => 65,
            Self::Read { .. } => 50,
        }
    }
}

/// Why a tree cannot be changed in some way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TreeProblem {
    /// A file was to be put in the place of a directory, or a directory to be treated as a file.
    #[error("is a directory")]
    IsDirectory,
    /// A directory was to be put in the place of a file.
    #[error("is not a directory")]
    NotADirectory,
    /// A directory was to be replaced that holds something.
    #[error("is a directory that is not empty")]
    NotEmpty,
    /// The root, or a directory below which its new place would be, was to be moved.
    #[error("cannot be moved there: it is the root, or its new place would be below itself")]
    Busy,
    /// A file was to be added where one is.
    #[error("exists, and is not to be replaced")]
    Exists,
}

impl TreeProblem {
    /// Exit status of `wimlib-imagex` for this problem.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::IsDirectory => 32,
            Self::NotADirectory => 40,
            Self::NotEmpty | Self::Busy => 41,
            Self::Exists => 23,
        }
    }
}

/// Why an operation of this crate failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: Action,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// The file system that takes the output is too small for it.
    #[error(
        "not enough space in {}: {needed} bytes needed, {available} available; \
         free some or choose another destination",
        path.display()
    )]
    NoSpace {
        /// Directory that was to take the output.
        path: PathBuf,
        /// Bytes the output needs.
        needed: u64,
        /// Bytes the file system has for us.
        available: u64,
    },

    /// A structure of the file is malformed.
    #[error("{file}: {of}{source}")]
    Malformed {
        /// Name of the file.
        file: String,
        /// Whose structure it is.
        of: Of,
        /// What is wrong with it, with the offset in the structure.
        source: FormatError,
    },

    /// One of the file's own tables cannot be read.
    #[error("{file}: {structure}: {damage}")]
    DamagedTable {
        /// Name of the file.
        file: String,
        /// Which table.
        structure: Structure,
        /// What is wrong with its data.
        damage: Damage,
    },

    /// The metadata of an image cannot be read.
    #[error("{file}: metadata of image {image}: {damage}")]
    DamagedMetadata {
        /// Name of the file.
        file: String,
        /// 1-based image index.
        image: u32,
        /// What is wrong with its data.
        damage: Damage,
    },

    /// What comes through a pipe is an archive that has to be searched.
    #[error(
        "{file}: is not pipable: its tables are at its end; save it to a file, or write it with \
         --pipable"
    )]
    NotPipable {
        /// Name of the stream.
        file: String,
    },

    /// A stream ends too soon.
    #[error("{file}: ends after {offset} bytes, within {what}; was its sender stopped?")]
    StreamEnds {
        /// Name of the stream.
        file: String,
        /// Bytes that have come.
        offset: u64,
        /// What is not whole.
        what: String,
    },

    /// What comes through a pipe is not what has to come next.
    #[error("{file}: at byte {offset}: {problem}")]
    BrokenStream {
        /// Name of the stream.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong.
        problem: String,
    },

    /// A source cannot be opened.
    #[error(transparent)]
    Source(#[from] SourceError),

    /// More memory is needed than there is.
    #[error(
        "{file}: {bytes} bytes of memory are needed, which cannot be had; choose fewer --threads"
    )]
    Memory {
        /// Name of the file.
        file: String,
        /// How much was asked for.
        bytes: u64,
    },

    /// The system gives no further thread.
    #[error(
        "cannot start a thread: {0}; choose fewer with --threads, or raise the limits of memory and \
         processes"
    )]
    Thread(#[source] io::Error),

    /// The XML data says that the file is encrypted.
    #[error("{file}: is an encrypted ESD; decrypt it first, its key is not in the file")]
    Encrypted {
        /// Name of the file.
        file: String,
    },

    /// Header, metadata and XML data disagree on the number of images.
    #[error("{file}: header or metadata are of {header} images, but the XML data lists {xml}")]
    ImageCount {
        /// Name of the file.
        file: String,
        /// Number of images by the header, or that there is metadata of.
        header: u32,
        /// Number of images in the XML.
        xml: u32,
    },

    /// The file is a later part of a split set.
    #[error(
        "{file}: is part {part} of {total} of a split set; open part 1 and give the others \
         with --ref"
    )]
    NotFirstPart {
        /// Name of the file.
        file: String,
        /// Its part number.
        part: u16,
        /// Number of parts in the set.
        total: u16,
    },

    /// The parts given do not make a whole split set.
    #[error("{file}: {problem}")]
    SplitSet {
        /// Name of the part that does not fit.
        file: String,
        /// What is wrong, and what to do.
        problem: String,
    },

    /// No image answers to the given index or name.
    #[error("{file}: has no image {operand:?}; it has {known}")]
    NoSuchImage {
        /// Name of the file.
        file: String,
        /// What was asked for.
        operand: String,
        /// What there is, for the message: "2 images: 1 \"Home\", 2 \"Pro\"".
        known: String,
    },

    /// Stored data of a blob is damaged.
    #[error("{file}: data of {}: {damage}", Subject { path, hash })]
    Damaged {
        /// Name of the file.
        file: String,
        /// Path of a file in an image that has this data, when known.
        path: Option<String>,
        /// SHA-1 by which the blob is known.
        hash: Sha1Hash,
        /// What is wrong.
        damage: Damage,
    },

    /// An image refers to a blob that is in none of the files given.
    #[error(
        "{file}: data of {} is missing; if the archive is split or a delta, give the other \
         files with --ref",
        Subject { path, hash }
    )]
    MissingBlob {
        /// Name of the file.
        file: String,
        /// Path of a file in an image that has this data, when known.
        path: Option<String>,
        /// SHA-1 by which the blob is known.
        hash: Sha1Hash,
    },

    /// The integrity table does not agree with the file.
    #[error("{file}: integrity table: bytes {offset}..{end} do not have the recorded SHA-1")]
    Integrity {
        /// Name of the file.
        file: String,
        /// First byte of the range that differs.
        offset: u64,
        /// Byte after its last.
        end: u64,
    },

    /// A file or directory inside an image does not exist.
    #[error("{file}: image {image} has no path {path:?}")]
    NoSuchPath {
        /// Name of the file.
        file: String,
        /// 1-based image index.
        image: u32,
        /// What was asked for.
        path: String,
    },

    /// A change of an image's tree that makes no sense there.
    #[error("{file}: {}{path}: {problem}", Within(*image))]
    Tree {
        /// Name of the file.
        file: String,
        /// 1-based image index; `None` for an image that is being captured.
        image: Option<u32>,
        /// Path in the image.
        path: String,
        /// Why.
        problem: TreeProblem,
    },

    /// A capture configuration that cannot be understood; the text says where and why.
    #[error("{0}")]
    Configuration(String),

    /// What is wanted as a stream of bytes is a directory or a link.
    #[error("{file}: {path} is no regular file; only the data of files can go to a stream")]
    NotAFile {
        /// Name of the archive.
        file: String,
        /// Path in the image.
        path: String,
    },

    /// The destination has an image of that name already.
    #[error("{file}: has an image named {name:?} already; choose another name")]
    NameTaken {
        /// Name of the destination.
        file: String,
        /// The name in question.
        name: String,
    },

    /// Another process is writing to the file.
    #[error("{}: is locked by another process; try again when it has finished", path.display())]
    Locked {
        /// The locked file.
        path: PathBuf,
    },

    /// The file may not be modified.
    #[error("{file}: cannot be modified: {reason}")]
    ReadOnly {
        /// Name of the file.
        file: String,
        /// Why not.
        reason: String,
    },

    /// A name that is to go into an image is no UTF-8.
    #[error("{name}: this name is no UTF-8, so an image cannot hold it; {what_to_do}")]
    NotUnicode {
        /// The name, or a path with it, with U+FFFD for what is none.
        name: String,
        /// What can be done about it.
        what_to_do: &'static str,
    },

    /// The file changed while it was in use.
    #[error("{}: was changed by another process meanwhile; run the command again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },

    /// Something legal that this version cannot do; the text says what can be done instead.
    #[error("{0}")]
    Unsupported(String),

    /// A value that the archive cannot hold; the text says why.
    #[error("{0}")]
    Parameter(String),

    /// Options or operands that contradict each other or make no sense; the text says why.
    #[error("{0}")]
    Usage(String),

    /// [`Cancel`](crate::cancel::Cancel) was set.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// Wraps an error of the operating system; for use with `map_err`.
    pub fn io(action: Action, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// Exit status of `wimlib-imagex` for the same cause, 1 to 91; 255 for wrong usage.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Io { action: Action::Open | Action::Create, .. } => 47,
            Self::Io { action: Action::MakeDirectory, .. } => 37,
            Self::Io { action: Action::Link, .. } => 35,
            Self::Io { action: Action::SetAttributes, .. } => 59,
            Self::Io { action: Action::Scan, .. } => 63,
            Self::Io { action: Action::List, source, .. }
                if source.kind() == io::ErrorKind::NotADirectory =>
            {
                40
            }
            Self::Io { action: Action::List, .. } => 48,
            Self::Io { action: Action::Read | Action::Stat, .. } => 50,
            Self::Io { .. } | Self::NoSpace { .. } => 72,
            Self::Malformed { of, source, .. } => malformed_code(*of, source),
            Self::DamagedMetadata { damage: Damage::Hash { .. }, .. } => 21,
            // wimlib looks only at whether it can be parsed.
            Self::DamagedTable {
                structure: Structure::Xml, damage: Damage::Hash { .. }, ..
            } => 73,
            Self::DamagedTable { damage, .. } | Self::DamagedMetadata { damage, .. } => {
                damage.code()
            }
            Self::NotPipable { .. } => 44,
            Self::StreamEnds { .. } => 65,
            Self::BrokenStream { .. } => 26,
            Self::Source(SourceError::NotAFile { .. }) => 50,
            Self::Source(_) => 47,
            Self::Memory { .. } | Self::Thread(_) => 39,
            Self::Encrypted { .. } => 74,
            Self::ImageCount { .. } => 10,
            Self::NotFirstPart { .. } => 36,
            Self::SplitSet { .. } => 62,
            Self::NoSuchImage { .. } => 18,
            Self::Damaged { damage, .. } => damage.code(),
            Self::MissingBlob { .. } => 55,
            Self::Integrity { .. } => 13,
            Self::NoSuchPath { .. } => 49,
            Self::NotAFile { .. } => 42,
            Self::Configuration(_) => 14,
            Self::Tree { problem, .. } => problem.code(),
            Self::NameTaken { .. } => 11,
            Self::Locked { .. } => 1,
            Self::ReadOnly { .. } => 71,
            Self::Changed { .. } => 88,
            Self::NotUnicode { .. } => 31,
            Self::Unsupported(_) => 68,
            Self::Parameter(_) => 24,
            Self::Usage(_) => 255,
            Self::Cancelled => 76,
        }
    }
}

/// The status depends on what is wrong where the format has a number of its own for it.
fn malformed_code(of: Of, source: &FormatError) -> u8 {
    match source {
        FormatError::NotWim { .. } => 43,
        FormatError::UnknownVersion { .. } => 67,
        FormatError::PartNumber { .. } => 25,
        FormatError::ImageCount { .. } => 10,
        FormatError::UnknownCompression { .. } => 16,
        FormatError::ChunkSize { .. } => 15,
        FormatError::Incomplete => 84,
        FormatError::Xml { .. } => 73,
        FormatError::OutsideFile { .. }
        | FormatError::Truncated { structure: Structure::Header, .. } => 65,
        FormatError::Truncated { structure, .. }
        | FormatError::Invalid { structure, .. }
        | FormatError::TooLarge { structure, .. } => structure_code(*structure),
        _ => match of {
            Of::File => 17,
            Of::Image(_) => 21,
            Of::Resource(_) => 2,
        },
    }
}

fn structure_code(structure: Structure) -> u8 {
    match structure {
        Structure::BlobTable => 20,
        Structure::ChunkTable | Structure::SolidHeader => 2,
        Structure::IntegrityTable => 19,
        Structure::Xml => 73,
        Structure::Header | Structure::BlobHeader => 17,
        _ => 21,
    }
}

/// "image N: ", or nothing for one that has no number yet.
struct Within(Option<u32>);

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |image| write!(f, "image {image}: "))
    }
}

/// "file X", or "blob SHA-1" when no path is known.
struct Subject<'a> {
    path: &'a Option<String>,
    hash: &'a Sha1Hash,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path {
            Some(path) => write!(f, "{path} (blob {})", self.hash),
            None => write!(f, "blob {}", self.hash),
        }
    }
}
