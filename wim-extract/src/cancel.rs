//! A flag by which another thread asks a long operation to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// Asks every operation that holds a clone of it to stop soon.
///
/// Operations look at the flag once per batch (about a megabyte of data), put away what they have
/// half written and return [`Error::Cancelled`].
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    parent: Option<Arc<Self>>,
}

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that others set, such as a handler of signals.
    #[must_use]
    pub fn of(flag: Arc<AtomicBool>) -> Self {
        Self { flag, parent: None }
    }

    /// Sets the flag. It stays set; this may be called from a signal-handling thread.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// A flag for a part of the operation: it counts as set when this one is, and can be set
    /// without setting this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { flag: Arc::default(), parent: Some(Arc::new(self.clone())) }
    }

    /// Whether [`cancel`](Self::cancel) has been called, here or on what this is a child of.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
            || self.parent.as_ref().is_some_and(|parent| parent.is_cancelled())
    }

    /// Lets an operation leave with `?`.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the flag is set.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
