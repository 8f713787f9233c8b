//! What a server and its nodes tell each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounts::Sight;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Reach, Right};
use crate::points::model::{Kind, Point, State};
use crate::points::window::Priority;
use crate::progress::Watch;
use crate::text;

/// Characters of a reason that is kept.
const MAX_REASON: usize = 2000;

/// A node asks what is to be at its point.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedRequest {
    /// The point's name.
    pub point: String,
}

/// What is to be at a node, and what is to leave it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// Revisions that are to be there, the most urgent first.
    pub revisions: Vec<WantedRevision>,
    /// Packages that are to leave.
    pub leaving: Vec<String>,
    /// Packages of which the node is to check every byte.
    pub check: Vec<String>,
}

/// A revision that is to be at a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WantedRevision {
    /// The package's id.
    pub package: String,
    /// The revision's number.
    pub number: i64,
    /// The digest of its manifest.
    #[serde(with = "text::as_hex")]
    #[schemars(with = "String")]
    pub digest: [u8; 32],
    /// How urgent it is.
    pub priority: Priority,
    /// Whether the node has said that it is whole there.
    pub held: bool,
}

impl Operation for WantedRequest {
    type Outcome = Wanted;
    const NAME: &'static str = "point.wanted";
    const RIGHT: Right = Right::Operate;
    const REACH: Reach = Reach::Visible;

    fn limit(wanted: &mut Wanted, sight: &Sight) {
        wanted.revisions.retain(|revision| sight.sees(&revision.package));
        wanted.leaving.retain(|package| sight.sees(package));
        wanted.check.retain(|package| sight.sees(package));
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Wanted> {
        let point = node(home, &self.point).await?;
        home.db.point_seen(point.key).await?;
        let mut wanted =
            Wanted { check: home.db.checks_asked(point.key).await?, ..Wanted::default() };
        // In maintenance nothing is sent, and nothing is taken away.
        if point.maintenance {
            return Ok(wanted);
        }
        let digests = home.db.digests_wanted(point.key).await?;
        for presence in home.db.presences_at(point.key).await? {
            let Some(number) = presence.wanted else {
                wanted.leaving.push(presence.package);
                continue;
            };
            if presence.state == State::Cancelled {
                continue;
            }
            let Some(digest) = digests.get(&presence.package).copied() else { continue };
            wanted.revisions.push(WantedRevision {
                number,
                digest,
                priority: presence.priority,
                held: presence.held == Some(number) && presence.state == State::Installed,
                package: presence.package,
            });
        }
        wanted.leaving.extend(
            home.db
                .strays(crate::time::Moment(i64::MAX))
                .await?
                .into_iter()
                .filter_map(|(name, package)| (name == point.name).then_some(package)),
        );
        wanted.revisions.sort_by_key(|one| std::cmp::Reverse(one.priority));
        Ok(wanted)
    }
}

/// A node tells how a package stands there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The point's name.
    pub point: String,
    /// The package's id.
    pub package: String,
    /// How it stands; none when it has left.
    pub state: Option<State>,
    /// The revision that is whole there.
    #[serde(default)]
    pub held: Option<i64>,
    /// Why, in plain words.
    #[serde(default)]
    pub reason: String,
    /// Bytes that have travelled.
    #[serde(default)]
    pub sent: u64,
    /// Bytes that have to.
    #[serde(default)]
    pub to_send: u64,
}

/// A report that was taken in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Noted {
    /// Whether the node should stop: another revision is wanted, or none.
    pub stop: bool,
}

impl Operation for Report {
    type Outcome = Noted;
    const NAME: &'static str = "point.report";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Noted> {
        let point = node(home, &self.point).await?;
        let (db, key, package) = (&home.db, point.key, &self.package);
        db.point_seen(key).await?;
        let Some(state) = self.state else {
            db.set_not_held(key, package).await?;
            db.forget_presence(key, package).await?;
            return Ok(Noted { stop: false });
        };
        let Some(presence) = db.presence(key, package).await? else {
            return Ok(Noted { stop: true });
        };
        let reason: String = self.reason.chars().take(MAX_REASON).collect();
        db.set_sent(key, package, self.sent, self.to_send.max(self.sent)).await?;
        match (state, self.held) {
            (State::Installed, Some(number)) => db.set_installed(key, package, number).await?,
            (State::Installed, None) => {
                return Err(Error::usage("what is installed has a revision number"));
            }
            _ if presence.state == State::Cancelled => {}
            _ => db.set_state(key, package, state, &reason, None).await?,
        }
        let cancelled = presence.state == State::Cancelled || point.maintenance;
        Ok(Noted { stop: cancelled || presence.wanted.is_none() })
    }
}

/// The node of this name.
async fn node(home: &Home, name: &str) -> Result<Point> {
    let point = home.db.point(name).await?;
    match point.kind {
        Kind::Node => Ok(point),
        kind => Err(Error::usage(format!("{} is a {kind}, to which content is sent", point.name))),
    }
}
