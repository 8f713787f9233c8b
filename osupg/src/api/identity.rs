//! Who asks: the bearer token of a request, and where it comes from.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde_json::Value;

use super::Service;
use crate::accounts::{Caller, login};
use crate::audit::{self, Deed, Outcome};
use crate::error::{Error, Result};

/// The address that a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        // An address in IPv6 clothes is the same address.
        let ip = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
        Ok(Self(ip.to_canonical()))
    }
}

/// The token of a request; `None` when it has none.
pub(crate) fn token(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let bearer = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.map(Some).ok_or_else(|| {
        Error::unauthorised("the header Authorization is not `Bearer` and a token")
            .advise("log in with POST /api/v1/session, or use an API token")
    })
}

impl Service {
    /// Whoever asks.
    ///
    /// # Errors
    /// When there is no token, or it is none that is good now.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller> {
        let token = token(headers)?.ok_or_else(|| {
            Error::unauthorised("a token is needed")
                .advise("send `Authorization: Bearer TOKEN`; the command takes it from OSUPG_TOKEN or `osupg login`")
        })?;
        login::by_token(&self.home.db, token).await
    }

    /// Writes down that a request was refused. Of those by nobody known only some are, so that
    /// they cannot fill the log.
    pub(crate) async fn refused(
        &self,
        who: Option<&Caller>,
        from: Peer,
        operation: &str,
        subject: Option<&str>,
        request: &Value,
        error: &Error,
    ) {
        if who.is_none() && !self.refusals.counts(Instant::now()) {
            return;
        }
        let deed = Deed {
            who: who.map_or("nobody known", |caller| &caller.name),
            address: &from.0.to_string(),
            operation,
            subject,
            request,
        };
        if let Err(error) = audit::record(&self.home, &deed, Outcome::Failed(error)).await {
            tracing::error!("a refusal could not be written to the audit log: {error}");
        }
    }
}

/// Lines a minute that requests by nobody known may add to the audit log.
const LINES: u32 = 120;

/// How many such lines there were in this minute.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Option<(Instant, u32)>>);

impl Refusals {
    /// Whether one more is written down.
    fn counts(&self, now: Instant) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, count) = match *minute {
            Some((start, count)) if now.duration_since(start) < Duration::from_secs(60) => {
                (start, count + 1)
            }
            _ => (now, 1),
        };
        *minute = Some((start, count.min(LINES + 1)));
        if count == LINES + 1 {
            tracing::warn!(
                "more than {LINES} requests without a good token within a minute; the rest is not in the audit log"
            );
        }
        count <= LINES
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn tokens_are_taken_from_one_kind_of_header() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            token(&headers).map(|token| token.map(str::to_string))
        };
        assert_eq!(read("Bearer abc").unwrap().as_deref(), Some("abc"));
        assert_eq!(read("bearer  abc ").unwrap().as_deref(), Some("abc"));
        for wrong in ["", "abc", "Basic YTpi", "Bearer"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(token(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_flood_of_refusals_is_cut_off_for_a_minute() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let written = (0..1000).filter(|_| refusals.counts(now)).count();
        assert_eq!(written, LINES as usize);
        assert!(refusals.counts(now + Duration::from_secs(61)));
    }
}
