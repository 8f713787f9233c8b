//! Callers who are limited to security scopes: what they see, make and change is theirs.

use serde_json::{Value, json};

use super::{Bench, answer, make_media, run};
use crate::db::tests::{Database, on_both};
use crate::operation::Right;
use crate::package::edit::{Fields, Request as Edit};

impl Bench {
    /// A package in one scope.
    async fn package_in(&self, scope: &str, name: &str) -> String {
        let id = self.package(name).await;
        let set = Fields { scopes: Some(vec![scope.into()]), ..Fields::default() };
        run(&self.home, &Edit { package: id.clone(), seen: None, set }).await.unwrap();
        id
    }

    async fn job(&self, token: &str, job: &Value) -> u16 {
        self.get(&format!("/api/v1/jobs/{}", job["id"]), token).await.status().as_u16()
    }
}

async fn packages_are_added_into_scopes_that_are_held(database: Database) {
    let bench =
        Bench::with(database, |folder, settings| settings.sources = vec![folder.into()]).await;
    let west = bench.token(Right::Operate, &["West", "Pilot"]).await;
    let east = bench.token(Right::Operate, &["East"]).await;
    make_media(&bench.path("media"), "media");
    let add = |name: &str, scopes: Value| json!({ "source": bench.path("media"), "name": name, "scopes": scopes });
    for scopes in [json!(["Default"]), json!(["West", "East"])] {
        let (status, refused) = bench.call("package.add", &west, &add("Not mine", scopes)).await;
        assert_eq!(status, 403, "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains("West, Pilot"), "{refused}");
        let line = bench.audit().await.remove(0);
        assert_eq!((&*line.operation, &*line.outcome), ("package.add", "refused"));
    }

    // What nobody says is theirs, and so is the job.
    let (status, job) = bench.call("package.add", &west, &add("Ours", json!([]))).await;
    assert_eq!((status, &job["request"]["scopes"]), (202, &json!(["West", "Pilot"])), "{job}");
    assert_eq!((bench.job(&west, &job).await, bench.job(&east, &job).await), (200, 404));
    let (_, list) = answer(bench.get("/api/v1/jobs", &west).await).await;
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(bench.call("job.list", &east, &json!({})).await, (200, json!([])));
    assert_eq!(bench.call("job.cancel", &east, &json!({ "id": job["id"] })).await.0, 404);
    let (stop, worker) = bench.worker();
    let events = bench.get(&format!("/api/v1/jobs/{}/events", job["id"]), &west).await;
    let events = events.text().await.unwrap();
    assert!(events.contains("\"state\":\"succeeded\""), "{events}");
    stop.cancel();
    worker.await.unwrap();

    // The scopes of a package stay among those of whoever edits it.
    let show = json!({ "package": "Ours" });
    let (_, shown) = bench.call("package.show", &west, &show).await;
    assert_eq!(shown["scopes"], json!(["Pilot", "West"]), "{shown}");
    assert_eq!(bench.call("package.show", &east, &show).await.0, 404);
    let edit = |scope: &str| json!({ "package": "Ours", "set": { "scopes": [scope] } });
    assert_eq!(bench.call("package.edit", &west, &edit("East")).await.0, 403);
    assert_eq!(bench.call("package.edit", &west, &edit("west")).await.0, 200);
    bench.stop().await;
}

async fn an_id_is_of_the_site_of_the_service(database: Database) {
    let bench =
        Bench::with(database, |folder, settings| settings.sources = vec![folder.into()]).await;
    let token = bench.token(Right::Operate, &[]).await;
    let add = json!({ "source": bench.path("media"), "name": "Elsewhere", "site": "XYZ" });
    let (status, refused) = bench.call("package.add", &token, &add).await;
    assert_eq!(status, 422, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("unknown field `site`"), "{refused}");
    bench.stop().await;
}

async fn deliveries_and_reports_are_about_packages_that_are_seen(database: Database) {
    let bench =
        Bench::with(database, |folder, settings| settings.sources = vec![folder.into()]).await;
    let (ours, theirs) =
        (bench.package_in("West", "Ours").await, bench.package_in("East", "Theirs").await);
    let all = bench.token(Right::Administer, &[]).await;
    let west = bench.token(Right::Operate, &["West"]).await;
    let east = bench.token(Right::Operate, &["East"]).await;
    std::fs::create_dir(bench.path("point")).unwrap();
    for (name, kind, target) in
        [("Folder", "folder", bench.path("point")), ("Node", "node", "node".into())]
    {
        let add = json!({ "name": name, "kind": kind, "target": target });
        assert_eq!(bench.call("point.add", &all, &add).await.0, 200);
    }
    for id in [&ours, &theirs] {
        let publish = json!({ "package": id, "to": ["Folder", "Node"] });
        assert_eq!(bench.call("point.publish", &all, &publish).await.0, 200);
    }

    let deliver = |id: &str| json!({ "point": "Folder", "package": id });
    let (status, job) = bench.call("point.deliver", &west, &deliver(&ours)).await;
    assert_eq!(status, 202, "{job}");
    assert_eq!((bench.job(&west, &job).await, bench.job(&east, &job).await), (200, 404));
    assert_eq!(bench.call("point.deliver", &west, &deliver(&theirs)).await.0, 404);
    // Deliveries of one package to several points go on beside each other.
    assert_eq!(job["subject"], "");

    let (_, overview) = bench.call("point.overview", &west, &json!({})).await;
    let seen: Vec<_> =
        overview["items"].as_array().unwrap().iter().map(|one| &one["package"]).collect();
    assert_eq!(seen, [&*ours]);

    let (status, wanted) = bench.call("point.wanted", &west, &json!({ "point": "Node" })).await;
    assert_eq!((status, wanted["revisions"].as_array().map(Vec::len)), (200, Some(1)), "{wanted}");
    assert_eq!(wanted["revisions"][0]["package"], *ours);
    let report =
        |id: &str| json!({ "point": "Node", "package": id, "state": "installed", "held": 1 });
    assert_eq!(bench.call("point.report", &west, &report(&ours)).await.0, 200);
    let (status, refused) = bench.call("point.report", &west, &report(&theirs)).await;
    assert_eq!(status, 404, "{refused}");
    let line = bench.audit().await.remove(0);
    assert_eq!((&*line.operation, &*line.subject), ("point.report", &*theirs));
    let (_, status) = bench.call("package.status", &all, &json!({ "package": theirs })).await;
    assert!(!status.to_string().contains("installed"), "{status}");
    bench.stop().await;
}

async fn schedules_are_those_of_packages_that_are_seen(database: Database) {
    let bench = Bench::new(database).await;
    let (ours, theirs) =
        (bench.package_in("West", "Ours").await, bench.package_in("East", "Theirs").await);
    let west = bench.token(Right::Operate, &["West"]).await;
    let east = bench.token(Right::Operate, &["East"]).await;
    let add = |name: &str, id: &str| {
        json!({ "name": name, "when": "daily 22:00", "operation": "package.verify",
            "request": { "package": id } })
    };
    assert_eq!(bench.call("schedule.add", &west, &add("Mine", &ours)).await.0, 200);
    assert_eq!(bench.call("schedule.add", &west, &add("Not mine", &theirs)).await.0, 404);
    assert_eq!(bench.call("schedule.add", &east, &add("Theirs", &theirs)).await.0, 200);
    let whole = json!({ "name": "Points", "when": "daily 22:00", "operation": "point.validate",
        "request": {} });
    assert_eq!(bench.call("schedule.add", &west, &whole).await.0, 403);

    let (_, list) = bench.call("schedule.list", &west, &json!({})).await;
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Mine"]);
    // Where to go on tells nothing of the one that is left out between them.
    assert_eq!(bench.call("schedule.add", &west, &add("Mine, too", &ours)).await.0, 200);
    let (mut names, mut after) = (Vec::new(), json!(null));
    loop {
        let request = json!({ "limit": 1, "after": after });
        let (status, page) = bench.call("schedule.list", &west, &request).await;
        assert_eq!(status, 200, "{page}");
        assert!(!page.to_string().contains("Theirs"), "{page}");
        names.extend(page["items"].as_array().unwrap().iter().map(|one| one["name"].clone()));
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(names, ["Mine", "Mine, too"]);
    for verb in ["show", "pause", "resume", "remove"] {
        let operation = format!("schedule.{verb}");
        let hidden = bench.call(&operation, &west, &json!({ "schedule": "Theirs" })).await;
        let missing = bench.call(&operation, &west, &json!({ "schedule": "Nobody" })).await;
        assert_eq!((hidden.0, missing.0), (404, 404), "{verb}: {}", hidden.1);
        let as_missing = missing.1.to_string().replace("Nobody", "Theirs");
        assert_eq!(hidden.1.to_string(), as_missing, "nobody learns that it exists");
        let (status, done) = bench.call(&operation, &west, &json!({ "schedule": "Mine" })).await;
        assert_eq!(status, 200, "{verb}: {done}");
    }
    let (_, list) = bench.call("schedule.list", &east, &json!({})).await;
    assert_eq!(list["items"][0]["name"], "Theirs");
    bench.stop().await;
}

on_both!(
    packages_are_added_into_scopes_that_are_held,
    an_id_is_of_the_site_of_the_service,
    deliveries_and_reports_are_about_packages_that_are_seen,
    schedules_are_those_of_packages_that_are_seen
);
