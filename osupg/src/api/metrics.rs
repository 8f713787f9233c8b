//! `GET /metrics`: figures for Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde_json::Value;

use super::Shared;
use super::identity::{self, Peer};
use super::problem::Refusal;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::jobs;

/// What this call is called in the audit log.
const NAME: &str = "metrics";
/// Seconds at which the histogram of answers is cut.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0, 60.0];

/// What is counted, and what is looked up when somebody asks.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram>,
    /// Bytes of content that were sent.
    pub(super) sent: Counter,
    packages: Gauge,
    jobs: Family<InState, Gauge>,
    workers: Gauge,
    waiting: Gauge<f64, AtomicU64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: String,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("osupg");
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            sent: Counter::default(),
            packages: Gauge::default(),
            jobs: Family::default(),
            workers: Gauge::default(),
            waiting: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("http_requests", "Requests that were answered", metrics.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time until the head of the answer",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register_with_unit(
            "content_sent",
            "Content that was sent",
            Unit::Bytes,
            metrics.sent.clone(),
        );
        registry.register("packages", "Packages", metrics.packages.clone());
        registry.register("jobs", "Jobs in each state", metrics.jobs.clone());
        registry.register("workers", "Workers that are there", metrics.workers.clone());
        registry.register_with_unit(
            "jobs_oldest_wait",
            "For how long the oldest job that could run has been waiting for a worker",
            Unit::Seconds,
            metrics.waiting.clone(),
        );
        Self { registry, ..metrics }
    }

    /// Counts an answer.
    pub(super) fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        // A method is a word that the client chooses.
        let usual = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
        let method = if usual.contains(method) { method.as_str() } else { "other" };
        let (method, route) = (method.to_string(), route.to_string());
        self.seconds.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Answered { method, route, status }).inc();
    }

    async fn text(&self, home: &Home) -> Result<String> {
        let census = jobs::census(home).await?;
        // All of them: a state that no job is in any more must not keep its last figure.
        for state in jobs::model::State::ALL {
            let label = InState { state: state.word().to_string() };
            self.jobs.get_or_create(&label).set(signed(census.in_state(state)));
        }
        self.workers.set(signed(census.workers));
        let now = crate::time::Moment::now();
        let waiting = census.oldest_due.map_or(0, |due| now.0.saturating_sub(due.0).max(0));
        self.waiting.set(Duration::from_micros(waiting.unsigned_abs()).as_secs_f64());
        self.packages.set(home.db.count_packages().await?);
        let mut text = String::new();
        encode(&mut text, &self.registry)
            .map_err(|error| Error::io(format!("metrics cannot be written: {error}")))?;
        Ok(text)
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) async fn metrics(
    State(service): State<Shared>,
    from: Peer,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let needed = !service.settings.anonymous_metrics || identity::token(&headers)?.is_some();
    if needed && let Err(error) = service.caller(&headers).await {
        service.refused(None, from, NAME, None, &Value::Null, &error).await;
        return Err(error.into());
    }
    let text = service.metrics.text(&service.home).await?;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}
