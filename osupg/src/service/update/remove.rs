//! Removes an update, and the bytes that only it used. What it was put into stays as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;

/// What to remove.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its id, article number or package name.
    pub update: String,
}

/// What a removal did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// The update.
    pub id: String,
    /// What it was called.
    pub called: String,
    /// Objects that nothing refers to any more.
    pub objects: u64,
    /// Their bytes.
    pub size: u64,
}

impl Operation for Request {
    type Outcome = Removed;
    const NAME: &'static str = "update.remove";
    const RIGHT: Right = Right::Operate;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Removed> {
        let update = home.db.update(&self.update).await?;
        let (objects, size) = home.db.remove_update(&update.id).await?;
        home.collect().await?;
        Ok(Removed { called: update.called(), id: update.id, objects, size })
    }
}
