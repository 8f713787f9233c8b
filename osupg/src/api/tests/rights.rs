//! Who may do what: every operation with every kind of token.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, run};
use crate::accounts::operations::{CreateToken, RevokeToken};
use crate::db::tests::{Database, on_both};
use crate::operation::{ALL, Known, Reach, Right};

/// The status without any token, with one that has expired, and so on; each with its audit line.
async fn every_operation_takes_its_right(database: Database) {
    let bench = Bench::new(database).await;
    let make = |name: &str, lifetime| CreateToken {
        name: name.into(),
        right: Right::Administer,
        scopes: Vec::new(),
        account: None,
        lifetime,
    };
    let expired = run(&bench.home, &make("expired", Some(1))).await.unwrap().secret.0;
    let revoked = run(&bench.home, &make("revoked", None)).await.unwrap();
    run(&bench.home, &RevokeToken { id: revoked.token.id }).await.unwrap();
    let forged = revoked.secret.0.replace('1', "2");
    let nobody = ["", "nonsense", &expired, &revoked.secret.0, &forged];
    let rights = Right::ALL;
    let mut tokens = Vec::new();
    for right in rights {
        tokens.push((right, bench.token(right, &[]).await));
    }
    let elsewhere = bench.token(Right::Administer, &["Elsewhere"]).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;

    for known in ALL {
        // No operation knows this field, so that none is done even where the right suffices.
        let request = json!({ "surely no field": 1 });
        for token in nobody {
            let (status, answer) = bench.call(known.name, token, &request).await;
            assert_eq!(status, 401, "{} with {token:?}: {answer}", known.name);
        }
        for (right, token) in &tokens {
            let (status, answer) = bench.call(known.name, token, &request).await;
            let wanted = if right.includes(known.right) { 422 } else { 403 };
            assert_eq!(status, wanted, "{} with {right:?}: {answer}", known.name);
            let line = &bench.audit_of(known).await;
            assert_eq!(line.outcome, if wanted == 422 { "failed" } else { "refused" });
            assert_eq!(line.who, format!("token:{} test", right.word()));
        }
    }

    // Whoever is limited to a scope has nothing done that reaches beyond it.
    for known in ALL.iter().filter(|known| known.reach == Reach::Site) {
        for request in [json!({}), json!({ "package": "OSU00001" })] {
            let (status, answer) = bench.call(known.name, &elsewhere, &request).await;
            assert!(matches!(status, 403 | 404 | 422), "{}: {status} {answer}", known.name);
        }
    }
    bench.stop().await;
}

impl Bench {
    /// The last line about an operation.
    async fn audit_of(&self, known: &Known) -> crate::audit::Line {
        let mut lines = self.audit().await.into_iter();
        lines.find(|line| line.operation == known.name).expect("there is a line")
    }
}

async fn scopes_hide_packages(database: Database) {
    let bench = Bench::new(database).await;
    let id = bench.package("Seen by some").await;
    let all = bench.token(Right::Operate, &[]).await;
    let inside = bench.token(Right::Operate, &["default"]).await;
    let outside = bench.token(Right::Operate, &["Elsewhere"]).await;
    let show = json!({ "package": id });
    let count = async |token: &str| {
        let (status, list) = bench.call("package.list", token, &json!({})).await;
        assert_eq!(status, 200, "{list}");
        list["items"].as_array().map(Vec::len)
    };
    for token in [&all, &inside] {
        assert_eq!(count(token).await, Some(1));
        assert_eq!(bench.call("package.show", token, &show).await.0, 200);
    }
    assert_eq!(count(&outside).await, Some(0));
    let hidden = bench.call("package.show", &outside, &show).await;
    let missing = bench.call("package.show", &outside, &json!({ "package": "OSU09999" })).await;
    assert_eq!((hidden.0, missing.0), (404, 404));
    let without_id = |answer: &Value| answer.to_string().replace("OSU09999", &id);
    assert_eq!(without_id(&hidden.1), without_id(&missing.1), "nobody learns that it exists");
    assert_eq!(bench.call("package.remove", &outside, &show).await.0, 404);
    assert_eq!(bench.call("package.show", &all, &show).await.0, 200, "it is still there");
    let last = bench.audit().await.into_iter().find(|line| line.operation == "package.remove");
    assert_eq!(last.unwrap().subject, id);
    bench.stop().await;
}

async fn files_of_the_machine_are_read_below_listed_folders_only(database: Database) {
    let bench = Bench::with(database, |folder, settings| {
        let open = folder.join("open");
        std::fs::create_dir(&open).unwrap();
        settings.sources = vec![open];
    })
    .await;
    let id = bench.package("Small").await;
    let operate = bench.token(Right::Operate, &[]).await;
    let export = async |folder: &str| {
        let request = json!({ "package": id, "folder": bench.path(folder) });
        bench.call("package.export", &operate, &request).await
    };
    let (status, refused) = export("elsewhere").await;
    assert_eq!(status, 403, "{refused}");
    assert!(refused["advice"].as_str().unwrap().contains("open"), "{refused}");
    assert_eq!(export("open/../elsewhere").await.0, 403);
    assert!(!bench.path("elsewhere").exists());
    for source in ["/etc", "relative", ""] {
        let request = json!({ "source": source, "name": "Stolen" });
        let (status, answer) = bench.call("package.add", &operate, &request).await;
        assert_eq!(status, 403, "{source:?}: {answer}");
    }
    assert!(matches!(export("open/out").await.0, 200 | 202));
    bench.stop().await;
}

/// Though they are not there yet: a point makes them.
async fn points_are_in_no_source_and_not_in_the_store(database: Database) {
    let bench =
        Bench::with(database, |folder, settings| settings.sources = vec![folder.into()]).await;
    bench.package("Small").await;
    let token = bench.token(Right::Administer, &[]).await;
    let add = async |name: &str| {
        let target = format!("file://{}", bench.path(name).display());
        let request = json!({ "name": "Point", "kind": "objects", "target": target });
        bench.call("point.add", &token, &request).await
    };
    for (name, says) in [
        ("Small media/new/folder", "is in the source of OSU00001"),
        ("Small media", "is in the source of OSU00001"),
        ("home/new/folder", "are one inside the other"),
        ("home", "are one inside the other"),
        ("", "are one inside the other"),
    ] {
        let (status, refused) = add(name).await;
        assert_eq!(status, 422, "{name}: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains(says), "{name}: {refused}");
    }
    assert!(!bench.path("Small media/new").exists() && !bench.path("home/new").exists());
    let (status, added) = add("new/folder").await;
    assert_eq!(status, 200, "{added}");
    bench.stop().await;
}

on_both!(
    points_are_in_no_source_and_not_in_the_store,
    every_operation_takes_its_right,
    scopes_hide_packages,
    files_of_the_machine_are_read_below_listed_folders_only
);
