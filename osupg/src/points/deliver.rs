//! Brings a package at a point into the state that is wanted there.

use std::pin::pin;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::feed::{Feed, Pause, Rules};
use super::model::{Kind, Point, Presence, State};
use super::slot::{BEAT, Busy, Slot};
use super::target::{Depth, Target};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::progress::Watch;
use crate::text;
use crate::time::Moment;

/// Times that another revision may come to be wanted while one is being sent.
const ROUNDS: usize = 5;
/// How long a delivery waits for its turn at a point before it is put off.
const TURN: std::time::Duration = std::time::Duration::from_secs(10);
/// When one that was put off is tried again, in microseconds.
const LATER: i64 = 30_000_000;

/// Silence after which a transfer counts as cut off, in microseconds.
const SILENT: i64 = 60_000_000;
/// Why a transfer stops whose slot is no longer its own.
const TAKEN_OVER: &str = "another process has taken over";

/// What to bring where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The point's name.
    pub point: String,
    /// The package's id.
    pub package: String,
}

/// What a delivery came to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Delivered {
    /// The point.
    pub point: String,
    /// The package's id.
    pub package: String,
    /// The revision that is there now; none when the package has left.
    pub revision: Option<i64>,
    /// How it stands; none when the package has left.
    pub state: Option<State>,
    /// Why, in plain words.
    pub reason: String,
    /// Bytes that travelled.
    pub sent: u64,
    /// Bytes that were at the point already.
    pub reused: u64,
}

impl Operation for Request {
    type Outcome = Delivered;
    const NAME: &'static str = "point.deliver";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    /// Nothing: deliveries of one package to several points go on at the same time.
    fn alone(&self) -> Option<&str> {
        None
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Delivered> {
        deliver(home, &self.point, &self.package, Depth::Usual, watch).await
    }
}

/// Brings a package at a point into the state that is wanted. What has to wait is no error: the
/// outcome says for what, and when it is worth trying again is in the database.
///
/// # Errors
/// When the point or package does not exist, something fails at the point, or it was stopped.
pub async fn deliver(
    home: &Home,
    point: &str,
    package: &str,
    depth: Depth,
    watch: Watch<'_>,
) -> Result<Delivered> {
    let point = home.db.point(point).await?;
    let Some(presence) = home.db.presence(point.key, package).await? else {
        return clear_stray(home, &point, package, watch).await;
    };
    if point.kind == Kind::Node {
        return Ok(told(&presence, "the node fetches it by itself"));
    }
    let rules = Rules::of(&point, presence.priority)?;
    if let Some(pause) = pause_of(&point, &presence, &rules) {
        return put_off(home, &presence, pause, watch).await;
    }
    let slot = match turn(home, &point, package, watch).await? {
        Ok(slot) => slot,
        // Whoever works on it says how it stands.
        Err(busy @ Busy::SamePackage) => return Ok(told(&presence, busy.words())),
        Err(busy) => {
            let until = Some(Moment(Moment::now().0 + LATER));
            return put_off(home, &presence, Pause { reason: busy.words().into(), until }, watch)
                .await;
        }
    };
    let done = with_slot(home, &point, package, depth, &rules, &slot, watch).await;
    slot.release().await?;
    let done = done?;
    if done.state != Some(State::Waiting) {
        tidy(home, &point, watch).await?;
    }
    Ok(done)
}

fn told(presence: &Presence, reason: &str) -> Delivered {
    Delivered {
        point: presence.point.clone(),
        package: presence.package.clone(),
        revision: presence.held,
        state: Some(presence.state),
        reason: if presence.reason.is_empty() { reason.into() } else { presence.reason.clone() },
        sent: 0,
        reused: 0,
    }
}

/// Why nothing may travel to a point now. Removing takes no window: next to nothing travels.
fn pause_of(point: &Point, presence: &Presence, rules: &Rules) -> Option<Pause> {
    if point.maintenance {
        let reason = "waiting: the point is in maintenance".into();
        return Some(Pause { reason, until: None });
    }
    presence.wanted.and_then(|_| rules.pause(Moment::now()))
}

async fn put_off(
    home: &Home,
    presence: &Presence,
    pause: Pause,
    watch: Watch<'_>,
) -> Result<Delivered> {
    // What is there as wanted is not to be waited for.
    let done = presence.state == State::Installed;
    if !done {
        let Presence { point_key, package, .. } = presence;
        let state = if presence.wanted.is_some() { State::Waiting } else { State::Removing };
        home.db.set_state(*point_key, package, state, &pause.reason, pause.until).await?;
    }
    watch.progress.note(&format!("{}: {}", presence.point, pause.reason));
    Ok(Delivered {
        state: Some(if done { State::Installed } else { State::Waiting }),
        reason: pause.reason,
        ..told(presence, "")
    })
}

/// Waits a little for a turn.
async fn turn(
    home: &Home,
    point: &Point,
    package: &str,
    watch: Watch<'_>,
) -> Result<Result<Slot, Busy>> {
    let start = std::time::Instant::now();
    loop {
        match Slot::take(home, point.key, package, point.settings.lanes()).await? {
            Err(_) if start.elapsed() < TURN => {
                watch.check()?;
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
            answer => return Ok(answer),
        }
    }
}

/// Works until what is there is what is wanted, for that may change meanwhile.
async fn with_slot(
    home: &Home,
    point: &Point,
    package: &str,
    depth: Depth,
    rules: &Rules,
    slot: &Slot,
    watch: Watch<'_>,
) -> Result<Delivered> {
    let target = super::target(home, point)?;
    let (mut sent, mut reused) = (0, 0);
    for _ in 0..ROUNDS {
        let Some(presence) = home.db.presence(point.key, package).await? else { break };
        let done = match presence.wanted {
            Some(number) => {
                let job = Job { home, point, package, rules, slot, watch };
                job.install(&*target, &presence, number, depth).await?
            }
            None => {
                let job = Job { home, point, package, rules, slot, watch };
                job.remove(&*target, &presence).await?
            }
        };
        sent += done.sent;
        reused = done.reused;
        // Meanwhile another revision may have come to be wanted, or none any more.
        let wanted = home.db.presence(point.key, package).await?.and_then(|now| now.wanted);
        if wanted == presence.wanted {
            return Ok(Delivered { sent, reused, ..done });
        }
    }
    match home.db.presence(point.key, package).await? {
        Some(presence) => Ok(Delivered { sent, reused, ..told(&presence, "") }),
        None => Ok(gone(point, package)),
    }
}

fn gone(point: &Point, package: &str) -> Delivered {
    Delivered {
        point: point.name.clone(),
        package: package.to_string(),
        revision: None,
        state: None,
        reason: "withdrawn".into(),
        sent: 0,
        reused: 0,
    }
}

/// A package at a point, being worked on.
struct Job<'a> {
    home: &'a Home,
    point: &'a Point,
    package: &'a str,
    rules: &'a Rules,
    slot: &'a Slot,
    watch: Watch<'a>,
}

impl Job<'_> {
    async fn install(
        &self,
        target: &dyn Target,
        presence: &Presence,
        number: i64,
        depth: Depth,
    ) -> Result<Delivered> {
        let Self { home, point, package, watch, .. } = *self;
        self.say(State::Transferring, "").await?;
        let feed = Feed::new(&home.library, self.rules, watch);
        // No object that is about to be sent may be collected meanwhile.
        let lease = home.lease().await?;
        let work = async {
            target.check_mark(&point.mark).await?;
            let signed = super::signed(home, point.key, package, number).await?;
            let plan = target.plan(&signed).await?;
            home.db.set_sent(point.key, package, 0, plan.send).await?;
            watch.progress.note(&format!(
                "{}: {package} revision {number}: {} of {} to send",
                point.name,
                text::size(plan.send),
                text::size(plan.total)
            ));
            target.install(&signed, depth, &feed).await.map(|done| (done, plan.send))
        };
        let worked = self.guarded(work, &feed, Some(number)).await;
        lease.release().await;
        match worked {
            Ok((done, planned)) => {
                home.db.set_sent(point.key, package, done.sent, planned.max(done.sent)).await?;
                home.db.set_installed(point.key, package, number).await?;
                home.db.point_seen(point.key).await?;
                watch.progress.note(&format!(
                    "{}: {package} revision {number} is installed; {} sent",
                    point.name,
                    text::size(done.sent)
                ));
                Ok(Delivered {
                    point: point.name.clone(),
                    package: package.to_string(),
                    revision: Some(number),
                    state: Some(State::Installed),
                    reason: String::new(),
                    sent: done.sent,
                    reused: done.reused,
                })
            }
            Err(error) => self
                .note_end(&feed, presence, error, State::Failed)
                .await
                .map(|waiting| Delivered { sent: feed.sent(), ..waiting }),
        }
    }

    async fn remove(&self, target: &dyn Target, presence: &Presence) -> Result<Delivered> {
        let Self { home, point, package, watch, .. } = *self;
        self.say(State::Removing, "").await?;
        // Half of it may be gone when this is cut off.
        home.db.set_not_held(point.key, package).await?;
        let feed = Feed::new(&home.library, self.rules, watch);
        let work = async {
            target.check_mark(&point.mark).await?;
            target.remove(package, &feed).await
        };
        match self.guarded(work, &feed, None).await {
            Ok(()) => {
                home.db.set_not_held(point.key, package).await?;
                home.db.forget_presence(point.key, package).await?;
                home.db.point_seen(point.key).await?;
                watch.progress.note(&format!("{}: {package} is withdrawn", point.name));
                Ok(gone(point, package))
            }
            Err(error) => self.note_end(&feed, presence, error, State::RemoveFailed).await,
        }
    }

    async fn say(&self, state: State, reason: &str) -> Result<()> {
        self.home.db.set_state(self.point.key, self.package, state, reason, None).await
    }

    /// Does `work` while the slot is kept alive, and stops it when it is no longer wanted.
    async fn guarded<T>(
        &self,
        work: impl Future<Output = Result<T>>,
        feed: &Feed<'_>,
        wanted: Option<i64>,
    ) -> Result<T> {
        let mut work = pin!(work);
        let mut beat = tokio::time::interval(BEAT);
        beat.tick().await;
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = beat.tick() => {
                    // A database that is busy for a moment is no reason to stop.
                    if let Ok(Some(pause)) = self.look(feed, wanted).await {
                        feed.stop(pause);
                    }
                }
            }
        }
    }

    /// Shows that the work goes on, and looks whether it should.
    async fn look(&self, feed: &Feed<'_>, wanted: Option<i64>) -> Result<Option<Pause>> {
        let Self { home, point, package, .. } = *self;
        let stop = |reason: &str, until| Some(Pause { reason: reason.into(), until });
        if !self.slot.beat().await? {
            return Ok(stop(TAKEN_OVER, None));
        }
        let presence = home.db.presence(point.key, package).await?;
        let Some(presence) = presence else {
            return Ok(stop("waiting: the package has been removed", None));
        };
        if presence.state == State::Cancelled {
            return Ok(stop(&presence.reason, None));
        }
        if presence.wanted != wanted {
            return Ok(stop("waiting: another revision is wanted now", Some(Moment::now())));
        }
        if home.db.point_by_key(point.key).await?.maintenance {
            return Ok(stop("waiting: the point is in maintenance", None));
        }
        home.db
            .set_sent(point.key, package, feed.sent(), presence.to_send.max(feed.sent()))
            .await?;
        Ok(None)
    }

    /// Writes down how a piece of work ended that did not reach its end.
    async fn note_end(
        &self,
        feed: &Feed<'_>,
        presence: &Presence,
        error: Error,
        failed: State,
    ) -> Result<Delivered> {
        let Self { home, point, package, watch, .. } = *self;
        home.db
            .set_sent(point.key, package, feed.sent(), presence.to_send.max(feed.sent()))
            .await?;
        if let Some(pause) = feed.paused() {
            if pause.reason == TAKEN_OVER {
                return Ok(told(presence, TAKEN_OVER));
            }
            let now = home.db.presence(point.key, package).await?;
            if now.is_some_and(|now| now.state == State::Cancelled) {
                return Err(Error::cancelled());
            }
            return put_off(
                home,
                &Presence { state: State::Waiting, ..presence.clone() },
                pause,
                watch,
            )
            .await;
        }
        if error.kind() == ErrorKind::Cancelled {
            let reason = "stopped before it was done; `osupg point retry` goes on with it";
            self.say(State::Cancelled, reason).await?;
            return Err(error);
        }
        let mut reason = error.to_string();
        if let Some(advice) = error.advice() {
            reason.push_str("; ");
            reason.push_str(advice);
        }
        self.say(failed, &reason).await?;
        watch.progress.note(&format!("{}: {reason}", point.name));
        Err(error.context(&point.name))
    }
}

/// Removes from a point what a removed package has left there.
async fn clear_stray(
    home: &Home,
    point: &Point,
    package: &str,
    watch: Watch<'_>,
) -> Result<Delivered> {
    let stray = home
        .db
        .strays(Moment(i64::MAX))
        .await?
        .iter()
        .any(|(name, id)| *name == point.name && id == package);
    if !stray {
        return Err(Error::usage(format!(
            "{} has never been published to {}",
            text::clean(package),
            point.name
        ))
        .advise("`osupg publish` sends a package to a point"));
    }
    if point.kind != Kind::Node && !point.maintenance {
        let slot = match turn(home, point, package, watch).await? {
            Ok(slot) => slot,
            Err(busy) => return Err(Error::io(busy.words())),
        };
        let rules = Rules::of(point, super::window::Priority::Low)?;
        let feed = Feed::new(&home.library, &rules, watch);
        let target = super::target(home, point)?;
        let done = async {
            target.check_mark(&point.mark).await?;
            target.remove(package, &feed).await
        }
        .await;
        slot.release().await?;
        done?;
        home.db.forget_presence(point.key, package).await?;
        tidy(home, point, watch).await?;
    }
    Ok(gone(point, package))
}

/// Takes away at a point what nothing there uses any more, unless somebody works there: then the
/// next one does it.
pub(crate) async fn tidy(home: &Home, point: &Point, watch: Watch<'_>) -> Result<()> {
    if point.kind != Kind::Objects {
        return Ok(());
    }
    let Some(slot) = Slot::whole(home, point.key).await? else { return Ok(()) };
    let rules = Rules::of(point, super::window::Priority::High)?;
    let feed = Feed::new(&home.library, &rules, watch);
    let target = super::target(home, point)?;
    let mut work = pin!(target.tidy(&feed));
    let mut beat = tokio::time::interval(BEAT);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = beat.tick() => {
                if !slot.beat().await? {
                    feed.stop(Pause { reason: "another process has taken over".into(), until: None });
                }
            }
        }
    };
    slot.release().await?;
    done
}

/// The packages at points that are due to be tried again, and what removed packages have left.
///
/// # Errors
/// When the database cannot be read.
pub async fn due(home: &Home, now: Moment) -> Result<Vec<Request>> {
    let due = home.db.due(now, Moment(now.0 - SILENT), 1000).await?;
    let strays = home.db.strays(now).await?;
    Ok(due.into_iter().chain(strays).map(|(point, package)| Request { point, package }).collect())
}
