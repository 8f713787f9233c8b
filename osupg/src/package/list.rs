//! Lists packages, and the images in the WIM files of one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields;
use super::model::{Package, StoredImage};
use super::reference::Reference;
use crate::accounts::Sight;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Reach, Right};
use crate::page::{self, Page, paged};
use crate::progress::Watch;

/// Packages, by id: all, or those that fit everything asked for. The answer is a page.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Listed in this folder or one below it.
    pub folder: Option<String>,
    /// For this architecture.
    pub architecture: Option<String>,
    /// With this language among theirs.
    pub language: Option<String>,
    /// With this text in id, name, version, comment or manufacturer, whatever the capitals.
    pub text: Option<String>,
    /// Only those after this id: where the page before ended.
    pub after: Option<String>,
    /// No more than so many, 1 to 1,000; 100 when left out.
    pub limit: Option<u32>,
}

impl Operation for Request {
    type Outcome = Page<Package>;
    const NAME: &'static str = "package.list";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    fn limit(packages: &mut Page<Package>, sight: &Sight) {
        packages.keep_seen(sight, |package| &package.id);
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Page<Package>> {
        let limit = page::limit(self.limit)?;
        let checked = |given: &Option<String>, check: fn(&str) -> Result<String>| {
            given.as_deref().map(check).transpose()
        };
        let filter = Request {
            folder: checked(&self.folder, fields::folder)?,
            architecture: checked(&self.architecture, fields::architecture)?,
            language: checked(&self.language, fields::languages)?,
            ..self.clone()
        };
        let found = home.db.find_packages(&filter, i64::from(limit) + 1).await?;
        Ok(Page::cut(found, limit, |package| package.id.clone()))
    }
}

paged!(Request);

/// The images in the WIM files of a package.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagesRequest {
    /// Its id or name, with or without a revision.
    pub package: Reference,
}

impl Operation for ImagesRequest {
    type Outcome = Vec<StoredImage>;
    const NAME: &'static str = "package.images";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<StoredImage>> {
        let package = home.db.package_at(&self.package).await?;
        home.db.images(package.revision.key).await
    }
}

/// The folders that packages are listed in.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoldersRequest {}

/// A folder of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Folder {
    /// Its path, such as `/Windows 11/Pro`.
    pub path: String,
    /// Packages right in it, not in folders below.
    pub packages: u64,
}

impl Operation for FoldersRequest {
    type Outcome = Vec<Folder>;
    const NAME: &'static str = "package.folders";
    const RIGHT: Right = Right::Read;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Folder>> {
        let folders = home.db.package_folders().await?;
        Ok(folders.into_iter().map(|(path, packages)| Folder { path, packages }).collect())
    }
}
