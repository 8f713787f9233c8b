//! What a run makes its revision of, in one hash: the base, the recipe with all files that it names, the
//! updates, and what workers made. A run that would make the current revision once more makes nothing:
//! images carry the time at which they were changed, so that it would seem to be another one.

use std::fs::File;
use std::path::Path;

use super::super::update::container::Container;
use super::Work;
use super::tasks::Done;
use crate::error::{Error, Result};

/// Another number when runs come to make something else of the same.
const RULES: &str = "osupg servicing 1\n";

/// The hash of it. Blocks the thread.
pub(super) fn hash(work: &Work<'_>, done: &Done) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(RULES.as_bytes());
    let recipe = serde_json::to_vec(work.recipe)
        .map_err(|error| Error::io(format!("a recipe has no JSON: {error}")))?;
    part(&mut hasher, &work.survey.base.revision.digest);
    part(&mut hasher, &recipe);
    for update in work.survey.setup_updates().into_iter().chain(&work.survey.placed) {
        part(&mut hasher, update.sha256.as_bytes());
    }
    for update in &work.survey.unattended {
        part(&mut hasher, update.sha256.as_bytes());
    }
    for (key, output) in &done.outputs {
        part(&mut hasher, format!("{key:?}").as_bytes());
        part(&mut hasher, &output.content.sha256);
    }
    for place in work.recipe.places() {
        work.watch.check()?;
        if !place.is_dir() {
            part(&mut hasher, &of_file(place)?);
            continue;
        }
        let mut members = Container::folder(place)?.members()?;
        members.sort_by(|a, b| a.path.cmp(&b.path));
        for member in members {
            part(&mut hasher, member.path.as_bytes());
            part(&mut hasher, &of_file(&place.join(&member.path))?);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Adds something with its length, so that no two lists of parts are alike.
fn part(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

fn of_file(path: &Path) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    File::open(path)
        .and_then(|file| hasher.update_reader(file).map(|hasher| *hasher.finalize().as_bytes()))
        .map_err(|error| Error::file("read", path, &error))
}
