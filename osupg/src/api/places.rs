//! Files of the service's machine that a request names: only below the folders that the
//! configuration lists.

use std::path::{Component, Path, PathBuf};

use wim_extract::beneath::real_path;

use crate::error::{Error, Result};
use crate::resolve::resolve;
use crate::text;

/// Checks that every place lies below one of `roots`, links resolved.
///
/// # Errors
/// When one does not, or is no absolute path.
pub(crate) fn check(roots: &[PathBuf], places: &[PathBuf]) -> Result<()> {
    places.iter().try_for_each(|place| check_one(roots, place))
}

fn check_one(roots: &[PathBuf], place: &Path) -> Result<()> {
    let shown = text::path(place);
    // A prefix is a drive or share of Windows.
    let plain = place.components().all(|part| {
        matches!(part, Component::Prefix(_) | Component::RootDir | Component::Normal(_))
    });
    if !place.is_absolute() || !plain {
        return Err(Error::forbidden(format!(
            "{shown} is no absolute path on the machine of the service"
        ))
        .advise("name files of that machine from / on, without `..`"));
    }
    let resolved = resolve(place);
    let below = |root: &PathBuf| {
        real_path(root).is_ok_and(|root| root.is_absolute() && resolved.starts_with(root))
    };
    if roots.iter().any(below) {
        return Ok(());
    }
    let advice = if roots.is_empty() {
        "the configuration of the service lists the folders that may be used: sources in [serve]; \
         there are none yet"
            .to_string()
    } else {
        let roots: Vec<_> = roots.iter().map(|root| text::path(root)).collect();
        format!("the service may use these folders: {}", roots.join(", "))
    };
    Err(Error::forbidden(format!("the service may not use {shown}")).advise(advice))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_is_below_a_root_may_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let media = folder.path().join("media");
        std::fs::create_dir_all(media.join("win11/sources")).unwrap();
        std::fs::create_dir(folder.path().join("media-secret")).unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        symlink(folder.path(), media.join("up")).unwrap();
        symlink(folder.path().join("nowhere"), media.join("dangling")).unwrap();
        symlink(media.join("win11"), media.join("alias")).unwrap();
        let roots = [media.clone()];
        let refused = |place: PathBuf| {
            let error = check(&roots, std::slice::from_ref(&place)).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Forbidden, "{place:?}");
            assert!(error.advice().is_some());
        };
        for good in ["", "win11", "win11/sources", "new/folder", "alias/sources", "x.iso:a/b.wim"] {
            check(&roots, &[media.join(good)]).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in
            ["..", "../secret", "win11/../../secret", "up/secret", "up", "dangling", "dangling/x"]
        {
            refused(media.join(bad));
        }
        refused(folder.path().join("media-secret"));
        refused(PathBuf::from("/"));
        refused(PathBuf::from("win11"));
        refused(PathBuf::new());
        assert!(check(&[], &[media]).is_err());
        assert!(check(&[], &[]).is_ok());
    }
}
