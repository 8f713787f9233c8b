//! Adds a package: takes a snapshot of its media as revision 1.
//!
//! Nothing of the package exists before the one transaction that commits it. What an add that
//! fails or is killed has stored until then belongs to nobody, and the next run takes it away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{ImageFacts, Package, StoredImage};
use super::select::{self, Selection, Statement};
use super::snapshot::{self, Reading, Snapshot, Work};
use super::{fields, manifest};
use crate::config::SiteCode;
use crate::db::contents::ContentWriter;
use crate::db::packages::{self, NewPackage, NewRevision};
use crate::db::sources;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::Media;
use crate::operation::{Length, Operation, Right};
use crate::progress::Watch;
use crate::text;
use crate::time::Moment;

/// What to add.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The folder, ISO, WIM or ESD.
    pub source: PathBuf,
    /// Which image to keep.
    #[serde(default)]
    pub selection: Selection,
    /// The package's name.
    pub name: String,
    /// The organisation's version.
    #[serde(default)]
    pub version: String,
    /// A comment.
    #[serde(default)]
    pub comment: String,
    /// The architecture, if the images are wrong or silent about it.
    pub architecture: Option<String>,
    /// The language, if the images are wrong or silent about it.
    pub language: Option<String>,
    /// The site whose package it is.
    #[serde(default)]
    pub site: SiteCode,
    /// Whether to read files that seem unchanged.
    #[serde(default)]
    pub reading: Reading,
}

impl Operation for Request {
    type Outcome = Added;
    const NAME: &'static str = "package.add";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    fn places(&self) -> Vec<&Path> {
        vec![&self.source]
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Added> {
        add(home, self, watch).await
    }
}

/// What was added.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Added {
    /// The package.
    pub package: Package,
    /// Images that the install WIM of the source holds; more than were kept if one was chosen.
    pub images_in_source: u64,
    /// The images of the install WIM that were kept.
    pub images: Vec<ImageFacts>,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// What it took.
    pub work: Work,
}

/// Adds a package.
///
/// # Errors
/// When a field breaks its limits, the name is taken, the source is no media or damaged, or
/// something cannot be read or stored. The store is then as it was.
pub async fn add(home: &Home, request: &Request, watch: Watch<'_>) -> Result<Added> {
    let name = fields::name(&request.name)?;
    let version = fields::version(&request.version)?;
    let comment = fields::comment(&request.comment)?;
    if home.db.id_of_name(&name).await?.is_some() {
        return Err(packages::name_taken(&name));
    }
    let source = request.source.clone();
    let (media, facts) = tokio::task::spawn_blocking(move || {
        let media = Media::open(&source)?;
        let facts = snapshot::open_install_image(&media)?.facts();
        Ok::<_, Error>((Arc::new(media), facts))
    })
    .await??;
    check_store_outside(home.root(), media.origin())?;
    let keep = request.selection.choose(&facts)?;
    let kept: Vec<_> =
        facts.iter().filter(|image| keep.is_none_or(|keep| image.index == keep)).cloned().collect();
    let statement =
        select::state(&kept, request.architecture.as_deref(), request.language.as_deref())?;

    home.collect().await?;
    let lease = home.lease().await?;
    let import = home.db.import_begins(media.origin()).await?;
    let fields = Fields { name, version, comment, site: request.site, import: &import };
    let committed =
        snapshot_and_commit(home, &media, keep, request.reading, &fields, &statement, watch).await;
    drop(lease);
    let (id, work) = match committed {
        Ok(done) => done,
        Err(error) => {
            // Give the disk back at once; should that fail, the next run does it.
            let _ = home.collect().await;
            return Err(error);
        }
    };
    let package = home.db.package(&id).await?;
    let images = install_images(home, &package).await?;
    Ok(Added {
        package,
        images_in_source: facts.len() as u64,
        images,
        warnings: statement.warnings,
        work,
    })
}

/// Checks that a store at `root`, which need not exist yet, is no part of `source`: a source is
/// never written. For whoever opens the store, before it is made.
///
/// # Errors
/// When it is.
pub fn check_store_outside(root: &Path, source: &Path) -> Result<()> {
    let (Ok(root), Ok(source)) = (std::path::absolute(root), source.canonicalize()) else {
        // What is wrong with either is said when it is opened.
        return Ok(());
    };
    // Links are resolved as far as the path exists.
    let existing = root.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let resolved = existing.map(|(above, real)| match root.strip_prefix(above) {
        Ok(rest) => real.join(rest),
        Err(_) => real,
    });
    if !resolved.as_ref().is_some_and(|root| root.starts_with(&source)) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the store {} is inside the source {}",
        text::path(&root),
        text::path(&source)
    ))
    .advise("choose a store outside with --home or the variable OSUPG_HOME"))
}

/// Checked fields of a package about to be made.
struct Fields<'a> {
    name: String,
    version: String,
    comment: String,
    site: SiteCode,
    import: &'a str,
}

async fn snapshot_and_commit(
    home: &Home,
    media: &Arc<Media>,
    keep: Option<u32>,
    reading: Reading,
    fields: &Fields<'_>,
    statement: &Statement,
    watch: Watch<'_>,
) -> Result<(String, Work)> {
    let snapshot = snapshot::take(home, media, keep, reading, watch).await?;
    let listed = Arc::clone(media);
    tokio::task::spawn_blocking(move || listed.check_unchanged()).await??;
    watch.check()?;
    let id = commit(home, media, keep, fields, statement, &snapshot).await?;
    Ok((id, snapshot.work))
}

async fn commit(
    home: &Home,
    media: &Media,
    keep: Option<u32>,
    fields: &Fields<'_>,
    statement: &Statement,
    snapshot: &Snapshot,
) -> Result<String> {
    let now = Moment::now();
    let mut tx = home.db.begin().await?;
    let mut contents = ContentWriter::default();
    let mut entries = Vec::with_capacity(snapshot.entries.len());
    for entry in &snapshot.entries {
        let key = match &entry.content {
            Some(content) => Some(contents.ensure(&mut tx, content, now).await?),
            None => None,
        };
        entries.push((entry, key));
    }
    let selection = keep.map(|index| format!("image {index}")).unwrap_or_default();
    let package = NewPackage {
        site: fields.site,
        name: &fields.name,
        version: &fields.version,
        comment: &fields.comment,
        architecture: &statement.architecture,
        language: &statement.language,
        source_kind: media.kind().word(),
        source_path: &text::path(media.origin()),
        import: fields.import,
    };
    let revision = NewRevision {
        cause: "add",
        selection: &selection,
        editions: &statement.editions,
        builds: &statement.builds,
        digest: manifest::digest(media.modified(), &snapshot.entries),
        root_modified: media.modified(),
        new_size: snapshot.work.new_size,
        entries: &entries,
        images: &snapshot.images,
    };
    let id = packages::insert_package(&mut tx, &package, &revision, now).await?;
    for file in &snapshot.read {
        if let Some(content) = contents.key(&file.sha256) {
            sources::remember(
                &mut tx,
                &file.key,
                &file.selection,
                &file.identity,
                content,
                file.seen,
            )
            .await?;
        }
    }
    contents.doom_unused(&mut tx, &snapshot.ingested.stored, now).await?;
    tx.commit().await?;
    Ok(id)
}

/// The images of the install WIM of a package.
///
/// # Errors
/// When the database cannot be read.
pub async fn install_images(home: &Home, package: &Package) -> Result<Vec<ImageFacts>> {
    let images = home.db.images(package.revision.key).await?;
    let is_install = |image: &StoredImage| {
        ["wim", "esd", "swm"]
            .iter()
            .any(|ending| image.path.is(&format!("sources/install.{ending}")))
    };
    Ok(images.into_iter().filter(is_install).map(|image| image.facts).collect())
}
