//! `osupg service …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use super::output::{Align, count, facts, table};
use super::update::absolute;
use crate::error::{Error, Result};
use crate::operation::Operation;
use crate::package::reference::Reference;
use crate::schedule;
use crate::schedule::model::Missed;
use crate::service::history;
use crate::service::inventory::{self, ImageInventory, Inventory};
use crate::service::plan::{self, Plan};
use crate::service::recipe::{Addition, Compression, OnError, Recipe, Removal, Superseded, Target};
use crate::service::run::after::Publish;
use crate::service::run::{self, Decision, Run};
use crate::service::update::Kind;
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the builds and packages of every image of a package, WinRE too
    Inventory(Which),
    /// Show what a run would do, and change nothing
    Plan(RunArgs),
    /// Make the next revision: updates, files, WinRE, boot.wim, Setup update
    Run(RunArgs),
    /// Have a run made at set times
    Schedule(ScheduleArgs),
    /// List the runs, the newest first
    History(HistoryArgs),
    /// Show everything about a run
    Show(RunId),
    /// Cancel a run that waits for a worker
    Cancel(RunId),
    /// Do a run again; one that waits for a worker goes on
    Retry(RunId),
}

/// Names a revision.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The package's id or name; ID@N for its revision N
    #[arg(value_name = "ID[@N]")]
    package: Reference,
}

/// Names a run.
#[derive(Debug, Args)]
pub(super) struct RunId {
    /// The run's id, as `osupg service history` shows it
    #[arg(value_name = "RUN")]
    run: String,
}

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Only runs of this package
    #[arg(value_name = "ID")]
    package: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg service plan OSU00001 --latest cumulative --latest dotnet --latest setup
  osupg service run OSU00001 --update KB5044284 --update KB5044611 --keep Professional
  osupg service run OSU00001 --add install.wim/Windows/System32/oem.txt=oem.txt --winre winre.wim
  osupg service run OSU00001 --place UPD00007 --answer-file autounattend.xml
  osupg service run OSU00001 --unattend UPD00008

A run starts from the newest revision that no servicing has made, unless ID@N names another. Updates of
images take a worker with Windows' servicing stack and wait for one; everything else is done at once. A
run that fails changes nothing.")]
pub(super) struct RunArgs {
    #[command(flatten)]
    which: Which,
    /// Put in this update: an id or article
    #[arg(long = "update", value_name = "ID")]
    updates: Vec<String>,
    /// Put in the newest update of this kind: cumulative, dotnet, safe-os, setup, …
    #[arg(long, value_name = "KIND")]
    latest: Vec<Kind>,
    /// Place this update or driver on the media, for Setup to install
    #[arg(long, value_name = "ID")]
    place: Vec<String>,
    /// Place this package (.cab) on the media and name it in the answer file, so that Setup installs it
    /// when it installs Windows anew; not put into images, and upgrades do not take it
    #[arg(long, value_name = "ID")]
    unattend: Vec<String>,
    /// Keep only this image of install.wim: an index or an edition
    #[arg(long, value_name = "IMAGE")]
    keep: Vec<String>,
    /// Add or replace a file: TARGET/PATH=FILE, where the target is install.wim, install.wim:2,
    /// boot.wim, boot.wim:1, winre.wim or media
    #[arg(long, value_name = "TARGET/PATH=FILE", value_parser = addition)]
    add: Vec<Addition>,
    /// Remove a file or folder: TARGET/PATH
    #[arg(long, value_name = "TARGET/PATH", value_parser = removal)]
    remove: Vec<Removal>,
    /// Put this WIM in the place of the recovery environment of every image
    #[arg(long, value_name = "WIM")]
    winre: Option<PathBuf>,
    /// Put this WIM in the place of sources/boot.wim
    #[arg(long, value_name = "WIM")]
    boot_wim: Option<PathBuf>,
    /// Put this answer file on the media, as autounattend.xml
    #[arg(long, value_name = "XML")]
    answer_file: Option<PathBuf>,
    /// Put this script into every image, as SetupComplete.cmd
    #[arg(long, value_name = "CMD")]
    setup_complete: Option<PathBuf>,
    /// Compress WIM files that change again: slow, and a little smaller
    #[arg(long)]
    compress_again: bool,
    /// Go on with the next update when one fails
    #[arg(long)]
    continue_on_error: bool,
    /// Remove updates that others have superseded; takes an install.wim with one image
    #[arg(long)]
    remove_superseded: bool,
    /// Publish the new revision to this point or group when nothing waits any more; NAME+7 does it
    /// seven days later
    #[arg(long, value_name = "NAME[+DAYS]", value_parser = publish)]
    publish: Vec<Publish>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg service schedule OSU00001 --when 'Patch Tuesday + 5 days 22:00' \\
      --latest cumulative --latest dotnet --latest setup --publish Pilot --publish All+7
  osupg service schedule OSU00001 --when 'in 2 hours' --name Tonight --update KB5044284

It is a schedule like any other: `osupg schedule list`, `show`, `pause`, `remove`. With --latest, the
newest updates that were imported by then are put in.")]
pub(super) struct ScheduleArgs {
    #[command(flatten)]
    run: RunArgs,
    /// When, in words or cron text; see `osupg schedule add --help`
    #[arg(long, value_name = "TIME")]
    when: String,
    /// What to call the schedule [default: Servicing of ID]
    #[arg(long)]
    name: Option<String>,
}

fn addition(text: &str) -> std::result::Result<Addition, String> {
    let (place, source) =
        text.split_once('=').ok_or("a file to add is written TARGET/PATH=FILE")?;
    let (to, path) = target(place)?;
    if source.is_empty() {
        return Err("a file to add is written TARGET/PATH=FILE".into());
    }
    Ok(Addition { to, path, source: source.into() })
}

fn removal(text: &str) -> std::result::Result<Removal, String> {
    let (from, path) = target(text)?;
    Ok(Removal { from, path })
}

fn publish(text: &str) -> std::result::Result<Publish, String> {
    let (to, after_days) = match text.rsplit_once('+') {
        None => (text, 0),
        Some((to, days)) => {
            (to, days.parse().map_err(|_| "days are a number, such as Pilot+7".to_string())?)
        }
    };
    if to.is_empty() {
        return Err("a point or group is named before the days, such as Pilot+7".into());
    }
    Ok(Publish { to: vec![to.to_string()], after_days })
}

fn target(text: &str) -> std::result::Result<(Target, String), String> {
    let (target, path) = text
        .split_once('/')
        .ok_or("a path is written TARGET/PATH, such as boot.wim:2/setup.exe")?;
    Ok((target.parse()?, path.to_string()))
}

impl RunArgs {
    fn request(self) -> Result<run::Request> {
        let optional = |path: Option<PathBuf>| path.map(absolute).transpose();
        let add = self
            .add
            .into_iter()
            .map(|addition| Ok(Addition { source: absolute(addition.source)?, ..addition }))
            .collect::<Result<_>>()?;
        let recipe = Recipe {
            updates: self.updates,
            latest: self.latest,
            place: self.place,
            unattended: self.unattend,
            keep: self.keep,
            add,
            remove: self.remove,
            winre: optional(self.winre)?,
            boot: optional(self.boot_wim)?,
            answer_file: optional(self.answer_file)?,
            setup_complete: optional(self.setup_complete)?,
            compression: if self.compress_again { Compression::Again } else { Compression::Keep },
            on_error: if self.continue_on_error { OnError::Continue } else { OnError::Stop },
            superseded: if self.remove_superseded { Superseded::Remove } else { Superseded::Keep },
        };
        Ok(run::Request { package: self.which.package, recipe, publish: self.publish, run: None })
    }
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Inventory(which) => {
            let request = inventory::Request { package: which.package };
            let inventory = context.call(&request).await?;
            context.output.show(&inventory, inventory_text)?;
        }
        Command::Plan(args) => {
            let run::Request { package, recipe, .. } = args.request()?;
            let plan = context.call(&plan::Request { package, recipe }).await?;
            context.output.show(&plan, plan_text)?;
            if !plan.problems.is_empty() {
                return Ok(crate::error::Kind::Usage.exit_code());
            }
        }
        Command::Run(args) => {
            let run = context.call(&args.request()?).await?;
            context.output.show(&run, run_text)?;
        }
        Command::Schedule(args) => {
            let request = args.run.request()?;
            let name = args.name.unwrap_or_else(|| format!("Servicing of {}", request.package));
            let request = serde_json::to_value(&request)
                .map_err(|error| Error::io(format!("the request has no JSON: {error}")))?;
            let operation = run::Request::NAME.to_string();
            let missed = Missed::default();
            let add = schedule::Add { name, when: args.when, operation, request, missed };
            let shown = context.call(&add).await?;
            context.output.show(&shown, |shown| {
                let next = shown.upcoming.first().map_or_else(|| "never".into(), |at| at.local());
                format!("Scheduled {:?}; next: {next}\n", shown.schedule.name)
            })?;
        }
        Command::History(args) => {
            let request = history::Request { package: args.package, limit: Some(args.limit) };
            let runs = context.call(&request).await?;
            context.output.show(&runs, |runs| history_text(runs))?;
        }
        Command::Show(which) => {
            let run = context.call(&history::ShowRequest { run: which.run }).await?;
            context.output.show(&run, run_text)?;
        }
        Command::Cancel(which) => {
            let run = context.call(&history::CancelRequest { run: which.run }).await?;
            context.output.show(&run, |run| format!("{}\n", run.reason))?;
        }
        Command::Retry(which) => {
            let run = context.call(&history::RetryRequest { run: which.run }).await?;
            context.output.show(&run, run_text)?;
        }
    }
    Ok(0)
}

fn inventory_text(inventory: &Inventory) -> String {
    let mut shown = format!("{} revision {}\n", inventory.id, inventory.revision);
    let columns = [
        ("Image", Align::Left),
        ("Name", Align::Left),
        ("Edition", Align::Left),
        ("Arch", Align::Left),
        ("Build", Align::Left),
        ("Packages", Align::Right),
        ("Newest update", Align::Left),
    ];
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    for wim in &inventory.wims {
        for image in &wim.images {
            let place = format!("{}:{}", wim.path, image.index);
            rows.push(image_row(&place, image));
            notes.extend(image.notes.iter().map(|note| format!("{place}: {note}")));
            if image.pending {
                notes.push(format!("{place}: actions wait for its next start"));
            }
            for inner in image.winre.iter().flat_map(|winre| &winre.images) {
                let place = format!("{place} winre.wim:{}", inner.index);
                rows.push(image_row(&place, inner));
            }
        }
    }
    shown.push_str(&table(&columns, rows));
    for note in notes {
        shown.push_str(&format!("Note: {}\n", text::clean(&note)));
    }
    shown
}

fn image_row(place: &str, image: &ImageInventory) -> Vec<String> {
    let newest = image
        .packages
        .iter()
        .map(|package| &package.identity)
        .filter(|identity| identity.name.starts_with("Package_for_RollupFix"))
        .max_by_key(|identity| identity.version);
    vec![
        place.to_string(),
        image.name.clone(),
        image.edition.clone(),
        image.architecture.clone(),
        image.version(),
        image.packages.len().to_string(),
        newest.map(|identity| identity.version.to_string()).unwrap_or_default(),
    ]
}

fn plan_text(plan: &Plan) -> String {
    let mut shown = format!("{} from revision {}\n", plan.id, plan.base);
    let columns = [
        ("Task", Align::Right),
        ("Target", Align::Left),
        ("Step", Align::Left),
        ("By", Align::Left),
        ("Updates", Align::Left),
    ];
    let rows = plan.steps.iter().map(|step| {
        vec![
            step.task.map(|task| task.to_string()).unwrap_or_default(),
            step.target.clone(),
            step.title.clone(),
            step.by.word().to_string(),
            step.updates.join(", "),
        ]
    });
    shown.push_str(&table(&columns, rows.collect()));
    let columns = [
        ("Image", Align::Left),
        ("Build", Align::Left),
        ("Update", Align::Left),
        ("State", Align::Left),
        ("Why", Align::Left),
    ];
    let rows: Vec<_> = plan
        .images
        .iter()
        .flat_map(|image| {
            let place = match image.role {
                crate::service::applicable::Role::Winre => "winre.wim".to_string(),
                _ => format!("{}:{}", image.wim, image.index),
            };
            image.updates.iter().map(move |update| {
                vec![
                    place.clone(),
                    image.build.clone(),
                    update.called.clone(),
                    update.state.word().to_string(),
                    update.reason.clone(),
                ]
            })
        })
        .collect();
    if !rows.is_empty() {
        shown.push('\n');
        shown.push_str(&table(&columns, rows));
    }
    shown.push_str(&format!("Scratch: {}\n", text::size(plan.scratch)));
    for note in &plan.notes {
        shown.push_str(&format!("Note: {}\n", text::clean(note)));
    }
    for problem in &plan.problems {
        shown.push_str(&format!("Cannot run: {}\n", text::clean(problem)));
    }
    shown
}

fn history_text(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "No runs.\n".into();
    }
    let columns = [
        ("Run", Align::Left),
        ("Package", Align::Left),
        ("Base", Align::Right),
        ("State", Align::Left),
        ("Made", Align::Right),
        ("Began", Align::Left),
        ("Reason", Align::Left),
    ];
    let rows = runs.iter().map(|run| {
        vec![
            run.id.clone(),
            run.package.clone(),
            run.base.to_string(),
            run.state.word().to_string(),
            run.revision.map(|number| number.to_string()).unwrap_or_default(),
            run.started_at.local(),
            run.reason.lines().next().unwrap_or_default().to_string(),
        ]
    });
    table(&columns, rows.collect())
}

fn run_text(run: &Run) -> String {
    let report = &run.report;
    let mut shown = format!("Run {}: {}\n", run.id, run.state.word());
    shown.push_str(&facts(&[
        ("package", run.package.clone()),
        ("base", run.base.to_string()),
        ("revision", run.revision.map(|number| number.to_string()).unwrap_or_default()),
        ("reason", run.reason.clone()),
        ("began", run.started_at.local()),
        ("begun by", run.made_by.clone()),
        ("ended", run.ended_at.map(|at| at.local()).unwrap_or_default()),
        ("new in the library", text::size(report.new_size)),
    ]));
    let columns = [
        ("Image", Align::Left),
        ("Update", Align::Left),
        ("Result", Align::Left),
        ("Why", Align::Left),
    ];
    let rows: Vec<_> = report
        .updates
        .iter()
        .map(|result| {
            vec![
                format!("{}:{}", result.wim, result.index),
                result.called.clone(),
                result.became.word().to_string(),
                result.reason.clone(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        shown.push_str(&table(&columns, rows));
    }
    if !report.files.is_empty() {
        let of = |decision: Decision| {
            report.files.iter().filter(|file| file.decision == decision).count() as u64
        };
        shown.push_str(&format!(
            "Setup update: {} added, {} replaced, {} the same, {} newer on the media and kept\n",
            count(of(Decision::Added), "file"),
            of(Decision::Replaced),
            of(Decision::Same),
            of(Decision::KeptNewer)
        ));
    }
    for check in &report.checks {
        let mark = if check.passed { "ok    " } else { "FAILED" };
        shown.push_str(&format!("{mark}  {}: {}\n", check.what, text::clean(&check.found)));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_with_their_target() {
        let add = addition("install.wim:2/Windows/a=b.txt=./c").unwrap();
        assert_eq!((add.to, add.path.as_str()), (Target::Install(Some(2)), "Windows/a"));
        assert_eq!(add.source, PathBuf::from("b.txt=./c"));
        assert_eq!(removal("media/autorun.inf").unwrap().from, Target::Media);
        assert_eq!(publish("Pilot+7"), Ok(Publish { to: vec!["Pilot".into()], after_days: 7 }));
        assert_eq!(publish("All").map(|publish| publish.after_days), Ok(0));
        assert!(publish("+7").is_err() && publish("Pilot+soon").is_err());
        for bad in ["install.wim", "install.wim/x", "other/x=y", "media/x="] {
            assert!(addition(bad).is_err(), "{bad}");
        }
    }
}
