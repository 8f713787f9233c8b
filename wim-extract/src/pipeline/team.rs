//! Threads that work on one thing.

/// Runs `work` on `members` threads at once and returns when all are done. Where the system gives
/// no further threads, this one does it all.
pub(super) fn work_together(members: usize, work: impl Fn() + Sync) {
    let pool = match members {
        0 | 1 => return work(),
        _ => rayon::ThreadPoolBuilder::new().num_threads(members).build(),
    };
    match pool {
        Ok(pool) => drop(pool.broadcast(|_| work())),
        Err(_) => work(),
    }
}
