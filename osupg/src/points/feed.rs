//! The bytes on their way to a point: all of them pass here.
//!
//! A target asks for a piece and gets it checked, from the content library; it says before each
//! send how much it is about to send. So windows, rates, maintenance and counts are kept in one
//! place, whatever kind of point it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::tz::TimeZone;

use super::model::Point;
use super::rate::Limit;
use super::window::{Opening, Priority, Windows};
use crate::error::{Error, Result};
use crate::progress::Watch;
use crate::store::Library;
use crate::store::layout::Piece;
use crate::time::Moment;

/// Bytes of a single send where no rate is to be kept.
const SEND: usize = 4 << 20;

/// Why a transfer stopped although nothing failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// In plain words.
    pub reason: String,
    /// When it is worth going on; `None` when somebody has to act first.
    pub until: Option<Moment>,
}

/// What a transfer has to keep to.
#[derive(Debug)]
pub struct Rules {
    windows: Windows,
    zone: TimeZone,
    priority: Priority,
    rate: u64,
    /// How long a single step at the point may take.
    pub timeout: Duration,
    /// Files or pieces that may be under way at the same time.
    pub threads: usize,
}

impl Rules {
    /// Those of a point, for content of this priority.
    ///
    /// # Errors
    /// When the system does not know the point's time zone.
    pub fn of(point: &Point, priority: Priority) -> Result<Self> {
        let settings = &point.settings;
        Ok(Self {
            windows: settings.windows.clone(),
            zone: settings.zone()?,
            priority,
            rate: settings.rate.unsigned_abs(),
            timeout: Duration::from_secs(settings.timeout_seconds.unsigned_abs()),
            // Several senders could not keep to a rate together.
            threads: if settings.rate > 0 {
                1
            } else {
                usize::try_from(settings.threads).unwrap_or(1).max(1)
            },
        })
    }

    /// Those of a tree on this machine: none.
    #[must_use]
    pub fn none() -> Self {
        Self {
            windows: Windows::default(),
            zone: TimeZone::UTC,
            priority: Priority::High,
            rate: 0,
            timeout: Duration::from_secs(3600),
            threads: 4,
        }
    }

    /// Whether content may travel now; if not, why.
    #[must_use]
    pub fn pause(&self, now: Moment) -> Option<Pause> {
        let Opening::Closed { until } = self.windows.opening(now, &self.zone, self.priority) else {
            return None;
        };
        let reason = match until {
            Some(until) => {
                format!("waiting: the window opens {}", self.words(until, now))
            }
            None => format!("waiting: no hour of the week lets {} priority through", self.priority),
        };
        Some(Pause { reason, until })
    }

    /// A moment as people at the point say it.
    fn words(&self, at: Moment, now: Moment) -> String {
        let zoned = |at: Moment| {
            jiff::Timestamp::from_microsecond(at.0).map(|time| time.to_zoned(self.zone.clone()))
        };
        let (Ok(at), Ok(now)) = (zoned(at), zoned(now)) else { return "later".into() };
        let form = if at.date() == now.date() { "at %H:%M %Z" } else { "on %A at %H:%M %Z" };
        at.strftime(form).to_string()
    }
}

/// Gives the pieces of a transfer.
pub struct Feed<'a> {
    library: &'a Library,
    /// What to keep to.
    pub rules: &'a Rules,
    watch: Watch<'a>,
    limit: Option<Mutex<Limit>>,
    start: Instant,
    sent: AtomicU64,
    pause: Mutex<Option<Pause>>,
}

impl<'a> Feed<'a> {
    /// A transfer out of this library.
    #[must_use]
    pub fn new(library: &'a Library, rules: &'a Rules, watch: Watch<'a>) -> Self {
        Self {
            library,
            rules,
            watch,
            limit: Limit::new(rules.rate).map(Mutex::new),
            start: Instant::now(),
            sent: AtomicU64::new(0),
            pause: Mutex::default(),
        }
    }

    /// Lets the transfer leave with `?` when it is to stop.
    ///
    /// # Errors
    /// When it was cancelled, or is to pause; [`Feed::paused`] tells which.
    pub fn check(&self) -> Result<()> {
        self.watch.check()?;
        if self.paused().is_some() {
            return Err(Error::cancelled());
        }
        Ok(())
    }

    /// Whoever watches the transfer.
    #[must_use]
    pub fn watch(&self) -> Watch<'a> {
        self.watch
    }

    /// Why the transfer is to pause, if it is.
    #[must_use]
    pub fn paused(&self) -> Option<Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the transfer stop before its next step.
    pub fn stop(&self, pause: Pause) {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(pause);
    }

    /// A piece that is to travel, checked against its hash.
    ///
    /// # Errors
    /// When the library lacks it, or the transfer is to stop.
    pub async fn piece(&self, piece: &Piece) -> Result<Bytes> {
        if let Some(pause) = self.rules.pause(Moment::now()) {
            self.stop(pause);
        }
        self.check()?;
        self.library.get(piece).await
    }

    /// How many bytes a single send should have at most.
    #[must_use]
    pub fn slice(&self) -> usize {
        match &self.limit {
            Some(limit) => limit.lock().unwrap_or_else(PoisonError::into_inner).slice(),
            None => SEND,
        }
    }

    /// Waits until so many more bytes may be sent, and counts them.
    ///
    /// # Errors
    /// When the transfer is to stop meanwhile.
    pub async fn pace(&self, bytes: u64) -> Result<()> {
        self.check()?;
        let wait = match &self.limit {
            Some(limit) => limit
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .book(self.start.elapsed(), bytes),
            None => Duration::ZERO,
        };
        let until = self.start.elapsed().saturating_add(wait);
        loop {
            let left = until.saturating_sub(self.start.elapsed());
            if left.is_zero() {
                break;
            }
            // In steps, so that somebody who wants to stop it need not wait.
            tokio::time::sleep(left.min(Duration::from_millis(200))).await;
            self.check()?;
        }
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.watch.progress.advance(bytes);
        Ok(())
    }

    /// Bytes sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Feed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("rules", self.rules).field("sent", &self.sent()).finish()
    }
}
