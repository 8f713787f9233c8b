//! `osupg worker`: does jobs until it is stopped.

use std::io::IsTerminal;

use super::{Context, log};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::jobs;
use crate::system;

pub(super) async fn run(context: &Context) -> Result<u8> {
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
