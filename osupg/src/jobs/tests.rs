//! Lives of jobs, each on SQLite and on PostgreSQL.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wim_extract::Cancel;

use super::*;
use crate::db::jobs::{Ending, Standing};
use crate::home::tests::each;
use crate::operation::{Known, Length, Operation, Right};
use crate::progress::{Silent, Watch};
use model::{Failure, Lane};
use settings::Settings;

/// Waits, and fails when it is told to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Wait {
    millis: u64,
    /// The kind of error; empty for none.
    fail: String,
    /// Noted in [`RUNS`] when it has waited.
    mark: String,
    package: Option<String>,
}

static RUNS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Operation for Wait {
    type Outcome = String;
    const NAME: &'static str = "test.wait";
    const RIGHT: Right = Right::Read;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        self.package.as_deref()
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<String> {
        watch.progress.note("waiting begins");
        let end = Instant::now() + Duration::from_millis(self.millis);
        while Instant::now() < end {
            watch.check()?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        RUNS.lock().unwrap().push(self.mark.clone());
        match self.fail.as_str() {
            "" => Ok(format!("waited for {}", home.by())),
            "io" => Err(Error::io("the disk is away")),
            "later" => Err(Error::io("the window is closed").until(Moment(i64::MAX / 2))),
            "panic" => panic!("as a test wants it"),
            _ => Err(Error::usage("that cannot be").advise("ask for something else")),
        }
    }
}

/// Whether this is noted in [`RUNS`].
pub(crate) fn has_run(mark: &str) -> bool {
    RUNS.lock().unwrap().iter().any(|run| run == mark)
}

/// Looks until it is stopped, and notes in [`RUNS`] when it has begun and when it has stopped.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Look {
    mark: String,
}

impl Operation for Look {
    type Outcome = ();
    const NAME: &'static str = "test.look";
    const RIGHT: Right = Right::Read;

    async fn run(&self, _home: &Home, watch: Watch<'_>) -> Result<()> {
        let note = |word: &str| RUNS.lock().unwrap().push(format!("{} {word}", self.mark));
        note("begun");
        while watch.check().is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        note("stopped");
        watch.check()
    }
}

/// The operations that only tests know.
pub(crate) const OPERATIONS: &[Known] = &[Known::of::<Wait>(), Known::of::<Look>()];

/// Settings with which nothing takes long.
fn quick() -> Settings {
    Settings { tries: 2, retry_seconds: 0, lost_seconds: 2, stop_seconds: 0, ..Settings::default() }
}

async fn wait_job(home: &Home, request: &Wait) -> Job {
    let submission = Submission {
        operation: Wait::NAME,
        request: &serde_json::to_value(request).unwrap(),
        by: "anna",
        key: None,
        priority: Priority::Normal,
        not_before: None,
    };
    submit(home, &submission).await.unwrap()
}

/// Works until the job is in one of these states.
async fn work_until(home: &Home, id: i64, states: &[State]) -> Job {
    let stop = Cancel::new();
    let (worker, watcher) = (stop.clone(), home.clone());
    let working = tokio::spawn({
        let home = home.clone();
        async move { work(&home, &worker).await }
    });
    let job = until(&watcher, id, states).await;
    stop.cancel();
    working.await.unwrap().unwrap();
    job
}

async fn until(home: &Home, id: i64, states: &[State]) -> Job {
    for _ in 0..2_000 {
        let job = get(home, id).await.unwrap();
        if states.contains(&job.state) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("job {id} does not get there: {:?}", get(home, id).await);
}

fn lines(job: &Job) -> Vec<&str> {
    job.timeline.iter().map(|note| note.text.as_str()).collect()
}

fn new_job<'a>(subject: &'a str, priority: Priority, not_before: Moment) -> NewJob<'a> {
    NewJob {
        key: None,
        operation: Wait::NAME,
        request: "{}",
        subject,
        by: "anna",
        place: Place::Worker,
        priority,
        not_before,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_and_tells_its_story() {
    each(quick(), async |home| {
        let job = wait_job(&home, &Wait { millis: 30, ..Wait::default() }).await;
        assert_eq!(job.state, State::Queued);
        assert!(job.reason.contains("osupg worker"), "nobody works: {}", job.reason);
        let job = work_until(&home, job.id, &[State::Succeeded]).await;
        assert_eq!(job.outcome, Some(json!("waited for anna")));
        assert_eq!(job.attempts, 1);
        let told = lines(&job);
        assert_eq!(told[0], "submitted by anna");
        assert!(told[1].starts_with("started by "), "{told:?}");
        assert_eq!(told[2..], ["waiting begins", "succeeded"]);
        assert!(job.finished_at >= job.started_at);
        let census = census(&home).await.unwrap();
        assert_eq!((census.in_state(State::Succeeded), census.workers), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_go_away_is_tried_again_and_what_may_not_is_not() {
    each(quick(), async |home| {
        for (fail, attempts, kind) in
            [("usage", 1, Kind::Usage), ("io", 2, Kind::Io), ("panic", 2, Kind::Io)]
        {
            let job = wait_job(&home, &Wait { fail: fail.into(), ..Wait::default() }).await;
            let job = work_until(&home, job.id, &[State::Failed]).await;
            assert_eq!(job.attempts, attempts, "{fail}: {:?}", lines(&job));
            let failure = job.error.unwrap();
            assert_eq!(failure.to_error().kind(), kind);
            assert_eq!(job.reason, failure.message);
            assert_eq!(failure.advice.is_some(), fail == "usage");
        }
        let bad = Submission {
            operation: "test.wait",
            request: &json!({ "hours": 1 }),
            by: "anna",
            key: None,
            priority: Priority::Low,
            not_before: None,
        };
        assert_eq!(submit(&home, &bad).await.unwrap_err().kind(), Kind::Usage);
        let once = Submission { request: &json!({}), key: Some("first of May"), ..bad.clone() };
        let first = submit(&home, &once).await.unwrap();
        assert_eq!(submit(&home, &once).await.unwrap().id, first.id);
        let unknown = Submission { operation: "test.fly", ..bad };
        assert_eq!(submit(&home, &unknown).await.unwrap_err().kind(), Kind::Usage);
        let request = json!({ "package": "OSU00001@3" });
        let lost = Submission { operation: "test.wait", request: &request, ..unknown };
        let error = submit(&home, &lost).await.unwrap_err().to_string();
        assert!(error.contains("no package"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_is_waited_for_and_is_no_failure() {
    each(quick(), async |home| {
        let job = wait_job(&home, &Wait { fail: "later".into(), ..Wait::default() }).await;
        let job = work_until(&home, job.id, &[State::Waiting]).await;
        assert_eq!(job.reason, "the window is closed");
        assert_eq!(job.not_before, Moment(i64::MAX / 2));
        assert_eq!(job.error, None);
        // Somebody does not want to wait.
        retry(&home, job.id, "bert").await.unwrap();
        let job = work_until(&home, job.id, &[State::Waiting]).await;
        assert_eq!(job.attempts, 2);
        assert!(lines(&job).contains(&"retried by bert"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_cancelled_whatever_it_does_and_retried() {
    each(quick(), async |home| {
        let idle = wait_job(&home, &Wait::default()).await;
        let idle = cancel(&home, idle.id, "bert").await.unwrap();
        assert_eq!((idle.state, idle.reason.as_str()), (State::Cancelled, "cancelled by bert"));
        let error = cancel(&home, idle.id, "bert").await.unwrap_err();
        assert!(error.to_string().contains("is over"), "{error}");

        let long = wait_job(&home, &Wait { millis: 60_000, ..Wait::default() }).await;
        let stop = Cancel::new();
        let working = tokio::spawn({
            let (home, stop) = (home.clone(), stop.clone());
            async move { work(&home, &stop).await }
        });
        until(&home, long.id, &[State::Running]).await;
        assert!(retry(&home, long.id, "bert").await.is_err());
        cancel(&home, long.id, "bert").await.unwrap();
        let long = until(&home, long.id, &[State::Cancelled]).await;
        assert_eq!(long.reason, "cancelled by bert");
        retry(&home, idle.id, "bert").await.unwrap();
        until(&home, idle.id, &[State::Succeeded]).await;
        assert!(retry(&home, idle.id, "bert").await.is_err(), "it has succeeded");
        stop.cancel();
        working.await.unwrap().unwrap();
        assert_eq!(get(&home, 1_000_000).await.unwrap_err().kind(), Kind::NotFound);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_hands_back_and_another_ends_it() {
    each(quick(), async |home| {
        let mark = format!("handed {:?}", home.db.dialect());
        let wait = Wait { millis: 1_500, mark: mark.clone(), ..Wait::default() };
        let job = wait_job(&home, &wait).await;
        let job = work_until(&home, job.id, &[State::Running]).await;
        let job = get(&home, job.id).await.unwrap();
        assert_eq!(job.state, State::Waiting, "{:?}", lines(&job));
        assert!(job.reason.contains("stopped"), "{}", job.reason);
        let job = work_until(&home, job.id, &[State::Succeeded]).await;
        assert_eq!(job.attempts, 2);
        assert_eq!(RUNS.lock().unwrap().iter().filter(|run| **run == mark).count(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_worker_is_gone_is_taken_up_and_its_ghost_changes_nothing() {
    each(quick(), async |home| {
        let db = &home.db;
        let job = wait_job(&home, &Wait::default()).await;
        let now = db.now().await.unwrap();
        let ghost = db.take_job(Lane::Work, "ghost/1", now).await.unwrap().unwrap();
        assert_eq!((ghost.id, ghost.attempt), (job.id, 1));
        assert_eq!(get(&home, job.id).await.unwrap().state, State::Running);
        let job = work_until(&home, job.id, &[State::Succeeded]).await;
        assert_eq!(job.attempts, 2);
        assert!(lines(&job).iter().any(|line| line.contains("ghost/1 has not been heard of")));

        assert_eq!(db.job_standing(&ghost).await.unwrap(), Standing::Lost);
        assert_eq!(db.keep_job(&ghost, ("late", 1, 2), now).await.unwrap(), Standing::Lost);
        assert!(!db.end_job(&ghost, &Ending::Cancelled("late".into()), "late", now).await.unwrap());
        assert_eq!(get(&home, job.id).await.unwrap(), job);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_given_up() {
    each(quick(), async |home| {
        let db = &home.db;
        let job = wait_job(&home, &Wait::default()).await;
        for _ in 0..2 {
            let now = db.now().await.unwrap();
            db.take_job(Lane::Work, "ghost/2", now).await.unwrap().unwrap();
            tokio::time::sleep(Duration::from_millis(2_100)).await;
            mend::mend(&home).await.unwrap();
        }
        let job = get(&home, job.id).await.unwrap();
        assert_eq!((job.state, job.attempts), (State::Failed, 2), "{:?}", lines(&job));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_taken_by_priority_then_in_order_and_never_two_of_a_package() {
    each(quick(), async |home| {
        let db = &home.db;
        let now = db.now().await.unwrap();
        let later = Moment(now.0 + 3_600_000_000);
        let mut ids = Vec::new();
        for (subject, priority, at) in [
            ("", Priority::Low, now),
            ("OSU00001", Priority::Normal, now),
            ("", Priority::High, later),
            ("OSU00001", Priority::High, now),
            ("OSU00002", Priority::Normal, now),
        ] {
            let new = [(new_job(subject, priority, at), "x".to_string())];
            ids.extend(db.add_jobs(&new, now).await.unwrap());
        }
        let mut taken = Vec::new();
        while let Some(held) = db.take_job(Lane::Work, "one", now).await.unwrap() {
            taken.push(held);
        }
        let order: Vec<_> = taken.iter().map(|held| held.id).collect();
        assert_eq!(order, [ids[3], ids[4], ids[0]]);
        assert!(db.take_job(Lane::Transfer, "one", later).await.unwrap().is_none());

        let stuck = get(&home, ids[1]).await.unwrap();
        assert_eq!(stuck.state, State::Waiting);
        let wanted = format!("for job {}, test.wait of the same package, to end", ids[3]);
        assert_eq!(stuck.reason, wanted);
        let of_package = Selection { subject: Some("OSU00001".into()), ..Selection::default() };
        let listed = list(&home, &of_package).await.unwrap();
        assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[3], ids[1]]);
        let running = Selection { state: Some(State::Running), limit: 2, ..Selection::default() };
        let listed = list(&home, &running).await.unwrap();
        assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[4], ids[3]]);
        let rest = list(&home, &Selection { before: Some(ids[3]), ..running }).await.unwrap();
        assert_eq!(rest.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[0]]);

        assert!(db.end_job(&taken[0], &Ending::Succeeded("null".into()), "x", now).await.unwrap());
        let next = db.take_job(Lane::Work, "two", now).await.unwrap().unwrap();
        assert_eq!(next.id, ids[1]);
        assert_eq!(db.forget_jobs(Moment(now.0 + 1)).await.unwrap(), 1);
        assert!(get(&home, ids[3]).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_do_each_job_once() {
    each(Settings { work: 2, ..quick() }, async |home| {
        let prefix = format!("once each {:?}", home.db.dialect());
        let mut last = 0;
        for number in 0..60 {
            let mark = format!("{prefix} {number}");
            last = wait_job(&home, &Wait { mark, ..Wait::default() }).await.id;
        }
        let stop = Cancel::new();
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (home, stop) = (home.clone(), stop.clone());
                tokio::spawn(async move { work(&home, &stop).await })
            })
            .collect();
        loop {
            let census = census(&home).await.unwrap();
            if census.in_state(State::Succeeded) == 60 {
                break;
            }
            assert_eq!(census.in_state(State::Failed), 0);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        for worker in workers {
            worker.await.unwrap().unwrap();
        }
        let mut runs: Vec<_> = RUNS.lock().unwrap().clone();
        runs.retain(|run| run.starts_with(&prefix));
        runs.sort();
        let count = runs.len();
        runs.dedup();
        assert_eq!((runs.len(), count), (60, 60));
        assert_eq!(get(&home, last).await.unwrap().attempts, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_records_what_it_does_and_is_not_taken_over() {
    each(quick(), async |home| {
        let cancel = Cancel::new();
        let watch = Watch { progress: &Silent, cancel: &cancel };
        let home = home.acting_for("carla");
        let outcome = foreground(&home, &Wait::default(), watch).await.unwrap();
        assert_eq!(outcome, "waited for carla");
        let failing = Wait { fail: "io".into(), ..Wait::default() };
        assert_eq!(foreground(&home, &failing, watch).await.unwrap_err().kind(), Kind::Io);
        let jobs = list(&home, &Selection::default()).await.unwrap();
        let states: Vec<_> = jobs.iter().map(|job| (job.state, job.place)).collect();
        let expected = [(State::Failed, Place::Command), (State::Succeeded, Place::Command)];
        assert_eq!(states, expected);
        assert_eq!(jobs[1].outcome, Some(json!("waited for carla")));
        assert_eq!(jobs[1].by, "carla");

        // One that is killed, and one that a person stops through the database.
        let now = home.db.now().await.unwrap();
        let killed = NewJob { place: Place::Command, ..new_job("OSU00009", Priority::Normal, now) };
        let killed = home.db.add_running_job(&killed, "ghost/3", now).await.unwrap().unwrap();
        assert!(
            home.db
                .add_running_job(&new_job("OSU00009", Priority::Normal, now), "x", now)
                .await
                .unwrap()
                .is_none()
        );
        let job = until(&home, killed.id, &[State::Failed]).await;
        assert_eq!(job.reason, "the command that did it was killed");

        let long = Wait { millis: 60_000, ..Wait::default() };
        let (done, ()) = tokio::join!(foreground(&home, &long, watch), async {
            let running = Selection { state: Some(State::Running), ..Selection::default() };
            loop {
                if let Some(job) = list(&home, &running).await.unwrap().first() {
                    super::cancel(&home, job.id, "bert").await.unwrap();
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert_eq!(done.unwrap_err().kind(), Kind::Cancelled);
        assert!(!cancel.is_cancelled(), "what else the command does goes on");
        let job = list(&home, &Selection::default()).await.unwrap().remove(0);
        assert_eq!((job.state, job.reason.as_str()), (State::Cancelled, "cancelled by bert"));
    })
    .await;
}

#[test]
fn failures_travel_whole() {
    for error in
        [Error::usage("a").advise("b"), Error::damaged("c"), Error::io("d"), Error::cancelled()]
    {
        let json = serde_json::to_string(&Failure::of(&error)).unwrap();
        let back = serde_json::from_str::<Failure>(&json).unwrap().to_error();
        assert_eq!((back.kind(), back.to_string()), (error.kind(), error.to_string()));
        assert_eq!(back.advice(), error.advice());
    }
    assert!(model::is_transient(&Error::io("x")) && !model::is_transient(&Error::damaged("x")));
}
