//! Where the figures were taken, and with which versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;

use super::rows::Programs;

/// The machine and the programs.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// The processor's own name.
    processor: String,
    /// Processors that may be used.
    processors: usize,
    /// Memory in GiB.
    memory_gib: u64,
    /// The kernel's release.
    kernel: String,
    /// Instruction sets that hashing and decoding make use of.
    features: Vec<&'static str>,
    /// Version of each program.
    pub(super) versions: Vec<(&'static str, String)>,
}

impl Machine {
    /// Describes this machine.
    pub(super) fn describe(programs: &Programs) -> Result<Self> {
        let processor = fs::read_to_string("/proc/cpuinfo")?;
        let field = |name: &str| {
            let line = processor.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let flags = field("flags").unwrap_or_default();
        let features = ["sha_ni", "avx2", "avx512f", "bmi2"];
        let memory = fs::read_to_string("/proc/meminfo")?;
        let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        let mut versions = vec![
            ("wimx", version(&programs.wimx, "--version")?),
            ("wimlib", version(&programs.wimlib, "--version")?),
        ];
        if let Some(program) = &programs.seven_zip {
            versions.push(("7-Zip", version(program, "")?));
        }
        Ok(Self {
            processor: field("model name").unwrap_or_default(),
            processors: std::thread::available_parallelism()?.get(),
            memory_gib: kib.unwrap_or(0).div_ceil(1 << 20),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            features: features
                .into_iter()
                .filter(|feature| flags.split(' ').any(|flag| flag == *feature))
                .collect(),
            versions,
        })
    }

    /// The version of a program, as it tells it.
    pub(super) fn version(&self, name: &str) -> &str {
        self.versions.iter().find(|(of, _)| *of == name).map_or("", |(_, version)| version)
    }

    /// One line for the head of a report.
    pub(super) fn line(&self) -> String {
        format!(
            "{} × {}, {} GiB, Linux {} ({})",
            self.processors,
            self.processor,
            self.memory_gib,
            self.kernel,
            self.features.join(", ")
        )
    }
}

/// A program's name and version: the beginning of the first line that holds a version number.
fn version(program: &Path, option: &str) -> Result<String> {
    let mut command = Command::new(program);
    if !option.is_empty() {
        command.arg(option);
    }
    let output = command.output().with_context(|| format!("starting {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_version =
        |word: &str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    let line = text.lines().find(|line| line.split(' ').any(is_version)).unwrap_or_default();
    let words = line.split(' ').filter(|word| !word.starts_with('('));
    let name: Vec<&str> = words.clone().take_while(|word| !is_version(word)).collect();
    let number = words.clone().find(|word| is_version(word)).unwrap_or_default();
    Ok(format!("{} {number}", name.join(" ")))
}

/// The first of `names` on the search path.
pub(super) fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
    files.find(|file| file.is_file())
}
