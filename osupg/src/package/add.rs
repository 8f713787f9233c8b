//! Adds a package: takes a snapshot of its media as revision 1.
//!
//! Nothing of the package exists before the one transaction that commits it. What an add that
//! fails or is killed has stored until then belongs to nobody, and the next run takes it away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::commit::{self, Commit, Said};
use super::fields;
use super::model::{ImageFacts, Package, StoredImage};
use super::select::{self, Selection};
use super::snapshot::{self, Reading, Work};
use crate::accounts;
use crate::db::packages::{self, NewPackage};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::Media;
use crate::operation::{Length, Operation, Reach, Right};
use crate::progress::Watch;
use crate::text;

/// The security scope of packages for which none is named.
pub const DEFAULT_SCOPE: &str = "Default";

/// What to add.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The folder, ISO, WIM or ESD.
    pub source: PathBuf,
    /// Which images to keep.
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
    /// The manufacturer.
    #[serde(default)]
    pub manufacturer: String,
    /// The folder it is listed in, such as `/Windows 11/Pro`.
    #[serde(default)]
    pub folder: String,
    /// The security scopes it belongs to; left out, those of whoever asks, and `Default` for callers
    /// who are limited to none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The device models it is for; all when left out.
    #[serde(default)]
    pub models: Vec<String>,
    /// The architecture, if the images are wrong or silent about it.
    pub architecture: Option<String>,
    /// The language, if the images are wrong or silent about it.
    pub language: Option<String>,
    /// Whether to read files that seem unchanged.
    #[serde(default)]
    pub reading: Reading,
}

impl Request {
    /// A package of all images of `source`, with nothing but a name.
    #[must_use]
    pub fn new(source: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            selection: Selection::All,
            name: name.into(),
            version: String::new(),
            comment: String::new(),
            manufacturer: String::new(),
            folder: String::new(),
            scopes: Vec::new(),
            models: Vec::new(),
            architecture: None,
            language: None,
            reading: Reading::Changed,
        }
    }
}

/// The fields that people fill in, within their limits.
struct Checked {
    name: String,
    version: String,
    comment: String,
    manufacturer: String,
    folder: String,
    scopes: Vec<String>,
    models: Vec<String>,
}

impl Request {
    fn checked(&self) -> Result<Checked> {
        Ok(Checked {
            name: fields::name(&self.name)?,
            version: fields::version(&self.version)?,
            comment: fields::comment(&self.comment)?,
            manufacturer: fields::manufacturer(&self.manufacturer)?,
            folder: fields::folder(&self.folder)?,
            scopes: fields::scopes(&self.makes_in())?,
            models: fields::models(&self.models)?,
        })
    }
}

impl Operation for Request {
    type Outcome = Added;
    const NAME: &'static str = "package.add";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;
    const REACH: Reach = Reach::Made;

    fn check(&self) -> Result<()> {
        self.checked().map(drop)
    }

    fn makes_in(&self) -> Vec<String> {
        match self.scopes.is_empty() {
            true => vec![DEFAULT_SCOPE.to_string()],
            false => self.scopes.clone(),
        }
    }

    fn confine(&mut self, held: &[String]) -> Result<()> {
        if self.scopes.is_empty() {
            self.scopes = held.to_vec();
        }
        accounts::check_held(held, &self.scopes)
    }

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
    let Checked { name, version, comment, manufacturer, folder, scopes, models } =
        request.checked()?;
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
    let keep = keep.as_deref();
    let kept = select::kept(&facts, keep);
    let statement =
        select::state(&kept, request.architecture.as_deref(), request.language.as_deref())?;

    home.collect().await?;
    let lease = home.lease().await?;
    let import = home.db.import_begins(media.origin()).await?;
    let committed = async {
        let snapshot = snapshot::take(home, &media, keep, request.reading, watch).await?;
        let listed = Arc::clone(&media);
        tokio::task::spawn_blocking(move || listed.check_unchanged()).await??;
        watch.check()?;
        let package = NewPackage {
            site: home.config().site(),
            name: &name,
            version: &version,
            comment: &comment,
            architecture: &statement.architecture,
            language: &statement.language,
            manufacturer: &manufacturer,
            folder: &folder,
            scopes: &scopes,
            models: &models,
            source_kind: media.kind().word(),
            source_path: &commit::source_path(&media),
            selection: &request.selection,
        };
        let said = Said {
            media: &media,
            cause: "add",
            kept: &select::kept_words(keep),
            statement: &statement,
            by: home.by(),
        };
        let mut commit = Commit::begin(home, &snapshot).await?;
        let id = commit.first(&package, &said).await?;
        commit.end(&import, &lease).await?;
        Ok((id, snapshot.work))
    }
    .await;
    lease.release().await;
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
