//! Standard output: locked once, buffered, and honest about a reader that goes away.

use std::io::{self, BufWriter, StdoutLock, Write};

use crate::failure::Failure;

/// Large enough that listing an image takes few system calls, small enough to start without cost.
const BUFFER_LEN: usize = 64 * 1024;

/// Runs `print` on the buffered standard output and flushes it.
pub(crate) fn with<T>(
    print: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut out = BufWriter::with_capacity(BUFFER_LEN, io::stdout().lock());
    let result = print(&mut out);
    // What was printed before a failure belongs on the screen before its message.
    let flushed = out.flush();
    let value = result?;
    flushed.map_err(Failure::Stdout)?;
    Ok(value)
}
