//! Looks whether everything that osupg needs is as it must be, and says what to mend.
//!
//! Nothing is changed: a file and an object are written and taken away again, to see that it works.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wim_extract::output::available_space;

use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::points::model::{Kind, Point};
use crate::progress::Watch;
use crate::store::layout::{ObjectId, Piece};
use crate::store::lease::Lease;
use crate::system;
use crate::text;
use crate::time::Moment;
use crate::trust::{TrustList, key, ring};

/// Below so much free space nothing can be added any more.
const NO_ROOM: u64 = 256 << 20;
/// Below so much free space the next image may not fit.
const LITTLE_ROOM: u64 = 20 << 30;
/// Microseconds in a minute.
const MINUTE: i64 = 60_000_000;

/// Checks this installation.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {}

/// How something is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it must be.
    Good,
    /// It works, but not for ever or not as it should.
    Warning,
    /// It must be mended.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What: `store`, `space`, `locks`, `database`, `library`, `leftovers`, `keys`, `clock`,
    /// `schedules`, `points`, `version`.
    pub area: String,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do; empty when there is nothing.
    pub mend: String,
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The worst of all states.
    pub state: State,
    /// One by one.
    pub checks: Vec<Check>,
}

impl Report {
    /// A report of these checks.
    #[must_use]
    pub fn of(checks: Vec<Check>) -> Self {
        let state = checks.iter().map(|check| check.state).max().unwrap_or(State::Good);
        Self { state, checks }
    }
}

impl Check {
    fn good(area: &str, found: impl Into<String>) -> Self {
        Self { area: area.into(), state: State::Good, found: found.into(), mend: String::new() }
    }

    fn warning(area: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { area: area.into(), state: State::Warning, found: found.into(), mend: mend.into() }
    }

    fn bad(area: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { area: area.into(), state: State::Bad, found: found.into(), mend: mend.into() }
    }

    /// What an error says about an area.
    #[must_use]
    pub fn error(area: &str, error: &Error) -> Self {
        Self::bad(area, error.to_string(), error.advice().unwrap_or_default())
    }
}

impl Operation for Request {
    type Outcome = Report;
    const NAME: &'static str = "doctor.check";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Report> {
        let mut checks =
            vec![Check::good("version", format!("osupg {}", env!("CARGO_PKG_VERSION")))];
        let mut add = |area: &str, found: Result<Check>| {
            checks.push(found.unwrap_or_else(|error| Check::error(area, &error)));
        };
        add("store", tokio::task::block_in_place(|| store(home.root())));
        add("space", tokio::task::block_in_place(|| space(home.root())));
        add("locks", tokio::task::block_in_place(|| locks(home.root())));
        add("database", database(home).await);
        watch.check()?;
        add("library", library(home).await);
        add("leftovers", leftovers(home).await);
        add("keys", tokio::task::block_in_place(|| keys(home)));
        add("clock", clock(home, Moment::now()).await);
        add("schedules", schedules(home, Moment::now()).await);
        watch.check()?;
        add("points", points(home).await);
        Ok(Report::of(checks))
    }
}

fn store(root: &Path) -> Result<Check> {
    let shown = text::path(root);
    let failed = |error| Error::file("examine", root, &error);
    if let Some(exposed) = system::written_by_others(root).map_err(failed)? {
        let mend = format!("take that right away: {}", exposed.mend);
        return Ok(Check::bad("store", exposed.found, mend));
    }
    let probe = root.join(format!(".doctor-{}", std::process::id()));
    let written = fs::write(&probe, b"x");
    let removed = fs::remove_file(&probe);
    if let Err(error) = written.and(removed) {
        return Ok(Check::bad(
            "store",
            format!("nothing can be written to {shown}: {error}"),
            "give the account that runs osupg the right to write there",
        ));
    }
    if let Some((owner, own)) = system::other_owner(root).map_err(failed)? {
        return Ok(Check::warning(
            "store",
            format!("{shown} belongs to user {owner}, and osupg runs as user {own}"),
            "run osupg as the user to whom the store belongs, or files will have two owners",
        ));
    }
    Ok(Check::good("store", format!("{shown} can be written")))
}

fn space(root: &Path) -> Result<Check> {
    let free =
        available_space(root).map_err(|error| Error::file("examine the disk of", root, &error))?;
    Ok(match free {
        None => Check::good("space", "the file system does not say how much is free"),
        Some(free) if free < NO_ROOM => Check::bad(
            "space",
            format!("{} are free", text::size(free)),
            "free space, or move the store to another disk",
        ),
        Some(free) if free < LITTLE_ROOM => Check::warning(
            "space",
            format!("{} are free", text::size(free)),
            "media with several editions may not fit; remove revisions that nobody needs",
        ),
        Some(free) => Check::good("space", format!("{} are free", text::size(free))),
    })
}

/// Locks keep a collector away from running imports: where they do not work, nothing is safe.
fn locks(root: &Path) -> Result<Check> {
    let path = root.join(format!(".doctor-lock-{}", std::process::id()));
    let held = Lease::try_exclusive(&path);
    let second = Lease::try_exclusive(&path);
    // Whether it can be removed was looked at before.
    let _ = fs::remove_file(&path);
    Ok(match (held?, second?) {
        (Some(_), None) => Check::good("locks", "a lock keeps others away"),
        _ => Check::bad(
            "locks",
            "two hold the same lock: the file system of the store does not know locks",
            "move the store to a local file system, or mount this one with locks",
        ),
    })
}

async fn database(home: &Home) -> Result<Check> {
    let found = home.db.quick_check().await?;
    if let Some(first) = found.first() {
        return Ok(Check::bad(
            "database",
            format!("it is damaged in {} places, the first: {}", found.len(), text::clean(first)),
            "restore it from a backup; the library keeps its objects meanwhile",
        ));
    }
    let version = home.db.tables_version().await?;
    Ok(Check::good("database", format!("whole, with tables of version {version}")))
}

async fn library(home: &Home) -> Result<Check> {
    let mut random = [0; 32];
    key::random(&mut random)?;
    let bytes = Bytes::copy_from_slice(&random);
    let piece = Piece { id: ObjectId::of(&bytes), size: bytes.len() as u64 };
    // No collector takes the object for litter while it is being looked at.
    let lease = home.lease().await?;
    home.library.put(&piece.id, &bytes).await?;
    let read = home.library.get(&piece).await;
    let removed = home.library.delete(&piece.id).await;
    lease.release().await;
    if read? != bytes {
        return Ok(Check::bad(
            "library",
            "an object comes back with other bytes",
            "the disk or network of the library is not to be trusted: move it",
        ));
    }
    if let Err(error) = removed {
        return Ok(Check::bad(
            "library",
            format!("objects can be written and not removed: {error}"),
            "give osupg the right to delete objects, or removed packages never free space",
        ));
    }
    let (objects, size) = home.db.object_totals().await?;
    Ok(Check::good(
        "library",
        format!(
            "objects can be written, read and removed; it holds {objects} of them, {}",
            text::size(size)
        ),
    ))
}

async fn leftovers(home: &Home) -> Result<Check> {
    let left = home.db.leftovers().await?;
    Ok(match (left.imports, left.doomed) {
        (0, 0) => Check::good("leftovers", "there are none"),
        (0, doomed) => Check::warning(
            "leftovers",
            format!("{doomed} objects that nobody needs are still in the library"),
            "the next command that adds or removes a package takes them away",
        ),
        (imports, _) => Check::warning(
            "leftovers",
            format!("{imports} imports are running, or were cut off"),
            "what was cut off is cleared when the next package is added",
        ),
    })
}

fn keys(home: &Home) -> Result<Check> {
    let list = TrustList::of(home)?;
    let own = ring::current_id(home.root())?;
    let folder = ring::folder(home.root());
    let seen = system::seen_by_others(&folder);
    if let Some(exposed) = seen.map_err(|error| Error::file("examine", &folder, &error))? {
        let mend = format!("make it private: {}", exposed.mend);
        return Ok(Check::bad("keys", exposed.found, mend));
    }
    let trusted = list.keys().filter(|key| key.revoked_at.is_none()).count();
    let own = own.map(|id| id.short()).unwrap_or_default();
    Ok(Check::good("keys", format!("{own} signs; {trusted} trusted in all")))
}

/// A clock that was set back makes schedules run again and signatures seem to come from the future.
async fn clock(home: &Home, now: Moment) -> Result<Check> {
    Ok(match home.db.latest_revision_at().await? {
        Some(latest) if latest.0 > now.0 + 5 * MINUTE => Check::bad(
            "clock",
            format!(
                "it is {} here, and a revision was made at {}",
                now.rfc3339(),
                latest.rfc3339()
            ),
            "set the clock of this machine, or that of the one that made the revision",
        ),
        _ => Check::good("clock", format!("it is {}", now.rfc3339())),
    })
}

async fn schedules(home: &Home, now: Moment) -> Result<Check> {
    let day = 24 * 60 * MINUTE;
    let (overdue, failed) =
        home.db.schedule_health(Moment(now.0 - 15 * MINUTE), Moment(now.0 - 7 * day)).await?;
    Ok(match (overdue, failed) {
        (0, 0) => Check::good("schedules", "nothing is overdue"),
        (0, failed) => Check::warning(
            "schedules",
            format!("{failed} runs of the last seven days could not be made into jobs"),
            "`osupg schedule show` says why",
        ),
        (overdue, _) => Check::bad(
            "schedules",
            format!("{overdue} schedules are overdue by more than a quarter of an hour"),
            "no worker is running: start `osupg serve` or `osupg worker`",
        ),
    })
}

/// Points in folders and object stores are asked; of nodes it is known when they last asked.
async fn points(home: &Home) -> Result<Check> {
    let all = home.db.points().await?;
    let mut silent = Vec::new();
    let mut asked = 0;
    for point in all.iter().filter(|point| !point.maintenance) {
        asked += 1;
        let answer = match point.kind {
            Kind::Node => node(point, Moment::now()),
            Kind::Folder | Kind::Objects => reach(home, point).await,
        };
        if let Err(why) = answer {
            silent.push(format!("{} ({})", text::clean(&point.name), text::clean(&why)));
        }
    }
    Ok(match silent.len() {
        0 => Check::good("points", format!("{asked} asked, {asked} answer")),
        _ => Check::bad(
            "points",
            format!("{} of {asked} do not answer: {}", silent.len(), silent.join(", ")),
            "mend their disk, share or network; what is due is sent when they answer again",
        ),
    })
}

/// Whether a point is there, and the one that was added.
async fn reach(home: &Home, point: &Point) -> Result<(), String> {
    let target = crate::points::target(home, point).map_err(|error| error.to_string())?;
    target.check_mark(&point.mark).await.map_err(|error| error.to_string())
}

/// A node asks what is wanted every few minutes.
fn node(point: &Point, now: Moment) -> Result<(), String> {
    match point.seen_at {
        Some(seen) if seen.0 > now.0 - 60 * MINUTE => Ok(()),
        Some(seen) => Err(format!("it last asked at {}", seen.rfc3339())),
        None => Err("it has never asked".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::progress::Silent;
    use crate::schedule;

    async fn report(home: &Home) -> Report {
        let cancel = wim_extract::Cancel::new();
        let watch = Watch { progress: &Silent, cancel: &cancel };
        Request {}.run(home, watch).await.unwrap()
    }

    fn state(report: &Report, area: &str) -> State {
        report.checks.iter().find(|check| check.area == area).unwrap().state
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_fresh_store_is_well_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("store")).await.unwrap();
        let report = report(&home).await;
        for check in &report.checks {
            let fine = check.state == State::Good || check.area == "space";
            assert!(fine && (check.mend.is_empty() == (check.state == State::Good)), "{check:?}");
        }
        let objects = folder.path().join("store/library/objects");
        let files = walk(&objects);
        assert!(files.is_empty(), "{files:?}");
        let left = fs::read_dir(folder.path().join("store")).unwrap();
        assert!(left.flatten().all(|file| !file.file_name().to_string_lossy().contains("doctor")));
    }

    fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let entries = entries.map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_wrong_is_found_with_what_to_mend() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let home = Home::open(&root).await.unwrap();
        report(&home).await;
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&root, 0o777);
        set(&ring::folder(&root), 0o755);
        home.db.import_begins(Path::new("/somewhere")).await.unwrap();
        let found = report(&home).await;
        assert_eq!(found.state, State::Bad);
        assert_eq!(state(&found, "store"), State::Bad);
        assert_eq!(state(&found, "keys"), State::Bad);
        assert_eq!(state(&found, "leftovers"), State::Warning);
        for check in found.checks.iter().filter(|check| check.state != State::Good) {
            assert!(!check.mend.is_empty(), "{check:?}");
        }
        set(&ring::folder(&root), 0o700);
        let id = ring::current_id(&root).unwrap().unwrap();
        fs::remove_file(ring::file_of(&root, &id)).unwrap();
        let found = report(&home).await;
        assert_eq!(state(&found, "keys"), State::Bad, "a lost key");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn schedules_that_nobody_serves_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).await.unwrap();
        let add = schedule::Add {
            name: "x".into(),
            when: "every hour".into(),
            operation: "package.list".into(),
            request: serde_json::json!({}),
            missed: schedule::model::Missed::Once,
        };
        let cancel = wim_extract::Cancel::new();
        let shown = add.run(&home, Watch { progress: &Silent, cancel: &cancel }).await.unwrap();
        let due = shown.upcoming[0];
        assert_eq!(schedules(&home, due).await.unwrap().state, State::Good);
        let late = Moment(due.0 + 16 * MINUTE);
        assert_eq!(schedules(&home, late).await.unwrap().state, State::Bad);
    }
}
