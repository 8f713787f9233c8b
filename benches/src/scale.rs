//! How lists, roll-ups and scheduling take to a large site: rows made by rule, no content.
//!
//! Every package is at every point. Most presence is well; one in a hundred is under way or wrong,
//! for that is what people look for. The queue holds jobs that are over and jobs that wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use osupg::config::Config;
use osupg::progress::Silent;
use osupg::time::Moment;
use osupg::{Home, operation};
use serde_json::{Value, json};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe, Executor};

/// How often each question is asked; the median counts.
const ROUNDS: usize = 15;

/// What to fill and measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Packages.
    #[arg(long, default_value_t = 10_000)]
    packages: u32,
    /// Points, each of which holds every package.
    #[arg(long, default_value_t = 1_000)]
    points: u32,
    /// Jobs, nine in ten of them over.
    #[arg(long, default_value_t = 200_000)]
    jobs: u32,
    /// The URL of an empty PostgreSQL database; SQLite when left out.
    #[arg(long)]
    database: Option<String>,
    /// Where to keep the store; it is left there. A temporary folder when left out.
    #[arg(long)]
    home: Option<std::path::PathBuf>,
}

/// Fills a store and measures.
pub fn run(options: &Options) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(measure(options))
}

async fn measure(options: &Options) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let root = options.home.clone().unwrap_or_else(|| temporary.path().join("home"));
    let config =
        Config { home: Some(root), database: options.database.clone(), ..Config::default() };
    let home = Home::open_with(config).await.map_err(|error| anyhow!("{error}"))?;
    let start = Instant::now();
    fill(&home, options).await?;
    let database = if options.database.is_some() { "PostgreSQL" } else { "SQLite" };
    println!(
        "{} packages at {} points, {} jobs, {database}; filled in {:.0} s\n",
        options.packages,
        options.points,
        options.jobs,
        start.elapsed().as_secs_f64()
    );
    println!("| question | median | slowest | answer |\n|---|---|---|---|");
    let middle = format!("OSU{:05}", options.packages / 2);
    let point = format!("Point {}", options.points / 2);
    for (question, name, request) in [
        ("all packages", "package.list", json!({})),
        ("one package", "package.show", json!({ "package": middle })),
        ("all points, with counts", "point.list", json!({})),
        ("one package at all points", "package.status", json!({ "package": middle })),
        ("one point, all packages", "point.status", json!({ "point": point })),
        ("the whole site", "point.overview", json!({})),
        ("latest jobs", "job.list", json!({})),
        ("jobs that failed", "job.list", json!({ "state": "failed" })),
        ("jobs of a package", "job.list", json!({ "package": middle })),
        ("all schedules", "schedule.list", json!({})),
    ] {
        ask(&home, question, name, &request).await?;
    }
    take(&home).await?;
    tick(&home).await?;
    home.close().await;
    Ok(())
}

/// Asks one question again and again.
async fn ask(home: &Home, question: &str, name: &str, request: &Value) -> Result<()> {
    let known = operation::find(name).with_context(|| format!("no operation {name}"))?;
    let mut times = Vec::new();
    let mut answer = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let cancel = wim_extract::Cancel::new();
        let outcome = known
            .run(request.clone(), home.clone(), Arc::new(Silent), cancel)
            .await
            .map_err(|error| anyhow!("{name}: {error}"))?;
        times.push(start.elapsed());
        answer = outcome.to_string().len();
    }
    row(question, &mut times, &format!("{:.0} kB", answer as f64 / 1e3));
    Ok(())
}

/// Takes jobs from the queue.
async fn take(home: &Home) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        osupg::jobs::take_and_put_back(home).await.map_err(|error| anyhow!("{error}"))?;
        times.push(start.elapsed());
    }
    row("take the next job, and put it back", &mut times, "1 job");
    Ok(())
}

/// Looks for schedules that are due: one of a thousand is.
async fn tick(home: &Home) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let now = Moment::now();
        let start = Instant::now();
        let submit = |_, _| std::future::ready(Ok::<_, osupg::Error>("1".to_string()));
        let made = osupg::schedule::tick_with(home, now, submit).await;
        made.map_err(|error| anyhow!("{error}"))?;
        times.push(start.elapsed());
    }
    // The first round finds what is due, the others nothing.
    row("look for schedules that are due", &mut times, "");
    Ok(())
}

fn row(question: &str, times: &mut [Duration], answer: &str) {
    times.sort_unstable();
    let show = |time: Option<&Duration>| {
        time.map_or(String::new(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
    };
    let (median, slowest) = (show(times.get(times.len() / 2)), show(times.last()));
    println!("| {question} | {median} | {slowest} | {answer} |");
}

/// Writes the rows, by the database's own hand.
async fn fill(home: &Home, options: &Options) -> Result<()> {
    sqlx::any::install_default_drivers();
    let postgres = options.database.is_some();
    let url = match &options.database {
        Some(url) => url.clone(),
        None => format!("sqlite://{}", home.root().join("osupg.db").display()),
    };
    let pool: AnyPool = AnyPoolOptions::new().max_connections(1).connect(&url).await?;
    let numbers = |count: u32| {
        if postgres {
            format!("(SELECT generate_series AS n FROM generate_series(1, {count})) numbers")
        } else {
            format!(
                "(WITH RECURSIVE counting (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counting \
                 WHERE n < {count}) SELECT n FROM counting) numbers"
            )
        }
    };
    let digest = if postgres { "decode(repeat('00', 32), 'hex')" } else { "zeroblob(32)" };
    let id = if postgres { "'OSU' || LPAD(n::text, 5, '0')" } else { "printf('OSU%05d', n)" };
    let now = Moment::now().0;
    let (packages, points) = (options.packages, options.points);
    let standing = "CASE (n * 7 + p) % 100 WHEN 0 THEN 'error' WHEN 1 THEN 'progress' \
                    ELSE 'success' END";
    let mut texts = vec![
        format!(
            "INSERT INTO package (id, name, name_key, version, comment, architecture, \
             architecture_by, language, language_by, source_kind, source_path, current_revision, \
             created_at, changed_at, edit_count) SELECT {id}, 'Package ' || n, 'package ' || n, \
             '24H2', '', 'x64', 'image', 'en-US', 'image', 'iso', '/srv/media/' || n, 1, {now}, \
             {now}, 0 FROM {}",
            numbers(packages)
        ),
        format!(
            "INSERT INTO revision (package_id, number, cause, selection, editions, builds, digest, \
             root_s, root_ns, file_count, total_size, new_size, created_at) SELECT {id}, 1, 'add', \
             '', 'Professional', '26100.1742', {digest}, 0, 0, 900, 5000000000, 200000000, {now} \
             FROM {}",
            numbers(packages)
        ),
        format!(
            "INSERT INTO point (name, name_key, kind, target, mark, comment, time_zone, windows, \
             rate, packages_at_once, threads, timeout_seconds, maintenance, created_at, changed_at) \
             SELECT 'Point ' || n, 'point ' || n, 'folder', '/srv/point/' || n, '', '', 'UTC', '', \
             0, 3, 5, 60, 0, {now}, {now} FROM {}",
            numbers(points)
        ),
        format!(
            "INSERT INTO presence (point_id, package_id, wanted, held, priority, state, standing, \
             reason, sent, to_send, changed_at) SELECT p, {id}, 1, 1, 'medium', \
             CASE {standing} WHEN 'success' THEN 'installed' WHEN 'error' THEN 'failed' \
             ELSE 'transferring' END, {standing}, '', 0, 0, {now} FROM {}, \
             (SELECT id AS p FROM point) points",
            numbers(packages)
        ),
        format!(
            "INSERT INTO job (operation, request, subject, submitted_by, place, lane, priority, \
             state, reason, not_before, attempts, failures, cancel_by, worker, beat_at, phase, \
             done, total, created_at, finished_at) SELECT 'package.verify', '{{}}', \
             'OSU' || (10000 + n % {packages}), 'local:root', 'worker', 'work', n % 3, \
             CASE WHEN n % 10 = 0 THEN 'queued' WHEN n % 97 = 0 THEN 'failed' \
             ELSE 'succeeded' END, '', 0, 1, 0, '', '', 0, '', 0, 0, {now}, \
             CASE WHEN n % 10 = 0 THEN NULL ELSE {now} END FROM {}",
            numbers(options.jobs)
        ),
        format!(
            "INSERT INTO schedule (name, name_key, timing, operation, request, package_id, missed, \
             state, next_at, created_by, created_at) SELECT 'Nightly ' || n, 'nightly ' || n, \
             '0 2 * * *', 'package.list', '{{}}', {id}, 'once', 'active', \
             CASE WHEN n % 1000 = 0 THEN {now} ELSE {now} + 3600000000 * n END, 'local:root', {now} \
             FROM {}",
            numbers(packages)
        ),
    ];
    texts.push("ANALYZE".into());
    for text in texts {
        pool.execute(AssertSqlSafe(text.clone()))
            .await
            .with_context(|| text.chars().take(70).collect::<String>())?;
    }
    pool.close().await;
    Ok(())
}
