//! Everything about one package.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::add;
use super::model::{ImageFacts, Package};
use super::reference::Reference;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;

/// Which package to show.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its id or name, with or without a revision.
    pub package: Reference,
}

/// A package with the images of its install WIM.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// The package.
    #[serde(flatten)]
    pub package: Package,
    /// The images of its install WIM.
    pub images: Vec<ImageFacts>,
}

impl Operation for Request {
    type Outcome = Shown;
    const NAME: &'static str = "package.show";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Shown> {
        let package = home.db.package_at(&self.package).await?;
        let images = add::install_images(home, &package).await?;
        Ok(Shown { package, images })
    }
}
