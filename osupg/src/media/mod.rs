//! Media: where a package's files come from.
pub mod path;
