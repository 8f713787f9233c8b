//! Which programs of Windows can read an archive, and why one cannot.
//!
//! | reader | takes |
//! |---|---|
//! | Windows Setup | stored, XPRESS or LZX in chunks of 32 KiB; solid LZMS (`install.esd`) |
//! | boot loaders | stored, XPRESS or LZX in chunks of 32 KiB |
//! | WOF, the driver behind WIMBoot | stored, XPRESS in chunks of 4 to 32 KiB, LZX in chunks of 32 KiB |
//!
//! None of them looks for data in other archives; only Setup takes the parts of a split set.

use wim_format::Codec;
use wim_format::header::Layout;

use crate::archive::Wim;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::export::select::Selection;
use crate::pipeline::Threads;

/// A program of Windows that an archive is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Windows Setup and DISM.
    Setup,
    /// The boot manager, and loaders such as wimboot, which load `boot.wim` into memory.
    Boot,
    /// The file system filter that gives the files of a system running from an archive.
    Wof,
}

impl Reader {
    /// Every reader.
    pub const ALL: [Self; 3] = [Self::Setup, Self::Boot, Self::Wof];
}

/// Whether blobs share resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resources {
    /// Each blob has its own.
    Single,
    /// Some lie in solid ones.
    Solid,
}

/// Whether all data is in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// It is.
    Whole,
    /// It is in the parts of a split set.
    Parts,
    /// Some is in other archives, which have no set in common with this one.
    Delta,
}

impl Extent {
    /// That of `wim`, with nothing but its own file.
    ///
    /// # Errors
    /// Metadata that is damaged, or [`Error::Cancelled`].
    pub fn of(wim: &Wim, threads: Threads, cancel: &Cancel) -> Result<Self, Error> {
        if wim.header().total_parts > 1 {
            return Ok(Self::Parts);
        }
        match Selection::everything(wim, threads, cancel) {
            Ok(_) => Ok(Self::Whole),
            Err(Error::MissingBlob { .. }) => Ok(Self::Delta),
            Err(error) => Err(error),
        }
    }
}

/// What a reader of an archive has to understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Its codec, that of solid resources if there are any; `None` for stored data.
    pub codec: Option<Codec>,
    /// Uncompressed bytes of a chunk outside solid resources.
    pub chunk_size: u32,
    /// Its layout.
    pub layout: Layout,
    /// Whether it has solid resources.
    pub resources: Resources,
    /// Whether all data is in one file.
    pub extent: Extent,
}

impl Shape {
    /// Why `reader` cannot read such an archive; empty if it can.
    #[must_use]
    pub fn objections(&self, reader: Reader) -> Vec<String> {
        let mut objections = Vec::new();
        if self.layout == Layout::Pipable {
            objections.push("the pipable layout is known to wimlib and wimx alone".to_owned());
        }
        objections.extend(match (self.extent, reader) {
            (Extent::Whole, _) | (Extent::Parts, Reader::Setup) => None,
            (Extent::Parts, Reader::Boot) => {
                Some("boot loaders read one file, not the parts of a set".to_owned())
            }
            (Extent::Parts, Reader::Wof) => {
                Some("WOF reads one file, not the parts of a set".to_owned())
            }
            (Extent::Delta, _) => Some(
                "it is a delta, whose files have data in other archives; capture without \
                 --delta-from, or export it with --ref to a whole one"
                    .to_owned(),
            ),
        });
        objections.extend(match (self.resources, reader) {
            (Resources::Single, _) => {
                self.codec.and_then(|codec| self.codec_objection(codec, reader))
            }
            (Resources::Solid, Reader::Setup) => match self.codec {
                Some(Codec::Lzms) => None,
                _ => Some("solid resources are taken by Setup in LZMS only".to_owned()),
            },
            (Resources::Solid, Reader::Boot) => {
                Some("boot loaders cannot read solid resources; take LZX or XPRESS".to_owned())
            }
            (Resources::Solid, Reader::Wof) => {
                Some("WOF needs each file in a resource of its own, not solid ones".to_owned())
            }
        });
        objections
    }

    fn codec_objection(&self, codec: Codec, reader: Reader) -> Option<String> {
        const USUAL: u32 = 32 << 10;
        let chunk = self.chunk_size;
        let (name, expected) = match (codec, reader) {
            (Codec::Lzms, Reader::Setup) => {
                return Some("Setup takes LZMS only solid, as install.esd".to_owned());
            }
            (Codec::Lzms, _) => {
                return Some("LZMS is read by Setup only; take LZX or XPRESS".to_owned());
            }
            (Codec::Xpress, Reader::Wof) if (4 << 10..=USUAL).contains(&chunk) => return None,
            (Codec::Xpress, Reader::Wof) => ("XPRESS", "4 to 32 KiB"),
            _ if chunk == USUAL => return None,
            (Codec::Xpress, _) => ("XPRESS", "32 KiB"),
            (Codec::Lzx, _) => ("LZX", "32 KiB"),
        };
        let found = chunk >> 10;
        Some(format!("{name} in chunks of {found} KiB is not read; it takes {expected}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(codec: Option<Codec>, kib: u32, resources: Resources) -> [bool; 3] {
        let (layout, extent) = (Layout::Normal, Extent::Whole);
        let shape = Shape { codec, chunk_size: kib << 10, layout, resources, extent };
        Reader::ALL.map(|reader| !shape.objections(reader).is_empty())
    }

    #[test]
    fn who_reads_what() {
        use Resources::{Single, Solid};
        let (xpress, lzx, lzms) = (Some(Codec::Xpress), Some(Codec::Lzx), Some(Codec::Lzms));
        // Setup, boot loaders, WOF.
        for (codec, kib, resources, expected) in [
            (None, 0, Single, [false, false, false]),
            (xpress, 32, Single, [false, false, false]),
            (xpress, 4, Single, [true, true, false]),
            (xpress, 16, Single, [true, true, false]),
            (xpress, 64, Single, [true, true, true]),
            (lzx, 32, Single, [false, false, false]),
            (lzx, 64, Single, [true, true, true]),
            (lzx, 2048, Single, [true, true, true]),
            (lzms, 128, Single, [true, true, true]),
            (lzms, 128, Solid, [false, true, true]),
            (lzx, 32, Solid, [true, true, true]),
        ] {
            assert_eq!(objects(codec, kib, resources), expected, "{codec:?} {kib} {resources:?}");
        }
    }

    /// What everybody reads.
    const USUAL: Shape = Shape {
        codec: Some(Codec::Lzx),
        chunk_size: 32 << 10,
        layout: Layout::Normal,
        resources: Resources::Single,
        extent: Extent::Whole,
    };

    #[test]
    fn nobody_reads_pipable_archives() {
        for reader in Reader::ALL {
            let shape = Shape { layout: Layout::Pipable, ..USUAL };
            assert_eq!(shape.objections(reader).len(), 1, "{reader:?}");
        }
    }

    #[test]
    fn deltas_are_for_nobody_and_parts_for_setup() {
        for reader in Reader::ALL {
            let objections = |extent| Shape { extent, ..USUAL }.objections(reader).len();
            assert_eq!(objections(Extent::Whole), 0, "{reader:?}");
            assert_eq!(objections(Extent::Parts), usize::from(reader != Reader::Setup));
            assert_eq!(objections(Extent::Delta), 1, "{reader:?}");
        }
    }
}
