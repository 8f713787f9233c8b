//! Errors as HTTP answers: problem details (RFC 9457) with the same words as on the command line.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};

/// The body of every answer that is an error, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The kind of error, as a URI: `urn:osupg:error:` and the word that `--json` output has too.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What the URIs of kinds begin with.
const URN: &str = "urn:osupg:error:";

impl Problem {
    fn of(error: &Error, status: StatusCode) -> Self {
        Self {
            kind: format!("{URN}{}", error.kind().word()),
            title: title(error.kind()).into(),
            status: status.as_u16(),
            detail: error.to_string(),
            advice: error.advice().map(Into::into),
        }
    }

    /// The error that the service had, for whoever asked it.
    #[must_use]
    pub fn into_error(self) -> Error {
        let kind = self.kind.strip_prefix(URN).and_then(Kind::from_word).unwrap_or(Kind::Io);
        let error = Error::of(kind, self.detail);
        match self.advice {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }
}

const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage => "The request cannot be met as it was made",
        Kind::NotFound => "There is no such thing",
        Kind::Conflict => "The request does not fit what is there now",
        Kind::Unauthorised => "It is not known who asks",
        Kind::Forbidden => "Whoever asks may not do this",
        Kind::Busy => "Too much is asked for at this moment",
        Kind::Damaged => "Bytes are not what they must be",
        Kind::Io => "Something cannot be read or written",
        Kind::Cancelled => "The work was stopped",
    }
}

/// The status of every kind of error.
pub(crate) const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Usage => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict | Kind::Cancelled => StatusCode::CONFLICT,
        Kind::Unauthorised => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Damaged | Kind::Io => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error on its way to the client.
#[derive(Debug)]
pub(crate) struct Refusal {
    error: Error,
    status: StatusCode,
}

impl Refusal {
    /// What HTTP has a status of its own for, beside those of the kinds of errors.
    pub(crate) fn status(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = if status == StatusCode::NOT_FOUND { Kind::NotFound } else { Kind::Usage };
        Self { error: Error::of(kind, message), status }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { status: status(error.kind()), error }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(kind = self.error.kind().word(), "{}", self.error);
        }
        let problem = Problem::of(&self.error, self.status);
        let mut response = (self.status, Json(problem)).into_response();
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Refusal::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_back_as_they_were() {
        for kind in Kind::ALL {
            let error = Error::of(kind, "what happened").advise("what to do");
            let problem = Problem::of(&error, status(kind));
            let text = serde_json::to_string(&problem).unwrap();
            let back = serde_json::from_str::<Problem>(&text).unwrap().into_error();
            assert_eq!((back.kind(), back.to_string()), (kind, "what happened".into()));
            assert_eq!(back.advice(), Some("what to do"));
        }
    }
}
