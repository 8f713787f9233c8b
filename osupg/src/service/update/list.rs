//! Lists updates, and shows one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Update};
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;

/// All updates, by id, or those that fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Only of this kind.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// Only for this architecture, such as `x64`.
    #[serde(default)]
    pub architecture: Option<String>,
}

impl Operation for Request {
    type Outcome = Vec<Update>;
    const NAME: &'static str = "update.list";
    const RIGHT: Right = Right::Read;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Update>> {
        let mut updates = home.db.updates().await?;
        updates.retain(|update| {
            let facts = &update.facts;
            self.kind.is_none_or(|kind| kind == facts.kind)
                && self.architecture.as_ref().is_none_or(|wanted| {
                    facts.architecture.is_empty()
                        || wanted.eq_ignore_ascii_case(&facts.architecture)
                })
        });
        Ok(updates)
    }
}

/// One update.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {
    /// Its id, article number or package name.
    pub update: String,
}

/// An update and its files.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// It.
    #[serde(flatten)]
    pub update: Update,
    /// Its files: path and bytes.
    pub contents: Vec<(String, u64)>,
}

impl Operation for ShowRequest {
    type Outcome = Shown;
    const NAME: &'static str = "update.show";
    const RIGHT: Right = Right::Read;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Shown> {
        let update = home.db.update(&self.update).await?;
        let files = home.db.update_files(&update.id).await?;
        let contents = files.into_iter().map(|(path, content)| (path, content.size)).collect();
        Ok(Shown { update, contents })
    }
}
