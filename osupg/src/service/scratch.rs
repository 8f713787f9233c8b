//! The scratch of a run: a folder that is gone when the run is over, however it ends.
//!
//! It is a [`StagedFolder`] that is never finished. Whoever makes one clears away those whose makers
//! were killed; those of runs that are alive are locked, and stay.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::home::Home;
use crate::staged::StagedFolder;

/// A folder for what one run makes.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: StagedFolder,
}

impl Scratch {
    /// Discards what earlier runs have left and makes a new folder. Blocks the thread.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn begin(home: &Home) -> Result<Self> {
        let root = root(home);
        std::fs::create_dir_all(&root).map_err(|error| {
            Error::file("make the scratch folder", &root, &error)
                .advise("set another one in the configuration: `scratch` under [service]")
        })?;
        Ok(Self { folder: StagedFolder::begin(&root.join("run"))? })
    }

    /// The folder.
    pub(super) fn place(&self) -> &Path {
        self.folder.place()
    }

    /// A folder in it, made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.place().join(name);
        std::fs::create_dir_all(&path).map_err(|error| Error::file("make", &path, &error))?;
        Ok(path)
    }
}

/// Where scratch folders are: in the folder of the store unless configured.
pub(super) fn root(home: &Home) -> PathBuf {
    home.config().service.scratch.clone().unwrap_or_else(|| home.root().join("scratch"))
}
