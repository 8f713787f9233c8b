//! What a device is told by a plain GET, and that it can fetch what it is told.

use serde_json::{Value, json};

use super::{Bench, answer, run};
use crate::db::tests::{Database, on_both};
use crate::operation::Right;
use crate::package::document::Document;
use crate::package::edit::{Fields, Request as Edit};
use crate::text;
use crate::trust::{Envelope, TrustList};

const DEVICE: &str = "/api/v1/precache?arch=amd64&os-language=1033";

impl Bench {
    async fn edit(&self, package: &str, set: Fields) {
        run(&self.home, &Edit { package: package.into(), seen: None, set }).await.unwrap();
    }
}

async fn a_device_is_told_what_to_fetch_and_can_check_it(database: Database) {
    let bench = Bench::with(database, |_, settings| settings.anonymous_content = true).await;
    let id = bench.package("Small").await;
    let (status, told) = answer(bench.get(&format!("{DEVICE}&edition=Core"), "").await).await;
    assert_eq!(status, 200, "{told}");
    let choice = &told["packages"][0];
    assert_eq!((&choice["package"], &choice["fetch"]), (&json!(id), &json!(true)), "{told}");

    // The document says every file with its hash, signed, and its address gives it again.
    let address = choice["document"].as_str().unwrap();
    let response = bench.get(address, "").await;
    assert_eq!(response.status(), 200);
    let etag = response.headers()["etag"].clone();
    let envelope = Envelope::from_json(&response.bytes().await.unwrap()).unwrap();
    let document = Document::open(&envelope, &TrustList::of(&bench.home).unwrap()).unwrap();
    assert_eq!(text::hex(&document.digest), choice["digest"].as_str().unwrap());
    let again = bench.request(reqwest::Method::GET, address, "").header("if-none-match", etag);
    assert_eq!(again.send().await.unwrap().status(), 304);
    let part = bench.request(reqwest::Method::GET, address, "").header("range", "bytes=0-0");
    assert_eq!(part.send().await.unwrap().bytes().await.unwrap(), "{");
    let (entry, content) = document.files().find(|(_, file)| file.size < 100).unwrap();
    let files = choice["content"].as_str().unwrap();
    let file = bench.get(&format!("{files}{}", entry.path), "").await;
    let quoted = format!("\"{}\"", text::hex(&content.sha256));
    assert_eq!(file.headers()["etag"], quoted.as_str());
    assert_eq!(file.bytes().await.unwrap().len() as u64, content.size);

    // Another language, and a model that it is not for.
    let (_, told) =
        answer(bench.get("/api/v1/precache?arch=x64&os-language=de-DE", "").await).await;
    assert_eq!(told["packages"][0]["fetch"], false, "{told}");
    let models = Some(vec!["Latitude 5450".into(), "Elite x2".into()]);
    bench.edit(&id, Fields { models, ..Fields::default() }).await;
    for (model, fetch) in [("latitude%205450", true), ("Surface", false)] {
        let (_, told) = answer(bench.get(&format!("{DEVICE}&model={model}"), "").await).await;
        assert_eq!(told["packages"][0]["fetch"], fetch, "{model}: {told}");
        let why = told["packages"][0]["reasons"].to_string();
        assert!(why.contains("it is for"), "{why}");
    }
    bench.edit(&id, Fields { models: Some(Vec::new()), ..Fields::default() }).await;
    let (_, told) = answer(bench.get(&format!("{DEVICE}&model=Surface"), "").await).await;
    assert_eq!(told["packages"][0]["fetch"], true, "{told}");

    for (wrong, says) in [
        ("/api/v1/precache?arch=x64", "os-language is missing"),
        ("/api/v1/precache?arch=x64&os-language=en-US&arch=x64", "twice"),
        ("/api/v1/precache?arch=sparc&os-language=en-US", "not an architecture"),
        ("/api/v1/precache?arch=x64&os-language=en-US&colour=red", "no parameter"),
    ] {
        let (status, problem) = answer(bench.get(wrong, "").await).await;
        assert_eq!(status, 422, "{wrong}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{wrong}: {problem}");
    }
    bench.stop().await;
}

async fn devices_learn_of_packages_that_they_may_see(database: Database) {
    let bench = Bench::new(database).await;
    let id = bench.package("Small").await;
    let inside = bench.token(Right::Read, &["Default"]).await;
    let outside = bench.token(Right::Read, &["Elsewhere"]).await;
    let document = format!("/api/v1/content/revisions/{id}/1");
    for (token, seen) in [(&*inside, 1), (&*outside, 0)] {
        let (status, told) = answer(bench.get(DEVICE, token).await).await;
        assert_eq!(
            (status, told["packages"].as_array().map(Vec::len)),
            (200, Some(seen)),
            "{told}"
        );
        assert_eq!(told["size"] == 0, seen == 0, "{told}");
        let status = bench.get(&document, token).await.status();
        assert_eq!(status, if seen == 1 { 200 } else { 404 });
    }
    // Naming a package tells no more than there being none, whatever its revision.
    for revision in ["", "@1", "@7"] {
        let mut told = Vec::new();
        for named in [&*id, "OSU09999"] {
            let package = format!("{named}{revision}");
            let query = format!("{DEVICE}&package={named}&package={package}");
            let request = json!({ "architecture": "x64", "os_language": "en-US",
                "packages": [package] });
            let got = answer(bench.get(&query, &outside).await).await;
            let posted = bench.call("precache.simulate", &outside, &request).await;
            assert_eq!((got.0, posted.0), (404, 404), "{got:?} {posted:?}");
            told.push(json!([got.1, posted.1]).to_string().replace(named, "ID"));
        }
        assert_eq!(told[0], told[1]);
        assert!(told[0].contains("there is no package"), "{}", told[0]);
    }
    let named = format!("{DEVICE}&package={id}@1");
    assert_eq!(bench.get(&named, &inside).await.status(), 200);
    for path in [DEVICE, &document] {
        assert_eq!(bench.get(path, "").await.status(), 401, "{path}");
        let line = bench.audit().await.remove(0);
        assert_eq!((&*line.operation, &*line.outcome), ("content.get", "refused"));
    }
    for path in ["9", "0", "-1", "x", "..%2f1"] {
        let path = format!("/api/v1/content/revisions/{id}/{path}");
        let (status, problem) = answer(bench.get(&path, &inside).await).await;
        assert_eq!(status, 404, "{path}: {problem}");
        assert_ne!(problem, Value::Null);
    }
    bench.stop().await;
}

async fn publishing_takes_the_priority_of_the_package_and_waits_for_its_licence(
    database: Database,
) {
    let bench = Bench::new(database).await;
    let id = bench.package("Small").await;
    let token = bench.token(Right::Administer, &[]).await;
    let add = json!({ "name": "Node", "kind": "node", "target": "node" });
    assert_eq!(bench.call("point.add", &token, &add).await.0, 200);
    let set = Fields {
        priority: Some(crate::package::model::Priority::High),
        licence_required: Some(true),
        ..Fields::default()
    };
    bench.edit(&id, set).await;
    let publish = |extra: Value| {
        let mut request = json!({ "package": id, "to": ["Node"] });
        request.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        request
    };
    for operation in ["point.plan", "point.publish"] {
        let (status, refused) = bench.call(operation, &token, &publish(json!({}))).await;
        assert_eq!(status, 409, "{operation}: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains("licence"), "{refused}");
        let command = format!("osupg package accept-licence {id}");
        assert!(refused["advice"].as_str().unwrap().contains(&command), "{refused}");
    }
    let log = bench.audit().await;
    assert_eq!((&*log[0].operation, &*log[0].outcome), ("point.publish", "failed"));
    assert_eq!(
        bench.call("package.accept-licence", &token, &json!({ "package": id })).await.0,
        200
    );
    for (extra, priority) in [
        (json!({}), "high"),
        (json!({ "priority": "low" }), "low"),
        (json!({ "priority": null }), "high"),
    ] {
        assert_eq!(bench.call("point.publish", &token, &publish(extra)).await.0, 200);
        let (_, status) = bench.call("package.status", &token, &json!({ "package": id })).await;
        assert_eq!(status["points"][0]["priority"], priority, "{status}");
    }
    bench.stop().await;
}

on_both!(
    a_device_is_told_what_to_fetch_and_can_check_it,
    devices_learn_of_packages_that_they_may_see,
    publishing_takes_the_priority_of_the_package_and_waits_for_its_licence
);
