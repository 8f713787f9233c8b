//! Writing archives.
//!
//! [`WimWriter`] makes a new archive from blobs and metadata trees. Underneath, as for exporting, an
//! archive is laid out first ([`layout`]) and then written ([`execute`], to a pipe [`stream`]), or
//! read without being written ([`view`]).

mod ahead;
mod copy;
pub(crate) mod execute;
pub(crate) mod layout;
pub(crate) mod pack;
pub(crate) mod parts;
pub(crate) mod place;
pub(crate) mod session;
pub(crate) mod stream;
pub(crate) mod view;
mod writer;

use wim_format::header::Layout;

pub use self::writer::{Options, WimWriter};

/// Whether an archive has the layout for pipes: wimlib's own, which can be written and applied one
/// byte after the other, but which the tools of Microsoft cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pipable {
    /// If it had it before; a new archive has the normal one.
    #[default]
    Keep,
    /// It has.
    Yes,
    /// It has the normal layout.
    No,
}

impl Pipable {
    /// The layout of an archive that has had this one.
    #[must_use]
    pub fn layout(self, before: Layout) -> Layout {
        match self {
            Self::Keep => before,
            Self::Yes => Layout::Pipable,
            Self::No => Layout::Normal,
        }
    }
}
