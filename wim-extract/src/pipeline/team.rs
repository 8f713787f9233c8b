//! Threads that work on one thing.

use super::Threads;
use crate::memory;

/// Runs `work` on `members` threads at once and returns when all are done. Where the system gives
/// no further threads, this one does it all.
pub(crate) fn work_together(members: usize, work: impl Fn() + Sync) {
    let pool = match members {
        0 | 1 => return work(),
        _ => rayon::ThreadPoolBuilder::new().num_threads(members).build(),
    };
    match pool {
        Ok(pool) => drop(pool.broadcast(|_| work())),
        Err(_) => work(),
    }
}

/// Stack of a thread on which rayon goes down into directories; only what is used of it is memory.
const STACK: usize = 64 << 20;

/// Addresses that a thread takes: its stack, and twice what glibc reserves for what it allocates. Where
/// there are none left for that, allocating ends the process.
const ADDRESSES: u64 = STACK as u64 + (128 << 20);

/// Runs `work` where rayon shares what it is given among `threads` threads, or as many as there are
/// addresses for. Where the system gives no further threads, this one does it all.
pub(crate) fn share_among<T: Send>(threads: Threads, work: impl FnOnce() -> T + Send) -> T {
    let possible = memory::addresses_left().map_or(u64::MAX, |left| left / ADDRESSES);
    let threads = Threads::new((threads.get() as u64).min(possible.max(1)) as usize);
    let many = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).stack_size(STACK);
    let alone = || rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    let pool = match threads {
        Threads::ONE => alone().build(),
        _ => many.build().or_else(|_| alone().build()),
    };
    match pool {
        Ok(pool) => pool.install(work),
        // The current thread belongs to a pool already, which does as well.
        Err(_) => work(),
    }
}
