//! Takes away what nobody refers to: objects of removed packages and of imports that were cut off.
//!
//! The collector holds the store's lease alone, so no import is running and each import that the
//! database still lists is dead. Then every object that no content uses is litter. After an
//! ordinary removal the database knows which those are; after a dead import the whole library is
//! listed. Deleting comes before forgetting, so a collector that is cut off is simply repeated.

use std::collections::HashSet;
use std::path::Path;

use futures_util::TryStreamExt;
use object_store::ObjectStoreExt;

use super::Library;
use super::layout::{OBJECTS, ObjectId};
use crate::db::Db;
use crate::error::{Error, Result};

/// What a sweep took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects.
    pub objects: u64,
    /// Imports that had been cut off.
    pub imports: u64,
}

/// Collects whatever there is to collect. The caller holds the exclusive lease; `root` is the
/// folder of a local library.
///
/// # Errors
/// When the store or the database cannot be reached; the next sweep goes on from there.
pub async fn sweep(db: &Db, library: &Library, root: &Path) -> Result<Swept> {
    let leftovers = db.leftovers().await?;
    if leftovers.imports == 0 && leftovers.doomed == 0 {
        return Ok(Swept::default());
    }
    let mut swept = Swept { imports: leftovers.imports.unsigned_abs(), objects: 0 };
    let doomed = db.doomed().await?;
    for id in &doomed {
        // An import may have taken it up again since.
        if db.object_size(id).await?.is_none() && delete(library, id).await? {
            swept.objects += 1;
        }
    }
    if leftovers.imports > 0 {
        swept.objects += sweep_litter(db, library).await?;
        let root = root.join(OBJECTS);
        tokio::task::spawn_blocking(move || remove_staging(&root)).await??;
    }
    db.collected(&doomed).await?;
    Ok(swept)
}

/// Deletes every object that the database does not know.
async fn sweep_litter(db: &Db, library: &Library) -> Result<u64> {
    let known: HashSet<ObjectId> = db.object_ids().await?.into_iter().collect();
    let mut deleted = 0;
    let mut listing = library.store().list(Some(&OBJECTS.into()));
    while let Some(meta) = listing.try_next().await? {
        if let Some(id) = ObjectId::at(&meta.location).filter(|id| !known.contains(id))
            && delete(library, &id).await?
        {
            deleted += 1;
        }
    }
    Ok(deleted)
}

async fn delete(library: &Library, id: &ObjectId) -> Result<bool> {
    match library.store().delete(&id.location()).await {
        Ok(()) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes half-written files of a local library. `object_store` writes an object as
/// `name#number` beside its place, and leaves these out of its listings.
fn remove_staging(objects: &Path) -> Result<()> {
    let list = |folder: &Path| -> Result<Vec<std::fs::DirEntry>> {
        match std::fs::read_dir(folder) {
            Ok(entries) => entries
                .collect::<std::io::Result<_>>()
                .map_err(|error| Error::file("list", folder, &error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::file("list", folder, &error)),
        }
    };
    for folder in list(objects)? {
        if !folder.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        for file in list(&folder.path())? {
            let name = file.file_name();
            let staging = name.to_str().and_then(|name| name.split_once('#')).is_some_and(
                |(digits, number)| digits.len() == 64 && number.bytes().all(|b| b.is_ascii_digit()),
            );
            if staging {
                std::fs::remove_file(file.path())
                    .map_err(|error| Error::file("remove", &file.path(), &error))?;
            }
        }
    }
    Ok(())
}
