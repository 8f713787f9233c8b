//! Looks at the images of a WIM, or of the install WIM in an ISO or folder, without importing
//! anything.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wim_extract::archive::{OpenOptions, Wim};

use super::images::{OpenWim, from_engine};
use super::model::ImageFacts;
use super::snapshot;
use crate::error::Result;
use crate::media::Media;
use crate::text;

/// What a WIM holds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Inspected {
    /// The file, as it was opened.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// How its resources are compressed.
    pub compression: String,
    /// Uncompressed bytes of a chunk; 0 when nothing is compressed.
    pub chunk_size: u32,
    /// The GUID, in hexadecimal digits.
    pub guid: String,
    /// Parts of the split set; 1 for an ordinary file.
    pub parts: u16,
    /// The image that Windows Setup or a boot loader starts; 0 for none.
    pub boot_index: u32,
    /// The images.
    pub images: Vec<ImageFacts>,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

/// Inspects `path`: a WIM or ESD, an ISO (`win.iso` or `win.iso:sources/boot.wim`), or a folder
/// with Windows Setup media.
///
/// # Errors
/// When there is no WIM, or its header, tables or XML cannot be read.
pub fn inspect(path: &Path) -> Result<Inspected> {
    let open = if path.is_dir() {
        snapshot::open_install_image(&Media::open(path)?)?
    } else {
        let wim = Wim::open(path, &OpenOptions::default()).map_err(|error| from_engine(&error))?;
        OpenWim::of(wim)?
    };
    let header = open.wim.header();
    Ok(Inspected {
        file: open.wim.name(),
        size: open.wim.parts().first().map_or(0, |part| part.source.len()),
        compression: open.compression(),
        chunk_size: header.chunk_size,
        guid: text::hex(&header.guid),
        parts: header.total_parts,
        boot_index: header.boot_index,
        images: open.facts(),
        warnings: open.wim.warnings().to_vec(),
    })
}
