//! Writes all images of an archive to a new one that is compressed in another way: WIM to ESD and back,
//! XPRESS to LZX.
//!
//! All else stays as it is: the images and their order, their metadata, what the XML says of them, and
//! which one is booted. Data that has the wanted compression already is copied.

use std::path::Path;

use wim_format::Level;
use wim_format::header::{HeaderFlags, Layout};

use crate::archive::Wim;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::export::select::{Absent, Selection};
use crate::export::{self, Compression, Grouping, IntegrityTable, Recompress, Verification};
use crate::pipeline::Threads;
use crate::progress::Progress;
use crate::write::session::{Context, Session};

/// How to convert.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Number of threads. The bytes written do not depend on it.
    pub threads: Threads,
    /// Compression of the new archive outside of solid resources.
    pub compression: Compression,
    /// How hard the encoder tries there.
    pub level: Level,
    /// Whether file data is put together: an ESD, or not.
    pub grouping: Grouping,
    /// Whether the new archive has an integrity table; to keep means: if the old one has.
    pub integrity: IntegrityTable,
    /// Whether the SHA-1 of what is copied is checked. (What is decoded always is.)
    pub verification: Verification,
    /// GUID of the new archive; random when `None`.
    pub guid: Option<[u8; 16]>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Number of images.
    pub images: u32,
    /// Length of the new archive in bytes.
    pub len: u64,
    /// Bytes copied as they were.
    pub copied: u64,
    /// Bytes decoded.
    pub decoded: u64,
}

/// Writes all images of `wim` to a new archive at `destination`, in place of any file of that name.
///
/// # Errors
/// Damaged metadata or data, a blob that is missing, a compression that no encoder can be made for; those
/// of reading and writing; [`Error::Cancelled`]. Unless it succeeds, the destination is as it was.
pub fn run(
    wim: &Wim,
    destination: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let Options { threads, compression, level, grouping, verification, guid, .. } = *options;
    let context = Context { threads, progress, cancel };
    let coding = export::add::coding(wim, compression);
    let packing = grouping.packing(coding, level, Layout::Normal, Some(wim))?;
    let images: Vec<_> = wim.images().collect();
    let mut session = Session::create(destination, coding, Layout::Normal, guid)?;
    session.xml = wim.xml().clone();
    session.header.flags |= wim.header().flags & HeaderFlags::RP_FIX;
    session.header.boot_index = wim.header().boot_image().unwrap_or(0);
    let selection = Selection::of(wim, &images, Absent::Refuse, threads, cancel)?;
    export::keep(&mut session, selection, Recompress::WhenNeeded, grouping, packing, context)?;
    let integrity = match options.integrity {
        IntegrityTable::Keep if wim.header().integrity.size > 0 => IntegrityTable::Write,
        other => other,
    };
    let done = session.finish(integrity, verification, context)?;
    let (len, copied, decoded) = (done.len, done.copied, done.decoded);
    Ok(Outcome { images: wim.image_count(), len, copied, decoded })
}
