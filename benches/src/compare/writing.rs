//! Rows about making and changing WIMs.

use std::path::Path;

use super::inputs::{Input, Inputs, PART_SIZE, Trees};
use super::measure::Line;
use super::rows::{Contender, Goal, Pace, Row, Table};

/// The goal for memory of whatever compresses in chunks of 32 KiB: 64 MB and 16 MB for each of two
/// threads.
const MEMORY: Goal = Goal::Memory(96_000_000);

/// All rows about writing for `inputs`.
pub(super) fn rows(table: &Table<'_>, inputs: &Inputs) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(trees) = &inputs.trees {
        for (name, compression, goal, pace) in [
            ("lzx", "LZX", 1.2, Pace::Slow),
            ("lzx-fast", "LZX:20", 1.3, Pace::Quick),
            ("xpress", "XPRESS", 1.3, Pace::Quick),
        ] {
            let row = capture(table, trees, name, compression);
            rows.push(Row {
                goals: vec![Goal::Faster("wimlib", goal), SMALL, MEMORY],
                pace,
                ..row
            });
        }
        rows.push(capture_stored(table, trees));
        rows.push(threads(table, trees));
    }
    for input in &inputs.wims {
        match input.name {
            "xpress" => {
                let goals = vec![Goal::Faster("wimlib", 1.2), SMALL, MEMORY];
                rows.push(Row { goals, pace: Pace::Slow, ..recode(table, input, "LZX") });
            }
            "lzx" => {
                let goals = vec![Goal::Faster("wimlib", 1.4), SMALL, MEMORY];
                rows.push(Row { goals, ..recode(table, input, "XPRESS") });
            }
            _ => {}
        }
        if input.main {
            let (name, title) = ("optimize", "optimize, raw copy, one image deleted");
            rows.push(optimize(table, input, name, title, &input.deleted));
            let (name, title) = ("optimize-again", "optimize what is optimal");
            rows.push(optimize(table, input, name, title, &input.path));
            rows.push(split(table, input));
            rows.push(join(table, input));
            rows.extend(inputs.trees.as_ref().map(|trees| append(table, input, trees)));
        }
    }
    rows
}

const SMALL: Goal = Goal::NotLarger("wimlib");

fn capture(table: &Table<'_>, trees: &Trees, name: &str, compression: &str) -> Row {
    let output = table.out.join("out.wim");
    let words = format!("capture --quiet --compress={compression}");
    let contenders = table.both(&words, |line| line.arg(&trees.first).arg(&output));
    Row {
        name: format!("capture-{name}"),
        title: format!("capture to {compression}"),
        contenders,
        bytes: Some(trees.bytes),
        goals: Vec::new(),
        output: Some(output),
        pace: Pace::Quick,
        charted: true,
    }
}

fn capture_stored(table: &Table<'_>, trees: &Trees) -> Row {
    let row = capture(table, trees, "none", "none");
    let mut contenders = row.contenders;
    // A folder, which has no length to be told: only the others are compared by size.
    let line = Line::new("cp").arg("-a").arg(&trees.first).arg(table.out.join("out.wim"));
    contenders.push(Contender { name: "cp -a", line });
    let title = "capture, uncompressed".to_owned();
    let goals = vec![Goal::Faster("wimlib", 1.8), Goal::AtMost("cp -a", 1.3)];
    Row { title, contenders, goals, output: None, ..row }
}

fn threads(table: &Table<'_>, trees: &Trees) -> Row {
    let output = table.out.join("out.wim");
    let line = |threads: u32| {
        let words = format!("capture --quiet --compress=XPRESS --threads={threads}");
        table.wimx(&words).arg(&trees.first).arg(&output)
    };
    Row {
        name: "threads-capture".to_owned(),
        title: "capture to XPRESS with two threads and with one".to_owned(),
        contenders: vec![
            Contender { name: "2 threads", line: line(2) },
            Contender { name: "1 thread", line: line(1) },
        ],
        bytes: Some(trees.bytes),
        goals: vec![Goal::Faster("1 thread", 1.8)],
        output: None,
        pace: Pace::Quick,
        charted: false,
    }
}

fn recode(table: &Table<'_>, input: &Input, compression: &str) -> Row {
    let output = table.out.join("out.wim");
    let words = format!("export --quiet --compress={compression}");
    Row {
        name: format!("recode-to-{}", compression.to_lowercase()),
        title: format!("export {} to {compression}", input.title),
        contenders: table.both(&words, |line| line.arg(&input.path).arg("1").arg(&output)),
        bytes: Some(input.image_bytes),
        goals: Vec::new(),
        output: Some(output),
        pace: Pace::Quick,
        charted: true,
    }
}

/// Both commands change the file that they are given; `cp` makes another, and leaves out what it takes
/// the system to get rid of the old one, which moving the copy there shows. An archive that has lost an image
/// has data to be left out; another one is left as it is by wimx.
fn optimize(table: &Table<'_>, input: &Input, name: &str, title: &str, original: &Path) -> Row {
    let target = table.out.join("out.wim");
    let mut contenders = table.both("optimize --quiet", |line| {
        line.arg(&target).changes(original.to_owned(), target.clone())
    });
    contenders.push(cp(original, table));
    let copy_over = r#"cp --reflink=never "$1" "$2" && mv -f "$2" "$3""#;
    let line = Line::new("sh").arg("-c").arg(copy_over).arg("sh").arg(original);
    let line = line.arg(table.out.join("copy")).arg(&target);
    let line = line.changes(original.to_owned(), target);
    contenders.push(Contender { name: "cp, mv over it", line });
    raw(name, title, contenders, input)
}

fn split(table: &Table<'_>, input: &Input) -> Row {
    let target = table.out.join("part.swm");
    let mut contenders =
        table.both("split --quiet", |line| line.arg(&input.path).arg(&target).arg(PART_SIZE));
    contenders.push(cp(&input.path, table));
    raw("split", "split into parts of 100 MiB", contenders, input)
}

fn join(table: &Table<'_>, input: &Input) -> Row {
    let target = table.out.join("out.wim");
    let mut contenders = table.both("join --quiet", |line| {
        input.parts.iter().fold(line.arg(&target), |line, part| line.arg(part))
    });
    contenders.push(cp(&input.path, table));
    raw("join", "join parts of 100 MiB", contenders, input)
}

fn cp(original: &Path, table: &Table<'_>) -> Contender {
    let line = Line::new("cp").arg("--reflink=never").arg(original).arg(table.out.join("copy"));
    Contender { name: "cp", line }
}

/// A row about copying all of `input`.
fn raw(name: &str, title: &str, contenders: Vec<Contender>, input: &Input) -> Row {
    Row {
        name: name.to_owned(),
        title: title.to_owned(),
        contenders,
        bytes: Some(input.len),
        goals: vec![Goal::AtMost("cp", 1.2)],
        output: None,
        pace: Pace::Quick,
        charted: true,
    }
}

fn append(table: &Table<'_>, input: &Input, trees: &Trees) -> Row {
    let target = table.out.join("out.wim");
    let contenders = table.both("append --quiet", |line| {
        line.arg(&trees.next).arg(&target).changes(input.exported.clone(), target.clone())
    });
    Row {
        name: "append".to_owned(),
        title: "append the next edition, 20 % new".to_owned(),
        contenders,
        bytes: Some(trees.bytes),
        goals: vec![Goal::Faster("wimlib", 1.2), SMALL],
        output: Some(target),
        pace: Pace::Quick,
        charted: true,
    }
}
