//! One suite for every kind of place: a folder, memory, and two S3 servers, one of them within this
//! process and one as another.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use object_store::ObjectStoreExt;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use wim_extract::source::Source;

use super::lease::Lease;
use super::place::{Means, S3Settings};
use super::source::PieceSource;
use super::sweep::{Depth, Litter};
use super::*;
use crate::db::tests::fresh;
use crate::error::Kind;

const KEY: (&str, &str) = ("conformance", "not-a-secret");
const BUCKET: &str = "library";

/// The library at an address, with a cache in `folder`.
fn library(address: &str, means: &Means, folder: &Path) -> Library {
    let place = Place::open(address, means).unwrap();
    Library::at(place, &folder.join("cache"), &cache::Settings::default()).unwrap()
}

fn object(seed: u8, size: usize) -> (Piece, Bytes) {
    let bytes: Vec<u8> =
        (0..size).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect();
    let bytes = Bytes::from(bytes);
    (Piece { id: ObjectId::of(&bytes), size: size as u64 }, bytes)
}

/// How many of the writers that store one object at the same moment are told to be the first.
#[derive(Clone, Copy, PartialEq)]
enum Firsts {
    /// One, as it should be.
    One,
    /// Some: the server looks whether an object is there and then writes it, which is not the same.
    Some,
}

/// What a library promises, wherever it lies.
async fn keeps_its_promises(library: &Library, firsts: Firsts) {
    comes_back_and_is_stored_once(library).await;
    many_writers_agree(library, firsts).await;
    damage_is_found_and_mended(library).await;
    files_are_read_across_pieces(library).await;
    litter_is_swept(library).await;
}

async fn comes_back_and_is_stored_once(library: &Library) {
    let (piece, bytes) = object(1, 100_000);
    assert!(!library.has(&piece).await.unwrap());
    assert_eq!(library.check(&piece).await.unwrap(), Health::Missing);
    assert_eq!(library.get(&piece).await.unwrap_err().kind(), Kind::Damaged);
    assert_eq!(library.put(&piece.id, &bytes).await.unwrap(), Stored::New);
    assert_eq!(library.put(&piece.id, &bytes).await.unwrap(), Stored::Present);
    assert!(library.has(&piece).await.unwrap());
    assert_eq!(library.check(&piece).await.unwrap(), Health::Whole);
    assert_eq!(library.get(&piece).await.unwrap(), bytes);
    let other = library.clone();
    let mapped = tokio::task::spawn_blocking(move || other.map(&piece)).await.unwrap();
    assert_eq!(mapped.unwrap(), bytes);
    assert!(library.delete(&piece.id).await.unwrap());
    assert!(!library.has(&piece).await.unwrap());
}

async fn many_writers_agree(library: &Library, firsts: Firsts) {
    let (piece, bytes) = object(2, 300_000);
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (library, bytes) = (library.clone(), bytes.clone());
            tokio::spawn(async move { library.put(&piece.id, &bytes).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Stored::New => new += 1,
            Stored::Present => {}
            Stored::Mended => panic!("a writer saw half of what another wrote"),
        }
    }
    assert!(new == 1 || (new > 1 && firsts == Firsts::Some), "{new} of them were first");
    assert_eq!(library.get(&piece).await.unwrap(), bytes);
}

async fn damage_is_found_and_mended(library: &Library) {
    let (piece, bytes) = object(3, 5_000);
    library.put(&piece.id, &bytes).await.unwrap();
    let mut flipped = bytes.to_vec();
    flipped[4_999] ^= 1;
    let longer = [&bytes[..], b"more"].concat();
    for wrong in [&flipped[..], &bytes[..4_999], &[], &longer] {
        let payload = PutPayload::from(wrong.to_vec());
        library.store().put(&piece.id.location(), payload).await.unwrap();
        assert_eq!(library.check(&piece).await.unwrap(), Health::Damaged);
        assert_eq!(library.get(&piece).await.unwrap_err().kind(), Kind::Damaged);
        let other = library.clone();
        let mapped = tokio::task::spawn_blocking(move || other.map(&piece)).await.unwrap();
        assert_eq!(mapped.unwrap_err().kind(), Kind::Damaged);
        assert_eq!(library.put(&piece.id, &bytes).await.unwrap(), Stored::Mended);
        assert_eq!(library.get(&piece).await.unwrap(), bytes);
    }
}

async fn files_are_read_across_pieces(library: &Library) {
    let objects: Vec<_> = (10..14).map(|seed| object(seed, 70_000)).collect();
    let mut whole = Vec::new();
    for (piece, bytes) in &objects {
        library.put(&piece.id, bytes).await.unwrap();
        whole.extend_from_slice(bytes);
    }
    let pieces: Vec<_> = objects.iter().map(|(piece, _)| *piece).collect();
    let source = PieceSource::new(library.clone(), &pieces, "test");
    tokio::task::spawn_blocking(move || {
        for (offset, len) in [(0, 280_000), (69_999, 2), (100_000, 150_000), (279_999, 1)] {
            assert_eq!(source.bytes(offset as u64, len).unwrap(), whole[offset..offset + len]);
        }
    })
    .await
    .unwrap();
}

/// The database knows nothing, so all that the tests before left is litter.
async fn litter_is_swept(library: &Library) {
    let (_folder, db) = fresh().await;
    let lease = Lease::try_exclusive_row(&db).await.unwrap().unwrap();
    let hour = Duration::from_secs(60 * 60);
    let young = Litter::find(&db, library, hour, Depth::Everything).await.unwrap().swept();
    assert_eq!((young.objects, young.young), (0, 6));
    let quick = Litter::find(&db, library, Duration::ZERO, Depth::Known).await.unwrap();
    assert!(quick.is_empty(), "the whole library is not listed without a reason");
    let litter = Litter::find(&db, library, Duration::ZERO, Depth::Everything).await.unwrap();
    let swept = litter.remove(&db, library, &lease).await.unwrap();
    assert_eq!((swept.objects, swept.bytes), (6, 300_000 + 5_000 + 4 * 70_000));
    let nothing = Litter::find(&db, library, Duration::ZERO, Depth::Everything).await.unwrap();
    assert_eq!(nothing.swept().objects, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("library");
    let library = library(place.to_str().unwrap(), &Means::default(), folder.path());
    keeps_its_promises(&library, Firsts::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let library = library("memory://", &Means::default(), folder.path());
    keeps_its_promises(&library, Firsts::One).await;
}

pub(crate) fn s3(address: SocketAddr) -> Means {
    let settings = format!(
        "endpoint = 'http://{address}'\nregion = 'us-east-1'\naccess-key-id = '{}'\n\
         secret-access-key = '{}'\nallow-http = true",
        KEY.0, KEY.1
    );
    Means { s3: toml::from_str(&settings).unwrap(), ..Means::default() }
}

/// An S3 server within this process, whose bucket is a folder.
pub(crate) async fn serve(root: &Path) -> SocketAddr {
    std::fs::create_dir_all(root.join(BUCKET)).unwrap();
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    builder.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let means = s3(serve(&folder.path().join("s3")).await);
    for address in ["s3://library", "s3://library/some/prefix"] {
        let library = library(address, &means, &folder.path().join("here"));
        keeps_its_promises(&library, Firsts::Some).await;
    }
}

/// `moto_server`, a second implementation of S3, as a process.
struct Moto {
    process: Child,
    address: SocketAddr,
}

impl Moto {
    fn start() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/moto/bin/moto_server");
        assert!(program.exists(), "there is no {}: run tests/setup", program.display());
        // Free a moment ago; somebody else taking it makes the test fail, and nothing worse.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &free.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stderr.take().unwrap());
        // Nobody reading would stop it when the pipe is full.
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(drop));
        let server = Self { process, address: free };
        let start = Instant::now();
        // While nobody listens, a connection may come to itself: only a right answer counts.
        while !server.make_bucket().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(start.elapsed() < Duration::from_secs(60), "moto_server does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn make_bucket(&self) -> std::io::Result<String> {
        let address = self.address;
        let mut connection = TcpStream::connect(address)?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_another_server_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    let means = s3(moto.address);
    let library = library("s3://library/prefix", &means, folder.path());
    keeps_its_promises(&library, Firsts::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_an_error_and_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let mut means = s3(serve(&folder.path().join("s3")).await);
    means.s3.secret_access_key =
        toml::from_str::<S3Settings>("secret-access-key = 'wrong'").unwrap().secret_access_key;
    let library = library("s3://library", &means, folder.path());
    let (piece, bytes) = object(1, 10);
    assert_eq!(library.put(&piece.id, &bytes).await.unwrap_err().kind(), Kind::Io);
    // Not taken for missing: that would call for a repair.
    assert_eq!(library.check(&piece).await.unwrap_err().kind(), Kind::Io);
}
