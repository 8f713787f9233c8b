//! Who works at a point: a package at a time in one hand, and no more packages than the point takes.
//!
//! A slot is a row that its holder refreshes. One whose holder is gone makes room: on the same
//! machine that is known at once, elsewhere after [`LOST`].

use std::time::Duration;

use crate::db::points::SlotAnswer;
use crate::error::Result;
use crate::home::Home;
use crate::system;
use crate::time::Moment;

/// How often a holder shows that it is alive.
pub const BEAT: Duration = Duration::from_secs(3);
/// Silence after which a holder on another machine counts as gone.
const LOST: Duration = Duration::from_secs(60);

/// A slot that is held. It must be given back with [`Slot::release`]; one that is not is taken
/// over when the process has ended.
#[derive(Debug)]
pub struct Slot {
    home: Home,
    point: i64,
    package: String,
    holder: String,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// The package is being worked on at the point.
    SamePackage,
    /// As many packages are under way as the point takes.
    Full,
    /// Somebody needs the point as a whole.
    Whole,
}

impl Busy {
    /// What is being waited for.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SamePackage => "waiting: the package is being worked on at the point",
            Self::Full => "waiting: as many packages are under way as the point takes at once",
            Self::Whole => "waiting: the point is being tidied up",
        }
    }
}

impl Slot {
    /// Takes the slot of a package at a point that takes `lanes` packages at once.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn take(
        home: &Home,
        point: i64,
        package: &str,
        lanes: i64,
    ) -> Result<Result<Self, Busy>> {
        let holder = holder();
        let is_dead = |by: &str, beat: Moment| is_dead(by, beat, Moment::now());
        let answer = home.db.take_slot(point, package, &holder, lanes, is_dead).await?;
        Ok(match answer {
            SlotAnswer::Taken => {
                Ok(Self { home: home.clone(), point, package: package.to_string(), holder })
            }
            SlotAnswer::SamePackage => Err(Busy::SamePackage),
            SlotAnswer::Full => Err(Busy::Full),
            SlotAnswer::Whole => Err(Busy::Whole),
        })
    }

    /// Takes a point as a whole, if nobody works there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn whole(home: &Home, point: i64) -> Result<Option<Self>> {
        Ok(Self::take(home, point, "", i64::MAX).await?.ok())
    }

    /// Shows that the holder is alive; `false` when the slot was taken over.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn beat(&self) -> Result<bool> {
        self.home.db.beat_slot(self.point, &self.package, &self.holder).await
    }

    /// Gives the slot back.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn release(self) -> Result<()> {
        self.home.db.release_slot(self.point, &self.package, &self.holder).await
    }
}

/// The name of a holder: the machine as it was started, the process, when that began, and a number
/// that no other slot has.
fn holder() -> String {
    let pid = std::process::id();
    format!(
        "{} {pid} {} {}",
        boot(),
        system::process_began(pid).unwrap_or(0),
        uuid::Uuid::new_v4().simple()
    )
}

/// What tells one run of a machine from all others.
fn boot() -> String {
    system::boot().unwrap_or_else(|| "unknown".into())
}

fn is_dead(holder: &str, beat: Moment, now: Moment) -> bool {
    let mut words = holder.split(' ');
    let (machine, pid, start) = (words.next(), words.next(), words.next());
    let here = machine.is_some_and(|machine| machine == boot() && machine != "unknown");
    // Containers of one machine share its boot id, but not its process numbers.
    let silent = now.0.saturating_sub(beat.0);
    if here && let (Some(pid), Some(start)) = (pid, start) {
        let began = pid.parse().ok().and_then(system::process_began);
        let alive = began.is_some_and(|began| Ok(began) == start.parse::<u64>());
        if alive {
            return false;
        }
        return silent > i64::try_from(BEAT.as_micros()).unwrap_or(i64::MAX) * 2
            || system::sees_all_processes();
    }
    silent > i64::try_from(LOST.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_dead_when_its_process_is_gone_or_it_has_long_been_silent() {
        let now = Moment::now();
        let seconds = |seconds: i64| Moment(now.0 - seconds * 1_000_000);
        assert!(!is_dead(&holder(), seconds(3600), now), "we are alive");
        let gone = format!("{} {} 5 x", boot(), u32::MAX);
        assert!(is_dead(&gone, seconds(7), now));
        let reused = format!("{} {} 5 x", boot(), std::process::id());
        assert!(is_dead(&reused, seconds(7), now), "another process has the number");
        assert!(!is_dead("elsewhere 1 1 x", seconds(30), now));
        assert!(is_dead("elsewhere 1 1 x", seconds(61), now));
    }
}
