//! The command line: arguments in, calls to the modules that do the work, results out.

mod account;
mod audit;
mod bar;
mod bundle;
mod doctor;
mod dp;
mod image;
mod job;
mod key;
mod library;
mod log;
mod manual;
mod output;
mod package;
mod point;
mod precache;
mod publish;
mod sample;
mod schedule;
mod secret;
mod serve;
mod service;
mod token;
mod trust;
mod update;
mod upgrade;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::json;
use wim_extract::Cancel;

use crate::accounts::password::Secret;
use crate::config::{Config, SiteCode};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::jobs;
use crate::operation::Operation;
use crate::page::Paged;
use crate::progress::{Progress, Watch};
use crate::remote::{self, Client, tokens};
use crate::system::EndRequests;
use output::Output;

/// Appended to the help of every command.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  2    the request cannot be met as it was made; nothing was changed
  3    damaged: the source, or what the store holds (as `package verify` finds)
  4    a file, disk or database could not be read or written
  130  stopped by a signal; nothing was changed";

/// Keeps operating-system upgrade packages: Windows Setup media, stored once, verified, and given
/// back bit for bit.
#[derive(Debug, Parser)]
#[command(name = "osupg", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
struct Global {
    /// The folder of the store [default: $XDG_DATA_HOME/osupg or ~/.local/share/osupg]
    #[arg(long, value_name = "DIR", env = "OSUPG_HOME", global = true, hide_env_values = true)]
    home: Option<PathBuf>,
    /// Three letters or digits that start the ids of new packages; a service gives its own
    /// [default: OSU]
    #[arg(long, value_name = "ABC", env = "OSUPG_SITE_CODE", global = true)]
    #[arg(hide_env_values = true)]
    site_code: Option<SiteCode>,
    /// The configuration file [default: ~/.config/osupg/osupg.toml, else /etc/osupg/osupg.toml]
    #[arg(long, value_name = "FILE", env = "OSUPG_CONFIG", global = true, hide_env_values = true)]
    config: Option<PathBuf>,
    /// The address of a service that is to do it, instead of the store of this machine. Its token is
    /// taken from OSUPG_TOKEN or was kept by `osupg login`
    #[arg(long, value_name = "URL", env = "OSUPG_SERVER", global = true, hide_env_values = true)]
    server: Option<String>,
    /// A PEM file with certificates to trust for --server, beside those of the system
    #[arg(long, value_name = "FILE", env = "OSUPG_SERVER_CA", global = true)]
    #[arg(hide_env_values = true)]
    server_ca: Option<PathBuf>,
    /// Print results, and errors, as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add, look at, check, rebuild and remove packages
    #[command(subcommand)]
    Package(package::Command),
    /// Check, repair and clean up the content library
    #[command(subcommand)]
    Library(library::Command),
    /// Add and look after the places that packages are sent to
    #[command(subcommand)]
    Point(point::Command),
    /// Put points into groups
    #[command(subcommand)]
    Group(point::GroupCommand),
    /// Send a revision of a package to points; only what they lack travels
    Publish(publish::PublishArgs),
    /// Remove a package from points
    Withdraw(publish::WithdrawArgs),
    /// Be a point that fetches by itself what is wanted there
    Dp(dp::DpArgs),
    /// Look at the images of a WIM or ISO
    #[command(subcommand)]
    Image(image::Command),
    /// Take revisions to stores that no network reaches, in one signed file
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Say what devices fetch before an upgrade
    #[command(subcommand)]
    Precache(precache::Command),
    /// Print how setup.exe is called to upgrade a device from a package
    #[command(name = "upgrade-command")]
    Upgrade(upgrade::UpgradeArgs),
    /// Show or change the key that signs for this store
    #[command(subcommand)]
    Key(key::Command),
    /// Say whose signatures count here
    #[command(subcommand)]
    Trust(trust::Command),
    /// Have operations done at set times
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// Serve the store over HTTP, with accounts and tokens
    Serve(serve::ServeArgs),
    /// Make and change accounts of the service
    #[command(subcommand)]
    Account(account::Command),
    /// Make and end API tokens of the service
    #[command(subcommand)]
    Token(token::Command),
    /// Log in at a service; the token is kept for later commands
    Login(account::LoginArgs),
    /// Log out at a service
    Logout,
    /// Look up who changed what, and what was refused
    #[command(subcommand)]
    Audit(audit::Command),
    /// Look at, follow, cancel and retry jobs: operations that take long
    #[command(subcommand)]
    Job(job::Command),
    /// Do jobs until stopped: what the queue holds, as many at once as the configuration says; with
    /// --dism, what takes Windows' servicing stack
    Worker(worker::WorkerArgs),
    /// Look whether everything osupg needs is as it must be, and say what to mend
    Doctor(doctor::DoctorArgs),
    /// Write manual pages
    Man(manual::ManArgs),
    /// Print completions of commands and options for a shell
    Completions(manual::CompletionsArgs),
    /// Put updates and files into the images of packages
    #[command(subcommand)]
    Service(service::Command),
    /// Import the updates that servicing puts in
    #[command(subcommand)]
    Update(update::Command),
    /// Make a small but real media tree with three editions, to try things with
    SampleMedia(sample::MediaArgs),
    /// Show the whole way once: make sample media, keep one edition of them, verify the package
    Demo(sample::DemoArgs),
}

/// What every command needs.
struct Context {
    global: Global,
    output: Output,
    progress: Box<dyn Progress>,
    cancel: Cancel,
}

impl Context {
    fn watch(&self) -> Watch<'_> {
        Watch { progress: &*self.progress, cancel: &self.cancel }
    }

    /// What the configuration file says, with the options before it.
    fn config(&self) -> Result<Config> {
        let mut config = match &self.global.config {
            Some(path) => Config::read(path)?,
            None => Config::find()?,
        };
        config.home = self.global.home.clone().or(config.home);
        config.site_code = self.global.site_code.or(config.site_code);
        Ok(config)
    }

    /// The client of the service that the options name, if they name one.
    fn client(&self) -> Result<Option<Client>> {
        let Some(url) = &self.global.server else { return Ok(None) };
        let token = match std::env::var("OSUPG_TOKEN") {
            Ok(token) if !token.is_empty() => Some(Secret(token)),
            _ => match tokens::file() {
                Some(file) => tokens::read(&file, url)?,
                None => None,
            },
        };
        let certificates = self.global.server_ca.clone();
        let settings = remote::Settings { url: url.clone(), token, certificates, silence: None };
        Client::new(&settings).map(Some)
    }

    /// Has an operation done: by the service that the options name, or else on the store that they
    /// name.
    async fn call<O: Operation>(&self, request: &O) -> Result<O::Outcome> {
        if let Some(client) = self.client()? {
            return client.call(request, self.watch()).await;
        }
        let home = Home::open_with(self.config()?).await?;
        let done = jobs::foreground(&home, request, self.watch()).await;
        let kept = crate::audit::keep(&home, request, &done).await;
        home.close().await;
        let outcome = done?;
        kept.map(|()| outcome)
    }

    /// Has an operation done that answers in pages, and follows them to the end.
    async fn call_all<O: Paged>(&self, request: &O) -> Result<O::Outcome> {
        let mut whole = self.call(request).await?;
        let mut following = request.following(&whole);
        while let Some(request) = following {
            let page = self.call(&request).await?;
            following = request.following(&page);
            O::append(&mut whole, page);
        }
        Ok(whole)
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let json = cli.global.json;
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io(format!("cannot start: {error}")))
        .and_then(|runtime| runtime.block_on(run(cli)));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report(&error, json);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// The command line.
pub(crate) fn command() -> clap::Command {
    with_exit_codes(Cli::command())
}

/// The command with its exit codes at the end of its help, and so for all below it.
fn with_exit_codes(command: clap::Command) -> clap::Command {
    let help = match command.get_after_help() {
        Some(examples) => format!("{examples}\n\n{EXIT_CODES}"),
        None => EXIT_CODES.to_string(),
    };
    command.mut_subcommands(with_exit_codes).after_help(help)
}

async fn run(cli: Cli) -> Result<u8> {
    let cancel = Cancel::new();
    tokio::spawn(obey_signals(cancel.clone()));
    let context = Context {
        output: Output { json: cli.global.json },
        progress: bar::Bar::or_silence(cli.global.quiet || cli.global.json),
        global: cli.global,
        cancel,
    };
    match cli.command {
        Command::Package(command) => package::run(command, &context).await,
        Command::Library(command) => library::run(command, &context).await,
        Command::Point(command) => point::run(command, &context).await,
        Command::Group(command) => point::run_group(command, &context).await,
        Command::Publish(args) => publish::publish(args, &context).await,
        Command::Withdraw(args) => publish::withdraw(args, &context).await,
        Command::Dp(args) => dp::run(args, &context).await,
        Command::Image(command) => image::run(command, &context).await,
        Command::Bundle(command) => bundle::run(command, &context).await,
        Command::Precache(command) => precache::run(command, &context).await,
        Command::Upgrade(args) => upgrade::run(args, &context).await,
        Command::Doctor(args) => doctor::run(args, &context).await,
        Command::Man(args) => manual::man(args, command(), &context),
        Command::Completions(args) => manual::completions(args, command()),
        Command::Key(command) => key::run(command, &context).await,
        Command::Trust(command) => trust::run(command, &context).await,
        Command::Schedule(command) => schedule::run(command, &context).await,
        Command::Serve(args) => serve::serve(args, &context).await,
        Command::Account(command) => account::run(command, &context).await,
        Command::Token(command) => token::run(command, &context).await,
        Command::Login(args) => account::login(args, &context).await,
        Command::Logout => account::logout(&context).await,
        Command::Audit(command) => audit::run(command, &context).await,
        Command::Job(command) => job::run(command, &context).await,
        Command::Worker(args) => worker::run(args, &context).await,
        Command::Service(command) => service::run(command, &context).await,
        Command::Update(command) => update::run(command, &context).await,
        Command::SampleMedia(args) => sample::media(args, &context).await,
        Command::Demo(args) => sample::demo(args, &context).await,
    }
}

/// The first signal asks the command to stop and clean up; a second one ends it on the spot.
async fn obey_signals(cancel: Cancel) {
    let Some(mut requests) = EndRequests::listen() else { return };
    for first in [true, false] {
        requests.next().await;
        if first {
            cancel.cancel();
        }
    }
    std::process::exit(i32::from(Kind::Cancelled.exit_code()));
}

fn report(error: &Error, json: bool) {
    if json {
        let report = json!({
            "error": {
                "kind": error.kind().word(),
                "message": error.to_string(),
                "advice": error.advice(),
            }
        });
        eprintln!("{report:#}");
        return;
    }
    eprintln!("osupg: {error}");
    if let Some(advice) = error.advice() {
        eprintln!("       {advice}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn exit_codes_are_those_that_errors_have() {
        let documented: Vec<u8> = EXIT_CODES
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        let mut ends: Vec<_> = [0].into_iter().chain(Kind::ALL.map(Kind::exit_code)).collect();
        ends.dedup();
        assert_eq!(documented, ends);
    }

    #[test]
    fn every_help_says_the_exit_codes() {
        fn check(command: &mut clap::Command) {
            let help = command.render_help().to_string();
            assert!(help.contains("130  stopped"), "{help}");
            // clap adds a command `help` of its own.
            let commands = command.get_subcommands_mut();
            commands.filter(|command| command.get_name() != "help").for_each(check);
        }
        check(&mut command());
    }
}
