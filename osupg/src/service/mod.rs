//! Servicing: puts updates and files into the images of a package, as its next revision.
//!
//! ```text
//! update    what can be put in: imported once, kept in the library
//! inventory what the images of a revision hold
//! applicable which updates an image needs, and why others not
//! plan      the steps of a run over WinRE, boot.wim, install.wim and the media, in Microsoft's order
//! run       scratch ─► steps ─► checks ─► the next revision; or nothing at all
//! stack     what only Windows' servicing stack can do, behind a trait
//! work      the contract with workers: tasks, what they take, what comes back; worker does them
//! ```
//!
//! A run never touches what is published. It starts from a base revision that no servicing has touched,
//! works in a scratch folder that is gone when it ends, however it ends, and commits only what has
//! passed its checks.

pub mod applicable;
mod cabinet;
pub mod dism;
mod file_version;
pub mod history;
mod identity;
mod image;
mod install;
pub mod inventory;
mod manifest;
pub mod plan;
pub mod recipe;
pub mod run;
mod scratch;
pub mod stack;
mod survey;
pub mod task;
pub mod update;
pub mod work;
pub mod worker;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use identity::{Identity, Version};

/// How servicing is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The folder in which runs build what they make; `scratch` in the folder of the store when left
    /// out. It needs room for three times the largest WIM that is serviced.
    pub scratch: Option<PathBuf>,
}

/// A count with its noun: `1 update`, `2 updates`.
fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", crate::text::plural(count))
}

#[cfg(test)]
mod tests;
