//! What this process has done with jobs, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::db::jobs::Ending;

/// Counts since the process started.
#[derive(Debug, Default)]
pub struct Figures {
    started: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    retried: AtomicU64,
    recovered: AtomicU64,
}

/// The counts of this process.
pub static FIGURES: Figures = Figures {
    started: AtomicU64::new(0),
    succeeded: AtomicU64::new(0),
    failed: AtomicU64::new(0),
    cancelled: AtomicU64::new(0),
    retried: AtomicU64::new(0),
    recovered: AtomicU64::new(0),
};

impl Figures {
    pub(super) fn started(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self, ending: &Ending) {
        let count = match ending {
            Ending::Succeeded(_) => &self.succeeded,
            Ending::Failed(..) => &self.failed,
            Ending::Cancelled(_) => &self.cancelled,
            Ending::Again(..) => &self.retried,
            Ending::Later(..) => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn recovered(&self) {
        self.recovered.fetch_add(1, Ordering::Relaxed);
    }

    /// Name and count of each: attempts started, jobs succeeded, failed for good and cancelled,
    /// attempts that failed and are tried again, jobs taken over from workers that were lost.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64); 6] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("started", read(&self.started)),
            ("succeeded", read(&self.succeeded)),
            ("failed", read(&self.failed)),
            ("cancelled", read(&self.cancelled)),
            ("retried", read(&self.retried)),
            ("recovered", read(&self.recovered)),
        ]
    }
}
