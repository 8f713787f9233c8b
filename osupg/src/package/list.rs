//! Lists packages, and the images in the WIM files of one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Package, StoredImage};
use crate::accounts::Sight;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Reach, Right};
use crate::progress::Watch;

/// All packages, by id.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {}

impl Operation for Request {
    type Outcome = Vec<Package>;
    const NAME: &'static str = "package.list";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    fn limit(packages: &mut Vec<Package>, sight: &Sight) {
        packages.retain(|package| sight.sees(&package.id));
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Package>> {
        home.db.packages().await
    }
}

/// The images in the WIM files of a package.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagesRequest {
    /// Its id or name.
    pub package: String,
}

impl Operation for ImagesRequest {
    type Outcome = Vec<StoredImage>;
    const NAME: &'static str = "package.images";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<StoredImage>> {
        let package = home.db.package(&self.package).await?;
        home.db.images(package.revision.key).await
    }
}
