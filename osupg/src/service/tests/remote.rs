//! Workers that reach the store only over HTTPS.

use std::net::SocketAddr;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::task::JoinHandle;
use wim_extract::Cancel;

use super::super::worker::{Coordinator, Worker};
use super::*;
use crate::accounts::operations::CreateToken;
use crate::accounts::password::Secret;
use crate::operation::Right;
use crate::package::list;
use crate::progress::{Phase, Progress, Watch};
use crate::remote::{self, Client};
use crate::store::layout::Piece;

/// The service of a bench.
struct Served {
    stop: Cancel,
    served: JoinHandle<crate::Result<()>>,
    url: String,
}

impl Served {
    async fn start(bench: &Bench) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
        let certificate = bench.file("cert.pem", cert.pem());
        let key = bench.file("key.pem", signing_key.serialize_pem());
        let settings = crate::api::Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls_cert: Some(certificate),
            tls_key: Some(key),
            stop_within: 5,
            ..crate::api::Settings::default()
        };
        let stop = Cancel::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        let service = crate::api::serve(bench.home.clone(), settings, stop.clone(), |at, _| {
            let _ = tell.send(at);
        });
        let served = tokio::spawn(service);
        let url = format!("https://localhost:{}", told.await.unwrap().port());
        Self { stop, served, url }
    }

    /// A client with a token for this right.
    async fn client(&self, bench: &Bench, right: Right) -> Client {
        let name = format!("{} test", right.word());
        let create = CreateToken { name, right, scopes: Vec::new(), account: None, lifetime: None };
        let token = bench.call(&create).await.unwrap().secret;
        Client::new(&remote::Settings {
            url: self.url.clone(),
            token: Some(Secret(token.0)),
            certificates: Some(bench.path("cert.pem")),
            silence: None,
        })
        .unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
    }
}

fn worker(bench: &Bench, client: &Client, name: &str) -> Worker {
    Worker {
        coordinator: Coordinator::Remote(client.clone()),
        name: name.into(),
        folder: bench.path(&format!("remote-{name}")),
    }
}

/// Stops whoever it watches when the first piece has been brought.
struct StopsInTheMiddle(Cancel, std::sync::Mutex<Option<Phase>>);

impl Progress for StopsInTheMiddle {
    fn begin(&self, phase: Phase, _bytes: u64) {
        *self.1.lock().unwrap() = Some(phase);
    }

    fn advance(&self, _bytes: u64) {
        if *self.1.lock().unwrap() == Some(Phase::Send) {
            self.0.cancel();
        }
    }
}

async fn a_worker_does_everything_over_https(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    import_a_month(&bench).await;
    let waiting = run(&bench, json!({"latest": ["cumulative", "safe-os", "setup"]})).await.unwrap();
    assert_eq!(waiting.state, RunState::Waiting);
    let served = Served::start(&bench).await;
    let client = served.client(&bench, Right::Work).await;
    let worker = worker(&bench, &client, "win");
    let mut stack = EditingStack::new(Fail::Never);

    // Stopped in the middle of bringing the first WIM, it goes on there: nothing is done twice.
    let cancel = Cancel::new();
    let stops = StopsInTheMiddle(cancel.clone(), std::sync::Mutex::default());
    let watch = Watch { progress: &stops, cancel: &cancel };
    let stopped = worker.work_once(&mut stack, watch).await.unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled, "{stopped}");
    let calls = stack.calls.len();
    assert!(stack.calls.contains(&"export".into()));
    let show = json!({"run": waiting.id});
    let still = bench.json::<history::ShowRequest>(show.clone()).await.unwrap();
    assert_eq!((still.state, revision(&bench).await), (RunState::Waiting, 2));
    // A collector that comes by meanwhile takes nothing of it.
    bench.home.collect().await.unwrap();
    assert!(worker.work_once(&mut stack, bench.watch()).await.unwrap());
    assert_eq!(stack.calls.len(), calls, "the servicing stack was asked again: {:?}", stack.calls);
    while worker.work_once(&mut stack, bench.watch()).await.unwrap() {}
    assert_eq!(stack.calls.iter().filter(|call| *call == "export").count(), 3);
    let left = std::fs::read_dir(bench.path("remote-win/tasks")).unwrap().count();
    assert_eq!(left, 0, "nothing of a task stays behind");

    // The service has the run go on as a job.
    let still = bench.json::<history::ShowRequest>(show.clone()).await.unwrap();
    assert_eq!(still.state, RunState::Waiting);
    assert!(bench.do_jobs(Moment::now()).await.contains(&"service.run".to_string()));
    let done = bench.json::<history::ShowRequest>(show).await.unwrap();
    assert_eq!((done.state, done.revision), (RunState::Succeeded, Some(3)), "{}", done.reason);
    assert!(done.report.updates.iter().all(|update| update.became == Became::Installed));
    assert!(done.report.excerpts.iter().any(|excerpt| excerpt.text.contains("mount 1")));
    let wim = bench.wim("OSU00001", "install.wim").await;
    wimlib_verifies(&wim);
    assert!(file_in(&wim, 2, &format!("Windows/servicing/Packages/{ROLLUP}.mum")).is_some());
    let objects = bench.home.db.objects().await.unwrap();
    bench.home.collect().await.unwrap();
    for piece in &objects {
        assert!(bench.home.library.has(piece).await.unwrap(), "{piece:?}");
    }
    served.stop().await;
}

async fn files_go_on_where_they_broke_off_and_wrong_bytes_are_fetched_again(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let waiting = run(&bench, json!({"updates": ["KB5044284"], "keep": ["Core"]})).await.unwrap();
    let served = Served::start(&bench).await;
    let client = served.client(&bench, Right::Work).await;
    let worker = worker(&bench, &client, "win");
    // The first half of the right bytes, as a worker that was killed leaves them; and wrong ones.
    let facts = work::Facts { build: 26100, stack: String::new() };
    let request = work::ClaimRequest { worker: "win".into(), facts };
    let claimed = client.call(&request, bench.watch()).await.unwrap().unwrap();
    let kept = bench.home.db.servicing_task(&claimed.id).await.unwrap().unwrap();
    let mut bytes = Vec::new();
    for piece in &kept.input.pieces {
        bytes.extend(bench.home.library.get(piece).await.unwrap());
    }
    let folder = worker.folder.join("tasks").join(&claimed.id);
    put(&folder.join("input.wim.part"), &bytes[..bytes.len() / 2]);
    let update = &claimed.updates[0];
    let wrong = vec![0; update.files[0].1.size as usize];
    put(&folder.join("updates").join(&update.id).join(format!("{}.part", update.file)), &wrong);
    let mut stack = EditingStack::new(Fail::Never);
    while worker.work_once(&mut stack, bench.watch()).await.unwrap() {}
    bench.do_jobs(Moment::now()).await;
    let done = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!(done.state, RunState::Succeeded, "{}", done.reason);
    served.stop().await;
}

async fn whatever_fails_at_a_remote_worker_is_one_line_of_history(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let served = Served::start(&bench).await;
    let client = served.client(&bench, Right::Work).await;
    for (fail, reason) in [
        (Fail::Mount, "already mounted"),
        (Fail::Update, "lacks a servicing stack"),
        (Fail::Commit, "too new for this DISM"),
        (Fail::Export, "the disk is full"),
        (Fail::Garbage, "is no WIM"),
        (Fail::WrongBuild, "the worker says 26100.9999, the image has 26100.2033"),
        (Fail::LosesFiles, "lost: /Windows/System32/shell.dll"),
    ] {
        let waiting = run(&bench, json!({"updates": ["KB5044284"]})).await.unwrap();
        assert_eq!(waiting.state, RunState::Waiting, "{fail:?}: {}", waiting.reason);
        let worker = worker(&bench, &client, "win");
        let mut stack = EditingStack::new(fail);
        while worker.work_once(&mut stack, bench.watch()).await.unwrap() {}
        bench.do_jobs(Moment::now()).await;
        let failed = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
        assert_eq!(failed.state, RunState::Failed, "{fail:?}: {}", failed.reason);
        assert!(failed.reason.contains(reason), "{fail:?}: {}", failed.reason);
        assert_eq!((failed.reason.lines().count(), revision(&bench).await), (1, 1));
        assert!(scratch_is_empty(&bench), "{fail:?}");
    }
    // What is wrong with the worker's own machine is said, too.
    let waiting = run(&bench, json!({"updates": ["KB5044284"]})).await.unwrap();
    let worker = worker(&bench, &client, "full");
    put(&worker.folder.join("tasks"), b"no folder");
    while worker.work_once(&mut EditingStack::new(Fail::Never), bench.watch()).await.unwrap() {}
    bench.do_jobs(Moment::now()).await;
    let failed = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!(failed.state, RunState::Failed, "{}", failed.reason);
    assert!(failed.reason.contains("full: cannot make"), "{}", failed.reason);
    served.stop().await;
}

async fn a_workers_token_is_for_its_work_alone(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    run(&bench, json!({"updates": ["KB5044284"], "keep": ["Core"]})).await.unwrap();
    let served = Served::start(&bench).await;
    let (work, read) =
        (served.client(&bench, Right::Work).await, served.client(&bench, Right::Read).await);
    let watch = bench.watch();
    let kind = |error: crate::Error| error.kind();
    let listed = work.call(&list::Request::default(), watch).await;
    assert_eq!(listed.map_err(kind).unwrap_err(), ErrorKind::Forbidden);
    let object = bench.home.db.objects().await.unwrap()[0];
    let fetched = work.object(&object, 0).await;
    assert_eq!(fetched.map(drop).map_err(kind).unwrap_err(), ErrorKind::Forbidden);
    let facts = work::Facts { build: 26100, stack: String::new() };
    let claim = |worker: &str| work::ClaimRequest { worker: worker.into(), facts: facts.clone() };
    let refused = read.call(&claim("thief"), watch).await;
    assert_eq!(refused.map(drop).map_err(kind).unwrap_err(), ErrorKind::Forbidden);

    // By its claim it gets what the task takes, and nothing else; another token has nothing of it.
    let claimed = work.call(&claim("win"), watch).await.unwrap().unwrap();
    let operate = served.client(&bench, Right::Operate).await;
    let entries = {
        let package = bench.home.db.package("OSU00001").await.unwrap();
        bench.home.db.entries(package.revision.key).await.unwrap()
    };
    let other = entries.iter().find(|entry| entry.path.is("setup.exe")).unwrap();
    let other = other.content.as_ref().unwrap();
    let digits = crate::text::hex(&other.sha256);
    let input = &claimed.input;
    for (client, claim, sha256, size) in [
        (&work, claimed.claim.as_str(), digits.as_str(), other.size),
        (&work, "no such claim", input.sha256.as_str(), input.size),
        (&operate, claimed.claim.as_str(), input.sha256.as_str(), input.size),
    ] {
        let fetched = client.work_file(claim, sha256, size, 0).await;
        assert_eq!(fetched.map(drop).map_err(kind).unwrap_err(), ErrorKind::NotFound);
    }
    let refused = read.work_file(&claimed.claim, &input.sha256, input.size, 0).await;
    assert_eq!(refused.map(drop).map_err(kind).unwrap_err(), ErrorKind::Forbidden);
    assert!(work.work_file(&claimed.claim, &input.sha256, input.size, 7).await.is_ok());

    // What it brings was offered, and is what its name says, to the byte.
    let bytes = bytes::Bytes::from_static(b"a piece of a WIM");
    let id = crate::store::layout::ObjectId::of(&bytes);
    let piece = Piece { id, size: bytes.len() as u64 };
    let unoffered = work.put_piece(&claimed.claim, &piece, bytes.clone()).await.unwrap_err();
    assert_eq!(unoffered.kind(), ErrorKind::NotFound);
    let offer = work::OfferRequest {
        claim: claimed.claim.clone(),
        first: 0,
        objects: vec![(id.to_string(), piece.size)],
    };
    assert_eq!(work.call(&offer, watch).await.unwrap().missing, [0]);
    for wrong in [&b"another piece oh"[..], b"too short", b"far too long to be that piece"] {
        let sent = work.put_piece(&claimed.claim, &piece, bytes::Bytes::from_static(wrong)).await;
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::Usage);
    }
    assert!(!bench.home.library.has(&piece).await.unwrap());
    work.put_piece(&claimed.claim, &piece, bytes.clone()).await.unwrap();
    work.put_piece(&claimed.claim, &piece, bytes).await.unwrap();
    assert!(work.call(&offer, watch).await.unwrap().missing.is_empty());

    // When the run is cancelled, the claim is none any more, and what came goes.
    let id = history(&bench).await[0].id.clone();
    bench.json::<history::CancelRequest>(json!({"run": id})).await.unwrap();
    let renew = work::RenewRequest { claim: claimed.claim.clone() };
    assert_eq!(work.call(&renew, watch).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(bench.home.db.object_size(&piece.id).await.unwrap().is_none());
    let log = crate::audit::Query { limit: 100, ..Default::default() };
    let log = bench.call(&log).await.unwrap();
    let refusals = log.iter().filter(|line| line.outcome == "refused");
    assert!(refusals.count() >= 3, "refusals are on record");
    served.stop().await;
}

on_both!(
    a_worker_does_everything_over_https,
    files_go_on_where_they_broke_off_and_wrong_bytes_are_fetched_again,
    whatever_fails_at_a_remote_worker_is_one_line_of_history,
    a_workers_token_is_for_its_work_alone
);
