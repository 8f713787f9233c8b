//! Work that is not about blobs, shared among threads.

use std::collections::VecDeque;

use super::lock::Lock;
use super::team::work_together;
use super::{Task, Threads};
use crate::cancel::Cancel;
use crate::error::Error;

/// Does all of `tasks`, earliest first, on up to `threads` threads.
///
/// # Errors
/// The first error of a task, after which no further one is begun; [`Error::Cancelled`].
pub fn run_tasks(tasks: Vec<Task<'_>>, threads: Threads, cancel: &Cancel) -> Result<(), Error> {
    let workers = threads.get().min(tasks.len());
    let queue = Lock::new(VecDeque::from(tasks));
    let failure = Lock::new(None);
    work_together(workers, || {
        loop {
            let Some(task) = queue.lock().pop_front() else { break };
            if let Err(error) = cancel.check().and_then(|()| task()) {
                failure.lock().get_or_insert(error);
                queue.lock().clear();
            }
        }
    });
    failure.into_inner().map_or(Ok(()), Err)
}
