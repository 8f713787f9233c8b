//! A store: a database, a content library and, on each machine that uses them, a folder.
//!
//! ```text
//! osupg.db        the database (SQLite; -wal and -shm beside it while in use), unless the
//!                 configuration names a PostgreSQL database
//! library/        the content library, unless it is elsewhere
//! cache/          objects of a library elsewhere, while they are worked with
//! open.lock       held while the store is opened and its tables are brought up to date
//! library.lock    the lease of the library
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::store::Library;
use crate::store::lease::Lease;
use crate::store::place::{Means, Place};
use crate::store::sweep::{Depth, Litter, Swept};
use crate::system;

/// An open store.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    config: Arc<Config>,
    by: Arc<str>,
    /// Its database.
    pub db: Db,
    /// Its content library.
    pub library: Library,
}

impl Home {
    /// Opens the store in `root`, which is made if it does not exist, with nothing configured.
    ///
    /// # Errors
    /// When the folder or something in it cannot be made or opened.
    pub async fn open(root: &Path) -> Result<Self> {
        Self::open_with(Config { home: Some(root.to_path_buf()), ..Config::default() }).await
    }

    /// Opens the store that a configuration describes; its folder is made if it does not exist.
    ///
    /// # Errors
    /// When the folder or something in it cannot be made or opened.
    pub async fn open_with(config: Config) -> Result<Self> {
        let folder = config.folder()?;
        let (root, lock) = tokio::task::spawn_blocking(move || prepare(&folder)).await??;
        let db = match &config.database {
            Some(url) => Db::open_postgres(url).await?,
            None => Db::open_sqlite(&root.join("osupg.db")).await?,
        };
        let library = open_library(&config, &root)?;
        drop(lock);
        Ok(Self {
            root,
            config: Arc::new(config),
            by: format!("local:{}", system::user()).into(),
            db,
            library,
        })
    }

    /// How it is configured.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// In whose name things are done: an account or token, or `local:` and the user of the system
    /// who runs the command.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// The same store, in which things are done in the name of `who`.
    #[must_use]
    pub fn acting_for(&self, who: &str) -> Self {
        Self { by: who.into(), ..self.clone() }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lease of an import: while it is held, no object is deleted.
    ///
    /// # Errors
    /// When the lock file cannot be used.
    pub async fn lease(&self) -> Result<Lease> {
        if self.db.is_shared() {
            return Lease::shared_row(&self.db).await;
        }
        let path = self.root.join("library.lock");
        tokio::task::spawn_blocking(move || Lease::shared(&path)).await?
    }

    /// The lease of a collector, or `None` while an import is running.
    ///
    /// # Errors
    /// When the lock file cannot be used.
    pub async fn try_exclusive_lease(&self) -> Result<Option<Lease>> {
        if self.db.is_shared() {
            return Lease::try_exclusive_row(&self.db).await;
        }
        let path = self.root.join("library.lock");
        tokio::task::spawn_blocking(move || Lease::try_exclusive(&path)).await?
    }

    /// Collects what removed packages and cut-off imports have left, unless an import is running
    /// (then a later run does it) and `None` is returned.
    ///
    /// # Errors
    /// When the library or the database cannot be reached.
    pub async fn collect(&self) -> Result<Option<Swept>> {
        let grace = self.config.retention.grace();
        let Some(lease) = self.try_exclusive_lease().await? else { return Ok(None) };
        let litter = Litter::find(&self.db, &self.library, grace, Depth::Known).await?;
        let swept = match litter.is_empty() {
            true => litter.swept(),
            false => litter.remove(&self.db, &self.library, &lease).await?,
        };
        lease.release().await;
        Ok(Some(swept))
    }

    /// Closes the database.
    pub async fn close(self) {
        self.db.close().await;
    }
}

/// Opens the content library that a configuration names.
fn open_library(config: &Config, root: &Path) -> Result<Library> {
    let Some(address) = &config.library else { return Library::local(&root.join("library")) };
    let means = Means { s3: config.s3.clone(), azure: config.azure.clone() };
    let cache = config.cache.folder.clone().unwrap_or_else(|| root.join("cache"));
    Library::at(Place::open(address, &means)?, &cache, &config.cache)
}

/// Makes the folder and takes the lock under which it is opened.
fn prepare(root: &Path) -> Result<(PathBuf, Lease)> {
    system::make_private_folder(root).map_err(|error| {
        Error::file("make the folder of the store", root, &error)
            .advise("choose another folder with --home or the variable OSUPG_HOME")
    })?;
    let root = wim_extract::beneath::real_path(root)
        .map_err(|error| Error::file("open the folder of the store", root, &error))?;
    let lock = Lease::exclusive(&root.join("open.lock"))?;
    Ok((root, lock))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::db::tests::Database;
    use crate::jobs::settings::Settings;

    /// Opens a store in `root` with a fresh database.
    pub(crate) async fn open(root: &Path, database: Database) -> Home {
        let home = Some(root.to_path_buf());
        let config = Config { home, database: database.fresh(), ..Config::default() };
        Home::open_with(config).await.unwrap()
    }

    /// Runs `test` on a fresh store with SQLite and on a fresh one with PostgreSQL.
    pub(crate) async fn each(jobs: Settings, test: impl AsyncFn(Home)) {
        for database in [Database::Sqlite, Database::Postgres] {
            let folder = tempfile::tempdir().unwrap();
            let config = Config {
                home: Some(folder.path().join("home")),
                database: database.fresh(),
                jobs: jobs.clone(),
                ..Config::default()
            };
            let home = Home::open_with(config).await.unwrap();
            test(home.clone()).await;
            home.close().await;
        }
    }
}
