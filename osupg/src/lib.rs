//! osupg keeps operating-system upgrade packages.
//!
//! A package is a Windows Setup media tree. Adding one takes a snapshot of the media into a content
//! library as an immutable revision; the source is only ever read. The layers, from the bottom:
//!
//! - [`store`] keeps objects named by their hash,
//! - [`db`] keeps what packages, revisions and files are made of,
//! - [`media`] reads a folder, an ISO or a bare WIM,
//! - [`package`] holds what can be done with packages,
//! - [`accounts`] says who may do it, [`audit`] keeps who did,
//! - [`trust`] signs what leaves the store, and knows whose signatures count,
//! - [`schedule`] asks for operations at set times,
//! - [`library`] looks after the store as a whole,
//! - [`bundle`] takes revisions to stores that no network reaches,
//! - [`precache`] and [`upgrade`] say what a device fetches and how its upgrade is started,
//! - [`doctor`] looks whether all is well,
//! - [`operation`] names them for whoever asks,
//! - [`jobs`] does those that take long, now or later, here or on another machine,
//! - [`api`] is the HTTP service, [`remote`] its client,
//! - [`points`] brings them to where they are used,
//! - [`cli`] is the command line, without logic of its own.

pub mod accounts;
pub mod api;
pub mod audit;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod db;
pub mod doctor;
pub mod error;
pub mod home;
pub mod jobs;
pub mod library;
pub mod media;
pub mod operation;
pub mod package;
pub mod page;
pub mod points;
pub mod precache;
pub mod progress;
pub mod remote;
mod resolve;
pub mod sample;
pub mod schedule;
pub mod service;
pub mod space;
pub mod staged;
pub mod store;
mod system;
pub mod text;
pub mod time;
pub mod trust;
pub mod upgrade;

pub use error::{Error, Result};
pub use home::Home;
