//! A mutex that survives a panic in another worker.
//!
//! A panicking worker aborts the whole run (see [`super::buffers::Pool`]), so what the poisoned
//! data would have been used for never happens; the others only have to get out without a second
//! panic.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// [`Mutex`] without poisoning.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits on `signal` for as long as `condition` holds.
pub(crate) fn wait_while<'a, T>(
    signal: &Condvar,
    guard: MutexGuard<'a, T>,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    signal.wait_while(guard, condition).unwrap_or_else(PoisonError::into_inner)
}
