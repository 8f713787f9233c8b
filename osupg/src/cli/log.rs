//! The log of commands that serve: one line an event, on standard error.

use tracing_subscriber::EnvFilter;

/// Starts the log: JSON for programs, else plain lines. `OSUPG_LOG` says what is logged, as
/// `debug` or `osupg::jobs=debug,warn`; without it, what happens to jobs and what goes wrong.
pub(super) fn start(json: bool) {
    let filter = EnvFilter::try_from_env("OSUPG_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // There is one already where several parts of one process start it.
    let _ = if json { log.json().try_init() } else { log.with_target(false).try_init() };
}
