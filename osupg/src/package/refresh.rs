//! Reads the source of a package again; if it has changed, that makes a new revision.
//!
//! The source is taken as it was when the package was added: the same images of its install WIM are
//! chosen again, by the indices or editions that were asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::add;
use super::commit::{Commit, Said};
use super::model::{ImageFacts, Package};
use super::select;
use super::snapshot::{self, Reading, Work};
use crate::db::adopt;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::Media;
use crate::operation::{Length, Operation, Right};
use crate::progress::Watch;
use crate::text;

/// What to refresh.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name.
    pub package: String,
    /// The source from now on, if it is another than before: next month's ISO.
    #[serde(default)]
    pub source: Option<PathBuf>,
    /// Whether to read files that seem unchanged.
    #[serde(default)]
    pub reading: Reading,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Refreshed {
    /// The package with its current revision.
    pub package: Package,
    /// Whether there is a new revision; there is none if the source is as it was.
    pub changed: bool,
    /// The images of the install WIM that were kept.
    pub images: Vec<ImageFacts>,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// What it took.
    pub work: Work,
}

impl Operation for Request {
    type Outcome = Refreshed;
    const NAME: &'static str = "package.refresh";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    fn places(&self) -> Vec<&Path> {
        self.source.as_deref().into_iter().collect()
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Refreshed> {
        let package = home.db.package(&self.package).await?;
        let source = self.source.clone().unwrap_or_else(|| PathBuf::from(&package.source_path));
        let media = open(source, &package).await?;
        add::check_store_outside(home.root(), media.origin())?;
        let revise = Revise { package: &package, cause: "refresh", reading: self.reading };
        revise.run(home, &media, watch).await
    }
}

/// Opens the source of a package.
///
/// # Errors
/// When it cannot be opened, or the package has none here because another store has made it.
pub(crate) async fn open(source: PathBuf, package: &Package) -> Result<Arc<Media>> {
    if package.source_kind == adopt::STORE {
        return Err(Error::conflict(format!(
            "{} was made by another store ({}) and has no source here",
            package.id,
            text::clean(&package.source_path)
        ))
        .advise(
            "refresh it where it was made, and take the new revision in from there; to go on with \
             these media here, add them as a package of this store",
        ));
    }
    let opened = tokio::task::spawn_blocking(move || Media::open(&source)).await?;
    let id = &package.id;
    let media = opened.map_err(|error| {
        let advice = error.advice().map_or_else(
            || {
                format!(
                    "mend the source, or name another one: osupg package refresh {id} --source PATH"
                )
            },
            str::to_string,
        );
        error.context(format!("the source of {id}")).advise(advice)
    })?;
    Ok(Arc::new(media))
}

/// A new revision of a package from media that are open.
pub(crate) struct Revise<'a> {
    /// The package as it was when this began.
    pub package: &'a Package,
    /// What makes the revision: `refresh`.
    pub cause: &'a str,
    /// Whether to read files that seem unchanged.
    pub reading: Reading,
}

impl Revise<'_> {
    /// Takes the snapshot and commits it, unless the media are what the current revision holds.
    pub(crate) async fn run(
        &self,
        home: &Home,
        media: &Arc<Media>,
        watch: Watch<'_>,
    ) -> Result<Refreshed> {
        let listed = Arc::clone(media);
        let facts = tokio::task::spawn_blocking(move || {
            Ok::<_, Error>(snapshot::open_install_image(&listed)?.facts())
        })
        .await??;
        let keep = self.package.selection.choose(&facts)?;
        let images = select::kept(&facts, keep.as_deref());
        let statement = select::restate(self.package, &images)?;

        home.collect().await?;
        let lease = home.lease().await?;
        let import = home.db.import_begins(media.origin()).await?;
        let committed = async {
            let keep = keep.as_deref();
            let snapshot = snapshot::take(home, media, keep, self.reading, watch).await?;
            let listed = Arc::clone(media);
            tokio::task::spawn_blocking(move || listed.check_unchanged()).await??;
            watch.check()?;
            let kept = select::kept_words(keep);
            let said = Said {
                media,
                cause: self.cause,
                kept: &kept,
                statement: &statement,
                by: home.by(),
            };
            let mut commit = Commit::begin(home, &snapshot).await?;
            let changed = snapshot.digest(media) != self.package.revision.digest;
            if changed {
                commit.next(self.package, &said).await?;
            }
            commit.source(self.package, &said).await?;
            commit.end(&import, &lease).await?;
            Ok((changed, snapshot.work))
        }
        .await;
        lease.release().await;
        let (changed, work) = match committed {
            Ok(done) => done,
            Err(error) => {
                // Give the disk back at once; should that fail, the next run does it.
                let _ = home.collect().await;
                return Err(error);
            }
        };
        let package = home.db.package(&self.package.id).await?;
        if changed {
            watch.progress.note(&format!(
                "revision {} holds {} that the library did not have",
                package.revision.number,
                text::size(work.new_size)
            ));
        } else {
            watch.progress.note("the source is as it was: no new revision");
        }
        Ok(Refreshed { package, changed, images, warnings: statement.warnings, work })
    }
}
