use std::cell::Cell;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use wim_extract::Cancel;

use super::agent::{Beside, Node};
use super::report::WantedRevision;
use super::source::{Neighbour, Part, Source};
use super::*;
use crate::db::tests::{Database, on_both};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::home::tests::open;
use crate::operation::Operation;
use crate::package::document::{self, Document};
use crate::package::reference::Reference;
use crate::points::manage;
use crate::points::model::{Kind as PointKind, State};
use crate::points::publish::{self, Carrier};
use crate::points::target::Depth;
use crate::points::target::tests::{Bench, media, names};
use crate::points::window::Priority;
use crate::progress::{Silent, Watch};
use crate::store::layout::Piece;
use crate::trust::{self, Envelope};

struct Site {
    folder: tempfile::TempDir,
    server: Home,
    node: Home,
}

impl Site {
    /// A server with a package, and a node that trusts it.
    async fn new(database: Database) -> (Self, WantedRevision) {
        let folder = tempfile::tempdir().unwrap();
        let server = open(&folder.path().join("server"), database).await;
        let node = open(&folder.path().join("node"), database).await;
        let site = Self { folder, server, node };
        let wanted = site.release("OSU00001", 1, &media()).await;
        let cancel = Cancel::new();
        let key = trust::manage::ShowKey {}.run(&site.server, watch(&cancel)).await.unwrap().key;
        let add = trust::manage::Add { key: key.pem(), name: "server".into() };
        add.run(&site.node, watch(&cancel)).await.unwrap();
        (site, wanted)
    }

    /// Puts a revision into the server's store.
    async fn release(
        &self,
        id: &str,
        number: i64,
        files: &crate::points::target::tests::Files,
    ) -> WantedRevision {
        let bench = Bench::new();
        let document = bench.revision(id, number, files).await.document;
        for piece in document.pieces() {
            let bytes = bench.library.get(&piece).await.unwrap();
            self.server.library.put(&piece.id, &bytes).await.unwrap();
        }
        crate::package::adopt::tests::adopt(&self.server, &document).await;
        WantedRevision {
            package: id.into(),
            number,
            digest: document.digest,
            priority: Priority::Medium,
            held: false,
        }
    }

    fn neighbour(&self) -> Box<dyn Source> {
        Box::new(Neighbour(self.server.clone()))
    }
}

fn watch(cancel: &Cancel) -> Watch<'_> {
    Watch { progress: &Silent, cancel }
}

async fn a_node_fetches_what_is_wanted_and_tells(database: Database) {
    let (site, wanted) = Site::new(database).await;
    let cancel = Cancel::new();
    let watch = watch(&cancel);
    let add = manage::Add {
        name: "Berlin".into(),
        kind: PointKind::Node,
        target: "Berlin".into(),
        change: manage::Change::default(),
    };
    add.run(&site.server, watch).await.unwrap();
    let publish = publish::Request {
        package: "OSU00001".parse().unwrap(),
        to: vec!["Berlin".into()],
        priority: None,
        carrier: Carrier::Worker,
    };
    let assigned = publish.run(&site.server, watch).await.unwrap();
    assert_eq!(assigned.deliveries[0].job, None, "a node carries for itself");
    let authority = Beside { home: site.server.clone(), point: "Berlin".into() };
    let sources = [site.neighbour()];
    let tree = site.folder.path().join("tree");
    let node = Node {
        home: &site.node,
        point: "Berlin",
        authority: &authority,
        sources: &sources,
        tree: Some(tree.clone()),
    };
    let round = node.round(watch).await.unwrap();
    assert_eq!(round.installed, ["OSU00001@1"]);
    assert_eq!((round.sent, round.failed.len()), (1_067_345, 0));
    assert_eq!(std::fs::read(tree.join("OSU00001/setup.exe")).unwrap(), media()["setup.exe"]);
    let point = site.server.db.point("Berlin").await.unwrap();
    let presence = site.server.db.presence(point.key, "OSU00001").await.unwrap().unwrap();
    assert_eq!((presence.state, presence.held), (State::Installed, Some(1)));
    assert_eq!(node.round(watch).await.unwrap(), Default::default(), "nothing more to do");

    // Damage in the node's library is found when somebody asks, and mended.
    let piece = document_of(&site.node).await.pieces()[5];
    let object = site.node.root().join("library").join(piece.id.location().as_ref());
    std::fs::write(&object, "spoilt").unwrap();
    site.server.db.ask_check(point.key, "OSU00001").await.unwrap();
    let round = node.round(watch).await.unwrap();
    assert_eq!((round.sent, round.failed.len()), (piece.size, 0));
    assert_eq!(std::fs::read(&object).unwrap().len() as u64, piece.size);

    // A new revision: only what changed, and the old one goes.
    let mut files = media();
    files.insert("setup.exe", crate::points::target::tests::noise(25_000, 77));
    let second = site.release("OSU00001", 2, &files).await;
    let publish = publish::Request { package: "OSU00001@2".parse().unwrap(), ..publish };
    publish.run(&site.server, watch).await.unwrap();
    let round = node.round(watch).await.unwrap();
    assert_eq!((round.sent, round.installed), (25_000, vec!["OSU00001@2".to_string()]));
    assert_eq!(site.node.db.revision_digest("OSU00001", 2).await.unwrap(), Some(second.digest));
    assert_eq!(site.node.db.revision_digest("OSU00001", 1).await.unwrap(), None);
    assert_ne!(wanted.digest, second.digest);

    let withdraw = crate::points::withdraw::Request {
        package: "OSU00001".into(),
        from: vec!["Berlin".into()],
        carrier: Carrier::Worker,
    };
    withdraw.run(&site.server, watch).await.unwrap();
    let round = node.round(watch).await.unwrap();
    assert_eq!(round.removed, ["OSU00001"]);
    assert!(site.node.db.package("OSU00001").await.is_err());
    assert!(!names(&tree).iter().any(|name| name.contains("OSU00001")));
    assert!(site.server.db.presence(point.key, "OSU00001").await.unwrap().is_none());
}

async fn document_of(home: &Home) -> Document {
    let reference = Reference { package: "OSU00001".into(), revision: None };
    document::of_revision(home, &reference).await.unwrap()
}

/// A source that misbehaves.
#[derive(Debug)]
struct Bad {
    inner: Neighbour,
    how: How,
    asked: Cell<u32>,
}

#[derive(Debug, Clone, PartialEq)]
enum How {
    /// Cannot be reached.
    Away,
    /// Breaks off in the middle of every piece, after so many bytes.
    BreaksOff(usize),
    /// Gives other bytes.
    Lies,
    /// Gives this envelope for every revision.
    Gives(Envelope),
}

impl Source for Bad {
    fn name(&self) -> String {
        format!("{:?}", self.how).chars().take(9).collect()
    }

    fn envelope<'a>(
        &'a self,
        package: &'a str,
        number: i64,
    ) -> LocalBoxFuture<'a, Result<Option<Envelope>>> {
        match &self.how {
            How::Away => async { Err(Error::io("no route to host")) }.boxed_local(),
            How::Gives(envelope) => async { Ok(Some(envelope.clone())) }.boxed_local(),
            _ => self.inner.envelope(package, number),
        }
    }

    fn piece<'a>(&'a self, piece: &'a Piece, part: &'a mut Part) -> LocalBoxFuture<'a, Result<()>> {
        self.asked.set(self.asked.get() + 1);
        async move {
            match self.how {
                How::BreaksOff(after) => {
                    let bytes: Bytes = self.inner.0.library.get(piece).await?;
                    let from = usize::try_from(part.len()).unwrap();
                    let end = bytes.len().min(from + after);
                    part.append(&bytes[from..end])?;
                    Err(Error::io("connection reset"))
                }
                How::Lies => part.append(&vec![1; usize::try_from(piece.size).unwrap()]),
                _ => Err(Error::io("no route to host")),
            }
        }
        .boxed_local()
    }
}

fn bad(site: &Site, how: How) -> Box<dyn Source> {
    Box::new(Bad { inner: Neighbour(site.server.clone()), how, asked: Cell::new(0) })
}

/// Even when the other one has the very revision that is here.
async fn a_package_of_another_signer_is_not_taken_over(database: Database) {
    let (site, wanted) = Site::new(database).await;
    let cancel = Cancel::new();
    let document = document_of(&site.server).await;
    for piece in document.pieces() {
        let bytes = site.server.library.get(&piece).await.unwrap();
        site.node.library.put(&piece.id, &bytes).await.unwrap();
    }
    crate::package::adopt::tests::adopt(&site.node, &document).await;
    let before = site.node.db.package("OSU00001").await.unwrap();
    let sources = [site.neighbour()];
    let error =
        pull::pull(&site.node, &sources, &wanted, Depth::Usual, watch(&cancel)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    assert!(error.to_string().contains("cannot be continued by \"server\""), "{error}");
    let after = site.node.db.package("OSU00001").await.unwrap();
    assert_eq!((after.source_path, after.edit_count), (before.source_path, before.edit_count));
}

async fn a_connection_that_breaks_costs_no_byte_twice(database: Database) {
    let (site, wanted) = Site::new(database).await;
    let cancel = Cancel::new();
    let sources = [bad(&site, How::BreaksOff(4_000))];
    let (_, pulled) =
        pull::pull(&site.node, &sources, &wanted, Depth::Usual, watch(&cancel)).await.unwrap();
    assert_eq!(pulled.sent, 1_067_345, "pieces were gone on with in their middle");
    assert_eq!(document_of(&site.node).await.digest, wanted.digest);
    assert_eq!(names(&site.node.root().join("incoming")), [""; 0]);
}

async fn a_source_that_is_away_or_lies_is_passed_over(database: Database) {
    let (site, wanted) = Site::new(database).await;
    let cancel = Cancel::new();
    let sources = [bad(&site, How::Away), bad(&site, How::Lies), site.neighbour()];
    pull::pull(&site.node, &sources, &wanted, Depth::Usual, watch(&cancel)).await.unwrap();
    assert_eq!(document_of(&site.node).await.digest, wanted.digest);
}

async fn a_process_that_was_killed_left_pieces_that_are_gone_on_with(database: Database) {
    let (site, wanted) = Site::new(database).await;
    let cancel = Cancel::new();
    let piece = document_of(&site.server).await.pieces()[3];
    let folder = site.node.root().join("incoming");
    std::fs::create_dir_all(&folder).unwrap();
    let bytes = site.server.library.get(&piece).await.unwrap();
    std::fs::write(folder.join(piece.id.to_string()), &bytes[..3_000]).unwrap();
    // One was stored, and then the process was killed; two are of another revision.
    let whole = document_of(&site.server).await.pieces()[4];
    let bytes = site.server.library.get(&whole).await.unwrap();
    site.node.library.put(&whole.id, &bytes).await.unwrap();
    std::fs::write(folder.join(whole.id.to_string()), &bytes).unwrap();
    let week = std::time::Duration::from_secs(8 * 24 * 60 * 60);
    for (name, age) in [("old", week), ("young", week / 2)] {
        let file = std::fs::File::create(folder.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - age).unwrap();
    }
    let sources = [site.neighbour()];
    let (_, pulled) =
        pull::pull(&site.node, &sources, &wanted, Depth::Usual, watch(&cancel)).await.unwrap();
    assert_eq!(pulled.sent, 1_067_345 - 3_000 - whole.size);
    assert_eq!(names(&folder), ["young"], "what nobody needs any more is gone");
}

async fn forged_and_replayed_documents_are_refused(database: Database) {
    let (site, first) = Site::new(database).await;
    let cancel = Cancel::new();
    let mut files = media();
    files.insert("setup.exe", b"newer".to_vec());
    let old = document::sign(&site.server, &document_of(&site.server).await).await.unwrap();
    let second = site.release("OSU00001", 2, &files).await;
    let newest = document_of(&site.server).await;

    // Signed by somebody whom the node does not trust.
    let stranger = trust::key::PrivateKey::generate().unwrap();
    let bytes = newest.to_bytes().unwrap();
    let forged = Envelope::sign(document::PAYLOAD_TYPE, &bytes, &[&stranger]);
    // Signed rightly, and about something else than was asked for.
    let replayed = old;
    // Signed by a trusted key, as something else.
    let sign = |kind: &str, bytes: &[u8]| trust::sign(&site.server, kind, bytes).unwrap();
    let other_kind = sign("application/vnd.osupg.other", &bytes);
    // A trusted key may be in wrong hands: a path that leads out of the tree.
    let text = String::from_utf8(bytes).unwrap().replace("setup.exe", "../up.exe");
    let escaping = sign(document::PAYLOAD_TYPE, text.as_bytes());
    for (envelope, says) in [
        (forged, "trust"),
        (replayed, "revision 1 where OSU00001 revision 2 is wanted"),
        (other_kind, "is of the kind"),
        (escaping, "contains the name . or .."),
    ] {
        let sources = [bad(&site, How::Gives(envelope))];
        let error = pull::pull(&site.node, &sources, &second, Depth::Usual, watch(&cancel))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert_ne!(error.kind(), Kind::Io, "{error}");
        assert!(site.node.db.package("OSU00001").await.is_err(), "nothing was taken in");
        let query = crate::audit::Query { limit: 1, ..Default::default() };
        let line = query.run(&site.node, watch(&cancel)).await.unwrap().remove(0);
        let said = (&*line.operation, &*line.subject, &*line.outcome);
        assert_eq!(said, ("point.pull", "OSU00001", "failed"));
        assert!(line.detail.contains(says), "{}", line.detail);
    }
    // The digest that the server names decides between two revisions of one number.
    let wrong = WantedRevision { digest: first.digest, ..second };
    let sources = [site.neighbour()];
    let error =
        pull::pull(&site.node, &sources, &wrong, Depth::Usual, watch(&cancel)).await.unwrap_err();
    assert!(error.to_string().contains("another OSU00001 revision 2"), "{error}");
}

on_both!(
    a_node_fetches_what_is_wanted_and_tells,
    a_package_of_another_signer_is_not_taken_over,
    a_connection_that_breaks_costs_no_byte_twice,
    a_source_that_is_away_or_lies_is_passed_over,
    a_process_that_was_killed_left_pieces_that_are_gone_on_with,
    forged_and_replayed_documents_are_refused
);
