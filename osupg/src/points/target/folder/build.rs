//! Builds the next tree of a package and puts it into its place.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::check::{self, Watched};
use super::dir::{Clones, Dir, Kind, set_time};
use super::survey::{Basis, Survey, read_piece};
use super::{
    Folder, INSTALLED, LEAVING, NEXT, NEXT_TREE, OLD_TREE, PARTS, PRIVATE, PUBLIC, Place,
    unverified,
};
use wim_extract::output::write_all_at;

use crate::error::{Error, Result};
use crate::package::document::Document;
use crate::package::model::{Content, Entry};
use crate::points::feed::Feed;
use crate::points::target::{Installed, Plan, Signed};
use crate::progress::Phase;
use crate::space;
use crate::store::layout::Piece;
use crate::text;

/// What a revision would take.
pub(super) async fn plan(folder: &Folder, signed: &Signed) -> Result<Plan> {
    let document = &signed.document;
    let total = document.total_size();
    let mut plan = Plan { total, send: 0, present: 0, space: 0 };
    let Some(place) = folder.place_if_any(&document.package.id).await? else {
        let near = near_only(folder, signed).await?;
        return Ok(count(plan, document, &near, &HashMap::new()));
    };
    if holds(folder, &place, document).await? {
        plan.present = total;
        return Ok(plan);
    }
    let (survey, parts) = look(folder, &place, signed, Basis::Said).await?;
    Ok(count(plan, document, &survey, &parts))
}

/// The survey of a package that is not there, by what others have.
async fn near_only(folder: &Folder, signed: &Signed) -> Result<Survey> {
    let root = folder.open().await?;
    let (id, near) = (signed.document.package.id.clone(), signed.near.clone());
    let document = signed.document.clone();
    folder
        .step(move || {
            let state = Arc::clone(&root);
            // No state of its own: the root stands in, which has none of its files.
            let place = Place { id, root, state };
            let mut survey = Survey::of(&place, &document, &near, Basis::Said)?;
            survey.keep_what_exists(&place, &document)?;
            Ok(survey)
        })
        .await
}

/// What is at the point, as far as names and sizes tell, and how long the parts are.
async fn look(
    folder: &Folder,
    place: &Place,
    signed: &Signed,
    basis: Basis,
) -> Result<(Survey, HashMap<String, u64>)> {
    let (place, document, near) = (place.clone(), signed.document.clone(), signed.near.clone());
    folder
        .step(move || {
            let mut survey = Survey::of(&place, &document, &near, basis)?;
            survey.keep_what_exists(&place, &document)?;
            let mut parts = HashMap::new();
            if let Some(dir) = place.state.sub(PARTS)? {
                for (name, kind) in dir.list()?.0 {
                    let file = if kind == Kind::File { dir.file(&name)? } else { None };
                    if let Some(meta) = file.and_then(|file| file.metadata().ok()) {
                        parts.insert(name, meta.len());
                    }
                }
            }
            Ok((survey, parts))
        })
        .await
}

fn count(
    mut plan: Plan,
    document: &Document,
    survey: &Survey,
    parts: &HashMap<String, u64>,
) -> Plan {
    let mut travels: HashSet<_> = HashSet::new();
    for content in document.contents() {
        if survey.files.get(&content.sha256).is_some_and(|found| !found.is_empty()) {
            continue;
        }
        let part = parts.get(&text::hex(&content.sha256)).copied().unwrap_or(0);
        plan.space += content.size.saturating_sub(part);
        let mut end = 0;
        for piece in &content.pieces {
            end += piece.size;
            let here = survey.pieces.get(&piece.id).is_some_and(|places| !places.is_empty());
            if !here && end > part && travels.insert(piece.id) {
                plan.send += piece.size;
            }
        }
    }
    plan.present = plan.total.saturating_sub(plan.send);
    plan
}

/// Whether the point says that it has this revision.
async fn holds(folder: &Folder, place: &Place, document: &Document) -> Result<bool> {
    let state = Arc::clone(&place.state);
    let held = folder.step(move || unverified(&state, INSTALLED)).await?;
    Ok(held.is_some_and(|held| held.digest == document.digest && held.number == document.number))
}

/// Installs a revision.
pub(super) async fn install(
    folder: &Folder,
    signed: &Signed,
    feed: &Feed<'_>,
) -> Result<Installed> {
    let document = &signed.document;
    let place = folder.place(&document.package.id).await?;
    if holds(folder, &place, document).await? {
        feed.watch().progress.begin(Phase::Check, document.total_size());
        let flaws = check::verify(folder, document, feed).await;
        feed.watch().progress.end();
        if flaws?.is_empty() {
            let (state, envelope) = (Arc::clone(&place.state), signed.envelope.to_json());
            folder.step(move || write_if_other(&state, INSTALLED, envelope.as_bytes())).await?;
            return Ok(Installed { sent: 0, reused: document.total_size() });
        }
    }
    let planned = plan(folder, signed).await?;
    let (root, target) = (Arc::clone(&folder.root), folder.tree(&document.package.id));
    folder.step(move || space::require(&root, &target, planned.space)).await?;
    let build = Build::begin(folder, place, signed).await?;
    feed.watch().progress.begin(Phase::Send, planned.send);
    let built = build.files(feed).await;
    feed.watch().progress.end();
    built?;
    build.finish(feed).await?;
    let sent = feed.sent();
    Ok(Installed { sent, reused: document.total_size().saturating_sub(sent) })
}

fn write_if_other(state: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let there = state.read(name, bytes.len().saturating_add(1)).unwrap_or(None);
    if there.as_deref() == Some(bytes) { Ok(()) } else { state.write(name, bytes) }
}

/// A tree that is growing.
struct Build<'a> {
    folder: &'a Folder,
    document: &'a Document,
    place: Place,
    next: Arc<Dir>,
    parts: Arc<Dir>,
    survey: Survey,
    no_clones: AtomicBool,
    reused: AtomicU64,
}

impl<'a> Build<'a> {
    /// Makes the folders, and clears away what an earlier attempt left that is of no use.
    async fn begin(folder: &'a Folder, place: Place, signed: &'a Signed) -> Result<Self> {
        let document = &signed.document;
        let envelope = signed.envelope.to_json();
        let (there, wanted) = (place.clone(), document.clone());
        folder.step(move || refuse_foreign(&there)).await?;
        // Before next.json is replaced: it says where to find what a cut-off attempt has brought.
        let (survey, _) = look(folder, &place, signed, Basis::Possible).await?;
        let Place { state, .. } = place.clone();
        let (next, parts) = folder
            .step(move || {
                write_if_other(&state, NEXT, envelope.as_bytes())?;
                let next = state.make(NEXT_TREE, PUBLIC)?;
                prune(&next, &wanted)?;
                for entry in wanted.entries.iter().filter(|entry| entry.content.is_none()) {
                    let (parent, name) = inside(&next, entry.path.as_str())?;
                    parent.as_ref().unwrap_or(&next).make(name, PUBLIC)?;
                }
                let parts = state.make(PARTS, PRIVATE)?;
                let useful: HashSet<String> = wanted
                    .contents()
                    .into_iter()
                    .map(|content| text::hex(&content.sha256))
                    .collect();
                for (name, _) in parts.list()?.0 {
                    if !useful.contains(&name) {
                        parts.clear(&name)?;
                    }
                }
                Ok((Arc::new(next), Arc::new(parts)))
            })
            .await?;
        Ok(Self {
            folder,
            document,
            place,
            next,
            parts,
            survey,
            no_clones: AtomicBool::new(false),
            reused: AtomicU64::new(0),
        })
    }

    /// Brings every content, several at a time.
    async fn files(&self, feed: &Feed<'_>) -> Result<()> {
        let mut names: HashMap<[u8; 32], Vec<&Entry>> = HashMap::new();
        for (entry, content) in self.document.files() {
            names.entry(content.sha256).or_default().push(entry);
        }
        let jobs = self.document.contents().into_iter().map(|content| {
            let entries = names.remove(&content.sha256).unwrap_or_default();
            self.bring(content, entries, feed)
        });
        stream::iter(jobs).buffer_unordered(feed.rules.threads).try_collect::<()>().await
    }

    /// Brings one content to all its names.
    async fn bring(&self, content: &Content, entries: Vec<&Entry>, feed: &Feed<'_>) -> Result<()> {
        let Some((first, others)) = entries.split_first() else { return Ok(()) };
        feed.check()?;
        if self.have(first, content, feed).await? {
            self.reused.fetch_add(content.size, Ordering::Relaxed);
        } else {
            self.assemble(first, content, feed).await?;
        }
        for other in others {
            let (from, to) = (first.path.as_str().to_string(), other.path.as_str().to_string());
            let (next, size, modified) = (Arc::clone(&self.next), content.size, other.modified);
            let clones = self.clones();
            let now = self
                .folder
                .step(move || {
                    let Some(file) = next.file(&from)? else {
                        return Err(Error::io(format!("{from} has gone again")));
                    };
                    if file.metadata().map(|meta| meta.len()).unwrap_or(0) != size {
                        return Err(Error::io(format!("{from} was changed meanwhile")));
                    }
                    let (source, name) = inside(&next, &from)?;
                    let (target, to_name) = inside(&next, &to)?;
                    target.as_ref().unwrap_or(&next).place(
                        to_name,
                        &file,
                        (source.as_ref().unwrap_or(&next), name),
                        modified,
                        clones,
                    )
                })
                .await?;
            self.learn(now);
        }
        Ok(())
    }

    fn clones(&self) -> Clones {
        if self.no_clones.load(Ordering::Relaxed) { Clones::No } else { Clones::Perhaps }
    }

    fn learn(&self, clones: Clones) {
        if clones == Clones::No {
            self.no_clones.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the content is in its place in the next tree, or is anywhere at the point whole, from
    /// where it is put there.
    async fn have(&self, entry: &Entry, content: &Content, feed: &Feed<'_>) -> Result<bool> {
        let found = self.survey.files.get(&content.sha256).cloned().unwrap_or_default();
        let own = format!("{}/{}/{NEXT_TREE}", super::STATE, self.place.id);
        for one in found {
            feed.check()?;
            let (root, size, looked) = (Arc::clone(&self.place.root), content.size, one.clone());
            let file = self.folder.step(move || looked.open(&root, size)).await?;
            let Some(file) = file.map(Arc::new) else { continue };
            let hash = check::sha256(self.folder, &file, size, feed, Watched::No).await?;
            if hash != Some(content.sha256) {
                continue;
            }
            let (to, modified) = (entry.path.as_str().to_string(), entry.modified);
            if one.tree == own && one.path == to {
                let shown = self.next.shown().join(&to);
                let there = Arc::clone(&file);
                let kept = self
                    .folder
                    .step(move || {
                        let meta = there
                            .metadata()
                            .map_err(|error| Error::file("examine", &shown, &error))?;
                        // Setting the time of a hard link would set that of the other, too.
                        let right = meta
                            .modified()
                            .is_ok_and(|time| crate::time::FileTime::from(time) == modified);
                        Ok(right)
                    })
                    .await?;
                if kept {
                    return Ok(true);
                }
                continue;
            }
            let (root, next, clones) =
                (Arc::clone(&self.place.root), Arc::clone(&self.next), self.clones());
            let now = self
                .folder
                .step(move || {
                    let (folder, name) = one.split();
                    let Some(source) = root.sub(&folder)? else { return Ok(None) };
                    let (target, to_name) = inside(&next, &to)?;
                    let target = target.as_ref().unwrap_or(&next);
                    target.place(to_name, &file, (&source, name), modified, clones).map(Some)
                })
                .await?;
            if let Some(now) = now {
                self.learn(now);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Builds a file from pieces and moves it into the next tree.
    async fn assemble(&self, entry: &Entry, content: &Content, feed: &Feed<'_>) -> Result<()> {
        let name = text::hex(&content.sha256);
        let shown = self.next.shown().join(entry.path.as_str());
        let (parts, part_name) = (Arc::clone(&self.parts), name.clone());
        let file = self.folder.step(move || parts.grow(&part_name).map(Arc::new)).await?;
        let mut offset = 0;
        let mut written: HashMap<_, u64> = HashMap::new();
        for piece in &content.pieces {
            feed.check()?;
            let earlier = written.insert(piece.id, offset);
            if !self.copy_here(&file, offset, piece, earlier).await? {
                let bytes = feed.piece(piece).await.map_err(|error| error.context(&entry.path))?;
                let mut at = 0;
                while at < bytes.len() {
                    let part = bytes.slice(at..bytes.len().min(at + feed.slice()));
                    feed.pace(part.len() as u64).await?;
                    at += part.len();
                    let (file, shown) = (Arc::clone(&file), shown.clone());
                    let begin = offset + (at - part.len()) as u64;
                    self.folder
                        .step(move || {
                            write_all_at(&file, &part, begin)
                                .map_err(|error| Error::file("write", &shown, &error))
                        })
                        .await?;
                }
            }
            offset += piece.size;
        }
        let (whole, size, modified, to) =
            (Arc::clone(&file), content.size, entry.modified, shown.clone());
        self.folder
            .step(move || {
                let failed = |error: std::io::Error| Error::file("write", &to, &error);
                whole.set_len(size).map_err(failed)?;
                whole.sync_all().map_err(failed)
            })
            .await?;
        let found = check::sha256(self.folder, &file, content.size, feed, Watched::No).await?;
        let (parts, next, path) =
            (Arc::clone(&self.parts), Arc::clone(&self.next), entry.path.as_str().to_string());
        if found != Some(content.sha256) {
            self.folder.step(move || parts.clear(&name)).await?;
            return Err(Error::damaged(format!(
                "{} came out with another SHA-256 than was signed, although each of its pieces is \
                 right",
                text::path(&shown)
            ))
            .advise("`osupg package verify` tells whether the library holds what was stored"));
        }
        self.folder
            .step(move || {
                set_time(&file, &shown, modified)?;
                let (target, to_name) = inside(&next, &path)?;
                let target = target.as_ref().unwrap_or(&next);
                target.clear(to_name)?;
                parts.rename(&name, target, to_name)
            })
            .await
    }

    /// Puts a piece at its place in a part without anything travelling; `false` where that cannot
    /// be done. It may be there already, or `earlier` in the same part.
    async fn copy_here(
        &self,
        part: &Arc<File>,
        offset: u64,
        piece: &Piece,
        earlier: Option<u64>,
    ) -> Result<bool> {
        let places = self.survey.pieces.get(&piece.id).cloned().unwrap_or_default();
        let (part, piece, root) = (Arc::clone(part), *piece, Arc::clone(&self.place.root));
        let shown = self.parts.shown().to_path_buf();
        self.folder
            .step(move || {
                if read_piece(&part, offset, &piece).is_some() {
                    return Ok(true);
                }
                if let Some(bytes) = earlier.and_then(|from| read_piece(&part, from, &piece)) {
                    write_all_at(&part, &bytes, offset)
                        .map_err(|error| Error::file("write", &shown, &error))?;
                    return Ok(true);
                }
                for (found, from) in places {
                    let path = format!("{}/{}", found.tree, found.path);
                    let Some(file) = root.file(&path)? else { continue };
                    if let Some(bytes) = read_piece(&file, from, &piece) {
                        write_all_at(&part, &bytes, offset)
                            .map_err(|error| Error::file("write", &shown, &error))?;
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await
    }

    /// Puts the finished tree into its place.
    async fn finish(self, feed: &Feed<'_>) -> Result<()> {
        feed.check()?;
        let Place { id, root, state } = self.place.clone();
        let (next, document) = (Arc::clone(&self.next), self.document.clone());
        self.folder
            .step(move || {
                // Deepest first: writing into a folder changes its time.
                for entry in document.entries.iter().rev().filter(|one| one.content.is_none()) {
                    if let Some(folder) = next.sub(entry.path.as_str())? {
                        folder.set_own_time(entry.modified)?;
                    }
                }
                next.set_own_time(document.root_modified)?;
                next.sync_all()
            })
            .await?;
        feed.check()?;
        let stepped = Arc::clone(&state);
        self.folder
            .step(move || {
                if stepped.kind(INSTALLED)?.is_some() {
                    stepped.rename(INSTALLED, &stepped, LEAVING)?;
                    stepped.sync()?;
                }
                if root.kind(&id)?.is_none() {
                    stepped.rename(NEXT_TREE, &root, &id)?;
                } else if !stepped.exchange(NEXT_TREE, &root, &id)? {
                    stepped.clear(OLD_TREE)?;
                    root.rename(&id, &stepped, OLD_TREE)?;
                    stepped.rename(NEXT_TREE, &root, &id)?;
                }
                root.sync()?;
                stepped.rename(NEXT, &stepped, INSTALLED)?;
                stepped.sync()
            })
            .await?;
        for name in [LEAVING, NEXT_TREE, OLD_TREE, PARTS] {
            let state = Arc::clone(&state);
            self.folder.step(move || state.clear(name)).await?;
        }
        Ok(())
    }
}

/// The folder that a path is in, and its name there; `None` for `from` itself.
fn inside<'p>(from: &Dir, path: &'p str) -> Result<(Option<Dir>, &'p str)> {
    let Some((folder, name)) = path.rsplit_once('/') else { return Ok((None, path)) };
    match from.sub(folder)? {
        Some(folder) => Ok((Some(folder), name)),
        None => {
            Err(Error::io(format!("{} has gone again", text::path(&from.shown().join(folder)))))
        }
    }
}

/// A tree under the package's id that was not put there by osupg stays as it is.
fn refuse_foreign(place: &Place) -> Result<()> {
    if place.root.kind(&place.id)?.is_none() {
        return Ok(());
    }
    for name in [INSTALLED, LEAVING, NEXT] {
        if place.state.kind(name)?.is_some() {
            return Ok(());
        }
    }
    Err(Error::usage(format!(
        "there is something at {} that was not put there by osupg",
        text::path(&place.root.shown().join(&place.id))
    ))
    .advise("move it away, then publish again"))
}

/// Removes from a tree what has no place in it: names of others, and files where folders belong.
fn prune(next: &Dir, document: &Document) -> Result<()> {
    let wanted: HashMap<&str, Kind> = document
        .entries
        .iter()
        .map(|entry| {
            let kind = if entry.content.is_none() { Kind::Folder } else { Kind::File };
            (entry.path.as_str(), kind)
        })
        .collect();
    loop {
        let walk = next.walk(document.entries.len() + 100_000)?;
        let mut gone: Vec<String> = Vec::new();
        for (path, kind) in &walk.found {
            let inside_gone = gone.last().is_some_and(|gone| {
                path.strip_prefix(gone.as_str()).is_some_and(|rest| rest.starts_with('/'))
            });
            if inside_gone || wanted.get(path.as_str()) == Some(kind) {
                continue;
            }
            let (parent, name) = inside(next, path)?;
            parent.as_ref().unwrap_or(next).clear(name)?;
            gone.push(path.clone());
        }
        if walk.strange > 0 {
            return Err(Error::damaged(format!(
                "{} holds names that are not text",
                text::path(next.shown())
            ))
            .advise("remove that folder; it is made again"));
        }
        // What was beyond the end of the walk comes next.
        if !walk.cut_off || gone.is_empty() {
            return Ok(());
        }
    }
}
