//! What is compared: the rows of the report.

use std::path::{Path, PathBuf};

use super::inputs::{Input, Inputs};
use super::measure::Line;
use super::writing;

/// The programs that take part.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) wimx: PathBuf,
    pub(super) wimlib: PathBuf,
    pub(super) seven_zip: Option<PathBuf>,
}

/// One way to do the work of a row.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    /// How it is called in the report: `wimx`, `wimlib`, `7-Zip`, `cp`.
    pub(super) name: &'static str,
    pub(super) line: Line,
}

/// What the figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// At least this many times faster than the named contender.
    Faster(&'static str, f64),
    /// At most this many times as long as the named contender.
    AtMost(&'static str, f64),
    /// At most this many bytes of anonymous memory.
    Memory(u64),
    /// An output that is no larger than the named contender's.
    NotLarger(&'static str),
}

/// How long a run of a row takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// Some seconds at most.
    Quick,
    /// Up to a minute: it is run a third as often, and needs no warming up.
    Slow,
}

/// The goal for memory where chunks are small; those of solid resources have sizes of their own.
fn memory(input: &Input) -> &'static [Goal] {
    if input.name == "lzms-solid" { &[] } else { &[Goal::Memory(64_000_000)] }
}

/// One comparison.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Short name, for `--rows`.
    pub(super) name: String,
    /// What is done, for people.
    pub(super) title: String,
    /// Ours first.
    pub(super) contenders: Vec<Contender>,
    /// Uncompressed bytes the work is about, for throughput.
    pub(super) bytes: Option<u64>,
    /// What we want to reach, against whom.
    pub(super) goals: Vec<Goal>,
    /// The file that is made, if its size is worth telling.
    pub(super) output: Option<PathBuf>,
    pub(super) pace: Pace,
    /// Whether the chart shows it.
    pub(super) charted: bool,
}

/// All rows for `inputs`. Outputs go to `out` (memory) and `disk`; both are emptied after every run.
pub(super) fn rows(inputs: &Inputs, programs: &Programs, out: &Path, disk: &Path) -> Vec<Row> {
    let table = Table { programs, out, disk };
    let mut rows = Vec::new();
    for input in &inputs.wims {
        rows.push(table.verify(input));
        rows.push(table.apply(input));
        if input.main {
            rows.push(table.export(input));
            rows.push(table.export_to_disk(input));
            rows.push(table.export_with_table(input));
            rows.push(table.extract(input, &input.largest, "large"));
            rows.push(table.extract(input, &input.small, "small"));
            rows.push(table.info(input));
            rows.push(table.dir(input));
            rows.push(table.threads(input, "verify"));
            rows.push(table.threads(input, "apply"));
        }
    }
    rows.extend(writing::rows(&table, inputs));
    rows
}

pub(super) struct Table<'a> {
    programs: &'a Programs,
    pub(super) out: &'a Path,
    disk: &'a Path,
}

impl Table<'_> {
    pub(super) fn wimx(&self, words: &str) -> Line {
        Line::new(&self.programs.wimx).words(words)
    }

    fn wimlib(&self, words: &str) -> Line {
        Line::new(&self.programs.wimlib).words(words)
    }

    /// The same words for both, with what follows them.
    pub(super) fn both(&self, words: &str, with: impl Fn(Line) -> Line) -> Vec<Contender> {
        vec![
            Contender { name: "wimx", line: with(self.wimx(words)) },
            Contender { name: "wimlib", line: with(self.wimlib(words)) },
        ]
    }

    fn verify(&self, input: &Input) -> Row {
        let mut contenders = self.both("verify --quiet", |line| line.arg(&input.path));
        if let Some(program) = &self.programs.seven_zip {
            let line = Line::new(program).words("t -bd").arg(&input.path);
            contenders.push(Contender { name: "7-Zip", line });
        }
        let goal = match input.name {
            "lzx" => 3.5,
            "xpress" => 3.2,
            "none" => 4.0,
            "lzms-solid" => 2.5,
            _ => 1.0,
        };
        Row {
            name: format!("verify-{}", input.name),
            title: format!("verify {}", input.title),
            contenders,
            bytes: Some(input.unique_bytes),
            goals: [&[Goal::Faster("wimlib", goal)][..], memory(input)].concat(),
            output: None,
            pace: Pace::Quick,
            charted: true,
        }
    }

    fn apply(&self, input: &Input) -> Row {
        let target = self.out.join("tree");
        let mut contenders =
            self.both("apply --quiet", |line| line.arg(&input.path).arg("1").arg(&target));
        if let Some(tree) = &input.tree {
            let line = Line::new("cp").arg("-a").arg(tree).arg(&target);
            contenders.push(Contender { name: "cp -a", line });
        }
        Row {
            name: format!("apply-{}", input.name),
            title: format!("apply {} to memory", input.title),
            contenders,
            bytes: Some(input.image_bytes),
            goals: [
                &[Goal::Faster("wimlib", if input.name == "lzx" { 2.7 } else { 1.0 })][..],
                memory(input),
            ]
            .concat(),
            output: None,
            pace: Pace::Quick,
            charted: input.main,
        }
    }

    fn export(&self, input: &Input) -> Row {
        let target = self.out.join("out.wim");
        let mut contenders =
            self.both("export --quiet", |line| line.arg(&input.path).arg("1").arg(&target));
        let line = Line::new("cp").arg("--reflink=never").arg(&input.exported).arg(&target);
        contenders.push(Contender { name: "cp", line });
        Row {
            name: "export".to_owned(),
            title: "export one image, raw copy, to memory".to_owned(),
            contenders,
            bytes: Some(input.exported_bytes),
            goals: vec![Goal::AtMost("cp", 1.15)],
            output: None,
            pace: Pace::Quick,
            charted: true,
        }
    }

    /// On a disk the data must be there in the end, whoever wrote it: the file is synced.
    fn export_to_disk(&self, input: &Input) -> Row {
        let target = self.disk.join("out.wim");
        let source = input.on_disk.as_ref().unwrap_or(&input.path);
        let mut contenders = self.both("export --quiet", |line| {
            line.arg(source).arg("1").arg(&target).synced(target.clone())
        });
        let copied = input.exported_on_disk.as_ref().unwrap_or(&input.exported);
        let line = Line::new("cp").arg("--reflink=never").arg(copied).arg(&target);
        contenders.push(Contender { name: "cp", line: line.synced(target.clone()) });
        Row {
            name: "export-disk".to_owned(),
            title: "export one image, raw copy, to disk, synced".to_owned(),
            contenders,
            bytes: Some(input.exported_bytes),
            goals: vec![Goal::AtMost("cp", 1.15)],
            output: None,
            pace: Pace::Quick,
            charted: false,
        }
    }

    fn export_with_table(&self, input: &Input) -> Row {
        let target = self.out.join("out.wim");
        let mut contenders =
            self.both("export --quiet --check", |line| line.arg(&input.path).arg("1").arg(&target));
        let line = Line::new("cp").arg("--reflink=never").arg(&input.exported).arg(&target);
        contenders.push(Contender { name: "cp", line });
        let line = Line::new("dd")
            .words("bs=1M status=none")
            .arg(format!("if={}", input.exported.display()))
            .arg(format!("of={}", target.display()));
        contenders.push(Contender { name: "dd", line });
        Row {
            name: "export-check".to_owned(),
            title: "export one image with integrity table".to_owned(),
            contenders,
            bytes: Some(input.exported_bytes),
            goals: vec![Goal::AtMost("cp", 1.6)],
            output: None,
            pace: Pace::Quick,
            charted: true,
        }
    }

    fn extract(&self, input: &Input, file: &(String, u64), size: &str) -> Row {
        let target = format!("--dest-dir={}", self.out.display());
        let (path, bytes) = file;
        let line = |line: Line| line.arg(&input.path).arg("1").arg(path).arg(&target);
        let goal = if size == "large" { 2.5 } else { 1.0 };
        let mut contenders = self.both("extract --quiet", line);
        // It shows images as folders only where there are several.
        if let Some(program) = self.programs.seven_zip.as_ref().filter(|_| input.images > 1) {
            let line =
                Line::new(program).words("e -bd -y").arg(format!("-o{}", self.out.display()));
            let line = line.arg(&input.path).arg(format!("1{path}"));
            contenders.push(Contender { name: "7-Zip", line });
        }
        Row {
            name: format!("extract-{size}"),
            title: format!("extract one file of {}", human(*bytes)),
            contenders,
            bytes: Some(*bytes),
            goals: vec![Goal::Faster("wimlib", goal)],
            output: None,
            pace: Pace::Quick,
            charted: size == "large",
        }
    }

    fn info(&self, input: &Input) -> Row {
        Row {
            name: "info".to_owned(),
            title: "info".to_owned(),
            contenders: self.both("info", |line| line.arg(&input.path)),
            bytes: None,
            goals: vec![Goal::AtMost("wimlib", 1.0)],
            output: None,
            pace: Pace::Quick,
            charted: false,
        }
    }

    fn dir(&self, input: &Input) -> Row {
        Row {
            name: "dir".to_owned(),
            title: format!("dir, {} names", input.names),
            contenders: self.both("dir", |line| line.arg(&input.path).arg("1")),
            bytes: None,
            goals: vec![Goal::AtMost("wimlib", 1.0)],
            output: None,
            pace: Pace::Quick,
            charted: false,
        }
    }

    /// Our command with two threads against itself with one.
    fn threads(&self, input: &Input, verb: &str) -> Row {
        let target = self.out.join("tree");
        let line = |threads: u32| {
            let line = self.wimx(&format!("{verb} --quiet --threads={threads}")).arg(&input.path);
            if verb == "apply" { line.arg("1").arg(&target) } else { line }
        };
        Row {
            name: format!("threads-{verb}"),
            title: format!("{verb} with two threads and with one"),
            contenders: vec![
                Contender { name: "2 threads", line: line(2) },
                Contender { name: "1 thread", line: line(1) },
            ],
            bytes: Some(if verb == "apply" { input.image_bytes } else { input.unique_bytes }),
            goals: vec![Goal::Faster("1 thread", 1.85)],
            output: None,
            pace: Pace::Quick,
            charted: false,
        }
    }
}

/// A size for people: `154 MB`.
pub(super) fn human(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
