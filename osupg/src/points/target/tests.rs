//! What every kind of target must do, tried on each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use wim_extract::Cancel;

use super::folder::Folder;
use super::objects::Objects;
use super::*;
use crate::media::path::MediaPath;
use crate::package::document::{Document, Facts, PAYLOAD_TYPE};
use crate::package::manifest;
use crate::package::model::{Content, Entry, Origin, Stated};
use crate::points::feed::{Feed, Rules};
use crate::progress::{Progress, Silent, Watch};
use crate::store::Library;
use crate::time::FileTime;
use crate::trust::Envelope;
use crate::trust::key::PrivateKey;

const PIECE: usize = 10_000;
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A library with revisions to send.
pub(crate) struct Bench {
    pub folder: tempfile::TempDir,
    pub library: Library,
    key: PrivateKey,
}

/// Bytes that look like no others.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(len)
    .collect()
}

pub(crate) type Files = BTreeMap<&'static str, Vec<u8>>;

/// Media in miniature.
pub(crate) fn media() -> Files {
    BTreeMap::from([
        ("bootmgr", noise(12_345, 1)),
        ("efi/boot/bootx64.efi", noise(30_000, 2)),
        ("empty.txt", Vec::new()),
        ("setup.exe", noise(25_000, 3)),
        ("sources/install.wim", noise(1_000_000, 4)),
        ("twin.efi", noise(30_000, 2)),
    ])
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::local(&folder.path().join("library")).unwrap();
        Self { folder, library, key: PrivateKey::generate().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// A signed revision with these files, whose pieces are in the library.
    pub(crate) async fn revision(&self, id: &str, number: i64, files: &Files) -> Signed {
        let modified = FileTime { seconds: 1_700_000_000, nanos: 123_456_700 };
        let mut entries = BTreeMap::new();
        for (path, bytes) in files {
            let path = MediaPath::new(path).unwrap();
            let mut above = path.parent();
            while let Some(folder) = above {
                above = folder.parent();
                entries.insert(folder.clone(), Entry { path: folder, modified, content: None });
            }
            let mut pieces = Vec::new();
            for part in bytes.chunks(PIECE) {
                let piece =
                    Piece { id: crate::store::layout::ObjectId::of(part), size: part.len() as u64 };
                self.library.put(&piece.id, &Bytes::copy_from_slice(part)).await.unwrap();
                pieces.push(piece);
            }
            let content =
                Content { size: bytes.len() as u64, sha256: Sha256::digest(bytes).into(), pieces };
            entries.insert(path.clone(), Entry { path, modified, content: Some(content) });
        }
        let entries: Vec<Entry> = entries.into_values().collect();
        let stated = |value: &str| Stated { value: value.into(), by: Origin::Image };
        let document = Document {
            package: Facts {
                id: id.into(),
                name: format!("Package {id}"),
                version: String::new(),
                comment: String::new(),
                architecture: stated("x64"),
                language: stated("en-US"),
            },
            number,
            digest: manifest::digest(modified, &entries),
            root_modified: modified,
            editions: String::new(),
            builds: String::new(),
            entries,
        };
        let bytes = document.to_bytes().unwrap();
        let document = Document::read(&bytes).unwrap();
        Signed {
            document,
            envelope: Envelope::sign(PAYLOAD_TYPE, &bytes, &[&self.key]),
            near: Vec::new(),
        }
    }

    /// Installs, and says how many bytes travelled.
    pub(crate) async fn install(&self, target: &dyn Target, signed: &Signed, depth: Depth) -> u64 {
        let rules = Rules::none();
        let cancel = Cancel::new();
        let watch = Watch { progress: &Silent, cancel: &cancel };
        let feed = Feed::new(&self.library, &rules, watch);
        let done = target.install(signed, depth, &feed).await.unwrap();
        assert_eq!(done.sent, feed.sent());
        done.sent
    }

    pub(crate) async fn flaws(&self, target: &dyn Target, signed: &Signed) -> Vec<String> {
        let rules = Rules::none();
        let cancel = Cancel::new();
        let watch = Watch { progress: &Silent, cancel: &cancel };
        let feed = Feed::new(&self.library, &rules, watch);
        let flaws = target.verify(&signed.document, &feed).await.unwrap();
        flaws.into_iter().map(|flaw| format!("{} {}", flaw.path, flaw.what)).collect()
    }

    pub(crate) async fn remove(&self, target: &dyn Target, package: &str) {
        let rules = Rules::none();
        let cancel = Cancel::new();
        let watch = Watch { progress: &Silent, cancel: &cancel };
        let feed = Feed::new(&self.library, &rules, watch);
        target.remove(package, &feed).await.unwrap();
        target.tidy(&feed).await.unwrap();
    }
}

fn memory(store: &Arc<InMemory>) -> crate::store::place::Place {
    crate::store::place::Place { store: Arc::clone(store) as Arc<dyn ObjectStore>, folder: None }
}

/// A target of each kind, with a way to look at what it holds and to spoil it.
enum Place {
    Folder(Folder, PathBuf),
    Objects(Objects, Arc<InMemory>),
}

impl Place {
    fn each(bench: &Bench) -> [Self; 2] {
        let root = bench.path("point");
        let store = Arc::new(InMemory::new());
        [
            Self::Folder(Folder::new(&root, TIMEOUT), root),
            Self::Objects(Objects::new(memory(&store), "memory://", TIMEOUT), store),
        ]
    }

    fn target(&self) -> &dyn Target {
        match self {
            Self::Folder(folder, _) => folder,
            Self::Objects(objects, _) => objects,
        }
    }

    /// Changes a byte of the third piece of install.wim.
    async fn spoil(&self, signed: &Signed) {
        let path = "sources/install.wim";
        match self {
            Self::Folder(folder, _) => {
                let file = folder.tree(&signed.document.package.id).join(path);
                let mut bytes = std::fs::read(&file).unwrap();
                bytes[2 * PIECE + 5] ^= 1;
                // As a bad disk does it: the file stays the same one, with the same time.
                let time = std::fs::metadata(&file).unwrap().modified().unwrap();
                std::fs::write(&file, bytes).unwrap();
                let file = std::fs::File::options().write(true).open(&file).unwrap();
                file.set_modified(time).unwrap();
            }
            Self::Objects(_, store) => {
                let mut files = signed.document.files();
                let (_, content) = files.find(|(entry, _)| entry.path.is(path)).unwrap();
                let at = content.pieces[2].id.location();
                let wrong = vec![7; usize::try_from(content.pieces[2].size).unwrap()];
                store.put(&at, PutPayload::from(wrong)).await.unwrap();
            }
        }
    }

    /// Everything that is left there.
    async fn names(&self) -> Vec<String> {
        use futures_util::TryStreamExt;
        match self {
            Self::Folder(_, root) => names(root),
            Self::Objects(_, store) => {
                let all: Vec<_> = store.list(None).try_collect().await.unwrap();
                all.into_iter().map(|meta| meta.location.to_string()).collect()
            }
        }
    }
}

/// Relative paths of everything below a folder, sorted.
pub(crate) fn names(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            }
            found.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_string());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_revision_arrives_whole_and_travels_once() {
    let bench = Bench::new();
    for place in Place::each(&bench) {
        let target = place.target();
        let signed = bench.revision("OSU00001", 1, &media()).await;
        let plan = target.plan(&signed).await.unwrap();
        // twin.efi is another file's content, and travels with it.
        assert_eq!((plan.total, plan.send), (1_097_345, 1_067_345));
        assert_eq!(bench.install(target, &signed, Depth::Usual).await, plan.send);
        assert_eq!(bench.flaws(target, &signed).await, [""; 0]);
        assert_eq!(target.list().await.unwrap(), ["OSU00001"]);
        let held = target.document("OSU00001").await.unwrap().unwrap();
        assert_eq!(held, signed.envelope);

        let again = target.plan(&signed).await.unwrap();
        assert_eq!((again.send, again.present), (0, again.total));
        for depth in [Depth::Usual, Depth::EveryByte] {
            assert_eq!(bench.install(target, &signed, depth).await, 0);
        }
        let piece = signed.document.pieces()[4];
        let bytes = target.piece("OSU00001", &piece).await.unwrap().unwrap();
        assert_eq!(bytes.len() as u64, piece.size);
        let strange = Piece { id: crate::store::layout::ObjectId::of(b"?"), size: 1 };
        assert_eq!(target.piece("OSU00001", &strange).await.unwrap(), None);
    }
}

#[tokio::test]
async fn of_a_new_revision_only_what_changed_travels() {
    let bench = Bench::new();
    for place in Place::each(&bench) {
        let target = place.target();
        let first = bench.revision("OSU00001", 1, &media()).await;
        bench.install(target, &first, Depth::Usual).await;
        let mut files = media();
        // 5 % of the image, at two places; one file goes, one comes, one moves.
        let image = files.get_mut("sources/install.wim").unwrap();
        image[100_000..130_000].copy_from_slice(&noise(30_000, 50));
        image[700_000..720_000].copy_from_slice(&noise(20_000, 51));
        let boot = files.remove("bootmgr").unwrap();
        files.insert("boot/bootmgr", boot);
        files.insert("new.txt", noise(100, 52));
        let second = bench.revision("OSU00001", 2, &files).await;
        let planned = target.plan(&second).await.unwrap().send;
        let sent = bench.install(target, &second, Depth::Usual).await;
        assert_eq!(planned, sent);
        assert_eq!(sent, 50_100, "the changed pieces and the new file");
        assert_eq!(bench.flaws(target, &second).await, [""; 0]);
        // Back again: what the point no longer has travels, and nothing else.
        let back = bench.install(target, &first, Depth::Usual).await;
        assert!(back <= 50_000, "{back}");
        assert_eq!(bench.flaws(target, &first).await, [""; 0]);
    }
}

#[tokio::test]
async fn what_another_package_has_there_does_not_travel_and_stays_when_one_leaves() {
    let bench = Bench::new();
    for place in Place::each(&bench) {
        let target = place.target();
        let mark = target.claim().await.unwrap();
        assert_eq!(target.claim().await.unwrap(), mark, "a mark is kept");
        let first = bench.revision("OSU00001", 1, &media()).await;
        bench.install(target, &first, Depth::Usual).await;
        let mut files = media();
        files.insert("setup.exe", noise(25_000, 60));
        let mut other = bench.revision("OSU00002", 1, &files).await;
        other.near = vec!["OSU00001".into()];
        assert_eq!(bench.install(target, &other, Depth::Usual).await, 25_000);
        assert_eq!(bench.flaws(target, &other).await, [""; 0]);

        bench.remove(target, "OSU00001").await;
        assert_eq!(bench.flaws(target, &other).await, [""; 0]);
        assert_eq!(bench.flaws(target, &first).await, [" nothing of the package is at the point"]);
        bench.remove(target, "OSU00002").await;
        bench.remove(target, "OSU00002").await;
        assert!(target.check_mark(&mark).await.is_ok());
        assert!(target.check_mark("another").await.is_err());
        target.unclaim().await.unwrap();
        assert!(target.check_mark(&mark).await.is_err());
        assert_eq!(place.names().await, [""; 0], "nothing is left behind");
    }
}

#[tokio::test]
async fn damage_is_named_and_only_what_is_bad_travels_again() {
    let bench = Bench::new();
    for place in Place::each(&bench) {
        let target = place.target();
        let signed = bench.revision("OSU00001", 1, &media()).await;
        bench.install(target, &signed, Depth::Usual).await;
        place.spoil(&signed).await;
        let flaws = bench.flaws(target, &signed).await;
        assert_eq!(flaws.len(), 1, "{flaws:?}");
        assert!(flaws[0].starts_with("sources/install.wim "), "{flaws:?}");
        assert_eq!(bench.install(target, &signed, Depth::EveryByte).await, PIECE as u64);
        assert_eq!(bench.flaws(target, &signed).await, [""; 0]);
    }
}

/// Cancels when so many bytes have gone.
struct CutOff {
    left: AtomicU64,
    cancel: Cancel,
}

impl Progress for CutOff {
    fn advance(&self, bytes: u64) {
        let left = self.left.load(Ordering::Relaxed).saturating_sub(bytes);
        self.left.store(left, Ordering::Relaxed);
        if left == 0 {
            self.cancel.cancel();
        }
    }
}

#[tokio::test]
async fn a_transfer_that_was_cut_off_goes_on_where_it_was() {
    let bench = Bench::new();
    for place in Place::each(&bench) {
        let target = place.target();
        let signed = bench.revision("OSU00001", 1, &media()).await;
        let mut sent = 0;
        for round in 0..100 {
            let rules = Rules::none();
            let cancel = Cancel::new();
            let cut = CutOff { left: AtomicU64::new(150_000), cancel: cancel.clone() };
            let watch = Watch { progress: &cut, cancel: &cancel };
            let feed = Feed::new(&bench.library, &rules, watch);
            let done = target.install(&signed, Depth::Usual, &feed).await;
            sent += feed.sent();
            assert!(target.list().await.unwrap().is_empty() || done.is_ok());
            if done.is_ok() {
                assert!(round > 3, "it was cut off now and then");
                break;
            }
        }
        // What was in the pipe when it was cut may have been counted without arriving.
        assert!((1_067_345..1_067_345 + 800_000).contains(&sent), "{sent}");
        assert_eq!(bench.flaws(target, &signed).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_behind_a_server_is_a_point_like_any_other() {
    use crate::store::{place, tests};
    let bench = Bench::new();
    let means = tests::s3(tests::serve(&bench.path("s3")).await);
    let place = place::Place::open("s3://library/point", &means).unwrap();
    let target = Objects::new(place, "s3://library/point", TIMEOUT);
    let mark = target.claim().await.unwrap();
    target.check_mark(&mark).await.unwrap();
    let first = bench.revision("OSU00001", 1, &media()).await;
    assert_eq!(bench.install(&target, &first, Depth::Usual).await, 1_067_345);
    let mut files = media();
    files.insert("setup.exe", noise(25_000, 90));
    let second = bench.revision("OSU00001", 2, &files).await;
    assert_eq!(bench.install(&target, &second, Depth::Usual).await, 25_000);
    assert_eq!(bench.flaws(&target, &second).await, [""; 0]);
    bench.remove(&target, "OSU00001").await;
    target.unclaim().await.unwrap();
    assert_eq!(target.list().await.unwrap(), [""; 0]);
    let left = names(&bench.path("s3/library"));
    let files = left.iter().filter(|name| bench.path("s3").join("library").join(name).is_file());
    // The server keeps notes of its own beside the objects.
    assert!(files.clone().all(|name| name.contains(".bucket-")), "{:?}", files.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_half_written_in_a_folder_goes() {
    use crate::store::place;
    let bench = Bench::new();
    let root = bench.path("objects");
    let target = Objects::new(place::Place::folder(&root).unwrap(), "file:///objects", TIMEOUT);
    target.claim().await.unwrap();
    let first = bench.revision("OSU00001", 1, &media()).await;
    bench.install(&target, &first, Depth::Usual).await;
    let before = names(&root);
    let piece = first.document.pieces()[0].id.location();
    let left = [
        format!("{piece}#1"),
        "revisions/OSU00001.json#2".into(),
        "next/OSU00002.json#1".into(),
        "point.json#1".into(),
    ];
    // What osupg did not write stays.
    let others = ["revisions/notes#1", "mine#1"];
    for name in left.iter().map(String::as_str).chain(others) {
        std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        std::fs::write(root.join(name), "half").unwrap();
    }
    bench.remove(&target, "OSU00002").await;
    let after = names(&root);
    for name in &left {
        assert!(!root.join(name).exists(), "{name}");
    }
    for name in others {
        assert!(root.join(name).exists(), "{name}");
    }
    assert!(before.iter().all(|name| after.contains(name)), "{before:?} {after:?}");
    assert_eq!(bench.flaws(&target, &first).await, [""; 0]);
}
