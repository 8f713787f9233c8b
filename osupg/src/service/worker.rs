//! The contract with workers: claim a task, fetch by hash what it takes, do it, report.
//!
//! A worker owns nothing but its scratch. It may vanish at any moment: its time runs out, and another
//! gets the task. What it reports counts only while it has the task, so that two workers never both
//! end one.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::run::{self, RunState};
use super::scratch::Scratch;
use super::stack::{self, Place, Report, Stack, Task};
use super::task::{KeptTask, LEASE, MAX_ATTEMPTS, TaskState};
use crate::db::contents::ContentWriter;
use crate::db::service;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::package::images::OpenWim;
use crate::package::model::Content;
use crate::progress::Watch;
use crate::space;
use crate::store::ingest::{self, Feeder, Present};
use crate::store::layout::{ObjectId, Piece};
use crate::store::lease::Lease;
use crate::store::source::PieceSource;
use crate::text;
use crate::time::Moment;

/// Characters of a worker's name.
const MAX_NAME: usize = 64;
/// Objects of which one WIM may consist: at 1 MiB each, 1 TiB.
const MAX_PIECES: usize = 1 << 20;

/// What a worker can do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The build of its DISM, such as 26100.
    pub build: u32,
    /// What it calls itself, such as `DISM 10.0.26100.1`.
    #[serde(default)]
    pub stack: String,
}

/// Asks for work.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// The worker's name, which no other worker has.
    pub worker: String,
    /// What it can do.
    pub facts: Facts,
}

/// A task that the worker has now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Claimed {
    /// Its id.
    pub id: String,
    /// What is to be done.
    pub task: Task,
    /// The WIM that comes in.
    pub input: Bytes,
    /// The files of each update that it needs.
    pub updates: Vec<ClaimedUpdate>,
    /// When the worker must have reported.
    pub until: Moment,
}

/// An update and its files.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClaimedUpdate {
    /// Its id.
    pub id: String,
    /// Its files: path, and bytes.
    pub files: Vec<(String, Bytes)>,
}

/// The bytes of a file: objects of the content library, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Their number.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: String,
    /// The BLAKE3 hash and the size of each object.
    pub objects: Vec<(String, u64)>,
}

impl Bytes {
    fn of(content: &Content) -> Self {
        let objects = content.pieces.iter().map(|piece| (piece.id.to_string(), piece.size));
        Self { size: content.size, sha256: text::hex(&content.sha256), objects: objects.collect() }
    }

    /// The pieces, if every name is one.
    fn pieces(&self) -> Result<Vec<Piece>> {
        if self.objects.len() > MAX_PIECES {
            return Err(Error::usage(format!(
                "a WIM of {} objects is too many",
                self.objects.len()
            )));
        }
        let mut total = 0_u64;
        let mut pieces = Vec::with_capacity(self.objects.len());
        for (hash, size) in &self.objects {
            let location = format!("objects/{}/{hash}", hash.get(..2).unwrap_or_default());
            let id =
                object_store::path::Path::parse(&location).ok().and_then(|at| ObjectId::at(&at));
            let Some(id) = id else {
                return Err(Error::usage(format!("{:?} is no object", text::clean(hash))));
            };
            total = total.saturating_add(*size);
            pieces.push(Piece { id, size: *size });
        }
        if total != self.size {
            return Err(Error::usage(format!(
                "the objects of the new WIM have {total} bytes, not {}",
                self.size
            )));
        }
        Ok(pieces)
    }
}

impl Operation for ClaimRequest {
    type Outcome = Option<Claimed>;
    const NAME: &'static str = "service.claim";
    const RIGHT: Right = Right::Operate;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Option<Claimed>> {
        let Some(kept) = claim(home, &self.worker, &self.facts).await? else { return Ok(None) };
        let mut ids: Vec<&str> = kept
            .task
            .images
            .iter()
            .flat_map(|image| image.updates.iter().map(|update| update.id.as_str()))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut updates = Vec::new();
        for id in ids {
            let files = home.db.update_files(id).await?;
            let files = files.into_iter().map(|(path, content)| (path, Bytes::of(&content)));
            updates.push(ClaimedUpdate { id: id.to_string(), files: files.collect() });
        }
        Ok(Some(Claimed {
            input: Bytes::of(&kept.input),
            until: kept.lease_until,
            id: kept.id,
            task: kept.task,
            updates,
        }))
    }
}

/// Gives the oldest task that the worker can do to it.
async fn claim(home: &Home, worker: &str, facts: &Facts) -> Result<Option<KeptTask>> {
    let name_fits = !worker.is_empty()
        && worker.chars().count() <= MAX_NAME
        && !worker.chars().any(char::is_control);
    if !name_fits {
        return Err(Error::usage(format!("a worker's name has 1 to {MAX_NAME} characters")));
    }
    let json = serde_json::to_string(facts)
        .map_err(|error| Error::io(format!("the facts of a worker have no JSON: {error}")))?;
    home.db.worker_seen(worker, &json).await?;
    let now = Moment::now();
    for mut kept in home.db.open_tasks(now).await? {
        if kept.attempts >= MAX_ATTEMPTS {
            give_up(home, &kept).await?;
            continue;
        }
        if kept.task.build > facts.build {
            continue;
        }
        let until = Moment(now.0.saturating_add(LEASE));
        if home.db.claim_task(&kept.id, worker, now, until).await? {
            kept.worker = worker.to_string();
            kept.lease_until = until;
            kept.state = TaskState::Claimed;
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

/// Ends a task with which several workers were lost.
async fn give_up(home: &Home, kept: &KeptTask) -> Result<()> {
    let failure = format!(
        "{} was lost with it, the last of {} workers: look at its host, then retry the run",
        kept.worker, kept.attempts
    );
    let report = Report { failure, ..Report::default() };
    let mut tx = home.db.begin().await?;
    let mut contents = ContentWriter::default();
    let now = Moment::now();
    service::finish_task(&mut tx, &mut contents, &kept.id, &kept.worker, &report, None, now)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Reports what came of a task.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// The worker's name.
    pub worker: String,
    /// The task.
    pub id: String,
    /// What was done.
    pub report: Report,
    /// The new WIM, whose objects are in the library; `None` when there is none.
    #[serde(default)]
    pub output: Option<Bytes>,
}

/// What a report led to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Reported {
    /// The run that waited for it.
    pub run: String,
    /// How that run stands.
    pub state: RunState,
}

impl Operation for ReportRequest {
    type Outcome = Reported;
    const NAME: &'static str = "service.report";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Reported> {
        let Some(kept) = home.db.servicing_task(&self.id).await? else {
            return Err(Error::usage(format!("there is no task {:?}", text::clean(&self.id)))
                .advise("the run was cancelled: discard the result"));
        };
        let lease = home.lease().await?;
        let output = match &self.output {
            Some(bytes) => Some(checked(home, bytes, watch).await?),
            None => None,
        };
        finish(home, &kept, &self.worker, &self.report, output.as_ref(), &lease).await?;
        drop(lease);
        let run = home.db.servicing_run(&kept.run).await?;
        if run.state == RunState::Waiting {
            run::after::go_on(home, &run, &kept.id).await?;
        }
        Ok(Reported { run: run.id, state: run.state })
    }
}

/// Reads every object of a new WIM: it is what the worker says, and a WIM.
async fn checked(home: &Home, bytes: &Bytes, watch: Watch<'_>) -> Result<Content> {
    let pieces = bytes.pieces()?;
    let mut sha256 = Sha256::new();
    for piece in &pieces {
        watch.check()?;
        sha256.update(&home.library.get(piece).await?);
    }
    let sha256: [u8; 32] = sha256.finalize().into();
    if text::hex(&sha256) != bytes.sha256.to_ascii_lowercase() {
        return Err(Error::damaged("the new WIM is not the one that the worker made")
            .advise("send its objects again"));
    }
    Ok(Content { size: bytes.size, sha256, pieces })
}

async fn finish(
    home: &Home,
    kept: &KeptTask,
    worker: &str,
    report: &Report,
    output: Option<&Content>,
    lease: &Lease,
) -> Result<()> {
    let output = output.filter(|_| report.failure.is_empty());
    let mut report = report.clone();
    if output.is_none() && report.failure.is_empty() {
        report.failure = "the worker reported no new WIM".into();
    }
    let mut tx = home.db.begin().await?;
    let mut contents = ContentWriter::default();
    let now = Moment::now();
    service::finish_task(&mut tx, &mut contents, &kept.id, worker, &report, output, now).await?;
    lease.confirm(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Does one task with a stack of this machine, if there is one that it can do; then goes on with the
/// run that waited for it. Returns whether there was a task.
///
/// # Errors
/// When the store cannot be reached or the work was stopped. What the stack refuses is reported.
pub async fn work_once(
    home: &Home,
    worker: &str,
    stack: &mut dyn Stack,
    watch: Watch<'_>,
) -> Result<bool> {
    let facts = Facts { build: stack.build(), stack: stack.name() };
    let Some(kept) = claim(home, worker, &facts).await? else { return Ok(false) };
    let lease = home.lease().await?;
    let import = home.db.import_begins(std::path::Path::new(&kept.id)).await?;
    let done = perform(home, &kept, worker, stack, &lease, watch).await;
    if done.is_ok() {
        home.db.import_ends(&import).await?;
    }
    drop(lease);
    if let Err(error) = done {
        let _ = home.collect().await;
        return Err(error);
    }
    go_on(home, &kept.run, watch).await?;
    Ok(true)
}

async fn perform(
    home: &Home,
    kept: &KeptTask,
    worker: &str,
    stack: &mut dyn Stack,
    lease: &Lease,
    watch: Watch<'_>,
) -> Result<()> {
    let mut files = Vec::new();
    for update in kept.task.images.iter().flat_map(|image| &image.updates) {
        if !files.iter().any(|(id, _, _): &(String, _, _)| *id == update.id) {
            let contents = home.db.update_files(&update.id).await?;
            files.push((update.id.clone(), update.file.clone(), contents));
        }
    }
    let scratch = tokio::task::block_in_place(|| Scratch::begin(home))?;
    let output = scratch.place().join("output.wim");
    let report = tokio::task::block_in_place(|| {
        space::require(scratch.place(), scratch.place(), kept.task.size.saturating_mul(3))?;
        let wim = scratch.place().join("input.wim");
        let source = PieceSource::new(home.library.clone(), &kept.input.pieces, &kept.task.wim);
        run::write_file(&source, &wim, watch)?;
        let mut places = std::collections::BTreeMap::new();
        for (id, name, contents) in &files {
            places.insert(id.clone(), bring(home, &scratch, id, name, contents, watch)?);
        }
        let updates = |id: &str| places.get(id).cloned();
        let place = Place { wim: &wim, output: &output, updates: &updates };
        stack::perform(stack, &kept.task, &place, watch)
    })?;
    if !report.failure.is_empty() {
        return finish(home, kept, worker, &report, None, lease).await;
    }
    // What is no WIM fails here, as the worker's result and not as ours.
    let spans = tokio::task::block_in_place(|| {
        Ok::<_, Error>(super::inventory::open_file(&output)?.spans())
    });
    let spans = match spans {
        Ok(spans) => spans,
        Err(error) => {
            let failure = format!("what the worker exported is no WIM: {error}");
            let report = Report { failure, ..report };
            return finish(home, kept, worker, &report, None, lease).await;
        }
    };
    let feed = move |feeder: &Feeder| {
        let open: OpenWim = super::inventory::open_file(&output)?;
        match open.wim.parts().first() {
            Some(part) => feeder.file(&*part.source, &spans),
            None => Err(Error::damaged("the exported WIM is empty")),
        }
    };
    let ingested = ingest::ingest(&home.db, &home.library, Present::Trusted, watch, feed).await?;
    finish(home, kept, worker, &report, ingested.contents.first(), lease).await
}

/// Brings the files of an update into the scratch folder: one file under its name, or a folder.
fn bring(
    home: &Home,
    scratch: &Scratch,
    id: &str,
    name: &str,
    contents: &[(String, Content)],
    watch: Watch<'_>,
) -> Result<PathBuf> {
    let folder = scratch.folder(&format!("update-{id}"))?;
    let write = |path: &str, content: &Content| -> Result<PathBuf> {
        // Checked when it was imported, and again here: it becomes a path.
        let path = crate::media::path::MediaPath::new(path)
            .map_err(|bad| Error::damaged(format!("the update {id} holds a path that {bad}")))?;
        let place = folder.join(path.as_str());
        if let Some(above) = place.parent() {
            std::fs::create_dir_all(above).map_err(|error| Error::file("make", above, &error))?;
        }
        let source = PieceSource::new(home.library.clone(), &content.pieces, path.as_str());
        run::write_file(&source, &place, watch)?;
        Ok(place)
    };
    match contents {
        [(_, content)] => write(name, content),
        many => {
            for (path, content) in many {
                write(path, content)?;
            }
            Ok(folder.clone())
        }
    }
}

/// Goes on with a run that waited, if it still does.
async fn go_on(home: &Home, run: &str, watch: Watch<'_>) -> Result<()> {
    let waiting = home.db.servicing_run(run).await?;
    if waiting.state != RunState::Waiting {
        return Ok(());
    }
    let request = run::Request { run: Some(run.to_string()), ..waiting.request };
    match request.run(home, watch).await {
        Ok(_) => Ok(()),
        // The history has it; the worker has done its part.
        Err(error) if error.kind() != crate::error::Kind::Cancelled => {
            watch.progress.note(&format!("run {run}: {error}"));
            Ok(())
        }
        Err(error) => Err(error),
    }
}
