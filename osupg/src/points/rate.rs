//! Keeps to so many bytes a second.

use std::time::Duration;

/// Says how long to wait before each send so that no more than `rate` bytes a second go out over
/// any stretch of time, but for the one send that is under way.
///
/// The clock is the caller's: moments are the time since some start.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Bytes a second.
    rate: u64,
    /// When everything sent so far is paid for.
    paid_at: Duration,
}

impl Limit {
    /// A limit of `rate` bytes a second; `None` for 0, which means none.
    #[must_use]
    pub fn new(rate: u64) -> Option<Self> {
        (rate > 0).then_some(Self { rate, paid_at: Duration::ZERO })
    }

    /// Books `bytes` that are to be sent, and says how long to wait before it, as seen at `now`.
    pub fn book(&mut self, now: Duration, bytes: u64) -> Duration {
        let start = self.paid_at.max(now);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_at = start.saturating_add(takes);
        start - now
    }

    /// A size for single sends: what a quarter of a second may carry, from 4 KiB to 1 MiB.
    #[must_use]
    pub fn slice(&self) -> usize {
        usize::try_from(self.rate / 4).unwrap_or(usize::MAX).clamp(4 << 10, 1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stretch_of_time_carries_more_than_the_rate_and_one_send() {
        let (rate, send) = (1_000_000, 250_000);
        let mut limit = Limit::new(rate).unwrap();
        // The fake clock: waiting and a little work move it.
        let mut now = Duration::from_secs(5);
        let mut sends = Vec::new();
        for number in 0..200 {
            now += limit.book(now, send);
            sends.push(now);
            now += Duration::from_millis(number % 7 * 20);
        }
        for (first, start) in sends.iter().enumerate() {
            for (count, end) in sends.iter().enumerate().skip(first) {
                let bytes = (count - first) as f64 * send as f64;
                let allowed = (*end - *start).as_secs_f64() * rate as f64;
                assert!(bytes <= allowed + 1.0, "{first}..{count}: {bytes} > {allowed}");
            }
        }
        // 200 sends of a quarter of a second each, 50 s in all; work in between fits in.
        let took = *sends.last().unwrap() - sends[0];
        assert!(took < Duration::from_secs(51), "{took:?}");
    }

    #[test]
    fn an_idle_time_is_not_saved_up() {
        let mut limit = Limit::new(100).unwrap();
        assert_eq!(limit.book(Duration::ZERO, 100), Duration::ZERO);
        let later = Duration::from_secs(3600);
        assert_eq!(limit.book(later, 100), Duration::ZERO);
        assert_eq!(limit.book(later, 100), Duration::from_secs(1));
        assert!(Limit::new(0).is_none());
        assert_eq!(Limit::new(1).unwrap().slice(), 4096);
        assert_eq!(Limit::new(u64::MAX).unwrap().slice(), 1 << 20);
    }
}
