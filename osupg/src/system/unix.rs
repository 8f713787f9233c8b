//! UNIX, that is Linux where it counts.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exposed, folder_in};

/// The folder of a person's data: `$XDG_DATA_HOME`, or `~/.local/share`.
pub(crate) fn data_folder() -> Option<PathBuf> {
    folder_in("XDG_DATA_HOME").or_else(|| folder_in("HOME").map(|home| home.join(".local/share")))
}

/// The folder of a person's settings: `$XDG_CONFIG_HOME`, or `~/.config`.
pub(crate) fn settings_folder() -> Option<PathBuf> {
    folder_in("XDG_CONFIG_HOME").or_else(|| folder_in("HOME").map(|home| home.join(".config")))
}

/// The folder of this machine's settings.
pub(crate) fn machine_settings() -> PathBuf {
    PathBuf::from("/etc")
}

/// Variables that name a person's folder of data, for messages.
pub(crate) const DATA_VARIABLES: &str = "neither XDG_DATA_HOME nor HOME is set";

/// Makes a folder, and those above it, that only its owner can look into.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a file that only its owner can read.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Keeps everybody but its owner from an open file.
pub(crate) fn make_private(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
}

/// What is wrong with a file or folder that nobody but its owner may look into.
pub(crate) fn seen_by_others(path: &Path) -> io::Result<Option<Exposed>> {
    let meta = fs::metadata(path)?;
    let seen = meta.permissions().mode() & 0o077 != 0;
    let (found, command) = match meta.is_dir() {
        true => ("others can look into", "chmod 700"),
        false => ("others can read", "chmod 600"),
    };
    Ok(seen.then(|| Exposed::new(found, path, command)))
}

/// What is wrong with a folder that nobody but its owner may write to.
pub(crate) fn written_by_others(path: &Path) -> io::Result<Option<Exposed>> {
    let found = fs::metadata(path)?.permissions().mode() & 0o022 != 0;
    Ok(found.then(|| Exposed::new("others than its owner can write to", path, "chmod go-w")))
}

/// The owner of a folder and the user who runs this, if they are not the same.
pub(crate) fn other_owner(path: &Path) -> io::Result<Option<(String, String)>> {
    let (owner, own) = (fs::metadata(path)?.uid(), rustix::process::geteuid().as_raw());
    Ok((owner != own).then(|| (owner.to_string(), own.to_string())))
}

/// The user of the system who runs this process.
pub(crate) fn user() -> String {
    let id = rustix::process::geteuid().as_raw();
    let name = fs::read_to_string("/etc/passwd").ok().and_then(|users| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid) = (fields.next()?, fields.next(), fields.next()?);
            (uid.parse() == Ok(id)).then(|| name.to_string())
        })
    });
    name.unwrap_or_else(|| id.to_string())
}

fn line_of(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_string()).filter(|text| !text.is_empty())
}

/// The name of this machine.
pub(crate) fn host() -> Option<String> {
    line_of("/proc/sys/kernel/hostname")
}

/// What tells one run of this machine from all others.
pub(crate) fn boot() -> Option<String> {
    line_of("/proc/sys/kernel/random/boot_id")
}

/// The space of process numbers that this process is in: containers may share a machine and not those.
pub(crate) fn process_space() -> String {
    fs::read_link("/proc/self/ns/pid").unwrap_or_default().display().to_string()
}

/// Whether a process that this one cannot see is gone.
pub(crate) fn sees_all_processes() -> bool {
    // The first namespace has a fixed number in Linux.
    process_space() == "pid:[4026531836]"
}

/// When a process began, in ticks since the machine did; `None` when there is no such process.
pub(crate) fn process_began(number: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name of the program may hold anything; the last bracket ends it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Whether it is known that there is no such process any more.
pub(crate) fn process_has_ended(number: u32) -> bool {
    match fs::read_to_string(format!("/proc/{number}/stat")) {
        // Behind the name in brackets: a zombie has ended, only nobody has asked how.
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// The requests to end this process.
pub(crate) struct EndRequests(Signal, Signal);

impl EndRequests {
    /// Listens from now on; `None` where that is impossible, and the system ends the process as ever.
    pub(crate) fn listen() -> Option<Self> {
        let listen = |kind| signal(kind).ok();
        Some(Self(listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// The requests to read settings again.
pub(crate) struct ReloadRequests(Signal);

impl ReloadRequests {
    /// Listens from now on; `None` where that is impossible.
    pub(crate) fn listen() -> Option<Self> {
        signal(SignalKind::hangup()).ok().map(Self)
    }

    /// Waits for the next one; `None` when none can come.
    pub(crate) async fn next(&mut self) -> Option<()> {
        self.0.recv().await
    }
}

/// Tells systemd something, if that started this process.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("systemd could not be told: {error}");
    }
}

/// Tells the manager of services that this one is at work.
pub(crate) fn tell_ready() {
    notify(NotifyState::Ready);
}

/// Tells the manager of services that this one is ending.
pub(crate) fn tell_stopping() {
    notify(NotifyState::Stopping);
}

/// Tells the manager of services that this one lives.
pub(crate) fn tell_alive() {
    notify(NotifyState::Watchdog);
}

/// Within which time the manager of services wants to hear that this one lives, if it does.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// The terminal, to read from and to write to.
pub(crate) fn terminal() -> io::Result<(File, File)> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    Ok((tty.try_clone()?, tty))
}

/// While this lives the terminal shows nothing of what is typed.
pub(crate) struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    /// Begins with that.
    pub(crate) fn begin(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}
