//! Packages over their life, on sample media: revisions, edits, lists, and the library beneath.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use wim_extract::Cancel;

use super::compare::ChangeKind;
use super::model::{Package, Priority};
use super::reference::Reference;
use super::select::Selection;
use super::{
    add, diff, drift, edit, export, fields, list, prune, refresh, revisions, rollback, show, verify,
};
use crate::config::Config;
use crate::db::tests::fresh_postgres;
use crate::error::{Kind, Result};
use crate::home::Home;
use crate::library::{check, gc, repair};
use crate::operation::Operation;
use crate::page::Paged;
use crate::progress::{Silent, Watch};
use crate::sample;

/// Sample media, made once and never changed.
fn sample() -> &'static Path {
    static MADE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, media) = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let media = folder.path().join("media");
        sample::make(&media, Watch { progress: &Silent, cancel: &Cancel::new() }).unwrap();
        (folder, media)
    });
    media
}

/// A store with media of its own beside it.
struct Bench {
    folder: tempfile::TempDir,
    home: Home,
    media: PathBuf,
}

impl Bench {
    async fn new() -> Self {
        Self::on(None).await
    }

    /// One with SQLite and one with PostgreSQL.
    async fn both() -> [Self; 2] {
        [Self::on(None).await, Self::on(Some(fresh_postgres())).await]
    }

    async fn on(database: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let media = folder.path().join("media");
        copy(sample(), &media);
        let home = Some(folder.path().join("home"));
        let home = Home::open_with(Config { home, database, ..Config::default() }).await.unwrap();
        Self { folder, home, media }
    }

    async fn call<O: Operation>(&self, request: O) -> Result<O::Outcome> {
        request.run(&self.home, Watch { progress: &Silent, cancel: &Cancel::new() }).await
    }

    async fn add(&self, selection: Selection) -> Package {
        let request = add::Request { selection, ..add::Request::new(&self.media, "Sample") };
        self.call(request).await.unwrap().package
    }

    async fn refresh(&self) -> refresh::Refreshed {
        let request = refresh::Request { package: "OSU00001".into(), ..Default::default() };
        self.call(request).await.unwrap()
    }

    fn object(&self, name: &str) -> PathBuf {
        self.home.root().join("library/objects").join(&name[..2]).join(name)
    }

    fn objects(&self) -> usize {
        let folders = fs::read_dir(self.home.root().join("library/objects")).unwrap();
        folders.map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
    }
}

/// Copies a tree with its times.
fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success());
}

fn at(reference: &str) -> Reference {
    reference.parse().unwrap()
}

fn kinds(changes: &[super::compare::FileChange]) -> Vec<(&str, ChangeKind)> {
    changes.iter().map(|change| (change.path.as_str(), change.kind)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_makes_a_revision_only_of_what_changed_and_can_be_undone() {
    for bench in Bench::both().await {
        let first = bench.add(Selection::All).await;
        let same = bench.refresh().await;
        assert!(!same.changed);
        assert_eq!((same.package.revision.number, same.work.files_read), (1, 0));

        fs::write(bench.media.join("readme.txt"), "changed").unwrap();
        fs::rename(bench.media.join("bootmgr"), bench.media.join("bootmgr.old")).unwrap();
        fs::write(bench.media.join("new.txt"), "new").unwrap();
        fs::remove_file(bench.media.join("boot/etfsboot.com")).unwrap();
        let request = drift::Request { package: at("Sample"), reading: Default::default() };
        let drifted = bench.call(request.clone()).await.unwrap();
        assert!(drifted.drifted);

        let second = bench.refresh().await;
        assert!(second.changed);
        let revision = &second.package.revision;
        assert_eq!((revision.number, revision.parent, &*revision.cause), (2, Some(1), "refresh"));
        assert_eq!(revision.made_by, bench.home.by());
        // The renamed file is found by its content, not read into the library again.
        assert_eq!((second.work.files_read, second.work.new_objects), (3, 2));
        assert!(!bench.call(request).await.unwrap().drifted);

        let request =
            diff::Request { old: at("OSU00001@1"), new: at("OSU00001"), limit: diff::USUAL_LIMIT };
        let difference = bench.call(request).await.unwrap();
        use ChangeKind::{Added, Changed, Removed, Renamed, Touched};
        let told = kinds(&difference.files);
        // Folders were touched, too.
        let told: Vec<_> = told.into_iter().filter(|(_, kind)| *kind != Touched).collect();
        let expected = [
            ("boot/etfsboot.com", Removed),
            ("bootmgr.old", Renamed),
            ("new.txt", Added),
            ("readme.txt", Changed),
        ];
        assert_eq!(told, expected);
        assert_eq!(
            kinds(&drifted.files),
            kinds(&difference.files),
            "drift tells what refresh brings"
        );
        assert_eq!(difference.new_bytes, second.work.new_size);

        let back = bench.call(rollback::Request { package: at("Sample@1") }).await.unwrap();
        let revision = &back.package.revision;
        assert_eq!(
            (revision.number, revision.parent, &*revision.cause),
            (3, Some(2), "rollback to 1")
        );
        assert_eq!(revision.digest, first.revision.digest);
        let again = bench.call(rollback::Request { package: at("Sample@1") }).await.unwrap();
        assert!(!again.changed, "{again:?}");

        let listed = bench.call(revisions::Request { package: "Sample".into() }).await.unwrap();
        let numbers: Vec<_> = listed.revisions.iter().map(|r| r.revision.number).collect();
        assert_eq!((numbers, listed.current), (vec![3, 2, 1], 3));
        assert_eq!(listed.revisions[1].frees, second.work.new_size);
        assert_eq!(listed.revisions[2].frees, 0, "revision 3 holds the same");
        for number in 1..=3 {
            let request = verify::Request { package: at(&format!("OSU00001@{number}")) };
            assert!(bench.call(request).await.unwrap().sound, "{number}");
        }
        for wrong in ["Sample@4", "Nothing@1"] {
            let error = bench.call(rollback::Request { package: at(wrong) }).await.unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound, "{error}");
        }
        assert!(bench.call(rollback::Request { package: at("Sample") }).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_revisions_come_back_bit_for_bit() {
    let bench = Bench::new().await;
    bench.add(Selection::All).await;
    fs::write(bench.media.join("setup.exe"), "another").unwrap();
    bench.refresh().await;
    let folder = bench.folder.path().join("out");
    let request = export::Request { package: at("OSU00001@1"), folder: folder.clone() };
    assert_eq!(bench.call(request).await.unwrap().revision, 1);
    let same = std::process::Command::new("diff").arg("-r").args([sample(), &folder]).status();
    assert!(same.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_images_are_kept_and_chosen_again() {
    let bench = Bench::new().await;
    let editions =
        |ids: &[&str]| Selection::Editions(ids.iter().map(ToString::to_string).collect());
    let package = bench.add(editions(&["enterprise", "Core"])).await;
    assert_eq!(package.revision.editions, "Core, Enterprise");
    assert_eq!(package.revision.selection, "images 1, 3");
    let shown = bench.call(show::Request { package: at("Sample") }).await.unwrap();
    let kept: Vec<_> = shown.images.iter().map(|image| (image.index, &*image.edition)).collect();
    assert_eq!(kept, [(1, "Core"), (2, "Enterprise")]);
    assert!(bench.call(verify::Request { package: at("Sample") }).await.unwrap().sound);

    // The same images give the same file, by whatever means they are named, read or recognised.
    let request = add::Request {
        selection: Selection::Indexes(vec![3, 1]),
        reading: super::snapshot::Reading::Everything,
        ..add::Request::new(&bench.media, "By index")
    };
    let other = bench.call(request).await.unwrap();
    assert_eq!(other.package.revision.digest, package.revision.digest);
    assert_eq!(other.work.new_objects, 0);
    assert!(!bench.refresh().await.changed);

    let set = edit::Fields { selection: Some(editions(&["Core"])), ..Default::default() };
    let request = edit::Request { package: "Sample".into(), seen: None, set };
    bench.call(request).await.unwrap();
    let refreshed = bench.refresh().await;
    assert!(refreshed.changed);
    assert_eq!(refreshed.package.revision.selection, "image 1");
    let request =
        diff::Request { old: at("OSU00001@1"), new: at("OSU00001@2"), limit: diff::USUAL_LIMIT };
    let difference = bench.call(request).await.unwrap();
    let images: Vec<_> = difference.images.iter().map(|image| (image.old, image.new)).collect();
    assert_eq!(images, [(Some(1), Some(1)), (Some(2), None)]);
    assert_eq!(difference.images[0].changed + difference.images[0].added, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_edit_is_refused_with_what_was_changed() {
    for bench in Bench::both().await {
        let package = bench.add(Selection::All).await;
        assert_eq!((package.edit_count, package.priority), (0, Priority::Medium));
        assert_eq!((&*package.folder, &package.scopes[..]), ("/", &["Default".to_string()][..]));
        let edit = async |seen, set| {
            bench.call(edit::Request { package: "OSU00001".into(), seen, set }).await
        };
        let set = edit::Fields {
            name: Some("Renamed".into()),
            priority: Some(Priority::High),
            persist_in_cache: Some(true),
            folder: Some("Windows 11/Pro/".into()),
            scopes: Some(vec!["West".into(), "Default".into()]),
            architecture: Some("arm64".into()),
            licence_required: Some(true),
            ..Default::default()
        };
        let edited = edit(Some(0), set).await.unwrap();
        assert_eq!(edited.changes.len(), 7);
        assert_eq!(edited.warnings.len(), 1, "the images say x64");
        let package = edited.package;
        assert_eq!((package.edit_count, &*package.folder), (1, "/Windows 11/Pro"));
        assert_eq!(package.scopes, ["Default", "West"]);
        assert!(!package.licence.is_settled());

        let comment =
            |text: &str| edit::Fields { comment: Some(text.into()), ..Default::default() };
        let error = edit(Some(0), comment("late")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        for says in ["name from \"Sample\" to \"Renamed\"", "priority from \"medium\" to \"high\""]
        {
            assert!(error.to_string().contains(says), "{error}");
        }
        assert!(error.to_string().contains(bench.home.by()), "{error}");
        assert!(edit(Some(9), comment("from the future")).await.is_err());
        let same =
            edit(Some(1), edit::Fields { name: Some("Renamed".into()), ..Default::default() });
        assert_eq!(same.await.unwrap().package.edit_count, 1, "nothing changed");

        let accept = || edit::AcceptLicence { package: "Renamed".into() };
        let accepted = bench.call(accept()).await.unwrap().package.licence;
        assert!(accepted.is_settled());
        assert_eq!(accepted.accepted.as_ref().unwrap().by, bench.home.by());
        assert_eq!(
            bench.call(accept()).await.unwrap().package.licence,
            accepted,
            "the first counts"
        );

        // What the images say comes back when what was given by hand goes.
        let set = edit::Fields { architecture: Some(String::new()), ..Default::default() };
        assert_eq!(edit(None, set).await.unwrap().package.architecture.value, "x64");
        let history = bench.call(edit::History { package: "OSU00001".into() }).await.unwrap();
        assert_eq!(history.last().unwrap().edit.field, "architecture");
        assert_eq!(history.len(), 9);

        let long = "x".repeat(fields::MAX_COMMENT + 1);
        for set in [
            comment(&long),
            edit::Fields { name: Some(" ".into()), ..Default::default() },
            edit::Fields { scopes: Some(Vec::new()), ..Default::default() },
        ] {
            assert_eq!(edit(None, set).await.unwrap_err().kind(), Kind::Usage);
        }
        bench.call(add::Request::new(&bench.media, "Other")).await.unwrap();
        let taken = edit::Fields { name: Some("OTHER".into()), ..Default::default() };
        assert_eq!(edit(None, taken).await.unwrap_err().kind(), Kind::Conflict);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_narrowed_down_and_cut() {
    for bench in Bench::both().await {
        for (name, folder) in
            [("One 100%", "/A"), ("Two", "/A/B"), ("Three", "/AB"), ("Four_x", "/")]
        {
            let request =
                add::Request { folder: folder.into(), ..add::Request::new(&bench.media, name) };
            bench.call(request).await.unwrap();
        }
        let names = async |request: list::Request| -> Vec<String> {
            let listed = bench.call(request).await.unwrap();
            listed.items.into_iter().map(|package| package.name).collect()
        };
        let all = list::Request::default;
        assert_eq!(names(all()).await.len(), 4);
        let folder = |folder: &str| list::Request { folder: Some(folder.into()), ..all() };
        assert_eq!(names(folder("A")).await, ["One 100%", "Two"]);
        assert_eq!(names(folder("/A/B")).await, ["Two"]);
        assert_eq!(names(folder("/")).await.len(), 4);
        let text = |text: &str| list::Request { text: Some(text.into()), ..all() };
        assert_eq!(names(text("two")).await, ["Two"]);
        assert_eq!(names(text("0%")).await, ["One 100%"]);
        assert_eq!(names(text("%")).await, ["One 100%"]);
        assert_eq!(names(text("r_x")).await, ["Four_x"]);
        assert_eq!(names(text("osu00003")).await, ["Three"]);
        let language = |tag: &str| list::Request { language: Some(tag.into()), ..all() };
        assert_eq!(names(language("EN-us")).await.len(), 4);
        assert_eq!(names(language("en")).await.len(), 0);
        let arch = |arch: &str| list::Request { architecture: Some(arch.into()), ..all() };
        assert_eq!(names(arch("amd64")).await.len(), 4);
        assert_eq!(names(arch("arm64")).await.len(), 0);
        let mut request = list::Request { limit: Some(3), ..all() };
        let page = bench.call(request.clone()).await.unwrap();
        assert_eq!(page.next.as_deref(), Some("OSU00003"));
        request.after = page.next;
        assert_eq!(names(request.clone()).await, ["Four_x"]);
        assert!(request.following(&bench.call(request.clone()).await.unwrap()).is_none());
        bench.call(list::Request { limit: Some(0), ..all() }).await.unwrap_err();
        let folders = bench.call(list::FoldersRequest {}).await.unwrap();
        let folders: Vec<_> = folders.iter().map(|f| (&*f.path, f.packages)).collect();
        assert_eq!(folders, [("/", 1), ("/A", 1), ("/A/B", 1), ("/AB", 1)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_keeps_what_a_rule_keeps_and_frees_the_rest() {
    for bench in Bench::both().await {
        bench.add(Selection::All).await;
        for round in 0..3 {
            fs::write(bench.media.join("big.bin"), vec![round; 100_000]).unwrap();
            bench.refresh().await;
        }
        let objects = bench.objects();
        let rules = |keep_last, keep_days, dry_run| prune::Request {
            package: None,
            keep_last: Some(keep_last),
            keep_days: Some(keep_days),
            dry_run,
        };
        let young = bench.call(rules(0, 1, false)).await.unwrap();
        assert_eq!((young.revisions.len(), young.kept), (0, 4), "all were made today");
        let dry = bench.call(rules(2, 0, true)).await.unwrap();
        let gone: Vec<_> = dry.revisions.iter().map(|gone| (gone.number, gone.frees)).collect();
        assert_eq!(gone, [(1, 0), (2, 100_000)]);
        assert_eq!((dry.freed_size, dry.kept), (100_000, 2));
        assert_eq!(bench.objects(), objects);
        let listed = bench.call(revisions::Request { package: "Sample".into() }).await.unwrap();
        assert_eq!(listed.revisions.len(), 4, "a dry run changes nothing");

        let done = bench.call(rules(2, 0, false)).await.unwrap();
        assert_eq!((done.freed_size, done.freed_objects, done.collected), (100_000, 1, true));
        assert_eq!(bench.objects(), objects - 1);
        let listed = bench.call(revisions::Request { package: "Sample".into() }).await.unwrap();
        let left: Vec<_> =
            listed.revisions.iter().map(|r| (r.revision.number, r.revision.parent)).collect();
        assert_eq!(left, [(4, Some(3)), (3, Some(2))], "parents are told though they are gone");
        // The current revision stays, whatever the rules.
        bench.call(rules(0, 0, false)).await.unwrap();
        assert!(bench.call(verify::Request { package: at("Sample") }).await.unwrap().sound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_is_checked_repaired_and_cleaned() {
    for bench in Bench::both().await {
        bench.add(Selection::Indexes(vec![2])).await;
        assert!(bench.call(check::Request {}).await.unwrap().sound);
        let entries =
            bench.home.db.entries(bench.home.db.package("Sample").await.unwrap().revision.key);
        let entries = entries.await.unwrap();
        let pieces = |path: &str| {
            let entry = entries.iter().find(|entry| entry.path.is(path)).unwrap();
            entry.content.as_ref().unwrap().pieces.clone()
        };
        // One piece of a file as it is in the source, the last of a WIM that is made of an image.
        let (plain, made) = (pieces("bootmgr")[0], *pieces("sources/install.wim").last().unwrap());
        fs::write(bench.object(&plain.id.to_string()), "damaged").unwrap();
        fs::remove_file(bench.object(&made.id.to_string())).unwrap();
        let stray = bench.object(&"ab".repeat(32));
        fs::create_dir_all(stray.parent().unwrap()).unwrap();
        fs::write(&stray, "stray").unwrap();

        let checked = bench.call(check::Request {}).await.unwrap();
        let mut found: Vec<_> =
            checked.problems.iter().map(|problem| (problem.missing, &*problem.object)).collect();
        found.sort();
        let (plain, made) = (plain.id.to_string(), made.id.to_string());
        assert_eq!(found, [(false, &*plain), (true, &*made)]);
        assert_eq!(checked.problems[0].files[0].package, "OSU00001");
        assert_eq!((checked.unused, checked.unused_bytes), (1, 5));

        let repaired = bench.call(repair::Request {}).await.unwrap();
        assert!(repaired.sound, "{repaired:?}");
        assert_eq!(repaired.from_source, 2);
        assert!(bench.call(check::Request {}).await.unwrap().sound);

        // What the source no longer has cannot be put back, and is named.
        fs::write(bench.object(&plain), "damaged").unwrap();
        fs::write(bench.media.join("bootmgr"), "another").unwrap();
        let lost = bench.call(repair::Request {}).await.unwrap();
        assert!(!lost.sound);
        assert_eq!(lost.lost[0].files[0].path.as_str(), "bootmgr");
        assert!(lost.lost[0].reasons[0].contains("bootmgr"), "{:?}", lost.lost[0].reasons);

        let dry = bench.call(gc::Request { grace_hours: None, dry_run: true }).await.unwrap();
        assert_eq!((dry.swept.objects, dry.swept.bytes), (1, 5));
        let young = gc::Request { grace_hours: Some(24), dry_run: false };
        let young = bench.call(young).await.unwrap().swept;
        assert_eq!((young.objects, young.young), (0, 1));
        let lease = bench.home.lease().await.unwrap();
        assert!(bench.call(gc::Request::default()).await.unwrap().busy);
        lease.release().await;
        assert_eq!(bench.call(gc::Request::default()).await.unwrap().swept.objects, 1);
        assert!(!stray.exists());
    }
}
