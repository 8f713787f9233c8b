//! Printing: plain lines and tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::text;

/// Where a command's results go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// Whether programs read them.
    pub(super) json: bool,
}

impl Output {
    /// Prints `value` as JSON, or what `people` makes of it.
    pub(super) fn show<T: Serialize>(
        self,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        let text = if self.json {
            let mut json = serde_json::to_string_pretty(value)
                .map_err(|error| Error::io(format!("cannot write JSON: {error}")))?;
            json.push('\n');
            json
        } else {
            people(value)
        };
        print(&text)
    }
}

/// Writes to standard output. Who closed it has seen enough: that is no error.
pub(super) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io(format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table. On a terminal it fits the width; elsewhere every row is one line.
pub(super) fn table(columns: &[(&str, Align)], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if io::stdout().is_terminal() {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    }
    table.set_header(columns.iter().map(|(name, _)| *name));
    for row in rows {
        table.add_row(row.iter().map(|cell| text::clean(cell).into_owned()));
    }
    let last = columns.len().saturating_sub(1);
    for (position, (_, align)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(position) {
            column.set_padding((0, if position == last { 0 } else { 2 }));
            if *align == Align::Right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    lines(table.lines().map(|line| line.trim_end().to_string()))
}

/// Names and values under each other; values that are empty are left out.
pub(super) fn facts(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let filled = rows.iter().filter(|(_, value)| !value.is_empty());
    lines(filled.map(|(name, value)| format!("  {name:width$}  {}", text::clean(value))))
}

/// Lines with their ends.
pub(super) fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |mut text, line| {
        text.push_str(&line);
        text.push('\n');
        text
    })
}

/// A count with its noun: `1 file`, `2 files`.
pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", text::plural(number))
}
