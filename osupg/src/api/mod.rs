//! The HTTP service: every operation as a call, jobs with their progress, content with ranges.
//!
//! | path | what |
//! |---|---|
//! | `POST /api/v1/{area}/{verb}` | has an operation done; a long one becomes a job |
//! | `GET /api/v1/jobs`, `/jobs/{id}`, `/jobs/{id}/events` | jobs, and how one gets on |
//! | `GET /api/v1/content/…` | objects, signed documents of revisions, and files |
//! | `GET /api/v1/precache` | what a device fetches before its upgrade |
//! | `GET`, `PUT /api/v1/work/{claim}/…` | what workers fetch, and the pieces that they bring |
//! | `POST /api/v1/session` | begins a session with name and password |
//! | `GET /api/v1/openapi.json` | describes all this |
//! | `GET /health/live`, `/health/ready`, `/metrics` | for whoever looks after the service |
//!
//! Who asks is known by a bearer token. Errors are problem details (RFC 9457).

mod body;
mod call;
mod connections;
mod content;
mod identity;
pub mod jobs;
mod metrics;
mod observe;
pub mod openapi;
mod places;
mod precache;
pub mod problem;
mod range;
mod serve;
pub mod session;
mod tls;
mod transfer;
mod work;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};

use crate::accounts::limit::Limiter;
use crate::error::{Error, Result};
use crate::home::Home;
use metrics::Metrics;
use problem::Refusal;
pub use serve::serve;
use transfer::Transfers;

/// Bytes that the body of a call may have.
const LARGEST_BODY: usize = 1 << 20;
/// Calls that are worked on at the same time; more wait for their turn.
const CALLS_AT_ONCE: usize = 128;
/// Reports of workers that are read and taken in at the same time.
const REPORTS_AT_ONCE: usize = 4;
/// Devices for which it is looked at the same time what they fetch.
const DEVICES_AT_ONCE: usize = 8;

/// What `[serve]` in the configuration sets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Address and port to listen at. Only this machine reaches the default.
    pub listen: SocketAddr,
    /// The certificate chain for TLS, as a PEM file. It is read again on SIGHUP.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, as a PEM file.
    pub tls_key: Option<PathBuf>,
    /// Whether other machines may be listened to without TLS, as behind a proxy that has it.
    pub allow_plain_http: bool,
    /// Folders of this machine that requests may name files in, as source of a package or target of
    /// an export. Who may write to them must be trusted: links in them are followed.
    pub sources: Vec<PathBuf>,
    /// Whether content is given to everybody, without a token; and who asks as a device is told of all
    /// packages, with the points that have them.
    pub anonymous_content: bool,
    /// Whether metrics are given to everybody, without a token.
    pub anonymous_metrics: bool,
    /// Connections at the same time; more are closed at once.
    pub connections: usize,
    /// Transfers of content at the same time. Each takes up to two pieces of memory, some 16 MiB.
    pub transfers: usize,
    /// Seconds that requests have to end when the service is stopped.
    pub stop_within: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8473),
            tls_cert: None,
            tls_key: None,
            allow_plain_http: false,
            sources: Vec::new(),
            anonymous_content: false,
            anonymous_metrics: false,
            connections: 1024,
            transfers: 32,
            stop_within: 30,
        }
    }
}

/// What every request is answered from.
#[derive(Debug)]
pub(crate) struct Service {
    home: Home,
    settings: Settings,
    limiter: Limiter,
    refusals: identity::Refusals,
    calls: Arc<Semaphore>,
    reports: Arc<Semaphore>,
    devices: Arc<Semaphore>,
    transfers: Transfers,
    manifests: content::Manifests,
    metrics: Metrics,
    /// Set once, when the service stops.
    stopping: watch::Receiver<bool>,
}

type Shared = Arc<Service>;

impl Service {
    pub(crate) fn new(home: Home, settings: Settings, stopping: watch::Receiver<bool>) -> Shared {
        let metrics = Metrics::new();
        Arc::new(Self {
            home,
            limiter: Limiter::default(),
            refusals: identity::Refusals::default(),
            calls: Arc::new(Semaphore::new(CALLS_AT_ONCE)),
            reports: Arc::new(Semaphore::new(REPORTS_AT_ONCE)),
            devices: Arc::new(Semaphore::new(DEVICES_AT_ONCE)),
            transfers: Transfers::new(settings.transfers, metrics.sent.clone()),
            manifests: content::Manifests::default(),
            metrics,
            settings,
            stopping,
        })
    }
}

/// Every path of the service.
pub(crate) fn router(service: Shared) -> Router {
    Router::new()
        .route("/api/v1/session", post(session::begin).delete(session::end).get(session::show))
        .route("/api/v1/{area}/{verb}", post(call::call))
        .route("/api/v1/openapi.json", get(openapi::openapi))
        .route("/api/v1/jobs", get(jobs::list))
        .route("/api/v1/jobs/{id}", get(jobs::show))
        .route("/api/v1/jobs/{id}/events", get(jobs::events))
        .route("/api/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/v1/jobs/{id}/retry", post(jobs::retry))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/content/objects/{hash}", get(content::object))
        .route("/api/v1/content/revisions/{package}/{number}", get(content::document))
        .route("/api/v1/precache", get(precache::precache))
        .route("/api/v1/content/files/{package}/{number}/{*path}", get(content::file))
        .route("/api/v1/work/{claim}/files/{sha256}", get(work::file))
        .route("/api/v1/work/{claim}/objects/{hash}", put(work::put))
        .route("/health/live", get(|| async { "ok\n" }))
        .route("/health/ready", get(ready))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&service), observe::observe))
        .with_state(service)
}

async fn nothing_here() -> Refusal {
    Refusal::status(StatusCode::NOT_FOUND, "there is nothing at this address")
}

async fn wrong_method() -> Refusal {
    Refusal::status(StatusCode::METHOD_NOT_ALLOWED, "this address takes another method")
}

/// Whether requests can be answered: the database does, and the service is not about to stop.
async fn ready(
    axum::extract::State(service): axum::extract::State<Shared>,
) -> Result<&'static str, Error> {
    if *service.stopping.borrow() {
        return Err(Error::busy("the service is stopping"));
    }
    service.home.db.answers().await?;
    Ok("ok\n")
}

#[cfg(test)]
mod tests;
