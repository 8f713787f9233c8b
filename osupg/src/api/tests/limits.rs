//! Every field at its limit, over it and far over it, and with what has no place in it.

use serde_json::{Value, json};

use super::Bench;
use crate::db::tests::{Database, on_both};
use crate::operation::Right;

/// A text field of a request: its operation, where it is, and the most characters that it may have.
struct Field {
    operation: &'static str,
    pointer: &'static str,
    limit: usize,
}

const fn field(operation: &'static str, pointer: &'static str, limit: usize) -> Field {
    Field { operation, pointer, limit }
}

const FIELDS: &[Field] = &[
    field("package.add", "/name", 50),
    field("package.add", "/version", 32),
    field("package.add", "/comment", 127),
    field("package.add", "/manufacturer", 32),
    field("package.add", "/folder", 50),
    field("package.add", "/scopes/0", 50),
    field("package.add", "/models/0", 64),
    field("package.edit", "/set/name", 50),
    field("package.edit", "/set/version", 32),
    field("package.edit", "/set/comment", 127),
    field("package.edit", "/set/manufacturer", 32),
    field("package.edit", "/set/folder", 50),
    field("package.edit", "/set/scopes/0", 50),
    field("package.edit", "/set/models/0", 64),
    field("point.add", "/name", 50),
    field("point.add", "/change/comment", 127),
    field("group.add", "/name", 50),
    field("group.add", "/comment", 127),
    field("account.add", "/name", 64),
    field("account.add", "/scopes/0", 64),
    field("token.create", "/name", 64),
    field("token.create", "/scopes/0", 64),
    field("schedule.add", "/name", 64),
];

/// A good request, in which a field is replaced.
fn request(bench: &Bench, package: &str, field: &Field, value: &str) -> Value {
    // What has to be unique is called after the field.
    let own = field.pointer.replace('/', "-");
    let mut request = match field.operation {
        "package.add" => json!({ "source": bench.path("nowhere"), "name": "x", "version": "",
            "comment": "", "manufacturer": "", "folder": "/", "scopes": [""], "models": ["x"] }),
        "package.edit" => json!({ "package": package, "set": {} }),
        "point.add" => {
            json!({ "name": own, "kind": "node", "target": own, "change": { "comment": "" } })
        }
        "group.add" => json!({ "name": own, "comment": "" }),
        "account.add" => {
            json!({ "name": own, "password": "0123456789ab", "right": "read", "scopes": [""] })
        }
        "token.create" => json!({ "name": "x", "right": "read", "scopes": [""] }),
        _ => json!({ "name": "x", "when": "daily 22:00", "operation": "package.verify",
            "request": { "package": package } }),
    };
    if let Some(place) = request.pointer_mut("/scopes/0") {
        *place = json!("Default");
    }
    if let Some(name) = field.pointer.strip_prefix("/set/") {
        let (name, list) = name.split_once('/').map_or((name, false), |(name, _)| (name, true));
        request["set"][name] = if list { json!([value]) } else { json!(value) };
    } else {
        *request.pointer_mut(field.pointer).expect("the field is there") = json!(value);
    }
    request
}

async fn fields_are_refused_beyond_their_limits_and_that_is_written_down(database: Database) {
    let bench =
        Bench::with(database, |folder, settings| settings.sources = vec![folder.into()]).await;
    let id = bench.package("Small").await;
    let token = bench.token(Right::Administer, &[]).await;
    for field in FIELDS {
        let Field { operation, pointer, limit } = *field;
        // Its own first letters keep names apart that are unique over several of these.
        let long = |len: usize| {
            let own = format!("{operation}{pointer}").replace(['.', '/'], "").to_uppercase();
            format!("{}{}", &own[..own.len().min(len)], "ä".repeat(len.saturating_sub(own.len())))
        };
        let send = async |value: &str| {
            bench.call(operation, &token, &request(&bench, &id, field, value)).await
        };
        let (status, answer) = send(&long(limit)).await;
        assert!(
            matches!(status, 200 | 202),
            "{operation} {pointer} at its limit: {status} {answer}"
        );
        for len in [limit + 1, limit * 100, 400_000] {
            let (status, refused) = send(&long(len)).await;
            assert_eq!(status, 422, "{operation} {pointer} with {len}: {refused}");
            let said = refused["detail"].as_str().unwrap();
            assert!(said.contains(&limit.to_string()), "{operation} {pointer}: {said:.300}");
            assert!(said.len() < 500, "{operation} {pointer}: what is too long is not said again");
            let line = bench.audit().await.remove(0);
            assert_eq!((&*line.operation, &*line.outcome), (operation, "failed"), "{pointer}");
        }
        for hostile in ["bell\u{7}", "two\nlines", "nul\u{0}", "\u{1b}[31mred"] {
            let (status, refused) = send(hostile).await;
            assert_eq!(status, 422, "{operation} {pointer} {hostile:?}: {refused}");
            assert!(!refused.to_string().contains('\u{1b}'), "{refused}");
        }
    }
    bench.stop().await;
}

async fn lists_and_numbers_are_refused_beyond_their_limits(database: Database) {
    let bench = Bench::new(database).await;
    let id = bench.package("Small").await;
    let token = bench.token(Right::Administer, &[]).await;
    let many = |count: usize| (0..count).map(|number| format!("s{number}")).collect::<Vec<_>>();
    let edit = |field: &str, value: Value| json!({ "package": id, "set": { field: value } });
    let change = |field: &str, value: i64| json!({ "point": "Node", "change": { field: value } });
    let node = json!({ "name": "Node", "kind": "node", "target": "node" });
    assert_eq!(bench.call("point.add", &token, &node).await.0, 200);
    for (operation, request, good) in [
        ("package.edit", edit("scopes", json!(many(64))), true),
        ("package.edit", edit("scopes", json!(many(65))), false),
        ("package.edit", edit("scopes", json!(many(60_000))), false),
        ("package.edit", edit("scopes", json!([])), false),
        ("package.edit", edit("models", json!(many(64))), true),
        ("package.edit", edit("models", json!(many(65))), false),
        ("package.edit", edit("folder", json!("a/".repeat(10))), true),
        ("package.edit", edit("folder", json!("a/".repeat(11))), false),
        ("package.edit", edit("priority", json!("urgent")), false),
        ("package.edit", edit("language", json!("en-US ".repeat(65))), false),
        ("point.edit", change("timeout_seconds", 86_400), true),
        ("point.edit", change("timeout_seconds", 86_401), false),
        ("point.edit", change("timeout_seconds", 0), false),
        ("point.edit", change("threads", 99), true),
        ("point.edit", change("threads", i64::MAX), false),
        ("point.edit", change("packages_at_once", 51), false),
        ("point.edit", change("rate", -1), false),
    ] {
        let shown = request.to_string();
        let (status, answer) = bench.call(operation, &token, &request).await;
        let wanted = if good { 200 } else { 422 };
        assert_eq!(status, wanted, "{operation} {shown:.200}: {answer}");
        let line = bench.audit().await.remove(0);
        assert_eq!(
            (&*line.operation, &*line.outcome),
            (operation, if good { "done" } else { "failed" })
        );
    }
    bench.stop().await;
}

on_both!(
    fields_are_refused_beyond_their_limits_and_that_is_written_down,
    lists_and_numbers_are_refused_beyond_their_limits
);
