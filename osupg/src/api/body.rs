//! Bodies of requests: whole, in time and no longer than they may be.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::LengthLimitError;

use super::problem::Refusal;

/// The bytes of `what`: `most` at most, which come within this time.
pub(super) async fn read(
    what: &str,
    body: Body,
    most: usize,
    within: Duration,
) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(within, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_long(&error) => {
            let message = format!("{what} has at most {most} bytes");
            Err(Refusal::status(StatusCode::PAYLOAD_TOO_LARGE, message))
        }
        Ok(Err(error)) => {
            let message = format!("{what} has not come whole: {error}");
            Err(Refusal::status(StatusCode::BAD_REQUEST, message))
        }
        Err(_) => {
            let message = format!("{what} did not arrive in time");
            Err(Refusal::status(StatusCode::REQUEST_TIMEOUT, message))
        }
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<LengthLimitError>())
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn what_is_too_long_broken_or_late_is_told_apart() {
        let in_time = Duration::from_secs(60);
        assert_eq!(read("it", Body::from("four"), 4, in_time).await.ok().unwrap(), "four");
        let broken = stream::iter([Ok("fo"), Err(std::io::Error::other("reset"))]);
        let silent = stream::pending::<std::io::Result<Bytes>>();
        for (body, within, status) in [
            (Body::from("fives"), in_time, StatusCode::PAYLOAD_TOO_LARGE),
            (Body::from_stream(broken), in_time, StatusCode::BAD_REQUEST),
            (Body::from_stream(silent), Duration::ZERO, StatusCode::REQUEST_TIMEOUT),
        ] {
            let refusal = read("it", body, 4, within).await.err().unwrap();
            assert_eq!(refusal.into_response().status(), status);
        }
    }
}
