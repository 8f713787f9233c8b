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
    /// The URL of an empty PostgreSQL database, as a superuser, or `own` for a server that lives as long as this
    /// command, with its data below /tmp; SQLite when left out.
    #[arg(long, value_name = "URL")]
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
    let url = options.database.clone().map(|url| match &*url {
        "own" => osupg_tests::postgres::server().database(),
        _ => url,
    });
    let config = Config { home: Some(root), database: url.clone(), ..Config::default() };
    let home = Home::open_with(config).await.map_err(|error| anyhow!("{error}"))?;
    let start = Instant::now();
    fill(&home, options, url.as_deref()).await?;
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
        ("packages, a page of 100", "package.list", json!({})),
        ("packages, a page of 1,000", "package.list", json!({ "limit": 1000 })),
        ("a later page of 1,000", "package.list", json!({ "limit": 1000, "after": middle })),
        (
            "packages with a text, of all",
            "package.list",
            json!({ "text": "age 77", "limit": 1000 }),
        ),
        ("one package", "package.show", json!({ "package": middle })),
        ("1,000 points with counts", "point.list", json!({ "limit": 1000 })),
        ("one point with counts", "point.show", json!({ "point": point })),
        (
            "one package at 1,000 points",
            "package.status",
            json!({ "package": middle, "limit": 1000 }),
        ),
        ("one point, 1,000 packages", "point.status", json!({ "point": point, "limit": 1000 })),
        ("roll-up, 1,000 packages", "point.overview", json!({ "limit": 1000 })),
        ("latest jobs", "job.list", json!({})),
        ("jobs that failed", "job.list", json!({ "state": "failed" })),
        ("jobs of a package", "job.list", json!({ "package": middle })),
        ("1,000 schedules", "schedule.list", json!({ "limit": 1000 })),
    ] {
        ask(&home, question, name, &request).await?;
    }
    take(&home).await?;
    tick(&home).await?;
    due(&home).await?;
    publish(&home, options).await?;
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

/// Looks for deliveries that are due: of those that wait for a window, one in a hundred.
async fn due(home: &Home) -> Result<()> {
    let mut times = Vec::new();
    let mut found = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let due = osupg::points::deliver::due(home, Moment::now()).await;
        found = due.map_err(|error| anyhow!("{error}"))?.len();
        times.push(start.elapsed());
    }
    row("look for deliveries that are due", &mut times, &format!("{found} deliveries"));
    Ok(())
}

/// Publishes a package to a group of points: what is wanted there, and a job for each.
async fn publish(home: &Home, options: &Options) -> Result<()> {
    let known = operation::find("point.publish").context("no operation point.publish")?;
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let request = json!({ "package": format!("OSU{round:05}"), "to": ["Hundred"] });
        let start = Instant::now();
        let cancel = wim_extract::Cancel::new();
        let done = known.run(request, home.clone(), Arc::new(Silent), cancel).await;
        done.map_err(|error| anyhow!("{error}"))?;
        times.push(start.elapsed());
    }
    let points = options.points.min(100);
    row("publish a package to a group", &mut times, &format!("{points} points"));
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

/// What takes SQLite's triggers and indexes of `presence` away for as long as it is filled, and what
/// brings them back.
async fn without_upkeep(pool: &AnyPool) -> Result<(Vec<String>, Vec<String>)> {
    let found: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT type, name, sql FROM sqlite_master \
         WHERE tbl_name = 'presence' AND type IN ('trigger', 'index') AND sql IS NOT NULL",
    )
    .fetch_all(pool)
    .await?;
    let away = found.iter().map(|(kind, name, _)| format!("DROP {kind} {name}"));
    let set = ["PRAGMA foreign_keys = OFF", "PRAGMA cache_size = -200000"].map(String::from);
    Ok((set.into_iter().chain(away).collect(), found.into_iter().map(|(_, _, sql)| sql).collect()))
}

/// Writes the rows, by the database's own hand.
async fn fill(home: &Home, options: &Options, database: Option<&str>) -> Result<()> {
    sqlx::any::install_default_drivers();
    let postgres = database.is_some();
    let url = match database {
        Some(url) => url.to_string(),
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
    // Millions of rows are written at once, and counted and indexed afterwards.
    let (before, after) = match postgres {
        true => (vec!["SET session_replication_role = replica".to_string()], Vec::new()),
        false => without_upkeep(&pool).await?,
    };
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
             reason, sent, to_send, retry_at, changed_at) SELECT p, {id}, 1, 1, 'medium', \
             CASE {standing} WHEN 'success' THEN 'installed' WHEN 'error' THEN 'failed' \
             ELSE 'waiting' END, {standing}, '', 0, 0, CASE {standing} WHEN 'progress' THEN \
             CASE p % 100 WHEN 5 THEN {now} ELSE {now} + 3600000000 END END, {now} \
             FROM (SELECT id AS p FROM point) points CROSS JOIN {}",
            numbers(packages)
        ),
        // What the triggers would have counted.
        "INSERT INTO package_tally (package_id, standing, points) \
         SELECT package_id, standing, COUNT(*) FROM presence GROUP BY package_id, standing"
            .to_string(),
        "INSERT INTO point_tally (point_id, standing, packages) SELECT point.id, word, \
         (SELECT COUNT(*) FROM presence WHERE point_id = point.id AND standing = word) \
         FROM point CROSS JOIN (SELECT DISTINCT standing AS word FROM package_tally) standings"
            .to_string(),
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
    texts.push(format!(
        "INSERT INTO point_group (name, name_key, comment, created_at) \
         VALUES ('Hundred', 'hundred', '', {now})"
    ));
    texts.push(format!(
        "INSERT INTO point_member (group_id, point_id, since) \
         SELECT g.id, p.id, {now} FROM point_group g, point p WHERE p.id <= 100"
    ));
    // What PostgreSQL does by itself after a while, and osupg has SQLite do.
    texts.push(if postgres { "ANALYZE" } else { "PRAGMA optimize = 0x10002" }.into());
    let tallies = texts.iter().position(|text| text.contains("INTO package_tally"));
    let mut texts: Vec<String> = before.into_iter().chain(texts).collect();
    if let Some(at) = tallies {
        let at = at + texts.iter().position(|text| text.contains("INTO package (")).unwrap_or(0);
        texts.splice(at..at, after);
    }
    for text in texts {
        pool.execute(AssertSqlSafe(text.clone()))
            .await
            .with_context(|| text.chars().take(70).collect::<String>())?;
    }
    pool.close().await;
    Ok(())
}
