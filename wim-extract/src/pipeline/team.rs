//! Threads that work on one thing.

use super::Threads;

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

/// Runs `work` where rayon shares what it is given among `threads` threads. Where the system gives
/// no further threads, this one does it all.
pub(crate) fn share_among<T: Send>(threads: Threads, work: impl FnOnce() -> T + Send) -> T {
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
