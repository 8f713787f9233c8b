//! The report as Markdown.

use std::fmt::Write as _;

use super::measure::Spread;
use super::rows::human;
use super::{Figures, Measured, Report, Verdict};

/// The whole report.
pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let versions: Vec<&str> =
        report.machine.versions.iter().map(|(_, version)| version.as_str()).collect();
    let _ = write!(
        text,
        "{}; {}. Input: {}. Medians (min..max) of {} paired runs (a third as \
         many where one takes a minute), page cache warm.\n\n",
        report.machine.line(),
        versions.join("; "),
        report.origin,
        report.runs
    );
    text.push_str(
        "| work | program | wall s | CPU s | × our time | throughput | anonymous memory | output |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for row in &report.rows {
        for (index, figures) in row.contenders.iter().enumerate() {
            let title = if index == 0 { row.title.as_str() } else { "" };
            let _ = writeln!(text, "| {title} {}", cells(row, figures));
        }
    }
    text.push_str("\n| work | goal | found | reached |\n|---|---|---|---|\n");
    for row in &report.rows {
        for verdict in &row.goals {
            let reached = if verdict.met { "yes" } else { "**no**" };
            let Verdict { text: goal, found, .. } = verdict;
            let _ = writeln!(text, "| {} | {goal} | {found} | {reached} |", row.title);
        }
    }
    text.push_str("\nThe commands:\n\n");
    for row in &report.rows {
        for figures in &row.contenders {
            let _ = writeln!(text, "- {}, {}: `{}`", row.name, figures.name, figures.command);
        }
    }
    text
}

fn cells(row: &Measured, figures: &Figures) -> String {
    let throughput = row.bytes.map_or(String::new(), |bytes| {
        format!("{:.0} MB/s", bytes as f64 / 1e6 / figures.wall.median)
    });
    format!(
        "| {} | {} | {} | {} | {throughput} | {} | {} |",
        figures.name,
        spread(figures.wall, 3),
        spread(figures.cpu, 3),
        spread(figures.times_ours, 2),
        figures.peak_anonymous.map_or(String::new(), human),
        figures.output.map_or(String::new(), |bytes| format!("{:.2} MB", bytes as f64 / 1e6))
    )
}

fn spread(spread: Spread, digits: usize) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.digits$} ({min:.digits$}..{max:.digits$})")
}
