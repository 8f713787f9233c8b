//! The checks of what a run has made, before anything of it counts.

use std::collections::BTreeSet;

use wim_extract::diff::{self, ChangeKind};

use super::super::inventory::{self, ImageInventory, WINRE};
use super::super::recipe::Target;
use super::super::stack::Became;
use super::commit::Made;
use super::tasks::{Done, Key, Output};
use super::{Check, Work};
use crate::error::Result;
use crate::package::images::from_engine;
use crate::package::model::Entry;
use crate::text;

/// Paths that one finding lists.
const MAX_LISTED: usize = 10;
/// Folders of Windows in which its servicing stack removes files of its own accord.
const SERVICED: [&str; 8] = [
    "/windows/winsxs/",
    "/windows/servicing/",
    "/windows/softwaredistribution/",
    "/windows/logs/",
    "/windows/cbstemp/",
    "/windows/assembly/",
    "/windows/inf/",
    "/windows/system32/driverstore/",
];

/// Checks every WIM that is new, and the revision as a whole.
pub(super) async fn all(work: &Work<'_>, made: &Made, done: &Done) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    let new = |entry: &&Entry| made.new_wims.contains(&entry.path);
    let entries: Vec<&Entry> = made.entries.iter().filter(new).collect();
    for entry in &entries {
        work.watch.progress.note(&format!("checking {}", entry.path));
        let verified = tokio::task::block_in_place(|| {
            inventory::open(work.home, &made.entries, entry)?.verify(work.watch)
        });
        work.watch.check()?;
        checks.push(match verified {
            Ok(images) => check(
                format!("every blob of {}", entry.path),
                true,
                format!("{} read and hashed", super::super::counted(images.into(), "image")),
            ),
            Err(error) => check(format!("every blob of {}", entry.path), false, error.to_string()),
        });
    }
    if checks.iter().any(|check| !check.passed) {
        return Ok(checks);
    }
    let inventories = inventory::of_entries(work.home, &made.entries, work.watch).await?;
    let found = |entry: &Entry| inventories.iter().find(|wim| wim.path == entry.path.as_str());
    for (entry, found) in entries.iter().filter_map(|entry| Some((*entry, found(entry)?))) {
        if work.survey.install().is_some_and(|install| install.path == entry.path) {
            install(work, made, entry, &found.images, done, &mut checks)?;
        } else if entry.path.is("sources/boot.wim") && work.recipe.boot.is_none() {
            boot(work, made, entry, &found.images, done, &mut checks)?;
        }
    }
    checks.push(size(work, made));
    Ok(checks)
}

fn check(what: impl Into<String>, passed: bool, found: impl Into<String>) -> Check {
    Check { what: what.into(), passed, found: found.into() }
}

fn install(
    work: &Work<'_>,
    made: &Made,
    entry: &Entry,
    found: &[ImageInventory],
    done: &Done,
    checks: &mut Vec<Check>,
) -> Result<()> {
    let before: Vec<&ImageInventory> = work
        .survey
        .install_images()
        .iter()
        .filter(|image| work.survey.kept.contains(&image.index))
        .collect();
    checks.push(check(
        "the images of install.wim",
        before.len() == found.len(),
        format!("{} of {} expected", found.len(), before.len()),
    ));
    let output = done.outputs.get(&Key::Install);
    for (before, after) in before.iter().zip(found) {
        identity("install.wim", before, after, output, checks);
        let allowed = |target: &Target| match target {
            Target::Install(None) => true,
            Target::Install(Some(index)) => *index == before.index,
            _ => false,
        };
        let pair = (before.index, after.index);
        losses(work, made, entry, pair, allowed, output.is_some(), checks)?;
        let Some(old) = &before.winre else { continue };
        let replaced = work.recipe.winre.is_some();
        let serviced = done.outputs.get(&Key::Winre(old.sha1.clone()));
        let Some(new) = &after.winre else {
            checks.push(check(
                format!("the recovery environment of image {}", after.index),
                false,
                format!("{WINRE} is gone"),
            ));
            continue;
        };
        if !replaced {
            for (before, after) in old.images.iter().zip(&new.images) {
                identity("winre.wim", before, after, serviced, checks);
            }
        }
        let sound = new.images.len() >= old.images.len().min(1);
        checks.push(check(
            format!("the recovery environment of image {}", after.index),
            sound,
            format!("{} in it", super::super::counted(new.images.len() as u64, "image")),
        ));
    }
    Ok(())
}

fn boot(
    work: &Work<'_>,
    made: &Made,
    entry: &Entry,
    found: &[ImageInventory],
    done: &Done,
    checks: &mut Vec<Check>,
) -> Result<()> {
    let before = work.survey.boot_images();
    checks.push(check(
        "the images of boot.wim",
        before.len() == found.len(),
        format!("{} of {} expected", found.len(), before.len()),
    ));
    let output = done.outputs.get(&Key::Boot);
    for (before, after) in before.iter().zip(found) {
        identity("boot.wim", before, after, output, checks);
        let allowed = |target: &Target| match target {
            Target::Boot(None) => true,
            Target::Boot(Some(index)) => *index == before.index,
            _ => false,
        };
        let pair = (before.index, after.index);
        losses(work, made, entry, pair, allowed, output.is_some(), checks)?;
    }
    Ok(())
}

/// Edition, architecture and languages stay; the build is what the updates bring, and what the worker
/// says.
fn identity(
    wim: &str,
    before: &ImageInventory,
    after: &ImageInventory,
    output: Option<&Output>,
    checks: &mut Vec<Check>,
) {
    let what = |of: &str| format!("{of} of image {} of {wim}", after.index);
    let says = |image: &ImageInventory| {
        format!("{} {} {}", image.edition, image.architecture, image.languages.join(" "))
    };
    // A language pack adds languages and takes none.
    let kept = before.languages.iter().all(|language| after.languages.contains(language));
    let same = before.edition == after.edition && before.architecture == after.architecture && kept;
    let found =
        if same { says(after) } else { format!("{} instead of {}", says(after), says(before)) };
    checks.push(check(what("edition, architecture and languages"), same, found));
    let (old, new) = (before.version(), after.version());
    let Some(output) = output else {
        let found = if old == new { new.clone() } else { format!("{new} instead of {old}") };
        checks.push(check(what("the build"), old == new, found));
        return;
    };
    let grown = (after.build, after.revision) >= (before.build, before.revision);
    let said = output.images.iter().find(|image| image.index == before.index);
    let agrees = said.is_none_or(|said| said.build.is_empty() || said.build == new);
    let found = match said {
        Some(said) if !agrees => {
            format!("the worker says {}, the image has {new}", text::clean(&said.build))
        }
        _ if !grown => format!("{new}, which is older than {old}"),
        _ => format!("{old} before, {new} now"),
    };
    checks.push(check(what("the build"), grown && agrees, found));
    for result in output
        .updates
        .iter()
        .filter(|result| result.index == before.index && result.became == Became::Installed)
    {
        let listed = said.is_some_and(|said| {
            said.packages.iter().any(|package| after.installed().any(|there| there.is(package)))
        });
        let none = said.is_some_and(|said| said.packages.is_empty());
        checks.push(check(
            format!("{} in image {} of {wim}", result.called, after.index),
            listed || none,
            if listed || none {
                "its packages are in the image"
            } else {
                "the worker lists packages that the image does not have"
            },
        ));
    }
}

/// What the new image lacks that the old one had, and no step was to take away.
fn losses(
    work: &Work<'_>,
    made: &Made,
    entry: &Entry,
    (before, after): (u32, u32),
    wanted: impl Fn(&Target) -> bool,
    serviced: bool,
    checks: &mut Vec<Check>,
) -> Result<()> {
    let base = work.survey.entries.iter().find(|old| old.path == entry.path);
    let Some(base) = base else { return Ok(()) };
    let removals: BTreeSet<String> = work
        .recipe
        .remove
        .iter()
        .filter(|removal| wanted(&removal.from))
        .map(|removal| format!("/{}", removal.path.to_lowercase()))
        .collect();
    let (lost, changed) = tokio::task::block_in_place(|| {
        let old = inventory::open(work.home, &work.survey.entries, base)?;
        let new = inventory::open(work.home, &made.entries, entry)?;
        let (Some(old_image), Some(new_image)) = (old.wim.image(before), new.wim.image(after))
        else {
            return Ok((vec!["the image itself".to_string()], 0));
        };
        let found = diff::run(
            diff::Image { wim: &old.wim, index: old_image },
            diff::Image { wim: &new.wim, index: new_image },
            &diff::Options::default(),
        )
        .map_err(|error| from_engine(&error))?;
        let mut lost = Vec::new();
        for change in &found.changes {
            let path = match &change.kind {
                ChangeKind::Removed => &change.path,
                ChangeKind::Renamed { from, .. } => from,
                _ => continue,
            };
            let path = String::from_utf8_lossy(path).into_owned();
            let lower = path.to_lowercase();
            let meant = removals.iter().any(|removed| {
                lower == *removed || lower.strip_prefix(removed).is_some_and(|r| r.starts_with('/'))
            });
            let stack = serviced && SERVICED.iter().any(|folder| lower.starts_with(folder));
            if !meant && !stack {
                lost.push(path);
            }
        }
        Ok::<_, crate::Error>((lost, found.changes.len()))
    })?;
    let found = if lost.is_empty() {
        format!("{changed} changes, nothing lost")
    } else {
        let mut shown: Vec<_> = lost.iter().take(MAX_LISTED).cloned().collect();
        if lost.len() > MAX_LISTED {
            shown.push(format!("and {} more", lost.len() - MAX_LISTED));
        }
        format!("lost: {}", shown.join(", "))
    };
    let what = format!("the files of image {after} of {}", entry.path);
    checks.push(check(what, lost.is_empty(), found));
    Ok(())
}

/// The size of the media before and after, and why it differs. Media that lose half of their bytes
/// while every image is kept have lost something.
fn size(work: &Work<'_>, made: &Made) -> Check {
    let sum = |entries: &[Entry]| -> u64 {
        entries.iter().filter_map(|entry| Some(entry.content.as_ref()?.size)).sum()
    };
    let (before, after) = (sum(&work.survey.entries), sum(&made.entries));
    let mut parts = Vec::new();
    for entry in &made.entries {
        let old = work.survey.entries.iter().find(|old| old.path == entry.path);
        let size = |entry: Option<&Entry>| {
            entry.and_then(|entry| Some(entry.content.as_ref()?.size)).unwrap_or(0)
        };
        let (old, new) = (size(old), size(Some(entry)));
        if old != new {
            let sign = if new > old { '+' } else { '-' };
            parts.push((
                new.abs_diff(old),
                format!("{} {sign}{}", entry.path, text::size(new.abs_diff(old))),
            ));
        }
    }
    parts.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let parts: Vec<_> = parts.into_iter().take(MAX_LISTED).map(|(_, part)| part).collect();
    let meant = !work.recipe.keep.is_empty()
        || !work.recipe.remove.is_empty()
        || work.recipe.winre.is_some()
        || work.recipe.boot.is_some();
    let passed = meant || after >= before / 2;
    let why = if parts.is_empty() { "no file has another size".into() } else { parts.join(", ") };
    check(
        "the size of the media",
        passed,
        format!("{} before, {} now: {why}", text::size(before), text::size(after)),
    )
}
