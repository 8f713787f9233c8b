//! Workers as processes that share one queue: on PostgreSQL and on SQLite, killed and stopped.

mod osupg_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use osupg_support::{Bench, text};
use osupg_tests::{child, corpus, postgres, tools};
use serde_json::{Value, json};

/// A worker that is killed with the test.
struct Worker(Child);

impl Worker {
    fn start(bench: &Bench) -> Self {
        let mut worker = bench.osupg();
        let log = fs::File::options().create(true).append(true).open(bench.path("worker.log"));
        worker.arg("worker").stdout(Stdio::null()).stderr(log.expect("a log"));
        Self(worker.spawn().expect("osupg starts"))
    }

    /// Sends a signal by its name.
    fn signal(&self, name: &str) {
        let kill =
            Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(kill.expect("kill runs").success());
    }

    /// Asks it to stop, and waits until it has; it must say that all is well.
    fn stop(mut self) {
        self.signal("TERM");
        assert!(self.0.wait().expect("it can be waited for").success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A store whose jobs are found dead soon, in memory where possible: exports are synchronised.
fn store(database: Option<String>) -> Bench {
    let memory = Path::new("/dev/shm");
    let bench = if memory.is_dir() { Bench::in_folder(memory) } else { Bench::new() };
    let mut config = String::new();
    if let Some(url) = database {
        config.push_str(&format!("database = {url:?}\n"));
    }
    config.push_str("[jobs]\nwork = 2\nlost-seconds = 3\nretry-seconds = 1\nstop-seconds = 1\n");
    fs::write(bench.path("osupg.toml"), config).expect("a file");
    bench
}

/// A package of one small WIM.
fn small_package(bench: &Bench, name: &str) -> String {
    let tree = bench.path(&format!("{name}.tree"));
    fs::create_dir(&tree).expect("a folder");
    fs::write(tree.join("file"), corpus::noise(50_000, 3)).expect("a file");
    let wim = bench.path(&format!("{name}.wim"));
    let _ = child::run(tools::wimlib().arg("capture").arg(&tree).arg(&wim).arg(name)).ok();
    let added = bench.json(&["package", "add", text(&wim), "--name", name]);
    assert!(!bench.objects().is_empty(), "it is in the library");
    added["package"]["id"].as_str().expect("an id").to_string()
}

fn submit(bench: &Bench, operation: &str, request: &Value) -> i64 {
    let job = bench.json(&["job", "submit", operation, &request.to_string()]);
    job["id"].as_i64().expect("a number")
}

fn job(bench: &Bench, id: i64) -> Value {
    bench.json(&["job", "show", &id.to_string()])
}

fn notes(job: &Value) -> Vec<String> {
    let timeline = job["timeline"].as_array().expect("a timeline");
    timeline.iter().map(|note| note["text"].as_str().expect("text").to_string()).collect()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        // A worker that is stopped within a transaction keeps its locks until PostgreSQL ends it, after 120 s,
        // and who has waited for them comes again.
        assert!(start.elapsed() < Duration::from_secs(480), "{what} takes too long");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Many small exports, each into a folder of its own: one that ran twice would find its folder
/// occupied and fail.
fn each_runs_once(bench: &Bench, workers: usize, jobs: usize) {
    let packages: Vec<String> =
        (0..4).map(|number| small_package(bench, &format!("p{number}"))).collect();
    let workers: Vec<Worker> = (0..workers).map(|_| Worker::start(bench)).collect();
    let folder = |number: usize| -> PathBuf { bench.path(&format!("export{number}")) };
    let ids: Vec<i64> = (0..jobs)
        .map(|number| {
            let package = &packages[number % packages.len()];
            let request = json!({ "package": package, "folder": folder(number) });
            submit(bench, "package.export", &request)
        })
        .collect();
    let limit = (jobs + 10).to_string();
    wait_for("the last job", || {
        let all = bench.json(&["job", "list", "--limit", &limit]);
        let all = all.as_array().expect("a list");
        all.iter().all(|job| matches!(job["state"].as_str(), Some("succeeded" | "failed")))
    });
    let mut did = std::collections::BTreeSet::new();
    for (number, id) in ids.into_iter().enumerate() {
        let job = job(bench, id);
        assert_eq!((job["state"].as_str(), job["attempts"].as_i64()), (Some("succeeded"), Some(1)));
        assert_eq!(notes(&job).iter().filter(|note| note.starts_with("started")).count(), 1);
        assert!(folder(number).is_dir());
        did.insert(job["worker"].as_str().expect("a name").to_string());
    }
    assert_eq!(did.len(), workers.len(), "all took their part: {did:?}");
    workers.into_iter().for_each(Worker::stop);
}

#[test]
fn three_workers_share_a_queue_on_postgres() {
    each_runs_once(&store(Some(postgres::server().database())), 3, 200);
}

#[test]
fn two_workers_share_a_queue_on_sqlite() {
    each_runs_once(&store(None), 2, 60);
}

/// A job that is certain to be in the middle of its work, in the hands of one of the workers,
/// which is held still.
fn caught(bench: &Bench, workers: &[Worker]) -> (i64, usize) {
    let media = bench.path("media");
    fs::create_dir(&media).expect("a folder");
    bench.json(&["sample-media", text(&media)]);
    // Enough to be at it for a while.
    fs::write(media.join("big.bin"), corpus::noise(400_000_000, 1)).expect("a file");
    bench.json(&["package", "add", text(&media), "--name", "big"]);
    let id = submit(bench, "package.verify", &json!({ "package": "big" }));
    let mut held = None;
    wait_for("the start", || {
        let job = job(bench, id);
        let name = job["worker"].as_str().expect("a name");
        held = workers.iter().position(|worker| name.contains(&format!("/{}-", worker.0.id())));
        held.is_some()
    });
    let held = held.expect("one has it");
    workers[held].signal("STOP");
    assert_eq!(job(bench, id)["state"], "running", "it was too fast for this test");
    (id, held)
}

fn killed_in_the_middle(bench: &Bench) {
    let mut workers: Vec<Worker> = (0..3).map(|_| Worker::start(bench)).collect();
    let (id, held) = caught(bench, &workers);
    workers[held].signal("KILL");
    drop(workers.remove(held));
    wait_for("the other worker", || job(bench, id)["state"] == "succeeded");
    let job = job(bench, id);
    assert_eq!(job["attempts"], 2);
    assert_eq!(job["outcome"]["sound"], true);
    let told = notes(&job);
    let count = |text: &str| told.iter().filter(|note| note.contains(text)).count();
    assert_eq!((count("was killed"), count("succeeded")), (1, 1), "{told:?}");
}

#[test]
fn a_worker_is_killed_in_mid_job_on_postgres() {
    killed_in_the_middle(&store(Some(postgres::server().database())));
}

#[test]
fn a_worker_is_killed_in_mid_job_on_sqlite() {
    killed_in_the_middle(&store(None));
}

#[test]
fn a_worker_that_comes_back_from_the_dead_changes_nothing() {
    let bench = store(Some(postgres::server().database()));
    let workers: Vec<Worker> = (0..2).map(|_| Worker::start(&bench)).collect();
    let (id, held) = caught(&bench, &workers);
    wait_for("the other worker", || job(&bench, id)["state"] == "succeeded");
    let done = job(&bench, id);
    workers[held].signal("CONT");
    // It works on, and must take new jobs; what it has to say of the old one comes too late.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(job(&bench, id), done);
    let more = submit(&bench, "package.list", &json!({}));
    wait_for("one more job", || job(&bench, more)["state"] == "succeeded");
    workers.into_iter().for_each(Worker::stop);
}

#[test]
fn jobs_on_the_command_line() {
    let bench = store(None);
    small_package(&bench, "p");
    // What a command does itself is on record.
    let listed = bench.json(&["job", "list"]);
    assert_eq!(listed[0]["operation"], "package.add");
    assert_eq!(
        (&listed[0]["state"], &listed[0]["place"]),
        (&json!("succeeded"), &json!("command"))
    );

    let refused = bench.refused(2, &["job", "submit", "package.fly", "{}"]);
    assert!(refused.contains("no operation"), "{refused}");
    let refused = bench.refused(2, &["job", "submit", "package.verify", "{\"package\":\"q\"}"]);
    assert!(refused.contains("no package"), "{refused}");
    let id = submit(&bench, "package.verify", &json!({ "package": "p" })).to_string();
    let shown = bench.run(&["job", "show", &id]).ok().text();
    assert!(shown.contains("queued") && shown.contains("osupg worker"), "{shown}");
    let cancelled = bench.run(&["job", "cancel", &id]).ok().text();
    assert_eq!(cancelled, format!("Job {id} is cancelled\n"));
    let refused = bench.refused(2, &["job", "cancel", &id]);
    assert!(refused.contains("is over"), "{refused}");
    assert_eq!(bench.run(&["job", "follow", &id]).code(), 130);

    bench.run(&["job", "retry", &id]).ok();
    let worker = Worker::start(&bench);
    let followed = bench.run(&["job", "follow", &id]).ok().text();
    for line in ["submitted by", "cancelled by", "retried by", "started by", "succeeded"] {
        assert!(followed.contains(line), "no {line:?} in {followed}");
    }
    worker.stop();
}
