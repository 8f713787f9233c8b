//! The WIM engine: reads, verifies, exports and applies Windows Imaging files over memory maps.
//!
//! An operation is a module with `Options`, an `Outcome` and a function `run`, which takes a
//! [`Progress`] to report to and a [`Cancel`] to obey.

pub mod apply;
pub mod archive;
pub mod beneath;
mod blob;
pub mod cancel;
pub mod capture;
pub mod convert;
pub mod diff;
pub mod edit;
pub mod error;
pub mod export;
pub mod hash;
mod integrity;
pub mod join;
pub mod map;
mod memory;
pub mod output;
pub mod piped;
pub mod pipeline;
pub mod progress;
pub mod readers;
pub mod rebuild;
pub mod source;
pub mod split;
pub mod status;
pub mod text;
pub mod update;
pub mod verify;
mod windows;
pub mod write;

pub use cancel::Cancel;
pub use error::Error;
pub use progress::{Progress, Silent};
