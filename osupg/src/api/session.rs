//! `/api/v1/session`: logging in and out, and who one is.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Shared;
use super::call::read;
use super::identity::{self, Peer};
use super::problem::Refusal;
use crate::accounts::Scopes;
use crate::accounts::login;
use crate::accounts::password::Secret;
use crate::error::Error;
use crate::operation::Right;
use crate::text;
use crate::time::Moment;

/// What begins a session.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The name of the account.
    pub name: String,
    /// Its password.
    pub password: Secret,
}

/// A session that has begun.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Begun {
    /// The token to send with every request. It cannot be asked for again.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Moment,
}

/// Whose token it is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// The account, or `token:` and the token's name.
    pub name: String,
    /// What may be done with it.
    pub right: Right,
    /// The security scopes it is limited to; `null` for none.
    pub scopes: Option<Vec<String>>,
}

/// What these calls are called in the audit log.
const LOGIN: &str = "session.begin";
const LOGOUT: &str = "session.end";

pub(super) async fn begin(
    State(service): State<Shared>,
    from: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Begun>, Refusal> {
    let request = read(&headers, body).await?;
    let login = Login::deserialize(request)
        .map_err(|error| Error::usage(format!("this is no request for a session: {error}")))?;
    // The password is no part of what is written down.
    let written = Value::from(text::clean(&login.name).into_owned());
    let begun =
        login::by_password(&service.home.db, &service.limiter, from.0, &login.name, login.password);
    match begun.await {
        Ok(session) => {
            tracing::info!(account = login.name, address = %from.0, "a session begins");
            Ok(Json(Begun { token: session.token, expires_at: session.expires_at }))
        }
        Err(error) => {
            service.refused(None, from, LOGIN, None, &written, &error).await;
            Err(error.into())
        }
    }
}

pub(super) async fn show(
    State(service): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Identity>, Refusal> {
    let caller = service.caller(&headers).await?;
    let scopes = match caller.scopes {
        Scopes::All => None,
        Scopes::Only(scopes) => Some(scopes),
    };
    Ok(Json(Identity { name: caller.name, right: caller.right, scopes }))
}

pub(super) async fn end(
    State(service): State<Shared>,
    from: Peer,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    if let Err(error) = service.caller(&headers).await {
        service.refused(None, from, LOGOUT, None, &Value::Null, &error).await;
        return Err(error.into());
    }
    if let Some(token) = identity::token(&headers)? {
        login::end(&service.home.db, token).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
