//! Exporting to a file, a new one or an archive that is there already, or to a pipe.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use wim_format::Sha1Hash;
use wim_format::header::{HeaderFlags, Layout, Version};

use super::add::{
    self, Added, Announced, Manner, OldSolid, Recode, add_blobs, add_metadata, announce,
};
use super::select::{Absent, Selection};
use super::{
    Compression, Existing, Grouping, Options, Outcome, Pipable, Recompress, boot_index,
    copy_images, inherit, order,
};
use crate::archive::{BlobId, ImageIndex, Wim};
use crate::blob::Coding;
use crate::error::{Action, Error};
use crate::pipeline::Plan;
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
    let selection = Selection::of(wim, images, Absent::Refuse, options.threads, context.cancel)?;
    let layout = old.as_ref().map_or(Layout::Normal, |old| old.wim.header().layout);
    let layout = options.pipable.layout(layout);
    let like = old.as_ref().map_or(wim, |old| &old.wim);
    let packing = options.grouping.packing(coding, options.level, layout, Some(like))?;
    let session = match &old {
        None => {
            let mut session = Session::create(destination, coding, layout, options.guid)?;
            inherit(&mut session.header, wim, options);
            session
        }
        Some(old) => add_to(old, options.existing, options.pipable, packing, context)?,
    };
    let solid = old_solid(wim, options, packing, old.as_ref());
    copy(session, selection, packing, solid, options, context)
}

/// Copies `images` of `wim` to a new archive that is written to `out`, one byte after the other.
pub(super) fn stream(
    wim: &Wim,
    images: &[ImageIndex],
    out: File,
    options: &Options,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    let coding = add::coding(wim, options.compression);
    let selection = Selection::of(wim, images, Absent::Refuse, options.threads, context.cancel)?;
    let packing = options.grouping.packing(coding, options.level, Layout::Pipable, None)?;
    let mut session =
        Session::stream(out, coding, options.pipable, options.integrity, options.guid)?;
    inherit(&mut session.header, wim, options);
    copy(session, selection, packing, OldSolid::Unpack, options, context)
}

/// Copies a selection to what a session has begun.
fn copy<'a>(
    mut session: Session<'a>,
    selection: Selection<'a>,
    packing: Packing,
    solid: OldSolid,
    options: &Options,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    let wim = selection.wim;
    let images: Vec<_> = selection.images.iter().map(|image| image.index).collect();
    session.header.flags |= wim.header().flags & HeaderFlags::RP_FIX;
    let indices = copy_images(&mut session.xml, &selection, options)?;
    match boot_index(wim, &images, &indices, options)? {
        0 => {}
        index => session.header.boot_index = index,
    }
    let manner = Manner { recode: recode(options.recompress, packing), solid };
    let before = session.done;
    let announced = add(&mut session, selection, packing, manner, context)?;
    let done = session.finish(options.integrity, options.verification, context)?;
    Ok(Outcome {
        images: indices,
        len: done.len,
        copied: done.copied - before.copied,
        decoded: done.decoded - before.decoded,
        blobs: announced.new,
        shared: announced.shared,
        carried: done.carried - before.carried,
    })
}

fn recode(recompress: Recompress, packing: Packing) -> Recode {
    match (packing.coding.codec, recompress) {
        (None, _) => Recode::Never,
        (_, Recompress::WhenNeeded) => Recode::WhenNeeded(packing),
        (_, Recompress::Always) => Recode::Always(packing),
    }
}

/// Adds the images of a selection and their blobs: what can be copied, then what is packed anew.
fn add<'a>(
    session: &mut Session<'a>,
    selection: Selection<'a>,
    packing: Packing,
    manner: Manner,
    context: Context<'_>,
) -> Result<Announced, Error> {
    session.inputs.push(selection.wim);
    let (input, announced) = announce(&mut session.draft, &selection);
    let images = add_metadata(&mut session.draft, &selection, input, manner, context.threads)?;
    count(session, &images);
    session.write_data(context, move |session, context| {
        let added = add_blobs(&mut session.draft, &selection, input, manner)?;
        count(session, &added);
        pack(session, &selection, &added.to_pack, packing, context)
    })?;
    Ok(announced)
}

fn count(session: &mut Session<'_>, added: &Added) {
    let done = &mut session.done;
    done.copied = done.copied.saturating_add(added.copied);
    done.decoded = done.decoded.saturating_add(added.decoded);
    done.carried = done.carried.saturating_add(added.carried);
}

/// Decodes blobs and packs them.
fn pack(
    session: &mut Session<'_>,
    selection: &Selection<'_>,
    blobs: &[BlobId],
    packing: Packing,
    context: Context<'_>,
) -> Result<(), Error> {
    if blobs.is_empty() {
        return Ok(());
    }
    let wim = selection.wim;
    let bytes = blobs.iter().map(|&blob| wim.blob(blob).size).fold(0, u64::saturating_add);
    let plans = match packing.solid {
        None => vec![Plan::new(wim, blobs.iter().copied())],
        Some(solid) => order::plans(selection, blobs, solid.order)?,
    };
    context.progress.begin(Phase::Compress, Amount::new(bytes, blobs.len() as u64));
    repack(session, wim, &plans, &|blob| selection.count(blob), packing, context)?;
    context.progress.end(Phase::Compress);
    session.done.decoded = session.done.decoded.saturating_add(bytes);
    Ok(())
}

/// Begins to add to an archive: in place, or to a new file with all its images. Another compression
/// or layout than its own needs a new file, and a pipable one always does.
pub(crate) fn add_to<'a>(
    old: &'a Locked,
    existing: Existing,
    pipable: Pipable,
    packing: Packing,
    context: Context<'_>,
) -> Result<Session<'a>, Error> {
    let layout = pipable.layout(old.wim.header().layout);
    let layouts = (old.wim.header().layout, layout);
    let as_it_is =
        packing.coding == old.wim.coding() && layouts == (Layout::Normal, Layout::Normal);
    if existing == Existing::Append && as_it_is {
        return Session::append(old);
    }
    let mut session = Session::rebuild(old, packing.coding, layout)?;
    let images: Vec<_> = old.wim.images().collect();
    let selection = staying(&old.wim, &images, context)?;
    take_over(&mut session, selection, Recompress::WhenNeeded, packing, context)?;
    Ok(session)
}

/// Takes over some images of an archive that is written anew, and their data.
pub(crate) fn keep<'a>(
    session: &mut Session<'a>,
    selection: Selection<'a>,
    recompress: Recompress,
    grouping: Grouping,
    packing: Packing,
    context: Context<'_>,
) -> Result<(), Error> {
    let solid = solid_of_same(grouping, packing, selection.wim);
    let manner = Manner { recode: recode(recompress, packing), solid };
    add(session, selection, packing, manner, context).map(drop)
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
    let selection = staying(old, &others, context)?;
    let lent = selection.lend(needed);
    take_over(session, selection, Recompress::WhenNeeded, packing, context)?;
    Ok(lent)
}

/// Images that stay in their archive.
fn staying<'a>(
    wim: &'a Wim,
    images: &[ImageIndex],
    context: Context<'_>,
) -> Result<Selection<'a>, Error> {
    Selection::of(wim, images, Absent::Leave, context.threads, context.cancel)
}

fn take_over<'a>(
    session: &mut Session<'a>,
    selection: Selection<'a>,
    recompress: Recompress,
    packing: Packing,
    context: Context<'_>,
) -> Result<(), Error> {
    let solid = solid_of_same(Grouping::Keep, packing, selection.wim);
    let manner = Manner { recode: recode(recompress, packing), solid };
    add(session, selection, packing, manner, context).map(drop)
}

/// What becomes of the solid resources of an archive that is written anew.
fn solid_of_same(grouping: Grouping, packing: Packing, wim: &Wim) -> OldSolid {
    match (grouping, packing.solid) {
        (Grouping::Solid(_), Some(solid)) => OldSolid::Gather(solid.coding()),
        (Grouping::Keep, _) if packing.coding.codec == wim.codec() => OldSolid::Keep,
        _ => OldSolid::Unpack,
    }
}

/// What becomes of the solid resources of the source.
fn old_solid(wim: &Wim, options: &Options, packing: Packing, old: Option<&Locked>) -> OldSolid {
    let keeps = match old {
        Some(old) => old.wim.header().version == Version::Solid,
        None => packing.coding.codec == wim.codec(),
    };
    match (options.grouping, packing.solid) {
        (Grouping::Solid(_), Some(solid)) => OldSolid::Gather(solid.coding()),
        (Grouping::Keep, _) if keeps => OldSolid::Keep,
        _ => OldSolid::Unpack,
    }
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
    Ok(match options.compression {
        Compression::Chunks { chunk_size, .. } => Coding { chunk_size, ..coding },
        Compression::AsSource | Compression::Stored => coding,
    })
}
