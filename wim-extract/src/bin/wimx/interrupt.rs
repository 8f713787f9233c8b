//! Ctrl-C and SIGTERM: the first asks a command to stop and to put away what is half made, the
//! second ends it on the spot.

use std::process;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use wim_extract::Cancel;

/// What shells show for a program that was interrupted.
pub(crate) const STOPPED: u8 = 130;

/// A flag that signals set. Called once by each command that works for long; the others are ended
/// by a signal as any program is.
pub(crate) fn obey() -> Cancel {
    let cancel = Cancel::new();
    let asked = cancel.clone();
    // A handler that cannot be had leaves the system's own, and that is safe too: outputs appear
    // whole or not at all, and the next run clears what a dead one has left.
    if let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGXFSZ]) {
        // The thread ends with the process.
        thread::spawn(move || {
            // A file larger than `ulimit -f` allows: with a handler, an error of writing says so.
            let mut signals = signals.forever().filter(|&signal| signal != SIGXFSZ);
            if signals.next().is_some() {
                asked.cancel();
            }
            if signals.next().is_some() {
                process::exit(STOPPED.into());
            }
        });
    }
    cancel
}
