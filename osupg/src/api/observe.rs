//! What happens around every request: a line in the log, and headers for safety.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Shared;
use super::identity::Peer;

pub(super) async fn observe(
    State(service): State<Shared>,
    from: Peer,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    // The pattern, not the path: paths hold what clients made up, and there is no end of them.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "(none)".to_string(), |path| path.as_str().to_string());
    let path = loggable(&route, request.uri().path()).to_string();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert_with(|| HeaderValue::from_static("no-store"));
    let status = response.status().as_u16();
    service.metrics.answered(&method, &route, status, start.elapsed());
    let milliseconds = start.elapsed().as_millis();
    // Health is asked for every few seconds.
    if route.starts_with("/health/") {
        tracing::debug!(%method, route, status, milliseconds, "answered");
    } else {
        tracing::info!(%method, route, path, status, milliseconds, address = %from.0, "answered");
    }
    response
}

/// The path as the log may hold it: those of workers have their claims in them, which are secrets.
fn loggable<'a>(route: &'a str, path: &'a str) -> &'a str {
    if route.starts_with("/api/v1/work/") { route } else { path }
}

#[cfg(test)]
mod tests {
    use super::loggable;

    #[test]
    fn claims_are_not_in_the_log() {
        let route = "/api/v1/work/{claim}/objects/{hash}";
        assert_eq!(loggable(route, "/api/v1/work/secret/objects/00"), route);
        assert_eq!(loggable("(none)", "/favicon.ico"), "/favicon.ico");
    }
}
