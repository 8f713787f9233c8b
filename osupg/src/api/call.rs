//! `POST /api/v1/{area}/{verb}`: has an operation done.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;
use wim_extract::Cancel;

use super::identity::Peer;
use super::problem::Refusal;
use super::{LARGEST_BODY, Shared, places};
use crate::accounts::{Caller, Scopes, Sight};
use crate::audit::{self, Deed, Outcome};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::jobs::model::Priority;
use crate::jobs::{self, Submission};
use crate::operation::{self, Facts, Known, Length, Operation, Right};
use crate::progress::Silent;
use crate::service::work::ReportRequest;
use crate::text;

/// How often an operation may have another one done later that has another one done later.
const DEEPEST: usize = 3;
/// Bytes that a worker's report may have.
const LARGEST_REPORT: usize = 16 << 20;
/// How long a client has to send the body of a call.
const BODY_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// A request whose sender, right and shape are known to be good.
struct Call {
    known: &'static Known,
    caller: Caller,
    from: Peer,
    subject: Option<String>,
    request: Value,
}

pub(super) async fn call(
    State(service): State<Shared>,
    Path((area, verb)): Path<(String, String)>,
    from: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let name = format!("{area}.{verb}");
    let Some(known) = operation::find(&name) else {
        let message = format!("there is no operation {:?}", text::clean(&name));
        return Err(Refusal::status(StatusCode::NOT_FOUND, message));
    };
    let caller = known_caller(&service, known, from, &headers).await?;
    if known.name != ReportRequest::NAME {
        let request = read(&headers, body).await?;
        return have_done(service, known, caller, from, request, None).await;
    }
    // What a worker reports lists every package of every image.
    let place = Arc::clone(&service.reports).acquire_owned().await.ok();
    let request = read_within(&headers, body, LARGEST_REPORT).await?;
    have_done(service, known, caller, from, request, place).await
}

/// Whoever asks for an operation and has the right that it takes; a refusal is written down. Nothing
/// of the request has been read until then.
pub(super) async fn known_caller(
    service: &Shared,
    known: &Known,
    from: Peer,
    headers: &HeaderMap,
) -> Result<Caller> {
    let (who, error) = match service.caller(headers).await {
        Ok(caller) => match caller.has(known) {
            Ok(()) => return Ok(caller),
            Err(error) => (Some(caller), error),
        },
        Err(error) => (None, error),
    };
    service.refused(who.as_ref(), from, known.name, None, &Value::Null, &error).await;
    Err(error)
}

/// Has an operation done if the caller may. A large request keeps its `place` as long as it is there.
pub(super) async fn have_done(
    service: Shared,
    known: &'static Known,
    caller: Caller,
    from: Peer,
    request: Value,
    place: Option<OwnedSemaphorePermit>,
) -> Result<Response, Refusal> {
    let call = admit(&service, known, caller, from, request).await?;
    let turn = Arc::clone(&service.calls).acquire_owned().await;
    let cancel = Cancel::new();
    let _unheard = (known.right == Right::Read).then(|| CancelOnDrop(cancel.clone()));
    // Of its own accord: a client that goes away leaves neither half a change nor a gap in the log, and
    // its turn is over when the work is.
    let done = tokio::spawn(async move {
        let _held = (turn, place);
        carry_out(service, call, cancel).await
    });
    done.await.map_err(Error::from)?
}

/// Stops work when the client that waits for its answer goes away.
pub(super) struct CancelOnDrop(pub(super) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The JSON of a body; an empty one is an empty request.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Value, Refusal> {
    read_within(headers, body, LARGEST_BODY).await
}

async fn read_within(headers: &HeaderMap, body: Body, most: usize) -> Result<Value, Refusal> {
    let bytes = super::body::read("a request", body, most, BODY_WITHIN).await?;
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let message = "a request is JSON: Content-Type: application/json";
        return Err(Refusal::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        Refusal::status(StatusCode::BAD_REQUEST, format!("the request is no JSON: {error}"))
    })
}

/// Checks everything that can be known before anything is done.
async fn admit(
    service: &Shared,
    known: &'static Known,
    caller: Caller,
    from: Peer,
    request: Value,
) -> Result<Call> {
    match check(service, known, &caller, &request).await {
        Ok((subject, request)) => Ok(Call { known, caller, from, subject, request }),
        Err(error) => {
            let subject = known.facts(&request).ok().and_then(|facts| facts.subject);
            service
                .refused(Some(&caller), from, known.name, subject.as_deref(), &request, &error)
                .await;
            Err(error)
        }
    }
}

/// Checks an operation, and whatever it has done later, as `job.submit` does. Returns the package
/// that it is about, and the request as the caller may make it.
async fn check(
    service: &Shared,
    known: &'static Known,
    caller: &Caller,
    request: &Value,
) -> Result<(Option<String>, Value)> {
    let (mut known, mut request) = (known, request.clone());
    let (mut subject, mut outer) = (None, None);
    for _ in 0..DEEPEST {
        // The right alone first: who may not have it done learns nothing about the request.
        caller.has(known)?;
        request = confined(known, caller, request, outer.is_some())?;
        let facts = known.facts(&request)?;
        let about = about(service, known, caller, &facts).await?;
        places::check(&service.settings.sources, &facts.places)?;
        subject = subject.or(about);
        let outermost = outer.get_or_insert_with(|| request.clone());
        let Some((name, inner)) = facts.later else { return Ok((subject, outermost.clone())) };
        known = operation::find(&name).ok_or_else(|| {
            Error::usage(format!("there is no operation {:?}", text::clean(&name)))
        })?;
        request = inner;
    }
    Err(Error::usage("operations are wrapped in each other too deep"))
}

/// The request within the security scopes of a caller who is limited to some. One that is wrapped in
/// another has to be so already.
fn confined(known: &Known, caller: &Caller, request: Value, wrapped: bool) -> Result<Value> {
    let Scopes::Only(held) = &caller.scopes else { return Ok(request) };
    let confined = known.confine(&request, held)?;
    if wrapped && known.facts(&confined)?.makes_in != known.facts(&request)?.makes_in {
        return Err(Error::usage(format!(
            "{} for later has to name the security scopes of what it makes",
            known.name
        )));
    }
    Ok(confined)
}

/// The package that a request is about, once the caller may have it done to that.
async fn about(
    service: &Shared,
    known: &Known,
    caller: &Caller,
    facts: &Facts,
) -> Result<Option<String>> {
    let home = &service.home;
    if let Some(id) = facts.job {
        let job = jobs::get(home, id).await?;
        caller.may_see_job(home, &job).await?;
        return Ok(Some(job.subject).filter(|subject| !subject.is_empty()));
    }
    if let Some(name) = &facts.schedule {
        caller.may_see_schedule(home, name).await?;
        return Ok(home.db.schedule(name).await?.package);
    }
    caller.may(home, known, facts.subject.as_deref()).await?;
    caller.may_see_all(home, &facts.named).await?;
    Ok(facts.subject.clone())
}

async fn carry_out(service: Shared, call: Call, cancel: Cancel) -> Result<Response, Refusal> {
    let home = service.home.acting_for(&call.caller.name);
    if call.known.length == Length::Long {
        return submit(&service, &home, &call).await;
    }
    let done = call.known.run(call.request.clone(), home, Arc::new(Silent), cancel).await;
    if call.known.right > Right::Read {
        record(&service, &call, done.as_ref().map_or_else(Outcome::Failed, |_| Outcome::Done))
            .await?;
    }
    let outcome = match call.caller.scopes {
        Scopes::All => done?,
        _ if call.subject.is_some() => done?,
        ref scopes => {
            let sight = Sight::of(&service.home.db, scopes).await?;
            call.known.limit(done?, &sight)?
        }
    };
    Ok(Json(outcome).into_response())
}

/// Makes a long operation a job.
async fn submit(service: &Shared, home: &Home, call: &Call) -> Result<Response, Refusal> {
    let submission = Submission {
        operation: call.known.name,
        request: &call.request,
        by: &call.caller.name,
        key: None,
        priority: Priority::Normal,
        not_before: None,
    };
    let submitted = jobs::submit(home, &submission).await;
    if call.known.right > Right::Read {
        let number = submitted.as_ref().map(|job| job.id.to_string());
        let outcome = match &number {
            Ok(number) => Outcome::Accepted(number),
            Err(error) => Outcome::Failed(error),
        };
        record(service, call, outcome).await?;
    }
    let job = submitted?;
    let address = format!("/api/v1/jobs/{}", job.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, address)], Json(job)).into_response())
}

async fn record(service: &Shared, call: &Call, outcome: Outcome<'_>) -> Result<()> {
    let deed = Deed {
        who: &call.caller.name,
        address: &call.from.0.to_string(),
        operation: call.known.name,
        subject: call.subject.as_deref(),
        request: &call.request,
    };
    audit::record(&service.home, &deed, outcome).await
}
