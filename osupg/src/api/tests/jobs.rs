//! Long operations: jobs over HTTP, followed to their end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use wim_extract::Cancel;

use super::{Bench, answer};
use crate::accounts::password::Secret;
use crate::db::tests::{Database, on_both};
use crate::error::Kind;
use crate::operation::Right;
use crate::package::verify;
use crate::progress::{Phase, Progress, Watch};
use crate::{jobs, remote};

impl Bench {
    /// Does jobs until the flag is set.
    pub(super) fn worker(&self) -> (Cancel, tokio::task::JoinHandle<()>) {
        let (home, stop) = (self.home.clone(), Cancel::new());
        let worker = {
            let stop = stop.clone();
            tokio::spawn(async move { jobs::work(&home, &stop).await.unwrap() })
        };
        (stop, worker)
    }

    fn client(&self, token: &str) -> remote::Client {
        let token = Some(Secret(token.into()));
        let settings = remote::Settings { url: self.url.clone(), token, ..Default::default() };
        remote::Client::new(&settings).unwrap()
    }
}

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn begin(&self, phase: Phase, _bytes: u64) {
        self.0.lock().unwrap().push(format!("phase {phase}"));
    }

    fn note(&self, words: &str) {
        self.0.lock().unwrap().push(words.to_string());
    }
}

async fn long_work_becomes_a_job_that_is_followed_to_its_end(database: Database) {
    let bench = Bench::new(database).await;
    let id = bench.package("Small").await;
    let token = bench.token(Right::Operate, &[]).await;
    let outside = bench.token(Right::Operate, &["Elsewhere"]).await;
    let (stop, worker) = bench.worker();

    let path = "/api/v1/package/verify";
    let sent = bench.request(Method::POST, path, &token).json(&json!({ "package": id })).send();
    let response = sent.await.unwrap();
    assert_eq!(response.status(), 202);
    let address = response.headers()["location"].to_str().unwrap().to_string();
    let (_, job) = answer(response).await;
    assert_eq!(job["subject"], id);
    assert_eq!(job["by"], "token:operate test");
    assert_eq!(address, format!("/api/v1/jobs/{}", job["id"]));

    let events = bench.get(&format!("{address}/events"), &token).await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let events = events.text().await.unwrap();
    for wanted in
        ["event: note\n", "event: progress\n", "\"state\":\"succeeded\"", "\"sound\":true"]
    {
        assert!(events.contains(wanted), "{wanted}: {events}");
    }
    let last = events.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: end\n"), "{last}");

    // The client of osupg follows by itself.
    let (told, cancel) = (Told::default(), Cancel::new());
    let watch = Watch { progress: &told, cancel: &cancel };
    let request = verify::Request { package: id.parse().unwrap() };
    let verified = bench.client(&token).call(&request, watch).await.unwrap();
    assert!(verified.sound && verified.files == 3, "{verified:?}");
    let told = told.0.lock().unwrap().join("; ");
    assert!(told.contains("submitted by token:operate test"), "{told}");

    // Its errors come back with their kind.
    let missing = verify::Request { package: "OSU00099".parse().unwrap() };
    let error = bench.client(&token).call(&missing, watch).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");

    // Who may not see the package does not see its jobs.
    let (status, list) = answer(bench.get("/api/v1/jobs", &token).await).await;
    assert_eq!((status, list.as_array().map(Vec::len)), (200, Some(2)), "{list}");
    let (_, list) = answer(bench.get("/api/v1/jobs", &outside).await).await;
    assert_eq!(list, json!([]));
    for (path, status) in [
        (address.clone(), 404),
        (format!("{address}/events"), 404),
        ("/api/v1/jobs/99".to_string(), 404),
        ("/api/v1/jobs/x".to_string(), 404),
        ("/api/v1/jobs/-1".to_string(), 404),
    ] {
        assert_eq!(bench.get(&path, &outside).await.status(), status, "{path}");
        assert_eq!(bench.get(&path, "").await.status(), 401, "{path}");
    }
    stop.cancel();
    worker.await.unwrap();
    bench.stop().await;
}

async fn jobs_are_cancelled_and_retried(database: Database) {
    let bench = Bench::new(database).await;
    let id = bench.package("Small").await;
    let operate = bench.token(Right::Operate, &[]).await;
    let (read, outside) =
        (bench.token(Right::Read, &[]).await, bench.token(Right::Operate, &["Elsewhere"]).await);
    // Nobody does jobs here, so that it stays in the queue.
    let (_, job) = bench.call("package.verify", &operate, &json!({ "package": id })).await;
    let post = async |verb: &str, token: &str| {
        let path = format!("/api/v1/jobs/{}/{verb}", job["id"]);
        answer(bench.request(Method::POST, &path, token).send().await.unwrap()).await
    };
    assert_eq!(post("cancel", "").await.0, 401);
    assert_eq!(post("cancel", &read).await.0, 403);
    assert_eq!(post("cancel", &outside).await.0, 404);
    let (status, cancelled) = post("cancel", &operate).await;
    assert_eq!((status, &cancelled["state"]), (200, &Value::from("cancelled")), "{cancelled}");
    assert_ne!(post("cancel", &operate).await.0, 200, "it is over");
    let (status, retried) = post("retry", &operate).await;
    assert_eq!((status, &retried["state"]), (200, &Value::from("queued")), "{retried}");

    // Stopping a command cancels what it waits for.
    let cancel = Cancel::new();
    let stop = {
        let cancel = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(700)).await;
            cancel.cancel();
        })
    };
    let told = Arc::new(Told::default());
    let watch = Watch { progress: &*told, cancel: &cancel };
    let request = verify::Request { package: id.parse().unwrap() };
    let error = bench.client(&operate).call(&request, watch).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled, "{error}");
    stop.await.unwrap();
    let (_, list) = answer(bench.get("/api/v1/jobs", &operate).await).await;
    assert_eq!(list[0]["state"], "cancelled", "{list}");
    bench.stop().await;
}

on_both!(long_work_becomes_a_job_that_is_followed_to_its_end, jobs_are_cancelled_and_retried);
