//! `--for`: whether what reads the file in the end will be able to.

use clap::ValueEnum;
use wim_extract::archive::Wim;
use wim_extract::export::{Compression, Grouping};
use wim_extract::readers::{Extent, Reader, Resources, Shape};
use wim_extract::{Error, Progress};
use wim_format::Codec;
use wim_format::header::Layout;

use crate::bar::Bar;
use crate::failure::Failure;

/// What `--for` names. (Comments that clap shows would make the help of all options long.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    // Windows Setup and DISM: install.wim, install.esd
    Setup,
    // The boot manager and other boot loaders: boot.wim
    Boot,
    // A Windows that runs from the file (WIMBoot)
    Wof,
}

impl Target {
    fn reader(self) -> (Reader, &'static str) {
        match self {
            Self::Setup => (Reader::Setup, "Windows Setup"),
            Self::Boot => (Reader::Boot, "a boot loader"),
            Self::Wof => (Reader::Wof, "WOF"),
        }
    }
}

/// What is asked for, and what can be told from other options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    /// `--for`.
    pub(crate) target: Option<Target>,
    /// `--boot`.
    pub(crate) boot: bool,
    /// `--wimboot`.
    pub(crate) wimboot: bool,
}

/// What the file will be like: `compression` and `grouping` of `wim`, or of a new file. All data is in it,
/// unless the caller knows better.
pub(crate) fn shape(
    compression: Compression,
    grouping: Grouping,
    wim: Option<&Wim>,
    layout: Layout,
) -> Shape {
    let (codec, chunk_size, resources) = match (compression, wim) {
        (Compression::Stored, _) => (None, 0, Resources::Single),
        (Compression::Chunks { codec, chunk_size }, _) => {
            (Some(codec), chunk_size, Resources::Single)
        }
        (Compression::AsSource, None) => (Some(Codec::Lzx), 32 << 10, Resources::Single),
        (Compression::AsSource, Some(wim)) => {
            (wim.codec(), wim.header().chunk_size, Resources::Single)
        }
    };
    let old = wim.and_then(|wim| wim.parts().iter().flat_map(|part| &part.blobs.solid).next_back());
    let solid = match (grouping, old, layout) {
        (_, _, Layout::Pipable) => None,
        (Grouping::Solid(solid), ..) => Some(solid.codec),
        (Grouping::Keep, Some(old), _) if wim.is_some_and(|wim| wim.codec() == codec) => {
            old.header.codec
        }
        _ => None,
    };
    let (codec, resources) = match solid {
        Some(codec) => (Some(codec), Resources::Solid),
        None => (codec, resources),
    };
    Shape { codec, chunk_size, layout, resources, extent: Extent::Whole }
}

/// Refuses what the reader asked for could not read; warns of what nothing in Windows could, or what
/// is marked for could not.
pub(crate) fn check(shape: Shape, aim: Aim, bar: &Bar) -> Result<(), Failure> {
    let told = |target: Target| {
        let (reader, name) = target.reader();
        let objections = shape.objections(reader);
        let text = format!("{name} could not read this file: {}", objections.join("; "));
        (!objections.is_empty()).then_some(text)
    };
    if let Some(target) = aim.target {
        return match told(target) {
            Some(text) => Err(Error::Parameter(format!("--for: {text}")).into()),
            None => Ok(()),
        };
    }
    let marked = [(aim.boot, Target::Boot), (aim.wimboot, Target::Wof)];
    let marked = marked.into_iter().find_map(|(is_set, target)| told(target).filter(|_| is_set));
    // Who asks for LZMS knows what it is for, and of the pipable layout is warned by itself.
    let is_told = shape.codec == Some(Codec::Lzms) || shape.layout == Layout::Pipable;
    let is_lost = (!is_told || shape.extent == Extent::Delta)
        && Reader::ALL.iter().all(|&reader| !shape.objections(reader).is_empty());
    if let Some(text) = marked.or_else(|| told(Target::Setup).filter(|_| is_lost)) {
        bar.warning(&text);
    }
    Ok(())
}
