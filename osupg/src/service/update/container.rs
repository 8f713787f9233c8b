//! What holds the files of an update: a cabinet, a WIM or a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wim_extract::archive::Wim;
use wim_extract::source::{Access, FileSource, Source};

use crate::error::{Error, Result};
use crate::package::images::from_engine;
use crate::progress::Watch;
use crate::service::cabinet::{self, Cabinet, Kept, ToFile, begins_as_cabinet};
use crate::service::image;
use crate::text;

/// Files and folders of a folder that is imported; drivers have some hundreds.
const MAX_FILES: usize = 100_000;
/// Folders that nest.
const MAX_DEPTH: usize = 32;

/// A file of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) struct Member {
    /// Its path, parts separated by `/`. Not checked.
    pub(in crate::service) path: String,
    /// Bytes.
    pub(in crate::service) size: u64,
}

impl Member {
    /// The last part of the path, in small letters.
    pub(in crate::service) fn name(&self) -> String {
        self.path.rsplit('/').next().unwrap_or_default().to_lowercase()
    }
}

/// An open container.
pub(in crate::service) enum Container {
    Cabinet(Cabinet),
    /// A WIM, of which the first image counts.
    Wim(Box<Wim>),
    /// A folder of this machine, and the files in it.
    Folder {
        root: PathBuf,
        members: Vec<Member>,
    },
}

/// What a file is by its first bytes.
pub(in crate::service) enum Opened {
    Container(Container),
    /// Something that no image takes, and why.
    Unfit(&'static str),
}

/// Opens the file at `path`.
pub(in crate::service) fn open_file(path: &Path) -> Result<Opened> {
    let source: Arc<dyn Source> = Arc::new(
        FileSource::open(path, Access::default()).map_err(|error| Error::io(error.to_string()))?,
    );
    let head = source
        .bytes(0, source.len().min(8) as usize)
        .map_err(|error| Error::file("read", path, &error))?;
    Ok(match &head[..] {
        head if begins_as_cabinet(head) => {
            Opened::Container(Container::Cabinet(Cabinet::open(source)?))
        }
        b"MSWIM\0\0\0" => {
            let wim = Wim::from_source(source, Vec::new()).map_err(|error| from_engine(&error))?;
            Opened::Container(Container::Wim(Box::new(wim)))
        }
        [b'M', b'Z', ..] => Opened::Unfit(
            "it is a program (.exe): it has to run in the Windows that it changes, and an image does \
             not run",
        ),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Opened::Unfit(
            "it is a package of Windows Installer (.msi, .msp): Windows Installer changes only the \
             Windows that it runs in",
        ),
        [b'P', b'K', 3, 4, ..] => Opened::Unfit(
            "it is a ZIP or an app package (.msix, .appx): the servicing stack does not take these",
        ),
        _ => Opened::Unfit("it is neither a cabinet (.cab, .msu) nor a WIM (.msu)"),
    })
}

impl Container {
    /// Opens a folder of this machine.
    pub(in crate::service) fn folder(root: &Path) -> Result<Self> {
        let mut members = Vec::new();
        walk(root, "", 0, &mut members)?;
        members.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self::Folder { root: root.to_path_buf(), members })
    }

    /// Its files.
    pub(in crate::service) fn members(&self) -> Result<Vec<Member>> {
        match self {
            Self::Cabinet(cabinet) => Ok(cabinet
                .files()
                .iter()
                .map(|file| Member { path: file.path.clone(), size: file.size.into() })
                .collect()),
            Self::Wim(wim) => Ok(image::files(wim, 1)?
                .into_iter()
                .map(|(path, size)| Member { path, size })
                .collect()),
            Self::Folder { members, .. } => Ok(members.clone()),
        }
    }

    /// The bytes of one file, which is not larger than `max`.
    pub(in crate::service) fn read(
        &self,
        member: &Member,
        max: u64,
        watch: Watch<'_>,
    ) -> Result<Vec<u8>> {
        if member.size > max {
            return Err(Error::damaged(format!(
                "{:?} in the update has {} bytes, more than such a file can have",
                text::clean(&member.path),
                member.size
            )));
        }
        match self {
            Self::Cabinet(cabinet) => {
                let mut bytes = None;
                let mut into = Some(&mut bytes);
                cabinet.extract(
                    |file| {
                        let wanted = file.path == member.path;
                        let place = if wanted { into.take() } else { None };
                        Ok(place.map(|into| Box::new(Kept::new(into)) as Box<dyn cabinet::Sink>))
                    },
                    watch,
                )?;
                bytes.ok_or_else(|| gone(member))
            }
            Self::Wim(wim) => {
                let bytes = image::read(wim, 1, &member.path, max, watch.cancel)?;
                bytes.map(|bytes| bytes.to_vec()).ok_or_else(|| gone(member))
            }
            Self::Folder { root, .. } => {
                let path = root.join(&member.path);
                std::fs::read(&path).map_err(|error| Error::file("read", &path, &error))
            }
        }
    }

    /// Writes some of its files into `folder`, under numbers: names inside are not to be trusted.
    /// Returns where each of `wanted` is.
    pub(in crate::service) fn extract(
        &self,
        wanted: &[Member],
        folder: &Path,
        watch: Watch<'_>,
    ) -> Result<Vec<PathBuf>> {
        let places: Vec<_> = (0..wanted.len()).map(|n| folder.join(format!("{n:05}"))).collect();
        let of: BTreeMap<&str, &PathBuf> =
            wanted.iter().map(|member| member.path.as_str()).zip(&places).collect();
        match self {
            Self::Cabinet(cabinet) => {
                let mut left = of;
                cabinet.extract(
                    |file| match left.remove(file.path.as_str()) {
                        None => Ok(None),
                        Some(place) => {
                            let sink = ToFile::create(place.clone(), file.modified)?;
                            Ok(Some(Box::new(sink) as Box<dyn cabinet::Sink>))
                        }
                    },
                    watch,
                )?;
            }
            Self::Wim(wim) => {
                for (path, place) in of {
                    image::extract(wim, 1, path, place, watch.cancel)?;
                }
            }
            Self::Folder { root, .. } => {
                for (path, place) in of {
                    let from = root.join(path);
                    std::fs::copy(&from, place)
                        .map_err(|error| Error::file("copy", &from, &error))?;
                }
            }
        }
        Ok(places)
    }
}

fn gone(member: &Member) -> Error {
    Error::damaged(format!("{:?} of the update cannot be found again", text::clean(&member.path)))
}

/// Lists a folder. Links are refused: what they lead to is no part of the update.
fn walk(root: &Path, below: &str, depth: usize, members: &mut Vec<Member>) -> Result<()> {
    let folder = root.join(below);
    let failed = |error: &std::io::Error| Error::file("list", &folder, error);
    for entry in std::fs::read_dir(&folder).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        let meta = entry.metadata().map_err(|error| failed(&error))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(Error::usage(format!("{} is not UTF-8", text::path(&entry.path()))));
        };
        let path = if below.is_empty() { name.to_string() } else { format!("{below}/{name}") };
        if meta.is_dir() && depth < MAX_DEPTH {
            walk(root, &path, depth + 1, members)?;
        } else if meta.is_file() {
            members.push(Member { path, size: meta.len() });
        } else {
            return Err(Error::usage(format!(
                "{} is a link, no ordinary file, or too deep",
                text::path(&entry.path())
            ))
            .advise("give a folder of ordinary files"));
        }
        if members.len() > MAX_FILES {
            return Err(Error::usage(format!(
                "{} holds more than {MAX_FILES} files",
                text::path(root)
            )));
        }
    }
    Ok(())
}
