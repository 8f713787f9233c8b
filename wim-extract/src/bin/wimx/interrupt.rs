//! Ctrl-C and SIGTERM: the first asks a command to stop and to put away what is half made, the
//! second ends it on the spot.

use wim_extract::Cancel;

/// What shells show for a program that was interrupted.
pub(crate) const STOPPED: u8 = 130;

/// A flag that signals set. Called once by each command that works for long; the others are ended
/// by a signal as any program is.
///
/// A handler that cannot be had leaves the system's own, and that is safe too: outputs appear whole or
/// not at all, and the next run clears what a dead one has left.
pub(crate) fn obey() -> Cancel {
    let cancel = Cancel::new();
    system::obey(cancel.clone());
    cancel
}

#[cfg(unix)]
mod system {
    use std::{process, thread};

    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::iterator::Signals;
    use wim_extract::Cancel;

    use super::STOPPED;

    pub(super) fn obey(asked: Cancel) {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGXFSZ]) else { return };
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
}

#[cfg(windows)]
mod system {
    use std::process;
    use std::sync::OnceLock;

    use wim_extract::Cancel;
    use windows_sys::Win32::System::Console::{
        CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler,
    };
    use windows_sys::core::BOOL;

    use super::STOPPED;

    static ASKED: OnceLock<Cancel> = OnceLock::new();

    pub(super) fn obey(asked: Cancel) {
        if ASKED.set(asked).is_ok() {
            // SAFETY: the handler is a function that lives as long as the process.
            unsafe { SetConsoleCtrlHandler(Some(handle), 1) };
        }
    }

    /// Called on a thread of its own.
    unsafe extern "system" fn handle(event: u32) -> BOOL {
        if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
            return 0;
        }
        match ASKED.get() {
            Some(asked) if !asked.is_cancelled() => asked.cancel(),
            _ => process::exit(STOPPED.into()),
        }
        1
    }
}
