//! A worker: does with the servicing stack of its host what nothing else can do.
//!
//! ```text
//! FOLDER/mount, dism, dism.log    of the servicing stack
//! FOLDER/tasks/ID/input.wim       the WIM as it came; .part while it comes
//!                 work.wim        the same while it is changed
//!                 updates/ID/…    the updates
//!                 output.wim      the new WIM
//!                 report.json     what came of it: from then on only the bringing is left
//! ```
//!
//! Killed at any moment, it goes on there when it is started again.

mod coordinator;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use wim_extract::Cancel;
use wim_extract::source::{Access, FileSource, Source};

pub use coordinator::Coordinator;

use super::stack::{self, Place, Report, Stack};
use super::work::{ClaimRequest, Claimed, Facts, MAX_OFFERED, OfferRequest, Output, ReportRequest};
use crate::error::{Error, Kind, Result};
use crate::media::path::MediaPath;
use crate::progress::{Phase, Watch};
use crate::space;
use crate::store::cut::Pieces;
use crate::store::layout::{ObjectId, Piece};

/// How often a worker says that it is at its task.
const RENEW: Duration = Duration::from_secs(60);
/// Pieces that are brought at the same time.
const PIECES_AT_ONCE: usize = 4;
/// How often pieces are offered again when some are missing at the end.
const ROUNDS: usize = 3;

/// A worker on this machine.
#[derive(Debug)]
pub struct Worker {
    /// Who gives it work.
    pub coordinator: Coordinator,
    /// Its name, which no other worker has.
    pub name: String,
    /// A folder that is for nothing else.
    pub folder: PathBuf,
}

impl Worker {
    /// Discards what a worker that was killed has left mounted.
    ///
    /// # Errors
    /// When that is refused, or the folder cannot be made.
    pub fn start(&self, stack: &mut dyn Stack) -> Result<()> {
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| Error::file("make the folder of the worker", &self.folder, &error))?;
        stack.discard_stale().map_err(|refusal| {
            Error::io(format!("stale mounts cannot be discarded: {}", stack::reason(&refusal)))
                .advise(
                    "close whatever has files open in the worker's folder, or start Windows again",
                )
        })
    }

    /// Does one task, if there is one that this stack can do; returns whether there was.
    ///
    /// # Errors
    /// When the coordinator cannot be reached, the disk fails, or the work was stopped. What the stack
    /// refuses is reported and is no error here.
    pub async fn work_once(&self, stack: &mut dyn Stack, watch: Watch<'_>) -> Result<bool> {
        let facts = Facts { build: stack.build(), stack: stack.name() };
        let request = ClaimRequest { worker: self.name.clone(), facts };
        let Some(claimed) = self.coordinator.ask(&request, watch).await? else {
            // Whatever is left belongs to a task that this worker does not have any more.
            self.forget(None)?;
            return Ok(false);
        };
        let keeper = Keeper::start(&self.coordinator, &claimed.claim, watch.cancel);
        let held = Watch { cancel: &keeper.cancel, ..watch };
        let done = self.perform(&claimed, stack, held).await;
        let lost = keeper.is_lost();
        drop(keeper);
        match done {
            Ok(run) => {
                self.forget(None)?;
                self.coordinator.go_on(&run, watch).await?;
                Ok(true)
            }
            // Another worker has it, or nobody wants it any more.
            Err(error) if lost || error.kind() == Kind::NotFound => {
                watch.check()?;
                watch.progress.note(&format!("the task is given up: {error}"));
                self.forget(None)?;
                Ok(true)
            }
            Err(error) if error.kind() == Kind::Cancelled => Err(error),
            Err(error) => self.say_why(&claimed, error, watch).await.map(|()| true),
        }
    }

    /// Reports that the task cannot be done here, such as for want of space, so that its run says why.
    /// Where not even that can be said, the task is gone on with later.
    async fn say_why(&self, claimed: &Claimed, error: Error, watch: Watch<'_>) -> Result<()> {
        let failure = format!("{}: {error}", self.name);
        let report = Report { failure, ..Report::default() };
        let request = ReportRequest { claim: claimed.claim.clone(), report, output: None };
        let Ok(reported) = self.coordinator.ask_once(&request, watch).await else {
            return Err(error);
        };
        watch.progress.note(&format!("{} cannot be done here: {error}", claimed.task.wim));
        let _ = self.forget(None);
        self.coordinator.go_on(&reported.run, watch).await
    }

    /// Does what is left to do of a task; the run that waited for it.
    async fn perform(
        &self,
        claimed: &Claimed,
        stack: &mut dyn Stack,
        watch: Watch<'_>,
    ) -> Result<String> {
        let folder = self.forget(Some(&claimed.id))?;
        let (output, saved) = (folder.join("output.wim"), folder.join("report.json"));
        let report = match std::fs::read(&saved) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::damaged(format!("{} is no report: {error}", crate::text::path(&saved)))
                    .advise("remove the folder of the task; it is done again then")
            })?,
            Err(_) => {
                let report = self.service(claimed, &folder, &output, stack, watch).await?;
                // What failed is tried anew when it is wanted again.
                if report.failure.is_empty() {
                    keep_result(&output, &saved, &report)?;
                }
                report
            }
        };
        let mut request = ReportRequest { claim: claimed.claim.clone(), report, output: None };
        if request.report.failure.is_empty() {
            match tokio::task::block_in_place(|| cut_up(&output, watch)) {
                Ok(cut) => return self.bring(&cut, request, watch).await,
                // What is no WIM fails here, as the worker's result and not as ours.
                Err(error) if error.kind() == Kind::Damaged => {
                    request.report.failure =
                        format!("what the servicing stack exported is no WIM: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.coordinator.ask(&request, watch).await?.run)
    }

    /// Fetches what the task takes, and does it.
    async fn service(
        &self,
        claimed: &Claimed,
        folder: &Path,
        output: &Path,
        stack: &mut dyn Stack,
        watch: Watch<'_>,
    ) -> Result<Report> {
        space::require(folder, folder, claimed.task.size.saturating_mul(3))?;
        let (input, work) = (folder.join("input.wim"), folder.join("work.wim"));
        // What was changed when the worker was killed is of no use.
        for left in [&work, output] {
            remove_if_there(left)?;
        }
        let claim = &claimed.claim;
        watch.progress.begin(Phase::Receive, claimed.input.size);
        self.coordinator.fetch(claim, &claimed.input, &input, watch).await?;
        watch.progress.end();
        let mut places = std::collections::BTreeMap::new();
        for update in &claimed.updates {
            let at = folder.join("updates").join(plain(&update.id)?);
            for (path, file) in &update.files {
                self.coordinator.fetch(claim, file, &at.join(plain(path)?), watch).await?;
            }
            // A folder may hold a single file, too.
            let whole = match update.files.as_slice() {
                [(path, _)] if *path == update.file => at.join(plain(path)?),
                _ => at,
            };
            places.insert(update.id.clone(), whole);
        }
        std::fs::rename(&input, &work).map_err(|error| Error::file("move", &input, &error))?;
        let updates = |id: &str| places.get(id).cloned();
        let place = Place { wim: &work, output, updates: &updates };
        let report =
            tokio::task::block_in_place(|| stack::perform(stack, &claimed.task, &place, watch))?;
        remove_if_there(&work)?;
        Ok(report)
    }

    /// Brings the new WIM, what of it is missing, and reports it.
    async fn bring(
        &self,
        cut: &CutUp,
        mut request: ReportRequest,
        watch: Watch<'_>,
    ) -> Result<String> {
        request.output = Some(Output { size: cut.size, sha256: cut.sha256.clone() });
        let mut round = 1;
        loop {
            self.send_missing(cut, &request.claim, watch).await?;
            match self.coordinator.ask(&request, watch).await {
                Ok(reported) => return Ok(reported.run),
                // Something was lost again on the other side.
                Err(error) if error.kind() == Kind::Conflict && round < ROUNDS => round += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn send_missing(&self, cut: &CutUp, claim: &str, watch: Watch<'_>) -> Result<()> {
        let mut missing = Vec::new();
        for (number, pieces) in cut.pieces.chunks(MAX_OFFERED).enumerate() {
            let first = (number * MAX_OFFERED) as u64;
            let objects = pieces.iter().map(|(piece, _)| (piece.id.to_string(), piece.size));
            let offer = OfferRequest { claim: claim.into(), first, objects: objects.collect() };
            for place in self.coordinator.ask(&offer, watch).await?.missing {
                let piece = usize::try_from(place).ok().and_then(|place| pieces.get(place));
                missing.extend(piece.copied());
            }
        }
        let bytes = missing.iter().map(|(piece, _)| piece.size).sum();
        watch.progress.begin(Phase::Send, bytes);
        stream::iter(missing)
            .map(|(piece, at)| async move {
                watch.check()?;
                let bytes = cut.source.bytes(at, piece.size as usize).map_err(|error| {
                    Error::io(format!("cannot read {}: {error}", cut.source.name()))
                })?;
                self.coordinator.send(claim, &piece, bytes, watch).await?;
                watch.progress.advance(piece.size);
                Ok::<_, Error>(())
            })
            .buffer_unordered(PIECES_AT_ONCE)
            .try_collect::<()>()
            .await?;
        watch.progress.end();
        Ok(())
    }

    /// Removes the folders of all tasks but this one, which is made; its folder.
    fn forget(&self, all_but: Option<&str>) -> Result<PathBuf> {
        let tasks = self.folder.join("tasks");
        let keep = tasks.join(plain(all_but.unwrap_or("none"))?);
        if let Ok(entries) = std::fs::read_dir(&tasks) {
            for place in entries.flatten().map(|entry| entry.path()).filter(|at| *at != keep) {
                std::fs::remove_dir_all(&place)
                    .map_err(|error| Error::file("remove", &place, &error))?;
            }
        }
        if all_but.is_some() {
            std::fs::create_dir_all(&keep).map_err(|error| Error::file("make", &keep, &error))?;
        }
        Ok(keep)
    }
}

/// A name or path from the coordinator as one below a folder: it becomes a path here.
fn plain(path: &str) -> Result<PathBuf> {
    MediaPath::new(path)
        .map(|path| PathBuf::from(path.as_str()))
        .map_err(|bad| Error::damaged(format!("the task names a file by a path that {bad}")))
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// Has the new WIM on the disk, and then the report, whole or not at all: from then on the work is not
/// done again.
fn keep_result(output: &Path, saved: &Path, report: &Report) -> Result<()> {
    let json = serde_json::to_vec(report)
        .map_err(|error| Error::io(format!("a report has no JSON: {error}")))?;
    // Windows flushes only what is open for writing.
    File::options()
        .write(true)
        .open(output)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::file("write", output, &error))?;
    let part = saved.with_extension("part");
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(&json)?;
        file.sync_all()
    };
    write()
        .and_then(|()| std::fs::rename(&part, saved))
        .map_err(|error| Error::file("write", saved, &error))
}

/// A WIM, and where its pieces lie.
struct CutUp {
    source: FileSource,
    size: u64,
    sha256: String,
    pieces: Vec<(Piece, u64)>,
}

/// Reads a WIM and cuts it as the library does, so that what it shares with others is not sent.
fn cut_up(path: &Path, watch: Watch<'_>) -> Result<CutUp> {
    let spans = super::inventory::open_file(path)?.spans();
    let source = FileSource::open(path, Access::Read).map_err(|e| Error::io(e.to_string()))?;
    let (mut pieces, mut at, mut sha256) = (Vec::new(), 0, Sha256::new());
    for cut in Pieces::new(&source, &spans) {
        watch.check()?;
        let bytes =
            cut.map_err(|e| Error::io(format!("cannot read {}: {e}", source.name())))?.bytes;
        sha256.update(&bytes);
        let size = bytes.len() as u64;
        pieces.push((Piece { id: ObjectId::of(&bytes), size }, at));
        at += size;
    }
    Ok(CutUp { source, size: at, sha256: crate::text::hex(&sha256.finalize()), pieces })
}

/// Keeps a claim alive while its task is worked on; stops the work when it is lost.
struct Keeper {
    cancel: Cancel,
    lost: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Keeper {
    fn start(coordinator: &Coordinator, claim: &str, parent: &Cancel) -> Self {
        let (cancel, lost) = (parent.child(), Arc::new(AtomicBool::new(false)));
        let (coordinator, claim) = (coordinator.clone(), claim.to_string());
        let (stop, gone) = (cancel.clone(), Arc::clone(&lost));
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW).await;
                // A coordinator that cannot be reached for a while may be reached in time.
                if let Err(error) = coordinator.renew(&claim).await
                    && error.kind() == Kind::NotFound
                {
                    gone.store(true, Ordering::Relaxed);
                    stop.cancel();
                    return;
                }
            }
        });
        Self { cancel, lost, task }
    }

    /// Whether the claim was lost.
    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}
