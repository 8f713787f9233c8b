//! Ctrl-C, SIGTERM and SIGHUP: the first asks a command to stop and to put away what is half made,
//! the second ends it on the spot.

use wim_extract::Cancel;

/// What shells show for a program that was interrupted.
pub(crate) const STOPPED: u8 = 130;

/// A flag that signals set. Called once by each command that works for long; the others are ended
/// by a signal as any program is.
///
/// A handler that cannot be had leaves the system's own, and that is safe too: outputs appear whole or
/// not at all, and the next run clears what a dead one has left.
pub(crate) fn obey() -> Cancel {
    system::obey()
}

#[cfg(unix)]
mod system {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::{fs, io};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::flag;
    use wim_extract::Cancel;

    use super::STOPPED;

    pub(super) fn obey() -> Cancel {
        let asked = Arc::new(AtomicBool::new(false));
        // Without a handler the system's own stays.
        let _ = [SIGINT, SIGTERM].map(|signal| obey_signal(signal, &asked));
        // Under `nohup` it goes on when the session is lost.
        if ignores(SIGHUP) == Some(false) {
            let _ = obey_signal(SIGHUP, &asked);
        }
        // A file larger than `ulimit -f` allows: with a handler, an error of writing says so.
        let _ = flag::register(SIGXFSZ, Arc::default());
        Cancel::of(asked)
    }

    /// The handlers run in this order: the first signal finds the flag unset.
    fn obey_signal(signal: i32, asked: &Arc<AtomicBool>) -> io::Result<()> {
        flag::register_conditional_shutdown(signal, STOPPED.into(), Arc::clone(asked))?;
        flag::register(signal, Arc::clone(asked)).map(drop)
    }

    /// Whether this process was started with a signal ignored; `None` where the system does not say.
    fn ignores(signal: i32) -> Option<bool> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        Some(mask >> (signal - 1) & 1 == 1)
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

    pub(super) fn obey() -> Cancel {
        let asked = Cancel::new();
        if ASKED.set(asked.clone()).is_ok() {
            // SAFETY: the handler is a function that lives as long as the process.
            unsafe { SetConsoleCtrlHandler(Some(handle), 1) };
        }
        asked
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
