//! What osupg talks to in tests: a service of its own, and an S3 server.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use osupg_tests::child;

use crate::osupg_support::Bench;

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An S3 server with one bucket, `site`.
pub(crate) fn bucket() -> (Running, SocketAddr) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/moto/bin/moto_server");
    assert!(program.exists(), "there is no {}: run tests/setup", program.display());
    let at = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number");
    let server = Command::new(program)
        .args(["-H", "127.0.0.1", "-p", &at.port().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("moto_server starts");
    let server = Running(server);
    let start = Instant::now();
    // While nobody listens, a connection may come to itself: only a right answer counts.
    while !ask(at, "PUT /site").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
        assert!(start.elapsed() < Duration::from_secs(60), "moto_server does not come up");
        sleep(Duration::from_millis(100));
    }
    (server, at)
}

/// Asks the S3 server; what it answers.
fn ask(at: SocketAddr, what: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(at)?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    let head = format!("{what} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 0\r\nConnection: close");
    connection.write_all(format!("{head}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// How many objects the bucket holds, as its XML says.
pub(crate) fn bucket_keys(at: SocketAddr) -> usize {
    ask(at, "GET /site?list-type=2").expect("it is up").matches("<Key>").count()
}

/// A certificate for `localhost` that vouches for itself, made by openssl; and its key.
pub(crate) fn certificate(bench: &Bench) -> (PathBuf, PathBuf) {
    let (certificate, key) = (bench.path("cert.pem"), bench.path("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let _ = child::run(&mut openssl).ok();
    (certificate, key)
}

/// `osupg serve`, and where.
pub(crate) fn serve(bench: &Bench) -> (Running, String) {
    let mut command = bench.osupg();
    let mut process = command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("osupg starts");
    let mut line = String::new();
    let stdout = process.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it says where it serves");
    let url = line.trim().strip_prefix("osupg serves at ").expect("an address").to_string();
    (Running(process), url)
}
