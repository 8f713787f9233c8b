//! What a node does, round after round: asks, fetches, removes, checks, tells.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pull;
use super::report::{Noted, Report, Wanted, WantedRequest, WantedRevision};
use super::source::{Neighbour, Source};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::operation::Operation;
use crate::package::document::{self, Document};
use crate::points::feed::{Feed, Rules};
use crate::points::model::State;
use crate::points::target::folder::Folder;
use crate::points::target::{Depth, Signed, Target};
use crate::progress::{Progress, Watch};

/// A step at the node's own tree that takes longer has failed.
const TREE_TIMEOUT: Duration = Duration::from_secs(300);

/// Who says what is to be at the node.
pub trait Authority: std::fmt::Debug {
    /// What is wanted.
    fn wanted<'a>(&'a self, watch: Watch<'a>) -> LocalBoxFuture<'a, Result<Wanted>>;

    /// Takes in how a package stands.
    fn report<'a>(
        &'a self,
        report: &'a Report,
        watch: Watch<'a>,
    ) -> LocalBoxFuture<'a, Result<Noted>>;
}

/// A server on the same machine, or in tests.
#[derive(Debug)]
pub struct Beside {
    /// Its store.
    pub home: Home,
    /// The node's point there.
    pub point: String,
}

impl Authority for Beside {
    fn wanted<'a>(&'a self, watch: Watch<'a>) -> LocalBoxFuture<'a, Result<Wanted>> {
        async move { WantedRequest { point: self.point.clone() }.run(&self.home, watch).await }
            .boxed_local()
    }

    fn report<'a>(
        &'a self,
        report: &'a Report,
        watch: Watch<'a>,
    ) -> LocalBoxFuture<'a, Result<Noted>> {
        report.run(&self.home, watch).boxed_local()
    }
}

/// A node at work.
#[derive(Debug)]
pub struct Node<'a> {
    /// Its own store.
    pub home: &'a Home,
    /// The name of its point at the server.
    pub point: &'a str,
    /// The server.
    pub authority: &'a dyn Authority,
    /// Where it fetches from, the first to be asked in front.
    pub sources: &'a [Box<dyn Source>],
    /// The folder in which it keeps ready media trees, if it does.
    pub tree: Option<PathBuf>,
}

/// What a round came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// Revisions that are whole here, as `OSU00001@3`.
    pub installed: Vec<String>,
    /// Packages that have left.
    pub removed: Vec<String>,
    /// What went wrong: the package and why.
    pub failed: Vec<(String, String)>,
    /// Bytes that travelled.
    pub sent: u64,
}

impl Node<'_> {
    /// One round. What fails with one package is told, and the next one is served.
    ///
    /// # Errors
    /// When the server cannot be asked, or the command was stopped.
    pub async fn round(&self, watch: Watch<'_>) -> Result<Round> {
        let wanted = self.authority.wanted(watch).await?;
        let mut round = Round::default();
        for package in &wanted.leaving {
            watch.check()?;
            match self.remove(package, watch).await {
                Ok(()) => round.removed.push(package.clone()),
                Err(error) => {
                    self.failed(package, State::RemoveFailed, error, &mut round, watch).await?
                }
            }
        }
        for revision in &wanted.revisions {
            watch.check()?;
            let check = wanted.check.contains(&revision.package);
            if revision.held && !check && self.has(revision).await? {
                continue;
            }
            match self.bring(revision, check, watch).await {
                Ok(sent) => {
                    round.sent += sent;
                    round.installed.push(format!("{}@{}", revision.package, revision.number));
                }
                Err(error) => {
                    self.failed(&revision.package, State::Failed, error, &mut round, watch).await?;
                }
            }
        }
        Ok(round)
    }

    async fn failed(
        &self,
        package: &str,
        state: State,
        error: Error,
        round: &mut Round,
        watch: Watch<'_>,
    ) -> Result<()> {
        if error.kind() == Kind::Cancelled {
            return Err(error);
        }
        let reason = error.to_string();
        self.tell(package, state, None, &reason, (0, 0), watch).await?;
        round.failed.push((package.to_string(), reason));
        Ok(())
    }

    async fn tell(
        &self,
        package: &str,
        state: State,
        held: Option<i64>,
        reason: &str,
        (sent, to_send): (u64, u64),
        watch: Watch<'_>,
    ) -> Result<Noted> {
        let report = Report {
            point: self.point.to_string(),
            package: package.to_string(),
            state: Some(state),
            held,
            reason: reason.to_string(),
            sent,
            to_send,
        };
        self.authority.report(&report, watch).await
    }

    /// Whether the wanted revision is in the node's own store.
    async fn has(&self, wanted: &WantedRevision) -> Result<bool> {
        let digest = self.home.db.revision_digest(&wanted.package, wanted.number).await?;
        Ok(digest == Some(wanted.digest))
    }

    /// Fetches a revision, or what of it has gone bad, and keeps the tree in line with it.
    async fn bring(&self, wanted: &WantedRevision, check: bool, watch: Watch<'_>) -> Result<u64> {
        let WantedRevision { package, number, .. } = wanted;
        let noted = self.tell(package, State::Transferring, None, "", (0, 0), watch).await?;
        if noted.stop {
            return Err(Error::conflict("it is not wanted any more"));
        }
        let depth = if check { Depth::EveryByte } else { Depth::Usual };
        let (document, pulled) = pull::pull(self.home, self.sources, wanted, depth, watch).await?;
        self.home.db.keep_only(package, *number).await?;
        if let Some(tree) = &self.tree {
            self.lay_out(tree, document, watch).await?;
        }
        let sent = pulled.sent;
        self.tell(package, State::Installed, Some(*number), "", (sent, sent), watch).await?;
        Ok(sent)
    }

    async fn lay_out(
        &self,
        tree: &std::path::Path,
        document: Document,
        watch: Watch<'_>,
    ) -> Result<()> {
        std::fs::create_dir_all(tree)
            .map_err(|error| Error::file("make the folder", tree, &error))?;
        let envelope = document::sign(self.home, &document).await?;
        let signed = Signed { document, envelope, near: Vec::new() };
        let rules = Rules::none();
        let feed = Feed::new(&self.home.library, &rules, watch);
        let folder = Folder::new(tree, TREE_TIMEOUT);
        folder.install(&signed, Depth::EveryByte, &feed).await.map(|_| ())
    }

    async fn remove(&self, package: &str, watch: Watch<'_>) -> Result<()> {
        if let Some(tree) = self.tree.as_ref().filter(|tree| tree.exists()) {
            let rules = Rules::none();
            let feed = Feed::new(&self.home.library, &rules, watch);
            Folder::new(tree, TREE_TIMEOUT).remove(package, &feed).await?;
        }
        match self.home.db.package(package).await {
            Ok(package) => {
                self.home.db.remove_package(&package.id).await?;
                // Bytes that stay for now are taken by a later round.
                let _ = self.home.collect().await;
            }
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Usage) => {}
            Err(error) => return Err(error),
        }
        let report = Report {
            point: self.point.to_string(),
            package: package.to_string(),
            state: None,
            held: None,
            reason: String::new(),
            sent: 0,
            to_send: 0,
        };
        self.authority.report(&report, watch).await.map(|_| ())
    }
}

/// A store on this machine as the only source.
#[must_use]
pub fn beside(home: &Home) -> Vec<Box<dyn Source>> {
    vec![Box::new(Neighbour(home.clone()))]
}

/// Tells nobody but keeps the notes, for a node without a terminal.
#[derive(Debug, Default)]
pub struct Logged;

impl Progress for Logged {
    fn note(&self, words: &str) {
        tracing::info!("{words}");
    }
}
