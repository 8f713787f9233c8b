//! `osupg serve`

use std::io::IsTerminal;
use std::net::SocketAddr;

use clap::Args;

use super::output::print;
use super::{Context, log};
use crate::api;
use crate::error::{Error, Result};
use crate::home::Home;

#[derive(Debug, Args)]
#[command(
    long_about = "\
Serve the store over HTTP: every command of osupg as a call, jobs with their progress, and content \
with ranges.

Only this machine reaches the service unless --listen says otherwise, and other machines only over \
TLS. Everybody needs a token: `osupg login` gets one for a name and password, `osupg token create` \
makes one for a program. The first account is made here: `osupg account add NAME --right \
administer`. The service does jobs too, unless --no-worker is given.",
    after_help = "\
Examples:
  osupg account add anna --right administer
  osupg serve
  osupg serve --listen 0.0.0.0:8473     # with tls-cert and tls-key in the configuration
  curl -H \"Authorization: Bearer $OSUPG_TOKEN\" -d '{}' -H 'Content-Type: application/json' \\
    http://127.0.0.1:8473/api/v1/package/list"
)]
pub(super) struct ServeArgs {
    /// Address and port to listen at [default: 127.0.0.1:8473]
    #[arg(long, value_name = "ADDRESS", env = "OSUPG_LISTEN", hide_env_values = true)]
    listen: Option<SocketAddr>,
    /// Leave jobs to workers: `osupg worker`
    #[arg(long)]
    no_worker: bool,
}

pub(super) async fn serve(args: ServeArgs, context: &Context) -> Result<u8> {
    if context.global.server.is_some() {
        return Err(Error::usage("a service serves the store of its own machine")
            .advise("leave out --server and OSUPG_SERVER"));
    }
    log::start(context.output.json || !std::io::stderr().is_terminal());
    let config = context.config()?;
    let mut settings = config.serve.clone();
    settings.listen = args.listen.unwrap_or(settings.listen);
    let home = Home::open_with(config).await?;
    let stop = context.cancel.child();
    let worker = (!args.no_worker).then(|| {
        let (home, stop) = (home.clone(), stop.clone());
        tokio::spawn(async move { crate::jobs::work(&home, &stop).await })
    });
    let served = api::serve(home.clone(), settings, context.cancel.clone(), |address, scheme| {
        tracing::info!(%address, "listening");
        if !context.global.quiet {
            // Whoever started it by hand looks at this, and a test waits for it.
            let _ = print(&format!("osupg serves at {scheme}://{address}\n"));
        }
    })
    .await;
    // Also where the service has failed by itself.
    stop.cancel();
    if let Some(worker) = worker {
        worker.await??;
    }
    home.close().await;
    served.map(|()| 0)
}
