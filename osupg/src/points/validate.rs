//! Reads what points hold and compares it with what was signed; repairs only what is bad.

use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deliver::{self, Delivered};
use super::feed::{Feed, Rules};
use super::model::{Kind, Point, Presence, State};
use super::slot::Slot;
use super::target::{Depth, Flaw};
use super::window::Priority;
use super::{package_id, places, points_at, target, trusted};
use crate::error::{Kind as ErrorKind, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::package::document::Document;
use crate::progress::{Phase, Watch};
use crate::text;

/// Points that are read at the same time.
const AT_ONCE: usize = 4;
/// Flaws that a point's reason names.
const NAMED: usize = 3;

/// What is to be validated, and where.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name; all packages when left out.
    #[serde(default)]
    pub package: Option<String>,
    /// Points and groups by name; every point that has something when left out.
    #[serde(default)]
    pub at: Vec<String>,
    /// What becomes of what is bad.
    #[serde(default)]
    pub then: Then,
}

/// What becomes of what is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// It is named.
    #[default]
    Report,
    /// It is sent again.
    Repair,
}

/// What is to be repaired, and where.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairRequest {
    /// The package's id or name; all packages when left out.
    #[serde(default)]
    pub package: Option<String>,
    /// Points and groups by name; every point that has something when left out.
    #[serde(default)]
    pub at: Vec<String>,
}

/// How a package was found at a point.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Validated {
    /// The point.
    pub point: String,
    /// The package's id.
    pub package: String,
    /// The revision that the point says it has.
    pub revision: Option<i64>,
    /// Whether every byte was found right, in the end.
    pub sound: bool,
    /// What was wrong.
    pub flaws: Vec<Flaw>,
    /// What the repair came to, if there was one.
    pub repair: Option<Delivered>,
    /// Why nothing can be said, or what else there is to know; empty mostly.
    pub note: String,
}

impl Operation for Request {
    type Outcome = Vec<Validated>;
    const NAME: &'static str = "point.validate";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Vec<Validated>> {
        validate(home, self.package.as_deref(), &self.at, self.then, watch).await
    }
}

impl Operation for RepairRequest {
    type Outcome = Vec<Validated>;
    const NAME: &'static str = "point.repair";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Vec<Validated>> {
        validate(home, self.package.as_deref(), &self.at, Then::Repair, watch).await
    }
}

async fn validate(
    home: &Home,
    package: Option<&str>,
    at: &[String],
    then: Then,
    watch: Watch<'_>,
) -> Result<Vec<Validated>> {
    let package = match package {
        Some(package) => Some(package_id(home, package).await?),
        None => None,
    };
    let points = match at {
        [] => home.db.points().await?,
        names => points_at(home, &places(home, names).await?).await?,
    };
    let mut work = Vec::new();
    for point in &points {
        for presence in home.db.presences_at(point.key).await? {
            let asked = package.as_ref().is_none_or(|id| *id == presence.package);
            if asked && presence.wanted.is_some() {
                work.push((point, presence));
            }
        }
    }
    let all: Vec<Validated> = stream::iter(&work)
        .map(|(point, presence)| validate_one(home, point, presence, then, watch))
        .buffered(AT_ONCE)
        .collect()
        .await;
    watch.check()?;
    Ok(all)
}

async fn validate_one(
    home: &Home,
    point: &Point,
    presence: &Presence,
    then: Then,
    watch: Watch<'_>,
) -> Validated {
    let mut found = Validated {
        point: point.name.clone(),
        package: presence.package.clone(),
        revision: presence.held,
        sound: false,
        flaws: Vec::new(),
        repair: None,
        note: String::new(),
    };
    if point.kind == Kind::Node {
        found.note = match home.db.ask_check(point.key, &presence.package).await {
            Ok(()) => "the node has been asked to check what it holds".into(),
            Err(error) => error.to_string(),
        };
        return found;
    }
    match look(home, point, presence, watch).await {
        Ok(Ok(flaws)) => {
            found.sound = flaws.is_empty();
            found.flaws = flaws;
        }
        Ok(Err(note)) => found.note = note,
        Err(error) => {
            found.note = error.to_string();
            return found;
        }
    }
    // What is not there yet, or was cut off on its way, is repaired by delivering it.
    let unsound = !found.sound;
    if then == Then::Repair && unsound {
        let repaired =
            deliver::deliver(home, &point.name, &presence.package, Depth::EveryByte, watch).await;
        match repaired {
            Ok(done) => {
                found.sound = done.state == Some(State::Installed);
                found.revision = done.revision;
                found.note = done.reason.clone();
                found.repair = Some(done);
            }
            Err(error) => found.note = error.to_string(),
        }
    }
    found
}

/// The flaws of a package at a point, which is also how it stands there from now on; or a note why
/// nothing can be said.
async fn look(
    home: &Home,
    point: &Point,
    presence: &Presence,
    watch: Watch<'_>,
) -> Result<Result<Vec<Flaw>, String>> {
    if matches!(presence.state, State::Transferring | State::Removing) {
        return Ok(Err(format!("it is on its way ({})", presence.state)));
    }
    let Some(held) = presence.held else {
        return Ok(Err(format!("nothing is installed yet ({})", presence.state)));
    };
    let package = &presence.package;
    let slot = match Slot::take(home, point.key, package, i64::MAX).await? {
        Ok(slot) => slot,
        Err(busy) => return Ok(Err(busy.words().into())),
    };
    let looked = read(home, point, package, held, &slot, watch).await;
    slot.release().await?;
    let flaws = looked?;
    home.db.point_seen(point.key).await?;
    if flaws.is_empty() {
        home.db.set_installed(point.key, package, held).await?;
    } else {
        let reason = words(&flaws);
        home.db.set_state(point.key, package, State::Damaged, &reason, None).await?;
        watch.progress.note(&format!("{}: {package}: {reason}", point.name));
    }
    Ok(Ok(flaws))
}

async fn read(
    home: &Home,
    point: &Point,
    package: &str,
    held: i64,
    slot: &Slot,
    watch: Watch<'_>,
) -> Result<Vec<Flaw>> {
    let target = target(home, point)?;
    target.check_mark(&point.mark).await?;
    let whole = |what: String| vec![Flaw { path: String::new(), what }];
    let Some(envelope) = target.document(package).await? else {
        return Ok(whole("the point has no document of it".into()));
    };
    let document = match Document::open(&envelope, &trusted(home).await?) {
        Ok(document) => document,
        Err(error) if error.kind() == ErrorKind::Io => return Err(error),
        Err(error) => return Ok(whole(format!("its document at the point: {error}"))),
    };
    // A document that was right once may be of another package or an older revision.
    let stored = home.db.revision_digest(package, held).await?;
    let other = document.package.id != package || document.number != held;
    if other || stored.is_some_and(|digest| digest != document.digest) {
        return Ok(whole(format!(
            "the point has the document of {} revision {} instead of revision {held}",
            document.package.id, document.number
        )));
    }
    // Reading takes no window: nothing travels.
    let rules = Rules::of(point, Priority::High)?;
    let feed = Feed::new(&home.library, &rules, watch);
    watch.progress.begin(Phase::Check, document.total_size());
    let mut work = std::pin::pin!(target.verify(&document, &feed));
    let mut beat = tokio::time::interval(super::slot::BEAT);
    let flaws = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = beat.tick() => {
                slot.beat().await?;
            }
        }
    };
    watch.progress.end();
    flaws
}

/// The first flaws, and how many more there are.
fn words(flaws: &[Flaw]) -> String {
    let said = flaws.iter().take(NAMED).map(|flaw| {
        let path = text::clean(&flaw.path);
        if path.is_empty() { flaw.what.clone() } else { format!("{path} {}", flaw.what) }
    });
    let mut words = said.collect::<Vec<_>>().join("; ");
    if flaws.len() > NAMED {
        words.push_str(&format!("; and {} more", flaws.len() - NAMED));
    }
    words
}
