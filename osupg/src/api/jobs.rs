//! `/api/v1/jobs`: jobs by address, and how one gets on as server-sent events.
//!
//! | event | data |
//! |---|---|
//! | `progress` | state, reason, phase, bytes done and in all |
//! | `note` | a line of the timeline; its id lets a client go on after a break |
//! | `end` | the whole job, after which nothing comes any more |

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::identity::Peer;
use super::problem::Refusal;
use super::{Service, Shared, call};
use crate::accounts::{Caller, Scopes, Sight, no_job};
use crate::error::Result;
use crate::jobs;
use crate::jobs::model::{Job, State as JobState};
use crate::jobs::requests;
use crate::operation::{self, Operation};
use crate::progress::{Silent, Watch};

/// How often it is looked how a job gets on.
const LOOK: Duration = Duration::from_millis(400);
/// How often a sign of life is sent while nothing happens.
const ALIVE: Duration = Duration::from_secs(15);
/// What following a job is called in the audit log.
const FOLLOW: &str = "job.events";

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Where it is in its life.
    pub state: JobState,
    /// Why it is there; empty where the state says it all.
    pub reason: String,
    /// The part of the work at hand; empty before the first.
    pub phase: String,
    /// Bytes of this part that are done.
    pub done: u64,
    /// Bytes of this part; 0 when it is not known.
    pub total: u64,
}

impl Progress {
    fn of(job: &Job) -> Self {
        Self {
            state: job.state,
            reason: job.reason.clone(),
            phase: job.phase.clone(),
            done: job.done,
            total: job.total,
        }
    }
}

/// `GET /api/v1/jobs`
pub(super) async fn list(
    State(service): State<Shared>,
    from: Peer,
    headers: HeaderMap,
    Query(request): Query<requests::List>,
) -> Result<Json<Vec<Job>>, Refusal> {
    let caller = known(&service, from, &headers, requests::List::NAME).await?;
    if let Some(package) = &request.package {
        caller.may_see(&service.home, package).await?;
    }
    let cancel = wim_extract::Cancel::new();
    let watch = Watch { progress: &Silent, cancel: &cancel };
    let mut found = request.run(&service.home, watch).await?;
    if caller.scopes != Scopes::All {
        let sight = Sight::of(&service.home.db, &caller.scopes).await?;
        found.retain(|job| sight.sees_job(job));
    }
    Ok(Json(found))
}

/// `GET /api/v1/jobs/{id}`
pub(super) async fn show(
    State(service): State<Shared>,
    Path(id): Path<String>,
    from: Peer,
    headers: HeaderMap,
) -> Result<Json<Job>, Refusal> {
    let caller = known(&service, from, &headers, requests::Show::NAME).await?;
    Ok(Json(seen(&service, &caller, &id).await?))
}

/// `GET /api/v1/jobs/{id}/events`
pub(super) async fn events(
    State(service): State<Shared>,
    Path(id): Path<String>,
    from: Peer,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, Refusal> {
    let caller = known(&service, from, &headers, FOLLOW).await?;
    let id = seen(&service, &caller, &id).await?.id;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let follower = Follower {
        service,
        id,
        note: last.and_then(|last| last.parse().ok()).unwrap_or(0),
        told: None,
        pending: Vec::new(),
        over: false,
    };
    let events = stream::unfold(follower, |mut follower| async {
        follower.next().await.map(|event| (Ok(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)))
}

/// `POST /api/v1/jobs/{id}/cancel`
pub(super) async fn cancel(
    State(service): State<Shared>,
    Path(id): Path<String>,
    from: Peer,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    change(service, requests::CancelJob::NAME, &id, from, headers).await
}

/// `POST /api/v1/jobs/{id}/retry`
pub(super) async fn retry(
    State(service): State<Shared>,
    Path(id): Path<String>,
    from: Peer,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    change(service, requests::Retry::NAME, &id, from, headers).await
}

async fn change(
    service: Shared,
    name: &'static str,
    id: &str,
    from: Peer,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let known = operation::find(name).ok_or_else(|| no_job(id))?;
    let caller = call::known_caller(&service, known, from, &headers).await?;
    let number: i64 = id.parse().map_err(|_| no_job(id))?;
    call::have_done(service, known, caller, from, json!({ "id": number }), None).await
}

async fn known(
    service: &Service,
    from: Peer,
    headers: &HeaderMap,
    operation: &str,
) -> Result<Caller> {
    match service.caller(headers).await {
        Ok(caller) => Ok(caller),
        Err(error) => {
            service.refused(None, from, operation, None, &Value::Null, &error).await;
            Err(error)
        }
    }
}

/// The job of an address, if the caller may see its package.
async fn seen(service: &Service, caller: &Caller, id: &str) -> Result<Job> {
    let job = jobs::get(&service.home, id.parse().map_err(|_| no_job(id))?).await?;
    caller.may_see_job(&service.home, &job).await?;
    Ok(job)
}

/// Turns what happens to a job into events.
struct Follower {
    service: Shared,
    id: i64,
    /// The last note that was told.
    note: i64,
    told: Option<Progress>,
    /// Events to come, the next at the end.
    pending: Vec<Event>,
    over: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.pending.pop() {
                return Some(event);
            }
            // A client of a service that stops comes back when it is there again.
            if self.over || *self.service.stopping.borrow() {
                return None;
            }
            if self.told.is_some() {
                let mut stopping = self.service.stopping.clone();
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    _ = stopping.changed() => return None,
                }
            }
            let Ok(job) = jobs::get_after(&self.service.home, self.id, self.note).await else {
                return None;
            };
            self.look(&job);
        }
    }

    fn look(&mut self, job: &Job) {
        let mut events = Vec::new();
        for note in &job.timeline {
            self.note = self.note.max(note.id);
            events.extend(event("note", note).map(|event| event.id(note.id.to_string())));
        }
        let progress = Progress::of(job);
        if self.told.as_ref() != Some(&progress) {
            events.extend(event("progress", &progress));
            self.told = Some(progress);
        }
        if job.state.is_over() {
            events.extend(event("end", job));
            self.over = true;
        }
        events.reverse();
        self.pending = events;
    }
}

fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}
