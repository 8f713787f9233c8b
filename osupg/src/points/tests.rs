//! Points from assignment to presence, on a store with small packages.

use std::path::PathBuf;

use wim_extract::Cancel;

use super::deliver::deliver;
use super::manage::{self, Change};
use super::model::{Kind, State, Tally};
use super::publish::{self, Carrier};
use super::target::Depth;
use super::target::tests::{Bench, Files, media, noise};
use super::validate::{self, Then};
use super::*;
use crate::db::tests::{Database, on_both};
use crate::home::tests::open;
use crate::operation::Operation;
use crate::package::adopt;
use crate::package::document::PAYLOAD_TYPE;
use crate::page::{Page, Paged};
use crate::progress::{Silent, Watch};
use crate::time::Moment;
use crate::trust::Envelope;
use crate::trust::key::PrivateKey;

struct Site {
    folder: tempfile::TempDir,
    home: Home,
}

fn watch(cancel: &Cancel) -> Watch<'_> {
    Watch { progress: &Silent, cancel }
}

impl Site {
    async fn new(database: Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = open(&folder.path().join("home"), database).await;
        Self { folder, home }
    }

    /// Puts a revision into the store.
    async fn release(&self, id: &str, number: i64, files: &Files) -> Document {
        let bench = Bench::new();
        let document = bench.revision(id, number, files).await.document;
        for piece in document.pieces() {
            let bytes = bench.library.get(&piece).await.unwrap();
            self.home.library.put(&piece.id, &bytes).await.unwrap();
        }
        adopt::tests::adopt(&self.home, &document).await;
        document
    }

    /// A folder that is a point.
    async fn point(&self, name: &str) -> PathBuf {
        let root = self.folder.path().join(name);
        std::fs::create_dir(&root).unwrap();
        let add = manage::Add {
            name: name.into(),
            kind: Kind::Folder,
            target: root.to_str().unwrap().into(),
            change: Change::default(),
        };
        let cancel = Cancel::new();
        add.run(&self.home, watch(&cancel)).await.unwrap();
        root
    }

    async fn publish(&self, package: &str, to: &[&str]) {
        let request = publish::Request {
            package: package.parse().unwrap(),
            to: to.iter().map(|name| (*name).to_string()).collect(),
            priority: None,
            carrier: Carrier::Caller,
        };
        let cancel = Cancel::new();
        let assigned = request.run(&self.home, watch(&cancel)).await.unwrap();
        for delivery in assigned.deliveries {
            let id = &assigned.package;
            deliver(&self.home, &delivery.point, id, Depth::Usual, watch(&cancel)).await.unwrap();
        }
    }

    async fn validate(&self, then: Then) -> validate::Validated {
        let cancel = Cancel::new();
        let request = validate::Request { then, ..validate::Request::default() };
        let mut all = request.run(&self.home, watch(&cancel)).await.unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

async fn a_point_with_a_forged_or_older_document_is_named_and_repaired(database: Database) {
    let site = Site::new(database).await;
    let first = site.release("OSU00001", 1, &media()).await;
    let mut files = media();
    files.insert("setup.exe", noise(25_000, 8));
    let second = site.release("OSU00001", 2, &files).await;
    let root = site.point("A").await;
    site.publish("OSU00001", &["A"]).await;
    assert!(site.validate(Then::Report).await.sound);

    let stranger = PrivateKey::generate().unwrap();
    let forged = Envelope::sign(PAYLOAD_TYPE, &second.to_bytes().unwrap(), &[&stranger]);
    let older = document::sign(&site.home, &first).await.unwrap();
    let place = root.join(".osupg/OSU00001/installed.json");
    for (envelope, says) in
        [(forged, "its document at the point"), (older, "revision 1 instead of revision 2")]
    {
        std::fs::write(&place, envelope.to_json()).unwrap();
        let found = site.validate(Then::Report).await;
        assert!(!found.sound && found.flaws[0].what.contains(says), "{found:?}");
        let point = site.home.db.point("A").await.unwrap();
        let presence = site.home.db.presence(point.key, "OSU00001").await.unwrap().unwrap();
        assert_eq!(presence.state, State::Damaged);
        let repaired = site.validate(Then::Repair).await;
        assert!(repaired.sound, "{repaired:?}");
        assert_eq!(repaired.repair.unwrap().sent, 0, "the tree itself was right");
        assert!(site.validate(Then::Report).await.sound);
    }
}

async fn a_library_gets_a_lost_piece_back_from_a_point(database: Database) {
    let site = Site::new(database).await;
    let document = site.release("OSU00001", 1, &media()).await;
    // Of install.wim.
    let piece = document.pieces()[20];
    assert_eq!(fetch_piece(&site.home, &piece).await.unwrap(), None);
    let gone = site.point("Gone").await;
    let root = site.point("There").await;
    site.publish("OSU00001", &["Gone", "There"]).await;
    std::fs::remove_dir_all(gone).unwrap();
    let kept = site.home.library.get(&piece).await.unwrap();
    assert_eq!(fetch_piece(&site.home, &piece).await.unwrap(), Some(kept));
    // What is damaged there is not given.
    std::fs::write(root.join("OSU00001/sources/install.wim"), "x").unwrap();
    assert_eq!(fetch_piece(&site.home, &piece).await.unwrap(), None);
}

async fn counts_agree_with_rows_whatever_happens(database: Database) {
    let site = Site::new(database).await;
    let db = &site.home.db;
    for id in ["OSU00001", "OSU00002"] {
        site.release(id, 1, &media()).await;
    }
    for name in ["A", "B", "C"] {
        site.point(name).await;
    }
    site.publish("OSU00001", &["A", "B", "C"]).await;
    site.publish("OSU00002", &["A"]).await;
    let point = db.point("B").await.unwrap();
    db.set_state(point.key, "OSU00001", State::Failed, "why", None).await.unwrap();
    let tally = db.package_tally("OSU00001").await.unwrap();
    assert_eq!(tally, Tally { success: 2, error: 1, ..Tally::default() });
    let of_point = |name: &'static str| async move {
        let key = db.point(name).await.unwrap().key;
        db.point_tally(key).await.unwrap()
    };
    assert_eq!(of_point("A").await, Tally { success: 2, ..Tally::default() });
    assert_eq!(of_point("B").await, Tally { error: 1, ..Tally::default() });
    // A point goes with its rows, and a package with its own; what it leaves is known.
    db.remove_point(point.key).await.unwrap();
    assert_eq!(
        db.package_tally("OSU00001").await.unwrap(),
        Tally { success: 2, ..Tally::default() }
    );
    db.remove_package("OSU00001").await.unwrap();
    assert_eq!(of_point("A").await, Tally { success: 1, ..Tally::default() });
    assert_eq!(of_point("C").await, Tally::default());
    let strays = db.strays(crate::time::Moment(i64::MAX)).await.unwrap();
    let named = |name: &str| (name.to_string(), "OSU00001".to_string());
    assert_eq!(strays, [named("A"), named("C")]);
    assert_eq!(db.package_tallies("", 10).await.unwrap().len(), 1);
}

/// One package comes to stand as the other stood, and the other way round, again and again.
async fn counts_are_brought_up_to_date_in_opposite_directions_at_once(database: Database) {
    let site = Site::new(database).await;
    let root = site.point("A").await;
    assert!(root.is_dir());
    for id in ["OSU00001", "OSU00002"] {
        site.release(id, 1, &media()).await;
        site.publish(id, &["A"]).await;
    }
    let key = site.home.db.point("A").await.unwrap().key;
    let turn = |id: &'static str, states: [State; 2]| {
        let db = site.home.db.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                for state in states {
                    db.set_state(key, id, state, "", None).await.unwrap();
                }
            }
        })
    };
    let there = turn("OSU00001", [State::Failed, State::Installed]);
    let back = turn("OSU00002", [State::Installed, State::Failed]);
    there.await.unwrap();
    back.await.unwrap();
    let tally = site.home.db.point_tally(key).await.unwrap();
    assert_eq!(tally, Tally { success: 1, error: 1, ..Tally::default() });
}

async fn a_point_takes_no_more_packages_than_it_says_and_never_one_twice(database: Database) {
    use super::slot::{Busy, Slot};
    let site = Site::new(database).await;
    site.point("A").await;
    let key = site.home.db.point("A").await.unwrap().key;
    let take = |package: &'static str, lanes| Slot::take(&site.home, key, package, lanes);
    let first = take("OSU00001", 2).await.unwrap().unwrap();
    assert_eq!(take("OSU00001", 2).await.unwrap().unwrap_err(), Busy::SamePackage);
    let second = take("OSU00002", 2).await.unwrap().unwrap();
    assert_eq!(take("OSU00003", 2).await.unwrap().unwrap_err(), Busy::Full);
    assert!(Slot::whole(&site.home, key).await.unwrap().is_none());
    assert!(first.beat().await.unwrap());
    first.release().await.unwrap();
    second.release().await.unwrap();
    let whole = Slot::whole(&site.home, key).await.unwrap().unwrap();
    assert_eq!(take("OSU00001", 2).await.unwrap().unwrap_err(), Busy::Whole);
    whole.release().await.unwrap();
}

async fn fields_of_points_have_limits(database: Database) {
    let site = Site::new(database).await;
    let root = site.point("A").await;
    let cancel = Cancel::new();
    let add = |name: &str, kind, target: &str, change: Change| manage::Add {
        name: name.into(),
        kind,
        target: target.into(),
        change,
    };
    let usual = Change::default();
    let with = |change: fn(&mut Change)| {
        let mut fields = Change::default();
        change(&mut fields);
        fields
    };
    let free = site.folder.path().join("free");
    std::fs::create_dir(&free).unwrap();
    let free = free.to_str().unwrap();
    let home = site.home.root().to_str().unwrap().to_string();
    let inside = format!("{home}/library");
    for request in [
        add("", Kind::Folder, free, usual.clone()),
        add(&"x".repeat(51), Kind::Folder, free, usual.clone()),
        add("a\nb", Kind::Folder, free, usual.clone()),
        add("group:x", Kind::Folder, free, usual.clone()),
        add("a", Kind::Folder, free, usual.clone()),
        add("B", Kind::Folder, root.to_str().unwrap(), usual.clone()),
        add("B", Kind::Folder, "/no/such/folder", usual.clone()),
        add("B", Kind::Folder, &home, usual.clone()),
        add("B", Kind::Folder, &inside, usual.clone()),
        add("B", Kind::Folder, "", usual.clone()),
        add("B", Kind::Objects, "no-address", usual.clone()),
        add("B", Kind::Objects, "ftp://x/y", usual.clone()),
        add("B", Kind::Folder, free, with(|change| change.threads = Some(0))),
        add("B", Kind::Folder, free, with(|change| change.threads = Some(100))),
        add("B", Kind::Folder, free, with(|change| change.packages_at_once = Some(51))),
        add("B", Kind::Folder, free, with(|change| change.rate = Some(-1))),
        add("B", Kind::Folder, free, with(|change| change.timeout_seconds = Some(0))),
        add("B", Kind::Folder, free, with(|change| change.time_zone = Some("Mars/Base".into()))),
        add("B", Kind::Folder, free, with(|change| change.comment = Some("x".repeat(128)))),
    ] {
        let error = request.run(&site.home, watch(&cancel)).await.unwrap_err();
        // A folder that is not there is an error of reading it.
        let kind = error.kind();
        let expected = if request.target.starts_with("/no/") { 4 } else { 2 };
        assert_eq!(kind.exit_code(), expected, "{request:?}: {error}");
        assert!(site.home.db.point_if_any("B").await.unwrap().is_none());
    }
    assert_eq!(site.home.db.points().await.unwrap().len(), 1);
}

async fn how_things_stand_comes_in_pages(database: Database) {
    let site = Site::new(database).await;
    let cancel = Cancel::new();
    for number in 1..=3 {
        site.release(&format!("OSU0000{number}"), 1, &media()).await;
    }
    for name in ["b", "A", "c"] {
        site.point(name).await;
        site.publish("OSU00002", &[name]).await;
    }
    for package in ["OSU00001", "OSU00003"] {
        site.publish(package, &["A"]).await;
    }
    let list = manage::List { limit: Some(2), after: None };
    let page = list.run(&site.home, watch(&cancel)).await.unwrap();
    let counted = |page: &Page<manage::Listed>| -> Vec<(String, i64)> {
        page.items.iter().map(|one| (one.point.name.clone(), one.packages.success)).collect()
    };
    assert_eq!(counted(&page), [("A".to_string(), 3), ("b".to_string(), 1)]);
    let rest = list.following(&page).unwrap().run(&site.home, watch(&cancel)).await.unwrap();
    assert_eq!((counted(&rest), rest.next), (vec![("c".to_string(), 1)], None));

    let mut request =
        status::PackageRequest { package: "OSU00002".into(), limit: Some(2), after: None };
    let mut whole = request.run(&site.home, watch(&cancel)).await.unwrap();
    assert_eq!((whole.tally.success, whole.points.len()), (3, 2), "all are counted on each page");
    request = request.following(&whole).unwrap();
    let rest = request.run(&site.home, watch(&cancel)).await.unwrap();
    status::PackageRequest::append(&mut whole, rest);
    let points: Vec<_> = whole.points.iter().map(|one| &*one.point).collect();
    assert_eq!((points, request.following(&whole).is_none()), (vec!["A", "b", "c"], true));

    let request = status::PointRequest { point: "a".into(), limit: Some(2), after: None };
    let page = request.run(&site.home, watch(&cancel)).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("OSU00002"));
    let request = status::OverviewRequest { after: Some("OSU00001".into()), limit: Some(1) };
    let page = request.run(&site.home, watch(&cancel)).await.unwrap();
    let tally = Tally { success: 3, ..Tally::default() };
    assert_eq!((&*page.items[0].package, page.items[0].tally), ("OSU00002", tally));
    assert_eq!(page.next.as_deref(), Some("OSU00002"));
}

async fn a_group_and_a_point_of_their_own_are_settled_together(database: Database) {
    let site = Site::new(database).await;
    let cancel = Cancel::new();
    let watch = watch(&cancel);
    for number in 1..=2 {
        site.release("OSU00001", number, &media()).await;
    }
    for name in ["A", "B", "C"] {
        site.point(name).await;
    }
    let group = group::Add {
        name: "All".into(),
        comment: String::new(),
        points: ["A", "B", "C"].map(String::from).into(),
    };
    group.run(&site.home, watch).await.unwrap();
    let publish = |package: &str, to: &str| publish::Request {
        package: package.parse().unwrap(),
        to: vec![to.into()],
        priority: Some(super::window::Priority::High),
        carrier: Carrier::Worker,
    };
    let made = publish("OSU00001@1", "All").run(&site.home, watch).await.unwrap();
    let mut jobs: Vec<_> = made.deliveries.iter().map(|delivery| delivery.job.unwrap()).collect();
    jobs.dedup();
    assert_eq!(jobs.len(), 3, "a job for each");
    publish("OSU00001@2", "B").run(&site.home, watch).await.unwrap();
    let wanted = async || {
        let request = status::PackageRequest { package: "OSU00001".into(), ..Default::default() };
        let status = request.run(&site.home, watch).await.unwrap();
        status.points.into_iter().map(|one| (one.wanted, one.state)).collect::<Vec<_>>()
    };
    let pending = |number| (Some(number), State::Pending);
    assert_eq!(wanted().await, [pending(1), pending(2), pending(1)], "the last made applies");
    assert_eq!(
        deliver::due(&site.home, Moment::now()).await.unwrap().len(),
        0,
        "all are handed on"
    );
    let withdraw = withdraw::Request {
        package: "OSU00001".into(),
        from: vec!["All".into()],
        carrier: Carrier::Caller,
    };
    withdraw.run(&site.home, watch).await.unwrap();
    let leaving = (None, State::Removing);
    assert_eq!(wanted().await, [leaving, pending(2), leaving], "its own assignment stays");
}

async fn a_package_from_elsewhere_has_no_source_to_refresh_from(database: Database) {
    let site = Site::new(database).await;
    site.release("OSU00001", 1, &media()).await;
    let cancel = Cancel::new();
    let request = |source: Option<PathBuf>| crate::package::refresh::Request {
        package: "OSU00001".into(),
        source,
        ..Default::default()
    };
    for source in [None, Some(site.folder.path().to_path_buf())] {
        let refused = request(source).run(&site.home, watch(&cancel)).await.unwrap_err();
        assert!(refused.to_string().contains("made by another store"), "{refused}");
        assert!(refused.advice().unwrap().contains("where it was made"), "{refused}");
    }
}

on_both!(
    a_point_with_a_forged_or_older_document_is_named_and_repaired,
    a_library_gets_a_lost_piece_back_from_a_point,
    counts_agree_with_rows_whatever_happens,
    counts_are_brought_up_to_date_in_opposite_directions_at_once,
    a_point_takes_no_more_packages_than_it_says_and_never_one_twice,
    fields_of_points_have_limits,
    how_things_stand_comes_in_pages,
    a_group_and_a_point_of_their_own_are_settled_together,
    a_package_from_elsewhere_has_no_source_to_refresh_from
);
