//! Bundles from store to store, and what must not get into one.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use wim_extract::Cancel;

use super::create::{self, Created};
use super::import::{self, Imported};
use super::index::{self, Index};
use super::{cipher, frame, header, inspect};
use crate::db::points::{NewPoint, Place, Wanted};
use crate::db::tests::{Database, on_both};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::home::tests::open;
use crate::media::path::MediaPath;
use crate::operation::Operation;
use crate::package::adopt::{self, Arrival, Current};
use crate::package::document::{self, Document};
use crate::package::manifest;
use crate::package::model::{Content, Entry, Origin, Stated};
use crate::points::{self, model::Settings};
use crate::precache;
use crate::progress::{Progress, Silent, Watch};
use crate::store::layout::{ObjectId, Piece};
use crate::time::{FileTime, Moment};
use crate::trust::{self, Envelope, manage};

const PIECE: usize = 300_000;

/// A store in a folder of its own.
struct Store {
    home: Home,
    folder: tempfile::TempDir,
}

impl Store {
    async fn new(database: Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = open(&folder.path().join("store"), database).await;
        Self { home, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn call<O: Operation>(&self, request: O) -> Result<O::Outcome> {
        let cancel = Cancel::new();
        request.run(&self.home, Watch { progress: &Silent, cancel: &cancel }).await
    }

    /// Trusts what the other store signs.
    async fn trusts(&self, other: &Store) {
        let key = other.call(manage::ShowKey {}).await.unwrap().key.pem();
        self.call(manage::Add { key, name: "maker".into() }).await.unwrap();
    }

    /// Makes a revision of these files.
    async fn has(&self, number: i64, files: &[(&str, Vec<u8>)]) -> Document {
        let document = document(number, files);
        for (_, bytes) in files {
            for part in bytes.chunks(PIECE) {
                let bytes = bytes::Bytes::copy_from_slice(part);
                self.home.library.put(&ObjectId::of(part), &bytes).await.unwrap();
            }
        }
        let import = self.home.db.import_begins(&self.path("source")).await.unwrap();
        let lease = self.home.lease().await.unwrap();
        let arrival = Arrival {
            signer: "this store",
            cause: "test",
            current: Current::Newest,
            import: &import,
            lease: &lease,
            new_size: 0,
        };
        let cancel = Cancel::new();
        let watch = Watch { progress: &Silent, cancel: &cancel };
        adopt::adopt(&self.home, &document, &arrival, watch).await.unwrap();
        document
    }

    async fn bundle(&self, name: &str, of: &str, since: &[&str]) -> (PathBuf, Created) {
        let request = create::Request {
            since: since.iter().map(|base| base.parse().unwrap()).collect(),
            ..request(self.path(name), of)
        };
        (request.file.clone(), self.call(request).await.unwrap())
    }

    async fn import(&self, file: &std::path::Path) -> Result<Imported> {
        self.call(import::Request { file: file.into(), passphrase_file: None }).await
    }

    /// Whether nothing of any package is here.
    async fn is_empty(&self) -> bool {
        self.home.db.packages().await.unwrap().is_empty()
    }
}

fn request(file: PathBuf, of: &str) -> create::Request {
    create::Request {
        revisions: vec![of.parse().unwrap()],
        file,
        since: Vec::new(),
        for_point: None,
        encrypt_to: None,
        passphrase_file: None,
        comment: "for the tests".into(),
    }
}

fn document(number: i64, files: &[(&str, Vec<u8>)]) -> Document {
    let entries: Vec<_> = files
        .iter()
        .map(|(path, bytes)| Entry {
            path: MediaPath::new(path).unwrap(),
            modified: FileTime { seconds: 1_700_000_000, nanos: 1 },
            content: Some(Content {
                size: bytes.len() as u64,
                sha256: Sha256::digest(bytes).into(),
                pieces: bytes
                    .chunks(PIECE)
                    .map(|part| Piece { id: ObjectId::of(part), size: part.len() as u64 })
                    .collect(),
            }),
        })
        .collect();
    let stated = |value: &str| Stated { value: value.into(), by: Origin::Image };
    Document {
        package: document::Facts {
            id: "OSU00001".into(),
            name: "Windows 11".into(),
            version: format!("{number}"),
            comment: String::new(),
            architecture: stated("x64"),
            language: stated("en-US"),
        },
        number,
        digest: manifest::digest(FileTime::EPOCH, &entries),
        root_modified: FileTime::EPOCH,
        editions: "Professional".into(),
        builds: "26100.1".into(),
        entries,
    }
}

/// Bytes made by rule; no two pieces are the same.
fn bytes(seed: u8, len: usize) -> Vec<u8> {
    let mut output = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut output);
    output
}

fn november() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", Vec::new()),
        ("install.bin", bytes(1, 2_000_000)),
        ("setup.exe", bytes(2, 50_000)),
    ]
}

/// One of the seven pieces of install.bin is another.
fn december() -> Vec<(&'static str, Vec<u8>)> {
    let mut files = november();
    files[1].1[PIECE..2 * PIECE].copy_from_slice(&bytes(3, PIECE));
    files
}

async fn a_full_bundle_brings_a_package_once(database: Database) {
    let (maker, reader) = (Store::new(database).await, Store::new(database).await);
    let document = maker.has(1, &november()).await;
    let (file, created) = maker.bundle("full", "OSU00001", &[]).await;
    assert_eq!(created.size, fs::metadata(&file).unwrap().len());
    assert_eq!((created.pieces, created.left_out), (8, 0));

    let error = reader.import(&file).await.unwrap_err();
    assert!(error.advice().is_some_and(|advice| advice.contains("trust add")), "{error}");
    let seen =
        reader.call(inspect::Request { file: file.clone(), passphrase_file: None }).await.unwrap();
    assert!(!seen.trusted && seen.revisions[0].name == "Windows 11");
    assert!(reader.is_empty().await);

    reader.trusts(&maker).await;
    let imported = reader.import(&file).await.unwrap();
    assert_eq!((imported.signer.as_str(), imported.stored, imported.present), ("maker", 8, 0));
    assert!(imported.revisions[0].new);
    let reference = "OSU00001@1".parse().unwrap();
    assert_eq!(document::of_revision(&reader.home, &reference).await.unwrap(), document);

    let again = reader.import(&file).await.unwrap();
    assert_eq!((again.stored, again.present, again.revisions[0].new), (0, 8, false));
    assert_eq!(reader.home.db.packages().await.unwrap().len(), 1);
    // Nothing is left over, and nothing that is needed is taken for it.
    assert_eq!(reader.home.db.leftovers().await.unwrap().imports, 0);
    reader.home.collect().await.unwrap();
    for piece in document.pieces() {
        assert!(reader.home.library.has(&piece).await.unwrap());
    }
    // Its own packages get other numbers.
    let made = maker.import(&file).await.unwrap();
    assert!(!made.revisions[0].new);
}

async fn a_difference_needs_its_base(database: Database) {
    let (maker, reader) = (Store::new(database).await, Store::new(database).await);
    maker.has(1, &november()).await;
    let (first, full) = maker.bundle("first", "OSU00001@1", &[]).await;
    maker.has(2, &december()).await;
    let (second, difference) = maker.bundle("second", "OSU00001@2", &["OSU00001@1"]).await;
    assert_eq!((difference.pieces, difference.base.as_slice()), (1, &["OSU00001@1".into()][..]));
    assert!(difference.size < full.size / 4);

    reader.trusts(&maker).await;
    let error = reader.import(&second).await.unwrap_err();
    assert!(error.to_string().contains("difference to OSU00001 revision 1"), "{error}");
    assert!(error.advice().is_some_and(|advice| advice.contains("full bundle")), "{error:?}");
    assert!(reader.is_empty().await);

    reader.import(&first).await.unwrap();
    let imported = reader.import(&second).await.unwrap();
    assert_eq!((imported.stored, imported.revisions[0].number), (1, 2));
    let package = reader.home.db.package("OSU00001").await.unwrap();
    assert_eq!((package.revision.number, package.version.as_str()), (2, "2"));
}

/// Makes a point that has the first revision whole.
async fn point_with_first(store: &Store) {
    let settings = Settings::default();
    let point = NewPoint {
        name: "Amsterdam",
        kind: points::model::Kind::Node,
        target: "amsterdam",
        mark: "mark",
        settings: &settings,
    };
    let db = &store.home.db;
    let key = db.insert_point(&point).await.unwrap();
    let wanted = Wanted { number: 1, priority: Default::default() };
    db.assign(&[Place::Point(key)], "OSU00001", wanted).await.unwrap();
    db.settle_point(key).await.unwrap();
    db.set_installed(key, "OSU00001", 1).await.unwrap();
}

async fn a_bundle_for_a_point_leaves_out_what_the_point_has(database: Database) {
    let maker = Store::new(database).await;
    maker.has(1, &november()).await;
    point_with_first(&maker).await;
    maker.has(2, &december()).await;
    let for_point = |name: &str| create::Request {
        for_point: Some(name.into()),
        ..request(maker.path("pointed"), "OSU00001@2")
    };
    let created = maker.call(for_point("amsterdam")).await.unwrap();
    assert_eq!((created.pieces, created.base.as_slice()), (1, &["OSU00001@1".into()][..]));
    assert_eq!(maker.call(for_point("nowhere")).await.unwrap_err().kind(), Kind::NotFound);

    let device = |revision: &str| precache::Request {
        architecture: "x64".into(),
        os_language: "en-US".into(),
        packages: vec![revision.parse().unwrap()],
        ..precache::Request::default()
    };
    let first = maker.call(device("OSU00001@1")).await.unwrap();
    assert_eq!(first.packages[0].locations[0].point, "Amsterdam");
    let second = maker.call(device("OSU00001@2")).await.unwrap();
    assert!(second.packages[0].fetch && second.packages[0].locations.is_empty());
}

async fn a_stale_bundle_is_refused_with_an_offer(database: Database) {
    let (maker, reader) = (Store::new(database).await, Store::new(database).await);
    maker.has(1, &november()).await;
    let (first, _) = maker.bundle("first", "OSU00001@1", &[]).await;
    maker.has(2, &december()).await;
    let (second, _) = maker.bundle("second", "OSU00001@2", &[]).await;
    reader.trusts(&maker).await;
    reader.import(&second).await.unwrap();
    let error = reader.import(&first).await.unwrap_err();
    assert!(error.to_string().contains("stale"), "{error}");
    assert!(error.advice().is_some_and(|advice| advice.contains("--since OSU00001@2")));
    // A store that has gone on with the first finds nothing stale about it.
    maker.import(&first).await.unwrap();
}

async fn packages_of_two_makers_are_never_mixed(database: Database) {
    let (maker, other, reader) =
        (Store::new(database).await, Store::new(database).await, Store::new(database).await);
    maker.has(1, &november()).await;
    other.has(1, &[("other.bin", bytes(9, 100))]).await;
    other.has(2, &[("other.bin", bytes(8, 100))]).await;
    reader.trusts(&maker).await;
    let key = other.call(manage::ShowKey {}).await.unwrap().key.pem();
    reader.call(manage::Add { key, name: "other".into() }).await.unwrap();
    reader.import(&maker.bundle("a", "OSU00001", &[]).await.0).await.unwrap();
    let error = reader.import(&other.bundle("a", "OSU00001@1", &[]).await.0).await.unwrap_err();
    assert!(error.to_string().contains("other contents"), "{error}");
    let error = reader.import(&other.bundle("b", "OSU00001@2", &[]).await.0).await.unwrap_err();
    assert!(error.to_string().contains("cannot be continued"), "{error}");
}

/// Where each frame of an unsealed bundle begins.
fn frames(bundle: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = header::SIZE;
    while at < bundle.len() {
        starts.push(at);
        let length = u32::from_le_bytes(bundle[at + 4..at + 8].try_into().unwrap());
        at += frame::HEAD + length as usize;
    }
    starts
}

async fn cut_and_flipped_bundles_change_nothing(database: Database) {
    let (maker, reader) = (Store::new(database).await, Store::new(database).await);
    maker.has(1, &november()).await;
    let (file, _) = maker.bundle("full", "OSU00001", &[]).await;
    reader.trusts(&maker).await;
    let whole = fs::read(&file).unwrap();
    let bad = reader.path("bad");
    let starts = frames(&whole);
    assert!(starts.len() >= 11, "two of the index, eight pieces, the end");
    let cuts = starts.iter().flat_map(|start| [*start, start + 5, start + frame::HEAD]);
    let cuts = cuts.chain([0, 1, header::SIZE - 1, whole.len() - 1]);
    for cut in cuts.filter(|cut| *cut < whole.len()) {
        fs::write(&bad, &whole[..cut]).unwrap();
        let error = reader.import(&bad).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged, "cut at {cut}: {error}");
    }
    fs::write(&bad, [&whole[..], b"x"].concat()).unwrap();
    assert!(reader.import(&bad).await.is_err(), "something after the end");
    // In each frame: its kind, its length, its checksum, its first byte.
    for at in starts.iter().flat_map(|start| [*start, start + 4, start + 8, start + frame::HEAD]) {
        let mut flipped = whole.clone();
        let Some(byte) = flipped.get_mut(at) else { continue };
        *byte ^= 1;
        fs::write(&bad, flipped).unwrap();
        assert!(reader.import(&bad).await.is_err(), "flipped at {at}");
    }
    assert!(reader.is_empty().await);
    reader.home.collect().await.unwrap();
    reader.import(&file).await.unwrap();
}

/// A bundle of which everything is right but what `change` did to its index before it was signed.
fn forge(
    store: &Store,
    document: &Document,
    payload: &[u8],
    change: impl FnOnce(&mut serde_json::Value),
) -> PathBuf {
    let envelope = trust::sign(&store.home, document::PAYLOAD_TYPE, payload).unwrap();
    let index = Index {
        made_at: Moment(0),
        comment: String::new(),
        documents: vec![(document.clone(), envelope)],
        base: Vec::new(),
        pieces: document.pieces(),
    };
    let mut json: serde_json::Value = serde_json::from_slice(&index.to_bytes().unwrap()).unwrap();
    change(&mut json);
    let signed =
        trust::sign(&store.home, index::PAYLOAD_TYPE, json.to_string().as_bytes()).unwrap();
    put_together(store, &signed, document)
}

fn put_together(store: &Store, signed: &Envelope, document: &Document) -> PathBuf {
    let json = signed.to_json();
    let (header, cipher) = header::make(&header::Lock::Open).unwrap();
    let mut file = header.to_vec();
    let mut frames = frame::FrameWriter::new(&mut file, cipher);
    frames.content(frame::Kind::Index, &(json.len() as u64).to_le_bytes()).unwrap();
    frames.content(frame::Kind::Index, json.as_bytes()).unwrap();
    for piece in document.pieces() {
        frames.content(frame::Kind::Data, &vec![0; piece.size as usize]).unwrap();
    }
    frames.end().unwrap();
    let path = store.path("forged");
    fs::write(&path, file).unwrap();
    path
}

async fn forged_indexes_and_pieces_are_refused(database: Database) {
    let (maker, reader) = (Store::new(database).await, Store::new(database).await);
    reader.trusts(&maker).await;
    let document = document(1, &november());
    let payload = document.to_bytes().unwrap();
    let mut said = Vec::new();
    let mut refused = async |file: PathBuf| {
        said.push(reader.import(&file).await.unwrap_err().to_string());
    };
    // The pieces are zeros, so even the right index is refused: at the first piece.
    refused(forge(&maker, &document, &payload, |_| {})).await;
    refused(forge(&maker, &document, &payload, |index| index["format"] = "x".into())).await;
    refused(forge(&maker, &document, &payload, |index| index["documents"] = [(); 0].into())).await;
    refused(forge(&maker, &document, &payload, |index| {
        let twice = index["documents"][0].clone();
        index["documents"].as_array_mut().unwrap().push(twice);
    }))
    .await;
    refused(forge(&maker, &document, &payload, |index| {
        let twice = index["pieces"][0].clone();
        index["pieces"].as_array_mut().unwrap().push(twice);
    }))
    .await;
    refused(forge(&maker, &document, &payload, |index| index["pieces"][0][1] = u64::MAX.into()))
        .await;
    // A revision whose paths leave the tree, signed by a key that is trusted.
    let escape = String::from_utf8(payload.clone()).unwrap().replace("setup.exe", "../../evil");
    refused(forge(&maker, &document, escape.as_bytes(), |_| {})).await;
    // An index that is right, signed as something else; and by somebody else.
    let other = trust::sign(&maker.home, "application/vnd.osupg.test", b"{}").unwrap();
    refused(put_together(&maker, &other, &document)).await;
    let stranger = Store::new(database).await;
    refused(forge(&stranger, &document, &payload, |_| {})).await;
    let expected = [
        "other contents than its index says",
        "its format",
        "0 revisions",
        "twice",
        "twice",
        "another size",
        "the path",
        "of the kind",
        "not trusted here",
    ];
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(reader.is_empty().await);
}

async fn lengths_beyond_the_file_take_no_memory(database: Database) {
    let store = Store::new(database).await;
    for length in [u64::MAX, index::MAX_BYTES + 1, 1 << 20] {
        let (header, cipher) = header::make(&header::Lock::Open).unwrap();
        let mut file = header.to_vec();
        let mut frames = frame::FrameWriter::new(&mut file, cipher);
        frames.content(frame::Kind::Index, &length.to_le_bytes()).unwrap();
        frames.end().unwrap();
        let path = store.path("long");
        fs::write(&path, file).unwrap();
        let error = store.import(&path).await.unwrap_err();
        assert!(error.to_string().contains("announces an index"), "{error}");
    }
}

async fn locked_bundles_open_for_whom_they_were_made(database: Database) {
    let (maker, reader) = (Store::new(database).await, Store::new(database).await);
    maker.has(1, &november()).await;
    reader.trusts(&maker).await;
    let key = reader.call(manage::ShowKey {}).await.unwrap().key.pem();
    maker.call(manage::Add { key, name: "reader".into() }).await.unwrap();
    let (phrase, wrong) = (maker.path("phrase"), maker.path("wrong"));
    fs::write(&phrase, "correct horse battery\nsecond line").unwrap();
    fs::write(&wrong, "incorrect horse").unwrap();

    let by_phrase = create::Request {
        passphrase_file: Some(phrase.clone()),
        ..request(maker.path("phrased"), "OSU00001")
    };
    assert!(maker.call(by_phrase.clone()).await.unwrap().locked);
    let file = by_phrase.file;
    assert!(reader.import(&file).await.unwrap_err().to_string().contains("passphrase"));
    let with = |passphrase: &PathBuf| import::Request {
        file: file.clone(),
        passphrase_file: Some(passphrase.clone()),
    };
    assert!(reader.call(with(&wrong)).await.unwrap_err().to_string().contains("not the one"));
    reader.call(with(&phrase)).await.unwrap();
    let plain: Vec<u8> = bytes(2, 40);
    let sealed = fs::read(&file).unwrap();
    assert!(!sealed.windows(plain.len()).any(|part| part == plain), "contents show through");

    let to_key = create::Request {
        encrypt_to: Some("reader".into()),
        ..request(maker.path("addressed"), "OSU00001")
    };
    maker.call(to_key.clone()).await.unwrap();
    assert!(!reader.import(&to_key.file).await.unwrap().revisions[0].new);
    let error = maker.import(&to_key.file).await.unwrap_err();
    assert!(error.to_string().contains("locked to key"), "{error}");

    for bad in [
        create::Request {
            encrypt_to: Some("nobody".into()),
            ..request(maker.path("x"), "OSU00001")
        },
        create::Request { encrypt_to: Some("reader".into()), ..by_phrase_of(&maker, &phrase) },
        by_phrase_of(&maker, &maker.path("missing")),
    ] {
        assert!(maker.call(bad).await.is_err());
    }
}

fn by_phrase_of(maker: &Store, phrase: &std::path::Path) -> create::Request {
    create::Request { passphrase_file: Some(phrase.into()), ..request(maker.path("x"), "OSU00001") }
}

/// Cancels after so many bytes.
struct Impatient {
    left: AtomicU64,
    cancel: Cancel,
}

impl Progress for Impatient {
    fn advance(&self, bytes: u64) {
        let left = self.left.load(Ordering::Relaxed).saturating_sub(bytes);
        self.left.store(left, Ordering::Relaxed);
        if left == 0 {
            self.cancel.cancel();
        }
    }
}

async fn an_import_that_was_stopped_goes_on(database: Database) {
    let (maker, reader) = (Store::new(database).await, Store::new(database).await);
    maker.has(1, &november()).await;
    let (file, _) = maker.bundle("full", "OSU00001", &[]).await;
    reader.trusts(&maker).await;
    let cancel = Cancel::new();
    let impatient = Impatient { left: AtomicU64::new(700_000), cancel: cancel.clone() };
    let request = import::Request { file: file.clone(), passphrase_file: None };
    let stopped = request.run(&reader.home, Watch { progress: &impatient, cancel: &cancel }).await;
    assert_eq!(stopped.unwrap_err().kind(), Kind::Cancelled);
    assert!(reader.is_empty().await);
    let imported = reader.import(&file).await.unwrap();
    assert_eq!((imported.present, imported.stored), (3, 5));
}

async fn no_other_file_is_replaced(database: Database) {
    let maker = Store::new(database).await;
    maker.has(1, &november()).await;
    let precious = maker.path("precious");
    fs::write(&precious, "not a bundle").unwrap();
    let error: Error = maker.call(request(precious.clone(), "OSU00001")).await.unwrap_err();
    assert!(error.to_string().contains("no bundle"), "{error}");
    assert_eq!(fs::read(&precious).unwrap(), b"not a bundle");
    let (file, first) = maker.bundle("again", "OSU00001", &[]).await;
    let (_, second) = maker.bundle("again", "OSU00001", &[]).await;
    assert_eq!(first.size, second.size);
    assert!(fs::metadata(file).unwrap().len() == second.size);
    assert!(maker.call(request(maker.path("no/where"), "OSU00001")).await.is_err());
    assert!(maker.call(request(maker.path("y"), "OSU00009")).await.is_err());
    assert_eq!(cipher::TAG, 16);
}

/// A small bundle and its index, as bytes.
fn small() -> (Vec<u8>, Vec<u8>) {
    let document = document(1, &[("a.txt", b"some text".to_vec())]);
    let key = trust::key::PrivateKey::generate().unwrap();
    let sign = |kind: &str, payload: &[u8]| Envelope::sign(kind, payload, &[&key]);
    let envelope = sign(document::PAYLOAD_TYPE, &document.to_bytes().unwrap());
    let index = Index {
        made_at: Moment(0),
        comment: String::new(),
        pieces: document.pieces(),
        documents: vec![(document, envelope)],
        base: Vec::new(),
    };
    let payload = index.to_bytes().unwrap();
    let json = sign(index::PAYLOAD_TYPE, &payload).to_json();
    let (header, cipher) = header::make(&header::Lock::Open).unwrap();
    let mut file = header.to_vec();
    let mut frames = frame::FrameWriter::new(&mut file, cipher);
    frames.content(frame::Kind::Index, &(json.len() as u64).to_le_bytes()).unwrap();
    frames.content(frame::Kind::Index, json.as_bytes()).unwrap();
    frames.content(frame::Kind::Data, b"some text").unwrap();
    frames.end().unwrap();
    (file, payload)
}

/// Reads a bundle as far as it goes without a store.
fn parse(bytes: &[u8]) -> Result<()> {
    let mut from = std::io::Cursor::new(bytes);
    header::read(&mut from)?;
    let mut frames = frame::FrameReader::new(from, cipher::Cipher::none());
    let length = frames.content(frame::Kind::Index, 8)?;
    let length = u64::from_le_bytes(length.try_into().unwrap()).min(bytes.len() as u64);
    let json = frames.content(frame::Kind::Index, length as usize)?;
    let index = Index::read(Envelope::from_json(&json)?.payload(), None)?;
    for piece in &index.pieces {
        frames.content(frame::Kind::Data, piece.size as usize)?;
    }
    frames.end()
}

#[test]
fn no_bytes_of_a_bundle_make_its_reader_panic() {
    let (file, payload) = small();
    parse(&file).unwrap();
    proptest!(|(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in 0..40_usize)| {
        let mut bytes = file.clone();
        bytes[at.index(file.len())] = with;
        bytes.truncate(file.len() - cut);
        let _ = parse(&bytes);
        let mut bytes = payload.clone();
        bytes[at.index(payload.len())] = with;
        bytes.truncate(payload.len() - cut);
        let _ = Index::read(&bytes, None);
    });
}

on_both!(
    a_full_bundle_brings_a_package_once,
    a_difference_needs_its_base,
    a_bundle_for_a_point_leaves_out_what_the_point_has,
    a_stale_bundle_is_refused_with_an_offer,
    packages_of_two_makers_are_never_mixed,
    cut_and_flipped_bundles_change_nothing,
    forged_indexes_and_pieces_are_refused,
    lengths_beyond_the_file_take_no_memory,
    locked_bundles_open_for_whom_they_were_made,
    an_import_that_was_stopped_goes_on,
    no_other_file_is_replaced
);
