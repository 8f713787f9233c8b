//! Nodes: other osupgs that fetch by themselves what is wanted at their point.
//!
//! ```text
//!   server                                   node (`osupg dp`)
//!   point.wanted  ◄───────────────────────── what is to be here?
//!                                            signed document from the first source that has it,
//!   sources, the lowest priority first ────► pieces that its library lacks, each from the first
//!   (the server, other nodes, buckets)       source that gives it right; files, then the revision
//!   point.report  ◄───────────────────────── how it stands
//! ```
//!
//! A node believes the server which revision is wanted, by its number and digest, and no source
//! anything: the document must be signed by a key on the node's own trust list, and every piece
//! must have its hash. What has come of a piece when a connection breaks is kept and gone on from.

pub mod agent;
pub mod http;
pub mod pull;
pub mod report;
pub mod settings;
pub mod source;
#[cfg(test)]
mod tests;
