//! `osupg dp`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::Context;
use super::output::lines;
use crate::accounts::password::Secret;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::points::node::agent::{Authority, Beside, Node, Round};
use crate::points::node::http::{Http, Server};
use crate::points::node::settings::{self, Settings, SourceSettings};
use crate::points::node::source::{Bucket, Neighbour, Source};
use crate::points::prefix::Prefix;
use crate::progress::pause;
use crate::remote::{self, Client};
use crate::text;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg dp --point Berlin --from https://osupg.example:8473 --tree /srv/media
  osupg dp --once

What is not given here comes from the section [dp] of the configuration. The server's key must be
trusted here: `osupg trust add`.")]
pub(super) struct DpArgs {
    /// The name of this node's point at the server
    #[arg(long, value_name = "NAME")]
    point: Option<String>,
    /// The server that says what is wanted
    #[arg(long = "from", value_name = "URL")]
    server: Option<String>,
    /// Keep ready media trees in this folder
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Do one round and end
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(args: DpArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let mut settings = config.dp.clone();
    settings.point = args.point.or(settings.point);
    settings.server = args.server.or(settings.server);
    settings.tree = args.tree.or(settings.tree);
    let missing = |what: &str, key: &str| {
        Error::usage(format!("{what} is not known"))
            .advise(format!("give it with --{key}, or in the section [dp] of the configuration"))
    };
    let point = settings.point.clone().ok_or_else(|| missing("the name of the point", "point"))?;
    let server = settings.server.clone().ok_or_else(|| missing("the server", "from"))?;
    let home = Home::open_with(config).await?;
    let authority = authority(&settings, &server, &point).await?;
    let mut sources = Vec::new();
    for one in settings.ordered() {
        sources.push(source(&home, &one, settings.silence()).await?);
    }
    let node = Node {
        home: &home,
        point: &point,
        authority: &*authority,
        sources: &sources,
        tree: settings.tree.clone(),
    };
    if args.once {
        let round = node.round(context.watch()).await?;
        let failed = !round.failed.is_empty();
        context.output.show(&round, round_text)?;
        home.close().await;
        return Ok(if failed { 4 } else { 0 });
    }
    let every = Duration::from_secs(settings.every_seconds.clamp(10, 86_400));
    let done = rounds(&node, every, context).await;
    home.close().await;
    done
}

/// Round after round, until a signal ends it. A round that fails is told, and the next one comes.
async fn rounds(node: &Node<'_>, every: Duration, context: &Context) -> Result<u8> {
    loop {
        match node.round(context.watch()).await {
            Ok(round) if round == Round::default() => {}
            Ok(round) => context.output.show(&round, round_text)?,
            Err(error) if context.cancel.is_cancelled() => {
                tracing::debug!(%error, "stopped");
            }
            Err(error) => eprintln!("osupg: {error}"),
        }
        pause(&context.cancel, every).await;
        // A node that is told to stop has ended well.
        if context.cancel.is_cancelled() {
            return Ok(0);
        }
    }
}

fn round_text(round: &Round) -> String {
    let installed = round.installed.iter().map(|one| format!("{one} is here"));
    let removed = round.removed.iter().map(|one| format!("{one} has left"));
    let failed =
        round.failed.iter().map(|(package, why)| format!("{package} failed: {}", text::clean(why)));
    let mut said = lines(installed.chain(removed).chain(failed));
    if said.is_empty() {
        said = "Everything is as it should be.\n".into();
    } else if round.sent > 0 {
        said.push_str(&format!("{} fetched\n", text::size(round.sent)));
    }
    said
}

async fn authority(settings: &Settings, server: &str, point: &str) -> Result<Box<dyn Authority>> {
    let point = point.to_string();
    if settings::is_http(server) {
        let client = client(
            server,
            settings.token_file.as_deref(),
            &settings.certificates,
            settings.silence(),
        )?;
        return Ok(Box::new(Server { client, point }));
    }
    let Some(folder) = settings::folder(server) else {
        return Err(Error::usage(format!("{:?} is no address of a server", text::clean(server))));
    };
    let home = Home::open(folder).await?;
    Ok(Box::new(Beside { home, point }))
}

async fn source(
    home: &Home,
    settings: &SourceSettings,
    silence: Duration,
) -> Result<Box<dyn Source>> {
    let SourceSettings { from, token_file, certificates, .. } = settings;
    if settings::is_http(from) {
        return Ok(Box::new(Http(client(from, token_file.as_deref(), certificates, silence)?)));
    }
    if let Some(folder) = settings::folder(from) {
        return Ok(Box::new(Neighbour(Home::open(folder).await?)));
    }
    let store = crate::points::open_place(home, from)?.store;
    Ok(Box::new(Bucket(Prefix { store, address: from.clone(), silence })))
}

/// The client of an osupg, with the token from a file, or from `OSUPG_TOKEN`.
fn client(
    url: &str,
    token_file: Option<&Path>,
    certificates: &Option<PathBuf>,
    silence: Duration,
) -> Result<Client> {
    let token = match token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Error::file("read the token in", path, &error))?;
            Some(Secret(text.trim().to_string()))
        }
        None => std::env::var("OSUPG_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret),
    };
    Client::new(&remote::Settings {
        url: url.to_string(),
        token,
        certificates: certificates.clone(),
        silence: Some(silence),
    })
}
