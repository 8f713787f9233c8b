//! Distribution points: where packages are sent to, and how they stand there.
//!
//! ```text
//!  publish ─► assignment (what is to be where: a point, or every point of a group)
//!                │ settles
//!                ▼
//!             presence (point × package: wanted, held, state, reason) ─► tallies for roll-ups
//!                │ one delivery each
//!                ▼
//!  content library ─► feed (window, rate, count) ─► target (folder, object store)
//!                                            node: asks what is wanted, and fetches by itself
//! ```
//!
//! What is to be somewhere and what is there are kept apart. A [`delivery`](deliver) brings the one
//! in line with the other for one package at one point, so publishing, withdrawing, trying again
//! and repairing are the same work, and one point that fails fails alone. It can be cut off at any
//! moment and done again: what has travelled is found at the point.

pub mod control;
pub mod deliver;
pub mod feed;
pub mod group;
pub mod manage;
pub mod model;
pub mod node;
pub mod plan;
pub mod prefix;
pub mod publish;
pub mod rate;
pub mod slot;
pub mod status;
pub mod target;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod window;
pub mod withdraw;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use crate::db::points::Place;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::package::document::{self, Document};
use crate::package::reference::Reference;
use crate::store::layout::{ObjectId, Piece};
use crate::store::place::{self, Means};
use crate::text;
use crate::trust::TrustList;
use model::{Kind, Point};
use target::folder::Folder;
use target::objects::Objects;
use target::{Signed, Target};

/// Packages that a new one is compared with at a point, for content that they share.
const NEAR: i64 = 8;
/// Points that are talked to at the same time where nothing is sent.
pub(crate) const POINTS_AT_ONCE: usize = 16;

/// The means to reach a point that content is sent to.
///
/// # Errors
/// When it is a node, which fetches by itself, or its address is wrong.
pub fn target(home: &Home, point: &Point) -> Result<Box<dyn Target>> {
    reach(home, point.kind, &point.target, point.settings.timeout_seconds)
}

/// As [`target`], for a point that is not in the database yet.
pub(crate) fn reach(
    home: &Home,
    kind: Kind,
    address: &str,
    timeout_seconds: i64,
) -> Result<Box<dyn Target>> {
    let timeout = Duration::from_secs(timeout_seconds.unsigned_abs());
    match kind {
        Kind::Folder => Ok(Box::new(Folder::new(Path::new(address), timeout))),
        Kind::Objects => Ok(Box::new(Objects::new(open_place(home, address)?, address, timeout))),
        Kind::Node => {
            Err(Error::usage(format!("{} is a node: it fetches by itself", text::clean(address))))
        }
    }
}

/// The place with this address, for objects.
///
/// # Errors
/// When the address is wrong.
pub(crate) fn open_place(home: &Home, address: &str) -> Result<place::Place> {
    let config = home.config();
    let means = Means { s3: config.s3.clone(), azure: config.azure.clone() };
    place::Place::open(address, &means)
}

/// A revision with its signature, for a point.
///
/// # Errors
/// When there is no such revision, or the store's key cannot be read or made.
pub(crate) async fn signed(home: &Home, point: i64, package: &str, number: i64) -> Result<Signed> {
    let reference = Reference { package: package.to_string(), revision: Some(number) };
    let revision = home.db.package_at(&reference).await?.revision.key;
    signed_anywhere(home, &reference).await?.near(home, point, revision).await
}

/// A revision with its signature, for whichever point.
///
/// # Errors
/// As [`signed`].
pub(crate) async fn signed_anywhere(home: &Home, reference: &Reference) -> Result<Signed> {
    let document = document::of_revision(home, reference).await?;
    let envelope = document::sign(home, &document).await?;
    // Opened as the point will open it: what this store would not believe is not sent.
    let trusted = trusted(home).await?;
    let document = Document::open(&envelope, &trusted)?;
    Ok(Signed { document, envelope, near: Vec::new() })
}

impl Signed {
    /// The same for this point, where other packages may share content with it; `revision` is its
    /// key.
    pub(crate) async fn near(self, home: &Home, point: i64, revision: i64) -> Result<Self> {
        let near = home.db.sharing(point, revision, NEAR).await?;
        Ok(Self { near, ..self })
    }
}

/// Whose signatures this store believes.
///
/// # Errors
/// When the list cannot be read.
pub(crate) async fn trusted(home: &Home) -> Result<TrustList> {
    let home = home.clone();
    tokio::task::spawn_blocking(move || TrustList::of(&home)).await?
}

/// The points and groups with these names. A name that is both can be written `point:NAME` or
/// `group:NAME`.
///
/// # Errors
/// When there is none of a name, or two.
pub(crate) async fn places(home: &Home, names: &[String]) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for name in names {
        let place = match name.split_once(':') {
            Some(("point", name)) => Place::Point(home.db.point(name).await?.key),
            Some(("group", name)) => Place::Group(home.db.group(name).await?.key),
            _ => {
                let shown = text::clean(name);
                match (home.db.point_if_any(name).await?, home.db.group_if_any(name).await?) {
                    (Some(point), None) => Place::Point(point.key),
                    (None, Some(group)) => Place::Group(group.key),
                    (Some(_), Some(_)) => {
                        return Err(Error::usage(format!("{shown:?} is a point and a group"))
                            .advise(format!("write point:{shown} or group:{shown}")));
                    }
                    (None, None) => {
                        return Err(Error::usage(format!(
                            "there is no point and no group {shown:?}"
                        ))
                        .advise("`osupg point list` and `osupg group list` show what there is"));
                    }
                }
            }
        };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Ok(places)
}

/// The points of places, each once.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn points_at(home: &Home, places: &[Place]) -> Result<Vec<Point>> {
    let mut keys = Vec::new();
    for place in places {
        match place {
            Place::Point(key) => keys.push(*key),
            Place::Group(key) => keys.extend(home.db.members(*key).await?),
        }
    }
    let all = home.db.points().await?;
    Ok(all.into_iter().filter(|point| keys.contains(&point.key)).collect())
}

/// The id of the package with this id or name.
///
/// # Errors
/// When there is none.
pub(crate) async fn package_id(home: &Home, named: &str) -> Result<String> {
    Ok(home.db.package(named).await?.id)
}

/// A piece from any point that has it, checked: for a library that has lost it. `None` when no
/// point can give it; points that do not answer are passed over.
///
/// # Errors
/// When the database cannot be read.
pub async fn fetch_piece(home: &Home, piece: &Piece) -> Result<Option<Bytes>> {
    for (key, package) in home.db.points_holding(&piece.id.0).await? {
        let Ok(point) = home.db.point_by_key(key).await else { continue };
        if point.kind == Kind::Node {
            continue;
        }
        let Ok(target) = target(home, &point) else { continue };
        if target.check_mark(&point.mark).await.is_err() {
            continue;
        }
        if let Ok(Some(bytes)) = target.piece(&package, piece).await
            && ObjectId::of(&bytes) == piece.id
        {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}
