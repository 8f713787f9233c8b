//! Packages.
pub mod model;
