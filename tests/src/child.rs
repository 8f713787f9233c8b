//! Runs a command to its end: output collected, time limited, memory watched.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long any command in these tests may run. Real ones end within seconds; the margin is for a
/// busy machine, and only a hang reaches it.
pub const TIME_LIMIT: Duration = Duration::from_secs(600);

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The command as text, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error, as text.
    pub stderr: String,
    /// The largest anonymous memory seen, in bytes, sampled every few milliseconds: heap and stacks,
    /// without mapped files. Zero when it ended before the first sample.
    pub peak_anonymous: u64,
}

impl Finished {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The exit code.
    ///
    /// # Panics
    /// When a signal ended the command: that is a crash, whatever the test expects.
    #[must_use]
    pub fn code(&self) -> i32 {
        let Some(code) = self.status.code() else {
            panic!("{} was ended by a signal: {}\n{}", self.command, self.status, self.stderr)
        };
        code
    }

    /// This result, when the command succeeded.
    ///
    /// # Panics
    /// When it did not.
    pub fn ok(self) -> Self {
        assert!(
            self.status.success(),
            "{} failed: {}\n{}{}",
            self.command,
            self.status,
            self.text(),
            self.stderr
        );
        self
    }
}

/// Runs `command` and waits for it, at most [`TIME_LIMIT`].
///
/// # Panics
/// When it does not start or does not end in time.
pub fn run(command: &mut Command) -> Finished {
    run_within(command, TIME_LIMIT)
}

/// Runs `command` and waits for it, at most `limit`.
///
/// # Panics
/// When it does not start or does not end in time.
pub fn run_within(command: &mut Command, limit: Duration) -> Finished {
    run_on(command, Stdio::null(), limit)
}

/// Runs `command` with this on standard input, at most [`TIME_LIMIT`].
///
/// # Panics
/// When it does not start or does not end in time.
pub fn run_with_input(command: &mut Command, input: impl Into<Stdio>) -> Finished {
    run_on(command, input.into(), TIME_LIMIT)
}

/// Puts a copy of `source` at `program`, to be run. Another program writes it: what this process has open
/// for writing, a child that some other test starts meanwhile inherits, and as long as it has it nothing
/// can run that file ("Text file busy").
///
/// # Panics
/// When it cannot be written.
pub fn install(source: &Path, program: &Path) {
    run(Command::new("install").args(["-m", "755"]).arg(source).arg(program)).ok();
}

fn run_on(command: &mut Command, input: Stdio, limit: Duration) -> Finished {
    let text = format!("{command:?}");
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("{text} does not start: {error}"));
    let stdout = collect(child.stdout.take().expect("stdout is a pipe"));
    let stderr = collect(child.stderr.take().expect("stderr is a pipe"));
    let (status, peak_anonymous) = watch(&mut child, limit, &text);
    Finished {
        command: text,
        status,
        stdout: stdout.join().expect("the reader ends"),
        stderr: String::from_utf8_lossy(&stderr.join().expect("the reader ends")).into_owned(),
        peak_anonymous,
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

fn watch(child: &mut Child, limit: Duration, text: &str) -> (ExitStatus, u64) {
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    let mut peak = 0;
    loop {
        peak = peak.max(anonymous_memory(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return (status, peak);
        }
        if start.elapsed() > limit {
            child.kill().expect("a child can be killed");
            panic!("{text} did not end within {limit:?}");
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// The anonymous memory of a running process, in bytes.
fn anonymous_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
