//! `osupg serve`

use std::io::IsTerminal;
use std::net::SocketAddr;

use clap::Args;
use tracing_subscriber::EnvFilter;

use super::Context;
use super::output::print;
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
administer`.",
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
}

pub(super) async fn serve(args: ServeArgs, context: &Context) -> Result<u8> {
    if context.global.server.is_some() {
        return Err(Error::usage("a service serves the store of its own machine")
            .advise("leave out --server and OSUPG_SERVER"));
    }
    log();
    let config = context.config()?;
    let mut settings = config.serve.clone();
    settings.listen = args.listen.unwrap_or(settings.listen);
    let home = Home::open_with(config).await?;
    let served = api::serve(home.clone(), settings, context.cancel.clone(), |address, scheme| {
        tracing::info!(%address, "listening");
        if !context.global.quiet {
            // Whoever started it by hand looks at this, and a test waits for it.
            let _ = print(&format!("osupg serves at {scheme}://{address}\n"));
        }
    })
    .await;
    home.close().await;
    served.map(|()| 0)
}

/// Logs to standard error: lines for people on a terminal, JSON for everything else. `OSUPG_LOG`
/// chooses what, as in `OSUPG_LOG=debug`.
fn log() {
    let chosen = EnvFilter::builder()
        .with_env_var("OSUPG_LOG")
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(chosen).with_writer(std::io::stderr);
    // It fails where a log has been set up before, which then is the one in use.
    let _ = if std::io::stderr().is_terminal() {
        log.with_target(false).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
}
