//! `osupg worker`: does jobs until it is stopped; with `--dism`, what takes Windows' servicing stack.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::output::count;
use super::{Context, log};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::jobs;
use crate::progress::pause;
use crate::service::dism::Dism;
use crate::service::worker::{Coordinator, Worker};
use crate::system;

/// How long a worker that found nothing waits before it asks again.
const PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg worker
  set OSUPG_TOKEN=osupg_...
  osupg worker --dism --folder C:\\osupg --server https://osupg.example:8473
  osupg worker --dism /mnt/c/Windows/System32/Dism.exe --folder /mnt/c/osupg --once

Without --dism it does the jobs of the store of this machine. With it, it does what waits for Windows'
servicing stack: of the service at --server, with a token that was made with `osupg token create NAME
--right work`, or else of the store of this machine. DISM runs as whoever started the worker, who has to
be an administrator; the folder is for nothing else, and what was left mounted there is discarded. A
worker that was killed goes on where it was.")]
pub(super) struct WorkerArgs {
    /// Do what takes Windows' servicing stack, with this DISM [default: the one of this host]
    #[arg(long, value_name = "PROGRAM", num_args = 0..=1, default_missing_value = "dism.exe")]
    #[arg(requires = "folder")]
    dism: Option<PathBuf>,
    /// A folder for mounts, images and logs, made if need be
    #[arg(long, value_name = "DIR", requires = "dism")]
    folder: Option<PathBuf>,
    /// The worker's name, which no other worker has [default: the name of this host]
    #[arg(long, requires = "dism")]
    name: Option<String>,
    /// End when nothing waits
    #[arg(long, requires = "dism")]
    once: bool,
}

pub(super) async fn run(args: WorkerArgs, context: &Context) -> Result<u8> {
    match (&args.dism, &args.folder) {
        (Some(dism), Some(folder)) => service(dism, folder, &args, context).await,
        _ => jobs(context).await,
    }
}

async fn jobs(context: &Context) -> Result<u8> {
    if context.global.server.is_some() {
        return Err(Error::usage("a worker does the jobs of the store that it can open").advise(
            "leave out --server and OSUPG_SERVER; name the database in the configuration",
        ));
    }
    log::start(context.output.json || !std::io::stderr().is_terminal());
    let home = Home::open_with(context.config()?).await?;
    let watchdog = tokio::spawn(keep_watchdog_quiet(home.clone()));
    system::tell_ready();
    let done = jobs::work(&home, &context.cancel).await;
    system::tell_stopping();
    watchdog.abort();
    home.close().await;
    done.map(|()| 0)
}

/// Tells the manager of services that the worker lives, as long as its database answers.
async fn keep_watchdog_quiet(home: Home) {
    let Some(limit) = system::watchdog() else { return };
    loop {
        match home.db.answers().await {
            Ok(()) => system::tell_alive(),
            Err(error) => tracing::error!(%error, "the database does not answer"),
        }
        tokio::time::sleep(limit / 3).await;
    }
}

/// Does what takes Windows' servicing stack, until it is stopped, or nothing waits any more.
async fn service(
    dism: &std::path::Path,
    folder: &std::path::Path,
    args: &WorkerArgs,
    context: &Context,
) -> Result<u8> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::file("make the folder of the worker", folder, &error))?;
    let folder = std::path::absolute(folder)
        .map_err(|error| Error::file("open the folder of the worker", folder, &error))?;
    let mut stack = Dism::open(dism, &folder)?;
    let name = args.name.clone().or_else(system::host).unwrap_or_else(|| "worker".into());
    let (coordinator, home) = match context.client()? {
        Some(client) => (Coordinator::Remote(client), None),
        None => {
            let home = Home::open_with(context.config()?).await?;
            (Coordinator::Beside(home.clone()), Some(home))
        }
    };
    let worker = Worker { coordinator, name: name.clone(), folder };
    tokio::task::block_in_place(|| worker.start(&mut stack))?;
    let mut done = 0_u64;
    while !context.cancel.is_cancelled() {
        match worker.work_once(&mut stack, context.watch()).await {
            Ok(true) => done += 1,
            Ok(false) if args.once => break,
            Ok(false) => pause(&context.cancel, PAUSE).await,
            // A service may be away for a night; whoever watches the worker learns of it.
            Err(error) if !args.once && !context.cancel.is_cancelled() => {
                eprintln!("osupg: {error}");
                pause(&context.cancel, PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(home) = home {
        home.close().await;
    }
    context.output.show(&json!({ "worker": name, "tasks": done }), |_| {
        format!("{name}: {} done\n", count(done, "task"))
    })?;
    Ok(0)
}
