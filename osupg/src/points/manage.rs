//! Adds, lists, edits and removes points.

use std::path::{Component, Path, PathBuf};

use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wim_extract::beneath::real_path;

use super::deliver;
use super::model::{Kind, Point, Settings, State, Tally};
use super::publish::{Assigned, Carrier, hand_on};
use super::target::Depth;
use super::window::{Priority, Windows};
use crate::db::points::{NewPoint, Place};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Reach, Right};
use crate::package::fields;
use crate::page::{self, Page, paged};
use crate::progress::Watch;
use crate::resolve::resolve;

/// Characters of an address.
const MAX_TARGET: usize = 2000;
/// Packages that are removed from a point at the same time.
const REMOVALS: usize = 2;

/// A point to add.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The name: 1 to 50 characters, unique.
    pub name: String,
    /// What kind of place it is.
    pub kind: Kind,
    /// A folder that exists; `s3://bucket/prefix`, `azure://container/prefix` or `file:///folder`;
    /// for a node, any word that it is known by.
    pub target: String,
    /// The other fields; what is left out is as usual.
    #[serde(default)]
    pub change: Change,
}

/// Fields to set; what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// A new name.
    pub name: Option<String>,
    /// A comment: up to 127 characters.
    pub comment: Option<String>,
    /// The time zone of the windows, as IANA names it.
    pub time_zone: Option<String>,
    /// What may travel, by the hour of the week: `mon-fri 7-19 high; sat,sun closed`.
    pub windows: Option<Windows>,
    /// Bytes a second that may travel; 0 for any number.
    pub rate: Option<i64>,
    /// Packages sent at the same time: 1 to 50.
    pub packages_at_once: Option<i64>,
    /// Files or pieces of a package under way at the same time: 1 to 99.
    pub threads: Option<i64>,
    /// Seconds without an answer after which the point counts as gone: 1 to 86,400.
    pub timeout_seconds: Option<i64>,
}

impl Change {
    fn apply(&self, settings: &Settings) -> Result<Settings> {
        let settings = Settings {
            comment: match &self.comment {
                Some(comment) => fields::comment(comment)?,
                None => settings.comment.clone(),
            },
            time_zone: self.time_zone.clone().unwrap_or_else(|| settings.time_zone.clone()),
            windows: self.windows.clone().unwrap_or_else(|| settings.windows.clone()),
            rate: self.rate.unwrap_or(settings.rate),
            packages_at_once: self.packages_at_once.unwrap_or(settings.packages_at_once),
            threads: self.threads.unwrap_or(settings.threads),
            timeout_seconds: self.timeout_seconds.unwrap_or(settings.timeout_seconds),
        };
        settings.check()?;
        Ok(settings)
    }
}

impl Operation for Add {
    type Outcome = Point;
    const NAME: &'static str = "point.add";
    const RIGHT: Right = Right::Administer;

    fn places(&self) -> Vec<&Path> {
        match (self.kind, self.target.strip_prefix("file://")) {
            (Kind::Folder, _) => vec![Path::new(&self.target)],
            (Kind::Objects, Some(folder)) => vec![Path::new(folder)],
            _ => Vec::new(),
        }
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Point> {
        let name = point_name(&self.name)?;
        let settings = self.change.apply(&Settings::default())?;
        if home.db.point_if_any(&name).await?.is_some() {
            return Err(Error::conflict(format!("there is a point named {name:?} already")));
        }
        let address = address(self.kind, &self.target, home.root())?;
        check_no_source(home, self.kind, &address).await?;
        let mark = match self.kind {
            Kind::Node => String::new(),
            kind => {
                let target = super::reach(home, kind, &address, settings.timeout_seconds)?;
                let mark = target.claim().await?;
                if let Some(other) = home.db.point_marked(&mark).await? {
                    return Err(Error::conflict(format!(
                        "{} is the point {} already",
                        crate::text::clean(&address),
                        other.name
                    )));
                }
                mark
            }
        };
        let new = NewPoint {
            name: &name,
            kind: self.kind,
            target: &address,
            mark: &mark,
            settings: &settings,
        };
        let key = home.db.insert_point(&new).await?;
        home.db.point_by_key(key).await
    }
}

/// A name of a point or group. A colon would be taken for `point:` or `group:`.
pub(super) fn point_name(given: &str) -> Result<String> {
    let name = fields::name(given)?;
    if name.contains(':') {
        return Err(Error::usage("the name of a point or group holds no colon"));
    }
    Ok(name)
}

/// An address, checked and in the form in which it is kept.
fn address(kind: Kind, given: &str, store: &Path) -> Result<String> {
    let given = given.trim();
    if given.is_empty() || given.len() > MAX_TARGET || given.chars().any(char::is_control) {
        return Err(Error::usage(format!(
            "the target of a point is a line of 1 to {MAX_TARGET} characters"
        )));
    }
    match kind {
        Kind::Folder => {
            let path = Path::new(given);
            let real = real_path(path).map_err(|error| {
                Error::file("open the folder", path, &error)
                    .advise("make the folder, or mount the share, before it becomes a point")
            })?;
            if !real.is_dir() {
                return Err(Error::usage(format!("{} is no folder", crate::text::path(&real))));
            }
            check_outside(&real, store)?;
            real.to_str().map(str::to_string).ok_or_else(|| {
                Error::usage(format!("the path {} is not UTF-8", crate::text::path(&real)))
            })
        }
        Kind::Objects
            if ["s3://", "azure://", "file:///"].iter().any(|scheme| given.starts_with(scheme)) =>
        {
            let address = given.trim_end_matches('/');
            if let Some(folder) = address.strip_prefix("file://") {
                check_outside(&folder_to_be(folder)?, store)?;
            }
            Ok(address.to_string())
        }
        Kind::Objects => {
            Err(Error::usage(format!("{:?} is no address", crate::text::clean(given)))
                .advise("write s3://bucket/prefix, azure://container/prefix or file:///folder"))
        }
        Kind::Node => Ok(given.to_string()),
    }
}

/// Where a folder is, or will be once it is made: with links followed.
fn folder_to_be(given: &str) -> Result<PathBuf> {
    let given = Path::new(given);
    let wrong = |what: &str| {
        Err(Error::usage(format!("{} {what}", crate::text::path(given)))
            .advise("write the path as it is, without `..`"))
    };
    if given.components().any(|part| part == Component::ParentDir) {
        return wrong("leads upwards");
    }
    let real = resolve(given);
    if real.as_os_str().is_empty() {
        wrong("is behind a link that leads nowhere")
    } else {
        Ok(real)
    }
}

/// Checks that a folder and the store are not one inside the other.
fn check_outside(folder: &Path, store: &Path) -> Result<()> {
    if !store.starts_with(folder) && !folder.starts_with(store) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{} and the store {} are one inside the other",
        crate::text::path(folder),
        crate::text::path(store)
    ))
    .advise("choose a folder outside the store"))
}

/// Checks that a folder lies in no package's source: those are only read.
async fn check_no_source(home: &Home, kind: Kind, address: &str) -> Result<()> {
    let folder = match kind {
        Kind::Folder => address,
        Kind::Objects => match address.strip_prefix("file://") {
            Some(folder) => folder,
            None => return Ok(()),
        },
        Kind::Node => return Ok(()),
    };
    let folder = folder_to_be(folder)?;
    for package in home.db.packages().await? {
        // A package of another store has the name of that for its source.
        let source = Path::new(&package.source_path);
        let real = source.is_absolute().then(|| real_path(source));
        if real.is_some_and(|real| real.is_ok_and(|real| folder.starts_with(real))) {
            return Err(Error::usage(format!(
                "{} is in the source of {}, which is only read",
                crate::text::path(&folder),
                package.id
            ))
            .advise("choose a folder outside the sources of packages"));
        }
    }
    Ok(())
}

/// Points, by name. The answer is a page.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct List {
    /// Only those after this name: where the page before ended.
    pub after: Option<String>,
    /// No more than so many, 1 to 1,000; 100 when left out.
    pub limit: Option<u32>,
}

/// A point in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The point.
    #[serde(flatten)]
    pub point: Point,
    /// How its packages stand.
    pub packages: Tally,
}

impl Operation for List {
    type Outcome = Page<Listed>;
    const NAME: &'static str = "point.list";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Page<Listed>> {
        let limit = page::limit(self.limit)?;
        let (after, most) = (self.after.as_deref().unwrap_or_default(), i64::from(limit) + 1);
        let tallies = home.db.point_tallies(after, most).await?;
        let list = home.db.points_after(after, most).await?.into_iter().map(|point| {
            let packages = tallies.get(&point.key).copied().unwrap_or_default();
            Listed { point, packages }
        });
        Ok(Page::cut(list.collect(), limit, |listed: &Listed| listed.point.name.clone()))
    }
}

paged!(List);

/// Which point to show.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Its name.
    pub point: String,
}

/// Everything about a point.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// The point.
    #[serde(flatten)]
    pub point: Point,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// How its packages stand; `point.status` lists them.
    pub packages: Tally,
}

impl Operation for Show {
    type Outcome = Shown;
    const NAME: &'static str = "point.show";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Shown> {
        let point = home.db.point(&self.point).await?;
        let groups = home.db.groups().await?.into_iter();
        let groups = groups.filter(|group| group.points.contains(&point.name));
        let packages = home.db.point_tally(point.key).await?;
        Ok(Shown { groups: groups.map(|group| group.name).collect(), packages, point })
    }
}

/// What to change about a point.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The point's name.
    pub point: String,
    /// The fields to set.
    pub change: Change,
}

impl Operation for Edit {
    type Outcome = Point;
    const NAME: &'static str = "point.edit";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Point> {
        let point = home.db.point(&self.point).await?;
        let settings = self.change.apply(&point.settings)?;
        let name = match &self.change.name {
            Some(name) => point_name(name)?,
            None => point.name,
        };
        home.db.edit_point(point.key, &name, &settings).await?;
        // A window may be open now that was closed, and the other way round.
        home.db.wake_point(point.key).await?;
        home.db.point_by_key(point.key).await
    }
}

/// What maintenance is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// Nothing is sent.
    On,
    /// It is a point like any other.
    Off,
}

/// Puts a point into maintenance, or ends that.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// The point's name.
    pub point: String,
    /// What it is to be.
    pub maintenance: Switch,
    /// Who carries what has waited for its end.
    #[serde(default)]
    pub carrier: Carrier,
}

/// What has become of a point, and what is to be delivered there now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The point.
    #[serde(flatten)]
    pub point: Point,
    /// Packages that are to be delivered there.
    pub deliveries: Vec<Assigned>,
}

impl Operation for Maintenance {
    type Outcome = Changed;
    const NAME: &'static str = "point.maintenance";
    const RIGHT: Right = Right::Operate;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Changed> {
        let point = home.db.point(&self.point).await?;
        home.db.set_maintenance(point.key, i64::from(self.maintenance == Switch::On)).await?;
        let mut deliveries = Vec::new();
        if self.maintenance == Switch::Off {
            for package in home.db.wake_point(point.key).await? {
                deliveries.push(deliver_one(home, point.key, package, self.carrier).await?);
            }
        }
        Ok(Changed { point: home.db.point_by_key(point.key).await?, deliveries })
    }
}

/// Has a package delivered to a point as it is assigned there.
pub(super) async fn deliver_one(
    home: &Home,
    point: i64,
    package: String,
    carrier: Carrier,
) -> Result<Assigned> {
    let presence = home.db.presence(point, &package).await?;
    let priority = presence.as_ref().map_or(Priority::Medium, |presence| presence.priority);
    let deliveries = hand_on(home, &[Place::Point(point)], &package, priority, carrier).await?;
    let revision = presence.and_then(|presence| presence.wanted);
    Ok(Assigned { package, revision, deliveries, notes: Vec::new() })
}

/// What becomes of the content of a point that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// It is removed first.
    #[default]
    Remove,
    /// It stays where it is, as when the place is gone for good.
    Leave,
}

/// Which point to remove.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// Its name.
    pub point: String,
    /// What becomes of its content.
    #[serde(default)]
    pub content: Content,
}

/// A point that was removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// Its name.
    pub point: String,
    /// The packages that were removed from it.
    pub packages: Vec<String>,
}

impl Operation for Remove {
    type Outcome = Removed;
    const NAME: &'static str = "point.remove";
    const RIGHT: Right = Right::Administer;
    const LENGTH: Length = Length::Long;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Removed> {
        let point = home.db.point(&self.point).await?;
        let mut packages = Vec::new();
        if self.content == Content::Remove && point.kind != Kind::Node {
            if point.maintenance {
                return Err(Error::conflict(format!("{} is in maintenance", point.name)).advise(
                    "end that first, so that its content can be removed, or leave the content",
                ));
            }
            home.db.drop_assignments(point.key).await?;
            home.db.settle_point(point.key).await?;
            let leaving: Vec<String> =
                home.db.presences_at(point.key).await?.into_iter().map(|one| one.package).collect();
            let removals = leaving
                .iter()
                .map(|package| deliver::deliver(home, &point.name, package, Depth::Usual, watch));
            let mut done = stream::iter(removals).buffered(REMOVALS);
            while let Some(done) = done.next().await {
                let done = done?;
                if done.state == Some(State::Waiting) {
                    return Err(Error::busy(format!("{}: {}", done.package, done.reason)));
                }
                packages.push(done.package);
            }
            super::target(home, &point)?.unclaim().await?;
        }
        home.db.remove_point(point.key).await?;
        Ok(Removed { point: point.name, packages })
    }
}
