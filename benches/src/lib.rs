//! Benchmarks: the corpus of real files, and the comparison of our commands with wimlib, 7-Zip, `cp`
//! and `dd`.

pub mod compare;
pub mod corpus;
#[cfg(feature = "libwim")]
pub mod encode;
pub mod import;
#[cfg(feature = "libwim")]
pub mod libwim;
#[cfg(feature = "libwim")]
pub mod paired;
pub mod scale;
