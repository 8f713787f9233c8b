//! Exporting to a file: a new one, or an archive that is there already.

use std::collections::HashSet;
use std::path::Path;

use wim_format::Sha1Hash;
use wim_format::header::{HeaderFlags, Version};

use super::add::{self, Manner, Recode, Solid, add_blobs, add_metadata};
use super::select::Selection;
use super::{
    Compression, Existing, Options, Outcome, Recompress, boot_index, copy_images, inherit,
};
use crate::archive::{ImageIndex, Wim};
use crate::blob::Coding;
use crate::error::{Action, Error};
use crate::progress::{Amount, Phase};
use crate::write::pack::Packing;
use crate::write::pack::decoded::repack;
use crate::write::place::Locked;
use crate::write::session::{Context, Session};

/// Copies `images` of `wim` to `destination`.
pub(super) fn run(
    wim: &Wim,
    images: &[ImageIndex],
    destination: &Path,
    options: &Options,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    let is_there = destination.try_exists().map_err(Error::io(Action::Stat, destination))?;
    let old = is_there.then(|| Locked::open(destination)).transpose()?;
    let coding = match &old {
        Some(old) => check(wim, &old.wim, images, options)?,
        None => add::coding(wim, options.compression),
    };
    let selection = Selection::of(wim, images, options.threads, context.cancel)?;
    let packing = Packing { coding, level: options.level };
    let mut session = match &old {
        None => {
            let mut session = Session::create(destination, coding, options.guid)?;
            inherit(&mut session.header, wim, options);
            session
        }
        Some(old) => add_to(old, options.existing, packing, context)?,
    };
    let manner = Manner {
        recode: match options.recompress {
            _ if coding.codec.is_none() => Recode::Never,
            Recompress::WhenNeeded => Recode::WhenNeeded(packing),
            Recompress::Always => Recode::Always(packing),
        },
        solid: solid(options, old.as_ref()),
    };
    let mut outcome = add(&mut session, &selection, manner, context)?;
    session.header.flags |= wim.header().flags & HeaderFlags::RP_FIX;
    outcome.images = copy_images(&mut session.xml, &selection, options)?;
    match boot_index(wim, images, &outcome.images, options)? {
        0 => {}
        index => session.header.boot_index = index,
    }
    outcome.len = session.finish(options.integrity, options.verification, context)?;
    Ok(outcome)
}

/// Adds the blobs and metadata of a selection: what can be copied, then what is packed anew.
fn add<'a>(
    session: &mut Session<'a>,
    selection: &Selection<'a>,
    manner: Manner,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    let wim = selection.wim;
    session.inputs.push(wim);
    let mut added = add_blobs(&mut session.draft, selection, manner)?;
    let to_pack = std::mem::take(&mut added.to_pack);
    if let (false, Recode::WhenNeeded(packing) | Recode::Always(packing)) =
        (to_pack.is_empty(), manner.recode)
    {
        let bytes = to_pack.iter().map(|&blob| wim.blob(blob).size).fold(0, u64::saturating_add);
        context.progress.begin(Phase::Compress, Amount::new(bytes, to_pack.len() as u64));
        let references = |blob| selection.count(blob);
        repack(session, wim, &to_pack, &references, packing, context)?;
        context.progress.end(Phase::Compress);
        added.outcome.decoded = added.outcome.decoded.saturating_add(bytes);
    }
    add_metadata(&mut session.draft, selection, manner, added, context.threads)
}

/// Begins to add to an archive: in place, or to a new file with all its images. Another compression
/// than its own needs a new file.
pub(crate) fn add_to<'a>(
    old: &'a Locked,
    existing: Existing,
    packing: Packing,
    context: Context<'_>,
) -> Result<Session<'a>, Error> {
    if existing == Existing::Append && packing.coding == old.wim.coding() {
        return Session::append(old);
    }
    let mut session = Session::rebuild(old, packing.coding)?;
    let images: Vec<_> = old.wim.images().collect();
    keep(&mut session, &old.wim, &images, Recompress::WhenNeeded, packing, context)?;
    Ok(session)
}

/// Takes over some images of an archive that is written anew, and their data.
pub(crate) fn keep<'a>(
    session: &mut Session<'a>,
    old: &'a Wim,
    images: &[ImageIndex],
    recompress: Recompress,
    packing: Packing,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    let selection = Selection::of(old, images, context.threads, context.cancel)?;
    take_over(session, &selection, recompress, packing, context)
}

/// Takes over all images but one of an archive that is written anew, and of the data of that one what
/// is `needed`. Gives the hashes of what no other image refers to: one reference to each is counted
/// that nobody has.
pub(crate) fn keep_others<'a>(
    session: &mut Session<'a>,
    old: &'a Wim,
    image: ImageIndex,
    needed: &HashSet<Sha1Hash>,
    packing: Packing,
    context: Context<'_>,
) -> Result<Vec<Sha1Hash>, Error> {
    let others: Vec<_> = old.images().filter(|&other| other != image).collect();
    let selection = Selection::of(old, &others, context.threads, context.cancel)?;
    let lent = selection.lend(needed);
    take_over(session, &selection, Recompress::WhenNeeded, packing, context)?;
    Ok(lent)
}

fn take_over<'a>(
    session: &mut Session<'a>,
    selection: &Selection<'a>,
    recompress: Recompress,
    packing: Packing,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    let recode = match (packing.coding.codec, recompress) {
        (None, _) => Recode::Never,
        (_, Recompress::WhenNeeded) => Recode::WhenNeeded(packing),
        (_, Recompress::Always) => Recode::Always(packing),
    };
    let same = packing.coding == selection.wim.coding();
    let solid = if same { Solid::Keep } else { Solid::Spread };
    add(session, selection, Manner { recode, solid }, context)
}

/// What becomes of the solid resources of the source.
fn solid(options: &Options, old: Option<&Locked>) -> Solid {
    let takes_solid = match old {
        Some(old) => old.wim.header().version == Version::Solid,
        None => options.compression == Compression::AsSource,
    };
    if takes_solid { Solid::Keep } else { Solid::Spread }
}

/// Whether the images can be added to `old`; gives the coding of what is added.
fn check(wim: &Wim, old: &Wim, images: &[ImageIndex], options: &Options) -> Result<Coding, Error> {
    let coding = old.coding();
    let wanted = match options.compression {
        // What the source has is compressed anew.
        Compression::AsSource => coding.codec,
        Compression::Stored => None,
        Compression::Chunks { codec, .. } => Some(codec),
    };
    if coding.codec != wanted {
        return Err(Error::Usage(format!(
            "{}: is {coding}, which cannot be changed while images are added to it; choose another \
             destination, or a source of the same compression",
            old.name(),
        )));
    }
    let taken = old.xml().images();
    for image in images {
        let name = match &options.name {
            Some(name) => Some(name.clone()),
            None => wim.xml().image(image.get()).and_then(|image| image.name),
        };
        let Some(name) = name.filter(|name| !name.is_empty()) else { continue };
        if taken.iter().any(|other| other.name.as_ref() == Some(&name)) {
            return Err(Error::NameTaken { file: old.name(), name });
        }
    }
    Ok(coding)
}
