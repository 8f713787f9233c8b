//! `POST /api/v1/{area}/{verb}`: has an operation done.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use wim_extract::Cancel;

use super::identity::Peer;
use super::problem::Refusal;
use super::{LARGEST_BODY, Shared, places};
use crate::accounts::{Caller, Scopes, Sight};
use crate::audit::{self, Deed, Outcome};
use crate::error::{Error, Result};
use crate::operation::{self, Known, Right};
use crate::progress::Silent;
use crate::text;

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
    let caller = match service.caller(&headers).await {
        Ok(caller) => caller,
        Err(error) => {
            service.refused(None, from, known.name, None, &Value::Null, &error).await;
            return Err(error.into());
        }
    };
    let request = read(&headers, body).await?;
    let call = admit(&service, known, caller, from, request).await?;
    let _turn = service.calls.acquire().await;
    // Of its own accord: a client that goes away leaves neither half a change nor a gap in the log.
    tokio::spawn(carry_out(service.clone(), call)).await.map_err(Error::from)?
}

/// The JSON of a body; an empty one is an empty request.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Value, Refusal> {
    let bytes = match tokio::time::timeout(BODY_WITHIN, to_bytes(body, LARGEST_BODY)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let message = format!("a request has at most {LARGEST_BODY} bytes");
            return Err(Refusal::status(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Err(_) => {
            let message = "the request did not arrive in time";
            return Err(Refusal::status(StatusCode::REQUEST_TIMEOUT, message));
        }
    };
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
    // The right alone first: who may not have it done learns nothing about the request.
    let checked = async {
        caller.has(known)?;
        let facts = known.facts(&request)?;
        caller.may(&service.home, known, facts.subject.as_deref()).await?;
        places::check(&service.settings.sources, &facts.places)?;
        Ok(facts.subject)
    };
    match checked.await {
        Ok(subject) => Ok(Call { known, caller, from, subject, request }),
        Err(error) => {
            let subject = known.facts(&request).ok().and_then(|facts| facts.subject);
            service
                .refused(Some(&caller), from, known.name, subject.as_deref(), &request, &error)
                .await;
            Err(error)
        }
    }
}

async fn carry_out(service: Shared, call: Call) -> Result<Response, Refusal> {
    let home = service.home.acting_for(&call.caller.name);
    let done = call.known.run(call.request.clone(), home, Arc::new(Silent), Cancel::new()).await;
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
