//! Windows.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};
use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, FILETIME, WAIT_TIMEOUT};
use windows_sys::Win32::System::Console::{
    CONSOLE_MODE, ENABLE_ECHO_INPUT, GetConsoleMode, SetConsoleMode,
};
use windows_sys::Win32::System::Threading::{
    GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
    WaitForSingleObject,
};

use super::{Exposed, folder_in};

/// The folder of a person's data: `%LOCALAPPDATA%`.
pub(crate) fn data_folder() -> Option<PathBuf> {
    folder_in("LOCALAPPDATA")
}

/// The folder of a person's settings: `%APPDATA%`.
pub(crate) fn settings_folder() -> Option<PathBuf> {
    folder_in("APPDATA")
}

/// The folder of this machine's settings: `%ProgramData%`.
pub(crate) fn machine_settings() -> PathBuf {
    folder_in("ProgramData").unwrap_or_else(|| PathBuf::from(r"C:\ProgramData"))
}

/// Variables that name a person's folder of data, for messages.
pub(crate) const DATA_VARIABLES: &str = "LOCALAPPDATA is not set";

/// Makes a folder, and those above it. Who may look into it is inherited from the folder above: below a
/// profile nobody but its owner and administrators.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Makes a file, whose rights are inherited.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Rights are inherited from the folder.
pub(crate) fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// Rights are inherited from the folder that the administrator has chosen, and not judged.
pub(crate) fn seen_by_others(path: &Path) -> io::Result<Option<Exposed>> {
    fs::metadata(path).map(|_| None)
}

/// As [`seen_by_others`].
pub(crate) fn written_by_others(path: &Path) -> io::Result<Option<Exposed>> {
    fs::metadata(path).map(|_| None)
}

/// Files have no owner here that matters.
pub(crate) fn other_owner(path: &Path) -> io::Result<Option<(String, String)>> {
    fs::metadata(path).map(|_| None)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The user of the system who runs this process.
pub(crate) fn user() -> String {
    variable("USERNAME").unwrap_or_else(|| "unknown".into())
}

/// The name of this machine.
pub(crate) fn host() -> Option<String> {
    variable("COMPUTERNAME")
}

/// What tells one run of this machine from all others: processes tell when they began by the calendar,
/// so the machine will do.
pub(crate) fn boot() -> Option<String> {
    host()
}

/// All processes of a machine share their numbers.
pub(crate) fn process_space() -> String {
    String::new()
}

/// Whether a process that this one cannot see is gone: those of other accounts may not be opened.
pub(crate) fn sees_all_processes() -> bool {
    false
}

fn open_process(number: u32) -> io::Result<OwnedHandle> {
    let access = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
    // SAFETY: it takes any number.
    let handle = unsafe { OpenProcess(access, 0, number) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the handle is a new one and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// When a process began, in ticks since 1601; `None` when there is no such process.
pub(crate) fn process_began(number: u32) -> Option<u64> {
    let process = open_process(number).ok()?;
    if has_exited(&process) {
        return None;
    }
    let [mut began, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the handle is open, and each place takes a time.
    let done = unsafe {
        GetProcessTimes(process.as_raw_handle(), &mut began, &mut ended, &mut kernel, &mut user)
    };
    (done != 0).then(|| u64::from(began.dwHighDateTime) << 32 | u64::from(began.dwLowDateTime))
}

/// Whether it is known that there is no such process any more.
pub(crate) fn process_has_ended(number: u32) -> bool {
    match open_process(number) {
        // Somebody may still hold a handle to it.
        Ok(process) => has_exited(&process),
        Err(error) => error.raw_os_error() == Some(ERROR_INVALID_PARAMETER as i32),
    }
}

fn has_exited(process: &OwnedHandle) -> bool {
    // SAFETY: the handle is open.
    unsafe { WaitForSingleObject(process.as_raw_handle(), 0) != WAIT_TIMEOUT }
}

/// The requests to end this process.
pub(crate) struct EndRequests(CtrlC, CtrlBreak, CtrlClose, CtrlShutdown);

impl EndRequests {
    /// Listens from now on; `None` where that is impossible, and the system ends the process as ever.
    pub(crate) fn listen() -> Option<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
        Some(Self(ctrl_c().ok()?, ctrl_break().ok()?, ctrl_close().ok()?, ctrl_shutdown().ok()?))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
            _ = self.2.recv() => {}
            _ = self.3.recv() => {}
        }
    }
}

/// The requests to read settings again, for which Windows has no signal.
pub(crate) struct ReloadRequests;

impl ReloadRequests {
    /// There are none.
    pub(crate) fn listen() -> Option<Self> {
        Some(Self)
    }

    /// None comes.
    pub(crate) async fn next(&mut self) -> Option<()> {
        None
    }
}

/// There is no manager that wants to know: run it from the task scheduler.
pub(crate) fn tell_ready() {}

/// As [`tell_ready`].
pub(crate) fn tell_stopping() {}

/// As [`tell_ready`].
pub(crate) fn tell_alive() {}

/// As [`tell_ready`].
pub(crate) fn watchdog() -> Option<Duration> {
    None
}

/// The terminal, to read from and to write to.
pub(crate) fn terminal() -> io::Result<(File, File)> {
    let open = |name| OpenOptions::new().read(true).write(true).open(name);
    Ok((open("CONIN$")?, open("CONOUT$")?))
}

/// While this lives the terminal shows nothing of what is typed.
pub(crate) struct Hidden<'a> {
    terminal: &'a File,
    before: CONSOLE_MODE,
}

impl<'a> Hidden<'a> {
    /// Begins with that.
    pub(crate) fn begin(terminal: &'a File) -> io::Result<Self> {
        let mut before = 0;
        // SAFETY: the handle is open, and the place takes a mode.
        if unsafe { GetConsoleMode(terminal.as_raw_handle(), &mut before) } == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle is open.
        if unsafe { SetConsoleMode(terminal.as_raw_handle(), before & !ENABLE_ECHO_INPUT) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open.
        unsafe { SetConsoleMode(self.terminal.as_raw_handle(), self.before) };
    }
}
