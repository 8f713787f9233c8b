//! The file with the editions, in whichever form the media have it.
//!
//! | on the media | while it is serviced | written back as |
//! |---|---|---|
//! | `install.wim` | as it is | it was |
//! | `install.esd`: solid resources, which DISM cannot mount | one WIM, LZX | LZMS in solid resources |
//! | `install.swm`, `install2.swm` … | one WIM | parts no larger than the largest was |

use std::path::Path;

use wim_extract::archive::{ImageIndex, Wim};
use wim_extract::export::{self, Compression, Grouping, Solid};
use wim_extract::{Cancel, Silent, convert, split};
use wim_format::Codec;

use super::inventory;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::path::MediaPath;
use crate::package::images::{OpenWim, from_engine};
use crate::package::model::Entry;
use crate::text;

/// What it is called on media, the first that there is.
const NAMES: [&str; 3] = ["sources/install.wim", "sources/install.esd", "sources/install.swm"];
/// Chunks of the WIM that an ESD becomes: DISM's usual ones.
const LZX_CHUNK: u32 = 32 << 10;
/// Compression of an ESD's metadata, outside of its solid resources.
const AROUND_SOLID: Compression = Compression::Chunks { codec: Codec::Lzms, chunk_size: 128 << 10 };

/// The form of the file with the editions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One file, each of its blobs by itself.
    Plain,
    /// One file with solid resources.
    Solid,
    /// Parts, of which the largest has so many bytes.
    Split(u64),
}

/// Whether a path is that of the file with the editions, or of its first part.
pub(super) fn is_install(path: &MediaPath) -> bool {
    NAMES.iter().any(|name| path.is(name))
}

/// The file with the editions, or its first part.
pub(super) fn entry(entries: &[Entry]) -> Option<&Entry> {
    NAMES.iter().find_map(|name| entries.iter().find(|entry| entry.path.is(name)))
}

/// The parts of the split set that begins with `first`, which is among them; or that file alone.
pub(super) fn parts<'e>(entries: &'e [Entry], first: &'e Entry) -> Vec<&'e Entry> {
    let mut parts = vec![first];
    if is_part(first) {
        let part = |number| {
            let path = part_path(&first.path, number);
            entries.iter().find(|entry| entry.path.is(&path))
        };
        parts.extend((2..).map_while(part));
    }
    parts
}

/// Whether an entry is named as a part of a split set.
pub(super) fn is_part(entry: &Entry) -> bool {
    entry.path.name().to_ascii_lowercase().ends_with(".swm")
}

/// Whether an entry is named as a part of a set whose first part is there: `install3.swm`.
pub(super) fn is_later_part(entries: &[Entry], entry: &Entry) -> bool {
    let path = entry.path.as_str();
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let first = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    first.len() < stem.len() && {
        let first = format!("{first}.swm");
        entries.iter().any(|entry| entry.path.is(&first))
    }
}

/// The path of a part, from 1: `install.swm`, `install2.swm`.
pub(super) fn part_path(first: &MediaPath, number: usize) -> String {
    let first = first.as_str();
    match (number, first.rsplit_once('.')) {
        (2.., Some((stem, ending))) => format!("{stem}{number}.{ending}"),
        _ => first.to_string(),
    }
}

/// The bytes of the file with the editions, all parts together.
pub(super) fn size(entries: &[Entry]) -> u64 {
    let all = entry(entries).map(|first| parts(entries, first)).unwrap_or_default();
    all.iter().filter_map(|entry| Some(entry.content.as_ref()?.size)).sum()
}

impl Form {
    /// The form of the file that `first` is or begins.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn of(home: &Home, entries: &[Entry], first: &Entry) -> Result<Self> {
        if is_part(first) {
            let all = parts(entries, first).into_iter();
            let largest = all.filter_map(|part| Some(part.content.as_ref()?.size)).max();
            return Ok(Self::Split(largest.unwrap_or(0)));
        }
        let open = inventory::open(home, entries, first)?;
        let solid = open.wim.parts().first().is_some_and(|part| !part.blobs.solid.is_empty());
        Ok(if solid { Self::Solid } else { Self::Plain })
    }
}

/// Writes a plain WIM with some images of `open`. The same images always give the same bytes.
///
/// # Errors
/// When they cannot be read, or `place` cannot be written.
pub(super) fn take_images(
    open: &OpenWim,
    wanted: &[u32],
    place: &Path,
    cancel: &Cancel,
) -> Result<()> {
    let images: Vec<_> = open.wim.images().filter(|image| wanted.contains(&image.get())).collect();
    let solid = open.wim.parts().iter().any(|part| !part.blobs.solid.is_empty());
    let compression = match solid {
        true => Compression::Chunks { codec: Codec::Lzx, chunk_size: LZX_CHUNK },
        false => Compression::AsSource,
    };
    let boot = open.wim.header().boot_image().is_some_and(|boot| wanted.contains(&boot));
    let options = export::Options {
        guid: Some(guid_of(&open.wim, &images)?),
        boot: if boot { export::Boot::Mark } else { export::Boot::Leave },
        compression,
        grouping: Grouping::Single,
        ..Default::default()
    };
    export::run(&open.wim, &images, place, &options, &Silent, cancel)
        .map(drop)
        .map_err(|error| from_engine(&error))
}

/// Writes a plain WIM back in the form that the media have, into `folder`; the files of it, with the
/// paths that they have on the media.
///
/// # Errors
/// When it cannot be read, or the folder cannot be written.
pub(super) fn write_back(
    plain: &Path,
    form: Form,
    first: &MediaPath,
    folder: &Path,
    cancel: &Cancel,
) -> Result<Vec<(String, std::path::PathBuf)>> {
    let open = match form {
        Form::Plain => return Ok(vec![(first.as_str().to_string(), plain.to_path_buf())]),
        Form::Solid | Form::Split(_) => inventory::open_file(plain)?,
    };
    std::fs::create_dir_all(folder).map_err(|error| Error::file("make", folder, &error))?;
    let images: Vec<_> = open.wim.images().collect();
    let guid = Some(guid_of(&open.wim, &images)?);
    let place = folder.join(first.name());
    let written = match form {
        Form::Split(largest) => {
            let options = split::Options { guid, ..split::Options::default() };
            let done = split::run(&open.wim, &place, largest.max(1), &options, &Silent, cancel)
                .map_err(|error| from_engine(&error))?;
            let parts = done.parts.into_iter().enumerate();
            parts.map(|(at, part)| (part_path(first, at + 1), part.path)).collect()
        }
        Form::Plain | Form::Solid => {
            let grouping = Grouping::Solid(Solid::ESD);
            let options = convert::Options {
                compression: AROUND_SOLID,
                grouping,
                guid,
                ..convert::Options::default()
            };
            convert::run(&open.wim, &place, &options, &Silent, cancel)
                .map_err(|error| from_engine(&error))?;
            vec![(first.as_str().to_string(), place)]
        }
    };
    Ok(written)
}

/// A GUID that is the same for the same images: what they hold is in the hashes of their metadata.
fn guid_of(wim: &Wim, images: &[ImageIndex]) -> Result<[u8; 16]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"osupg servicing\n").update(wim.xml_bytes());
    for image in images {
        let entry = wim.metadata_entry(*image).map_err(|error| from_engine(&error))?;
        hasher.update(&entry.hash.0);
    }
    let digest = hasher.finalize();
    let mut guid: [u8; 16] = std::array::from_fn(|at| digest.as_bytes()[at]);
    // The form of a random one (RFC 9562); the first three fields are little-endian.
    guid[7] = guid[7] & 0x0f | 0x80;
    guid[8] = guid[8] & 0x3f | 0x80;
    Ok(guid)
}

/// What is missing of a split set, with what to do; `None` when it is whole.
pub(super) fn incomplete(open: &OpenWim, entries: &[Entry], first: &Entry) -> Option<String> {
    let (there, wanted) = (parts(entries, first).len(), usize::from(open.wim.header().total_parts));
    (there < wanted).then(|| {
        format!(
            "{} is the first of {wanted} parts, of which the media hold {there}: add the media again \
             with {}",
            first.path,
            text::clean(&part_path(&first.path, there + 1))
        )
    })
}
