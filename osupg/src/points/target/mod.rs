//! What every kind of point that content is sent to can do.

pub mod folder;
pub mod objects;
#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::feed::Feed;
use crate::error::Result;
use crate::package::document::Document;
use crate::store::layout::Piece;
use crate::trust::Envelope;

/// A revision with its signature, as a point keeps it.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The revision.
    pub document: Document,
    /// The same, signed.
    pub envelope: Envelope,
    /// Other packages at the point that share content with it.
    pub near: Vec<String>,
}

/// What a revision would take at a point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// All bytes of its files.
    pub total: u64,
    /// Bytes that would travel.
    pub send: u64,
    /// Bytes that are at the point already, in the same place or another.
    pub present: u64,
    /// Bytes of disk that it would take at the point beside what it has, as far as can be told.
    pub space: u64,
}

/// How closely what is at a point already is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// As closely as the kind of point allows without moving its bytes.
    Usual,
    /// Every byte.
    EveryByte,
}

/// What an installation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Installed {
    /// Bytes that travelled.
    pub sent: u64,
    /// Bytes that were at the point and did not have to.
    pub reused: u64,
}

/// Something at a point that is not as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flaw {
    /// The file, as the media name it; empty for the whole package.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

/// A place that content is sent to.
///
/// Whoever calls it holds the slot of the package at the point, so that no two transfers of a
/// package meet there. Everything can be cut off at any moment and done again.
pub trait Target: Send + Sync + std::fmt::Debug {
    /// Marks the place as a point, and gives the mark; a place that has one keeps it.
    fn claim(&self) -> LocalBoxFuture<'_, Result<String>>;

    /// Checks that the place is there, and the one that was marked so: a share that is not mounted
    /// leaves an empty folder in its stead.
    fn check_mark<'a>(&'a self, mark: &'a str) -> LocalBoxFuture<'a, Result<()>>;

    /// Takes the mark away, so that nothing of us stays there.
    fn unclaim(&self) -> LocalBoxFuture<'_, Result<()>>;

    /// The packages of which the place says that they are installed.
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<String>>>;

    /// The signed document of a package that is installed there; whether the signature is right
    /// has not been looked at.
    fn document<'a>(&'a self, package: &'a str) -> LocalBoxFuture<'a, Result<Option<Envelope>>>;

    /// What a revision would take, without reading file contents.
    fn plan<'a>(&'a self, signed: &'a Signed) -> LocalBoxFuture<'a, Result<Plan>>;

    /// Puts a revision there, whole, in the place of any other of the package. It counts as
    /// installed only when every hash was found right.
    fn install<'a>(
        &'a self,
        signed: &'a Signed,
        depth: Depth,
        feed: &'a Feed<'a>,
    ) -> LocalBoxFuture<'a, Result<Installed>>;

    /// Reads everything of an installed package and says what is wrong with it.
    fn verify<'a>(
        &'a self,
        document: &'a Document,
        feed: &'a Feed<'a>,
    ) -> LocalBoxFuture<'a, Result<Vec<Flaw>>>;

    /// Removes a package. What others share stays.
    fn remove<'a>(&'a self, package: &'a str, feed: &'a Feed<'a>)
    -> LocalBoxFuture<'a, Result<()>>;

    /// Takes away what nothing at the place uses any more. The caller has the place for itself.
    fn tidy<'a>(&'a self, feed: &'a Feed<'a>) -> LocalBoxFuture<'a, Result<()>>;

    /// A piece of an installed package, checked; `None` when it is not there or damaged.
    fn piece<'a>(
        &'a self,
        package: &'a str,
        piece: &'a Piece,
    ) -> LocalBoxFuture<'a, Result<Option<Bytes>>>;

    /// Bytes that still fit there; `None` when nobody knows.
    fn free_space(&self) -> LocalBoxFuture<'_, Result<Option<u64>>>;
}
