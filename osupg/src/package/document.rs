//! A revision as it travels: everything a stranger needs to rebuild it and to know that it is right.
//!
//! ```json
//! {"format": "osupg-revision 1",
//!  "package": {"id": "OSU00001", "name": "…", "version": "…", "comment": "…",
//!              "architecture": {"value": "x64", "by": "image"}, "language": {…}},
//!  "number": 3, "digest": "<SHA-256>", "root": [seconds, nanoseconds],
//!  "editions": "…", "builds": "…",
//!  "entries": [{"path": "sources", "time": [s, ns]},
//!              {"path": "sources/a", "time": [s, ns], "size": 5, "sha256": "…",
//!               "pieces": [["<BLAKE3>", 5]]}]}
//! ```
//!
//! Times are seconds since 1970 UTC and nanoseconds, so that none loses its fraction. `digest` is
//! that of [`manifest`]. The document says nothing about who made it: it travels in an envelope that
//! is signed as [`PAYLOAD_TYPE`].

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Content, Entry, Package, Stated};
use super::reference::Reference;
use super::{check_digest, fields, manifest};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::path::MediaPath;
use crate::operation::{Operation, Right};
use crate::progress::Watch;
use crate::store::cut::MAX_PIECE;
use crate::store::layout::{ObjectId, Piece};
use crate::text;
use crate::time::FileTime;
use crate::trust::{self, Envelope, TrustList};

/// What a signed document is signed as.
pub const PAYLOAD_TYPE: &str = "application/vnd.osupg.revision+json";
/// The longest document that is read. One of 5 GB of media in a thousand files has some 0.5 MB.
pub const MAX_BYTES: usize = 256 << 20;
/// The longest signed document that is read: base64 makes four bytes of three.
pub const MAX_SIGNED_BYTES: usize = MAX_BYTES / 3 * 4 + (64 << 10);

const FORMAT: &str = "osupg-revision 1";
/// Characters that the lists of editions and builds may have.
const MAX_LIST: usize = 4000;

/// A revision, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Whose revision it is.
    pub package: Facts,
    /// Its number, from 1.
    pub number: i64,
    /// Its digest; what `entries` and `root_modified` give.
    pub digest: [u8; 32],
    /// The time of the media's top folder.
    pub root_modified: FileTime,
    /// The editions in its install WIM, separated by commas.
    pub editions: String,
    /// Their builds.
    pub builds: String,
    /// Folders and files, ordered by path, each after the folder that it is in.
    pub entries: Vec<Entry>,
}

/// What a document says about its package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Site code and number.
    pub id: String,
    /// The name.
    pub name: String,
    /// The organisation's version.
    pub version: String,
    /// A comment.
    pub comment: String,
    /// The processor architecture.
    pub architecture: Stated,
    /// The languages.
    pub language: Stated,
}

/// A time without loss.
type Time = (i64, u32);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: String,
    package: Facts,
    number: i64,
    #[serde(with = "text::as_hex")]
    digest: [u8; 32],
    root: Time,
    editions: String,
    builds: String,
    entries: Vec<WireEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    path: MediaPath,
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sha256: Option<Hash>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pieces: Option<Vec<(Hash, u64)>>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
struct Hash(#[serde(with = "text::as_hex")] [u8; 32]);

impl Document {
    /// The document of a package's revision with these entries.
    #[must_use]
    pub fn of(package: &Package, entries: Vec<Entry>) -> Self {
        Self {
            package: Facts {
                id: package.id.clone(),
                name: package.name.clone(),
                version: package.version.clone(),
                comment: package.comment.clone(),
                architecture: package.architecture.clone(),
                language: package.language.clone(),
            },
            number: package.revision.number,
            digest: package.revision.digest,
            root_modified: package.revision.root_modified,
            editions: package.revision.editions.clone(),
            builds: package.revision.builds.clone(),
            entries,
        }
    }

    /// The canonical bytes: equal documents have equal ones.
    ///
    /// # Errors
    /// When it is longer than [`MAX_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let wire = Wire {
            format: FORMAT.into(),
            package: self.package.clone(),
            number: self.number,
            digest: self.digest,
            root: (self.root_modified.seconds, self.root_modified.nanos),
            editions: self.editions.clone(),
            builds: self.builds.clone(),
            entries: self.entries.iter().map(WireEntry::of).collect(),
        };
        let bytes = serde_json::to_vec(&wire)
            .map_err(|error| Error::io(format!("a revision cannot be written: {error}")))?;
        if bytes.len() > MAX_BYTES {
            return Err(Error::usage(format!(
                "{} revision {} takes a document of {}; {} is the most",
                self.package.id,
                self.number,
                text::size(bytes.len() as u64),
                text::size(MAX_BYTES as u64)
            )));
        }
        Ok(bytes)
    }

    /// Reads a document of whatever origin. What comes back is safe to write to a disk and agrees
    /// with itself: its digest, sizes and order are right, its paths stay inside the tree, no two
    /// of them are one to Windows, and every file is in a folder that comes before it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_BYTES {
            return Err(bad(format!("it is longer than {}", text::size(MAX_BYTES as u64))));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if wire.format != FORMAT {
            let found = text::clean(&wire.format).into_owned();
            return Err(bad(format!("its format is {found:?} instead of {FORMAT:?}"))
                .advise("a newer osupg made it: use that version or a later one"));
        }
        wire.package.check()?;
        if wire.number < 1 {
            return Err(bad(format!("its revision number is {}", wire.number)));
        }
        for list in [&wire.editions, &wire.builds] {
            if list.len() > MAX_LIST || list.chars().any(char::is_control) {
                return Err(bad("its lists of editions or builds are not such"));
            }
        }
        let entries = wire.entries.into_iter().map(WireEntry::entry).collect::<Result<Vec<_>>>()?;
        check_tree(&entries)?;
        check_contents(&entries)?;
        let root_modified = time(wire.root)?;
        if manifest::digest(root_modified, &entries) != wire.digest {
            return Err(bad("its digest is not that of its entries"));
        }
        Ok(Self {
            package: wire.package,
            number: wire.number,
            digest: wire.digest,
            root_modified,
            editions: wire.editions,
            builds: wire.builds,
            entries,
        })
    }

    /// Reads a signed document.
    ///
    /// # Errors
    /// When nobody on the list has signed it, or it is none.
    pub fn open(envelope: &Envelope, trusted: &TrustList) -> Result<Self> {
        Self::read(&trust::open(envelope, trusted, PAYLOAD_TYPE)?)
    }

    /// The files with their contents.
    pub fn files(&self) -> impl Iterator<Item = (&Entry, &Content)> {
        self.entries.iter().filter_map(|entry| Some((entry, entry.content.as_ref()?)))
    }

    /// Each content once, however many files have it, in the order of the files.
    #[must_use]
    pub fn contents(&self) -> Vec<&Content> {
        let mut seen = HashSet::new();
        self.files().map(|(_, content)| content).filter(|one| seen.insert(one.sha256)).collect()
    }

    /// Each piece once, in the order of the files.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        let mut seen = HashSet::new();
        let all = self.files().flat_map(|(_, content)| &content.pieces).copied();
        all.filter(|piece| seen.insert(piece.id)).collect()
    }

    /// The sum of the sizes of all files.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.files().map(|(_, content)| content.size).sum()
    }
}

/// The document of a revision in this store.
///
/// # Errors
/// When there is no such revision, or the database holds another manifest than was stored.
pub async fn of_revision(home: &Home, reference: &Reference) -> Result<Document> {
    let package = home.db.package_at(reference).await?;
    let entries = home.db.entries(package.revision.key).await?;
    check_digest(&package, &entries)?;
    Ok(Document::of(&package, entries))
}

/// Signs a document with the store's key.
///
/// # Errors
/// When the key cannot be read or made.
pub async fn sign(home: &Home, document: &Document) -> Result<Envelope> {
    let (home, bytes) = (home.clone(), document.to_bytes()?);
    tokio::task::spawn_blocking(move || trust::sign(&home, PAYLOAD_TYPE, &bytes)).await?
}

/// Asks for the signed document of a revision, as those who fetch it do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The revision.
    pub package: Reference,
}

impl Operation for Request {
    type Outcome = Envelope;
    const NAME: &'static str = "package.document";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Envelope> {
        let document = of_revision(home, &self.package).await?;
        sign(home, &document).await
    }
}

fn bad(what: impl std::fmt::Display) -> Error {
    Error::damaged(format!("this is no document of a revision: {what}"))
}

fn time((seconds, nanos): Time) -> Result<FileTime> {
    if nanos >= 1_000_000_000 {
        return Err(bad(format!("a time in it has {nanos} nanoseconds")));
    }
    Ok(FileTime { seconds, nanos })
}

impl Facts {
    fn check(&self) -> Result<()> {
        let wrong = |error: Error| bad(error);
        if !is_package_id(&self.id) {
            let shown = text::clean(&self.id).into_owned();
            return Err(bad(format!("{shown:?} is no package id")));
        }
        let same = |field: &str, given: &str, kept: String| {
            if kept == given { Ok(()) } else { Err(bad(format!("its {field} is not as kept"))) }
        };
        same("name", &self.name, fields::name(&self.name).map_err(wrong)?)?;
        same("version", &self.version, fields::version(&self.version).map_err(wrong)?)?;
        same("comment", &self.comment, fields::comment(&self.comment).map_err(wrong)?)?;
        // What images say is kept as they say it; it only has to be a short line.
        for stated in [&self.architecture.value, &self.language.value] {
            if stated.len() > MAX_LIST || stated.chars().any(char::is_control) {
                return Err(bad("its architecture or language is not such"));
            }
        }
        Ok(())
    }
}

/// Whether `id` has the form of a package id: three capitals or digits, then five digits. Such an
/// id is safe as the name of a folder.
#[must_use]
pub fn is_package_id(id: &str) -> bool {
    let (site, number) = id.as_bytes().split_at(id.len().min(3));
    id.len() == 8
        && site.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && number.iter().all(u8::is_ascii_digit)
}

impl WireEntry {
    fn of(entry: &Entry) -> Self {
        let content = entry.content.as_ref();
        Self {
            path: entry.path.clone(),
            time: (entry.modified.seconds, entry.modified.nanos),
            size: content.map(|content| content.size),
            sha256: content.map(|content| Hash(content.sha256)),
            pieces: content.map(|content| {
                content.pieces.iter().map(|piece| (Hash(piece.id.0), piece.size)).collect()
            }),
        }
    }

    fn entry(self) -> Result<Entry> {
        let content = match (self.size, self.sha256, self.pieces) {
            (None, None, None) => None,
            (Some(size), Some(sha256), Some(pieces)) => {
                let pieces: Vec<_> = pieces
                    .into_iter()
                    .map(|(id, size)| Piece { id: ObjectId(id.0), size })
                    .collect();
                Some(Content { size, sha256: sha256.0, pieces })
            }
            _ => {
                return Err(bad(format!("{} has only some of size, sha256 and pieces", self.path)));
            }
        };
        Ok(Entry { path: self.path, modified: time(self.time)?, content })
    }
}

/// Order, folders and names that Windows takes for one.
fn check_tree(entries: &[Entry]) -> Result<()> {
    let mut folders: HashSet<&str> = HashSet::new();
    let mut names: HashSet<String> = HashSet::with_capacity(entries.len());
    let mut before: Option<&MediaPath> = None;
    for entry in entries {
        if before.is_some_and(|before| *before >= entry.path) {
            return Err(bad(format!("{} is out of order or there twice", entry.path)));
        }
        before = Some(&entry.path);
        if !names.insert(entry.path.folded()) {
            return Err(bad(format!("{} is another name in it to Windows", entry.path)));
        }
        let parent = entry.path.as_str().rsplit_once('/').map(|(parent, _)| parent);
        if parent.is_some_and(|parent| !folders.contains(parent)) {
            return Err(bad(format!("{} is in no folder of it", entry.path)));
        }
        if entry.content.is_none() {
            folders.insert(entry.path.as_str());
        }
    }
    Ok(())
}

/// Sizes: of pieces, of files, and of the same hash in two places.
fn check_contents(entries: &[Entry]) -> Result<()> {
    let mut pieces: HashMap<ObjectId, u64> = HashMap::new();
    let mut contents: HashMap<[u8; 32], &Content> = HashMap::new();
    let mut total = 0_u64;
    for entry in entries {
        let Some(content) = &entry.content else { continue };
        let wrong = |what: &str| bad(format!("{} {what}", entry.path));
        let mut size = 0_u64;
        for piece in &content.pieces {
            if piece.size == 0 || piece.size > MAX_PIECE as u64 {
                return Err(wrong("has a piece of a size that pieces do not have"));
            }
            if *pieces.entry(piece.id).or_insert(piece.size) != piece.size {
                return Err(wrong("has a piece that has another size elsewhere"));
            }
            size = size.checked_add(piece.size).ok_or_else(|| wrong("is too large"))?;
        }
        if size != content.size {
            return Err(wrong("has pieces that do not add up to its size"));
        }
        if contents.insert(content.sha256, content).is_some_and(|other| other != content) {
            return Err(wrong("has the hash of another file in it, but not its size and pieces"));
        }
        total = total.checked_add(size).ok_or_else(|| wrong("makes the media too large"))?;
    }
    if i64::try_from(total).is_err() {
        return Err(bad("its files are too large"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::model::Origin;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn sample() -> Document {
        let stated = |value: &str| Stated { value: value.into(), by: Origin::Image };
        let file = |path: &str, bytes: &[u8]| Entry {
            path: MediaPath::new(path).unwrap(),
            modified: FileTime { seconds: -1, nanos: 999_999_999 },
            content: Some(Content {
                size: bytes.len() as u64,
                sha256: sha2::Sha256::digest(bytes).into(),
                pieces: bytes
                    .chunks(4)
                    .map(|part| Piece { id: ObjectId::of(part), size: part.len() as u64 })
                    .collect(),
            }),
        };
        let folder = |path: &str| Entry {
            path: MediaPath::new(path).unwrap(),
            // Beyond what RFC 3339 can say.
            modified: FileTime { seconds: 1 << 40, nanos: 1 },
            content: None,
        };
        use sha2::Digest;
        let entries = vec![
            file("empty", b""),
            file("setup.exe", b"12345"),
            folder("sources"),
            file("sources/install.wim", b"0123456789"),
            file("twin", b"12345"),
        ];
        let root_modified = FileTime { seconds: 7, nanos: 8 };
        Document {
            package: Facts {
                id: "OSU00001".into(),
                name: "Windows 11".into(),
                version: "1".into(),
                comment: String::new(),
                architecture: stated("x64"),
                language: stated("en-US"),
            },
            number: 3,
            digest: manifest::digest(root_modified, &entries),
            root_modified,
            editions: "Professional".into(),
            builds: "26100.1".into(),
            entries,
        }
    }

    fn value() -> Value {
        serde_json::from_slice(&sample().to_bytes().unwrap()).unwrap()
    }

    /// What is said about the sample after `change`; the digest is made to fit again.
    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut changed = value();
        change(&mut changed);
        let mut bytes = serde_json::to_vec(&changed).unwrap();
        if let Ok(wire) = serde_json::from_slice::<Wire>(&bytes)
            && let Ok(entries) =
                wire.entries.into_iter().map(WireEntry::entry).collect::<Result<Vec<_>>>()
            && let Ok(root) = time(wire.root)
        {
            changed["digest"] = json!(text::hex(&manifest::digest(root, &entries)));
            bytes = serde_json::to_vec(&changed).unwrap();
        }
        Document::read(&bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_document_comes_back_and_its_bytes_are_canonical() {
        let document = sample();
        let bytes = document.to_bytes().unwrap();
        let read = Document::read(&bytes).unwrap();
        assert_eq!(read, document);
        assert_eq!(read.to_bytes().unwrap(), bytes);
        assert_eq!(read.total_size(), 20);
        assert_eq!(read.contents().len(), 3, "twin has the content of setup.exe");
        assert_eq!(read.pieces().len(), 5);
    }

    #[test]
    fn paths_that_leave_the_tree_are_refused() {
        for path in ["../x", "/etc/passwd", "a/../../x", "C:/x", "a\\b", "", ".", "nul", "x."] {
            let said = refused(|doc| doc["entries"][1]["path"] = json!(path));
            assert!(said.contains("the path"), "{path:?}: {said}");
        }
        for id in ["../..", "OSU0001", "OSU000001", "osu00001", "OSU0000/", "ÄU00001", ""] {
            let said = refused(|doc| doc["package"]["id"] = json!(id));
            assert!(said.contains("is no package id"), "{id:?}: {said}");
        }
    }

    #[test]
    fn trees_that_cannot_be_are_refused() {
        let said = refused(|doc| doc["entries"][1]["path"] = json!("zzz"));
        assert!(said.contains("sources is out of order"), "{said}");
        let said = refused(|doc| doc["entries"][1]["path"] = json!("empty"));
        assert!(said.contains("there twice"), "{said}");
        let said = refused(|doc| doc["entries"][0]["path"] = json!("TWIN"));
        assert!(said.contains("another name in it to Windows"), "{said}");
        let said = refused(|doc| doc["entries"][1]["path"] = json!("no/where"));
        assert!(said.contains("in no folder"), "{said}");
        // A file is no folder.
        let said = refused(|doc| doc["entries"][1]["path"] = json!("empty/x"));
        assert!(said.contains("in no folder"), "{said}");
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        for (pieces, what) in [
            (json!([["00".repeat(32), 5]]), "another file"),
            (json!([["00".repeat(32), 4]]), "add up"),
            (json!([["00".repeat(32), 0], ["11".repeat(32), 5]]), "size that pieces"),
            (json!([["00".repeat(32), u64::MAX], ["11".repeat(32), 6]]), "size that pieces"),
            (json!([["00".repeat(32), 2], ["00".repeat(32), 3]]), "another size"),
            (json!([["0", 5]]), "hex digits"),
            (json!([["00".repeat(32), -1]]), "integer"),
        ] {
            let said = refused(|doc| doc["entries"][1]["pieces"] = pieces.clone());
            assert!(said.contains(what), "{pieces}: {said}");
        }
        let said = refused(|doc| doc["entries"][1]["size"] = Value::Null);
        assert!(said.contains("only some of"), "{said}");
    }

    #[test]
    fn other_fields_have_their_limits() {
        for (field, wrong) in [
            ("format", json!("osupg-revision 2")),
            ("number", json!(0)),
            ("number", json!(-3)),
            ("root", json!([0, 1_000_000_000])),
            ("editions", json!("x".repeat(5000))),
            ("builds", json!("a\u{1b}[2J")),
            ("surprise", json!(1)),
        ] {
            refused(|doc| doc[field] = wrong);
        }
        for (field, wrong) in [
            ("name", json!("x".repeat(51))),
            ("name", json!(" padded ")),
            ("name", json!("")),
            ("version", json!("x".repeat(33))),
            ("comment", json!("a\nb")),
            ("architecture", json!({"value": "a\nb", "by": "image"})),
        ] {
            refused(|doc| doc["package"][field] = wrong);
        }
    }

    #[test]
    fn the_digest_must_be_that_of_the_entries() {
        let mut changed = value();
        changed["entries"][1]["time"] = json!([5, 5]);
        let said = Document::read(&serde_json::to_vec(&changed).unwrap()).unwrap_err().to_string();
        assert!(said.contains("digest"), "{said}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in 0..1000_usize, with in any::<u8>(), len in 0..1000_usize) {
            let mut bytes = sample().to_bytes().unwrap();
            let at = at % bytes.len();
            bytes[at] = with;
            bytes.truncate(bytes.len() - len % 200);
            let _ = Document::read(&bytes);
        }
    }
}
