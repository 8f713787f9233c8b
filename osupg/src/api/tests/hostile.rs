//! Requests that nobody in good faith would make.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Bench, answer};
use crate::db::tests::{Database, on_both};
use crate::jobs;
use crate::operation::Right;

async fn bodies_that_are_no_requests_are_refused(database: Database) {
    let bench = Bench::new(database).await;
    let token = bench.token(Right::Administer, &[]).await;
    let post = async |body: Vec<u8>, media_type: &str| {
        let request = bench.request(Method::POST, "/api/v1/package/show", &token);
        let sent = request.header("content-type", media_type).body(body).send().await;
        // A service may stop reading a body that is too large.
        match sent {
            Ok(response) => answer(response).await,
            Err(_) => (413, Value::Null),
        }
    };
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
    let json = "application/json";
    for (body, media_type, status) in [
        (deep(100_000), json, 400),
        (br#"{"package": "#.to_vec(), json, 400),
        (b"\xff\xfe".to_vec(), json, 400),
        (br#"{"package": 1}"#.to_vec(), json, 422),
        (br#"{"package": null}"#.to_vec(), json, 422),
        (br#"["OSU00001"]"#.to_vec(), json, 422),
        (b"null".to_vec(), json, 422),
        (b"1e999".to_vec(), json, 400),
        (br#"{"package": "a", "package": "b"}"#.to_vec(), json, 404),
        (br#"{"package": "OSU00001", "extra": 1}"#.to_vec(), json, 422),
        (Vec::new(), json, 422),
        (br#"{"package": "x"}"#.to_vec(), "text/plain", 415),
        (b"package=x".to_vec(), "application/x-www-form-urlencoded", 415),
        (vec![b' '; (1 << 20) + 1], json, 413),
        (vec![b'['; 20 << 20], json, 413),
        (br#"{"package": "'; DROP TABLE package; --"}"#.to_vec(), json, 404),
        (br#"{"package": "\u202e"}"#.to_vec(), json, 404),
        (br#"{"package": "\u0000\u202e"}"#.to_vec(), json, 422),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let (found, said) = post(body, media_type).await;
        assert_eq!(found, status, "{shown}: {said}");
        assert!(!said.to_string().contains('\u{202e}'), "{said}");
    }
    assert_eq!(
        bench.call("package.list", &token, &json!({})).await,
        (200, json!({ "items": [], "next": null }))
    );
    bench.stop().await;
}

/// Sends bytes as they are and returns what comes back until the connection ends.
fn raw(bench: &Bench, request: &[u8]) -> String {
    let address = bench.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // It may be closed while we are still writing.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

async fn headers_are_not_trusted(database: Database) {
    let bench = Bench::new(database).await;
    let tail = "Connection: close\r\n\r\n";
    let list = "POST /api/v1/package/list HTTP/1.1\r\nHost: x\r\n";
    let huge = "x".repeat(1 << 20);
    let cases = [
        (format!("{list}Authorization: {huge}\r\n{tail}"), "431"),
        (format!("{list}Authorization: Bearer \u{0}\r\n{tail}"), "400"),
        (format!("{list}Authorization: Bearer é\r\n{tail}"), "401"),
        (format!("{list}X-Forwarded-For: 127.0.0.1\r\nX-Remote-User: admin\r\n{tail}"), "401"),
        (format!("{list}Content-Length: 5\r\nContent-Length: 6\r\n{tail}"), "400"),
        (format!("{list}Content-Length: -1\r\n{tail}"), "400"),
        (format!("GET /{huge} HTTP/1.1\r\nHost: x\r\n{tail}"), "4"),
        ("NONSENSE\r\n\r\n".to_string(), "400"),
        (format!("GET http://elsewhere/api/v1/session HTTP/1.1\r\nHost: x\r\n{tail}"), "401"),
        (format!("GET /health/live HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0\r\n{tail}"), "200"),
    ];
    tokio::task::block_in_place(|| {
        for (request, status) in &cases {
            let answer = raw(&bench, request.as_bytes());
            let shown = &request[..request.floor_char_boundary(120)];
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{shown:?}: {answer:.200}");
        }
    });
    assert_eq!(bench.get("/health/live", "").await.status(), 200);
    bench.stop().await;
}

/// Whoever may not have it done is refused before a body has come, and none is large but a report.
async fn bodies_are_read_of_those_who_may_send_them(database: Database) {
    let bench = Bench::new(database).await;
    let work = bench.token(Right::Work, &[]).await;
    let read = bench.token(Right::Read, &[]).await;
    let begun = |operation: &str, token: &str, len: usize| {
        let request = format!(
            "POST /api/v1/{operation} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n"
        );
        tokio::task::block_in_place(|| raw(&bench, request.as_bytes()))
    };
    for operation in ["service/report", "service/claim", "package/remove"] {
        let answer = begun(operation, &read, 1 << 20);
        assert!(answer.starts_with("HTTP/1.1 403"), "{operation}: {answer}");
        let line = bench.audit().await.remove(0);
        let said = (line.operation.replace('.', "/"), &*line.outcome, &*line.who);
        assert_eq!(said, (operation.to_string(), "refused", "token:read test"));
    }
    let padded = |operation: &str| {
        let request = bench.request(Method::POST, &format!("/api/v1/{operation}"), &work);
        let mut body = b"{\"surely no field\": 1}".to_vec();
        body.resize(2 << 20, b' ');
        request.header("content-type", "application/json").body(body).send()
    };
    let report = padded("service/report").await.unwrap().status();
    assert_eq!(report, 422, "it was read, and is no report");
    // A service may stop reading a body that is too large.
    let claim = padded("service/claim").await.map_or(413, |answer| answer.status().as_u16());
    assert_eq!(claim, 413);
    bench.stop().await;
}

async fn a_look_ends_with_its_client(database: Database) {
    let bench = Bench::new(database).await;
    let read = bench.token(Right::Read, &[]).await;
    let mark = format!("{database:?} looks");
    let body = json!({ "mark": mark }).to_string();
    let request = format!(
        "POST /api/v1/test/look HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {read}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = bench.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let comes = async |word: &str| {
        let said = format!("{mark} {word}");
        while !jobs::tests::has_run(&said) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    comes("begun").await;
    drop(stream);
    let stopped = tokio::time::timeout(Duration::from_secs(60), comes("stopped")).await;
    assert!(stopped.is_ok(), "it goes on for nobody");
    bench.stop().await;
}

async fn connections_are_counted(database: Database) {
    let bench = Bench::with(database, |_, settings| settings.connections = 3).await;
    let address = bench.url.strip_prefix("http://").unwrap().to_string();
    let idle: Vec<_> = (0..3).map(|_| TcpStream::connect(&address).unwrap()).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let request = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    tokio::task::block_in_place(|| {
        assert_eq!(raw(&bench, request), "", "there is no place left");
    });
    drop(idle);
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::task::block_in_place(|| {
        assert!(raw(&bench, request).starts_with("HTTP/1.1 200"), "places are given back");
    });
    bench.stop().await;
}

on_both!(
    bodies_that_are_no_requests_are_refused,
    headers_are_not_trusted,
    bodies_are_read_of_those_who_may_send_them,
    a_look_ends_with_its_client,
    connections_are_counted
);
