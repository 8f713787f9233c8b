//! Schedules against a database: who takes up what, and when.

use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::db::tests::{Database, on_both};
use crate::home::tests::open;
use crate::progress::Silent;

const HOUR: i64 = 3_600_000_000;

async fn home(database: Database) -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let home = open(folder.path(), database).await;
    (folder, home)
}

async fn call<O: Operation>(home: &Home, request: O) -> Result<O::Outcome> {
    let cancel = wim_extract::Cancel::new();
    request.run(home, Watch { progress: &Silent, cancel: &cancel }).await
}

fn add(name: &str, when: &str) -> Add {
    Add {
        name: name.into(),
        when: when.into(),
        operation: "package.list".into(),
        request: json!({}),
        missed: Missed::Once,
    }
}

/// Collects what is submitted, as the queue of jobs would.
#[derive(Default)]
struct Queue(Mutex<Vec<String>>);

impl Queue {
    async fn tick(&self, home: &Home, now: Moment) -> Ticked {
        let submit = async |key: String, _: Schedule| {
            let mut jobs = self.0.lock().unwrap();
            if !jobs.contains(&key) {
                jobs.push(key.clone());
            }
            Ok(format!("job {key}"))
        };
        tick_with(home, now, submit).await.unwrap()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

async fn what_is_due_is_submitted_once_and_moves_on(database: Database) {
    let (_folder, home) = home(database).await;
    let made = call(&home, add("Nightly", "every hour UTC")).await.unwrap();
    let (first, second) = (made.upcoming[0], made.upcoming[1]);
    assert_eq!(second.0 - first.0, HOUR);
    let queue = Queue::default();
    assert_eq!(queue.tick(&home, Moment(first.0 - 1)).await, Ticked::default());
    assert_eq!(queue.tick(&home, first).await.submitted, 1);
    assert_eq!(queue.tick(&home, first).await, Ticked::default());
    let shown = call(&home, Show { schedule: "NIGHTLY".into() }).await.unwrap();
    assert_eq!(shown.schedule.next_at, Some(second));
    assert_eq!((shown.runs.len(), shown.runs[0].state), (1, RunState::Submitted));
    assert!(shown.runs[0].job.starts_with("job "));
}

async fn several_workers_make_one_job(database: Database) {
    let (_folder, home) = home(database).await;
    let mut due = Moment(0);
    for name in ["a", "b", "c"] {
        due = call(&home, add(name, "every hour UTC")).await.unwrap().upcoming[0];
    }
    let queue = Queue::default();
    let workers = (0..8).map(|_| queue.tick(&home, due));
    let ticked = futures_util::future::join_all(workers).await;
    assert_eq!(ticked.iter().map(|one| one.submitted).sum::<u64>(), 3);
    assert_eq!(queue.len(), 3);
}

async fn missed_moments_make_one_run_or_none(database: Database) {
    let (_folder, home) = home(database).await;
    let first = call(&home, add("once", "every hour UTC")).await.unwrap().upcoming[0];
    call(&home, Add { missed: Missed::Skip, ..add("skip", "every hour UTC") }).await.unwrap();
    let queue = Queue::default();
    let days_later = Moment(first.0 + 50 * HOUR + 30 * 60_000_000);
    let ticked = queue.tick(&home, days_later).await;
    assert_eq!(ticked, Ticked { submitted: 1, skipped: 1, failed: 0 });
    for name in ["once", "skip"] {
        let next = home.db.schedule(name).await.unwrap().next_at.unwrap();
        assert_eq!(next.0, first.0 + 51 * HOUR, "{name}");
    }
    let skipped = call(&home, Show { schedule: "skip".into() }).await.unwrap();
    assert_eq!(skipped.runs[0].state, RunState::Skipped);
}

async fn a_worker_that_dies_is_followed_by_another_under_the_same_key(database: Database) {
    let (_folder, home) = home(database).await;
    let due = call(&home, add("x", "every hour UTC")).await.unwrap().upcoming[0];
    let queue = Queue::default();
    // It submits, and dies before it can say so.
    let dying = async |key: String, _: Schedule| {
        queue.0.lock().unwrap().push(key);
        Err(Error::io("killed"))
    };
    assert!(tick_with(&home, due, dying).await.is_err());
    assert_eq!(queue.tick(&home, Moment(due.0 + 1)).await, Ticked::default());
    let later = Moment(due.0 + ORPHANED_AFTER + 1);
    assert_eq!(queue.tick(&home, later).await.submitted, 1);
    assert_eq!(queue.len(), 1, "the same job");
    assert_eq!(queue.tick(&home, Moment(later.0 + ORPHANED_AFTER + 1)).await, Ticked::default());
}

async fn a_request_that_cannot_be_met_is_history_and_no_obstacle(database: Database) {
    let (_folder, home) = home(database).await;
    let due = call(&home, add("x", "every hour UTC")).await.unwrap().upcoming[0];
    let refusing = async |_: String, _: Schedule| Err(Error::usage("no such point"));
    let ticked = tick_with(&home, due, refusing).await.unwrap();
    assert_eq!(ticked.failed, 1);
    let shown = call(&home, Show { schedule: "x".into() }).await.unwrap();
    assert_eq!(shown.runs[0].reason, "no such point");
    assert_eq!(shown.schedule.next_at.unwrap().0, due.0 + HOUR);
}

async fn once_is_over_after_it_and_paused_ones_wait(database: Database) {
    let (_folder, home) = home(database).await;
    let due = call(&home, add("soon", "in 2 hours")).await.unwrap().upcoming[0];
    let queue = Queue::default();
    assert_eq!(queue.tick(&home, due).await.submitted, 1);
    let shown = call(&home, Show { schedule: "soon".into() }).await.unwrap();
    assert_eq!((shown.schedule.state, shown.upcoming.len()), (State::Done, 0));

    let due = call(&home, add("hourly", "every hour UTC")).await.unwrap().upcoming[0];
    call(&home, Pause { schedule: "hourly".into() }).await.unwrap();
    assert_eq!(queue.tick(&home, due).await, Ticked::default());
    let shown = call(&home, Resume { schedule: "hourly".into() }).await.unwrap();
    assert_eq!(shown.schedule.state, State::Active);
    assert_eq!(queue.tick(&home, shown.upcoming[0]).await.submitted, 1);

    let now = call(&home, add("at once", "now")).await.unwrap();
    assert_eq!(queue.tick(&home, now.upcoming[0]).await.submitted, 1);
}

async fn only_what_operators_may_do_can_be_scheduled(database: Database) {
    let (_folder, home) = home(database).await;
    for (operation, request) in [
        ("package.fly", json!({})),
        ("key.rotate", json!({})),
        ("schedule.remove", json!({"schedule": "x"})),
        ("package.list", json!({"unknown": 1})),
        ("package.verify", json!({"package": "OSU00001"})),
        ("package.verify", json!({})),
    ] {
        let request = Add { operation: operation.into(), request, ..add("x", "every hour") };
        assert!(call(&home, request).await.is_err(), "{operation}");
    }
    // A caller of the service must not reach files that the service would not let it name.
    let export = Add {
        operation: "package.export".into(),
        request: json!({"package": "OSU00001", "folder": "/srv/x"}),
        ..add("x", "every hour")
    };
    let refused = call(&home.acting_for("token:ci"), export.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    assert_eq!(call(&home, export).await.unwrap_err().kind(), Kind::NotFound);
    for (name, when) in [("", "every hour"), ("x", "2001-01-01 10:00"), ("x", "sometimes")] {
        assert!(call(&home, add(name, when)).await.is_err(), "{name} {when}");
    }
    assert!(call(&home, add(&"x".repeat(MAX_NAME + 1), "every hour")).await.is_err());
    call(&home, add("Same", "every hour")).await.unwrap();
    assert!(call(&home, add("same", "every hour")).await.is_err());
    assert_eq!(call(&home, List::default()).await.unwrap().items.len(), 1);
    call(&home, Remove { schedule: "SAME".into() }).await.unwrap();
    assert!(call(&home, Show { schedule: "same".into() }).await.is_err());
}

async fn history_is_bounded(database: Database) {
    let (_folder, home) = home(database).await;
    let due = call(&home, add("x", "every hour UTC")).await.unwrap().upcoming[0];
    let queue = Queue::default();
    for hour in 0..60 {
        queue.tick(&home, Moment(due.0 + hour * HOUR)).await;
    }
    let shown = call(&home, Show { schedule: "x".into() }).await.unwrap();
    assert_eq!(shown.runs.len(), 50);
    assert_eq!(shown.runs[0].due_at.0, due.0 + 59 * HOUR);
}

on_both!(
    what_is_due_is_submitted_once_and_moves_on,
    several_workers_make_one_job,
    missed_moments_make_one_run_or_none,
    a_worker_that_dies_is_followed_by_another_under_the_same_key,
    a_request_that_cannot_be_met_is_history_and_no_obstacle,
    once_is_over_after_it_and_paused_ones_wait,
    only_what_operators_may_do_can_be_scheduled,
    history_is_bounded
);
