//! Tasks and those who wait for them: whoever waits goes on, and no worker loses what it has done.

use super::super::stack::Report;
use super::*;
use crate::home::Home;
use crate::jobs::{self, Selection};
use crate::operation::Operation;

fn facts() -> work::Facts {
    work::Facts { build: 26100, stack: "DISM 10.0.26100.1".into() }
}

/// Claims a task in the name of somebody.
async fn claim(bench: &Bench, home: &Home, worker: &str) -> Option<work::Claimed> {
    let request = work::ClaimRequest { worker: worker.into(), facts: facts() };
    request.run(home, bench.watch()).await.unwrap()
}

async fn report_failure(bench: &Bench, home: &Home, claim: &str) {
    let report = Report { failure: "no".into(), ..Report::default() };
    let request = work::ReportRequest { claim: claim.into(), report, output: None };
    let _ = request.run(home, bench.watch()).await.unwrap();
}

async fn state(bench: &Bench, run: &Run) -> RunState {
    bench.home.db.servicing_run(&run.id).await.unwrap().state
}

/// Runs of both packages that wait for the same tasks.
async fn both_wait(bench: &Bench, recipe: serde_json::Value) -> [Run; 2] {
    let mut runs = Vec::new();
    for package in ["OSU00001", "OSU00002"] {
        let request = json!({"package": package, "recipe": recipe});
        let waiting = bench.json::<run::Request>(request).await.unwrap();
        assert_eq!(waiting.state, RunState::Waiting, "{}", waiting.reason);
        runs.push(waiting);
    }
    runs.try_into().unwrap()
}

async fn all_runs_that_wait_for_a_task_go_on(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    bench.add("Other").await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let recipe = |superseded: &str, on_error: &str| {
        json!({"updates": ["KB5044284"], "keep": ["Core"], "superseded": superseded,
        "on_error": on_error})
    };

    // The worker goes on with one of them; the other goes on as a job.
    let [one, other] = both_wait(&bench, recipe("keep", "stop")).await;
    assert!(bench.work("win", &mut EditingStack::new(Fail::Never)).await > 0);
    let mut states = [state(&bench, &one).await, state(&bench, &other).await];
    states.sort_by_key(|state| state.word());
    assert_eq!(states, [RunState::Succeeded, RunState::Waiting]);
    bench.do_jobs(Moment::now()).await;
    assert_eq!(state(&bench, &one).await, RunState::Succeeded);
    assert_eq!(state(&bench, &other).await, RunState::Succeeded);

    // A task that failed has failed for everybody who waited for it.
    let [one, other] = both_wait(&bench, recipe("remove", "stop")).await;
    bench.work("win", &mut EditingStack::new(Fail::Mount)).await;
    bench.do_jobs(Moment::now()).await;
    assert_eq!(state(&bench, &one).await, RunState::Failed);
    assert_eq!(state(&bench, &other).await, RunState::Failed);

    // What one does not want any more, the other gets; what nobody wants, nobody does.
    let [one, other] = both_wait(&bench, recipe("remove", "continue")).await;
    bench.json::<history::CancelRequest>(json!({"run": one.id})).await.unwrap();
    assert!(bench.work("win", &mut EditingStack::new(Fail::Never)).await > 0);
    bench.do_jobs(Moment::now()).await;
    assert_eq!(state(&bench, &other).await, RunState::Succeeded);
    let both = both_wait(&bench, recipe("keep", "continue")).await;
    for run in &both {
        bench.json::<history::CancelRequest>(json!({"run": run.id})).await.unwrap();
    }
    assert!(claim(&bench, &bench.home, "win").await.is_none());
}

async fn no_report_comes_at_a_bad_moment(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let recipe = json!({"updates": ["KB5044284"], "keep": ["Core"]});
    let stranger = bench.home.acting_for("token:win");
    let submitted = async || jobs::list(&bench.home, &Selection::default()).await.unwrap();

    // While the run builds its WIMs: it goes on again when it is done with that.
    let waiting = run(&bench, recipe.clone()).await.unwrap();
    assert_eq!(waiting.made_by, bench.home.by());
    let claimed = claim(&bench, &stranger, "win").await.unwrap();
    let under_way = Run { state: RunState::Running, ..waiting.clone() };
    bench.home.db.run_begins(&under_way).await.unwrap();
    report_failure(&bench, &stranger, &claimed.claim).await;
    bench.home.db.run_stands(&waiting).await.unwrap();
    let after = submitted().await;
    assert_eq!(after.len(), 1, "{after:?}");
    // Whoever reported does not run anything in the store: whoever began the run does.
    assert_eq!(after[0].by, bench.home.by());
    assert_eq!(bench.do_jobs(Moment::now()).await, ["service.run"]);
    assert_eq!(state(&bench, &waiting).await, RunState::Failed);

    // When the process ends right after: the run goes on once a worker asks, and once only.
    let waiting = run(&bench, recipe.clone()).await.unwrap();
    let claimed = claim(&bench, &stranger, "win").await.unwrap();
    let report = Report { failure: "no".into(), ..Report::default() };
    bench.home.db.report_task(&claimed.claim, stranger.by(), &report, None).await.unwrap();
    assert_eq!(submitted().await.len(), 1);
    claim(&bench, &stranger, "win").await;
    claim(&bench, &stranger, "win").await;
    assert_eq!(submitted().await.len(), 2);
    assert_eq!(bench.do_jobs(Moment::now()).await, ["service.run"]);
    assert_eq!(state(&bench, &waiting).await, RunState::Failed);

    // When the task is gone, it is made anew.
    let waiting = run(&bench, recipe).await.unwrap();
    let claimed = claim(&bench, &stranger, "win").await.unwrap();
    bench.home.db.forget_task(&claimed.id).await.unwrap();
    claim(&bench, &stranger, "win").await;
    assert_eq!(bench.do_jobs(Moment::now()).await, ["service.run"]);
    assert_eq!(state(&bench, &waiting).await, RunState::Waiting);
    assert!(bench.home.db.servicing_task(&claimed.id).await.unwrap().is_some());
}

async fn a_worker_that_begins_anew_keeps_what_it_has_done(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let files = [
        bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[])),
        bench.cabinet("safeos.cab", &manifest(SAFE_OS, "KB5044615", &[])),
    ];
    bench.import(&files).await;
    run(&bench, json!({"latest": ["cumulative", "safe-os"]})).await.unwrap();
    let (db, home) = (&bench.home.db, bench.home.acting_for("token:x"));
    let now = db.now().await.unwrap();
    let open = db.open_tasks("mine", "token:x", now).await.unwrap();
    assert!(open.len() > 1, "{open:?}");

    // Its own task comes before one that was lost earlier.
    let lost = Claim { worker: "lost", by: "token:x", word: "lost", until: Moment(0) };
    assert!(db.claim_task(&open[0].id, &lost, Moment(now.0 - 2)).await.unwrap());
    let mine = Claim { worker: "mine", by: "token:x", word: "mine", until: Moment(i64::MAX) };
    assert!(db.claim_task(&open[1].id, &mine, Moment(now.0 - 1)).await.unwrap());
    let again = claim(&bench, &home, "mine").await.unwrap();
    assert_eq!(again.id, open[1].id);

    // Who got somewhere is no lost worker, however often it begins anew.
    let again = claim(&bench, &home, "mine").await.unwrap();
    let offer = json!({"claim": again.claim, "first": 0, "objects": [["0".repeat(64), 1]]});
    let offer: work::OfferRequest = serde_json::from_value(offer).unwrap();
    offer.run(&home, bench.watch()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(claim(&bench, &home, "mine").await.unwrap().id, open[1].id);
    }

    // A task that was reported since it was read as lost is not.
    let read = db.open_tasks("mine", "token:x", now).await.unwrap().remove(0);
    assert_eq!((read.id.as_str(), read.attempts), (open[1].id.as_str(), 3));
    let last = Claim { word: "last", ..mine };
    assert!(db.claim_task(&read.id, &last, now).await.unwrap());
    let report = Report { failure: "lost".into(), ..Report::default() };
    assert!(!db.end_lost_task(&read, &last, &report, now).await.unwrap(), "it was claimed");
    report_failure(&bench, &home, "last").await;
    assert!(!db.end_lost_task(&read, &last, &report, now).await.unwrap(), "it was reported");
    assert_eq!(db.servicing_task(&read.id).await.unwrap().unwrap().report.failure, "no");

    // What is left of tasks that it does not have any more goes.
    let folder = bench.path("worker-old/tasks/x");
    put(&folder.join("report.json"), b"{}");
    let mut old = EditingStack::new(Fail::Never);
    old.build = 22621;
    assert_eq!(bench.work("old", &mut old).await, 0);
    assert!(!folder.exists());
}

async fn what_is_known_of_workers_is_bounded(database: Database) {
    let bench = Bench::new(database).await;
    for stack in ["x".repeat(201), "two\nlines".into()] {
        let facts = work::Facts { stack, ..facts() };
        let request = work::ClaimRequest { worker: "win".into(), facts };
        let error = bench.call(&request).await.unwrap_err();
        assert!(error.to_string().contains("at most 200 characters"), "{error}");
    }
    const DAY: i64 = 24 * 3_600 * 1_000_000;
    let (db, now) = (&bench.home.db, Moment::now());
    let facts = serde_json::to_string(&facts()).unwrap();
    let before = Moment(now.0 - 2 * DAY);
    for number in 0..1_000 {
        db.worker_seen(&format!("win-{number}"), &facts, before).await.unwrap();
    }
    let reason = work::why_none(&bench.home, 26100).await.unwrap().unwrap();
    assert!(reason.contains("no worker has asked for work since"), "{reason}");
    let error = db.worker_seen("one more", &facts, now).await.unwrap_err();
    assert!(error.to_string().contains("no more may"), "{error}");
    db.worker_seen("win-7", &facts, now).await.unwrap();
    assert_eq!(work::why_none(&bench.home, 26100).await.unwrap(), None);
    db.worker_seen("one more", &facts, Moment(before.0 + 31 * DAY)).await.unwrap();
    assert_eq!(db.servicing_workers().await.unwrap().len(), 2);
}

on_both!(
    all_runs_that_wait_for_a_task_go_on,
    no_report_comes_at_a_bad_moment,
    a_worker_that_begins_anew_keeps_what_it_has_done,
    what_is_known_of_workers_is_bounded
);
