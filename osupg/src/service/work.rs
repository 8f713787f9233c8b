//! The contract with workers: claim a task, fetch by hash what it takes, do it, bring what came of it.
//!
//! ```text
//! service.claim ─► files by SHA-256, in ranges ─► (the servicing stack) ─► service.offer: which pieces of
//!       ▲               the new WIM are missing? ─► those pieces, each by its BLAKE3 ─► service.report
//!       └── service.renew now and then: who is silent for a quarter of an hour loses the task
//! ```
//!
//! A worker owns nothing but its folder. It may vanish at any moment: it goes on where it was when it
//! comes again, or its time runs out and another gets the task. Every call but the first names the
//! claim, which changes each time that a task is claimed: one that was thought lost changes nothing any
//! more. What is brought counts when the run has read all of it, and not before.

use futures_util::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::{self, RunState};
use super::stack::{Report, Task};
use super::task::{Claim, KeptTask, LEASE, MAX_ATTEMPTS, OpenTask, Wait};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::package::model::Content;
use crate::progress::Watch;
use crate::store::cut::MAX_PIECE;
use crate::store::layout::{ObjectId, Piece};
use crate::text;
use crate::time::Moment;

/// Characters of a worker's name.
const MAX_NAME: usize = 64;
/// Characters of what a worker calls its stack.
const MAX_STACK: usize = 200;
/// How long a worker that does not ask for work still counts as one, in microseconds: a day.
const AWAY: i64 = 24 * 3_600 * 1_000_000;
/// Pieces that one call may offer.
pub(super) const MAX_OFFERED: usize = 8_000;
/// Bytes that a new WIM may have beyond twice those of the one that came in.
const MAX_GROWTH: u64 = 8 << 30;
/// Objects that are looked up at the same time.
const LOOKS_AT_ONCE: usize = 16;

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

/// Asks for work. A worker that has a task gets that one again, for it must have begun anew.
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
    /// The task's id.
    pub id: String,
    /// What the worker proves itself by from now on.
    pub claim: String,
    /// What is to be done.
    pub task: Task,
    /// The WIM that comes in.
    pub input: WorkFile,
    /// The files of each update that it needs.
    pub updates: Vec<ClaimedUpdate>,
    /// When the task is lost unless something is heard of the worker.
    pub until: Moment,
}

/// An update and its files.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClaimedUpdate {
    /// Its id.
    pub id: String,
    /// The name of its file, or of its folder.
    pub file: String,
    /// Its files: path, and bytes.
    pub files: Vec<(String, WorkFile)>,
}

/// A file that is fetched by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkFile {
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
}

impl WorkFile {
    fn of(content: &Content) -> Self {
        Self { size: content.size, sha256: text::hex(&content.sha256) }
    }
}

impl Operation for ClaimRequest {
    type Outcome = Option<Claimed>;
    const NAME: &'static str = "service.claim";
    const RIGHT: Right = Right::Work;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Option<Claimed>> {
        let word = uuid::Uuid::new_v4().to_string();
        let Some(kept) = claim(home, &self.worker, &self.facts, &word).await? else {
            return Ok(None);
        };
        let mut updates: Vec<ClaimedUpdate> = Vec::new();
        for update in kept.task.images.iter().flat_map(|image| &image.updates) {
            if updates.iter().any(|known| known.id == update.id) {
                continue;
            }
            let files = home.db.update_files(&update.id).await?;
            updates.push(ClaimedUpdate {
                id: update.id.clone(),
                file: update.file.clone(),
                files: files.iter().map(|(path, c)| (path.clone(), WorkFile::of(c))).collect(),
            });
        }
        Ok(Some(Claimed {
            input: WorkFile::of(&kept.input),
            until: kept.lease_until,
            id: kept.id,
            claim: word,
            task: kept.task,
            updates,
        }))
    }
}

/// Gives the oldest task that the worker can do to it.
async fn claim(home: &Home, worker: &str, facts: &Facts, word: &str) -> Result<Option<KeptTask>> {
    if worker.is_empty() || !is_line(worker, MAX_NAME) {
        return Err(Error::usage(format!("a worker's name has 1 to {MAX_NAME} characters")));
    }
    if !is_line(&facts.stack, MAX_STACK) {
        return Err(Error::usage(format!(
            "what a worker calls its stack has at most {MAX_STACK} characters, on one line"
        )));
    }
    let json = serde_json::to_string(facts)
        .map_err(|error| Error::io(format!("the facts of a worker have no JSON: {error}")))?;
    let now = home.db.now().await?;
    home.db.worker_seen(worker, &json, now).await?;
    // Whatever kept a run from going on before, it does as long as workers ask.
    have_runs_go_on(home, &home.db.waits_that_are_over().await?).await;
    let until = Moment(now.0.saturating_add(LEASE));
    let claim = Claim { worker, by: home.by(), word, until };
    for open in home.db.open_tasks(worker, home.by(), now).await? {
        if open.attempts >= MAX_ATTEMPTS {
            give_up(home, &open, &claim, now).await?;
        } else if open.task.build <= facts.build
            && home.db.claim_task(&open.id, &claim, now).await?
        {
            match home.db.claimed_task(word, home.by()).await {
                // Its run was cancelled at this moment.
                Err(error) if error.kind() == Kind::NotFound => {}
                claimed => return claimed.map(Some),
            }
        }
    }
    Ok(None)
}

/// Whether this is one line of at most so many characters.
fn is_line(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

/// Ends a task with which several workers were lost, and has its runs say so.
async fn give_up(home: &Home, lost: &OpenTask, claim: &Claim<'_>, now: Moment) -> Result<()> {
    let failure = format!(
        "{} was lost with it, the last of {} workers: look at its host, then retry the run",
        lost.worker, lost.attempts
    );
    let report = Report { failure, ..Report::default() };
    if home.db.end_lost_task(lost, claim, &report, now).await? {
        have_runs_go_on(home, &home.db.waits_for(&lost.id).await?).await;
    }
    Ok(())
}

/// Has runs go on whose wait is over, as jobs. One that is under way goes on once more when it has
/// ended: what it waits for may have come too late for it. What fails here is tried again when a
/// worker asks for work.
async fn have_runs_go_on(home: &Home, waits: &[Wait]) {
    for wait in waits {
        let gone_on = async {
            let run = home.db.servicing_run(&wait.run).await?;
            if matches!(run.state, RunState::Waiting | RunState::Running) {
                run::after::go_on(home, &run, wait).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = gone_on.await {
            tracing::warn!("run {} of servicing does not go on yet: {error}", wait.run);
        }
    }
}

/// Why no worker takes tasks for images of this build; `None` where one could.
pub(super) async fn why_none(home: &Home, build: u32) -> Result<Option<String>> {
    let workers = home.db.servicing_workers().await?;
    let since = home.db.now().await?.0.saturating_sub(AWAY);
    if let Some((_, _, seen)) = workers.first().filter(|(_, _, seen)| seen.0 < since) {
        return Ok(Some(format!(
            "it needs the servicing stack of Windows, and no worker has asked for work since {}",
            seen.local()
        )));
    }
    let builds = workers
        .iter()
        .filter(|(_, _, seen)| seen.0 >= since)
        .filter_map(|(_, facts, _)| serde_json::from_str::<Facts>(facts).ok())
        .map(|facts| facts.build);
    Ok(match builds.max() {
        None => Some(
            "it needs the servicing stack of Windows, and no worker has ever asked for work".into(),
        ),
        Some(newest) if newest < build => Some(format!(
            "it needs DISM of build {build} or later, and the newest worker has build {newest}"
        )),
        Some(_) => None,
    })
}

/// Says that the worker is still at its task.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The claim.
    pub claim: String,
}

impl RenewRequest {
    /// Does it; the moment until which the worker has the task.
    ///
    /// # Errors
    /// When the claim holds no task.
    pub(super) async fn renew(&self, home: &Home) -> Result<Moment> {
        let until = Moment(home.db.now().await?.0.saturating_add(LEASE));
        home.db.renew_claim(&self.claim, home.by(), until).await?;
        Ok(until)
    }
}

impl Operation for RenewRequest {
    type Outcome = Moment;
    const NAME: &'static str = "service.renew";
    const RIGHT: Right = Right::Work;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Moment> {
        self.renew(home).await
    }
}

/// Says of which pieces the new WIM consists, some at a time and in order, and asks which of them the
/// library lacks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferRequest {
    /// The claim.
    pub claim: String,
    /// The number of the first of these pieces in the WIM, from 0. What was offered from there on is
    /// forgotten.
    pub first: u64,
    /// The BLAKE3 hash and the size of each piece, 8,000 at most.
    pub objects: Vec<(String, u64)>,
}

/// Pieces that the library lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    /// Their places among those that were offered by this call, from 0; each object once.
    pub missing: Vec<u64>,
}

impl Operation for OfferRequest {
    type Outcome = Missing;
    const NAME: &'static str = "service.offer";
    const RIGHT: Right = Right::Work;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Missing> {
        let pieces = self.pieces()?;
        let kept = home.db.claimed_task(&self.claim, home.by()).await?;
        let most = kept.input.size.saturating_mul(2).saturating_add(MAX_GROWTH);
        // Noted first: from now on no collector takes what is there.
        home.db.offer_pieces(&self.claim, home.by(), self.first, &pieces, most).await?;
        watch.check()?;
        let mut missing: Vec<u64> = stream::iter(pieces.iter().enumerate())
            .map(|(place, piece)| async move {
                let known = home.db.object_size(&piece.id).await?.is_some();
                let there = known && home.library.has(piece).await?;
                Ok::<_, Error>((!there).then_some(place as u64))
            })
            .buffered(LOOKS_AT_ONCE)
            .try_filter_map(|missing| async move { Ok(missing) })
            .try_collect()
            .await?;
        let (mut seen, mut bytes) = (std::collections::HashSet::new(), 0);
        missing.retain(|place| {
            let once = pieces.get(*place as usize).filter(|piece| seen.insert(piece.id));
            bytes += once.map_or(0, |piece| piece.size);
            once.is_some()
        });
        home.library.require_space(bytes)?;
        Ok(Missing { missing })
    }
}

impl OfferRequest {
    fn pieces(&self) -> Result<Vec<Piece>> {
        if self.objects.len() > MAX_OFFERED {
            let count = self.objects.len();
            return Err(Error::usage(format!(
                "{count} objects are offered at once; {MAX_OFFERED} is the most"
            )));
        }
        let piece = |(hash, size): &(String, u64)| {
            let id = object_id(hash)?;
            if *size == 0 || *size > MAX_PIECE as u64 {
                return Err(Error::usage(format!(
                    "an object has 1 to {MAX_PIECE} bytes, not {size}"
                )));
            }
            Ok(Piece { id, size: *size })
        };
        self.objects.iter().map(piece).collect()
    }
}

/// The object of this hash in digits.
pub(crate) fn object_id(digits: &str) -> Result<ObjectId> {
    let lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    text::unhex(digits).filter(|_| lower).map(ObjectId).ok_or_else(|| {
        Error::usage(format!("{:?} is no object: a BLAKE3 hash has 64 digits", text::clean(digits)))
    })
}

/// Takes in a piece that was offered. `home` acts for whoever brings it.
///
/// # Errors
/// When it was not offered by the holder of a task, or the bytes are others.
pub(crate) async fn take_piece(
    home: &Home,
    claim: &str,
    id: &ObjectId,
    bytes: &bytes::Bytes,
) -> Result<()> {
    let piece = home.db.offered_piece(claim, home.by(), id).await?;
    if bytes.len() as u64 != piece.size || ObjectId::of(bytes) != *id {
        return Err(Error::usage(format!("these {} bytes are not object {id}", bytes.len()))
            .advise("send it again"));
    }
    let lease = home.lease().await?;
    let taken = async {
        home.library.put(id, bytes).await?;
        home.db.object_arrived(&piece, &lease).await
    };
    let taken = taken.await;
    lease.release().await;
    taken
}

/// Reports what came of a task.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// The claim.
    pub claim: String,
    /// What was done.
    pub report: Report,
    /// The new WIM, whose pieces were all offered and have come; `None` when there is none.
    #[serde(default)]
    pub output: Option<Output>,
}

/// A new WIM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// What a report led to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Reported {
    /// The run that waited for it.
    pub run: String,
    /// How that run stands. One that waits goes on as a job.
    pub state: RunState,
}

impl Operation for ReportRequest {
    type Outcome = Reported;
    const NAME: &'static str = "service.report";
    const RIGHT: Right = Right::Work;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Reported> {
        let kept = home.db.claimed_task(&self.claim, home.by()).await?;
        let mut report = self.report.clone();
        let output = self.output.as_ref().filter(|_| report.failure.is_empty());
        let output = output
            .map(|output| {
                let sha256 = text::unhex(&output.sha256).ok_or_else(|| {
                    Error::usage(format!("{:?} is no SHA-256", text::clean(&output.sha256)))
                })?;
                Ok::<_, Error>((output.size, sha256))
            })
            .transpose()?;
        if output.is_none() && report.failure.is_empty() {
            report.failure = "the worker reported no new WIM".into();
        }
        report.keep_to(&kept.task);
        report.bound();
        home.db.report_task(&self.claim, home.by(), &report, output).await?;
        have_runs_go_on(home, &home.db.waits_for(&kept.id).await.unwrap_or_default()).await;
        let run = home.db.servicing_run(&kept.run).await?;
        Ok(Reported { run: run.id, state: run.state })
    }
}
