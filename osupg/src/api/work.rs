//! `/api/v1/work/…`: what workers fetch and bring, by the claim that they have.
//!
//! A piece is taken in whole, under the name of its hash, or not at all; only one that the holder of the
//! claim has offered, and no byte more than it was said to have.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::Shared;
use super::call::known_caller;
use super::identity::Peer;
use super::problem::Refusal;
use super::transfer::{Lifetime, Representation, Stored};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{self, Operation};
use crate::service::work::{self, ClaimRequest};
use crate::store::cut::MAX_PIECE;
use crate::text;

/// How long a worker has to send a piece.
const PIECE_WITHIN: Duration = Duration::from_secs(300);

/// `GET /api/v1/work/{claim}/files/{sha256}`
pub(super) async fn file(
    State(service): State<Shared>,
    Path((claim, digits)): Path<(String, String)>,
    from: Peer,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let home = worker(&service, from, &headers).await?;
    let sha256: [u8; 32] = text::unhex(&digits)
        .ok_or_else(|| Error::not_found(format!("{:?} is no SHA-256", text::clean(&digits))))?;
    let content = home.db.work_file(&claim, home.by(), &sha256).await?;
    let what = Representation {
        bytes: Stored::Pieces(home.library.clone(), content.pieces.into()),
        tag: text::hex(&sha256),
        media_type: "application/octet-stream",
        lifetime: Lifetime::Revalidate,
    };
    Ok(service.transfers.send(what, &method, &headers).await?)
}

/// `PUT /api/v1/work/{claim}/objects/{blake3}`
pub(super) async fn put(
    State(service): State<Shared>,
    Path((claim, digits)): Path<(String, String)>,
    from: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let home = worker(&service, from, &headers).await?;
    let id = work::object_id(&digits)?;
    // Before a byte of it is read.
    let piece = home.db.offered_piece(&claim, home.by(), &id).await?;
    let most = usize::try_from(piece.size).unwrap_or(MAX_PIECE).min(MAX_PIECE);
    let _place = service.transfers.place().await?;
    let bytes = super::body::read(&format!("object {id}"), body, most, PIECE_WITHIN).await?;
    // Of its own accord: a worker that goes away leaves nothing half done.
    let taken = tokio::spawn(async move { work::take_piece(&home, &claim, &id, &bytes).await });
    taken.await.map_err(Error::from)??;
    Ok(StatusCode::NO_CONTENT)
}

/// The store in the name of a worker, which is whoever may claim tasks.
async fn worker(service: &Shared, from: Peer, headers: &HeaderMap) -> Result<Home> {
    let known = operation::find(ClaimRequest::NAME)
        .ok_or_else(|| Error::io("internal: nothing can be claimed"))?;
    let caller = known_caller(service, known, from, headers).await?;
    if let Err(error) = caller.may(&service.home, known, None).await {
        service.refused(Some(&caller), from, known.name, None, &Value::Null, &error).await;
        return Err(error);
    }
    Ok(service.home.acting_for(&caller.name))
}
