mod bench;

use std::process::Command;

use serde_json::json;

use bench::{
    Bench, CHECKPOINT, DOTNET, EditingStack, Fail, ROLLUP, SAFE_OS, manifest, put, setup_update,
    small_wim,
};

use super::applicable::{Role, State};
use super::inventory::{self, WINRE};
use super::plan::{self, By};
use super::run::{self, Decision, Run, RunState};
use super::stack::Became;
use super::task::Claim;
use super::update::{Kind, import, list};
use super::{history, image, work};
use crate::db::tests::{Database, on_both};
use crate::error::Kind as ErrorKind;
use crate::service::cabinet::tests::written;
use crate::time::Moment;

mod forms;
mod kinds;
mod remote;
mod schedules;
mod waits;

/// Imports what a month brings: updates of Windows, of its recovery environment and of Setup.
async fn import_a_month(bench: &Bench) {
    let files = [
        bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[])),
        bench.cabinet("safeos.cab", &manifest(SAFE_OS, "KB5044615", &[])),
        setup_update(bench),
    ];
    bench.import(&files).await;
}

async fn run(bench: &Bench, recipe: serde_json::Value) -> crate::Result<Run> {
    bench.json::<run::Request>(json!({"package": "OSU00001", "recipe": recipe})).await
}

async fn history(bench: &Bench) -> Vec<Run> {
    bench.call(&history::Request::default()).await.unwrap()
}

async fn revision(bench: &Bench) -> i64 {
    bench.home.db.package("OSU00001").await.unwrap().revision.number
}

/// Whether nothing is left in the scratch folder.
fn scratch_is_empty(bench: &Bench) -> bool {
    let entries = std::fs::read_dir(bench.home.root().join("scratch")).unwrap();
    let folders = entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir());
    folders.count() == 0
}

/// wimlib's own opinion of a WIM.
fn wimlib_verifies(wim: &std::path::Path) {
    let done = Command::new("wimlib-imagex").arg("verify").arg(wim).output();
    let done = done.expect("wimlib-imagex is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn file_in(wim: &std::path::Path, index: u32, path: &str) -> Option<Vec<u8>> {
    let open = inventory::open_file(wim).unwrap();
    let read = image::read(&open.wim, index, path, 1 << 30, &wim_extract::Cancel::new()).unwrap();
    read.map(|bytes| bytes.to_vec())
}

async fn updates_of_every_form_are_told_apart(database: Database) {
    let bench = Bench::new(database).await;
    let rollup = manifest(ROLLUP, "KB5044284", &[CHECKPOINT]);
    let stack = manifest(
        "Package_for_ServicingStack_1738~31bf3856ad364e35~amd64~~26100.1738.1.0",
        "KB5043113",
        &[],
    );
    let inner = |manifest: &str| {
        written(cab::CompressionType::MsZip, &[&[("update.mum", manifest.as_bytes())]])
    };
    // A .msu that is a cabinet, with data for Windows Update that is no package.
    let msu = written(
        cab::CompressionType::None,
        &[&[
            ("WSUSSCAN.cab", b"MSCF is not read"),
            ("SSU-26100.1738-x64.cab", &inner(&stack)),
            ("Windows11.0-KB5044284-x64.cab", &inner(&rollup)),
        ]],
    );
    let as_cabinet = bench.file("windows11.0-kb5044284-x64.msu", msu);
    // A .msu that is a WIM.
    let tree = bench.path("msu-tree");
    put(&tree.join("Windows11.0-KB5044284-x64.cab"), &inner(&rollup.replace("2033", "2034")));
    put(&tree.join("SSU-26100.1738-x64.cab"), &inner(&stack));
    let as_wim = bench.path("windows11.0-kb5044284-v2.msu");
    let source = wim_extract::capture::SourceTree::root(tree);
    wim_extract::capture::run(
        &[source],
        &as_wim,
        &Default::default(),
        &wim_extract::Silent,
        &bench.cancel,
    )
    .unwrap();
    let driver = bench.path("driver");
    put(
        &driver.join("net.inf"),
        b"[Version]\r\nClass = Net ; adapters\r\nDriverVer=06/21/2006,10.0.26100.1\r\n[M]\r\n%x%=y,NTamd64\r\n",
    );
    put(&driver.join("net.sys"), b"driver");
    let files = [
        as_cabinet,
        as_wim,
        driver,
        setup_update(&bench),
        bench.cabinet("safeos.cab", &manifest(SAFE_OS, "KB5044615", &[])),
        bench.cabinet("ndp.cab", &manifest(DOTNET, "KB5044030", &[])),
    ];
    let ids = bench.import(&files).await;
    assert_eq!(ids, ["UPD00001", "UPD00002", "UPD00003", "UPD00004", "UPD00005", "UPD00006"]);
    let updates = bench.call(&list::Request::default()).await.unwrap();
    let said: Vec<_> = updates
        .iter()
        .map(|update| {
            (update.facts.kind, update.facts.kb.as_str(), update.facts.architecture.as_str())
        })
        .collect();
    assert_eq!(
        said,
        [
            (Kind::Cumulative, "KB5044284", "x64"),
            (Kind::Cumulative, "KB5044284", "x64"),
            (Kind::Driver, "", "x64"),
            (Kind::Setup, "KB5045000", "x64"),
            (Kind::SafeOs, "KB5044615", "x64"),
            (Kind::Dotnet, "KB5044030", "x64"),
        ]
    );
    assert_eq!(updates[0].facts.builds, [26100]);
    assert_eq!(updates[0].facts.checkpoints.len(), 1);
    assert_eq!(updates[0].facts.contains.len(), 1, "the servicing stack comes with it");
    assert_eq!(updates[2].files, 2);
    assert!(updates[2].facts.title.contains("Net"), "{}", updates[2].facts.title);
    assert_eq!(updates[3].facts.builds, [26100], "from the version of its programs");

    // What was imported is there once, and can be named by its article when that is one update.
    let again = bench.call(&import::Request { files: files[2..3].to_vec() }).await.unwrap();
    assert!(again.updates[0].known && again.new_size == 0);
    assert!(bench.home.db.update("kb5044284").await.unwrap_err().to_string().contains("several"));
    assert_eq!(bench.home.db.update("KB5044615").await.unwrap().id, "UPD00005");

    // The collector leaves what updates use, and takes what a removed one used.
    let before = bench.home.db.object_totals().await.unwrap().0;
    bench.home.collect().await.unwrap();
    assert_eq!(bench.home.db.object_totals().await.unwrap().0, before);
    let removed = bench.json::<super::update::remove::Request>(json!({"update": "UPD00003"})).await;
    assert_eq!(removed.unwrap().objects, 2);
    assert_eq!(bench.home.db.object_totals().await.unwrap().0, before - 2);
    assert!(scratch_is_empty(&bench));
}

async fn what_no_image_takes_is_refused_with_the_reason(database: Database) {
    let bench = Bench::new(database).await;
    let files = vec![
        bench.file("setup.exe", b"MZ and so on"),
        bench.file("office.msp", [0xd0, 0xcf, 0x11, 0xe0, 0xa1]),
        bench.file("app.msix", b"PK\x03\x04"),
        bench.file("notes.txt", b"hello"),
        bench.file("empty.cab", b""),
        bench.file("data.cab", written(cab::CompressionType::None, &[&[("readme.txt", b"x")]])),
    ];
    let refused = bench.call(&import::Request { files }).await.unwrap().refused;
    let reasons: Vec<_> = refused.iter().map(|refused| refused.reason.as_str()).collect();
    for (reason, part) in reasons.iter().zip([
        "has to run in the Windows",
        "Windows Installer",
        "app package",
        "neither a cabinet",
        "neither a cabinet",
        "no package manifest",
    ]) {
        assert!(reason.contains(part), "{reason}");
    }
    // Damage is an error, and nothing stays of the run.
    let broken = bench.cabinet("broken.cab", "<assembly><package/></assembly>");
    let error = bench.call(&import::Request { files: vec![broken] }).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Damaged && error.to_string().contains("update.mum"),
        "{error}"
    );
    assert!(bench.home.db.updates().await.unwrap().is_empty() && scratch_is_empty(&bench));
}

async fn the_inventory_names_every_build(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let request = json!({"package": "OSU00001@1"});
    let found = bench.json::<inventory::Request>(request.clone()).await.unwrap();
    let places: Vec<_> =
        found.wims.iter().map(|wim| (wim.path.as_str(), wim.images.len())).collect();
    assert_eq!(places, [("sources/boot.wim", 2), ("sources/install.wim", 2)]);
    let pro = &found.wims[1].images[1];
    assert_eq!((pro.edition.as_str(), pro.version().as_str()), ("Professional", "26100.1742"));
    assert!(pro.from_registry && !pro.pending && pro.packages.len() == 1, "{pro:?}");
    assert!(pro.notes.iter().any(|note| note.contains("names of no package")), "{:?}", pro.notes);
    let winre = pro.winre.as_ref().unwrap();
    assert_eq!(winre.images[0].version(), "26100.1742");
    assert_eq!(winre.images[0].edition, "WindowsPE");
    // The second time it comes from memory, word for word.
    let again = bench.json::<inventory::Request>(request).await.unwrap();
    assert_eq!(again.wims, found.wims);
    assert!(scratch_is_empty(&bench));
}

async fn the_plan_follows_microsofts_tasks_and_says_what_is_missing(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let files = [
        bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[CHECKPOINT])),
        bench.cabinet("safeos.cab", &manifest(SAFE_OS, "KB5044615", &[])),
        bench.cabinet("ndp.cab", &manifest(DOTNET, "KB5044030", &[])),
        setup_update(&bench),
    ];
    bench.import(&files).await;
    let recipe = json!({"latest": ["cumulative", "safe-os", "dotnet", "setup"]});
    let request = json!({"package": "OSU00001", "recipe": recipe});
    let plan = bench.json::<plan::Request>(request.clone()).await.unwrap();
    assert!(plan.problems.iter().any(|problem| problem.contains("the checkpoint")), "{plan:?}");
    assert!(run(&bench, recipe).await.unwrap_err().to_string().contains("checkpoint"));

    let checkpoint = bench.cabinet("checkpoint.cab", &manifest(CHECKPOINT, "KB5043080", &[]));
    bench.import(&[checkpoint]).await;
    let plan = bench.json::<plan::Request>(request).await.unwrap();
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    let step = |task: u8| plan.steps.iter().find(|step| step.task == Some(task)).unwrap();
    assert_eq!(
        (step(6).by, step(15).by, step(21).by, step(24).by, step(26).by),
        (By::Dism, By::Dism, By::Dism, By::Dism, By::Native)
    );
    assert_eq!(step(22).by, By::Nobody);
    assert_eq!(step(21).updates.len(), 2, "the checkpoint comes with it: {:?}", step(21));
    let numbers: Vec<_> = plan.steps.iter().filter_map(|step| step.task).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    let winre = plan.images.iter().find(|image| image.role == Role::Winre).unwrap();
    let lcu = winre.updates.iter().find(|update| update.called.contains("KB5044284")).unwrap();
    assert_eq!(lcu.state, State::NotRequired);
    assert_eq!(revision(&bench).await, 1);
}

async fn native_work_makes_a_revision_and_shares_what_stays(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    bench.import(&[setup_update(&bench)]).await;
    let new_winre = bench.path("new-winre.wim");
    small_wim(&bench.path("extra"), &new_winre, "WindowsPE", "new-recovery");
    let note = bench.file("note.txt", b"added by servicing");
    let shell = bench.file("shell.dll", b"another shell");
    let objects = bench.home.db.object_totals().await.unwrap();
    let recipe = json!({
        "updates": ["KB5045000"],
        "winre": new_winre,
        "add": [
            {"to": "install.wim", "path": "Windows/note.txt", "source": note},
            {"to": "install.wim:2", "path": "windows/system32/SHELL.dll", "source": shell},
            {"to": "media", "path": "support/note.txt", "source": note},
        ],
        "remove": [{"from": "install.wim:1", "path": "Windows/Core.txt"}],
        "setup_complete": note,
    });
    let done = run(&bench, recipe).await.unwrap();
    assert_eq!(
        (done.state, done.revision, done.base),
        (RunState::Succeeded, Some(2), 1),
        "{done:?}"
    );
    assert!(done.report.checks.iter().all(|check| check.passed), "{:?}", done.report.checks);
    let package = bench.home.db.package("OSU00001").await.unwrap();
    assert_eq!((package.revision.number, package.revision.parent), (2, Some(1)));
    assert!(package.revision.cause.starts_with("servicing: "), "{}", package.revision.cause);

    let decisions: Vec<_> =
        done.report.files.iter().map(|file| (file.path.as_str(), file.decision)).collect();
    assert_eq!(
        decisions,
        [
            ("sources/setuphost.exe", Decision::Replaced),
            ("sources/setupcore.dll", Decision::KeptNewer),
            ("sources/en-us/new.dll", Decision::Added),
            ("sources/same.dll", Decision::Same),
        ]
    );
    assert_eq!(
        bench.media_file("OSU00001", "support/note.txt").await.unwrap(),
        b"added by servicing"
    );

    let wim = bench.wim("OSU00001", "install.wim").await;
    wimlib_verifies(&wim);
    assert_eq!(file_in(&wim, 1, "Windows/note.txt").unwrap(), b"added by servicing");
    assert!(file_in(&wim, 1, "Windows/Core.txt").is_none());
    assert!(file_in(&wim, 2, "Windows/Professional.txt").is_some());
    assert!(file_in(&wim, 2, "Windows/Setup/Scripts/SetupComplete.cmd").is_some());
    assert_eq!(file_in(&wim, 2, WINRE).unwrap(), std::fs::read(&new_winre).unwrap());
    // The other name of the same file shows the new contents, too; the first image has the old one.
    assert_eq!(file_in(&wim, 2, "Windows/WinSxS/amd64_shell/shell.dll").unwrap(), b"another shell");
    assert_ne!(file_in(&wim, 1, "Windows/System32/shell.dll").unwrap(), b"another shell");

    // What did not change is stored once; the base is as it was; the other way back is one command.
    let (_, size) = bench.home.db.object_totals().await.unwrap();
    assert!(done.report.new_size <= size - objects.1, "{} {size}", done.report.new_size);
    let old = bench.home.db.package_at(&"OSU00001@1".parse().unwrap()).await.unwrap();
    let (before, after) = (
        bench.home.db.entries(old.revision.key).await.unwrap(),
        bench.home.db.entries(package.revision.key).await.unwrap(),
    );
    let content = |entries: &[crate::package::model::Entry], path: &str| {
        entries.iter().find(|entry| entry.path.is(path)).cloned().unwrap()
    };
    for path in ["setup.exe", "sources/boot.wim", "sources/setupcore.dll", "sources/same.dll"] {
        assert_eq!(content(&before, path), content(&after, path), "{path}");
    }
    assert!(scratch_is_empty(&bench));

    // Next month starts from the base again, not from what servicing has made.
    let again = run(&bench, json!({"keep": ["Professional"]})).await.unwrap();
    assert_eq!((again.base, again.revision), (1, Some(3)));
    let wim = bench.wim("OSU00001", "install.wim").await;
    assert!(file_in(&wim, 1, "Windows/Professional.txt").is_some());
    assert!(file_in(&wim, 1, "Windows/note.txt").is_none());
    assert_eq!(inventory::open_file(&wim).unwrap().wim.image_count(), 1);

    // A base that is named is the parent, whatever its row is.
    bench.add("Other").await;
    assert_eq!(run(&bench, json!({"keep": ["Core"]})).await.unwrap().revision, Some(4));
    let remove = json!([{"from": "install.wim", "path": "Windows/Core.txt"}]);
    let request = json!({"package": "OSU00001@4", "recipe": {"remove": remove}});
    let last = bench.json::<run::Request>(request).await.unwrap();
    let package = bench.home.db.package("OSU00001").await.unwrap();
    assert_eq!((last.base, package.revision.parent), (4, Some(4)));
}

async fn updates_wait_for_a_worker_and_the_rest_goes_on(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    import_a_month(&bench).await;
    let recipe = json!({"latest": ["cumulative", "safe-os", "setup"]});
    let waiting = run(&bench, recipe).await.unwrap();
    assert_eq!((waiting.state, waiting.revision), (RunState::Waiting, Some(2)), "{waiting:?}");
    assert!(waiting.reason.contains("no worker has ever asked"), "{}", waiting.reason);
    assert!(waiting.report.updates.iter().all(|update| update.became == Became::Waiting));
    assert_eq!(waiting.report.updates.len(), 5, "two images twice, and WinRE once");
    assert!(bench.media_file("OSU00001", "sources/en-us/new.dll").await.is_some());
    // Going on without anything new makes no other revision.
    let retry = json!({"run": waiting.id});
    let still = bench.json::<history::RetryRequest>(retry).await.unwrap();
    assert_eq!((still.state, revision(&bench).await), (RunState::Waiting, 2));

    // A worker whose DISM is too old gets nothing, and the run says so.
    let mut old = EditingStack::new(Fail::Never);
    old.build = 22621;
    assert_eq!(bench.work("old", &mut old).await, 0);
    let still = bench.json::<history::RetryRequest>(json!({"run": waiting.id})).await.unwrap();
    assert!(still.reason.contains("DISM of build 26100"), "{}", still.reason);

    let mut stack = EditingStack::new(Fail::Never);
    bench.work("win", &mut stack).await;
    let done = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!((done.state, done.revision), (RunState::Succeeded, Some(3)), "{}", done.reason);
    assert_eq!(history(&bench).await.len(), 1);
    let failed: Vec<_> = done.report.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let found = bench.json::<inventory::Request>(json!({"package": "OSU00001"})).await.unwrap();
    for image in found.wims.iter().flat_map(|wim| &wim.images) {
        assert_eq!(image.version(), "26100.2033", "{}", image.name);
        assert!(image.installed().any(|package| package.to_string() == ROLLUP));
    }
    let winre = found.wims[1].images[0].winre.as_ref().unwrap();
    assert!(winre.images[0].installed().any(|package| package.to_string() == SAFE_OS));
    let wim = bench.wim("OSU00001", "install.wim").await;
    wimlib_verifies(&wim);
    assert!(bench.media_file("OSU00001", "sources/en-us/new.dll").await.is_some());
    // Setup on the media: from the Setup update, which is newer than the one in boot.wim now.
    let host = done.report.files.iter().filter(|file| file.path == "sources/setuphost.exe");
    let host: Vec<_> = host.map(|file| (file.update.as_str(), file.decision)).collect();
    assert_eq!(host, [("UPD00003", Decision::Replaced), ("boot.wim", Decision::KeptNewer)]);

    // Asked again, the tasks are found done: no worker is needed.
    let again = run(&bench, json!({"latest": ["cumulative", "safe-os", "setup"]})).await.unwrap();
    assert_eq!(again.state, RunState::Succeeded);
    assert!(scratch_is_empty(&bench));
    // Where the current revision has updates, it is not followed by one without them meanwhile.
    let recipe = json!({"latest": ["cumulative", "safe-os", "setup"], "on_error": "continue"});
    let waiting = run(&bench, recipe).await.unwrap();
    assert_eq!((waiting.state, waiting.revision), (RunState::Waiting, None), "{}", waiting.reason);
    assert!(waiting.reason.contains("revision 3 stays for now"), "{}", waiting.reason);
    assert_eq!(revision(&bench).await, 3);
}

async fn whatever_fails_nothing_published_changes_and_the_next_run_is_clean(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let recipe = json!({"updates": ["KB5044284"], "keep": ["Core"], "superseded": "remove"});
    let before = bench.home.db.package("OSU00001").await.unwrap().revision.digest;
    let mut runs = 0;
    for (fail, reason) in [
        (Fail::Stale, "discarding stale mounts"),
        (Fail::Mount, "already mounted"),
        (Fail::Update, "lacks a servicing stack"),
        (Fail::CleanUp, "pending actions"),
        (Fail::Commit, "too new for this DISM"),
        (Fail::Export, "the disk is full"),
        (Fail::Garbage, "is no WIM"),
    ] {
        let before_run = revision(&bench).await;
        let waiting = run(&bench, recipe.clone()).await.unwrap();
        runs += 1;
        assert_eq!(waiting.state, RunState::Waiting, "{fail:?}: {}", waiting.reason);
        let mut stack = EditingStack::new(fail);
        bench.work("win", &mut stack).await;
        let failed = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
        assert_eq!(failed.state, RunState::Failed, "{fail:?}: {}", failed.reason);
        assert!(failed.reason.contains(reason), "{fail:?}: {}", failed.reason);
        assert_eq!(failed.reason.lines().count(), 1, "{}", failed.reason);
        assert!(stack.calls[0] == "discard stale");
        if !matches!(fail, Fail::Stale | Fail::Export | Fail::Garbage) {
            assert!(stack.calls.contains(&"discard".into()), "{fail:?}: {:?}", stack.calls);
        }
        // Only what was done natively while it waited is there; the images have no update.
        assert!(revision(&bench).await <= before_run + 1);
        assert!(scratch_is_empty(&bench), "{fail:?}");
        assert_eq!(history(&bench).await.len(), runs);
    }
    let base = bench.home.db.package_at(&"OSU00001@1".parse().unwrap()).await.unwrap();
    assert_eq!(base.revision.digest, before);
    let waiting = run(&bench, recipe).await.unwrap();
    let mut stack = EditingStack::new(Fail::Never);
    bench.work("win", &mut stack).await;
    let done = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!(done.state, RunState::Succeeded, "{}", done.reason);
    assert!(stack.calls.contains(&"clean up".into()));
}

async fn a_wrong_result_does_not_pass_the_checks(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    for (fail, reason) in [
        (Fail::WrongBuild, "the worker says 26100.9999, the image has 26100.2033"),
        (Fail::LosesFiles, "lost: /Windows/System32/shell.dll"),
    ] {
        let waiting = run(&bench, json!({"updates": ["KB5044284"]})).await.unwrap();
        assert_eq!(waiting.revision, None, "nothing native was asked for");
        let mut stack = EditingStack::new(fail);
        bench.work("win", &mut stack).await;
        let failed = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
        assert_eq!(failed.state, RunState::Failed, "{fail:?}");
        assert!(failed.reason.contains(reason), "{fail:?}: {}", failed.reason);
        assert_eq!(revision(&bench).await, 1);
        assert!(failed.report.checks.iter().any(|check| !check.passed), "the report is kept");
        // What was wrong is not taken again: the next run has it made anew.
    }
}

async fn a_lost_worker_gives_its_task_to_another_until_it_counts_as_failed(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let waiting = run(&bench, json!({"updates": ["KB5044284"], "keep": ["Core"]})).await.unwrap();
    let facts = work::Facts { build: 26100, stack: String::new() };
    let claim = |name: &str| work::ClaimRequest { worker: name.into(), facts: facts.clone() };
    for number in 0..3 {
        let name = format!("lost-{number}");
        let now = Moment::now();
        let lost = Claim { worker: &name, by: "token:x", word: &name, until: Moment(0) };
        for task in bench.home.db.open_tasks(&name, "token:x", now).await.unwrap() {
            assert!(bench.home.db.claim_task(&task.id, &lost, now).await.unwrap());
        }
    }
    // One that was thought lost does nothing any more.
    let none = bench.call(&claim("fourth")).await.unwrap();
    assert!(none.is_none(), "{none:?}");
    let ghost = bench.home.db.renew_claim("lost-2", "token:x", Moment::now()).await.unwrap_err();
    assert_eq!(ghost.kind(), ErrorKind::NotFound);
    let error = bench.json::<history::RetryRequest>(json!({"run": waiting.id})).await.unwrap_err();
    assert!(error.to_string().contains("was lost with it"), "{error}");

    // A new run opens the tasks again; a claimed one is nobody else's, and a stranger's report is none.
    let waiting = run(&bench, json!({"updates": ["KB5044284"], "keep": ["Core"]})).await.unwrap();
    assert_eq!(waiting.state, RunState::Waiting);
    let claimed = bench.call(&claim("one")).await.unwrap().unwrap();
    assert_eq!(claimed.input.size, claimed.task.size);
    assert_eq!(claimed.updates[0].files.len(), 1);
    let again = bench.call(&claim("one")).await.unwrap().unwrap();
    assert!(again.id == claimed.id && again.claim != claimed.claim, "it began anew");
    let other = bench.call(&claim("two")).await.unwrap();
    assert!(other.is_none_or(|other| other.id != claimed.id));
    for stale in [claimed.claim.as_str(), "two", ""] {
        let report = json!({"claim": stale, "report": {"failure": "no"}});
        let error = bench.json::<work::ReportRequest>(report).await.unwrap_err();
        assert!(error.to_string().contains("holds no task"), "{error}");
    }
    let offer =
        |objects: serde_json::Value| json!({"claim": again.claim, "first": 0, "objects": objects});
    for (objects, reason) in [
        (json!([["../../etc/passwd", 4]]), "is no object"),
        (json!([["0".repeat(64), 0]]), "1 to 8388608 bytes"),
        (json!([["0".repeat(64), 8_388_609]]), "1 to 8388608 bytes"),
        (json!(vec![json!(["0".repeat(64), 1]); 8_001]), "8000 is the most"),
        (json!(vec![json!(["0".repeat(64), 8_388_608]); 1_500]), "more than can come of this task"),
    ] {
        let error = bench.json::<work::OfferRequest>(offer(objects)).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    let gap = json!({"claim": again.claim, "first": 5, "objects": []});
    let error = bench.json::<work::OfferRequest>(gap).await.unwrap_err();
    assert!(error.to_string().contains("offered in order"), "{error}");
    // What has not come cannot be reported, and other bytes do not come under a name.
    let piece = bytes::Bytes::from_static(b"piece");
    let id = crate::store::layout::ObjectId::of(&piece);
    let home = &bench.home;
    let unoffered = work::take_piece(home, &again.claim, &id, &piece).await.unwrap_err();
    assert_eq!(unoffered.kind(), ErrorKind::NotFound);
    let missing = bench.json::<work::OfferRequest>(offer(json!([[id.to_string(), 5]]))).await;
    assert_eq!(missing.unwrap().missing, [0]);
    let forged = bytes::Bytes::from_static(b"other");
    assert!(work::take_piece(home, &again.claim, &id, &forged).await.is_err());
    let output = json!({"size": 5, "sha256": "0".repeat(64)});
    let report = json!({"claim": again.claim, "report": {}, "output": output});
    let error = bench.json::<work::ReportRequest>(report.clone()).await.unwrap_err();
    assert!(error.to_string().contains("1 of them have not come"), "{error}");
    work::take_piece(home, &again.claim, &id, &piece).await.unwrap();
    bench.home.collect().await.unwrap();
    let there =
        bench.json::<work::OfferRequest>(offer(json!([[id.to_string(), 5]]))).await.unwrap();
    assert!(there.missing.is_empty(), "no collector takes what is on its way");
    // It is read by the run: what is not what the worker said makes no revision.
    bench.json::<work::ReportRequest>(report).await.unwrap();
    let error = bench.json::<history::RetryRequest>(json!({"run": waiting.id})).await.unwrap_err();
    assert!(error.to_string().contains("is not the one that it made"), "{error}");
    assert!(home.db.object_size(&id).await.unwrap().is_none(), "and its pieces are let go");

    // What a worker says is bounded, on one line, and about its task.
    let waiting = run(&bench, json!({"updates": ["KB5044284"], "keep": ["Core"]})).await.unwrap();
    let claimed = bench.call(&claim("one")).await.unwrap().unwrap();
    let index = claimed.task.images[0].index;
    let said = |index: u32, update: &str| {
        json!({"wim": "x", "index": index, "update": update,
        "called": "\u{1b}[31m", "became": "failed", "hresult": "0x1", "reason": "a\r\nb\u{1b}[2J"})
    };
    let updates = [
        said(index, "UPD00001"),
        said(index, "UPD00001"),
        said(index, "UPD9"),
        said(99, "UPD00001"),
    ];
    let report = json!({"failure": "x\n".repeat(100_000), "updates": updates,
        "excerpts": [{"log": "a\nb", "text": "é".repeat(100_000)}]});
    let report = json!({"claim": claimed.claim, "report": report});
    bench.json::<work::ReportRequest>(report).await.unwrap();
    let kept = bench.home.db.servicing_task(&claimed.id).await.unwrap().unwrap().report;
    assert_eq!((kept.updates.len(), kept.updates[0].reason.as_str()), (1, "a b [2J"), "{kept:?}");
    assert!(kept.updates[0].called.contains("KB5044284"), "{}", kept.updates[0].called);
    assert!(kept.failure.len() == 1000 && kept.failure.lines().count() == 1);
    assert!(kept.excerpts[0].text.len() <= 64 << 10 && kept.excerpts[0].log == "a b");
    assert!(bench.json::<history::RetryRequest>(json!({"run": waiting.id})).await.is_err());

    let waiting = run(&bench, json!({"updates": ["KB5044284"], "keep": ["Core"]})).await.unwrap();
    let claimed = bench.call(&claim("one")).await.unwrap().unwrap();
    let cancelled = bench.json::<history::CancelRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!(cancelled.state, RunState::Cancelled);
    let report = json!({"claim": claimed.claim, "report": {"failure": "late"}});
    let error = bench.json::<work::ReportRequest>(report).await.unwrap_err();
    assert!(error.to_string().contains("holds no task"), "{error}");
}

async fn updates_that_are_not_applicable_are_no_failure(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let waiting = run(&bench, json!({"updates": ["KB5044284"]})).await.unwrap();
    let mut stack = EditingStack::new(Fail::NotApplicable);
    bench.work("win", &mut stack).await;
    let done = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!(done.state, RunState::Succeeded, "{}", done.reason);
    assert!(done.report.updates.iter().all(|update| update.became == Became::NotApplicable));
}

async fn placed_updates_are_not_put_in(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let driver = bench.path("driver");
    put(&driver.join("net.inf"), b"[Version]\r\nClass=Net\r\n");
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[driver, lcu]).await;
    let answer =
        bench.file("answer.xml", b"<unattend xmlns='urn:schemas-microsoft-com:unattend'/>");
    let recipe = json!({"place": ["UPD00001", "UPD00002"], "answer_file": answer});
    let done = run(&bench, recipe).await.unwrap();
    assert_eq!(done.state, RunState::Succeeded, "{}", done.reason);
    let file = |path: &'static str| bench.media_file("OSU00001", path);
    assert!(file("$WinPEDriver$/UPD00001/net.inf").await.is_some());
    assert!(file("sources/$OEM$/$$/Setup/Updates/lcu.cab").await.is_some());
    let script = file("sources/$OEM$/$$/Setup/Scripts/SetupComplete.cmd").await.unwrap();
    let script = String::from_utf8(script).unwrap();
    assert!(script.contains(r"/PackagePath:%WINDIR%\Setup\Updates\lcu.cab"), "{script}");
    assert!(file("autounattend.xml").await.is_some());
    let found = bench.json::<inventory::Request>(json!({"package": "OSU00001"})).await.unwrap();
    assert!(found.wims.iter().flat_map(|wim| &wim.images).all(|image| image.revision == 1742));

    let bad = bench.file("bad.xml", b"<html/>");
    let error = run(&bench, json!({"answer_file": bad})).await.unwrap_err();
    assert!(error.to_string().contains("<html>, not <unattend>"), "{error}");
    let error = run(&bench, json!({"remove": [{"from": "media", "path": "nothing"}]})).await;
    assert!(error.unwrap_err().to_string().contains("hold no nothing"));
    assert_eq!(revision(&bench).await, 2);
    let states: Vec<_> = history(&bench).await.into_iter().map(|run| run.state).collect();
    assert_eq!(states, [RunState::Failed, RunState::Failed, RunState::Succeeded]);
}

on_both!(
    updates_of_every_form_are_told_apart,
    what_no_image_takes_is_refused_with_the_reason,
    the_inventory_names_every_build,
    the_plan_follows_microsofts_tasks_and_says_what_is_missing,
    native_work_makes_a_revision_and_shares_what_stays,
    updates_wait_for_a_worker_and_the_rest_goes_on,
    whatever_fails_nothing_published_changes_and_the_next_run_is_clean,
    a_wrong_result_does_not_pass_the_checks,
    a_lost_worker_gives_its_task_to_another_until_it_counts_as_failed,
    updates_that_are_not_applicable_are_no_failure,
    placed_updates_are_not_put_in
);
