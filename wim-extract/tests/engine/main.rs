//! The engine on whole archives: opening, verifying, reading in parallel, exporting, writing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod append;
mod capture;
mod export;
mod hostile;
mod read;
mod samples;
mod solid;
mod update;
mod verify;
mod writer;
