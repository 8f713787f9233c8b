//! Support for the tests that hold this project against other tools.
//!
//! - [`bins`]: our own commands, built when needed.
//! - [`tools`]: `wimlib-imagex` and 7-Zip.
//! - [`postgres`]: a PostgreSQL server for the test process.
//! - [`proxy`]: a network that is slow, cut or silent.
//! - [`child`]: runs a command to its end under a time limit and a watch on its memory.
//! - [`tree`]: a strict description of a directory tree, for comparing what two tools made of an
//!   image.
//! - [`corpus`]: real files to make images from.
//! - [`capture`]: WIMs of every kind made from a tree by wimlib, kept between runs.

pub mod bins;
pub mod capture;
pub mod child;
pub mod corpus;
pub mod postgres;
pub mod proxy;
pub mod tools;
pub mod tree;
