//! `osupg doctor`

use clap::Args;

use super::Context;
use super::output::lines;
use crate::doctor::{Check, Report, Request, State};
use crate::error::{Kind, Result};
use crate::text;

#[derive(Debug, Args)]
#[command(after_help = "\
Looks at the store, its disk and locks, the database, the library, what cut-off work has left, keys,
the clock, schedules and points. Ends with 2 when something has to be mended.")]
pub(super) struct DoctorArgs {}

pub(super) async fn run(_args: DoctorArgs, context: &Context) -> Result<u8> {
    // A store that cannot even be opened is what a doctor is for.
    let report = match context.call(&Request {}).await {
        Ok(report) => report,
        Err(error) if error.kind() == Kind::Cancelled => return Err(error),
        Err(error) => Report::of(vec![Check::error("store", &error)]),
    };
    context.output.show(&report, report_text)?;
    Ok(if report.state == State::Bad { Kind::Usage.exit_code() } else { 0 })
}

fn report_text(report: &Report) -> String {
    let width = report.checks.iter().map(|check| check.area.len()).max().unwrap_or(0);
    let mut text = lines(report.checks.iter().flat_map(|check| {
        let mark = match check.state {
            State::Good => "ok  ",
            State::Warning => "note",
            State::Bad => "BAD ",
        };
        let found = format!("{mark}  {:width$}  {}", check.area, text::clean(&check.found));
        let mend = (!check.mend.is_empty())
            .then(|| format!("      {:width$}  → {}", "", text::clean(&check.mend)));
        std::iter::once(found).chain(mend)
    }));
    text.push_str(match report.state {
        State::Good => "All is well.\n",
        State::Warning => "It works.\n",
        State::Bad => "Something has to be mended.\n",
    });
    text
}
