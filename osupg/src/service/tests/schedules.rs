//! A policy at work, with a clock that the test sets.

use super::*;
use crate::jobs;
use crate::jobs::model::{Priority, State as JobState};
use crate::operation::Operation;
use crate::points;
use crate::schedule;

const DAY: i64 = 24 * 3_600 * 1_000_000;

/// Adds a point that is a folder, alone in a group of this name.
async fn group(bench: &Bench, name: &str) -> std::path::PathBuf {
    let folder = bench.path(&format!("point-{name}"));
    std::fs::create_dir(&folder).unwrap();
    let point = format!("{name} point");
    let add = json!({"name": point, "kind": "folder", "target": folder});
    bench.json::<points::manage::Add>(add).await.unwrap();
    bench.json::<points::group::Add>(json!({"name": name})).await.unwrap();
    let member = json!({"group": name, "point": point});
    bench.json::<points::group::AddMember>(member).await.unwrap();
    folder
}

fn whole_minutes(moment: Moment) -> i64 {
    moment.0 / 60_000_000
}

async fn patch_tuesday_and_five_days_goes_to_pilot_and_a_week_later_to_all(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let (pilot, all) = (group(&bench, "Pilot").await, group(&bench, "All").await);
    let recipe = json!({"latest": ["cumulative", "dotnet", "setup"]});
    let publish = json!([{"to": ["Pilot"]}, {"to": ["All"], "after_days": 7}]);
    let request = json!({"package": "OSU00001", "recipe": recipe, "publish": publish});
    let add = json!({"name": "Monthly", "when": "Patch Tuesday + 5 days 22:00 UTC",
        "operation": "service.run", "request": request});
    let shown = bench.json::<schedule::Add>(add).await.unwrap();
    let due = shown.upcoming[0];
    // Updates that come after the schedule was made are what a later run puts in.
    let files = [
        bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[])),
        bench.cabinet("ndp.cab", &manifest(DOTNET, "KB5044030", &[])),
        setup_update(&bench),
    ];
    bench.import(&files).await;
    let tick = async |now: Moment| {
        let submit = |key, due| jobs::submit_due(bench.home.clone(), key, due);
        schedule::tick_with(&bench.home, now, submit).await.unwrap().submitted
    };
    assert_eq!((tick(Moment(due.0 - 1)).await, tick(due).await, tick(due).await), (0, 1, 0));
    assert_eq!(bench.do_jobs(due).await, ["service.run"]);
    let waiting = history(&bench).await.remove(0);
    assert_eq!(waiting.state, RunState::Waiting, "{}", waiting.reason);
    assert!(bench.do_jobs(Moment(due.0 + 30 * DAY)).await.is_empty(), "nothing is published yet");

    bench.work("win", &mut EditingStack::new(Fail::Never)).await;
    let done = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!(done.state, RunState::Succeeded, "{}", done.reason);
    let installed = |kind: &str| {
        done.report.updates.iter().any(|u| u.called.contains(kind) && u.became == Became::Installed)
    };
    assert!(installed("cumulative") && installed("dotnet") && !done.report.files.is_empty());
    let revision = done.revision.unwrap();

    // What is asked for at once, and what waits a week.
    let now = Moment::now();
    let queued = jobs::list(&bench.home, &jobs::Selection::default()).await.unwrap();
    let publishing: Vec<_> = queued.iter().filter(|job| job.operation == "point.publish").collect();
    assert_eq!(publishing.len(), 2, "{queued:?}");
    let mut waits: Vec<_> =
        publishing.iter().map(|job| whole_minutes(job.not_before) - whole_minutes(now)).collect();
    waits.sort_unstable();
    assert!(waits[0] <= 0 && (7 * 24 * 60 - 5..=7 * 24 * 60).contains(&waits[1]), "{waits:?}");
    let ran = bench.do_jobs(Moment(now.0 + 60_000_000)).await;
    assert!(
        ran.contains(&"point.publish".into()) && ran.contains(&"point.deliver".into()),
        "{ran:?}"
    );
    let there = |folder: &std::path::Path| {
        std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
            let path = entry.path();
            path.join("setup.exe").exists() || path.join("sources").exists()
        })
    };
    assert!(there(&pilot) && !there(&all), "Pilot has it, All has not");
    bench.do_jobs(Moment(now.0 + 6 * DAY)).await;
    assert!(!there(&all));
    let ran = bench.do_jobs(Moment(now.0 + 7 * DAY + 60_000_000)).await;
    assert_eq!(ran, ["point.publish", "point.deliver"]);
    assert!(there(&all));
    let package = bench.home.db.package("OSU00001").await.unwrap();
    assert_eq!(package.revision.number, revision);

    // Next month: nothing new was imported, so nothing is made and nothing published.
    let next = bench.json::<schedule::Show>(json!({"schedule": "Monthly"})).await.unwrap();
    assert_eq!(tick(next.upcoming[0]).await, 1);
    assert_eq!(bench.do_jobs(next.upcoming[0]).await, ["service.run"]);
    let again = history(&bench).await.remove(0);
    assert_eq!((again.state, again.revision), (RunState::Succeeded, None), "{}", again.reason);
    assert!(again.reason.contains("was made of the same"), "{}", again.reason);
    let failed = jobs::Selection { state: Some(JobState::Failed), ..jobs::Selection::default() };
    assert!(jobs::list(&bench.home, &failed).await.unwrap().is_empty());
}

async fn going_on_after_an_error_is_chosen_and_publishes_nothing(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    group(&bench, "Pilot").await;
    let files = [
        bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[])),
        bench.cabinet("ndp.cab", &manifest(DOTNET, "KB5044030", &[])),
    ];
    bench.import(&files).await;
    for (on_error, state) in [("stop", RunState::Failed), ("continue", RunState::Succeeded)] {
        let recipe = json!({"latest": ["cumulative", "dotnet"], "on_error": on_error});
        let publish = json!([{"to": ["Pilot"]}]);
        let request = json!({"package": "OSU00001", "recipe": recipe, "publish": publish});
        let waiting = bench.json::<run::Request>(request).await.unwrap();
        bench.work("win", &mut EditingStack::new(Fail::Dotnet)).await;
        let done = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
        assert_eq!(done.state, state, "{}", done.reason);
        let became = |called: &str, became: Became| {
            let of = done.report.updates.iter().filter(|update| update.called.contains(called));
            of.clone().count() > 0 && of.clone().all(|update| update.became == became)
        };
        assert!(became("dotnet", Became::Failed), "{:?}", done.report.updates);
        assert!(done.report.updates.iter().any(|update| update.hresult == "0x800F081F"));
        if state == RunState::Succeeded {
            assert!(became("cumulative", Became::Installed));
            assert!(
                done.reason.contains("2 updates failed; it is not published"),
                "{}",
                done.reason
            );
        }
        let all = jobs::list(&bench.home, &jobs::Selection::default()).await.unwrap();
        assert!(all.iter().all(|job| job.operation != "point.publish"), "{all:?}");
    }
    let found = bench.json::<inventory::Request>(json!({"package": "OSU00001"})).await.unwrap();
    assert!(found.wims[1].images.iter().all(|image| image.version() == "26100.2033"));
}

async fn a_schedule_can_hold_on_to_a_base_and_happen_once(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let note = bench.file("note.txt", b"note");
    let add = json!([{"to": "install.wim", "path": "Windows/note.txt", "source": note}]);
    run(&bench, json!({"add": add})).await.unwrap();
    let remove = json!([{"from": "install.wim", "path": "Windows/note.txt"}]);
    for (package, when) in [("OSU00001@2", "in 2 hours"), ("OSU00001@9", "in 2 hours")] {
        let request = json!({"package": package, "recipe": {"remove": remove}});
        let add =
            json!({"name": package, "when": when, "operation": "service.run", "request": request});
        let added = bench.json::<schedule::Add>(add).await;
        assert_eq!(added.is_ok(), package == "OSU00001@2", "{added:?}");
    }
    let shown = bench.json::<schedule::Show>(json!({"schedule": "OSU00001@2"})).await.unwrap();
    let submit = |key, due| jobs::submit_due(bench.home.clone(), key, due);
    let due = shown.upcoming[0];
    assert_eq!(schedule::tick_with(&bench.home, due, submit).await.unwrap().submitted, 1);
    assert_eq!(bench.do_jobs(due).await, ["service.run"]);
    let done = history(&bench).await.remove(0);
    // From the newest pristine revision, 1, this run would fail: there is no such file.
    assert_eq!((done.base, done.state), (2, RunState::Succeeded), "{}", done.reason);
    let shown = bench.json::<schedule::Show>(json!({"schedule": "OSU00001@2"})).await.unwrap();
    assert!(shown.upcoming.is_empty());
}

/// Says what it is told, and stops its command when that begins to wait.
struct Impatient(wim_extract::Cancel, std::sync::Mutex<Vec<String>>);

impl crate::progress::Progress for Impatient {
    fn note(&self, words: &str) {
        self.1.lock().unwrap().push(words.to_string());
        if words.starts_with("waiting for job") {
            self.0.cancel();
        }
    }
}

/// Two machines with folders of their own and one database: a run of a package keeps the other out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_run_at_a_time_whatever_the_machine() {
    let first = Bench::new(Database::Sqlite).await;
    let database = crate::db::tests::fresh_postgres();
    let open = async |name: &str| {
        let config = crate::config::Config {
            home: Some(first.path(name)),
            library: Some(format!("file://{}", first.path("shared").display())),
            database: Some(database.clone()),
            ..crate::config::Config::default()
        };
        crate::home::Home::open_with(config).await.unwrap()
    };
    std::fs::create_dir(first.path("shared")).unwrap();
    let (one, two) = (open("one").await, open("two").await);
    let media = first.media();
    let add: crate::package::add::Request =
        serde_json::from_value(json!({"source": media, "name": "Sample"})).unwrap();
    add.run(&one, first.watch()).await.unwrap();
    let now = one.db.now().await.unwrap();
    let request = json!({"package": "OSU00001", "recipe": {"keep": ["Core"]}});
    let text = request.to_string();
    let job = crate::db::jobs::NewJob {
        key: None,
        operation: "service.run",
        request: &text,
        subject: "OSU00001",
        by: "one",
        place: jobs::model::Place::Worker,
        priority: Priority::Normal,
        not_before: now,
    };
    let held = one.db.add_running_job(&job, "one/1", now).await.unwrap().unwrap();
    let cancel = wim_extract::Cancel::new();
    let impatient = Impatient(cancel.clone(), std::sync::Mutex::default());
    let watch = crate::progress::Watch { progress: &impatient, cancel: &cancel };
    let request: run::Request = serde_json::from_value(request).unwrap();
    let stopped = jobs::foreground(&two, &request, watch).await.unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled);
    let notes = impatient.1.lock().unwrap().join("\n");
    assert!(notes.contains("service.run of OSU00001"), "{notes}");
    assert!(two.db.servicing_runs(None, 10).await.unwrap().is_empty(), "it has not begun");
    let ending = crate::db::jobs::Ending::Cancelled("done".into());
    one.db.end_job(&held, &ending, "done", now).await.unwrap();
    let done = jobs::foreground(&two, &request, first.watch()).await.unwrap();
    assert_eq!((done.state, done.revision), (RunState::Succeeded, Some(2)), "{}", done.reason);
}

on_both!(
    patch_tuesday_and_five_days_goes_to_pilot_and_a_week_later_to_all,
    going_on_after_an_error_is_chosen_and_publishes_nothing,
    a_schedule_can_hold_on_to_a_base_and_happen_once
);
