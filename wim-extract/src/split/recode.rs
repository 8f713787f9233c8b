//! Splitting what is compressed anew, into parts of the normal layout.

use wim_format::blob_table::Blob;
use wim_format::header::{Header, Layout};

use super::{OneOfMany, Outcome, Part, Set, commit_all};
use crate::archive::Wim;
use crate::blob::Coding;
use crate::error::{Action, Error};
use crate::export::add::{self, Manner, OldSolid, Recode};
use crate::export::{Compression, Verification};
use crate::pipeline::Plan;
use crate::progress::{Amount, Phase};
use crate::write::execute::{self, Job};
use crate::write::layout::{Draft, Drafted, Segment};
use crate::write::pack::decoded::repack_by;
use crate::write::pack::{self, Packing};
use crate::write::parts::{MOST, Parts};
use crate::write::place::Output;
use crate::write::session::{Context, recoded};

/// The compression that parts of `wim` get, if it is not the one that they have.
pub(super) fn wanted(wim: &Wim, compression: Compression) -> Option<Coding> {
    let coding = add::coding(wim, super::compression_of_parts(wim, compression));
    Some(coding).filter(|coding| wim.has_solid() || *coding != wim.coding())
}

/// Compresses all data anew, in the order of the file, and writes it to the parts.
pub(super) fn run(
    set: &Set<'_>,
    coding: Coding,
    part_size: u64,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    let Context { threads, progress, cancel } = context;
    if part_size == 0 {
        return Err(super::deal::no_room());
    }
    let selection = set.selection;
    let wim = selection.wim;
    let packing = Packing::single(coding, set.options.level);
    let mut first = Draft::of_part(1, coding, Layout::Normal);
    let recode = if coding.codec.is_some() { Recode::WhenNeeded(packing) } else { Recode::Never };
    let manner = Manner { recode, solid: OldSolid::Unpack };
    let images = selection.some(&[], &selection.images);
    let images = add::add_all(&mut first, &images, manner, threads)?;
    let mut outcome = Outcome { decoded: images.decoded, ..Outcome::default() };

    let path = |part: usize| {
        set.spare_the_archive(part + 1)?;
        Ok(set.path(part + 1))
    };
    let parts = Parts::new(&path);
    let mut draft = Draft::of_parts(part_size, first.pending_len(), coding);
    let plan = Plan::new(wim, selection.blobs());
    let amount = plan.amount();
    progress.begin(Phase::Compress, amount);
    let out = Output::Parts(&parts);
    let count = |blob| selection.count(blob);
    repack_by(wim, &[plan], &count, packing, context, |supply| {
        pack::pack(&mut draft, packing, supply, pack::Run { out, threads, progress, cancel })
    })?;
    progress.end(Phase::Compress);
    outcome.decoded = outcome.decoded.saturating_add(amount.bytes);

    let shares = draft.into_parts();
    let total = shares.len();
    if total > MOST {
        return Err(super::deal::too_many(part_size, total));
    }
    let mut drafts = vec![first];
    drafts.extend((2..=total).map(|number| Draft::of_part(number as u16, coding, Layout::Normal)));
    let mut drafted = Vec::with_capacity(total);
    for ((draft, (blobs, end)), number) in drafts.into_iter().zip(shares).zip(1..) {
        let header = recoded(set.header(number, total, Layout::Normal), coding);
        let count = blobs.len() as u64;
        let part = finish(draft, blobs, end, set, header)?;
        outcome.parts.push(Part { path: set.path(number), len: part.len(), blobs: count });
        drafted.push(part);
    }
    let files = parts.finish(total)?;
    progress.begin(Phase::Write, Amount::default());
    for (file, drafted) in files.iter().zip(&drafted) {
        let job = Job { inputs: Vec::new(), drafted, threads, verification: Verification::Trust };
        let writing = Error::io(Action::Write, file.target());
        // What was moved to the next part may be behind its end.
        file.file().set_len(drafted.len()).map_err(writing)?;
        execute::write(&job, file.file(), file.target(), &OneOfMany(progress), cancel)?;
        if let Some(head) = drafted.head() {
            file.write_at(&head, 0)?;
        }
        file.file().sync_all().map_err(Error::io(Action::Write, file.target()))?;
    }
    progress.end(Phase::Write);
    cancel.check()?;
    commit_all(files)?;
    set.warn_of_older_parts(total, progress);
    Ok(outcome)
}

/// Lays out what follows the data of a part.
fn finish(
    mut draft: Draft,
    blobs: Vec<Blob>,
    end: u64,
    set: &Set<'_>,
    header: Header,
) -> Result<Drafted, Error> {
    draft.push(Segment::Written { len: end - draft.at() });
    for blob in blobs {
        draft.enter(blob, None);
    }
    let xml = set.selection.wim.xml_bytes().clone();
    draft.finish_part(header, xml, set.piece_size)
}
