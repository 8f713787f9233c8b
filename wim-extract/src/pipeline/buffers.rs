//! The fixed stock of buffers that bounds the memory in flight.
//!
//! A worker takes a buffer *before* it takes work. Work is handed out in order, so the earliest
//! unfinished piece always has a buffer and a worker of its own, and a worker that waits for a
//! buffer waits for something that is going to happen.

use std::mem;
use std::ops::Deref;
use std::sync::Condvar;

use crate::error::Damage;
use crate::pipeline::lock::{Lock, wait_while};

/// A stock of reusable buffers.
#[derive(Debug)]
pub(crate) struct Pool {
    stock: Lock<Stock>,
    returned: Condvar,
}

#[derive(Debug)]
struct Stock {
    free: Vec<Vec<u8>>,
    /// Set when the run is being given up; nobody gets a buffer any more.
    closed: bool,
}

impl Pool {
    /// A stock of `count` buffers. They are empty at first and keep the size they grow to.
    pub(crate) fn new(count: usize) -> Self {
        let free = vec![Vec::new(); count.max(1)];
        Self { stock: Lock::new(Stock { free, closed: false }), returned: Condvar::new() }
    }

    /// A buffer, when one is free; `None` when the run is being given up.
    pub(crate) fn take(&self) -> Option<Buffer<'_>> {
        let guard = self.stock.lock();
        let mut stock =
            wait_while(&self.returned, guard, |stock| stock.free.is_empty() && !stock.closed);
        if stock.closed {
            return None;
        }
        let bytes = stock.free.pop()?;
        Some(Buffer { bytes, pool: self })
    }

    /// Gives up: everyone who waits or comes later gets `None`.
    pub(crate) fn close(&self) {
        self.stock.lock().closed = true;
        self.returned.notify_all();
    }

    /// Whether [`close`](Self::close) has been called.
    pub(crate) fn is_closed(&self) -> bool {
        self.stock.lock().closed
    }
}

/// A buffer on loan; it goes back to the stock when dropped.
#[derive(Debug)]
pub(crate) struct Buffer<'p> {
    bytes: Vec<u8>,
    pool: &'p Pool,
}

impl Buffer<'_> {
    /// The first `len` bytes, with whatever was in them; grows when it has to.
    ///
    /// # Errors
    /// [`Damage::Memory`] when there is not so much memory: `len` comes from the file.
    pub(crate) fn first(&mut self, len: usize) -> Result<&mut [u8], Damage> {
        if self.bytes.len() < len {
            self.bytes = zeroed(len)?;
        }
        Ok(&mut self.bytes[..len])
    }
}

/// A vector of zeros, or an error in place of an abort.
pub(crate) fn zeroed(len: usize) -> Result<Vec<u8>, Damage> {
    // A reservation tells whether it can be had, but would have to be filled by hand; a zeroed
    // vector comes from the kernel as it is, page by page when touched.
    Vec::<u8>::new().try_reserve_exact(len).map_err(|_| Damage::Memory { bytes: len })?;
    Ok(vec![0; len])
}

impl Deref for Buffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        self.pool.stock.lock().free.push(mem::take(&mut self.bytes));
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_keep_their_size() {
        let pool = Pool::new(1);
        for _ in 0..3 {
            let mut buffer = pool.take().unwrap();
            assert_eq!(buffer.first(1000).unwrap().len(), 1000);
        }
        assert_eq!(pool.take().unwrap().len(), 1000);
    }

    #[test]
    fn closing_wakes_who_waits() {
        let pool = Pool::new(1);
        let held = pool.take().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.take().is_none());
            pool.close();
            assert!(waiting.join().unwrap());
        });
        drop(held);
        assert!(pool.take().is_none());
    }
}
