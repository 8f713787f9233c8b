//! The service over real sockets.

mod content;
mod hostile;
mod jobs;
mod limits;
mod precache;
mod rights;
mod scopes;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use wim_extract::Cancel;
use wim_extract::write::{Options, WimWriter};
use wim_format::metadata::{ImageBuilder, Inode};
use wim_format::time::FileTime;

use super::serve::{Scheme, serve};
use super::{Settings, problem};
use crate::accounts::operations::CreateToken;
use crate::db::tests::{Database, on_both};
use crate::error::Result;
use crate::home::Home;
use crate::home::tests::open;
use crate::operation::{self, Operation, Right};
use crate::progress::{Silent, Watch};

/// A service with a store of its own, at an address that the system chose.
pub(super) struct Bench {
    folder: tempfile::TempDir,
    pub(super) home: Home,
    pub(super) url: String,
    pub(super) http: reqwest::Client,
    stop: Cancel,
    served: JoinHandle<Result<()>>,
}

impl Bench {
    pub(super) async fn new(database: Database) -> Self {
        Self::with(database, |_, _| {}).await
    }

    /// A service with these settings; `change` is told the scratch folder.
    pub(super) async fn with(
        database: Database,
        change: impl FnOnce(&Path, &mut Settings),
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let home = open(&folder.path().join("home"), database).await;
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut settings = Settings { listen, stop_within: 5, ..Settings::default() };
        change(folder.path(), &mut settings);
        let stop = Cancel::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        let service = serve(home.clone(), settings, stop.clone(), |address, scheme| {
            let _ = tell.send((address, scheme));
        });
        let served = tokio::spawn(service);
        let (address, scheme) = told.await.expect("the service listens");
        let host = if scheme == Scheme::Https { "localhost" } else { "127.0.0.1" };
        let url = format!("{scheme}://{host}:{}", address.port());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { folder, home, url, http, stop, served }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a token on the machine of the service.
    pub(super) async fn token(&self, right: Right, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(ToString::to_string).collect();
        let name = format!("{} test", right.word());
        let create = CreateToken { name, right, scopes, account: None, lifetime: None };
        run(&self.home, &create).await.unwrap().secret.0
    }

    pub(super) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        if token.is_empty() { request } else { request.bearer_auth(token) }
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Response {
        self.request(Method::GET, path, token).send().await.unwrap()
    }

    /// Has an operation done; the status and what was answered.
    pub(super) async fn call(&self, name: &str, token: &str, request: &Value) -> (u16, Value) {
        let path = format!("/api/v1/{}", name.replacen('.', "/", 1));
        let sent = self.request(Method::POST, &path, token).json(request).send();
        answer(sent.await.unwrap()).await
    }

    /// The audit log, the latest line first.
    pub(super) async fn audit(&self) -> Vec<crate::audit::Line> {
        let query = crate::audit::Query { limit: 1000, ..Default::default() };
        run(&self.home, &query).await.unwrap()
    }

    /// Adds a small package on the machine of the service; its id.
    pub(super) async fn package(&self, name: &str) -> String {
        let media = self.path(&format!("{name} media"));
        make_media(&media, name);
        let request = json!({ "source": media, "name": name });
        let known = operation::find("package.add").unwrap();
        let (progress, cancel) = (Arc::new(Silent), Cancel::new());
        let added = known.run(request, self.home.clone(), progress, cancel).await.unwrap();
        added["package"]["id"].as_str().unwrap().to_string()
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        let served = tokio::time::timeout(Duration::from_secs(20), self.served);
        served.await.expect("the service stops in time").unwrap().unwrap();
        self.home.close().await;
    }
}

pub(super) async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub(super) async fn run<O: Operation>(home: &Home, request: &O) -> Result<O::Outcome> {
    request.run(home, Watch { progress: &Silent, cancel: &Cancel::new() }).await
}

/// Media with the files that a package must have, one of them larger than a piece of the library.
fn make_media(folder: &Path, name: &str) {
    std::fs::create_dir_all(folder.join("sources")).unwrap();
    std::fs::write(folder.join("setup.exe"), name).unwrap();
    std::fs::write(folder.join("sources/größe 100%.bin"), large()).unwrap();
    let time = FileTime::from_unix(1_736_848_800, 0);
    let image = ImageBuilder::new(Inode::directory().at(time)).to_bytes().unwrap();
    let wim = folder.join("sources/install.wim");
    let mut writer = WimWriter::create(&wim, &Options::default()).unwrap();
    writer.add_image(name, image, time).unwrap();
    for (property, value) in [("EDITIONID", "Core"), ("ARCH", "9"), ("LANGUAGES/DEFAULT", "en-US")]
    {
        writer.xml_mut().set_property(1, &format!("WINDOWS/{property}"), value).unwrap();
    }
    writer.finish(&wim_extract::Silent, &Cancel::new()).unwrap();
}

/// Bytes of which no two runs are alike, so that what comes from the wrong place is seen.
pub(super) fn large() -> Vec<u8> {
    (0..3_000_000_u32)
        .flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect()
}

async fn health_and_errors_are_told_to_everybody(database: Database) {
    let bench = Bench::new(database).await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(bench.get(path, "").await.status(), 200, "{path}");
    }
    for (method, path, status) in [
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/api/v1/package/list", 405),
        (Method::DELETE, "/health/live", 405),
        (Method::POST, "/api/v1/package/fly", 404),
        (Method::POST, "/api/v1/package/list", 401),
    ] {
        let response = bench.request(method, path, "").send().await.unwrap();
        let headers = response.headers().clone();
        assert_eq!(headers["content-type"], "application/problem+json", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers.contains_key("www-authenticate"), status == 401);
        let (found, body) = answer(response).await;
        let problem: problem::Problem = serde_json::from_value(body).unwrap();
        assert_eq!((found, problem.status), (status, status), "{path}");
        assert!(!problem.detail.is_empty() && problem.kind.starts_with("urn:osupg:error:"));
    }
    bench.stop().await;
}

async fn a_session_begins_with_a_password_and_ends(database: Database) {
    let bench = Bench::new(database).await;
    let add = json!({ "name": "Anna", "password": "correct horse battery", "right": "operate" });
    let administer = bench.token(Right::Administer, &[]).await;
    assert_eq!(bench.call("account.add", &administer, &add).await.0, 200);
    assert_eq!(bench.call("account.add", &administer, &add).await.0, 409, "the name is taken");

    let login = async |name: &str, password: &str| {
        let body = json!({ "name": name, "password": password });
        let sent = bench.request(Method::POST, "/api/v1/session", "").json(&body).send();
        answer(sent.await.unwrap()).await
    };
    assert_eq!(login("anna", "wrong horse battery").await.0, 401);
    assert_eq!(login("nobody", "correct horse battery").await.0, 401);
    let (status, begun) = login("ANNA", "correct horse battery").await;
    assert_eq!(status, 200, "{begun}");
    let token = begun["token"].as_str().unwrap();
    let (_, who) = answer(bench.get("/api/v1/session", token).await).await;
    assert_eq!(who, json!({ "name": "Anna", "right": "operate", "scopes": null }));
    assert_eq!(
        bench.call("package.list", token, &json!({})).await,
        (200, json!({ "items": [], "next": null }))
    );
    assert_eq!(bench.call("account.list", token, &json!({})).await.0, 403);

    let ended = bench.request(Method::DELETE, "/api/v1/session", token).send().await.unwrap();
    assert_eq!(ended.status(), 204);
    assert_eq!(bench.call("package.list", token, &json!({})).await.0, 401);

    // Disabling ends what was begun, and nothing new begins.
    let (_, begun) = login("Anna", "correct horse battery").await;
    let edit = json!({ "name": "anna", "disabled": true });
    assert_eq!(bench.call("account.edit", &administer, &edit).await.0, 200);
    let token = begun["token"].as_str().unwrap();
    assert_eq!(bench.call("package.list", token, &json!({})).await.0, 401);
    assert_eq!(login("Anna", "correct horse battery").await.0, 401);

    // Whoever guesses waits.
    let mut last = 0;
    for _ in 0..7 {
        last = login("Anna", "a guess that is wrong").await.0;
    }
    assert_eq!(last, 503);
    let log = bench.audit().await;
    assert!(log.iter().any(|line| line.operation == "account.add"
        && line.outcome == "done"
        && line.who == "token:administer test"
        && line.address == "127.0.0.1"));
    assert!(log.iter().any(|line| line.operation == "session.begin" && line.outcome == "refused"));
    let written = format!("{log:?}");
    assert!(!written.contains("horse battery") && !written.contains("guess"), "{written}");
    bench.stop().await;
}

async fn tokens_of_accounts_do_no_more_than_those(database: Database) {
    let bench = Bench::new(database).await;
    let administer = bench.token(Right::Administer, &[]).await;
    let add = json!({ "name": "bert", "password": "0123456789ab", "right": "read" });
    assert_eq!(bench.call("account.add", &administer, &add).await.0, 200);
    let create = json!({ "name": "ci", "right": "administer", "account": "bert" });
    let (status, created) = bench.call("token.create", &administer, &create).await;
    assert_eq!(status, 200, "{created}");
    assert_eq!(created["token"]["created_by"], "token:administer test");
    let token = created["secret"].as_str().unwrap().to_string();
    assert_eq!(bench.call("package.list", &token, &json!({})).await.0, 200);
    assert_eq!(bench.call("account.list", &token, &json!({})).await.0, 403);
    let edit = json!({ "name": "bert", "right": "administer" });
    assert_eq!(bench.call("account.edit", &administer, &edit).await.0, 200);
    assert_eq!(bench.call("account.list", &token, &json!({})).await.0, 200);

    let id = created["token"]["id"].clone();
    assert_eq!(bench.call("token.revoke", &administer, &json!({ "id": id })).await.0, 200);
    assert_eq!(bench.call("token.revoke", &administer, &json!({ "id": id })).await.0, 409);
    assert_eq!(bench.call("package.list", &token, &json!({})).await.0, 401);
    assert_eq!(bench.call("account.remove", &administer, &json!({ "name": "BERT" })).await.0, 200);
    assert_eq!(bench.call("account.remove", &administer, &json!({ "name": "BERT" })).await.0, 404);
    bench.stop().await;
}

async fn figures_are_told_to_those_who_may_read(database: Database) {
    let bench = Bench::new(database).await;
    bench.package("Small").await;
    let token = bench.token(Right::Read, &[]).await;
    assert_eq!(bench.call("package.list", &token, &json!({})).await.0, 200);
    assert_eq!(bench.get("/metrics", "").await.status(), 401);
    let text = bench.get("/metrics", &token).await.text().await.unwrap();
    for line in [
        "osupg_packages 1",
        "osupg_jobs{state=\"queued\"} 0",
        "osupg_workers 0",
        "osupg_http_requests_total{method=\"POST\",route=\"/api/v1/{area}/{verb}\",status=\"200\"} 1",
        "osupg_content_sent_bytes_total 0",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
    }
    assert!(text.ends_with("# EOF\n"));
    bench.stop().await;
}

async fn the_description_is_for_everybody(database: Database) {
    let bench = Bench::new(database).await;
    let response = bench.get("/api/v1/openapi.json", "").await;
    let etag = response.headers()["etag"].clone();
    let (status, document) = answer(response).await;
    assert_eq!((status, &document["openapi"]), (200, &Value::from("3.1.0")));
    let again = bench.request(Method::GET, "/api/v1/openapi.json", "");
    assert_eq!(again.header("if-none-match", etag).send().await.unwrap().status(), 304);
    bench.stop().await;
}

on_both!(
    health_and_errors_are_told_to_everybody,
    a_session_begins_with_a_password_and_ends,
    tokens_of_accounts_do_no_more_than_those,
    figures_are_told_to_those_who_may_read,
    the_description_is_for_everybody
);
