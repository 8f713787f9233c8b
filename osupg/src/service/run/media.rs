//! Changes to the tree of the media: Setup updates, placed updates, files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::file_version;
use super::super::identity::Version;
use super::super::image;
use super::super::inventory;
use super::super::recipe::Target;
use super::super::update::container::{Container, Member, Opened, open_file};
use super::super::update::{Kind, Update};
use super::tasks::{self, Done, Key};
use super::{Decision, FileDecision, Work};
use super::{answer, wims};
use crate::error::{Error, Result};
use crate::media::path::MediaPath;
use crate::package::images::OpenWim;
use crate::package::model::{Content, Entry};
use crate::store::source::PieceSource;
use crate::time::FileTime;

/// Largest program whose version is compared.
const MAX_PROGRAM: u64 = 256 << 20;
/// Where Setup takes drivers from.
const DRIVERS: &str = "$WinPEDriver$";
/// What Setup copies into the Windows that it installs.
const OEM: &str = "sources/$OEM$/$$/Setup";

/// Programs of a boot.wim and of the media that have to be of one version.
const FROM_BOOT: [(&str, &str); 5] = [
    ("sources/setup.exe", "sources/setup.exe"),
    ("sources/setuphost.exe", "sources/setuphost.exe"),
    ("Windows/Boot/EFI/bootmgfw.efi", "efi/boot/bootx64.efi"),
    ("Windows/Boot/EFI/bootmgr.efi", "bootmgr.efi"),
    ("Windows/Boot/PCAT/bootmgr", "bootmgr"),
];

/// What the next revision has that the base has not, and the other way round.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New and changed files by their folded path, with the path as it is written.
    new: BTreeMap<String, (MediaPath, New)>,
    /// Folded paths of files and folders that go.
    gone: BTreeSet<String>,
}

/// The bytes of a new file.
#[derive(Debug, Clone)]
pub(super) enum New {
    /// A file of this machine.
    File(PathBuf),
    /// Bytes that are made here.
    Bytes(Vec<u8>),
    /// A content of the library.
    Content(Content),
}

impl Changes {
    /// Puts a file in, or another one in its place.
    pub(super) fn put(&mut self, path: MediaPath, new: New) {
        self.new.insert(path.folded(), (path, new));
    }

    /// Takes a file away.
    pub(super) fn remove(&mut self, path: &MediaPath) {
        self.gone.insert(path.folded());
    }

    /// New and changed files.
    pub(super) fn new_files(&self) -> impl Iterator<Item = (&MediaPath, &New)> {
        self.new.values().map(|(path, new)| (path, new))
    }

    /// Whether a file or folder of the base goes.
    pub(super) fn is_gone(&self, path: &MediaPath) -> bool {
        let folded = path.folded();
        let above = folded.match_indices('/').map(|(at, _)| &folded[..at]);
        above.chain([folded.as_str()]).any(|path| self.gone.contains(path))
    }
}

/// Makes the changes of the media. Blocks the thread.
pub(super) fn change(
    work: &Work<'_>,
    done: &Done,
    changes: &mut Changes,
    decisions: &mut Vec<FileDecision>,
) -> Result<()> {
    for removal in work.recipe.remove.iter().filter(|removal| removal.from == Target::Media) {
        let path = wims::path(&removal.path)?;
        let below = format!("{}/", path.folded());
        let hits = |entry: &&Entry| {
            entry.path.folded() == path.folded() || entry.path.folded().starts_with(&below)
        };
        if !work.survey.entries.iter().any(|entry| hits(&entry)) {
            return Err(Error::usage(format!("the media hold no {path}")));
        }
        changes.gone.insert(path.folded());
    }
    for update in work.survey.setup_updates() {
        overlay(work, update, changes, decisions)?;
    }
    from_boot(work, done, changes, decisions)?;
    place(work, changes)?;
    for addition in work.recipe.add.iter().filter(|addition| addition.to == Target::Media) {
        if !addition.source.is_dir() {
            changes.put(spelled(work, &addition.path)?, New::File(addition.source.clone()));
            continue;
        }
        for member in Container::folder(&addition.source)?.members()? {
            let path = spelled(work, &format!("{}/{}", addition.path, member.path))?;
            changes.put(path, New::File(addition.source.join(&member.path)));
        }
    }
    answer::put(work, changes)
}

/// The path as the media write it, whatever the capitals of `path`.
pub(super) fn spelled(work: &Work<'_>, path: &str) -> Result<MediaPath> {
    let wanted = wims::path(path)?;
    let folded = wanted.folded();
    // The longest part of the path that is there; the rest is new.
    let entries = &work.survey.entries;
    let mut there: Option<&MediaPath> = None;
    for entry in entries {
        let at = entry.path.folded();
        let part =
            folded == at || folded.strip_prefix(&at).is_some_and(|rest| rest.starts_with('/'));
        if part && there.is_none_or(|best| at.len() > best.folded().len()) {
            there = Some(&entry.path);
        }
    }
    let Some(there) = there else { return Ok(wanted) };
    let is_file = entries.iter().any(|entry| entry.path == *there && entry.content.is_some());
    let depth = there.as_str().split('/').count();
    let rest: Vec<_> = wanted.as_str().split('/').skip(depth).collect();
    if rest.is_empty() {
        return Ok(there.clone());
    }
    if is_file {
        return Err(Error::usage(format!("{there} is a file, not a folder, on the media")));
    }
    wims::path(&format!("{}/{}", there.as_str(), rest.join("/")))
}

/// The update's one file, in the scratch folder; or its files, if it was a folder.
pub(super) fn bring(
    work: &Work<'_>,
    update: &Update,
    folder: &Path,
) -> Result<Vec<(String, PathBuf)>> {
    let files = work.files.get(&update.id).map_or(&[][..], Vec::as_slice);
    let mut brought = Vec::with_capacity(files.len());
    for (number, (path, content)) in files.iter().enumerate() {
        let place = folder.join(format!("file-{number:05}"));
        let source = PieceSource::new(work.home.library.clone(), &content.pieces, path);
        wims::write(work, &source, &place)?;
        brought.push((path.clone(), place));
    }
    Ok(brought)
}

/// The files of an update: those in its cabinet, or those of its folder.
fn expand(work: &Work<'_>, update: &Update) -> Result<Vec<(String, PathBuf)>> {
    let folder = work.scratch.folder(&format!("update-{}", update.id))?;
    let brought = bring(work, update, &folder)?;
    let [(_, only)] = brought.as_slice() else { return Ok(brought) };
    let Opened::Container(container) = open_file(only)? else { return Ok(brought) };
    let members: Vec<Member> = container.members()?;
    let inside = work.scratch.folder(&format!("inside-{}", update.id))?;
    let places = container.extract(&members, &inside, work.watch)?;
    Ok(members.into_iter().map(|member| member.path).zip(places).collect())
}

/// Lays the files of a Setup update over `sources`.
fn overlay(
    work: &Work<'_>,
    update: &Update,
    changes: &mut Changes,
    decisions: &mut Vec<FileDecision>,
) -> Result<()> {
    for (name, file) in expand(work, update)? {
        work.watch.check()?;
        // Images are changed by their own steps.
        if name.to_ascii_lowercase().ends_with(".wim") {
            continue;
        }
        let path = spelled(work, &format!("sources/{name}"))
            .map_err(|error| error.context(update.called()))?;
        decisions.push(lay(work, changes, path, file, &update.id)?);
    }
    Ok(())
}

/// Brings the programs of the media to those of a boot.wim that a worker has serviced: Setup on the
/// media and in the image have to be of one version, and so have the boot managers.
fn from_boot(
    work: &Work<'_>,
    done: &Done,
    changes: &mut Changes,
    decisions: &mut Vec<FileDecision>,
) -> Result<()> {
    let Some(output) = done.outputs.get(&Key::Boot) else { return Ok(()) };
    let source = tasks::source(work, &output.content, "boot.wim");
    let open = OpenWim::open(source, Vec::new())?;
    let folder = work.scratch.folder("from-boot")?;
    for (number, (inside, media)) in FROM_BOOT.into_iter().enumerate() {
        let there = work.survey.entries.iter().any(|entry| entry.path.is(media));
        // The last image is the one that Setup starts from.
        let index = open.wim.image_count();
        if !there || index == 0 || image::find(&open.wim, index, inside)?.is_none() {
            continue;
        }
        let place = folder.join(number.to_string());
        image::extract(&open.wim, index, inside, &place, work.watch.cancel)?;
        let decision = lay(work, changes, spelled(work, media)?, place, "boot.wim")?;
        decisions.push(decision);
    }
    Ok(())
}

/// Puts a file onto the media, unless there is a newer one or the same.
fn lay(
    work: &Work<'_>,
    changes: &mut Changes,
    path: MediaPath,
    file: PathBuf,
    update: &str,
) -> Result<FileDecision> {
    let new = read_file(&file)?;
    let after = file_version::of(&new);
    let before = there(work, changes, &path)?;
    let version = before.as_deref().and_then(file_version::of);
    let decision = match &before {
        None => Decision::Added,
        Some(bytes) if *bytes == new => Decision::Same,
        Some(_) => match (version, after) {
            (Some(before), Some(after)) if before > after => Decision::KeptNewer,
            _ => Decision::Replaced,
        },
    };
    let shown = |version: Option<Version>| version.map(|v| v.to_string()).unwrap_or_default();
    let said = FileDecision {
        path: path.as_str().to_string(),
        update: update.to_string(),
        decision,
        before: shown(version),
        after: shown(after),
    };
    if matches!(decision, Decision::Added | Decision::Replaced) {
        changes.put(path, New::File(file));
    }
    Ok(said)
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).map_err(|error| Error::file("examine", path, &error))?.len();
    if size > MAX_PROGRAM {
        return Err(Error::usage(format!(
            "a file of {size} bytes is more than a Setup update holds"
        )));
    }
    std::fs::read(path).map_err(|error| Error::file("read", path, &error))
}

/// The bytes that a path has so far.
pub(super) fn there(
    work: &Work<'_>,
    changes: &Changes,
    path: &MediaPath,
) -> Result<Option<Vec<u8>>> {
    match changes.new.get(&path.folded()) {
        Some((_, New::File(file))) => return read_file(file).map(Some),
        Some((_, New::Bytes(bytes))) => return Ok(Some(bytes.clone())),
        Some((_, New::Content(_))) => return Ok(None),
        None => {}
    }
    let entry = work.survey.entries.iter().find(|entry| entry.path.folded() == path.folded());
    let Some(entry) = entry.filter(|entry| !changes.is_gone(&entry.path)) else { return Ok(None) };
    let Some(content) = &entry.content else {
        return Err(Error::usage(format!("{path} is a folder on the media")));
    };
    if content.size > MAX_PROGRAM {
        return Err(Error::usage(format!("{path} on the media is too large for a file of Setup")));
    }
    let bytes = inventory::source(work.home, entry)
        .bytes(0, content.size as usize)
        .map_err(|error| Error::damaged(format!("{path}: {error}")))?;
    Ok(Some(bytes.to_vec()))
}

/// Places updates on the media, for Setup: drivers where it looks for them, packages where it copies
/// them from, with a script that installs them.
fn place(work: &Work<'_>, changes: &mut Changes) -> Result<()> {
    let mut packages = Vec::new();
    for update in &work.survey.placed {
        if update.facts.kind == Kind::Driver {
            for (name, file) in expand(work, update)? {
                let path = spelled(work, &format!("{DRIVERS}/{}/{name}", update.id))
                    .map_err(|error| error.context(update.called()))?;
                changes.put(path, New::File(file));
            }
            continue;
        }
        let folder = work.scratch.folder(&format!("placed-{}", update.id))?;
        for (name, file) in bring(work, update, &folder)? {
            let name = name.rsplit('/').next().unwrap_or_default();
            changes.put(spelled(work, &format!("{OEM}/Updates/{name}"))?, New::File(file));
            packages.push(name.to_string());
        }
    }
    if packages.is_empty() {
        return Ok(());
    }
    if work.recipe.setup_complete.is_some() {
        work.watch.progress.note(
            "the SetupComplete.cmd that was given has to install what is in %WINDIR%\\Setup\\Updates",
        );
        return Ok(());
    }
    let script = spelled(work, &format!("{OEM}/Scripts/SetupComplete.cmd"))?;
    changes.put(script, New::Bytes(setup_complete(&packages)));
    Ok(())
}

/// A script that installs packages in order.
fn setup_complete(packages: &[String]) -> Vec<u8> {
    let mut script =
        String::from("@echo off\r\nrem Installs the updates that were placed on the media.\r\n");
    for package in packages {
        // In a batch file a percent sign is written twice.
        let package = package.replace('%', "%%");
        script.push_str(&format!(
            "dism.exe /Online /Quiet /NoRestart /Add-Package \"/PackagePath:%WINDIR%\\Setup\\Updates\\{package}\"\r\n"
        ));
    }
    script.into_bytes()
}

/// When a new file counts as last changed.
pub(super) fn modified(new: &New) -> Result<FileTime> {
    match new {
        New::File(path) => {
            let meta =
                std::fs::metadata(path).map_err(|error| Error::file("examine", path, &error))?;
            Ok(meta.modified().map_or(FileTime::EPOCH, FileTime::from))
        }
        New::Bytes(_) | New::Content(_) => Ok(FileTime::from(std::time::SystemTime::now())),
    }
}
