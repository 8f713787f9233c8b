//! Writing archives.
//!
//! [`WimWriter`] makes a new archive from blobs and metadata trees. Underneath, as for exporting, an
//! archive is laid out first ([`layout`]) and then written ([`execute`]), or read without being
//! written ([`view`]).

mod copy;
pub(crate) mod execute;
pub(crate) mod layout;
pub(crate) mod pack;
pub(crate) mod place;
pub(crate) mod session;
pub(crate) mod view;
mod writer;

pub use self::writer::{Options, WimWriter};
