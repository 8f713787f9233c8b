//! Runs commands and measures them.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::Serialize;

/// A command line to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    program: PathBuf,
    arguments: Vec<String>,
    /// A file whose data must have reached the disk before the time is taken.
    synced: Option<PathBuf>,
    /// A file, and the copy of it that the command is about to change.
    changed: Option<(PathBuf, PathBuf)>,
}

impl Line {
    /// A program without arguments.
    pub(super) fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), synced: None, changed: None }
    }

    /// The same, and `output` is synced to its disk within the measured time.
    pub(super) fn synced(self, output: PathBuf) -> Self {
        Self { synced: Some(output), ..self }
    }

    /// The same, and `copy` is a fresh copy of `original` before every run.
    pub(super) fn changes(self, original: PathBuf, copy: PathBuf) -> Self {
        Self { changed: Some((original, copy)), ..self }
    }

    /// Adds one argument.
    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_string_lossy().into_owned());
        self
    }

    /// Adds arguments separated by blanks.
    pub(super) fn words(mut self, words: &str) -> Self {
        self.arguments.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// The line as it would be typed, with the program's name alone.
    pub(super) fn text(&self) -> String {
        let program = self.program.file_name().unwrap_or_default().to_string_lossy();
        let mut text = program.into_owned();
        for argument in &self.arguments {
            text.push(' ');
            text.push_str(argument);
        }
        text
    }

    /// Bytes of the file that is copied before every run.
    pub(super) fn changed_bytes(&self) -> Result<u64> {
        let original = self.changed.as_ref().map(|(original, _)| original.metadata());
        Ok(original.transpose()?.map_or(0, |metadata| metadata.len()))
    }

    /// Makes what has to be there ready, and the command.
    fn command(&self) -> Result<Command> {
        if let Some((original, copy)) = &self.changed {
            fs::copy(original, copy).with_context(|| format!("copying {}", original.display()))?;
        }
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(command)
    }
}

/// One timed run: seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Sample {
    /// From start to end.
    pub(super) wall: f64,
    /// Processor time in the program and its children.
    pub(super) user: f64,
    /// Processor time in the kernel on their behalf.
    pub(super) system: f64,
}

impl Sample {
    /// Processor time altogether.
    pub(super) fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

/// Runs the command to its end and measures time. Nothing else may be waited for meanwhile: the
/// kernel adds up the processor time of all children.
pub(super) fn time(line: &Line) -> Result<Sample> {
    let mut command = line.command()?;
    let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let start = Instant::now();
    let output = command.output().with_context(|| format!("starting {}", line.text()))?;
    if let Some(file) = &line.synced
        && output.status.success()
    {
        fs::File::open(file)?.sync_all()?;
    }
    let wall = start.elapsed().as_secs_f64();
    let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    ensure!(
        output.status.success(),
        "{} failed ({}): {}",
        line.text(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let spent = |part: fn(&Usage) -> nix::sys::time::TimeVal| {
        (part(&after) - part(&before)).num_microseconds() as f64 / 1e6
    };
    Ok(Sample { wall, user: spent(Usage::user_time), system: spent(Usage::system_time) })
}

/// Runs the command and samples its anonymous memory (heap and stacks, without mapped files) every
/// two milliseconds. Not for timing.
pub(super) fn peak_anonymous(line: &Line) -> Result<u64> {
    let mut command = line.command()?;
    let mut child = command
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", line.text()))?;
    let mut peak = 0;
    loop {
        peak = peak.max(anonymous(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{} failed: {status}", line.text());
            return Ok(peak);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The anonymous memory of a process, in bytes.
pub(crate) fn anonymous(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The middle of some numbers and their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of at least one number.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let (low, high) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
        Self { median: f64::midpoint(low, high), min: numbers[0], max: numbers[numbers.len() - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_middle_and_the_bounds() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
    }

    #[test]
    fn a_busy_command_costs_processor_time_and_a_failing_one_is_an_error() {
        let busy =
            Line::new("sh").arg("-c").arg("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
        let sample = time(&busy).expect("a shell runs");
        assert!(sample.cpu() > 0.0 && sample.wall > 0.0);
        assert!(time(&Line::new("false")).is_err());
        assert!(time(&Line::new("/does/not/exist")).is_err());
    }
}
