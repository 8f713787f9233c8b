//! Builds the WIM files of the next revision in the scratch folder: natively, through the engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wim_extract::archive::Wim;
use wim_extract::capture::Replace;
use wim_extract::export::Recompress;
use wim_extract::source::Source;
use wim_extract::update::{self, AddOptions, Command, Directories, Missing};
use wim_extract::{Silent, rebuild};
use wim_format::name::CaseSensitivity;

use super::super::install::{self, Form};
use super::super::inventory::{self, WINRE};
use super::super::recipe::{Compression, Target};
use super::Work;
use super::media::{Changes, New};
use super::tasks::{self, Done, Key};
use crate::error::{Error, Result};
use crate::media::path::MediaPath;
use crate::package::images::{OpenWim, from_engine};
use crate::text;

/// Where Setup looks for the script that it runs when it is done.
pub(super) const SETUP_COMPLETE: &str = "Windows/Setup/Scripts/SetupComplete.cmd";

/// Builds every WIM that changes. Blocks the thread.
pub(super) fn build(work: &Work<'_>, done: &Done, changes: &mut Changes) -> Result<()> {
    let winres = winres(work, done)?;
    boot(work, done, changes)?;
    editions(work, done, &winres, changes)
}

/// The new recovery environment for each old one, by SHA-1; those that stay are left out.
fn winres(work: &Work<'_>, done: &Done) -> Result<BTreeMap<String, PathBuf>> {
    let mut old: Vec<&str> = work
        .survey
        .install_images()
        .iter()
        .filter(|image| work.survey.kept.contains(&image.index))
        .filter_map(|image| Some(image.winre.as_ref()?.sha1.as_str()))
        .collect();
    old.sort_unstable();
    old.dedup();
    let edited = has_edits(work, |target| matches!(target, Target::Winre));
    let mut new = BTreeMap::new();
    for sha1 in old {
        work.watch.check()?;
        let output = done.outputs.get(&Key::Winre(sha1.to_string()));
        if work.recipe.winre.is_none() && output.is_none() && !edited {
            continue;
        }
        let place = work.scratch.folder("winre")?.join(format!("{sha1}.wim"));
        match (&work.recipe.winre, output) {
            (Some(given), _) => copy_wim(work, given, &place)?,
            (None, Some(output)) => {
                let source = tasks::source(work, &output.content, "winre.wim");
                write(work, &*source, &place)?;
            }
            (None, None) => {
                let mut done = Done::default();
                let taken = tasks::take_out(work, sha1, &mut done)?;
                std::fs::rename(&taken, &place)
                    .map_err(|error| Error::file("move", &taken, &error))?;
            }
        }
        if edited {
            let images = inventory::open_file(&place)?.wim.image_count();
            let commands = commands(work, |target| matches!(target, Target::Winre));
            for index in 1..=images {
                edit(work, &place, index, &commands)?;
            }
            finish(work, &place)?;
        }
        new.insert(sha1.to_string(), place);
    }
    Ok(new)
}

fn boot(work: &Work<'_>, done: &Done, changes: &mut Changes) -> Result<()> {
    let edited = has_edits(work, |target| matches!(target, Target::Boot(_)));
    let output = done.outputs.get(&Key::Boot);
    let entry = work.survey.boot();
    let path = match entry {
        Some(entry) => entry.path.clone(),
        None => path("sources/boot.wim")?,
    };
    if !edited {
        match (&work.recipe.boot, output) {
            (Some(given), _) => {
                let place = work.scratch.folder("boot")?.join("boot.wim");
                copy_wim(work, given, &place)?;
                changes.put(path, New::File(place));
            }
            (None, Some(output)) => changes.put(path, New::Content(output.content.clone())),
            (None, None) => {}
        }
        return Ok(());
    }
    let place = work.scratch.folder("boot")?.join("boot.wim");
    match (&work.recipe.boot, output, entry) {
        (Some(given), ..) => copy_wim(work, given, &place)?,
        (None, Some(output), _) => {
            write(work, &*tasks::source(work, &output.content, "boot.wim"), &place)?;
        }
        (None, None, Some(entry)) => write(work, &*inventory::source(work.home, entry), &place)?,
        (None, None, None) => return Err(Error::usage("the media hold no sources/boot.wim")),
    }
    for index in 1..=inventory::open_file(&place)?.wim.image_count() {
        let commands = commands(work, |target| match target {
            Target::Boot(None) => true,
            Target::Boot(Some(wanted)) => *wanted == index,
            _ => false,
        });
        edit(work, &place, index, &commands)?;
    }
    finish(work, &place)?;
    changes.put(path, New::File(place));
    Ok(())
}

fn editions(
    work: &Work<'_>,
    done: &Done,
    winres: &BTreeMap<String, PathBuf>,
    changes: &mut Changes,
) -> Result<()> {
    let Some(entry) = work.survey.install() else { return Ok(()) };
    let output = done.outputs.get(&Key::Install);
    let all = work.survey.install_images();
    let kept: Vec<_> = all.iter().filter(|image| work.survey.kept.contains(&image.index)).collect();
    let fewer = kept.len() < all.len();
    let edited = has_edits(work, |target| matches!(target, Target::Install(_)))
        || work.recipe.setup_complete.is_some()
        || !winres.is_empty();
    let again = work.recipe.compression == Compression::Again;
    if !fewer && !edited && !again {
        match output {
            None => return Ok(()),
            Some(output) if work.survey.form == Form::Plain => {
                changes.put(entry.path.clone(), New::Content(output.content.clone()));
                return Ok(());
            }
            Some(_) => {}
        }
    }
    let place = work.scratch.folder("install")?.join("install.wim");
    let plain = work.survey.form == Form::Plain;
    match output {
        Some(output) => {
            let source = tasks::source(work, &output.content, "install.wim");
            match fewer {
                true => take_kept(work, &OpenWim::open(source, Vec::new())?, &place)?,
                false => write(work, &*source, &place)?,
            }
        }
        None if plain && !fewer => write(work, &*inventory::source(work.home, entry), &place)?,
        None => take_kept(work, &inventory::open(work.home, &work.survey.entries, entry)?, &place)?,
    }
    for (new, image) in (1_u32..).zip(&kept) {
        let mut commands = commands(work, |target| match target {
            Target::Install(None) => true,
            Target::Install(Some(wanted)) => *wanted == image.index,
            _ => false,
        });
        if let Some(script) = &work.recipe.setup_complete {
            commands.push(add(script, SETUP_COMPLETE));
        }
        let winre = image.winre.as_ref().and_then(|winre| winres.get(&winre.sha1));
        if let Some(winre) = winre {
            commands.push(add(winre, WINRE));
        }
        edit(work, &place, new, &commands)?;
    }
    finish(work, &place)?;
    let folder = work.scratch.folder("install-back")?;
    let form = work.survey.form;
    let written = install::write_back(&place, form, &entry.path, &folder, work.watch.cancel)?;
    for old in install::parts(&work.survey.entries, entry) {
        if !written.iter().any(|(new, _)| old.path.is(new)) {
            changes.remove(&old.path);
        }
    }
    for (new, file) in written {
        changes.put(path(&new)?, New::File(file));
    }
    Ok(())
}

/// Writes a WIM with the kept images, their data copied as it is where that is possible.
fn take_kept(work: &Work<'_>, open: &OpenWim, place: &Path) -> Result<()> {
    install::take_images(open, &work.survey.kept, place, work.watch.cancel)
}

fn has_edits(work: &Work<'_>, wanted: impl Fn(&Target) -> bool) -> bool {
    let added = work.recipe.add.iter().map(|add| &add.to);
    added.chain(work.recipe.remove.iter().map(|removal| &removal.from)).any(wanted)
}

/// What the recipe does to the images that `wanted` picks: removals first, so that a file can make room
/// for a folder.
fn commands(work: &Work<'_>, wanted: impl Fn(&Target) -> bool) -> Vec<Command> {
    let removals = work.recipe.remove.iter().filter(|removal| wanted(&removal.from));
    let removals = removals.map(|removal| Command::Delete {
        path: removal.path.clone().into_bytes(),
        missing: Missing::Refuse,
        directories: Directories::Remove,
    });
    let additions = work.recipe.add.iter().filter(|addition| wanted(&addition.to));
    removals.chain(additions.map(|addition| add(&addition.source, &addition.path))).collect()
}

/// A file that is there keeps its other names, attributes and security; its contents change.
fn add(source: &Path, path: &str) -> Command {
    Command::Add {
        source: source.to_path_buf(),
        destination: path.as_bytes().to_vec(),
        options: AddOptions { replace: Replace::Contents, ..AddOptions::default() },
    }
}

fn edit(work: &Work<'_>, wim: &Path, index: u32, commands: &[Command]) -> Result<()> {
    if commands.is_empty() {
        return Ok(());
    }
    work.watch.check()?;
    let options =
        update::Options { case: CaseSensitivity::Insensitive, ..update::Options::default() };
    let open = Wim::open(wim, &Default::default()).map_err(|error| from_engine(&error))?;
    let name = text::path(wim.file_name().map_or(wim, Path::new));
    let Some(image) = open.image(index) else {
        return Err(Error::usage(format!("{name} has no image {index}")));
    };
    drop(open);
    update::run(wim, image, commands, &options, &Silent, work.watch.cancel)
        .map(drop)
        .map_err(|error| from_engine(&error).context(format!("changing image {index} of {name}")))
}

/// Writes a changed WIM anew: without what nothing refers to any more.
fn finish(work: &Work<'_>, wim: &Path) -> Result<()> {
    let recompress = match work.recipe.compression {
        Compression::Keep => Recompress::WhenNeeded,
        Compression::Again => Recompress::Always,
    };
    let options = rebuild::Options { recompress, ..rebuild::Options::default() };
    rebuild::run(wim, &options, &Silent, work.watch.cancel)
        .map(drop)
        .map_err(|error| from_engine(&error))
}

/// Copies a WIM that was given by path, after a look at whether it is one.
fn copy_wim(work: &Work<'_>, given: &Path, place: &Path) -> Result<()> {
    let open = inventory::open_file(given)?;
    if open.wim.image_count() == 0 {
        return Err(Error::usage(format!("{} holds no image", text::path(given))));
    }
    let Some(part) = open.wim.parts().first() else {
        return Err(Error::usage(format!("{} holds nothing", text::path(given))));
    };
    write(work, &*part.source, place)
}

/// Writes all bytes of a source to a new file.
pub(super) fn write(work: &Work<'_>, source: &dyn Source, place: &Path) -> Result<()> {
    super::write_file(source, place, work.watch)
}

/// A path that is written here.
pub(super) fn path(path: &str) -> Result<MediaPath> {
    MediaPath::new(path)
        .map_err(|bad| Error::usage(format!("the path {:?} {bad}", text::clean(path))))
}
