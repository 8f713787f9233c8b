//! Content over HTTP, with curl as the judge of ranges.

use std::process::Command;

use reqwest::Method;
use reqwest::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, RANGE};

use super::{Bench, large};
use crate::db::tests::{Database, on_both};
use crate::operation::Right;
use crate::text;

/// The path of the large file, as it stands in an address.
const LARGE: &str = "sources/gr%C3%B6%C3%9Fe%20100%25.bin";

async fn files_and_objects_are_given_whole_and_in_ranges(database: Database) {
    let bench = Bench::new(database).await;
    let id = bench.package("Small").await;
    let token = bench.token(Right::Read, &[]).await;
    let data = large();
    let path = format!("/api/v1/content/files/{id}/1/{LARGE}");

    let whole = bench.get(&path, &token).await;
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.headers()[ACCEPT_RANGES], "bytes");
    assert_eq!(whole.headers()[CONTENT_LENGTH], data.len().to_string().as_str());
    let etag = whole.headers()[ETAG].clone();
    assert_eq!(whole.bytes().await.unwrap(), data);

    let head = bench.request(Method::HEAD, &path, &token).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()[CONTENT_LENGTH], data.len().to_string().as_str());
    assert!(head.bytes().await.unwrap().is_empty());

    let same = bench.request(Method::GET, &path, &token).header(IF_NONE_MATCH, etag);
    assert_eq!(same.send().await.unwrap().status(), 304);

    // Across the borders of pieces.
    let range = "bytes=5000000-11000000";
    let part = bench.request(Method::GET, &path, &token).header(RANGE, range).send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()[CONTENT_RANGE], "bytes 5000000-11000000/12000000");
    assert_eq!(part.bytes().await.unwrap(), data[5_000_000..=11_000_000]);

    let beyond = bench.request(Method::GET, &path, &token).header(RANGE, "bytes=12000000-");
    let beyond = beyond.send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.headers()[CONTENT_RANGE], "bytes */12000000");

    // Every object of the library, by its name.
    let objects = bench.objects();
    assert!(objects.len() > 3, "the large file has several pieces");
    for (hash, bytes) in objects {
        let response = bench.get(&format!("/api/v1/content/objects/{hash}"), &token).await;
        assert_eq!(response.status(), 200, "{hash}");
        assert_eq!(response.headers()[ETAG], format!("\"{hash}\"").as_str());
        assert_eq!(response.bytes().await.unwrap(), bytes);
    }
    bench.stop().await;
}

impl Bench {
    /// The objects of the library: name and bytes.
    fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut pending = vec![self.home.root().join("library/objects")];
        while let Some(folder) = pending.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
                if entry.file_type().unwrap().is_dir() {
                    pending.push(entry.path());
                } else {
                    let name = entry.file_name().into_string().unwrap();
                    found.push((name, std::fs::read(entry.path()).unwrap()));
                }
            }
        }
        found
    }
}

async fn curl_agrees_about_ranges_and_resumes(database: Database) {
    let bench = Bench::with(database, |_, settings| settings.anonymous_content = true).await;
    let id = bench.package("Small").await;
    let data = large();
    let url = format!("{}/api/v1/content/files/{id}/1/{LARGE}", bench.url);
    let curl = |arguments: Vec<String>| {
        let out = Command::new("curl").args(["-sS", "--fail"]).args(arguments).output();
        let out = out.expect("curl is there");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let range = |range: &str| curl(vec!["-r".into(), range.into(), url.clone()]);
    for (asked, start, end) in
        [("0-0", 0, 1), ("-7", 11_999_993, 12_000_000), ("8388600-8388620", 8_388_600, 8_388_621)]
    {
        assert_eq!(range(asked), data[start..end], "{asked}");
    }
    let parts = range("0-3,100-103");
    let shown = String::from_utf8_lossy(&parts);
    assert!(shown.contains("Content-Range: bytes 0-3/12000000"), "{shown}");
    assert!(shown.contains("Content-Range: bytes 100-103/12000000"), "{shown}");

    // A download that was cut off goes on where it ended.
    let half = bench.path("half");
    std::fs::write(&half, &data[..7_000_001]).unwrap();
    let out = half.to_str().unwrap().to_string();
    curl(vec!["-C".into(), "-".into(), "-o".into(), out, url.clone()]);
    assert!(std::fs::read(&half).unwrap() == data);
    bench.stop().await;
}

async fn content_is_given_to_those_who_may_see_it(database: Database) {
    let bench = Bench::new(database).await;
    let id = bench.package("Small").await;
    let (hash, _) = bench.objects().remove(0);
    let inside = bench.token(Right::Read, &["Default"]).await;
    let outside = bench.token(Right::Read, &["Elsewhere"]).await;
    for path in [
        format!("/api/v1/content/files/{id}/1/setup.exe"),
        format!("/api/v1/content/objects/{hash}"),
    ] {
        for (token, status) in [("", 401), ("nonsense", 401), (&*outside, 404), (&*inside, 200)] {
            assert_eq!(bench.get(&path, token).await.status(), status, "{path}");
        }
    }
    let files = |rest: &str| format!("/api/v1/content/files/{id}/{rest}");
    for path in [
        files("2/setup.exe"),
        files("0/setup.exe"),
        files("-1/setup.exe"),
        files("x/setup.exe"),
        files("1/sources"),
        files("1/../setup.exe"),
        files("1/%2e%2e%2f%2e%2e%2fosupg.db"),
        files("1/..%2f..%2f..%2fetc%2fpasswd"),
        files("1/%2Fetc%2Fpasswd"),
        files("1/setup.exe%00"),
        files("1/SETUP.EXE"),
        "/api/v1/content/files/..%2f..%2fetc/1/passwd".to_string(),
        "/api/v1/content/objects/..%2F..%2Fosupg.db".to_string(),
        format!("/api/v1/content/objects/{}", "0".repeat(64)),
        format!("/api/v1/content/objects/{}", "é".repeat(32)),
    ] {
        let response = bench.get(&path, &inside).await;
        assert_eq!(response.status(), 404, "{path}");
        let body = response.text().await.unwrap();
        assert!(!body.contains("root:") && !body.contains("SQLite"), "{body}");
    }

    // What is damaged is not sent as if it were whole.
    let (hash, bytes) = bench.objects().into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let file = bench.home.root().join("library/objects").join(&hash[..2]).join(&hash);
    std::fs::write(file, vec![0; bytes.len()]).unwrap();
    let response = bench.get(&format!("/api/v1/content/objects/{hash}"), &inside).await;
    assert!(response.bytes().await.is_err(), "the connection is cut");
    assert!(text::unhex::<32>(&hash).is_some());
    bench.stop().await;
}

on_both!(
    files_and_objects_are_given_whole_and_in_ranges,
    curl_agrees_about_ranges_and_resumes,
    content_is_given_to_those_who_may_see_it
);
