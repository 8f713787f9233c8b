//! Puts the resources of an input where they belong in a layout.

use std::sync::Arc;

use wim_format::Sha1Hash;
use wim_format::blob_table::{Blob, BlobPlace, MetadataEntry, SolidResource};
use wim_format::header::{Header, Layout};
use wim_format::resource::{ResourceFlags, ResourceHeader};
use wim_format::xml::WimXml;

use super::select::Selection;
use super::{Compression, recast};
use crate::archive::{BlobId, Wim};
use crate::blob::{Coding, Form, Resource, read_whole};
use crate::error::{Damage, Error};
use crate::hash::sha1;
use crate::pipeline::{Plan, SolidPlan, Threads};
use crate::write::layout::{Draft, Item, Segment};
use crate::write::pack::{Packing, pack_bytes};

/// What resources of an archive made from `wim` look like, unless they are solid.
pub(crate) fn coding(wim: &Wim, compression: Compression) -> Coding {
    match compression {
        Compression::AsSource => wim.coding(),
        Compression::Stored => Coding { codec: None, chunk_size: 0 },
        Compression::Chunks { codec, chunk_size } => Coding { codec: Some(codec), chunk_size },
    }
}

/// What is done with data that cannot be copied as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recode {
    /// Nothing is compressed: it is an error, unless it is only to be decoded.
    Never,
    /// It is compressed anew.
    WhenNeeded(Packing),
    /// All data is compressed anew, what could be copied too.
    Always(Packing),
}

/// What is done with data that cannot be copied as it is, and with solid resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) recode: Recode,
    pub(crate) solid: OldSolid,
}

/// What becomes of the solid resources of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldSolid {
    /// Those of their chunks that are needed are copied, unless everything is to be stored.
    Keep,
    /// What is in them is compressed anew.
    Unpack,
    /// Their chunks are copied where they have this coding. All else is compressed anew, what has a
    /// resource of its own too.
    Gather(Coding),
}

/// An archive that a draft takes resources from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    /// Its number among those of the draft.
    number: usize,
    /// Index of its first file among the draft's sources.
    first_source: usize,
}

/// What became of a selection.
#[derive(Debug, Default)]
pub(crate) struct Added {
    pub(crate) copied: u64,
    pub(crate) decoded: u64,
    pub(crate) carried: u64,
    /// Blobs that were placed, or have to be packed.
    pub(crate) blobs: u64,
    /// Blobs that have to be compressed anew, in the order of the file. They have no place yet.
    pub(crate) to_pack: Vec<BlobId>,
}

impl Added {
    /// With the bytes of `images`.
    fn and(mut self, images: &Self) -> Self {
        self.copied = self.copied.saturating_add(images.copied);
        self.decoded = self.decoded.saturating_add(images.decoded);
        self
    }
}

/// The blobs of a selection, by what the draft has of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Announced {
    /// How many are new to it.
    pub(crate) new: u64,
    /// How many it had already.
    pub(crate) shared: u64,
}

/// Says which blobs will be added, and counts the references to them.
pub(crate) fn announce(draft: &mut Draft, selection: &Selection<'_>) -> (Input, Announced) {
    let wim = selection.wim;
    let sources = wim.parts().iter().map(|part| Arc::clone(&part.source));
    let (number, first_source) = draft.add_input(sources);
    let mut announced = Announced::default();
    for id in selection.blobs() {
        let Blob { hash, size, .. } = *wim.blob(id);
        if draft.share(&hash, selection.count(id)) {
            announced.shared += 1;
        } else {
            draft.announce(hash, size, selection.count(id));
            announced.new += 1;
        }
    }
    (Input { number, first_source }, announced)
}

/// Adds the blobs of a selection that the draft waits for.
pub(crate) fn add_blobs(
    draft: &mut Draft,
    selection: &Selection<'_>,
    input: Input,
    manner: Manner,
) -> Result<Added, Error> {
    let wim = selection.wim;
    let wanted = selection.blobs().filter(|&id| draft.awaits(&wim.blob(id).hash));
    let plan = Plan::new(wim, wanted);
    let added = Added { blobs: plan.amount().items, ..Added::default() };
    let mut adder = Adder { selection, draft, input, manner, added };
    let mut solid = plan.solid.iter().peekable();
    for &id in &plan.single {
        let at = (wim.part_of(id), wim.file_offset(id));
        let before =
            |solid: &&SolidPlan| (solid.part, wim.solid_offset(solid.part, solid.index)) < at;
        while let Some(solid) = solid.next_if(before) {
            adder.solid(solid)?;
        }
        adder.blob(id)?;
    }
    for solid in solid {
        adder.solid(solid)?;
    }
    Ok(adder.added)
}

/// Adds the metadata of the images of a selection. Gives the bytes copied and decoded.
pub(crate) fn add_metadata(
    draft: &mut Draft,
    selection: &Selection<'_>,
    input: Input,
    manner: Manner,
    threads: Threads,
) -> Result<Added, Error> {
    let mut adder = Adder { selection, draft, input, manner, added: Added::default() };
    selection.images.iter().try_for_each(|image| adder.metadata(image.metadata, threads))?;
    Ok(adder.added)
}

/// Adds a whole selection to a layout.
pub(crate) fn add_all(
    draft: &mut Draft,
    selection: &Selection<'_>,
    manner: Manner,
    threads: Threads,
) -> Result<Added, Error> {
    let (input, _) = announce(draft, selection);
    let added = add_blobs(draft, selection, input, manner)?;
    let images = add_metadata(draft, selection, input, manner, threads)?;
    Ok(added.and(&images))
}

/// Adds a whole selection to a layout, all of it as it is. `head`, header and document, is what a pipable
/// one begins with.
///
/// # Errors
/// As [`add_all`]; [`Error::Unsupported`] for what would have to be decoded for a pipable one.
pub(crate) fn copy_all(
    draft: &mut Draft,
    selection: &Selection<'_>,
    threads: Threads,
    head: (&Header, &WimXml),
) -> Result<Added, Error> {
    let manner = Manner { recode: Recode::Never, solid: OldSolid::Keep };
    if draft.layout() == Layout::Normal {
        return add_all(draft, selection, manner, threads);
    }
    let (input, _) = announce(draft, selection);
    let images = add_metadata(draft, selection, input, manner, threads)?;
    draft.open(head.0, head.1);
    let added = add_blobs(draft, selection, input, manner)?;
    match added.to_pack.first() {
        None => Ok(added.and(&images)),
        Some(&blob) => Err(Error::Unsupported(format!(
            "{}: blob {} cannot be copied into a pipable archive; export to a normal one first",
            selection.wim.name(),
            selection.wim.blob(blob).hash
        ))),
    }
}

/// The layout of what is made of `wim` by copying alone: its own, but the pipable one has no solid
/// resources.
pub(crate) fn layout_of_copy(wim: &Wim) -> Layout {
    if wim.has_solid() { Layout::Normal } else { wim.header().layout }
}

/// Adds the resources of one input to a draft.
struct Adder<'a> {
    selection: &'a Selection<'a>,
    draft: &'a mut Draft,
    input: Input,
    manner: Manner,
    added: Added,
}

impl<'a> Adder<'a> {
    fn wim(&self) -> &'a Wim {
        self.selection.wim
    }

    /// Adds a blob that has a resource of its own.
    fn blob(&mut self, id: BlobId) -> Result<(), Error> {
        if let OldSolid::Gather(_) = self.manner.solid {
            self.added.to_pack.push(id);
            return Ok(());
        }
        let resource = self.wim().resource(id);
        let part = self.wim().part_of(id);
        let hash = self.wim().blob(id).hash;
        let place = match self.resource(part, &resource, hash) {
            Ok(Some(item)) => self.draft.place(item),
            Ok(None) if self.is_in_order() => {
                self.added.to_pack.push(id);
                return Ok(());
            }
            Ok(None) => self.decoded(id),
            Err(Refusal::Damaged(damage)) => return Err(self.wim().damaged(id, damage)),
            Err(Refusal::Coding(coding)) => return self.pack_later(id, part, coding),
        };
        self.enter(id, BlobPlace::Resource(place));
        Ok(())
    }

    /// Whether the layout is for who writes one byte after the other.
    fn is_in_order(&self) -> bool {
        self.draft.layout() == Layout::Pipable
    }

    /// Leaves a blob for later that has to be compressed anew.
    fn pack_later(&mut self, id: BlobId, part: usize, coding: Coding) -> Result<(), Error> {
        if self.manner.recode == Recode::Never {
            return Err(self.needs_compression(part, coding));
        }
        self.added.to_pack.push(id);
        Ok(())
    }

    /// Adds a blob that has to be decoded.
    fn decoded(&mut self, blob: BlobId) -> ResourceHeader {
        let len = self.wim().blob(blob).size;
        let place = self.draft.stored(len, ResourceFlags::empty());
        self.draft.push(Segment::Decoded { input: self.input.number, blob, len });
        self.added.decoded = self.added.decoded.saturating_add(len);
        place
    }

    /// Adds the metadata of an image.
    fn metadata(&mut self, entry: MetadataEntry, threads: Threads) -> Result<(), Error> {
        let wim = self.wim();
        let resource = wim.parts()[0].resource(entry.resource);
        let damaged = |damage| Error::Damaged {
            file: wim.name(),
            path: Some("the metadata of an image".to_owned()),
            hash: entry.hash,
            damage,
        };
        let hash = entry.hash;
        let item = match (self.resource(0, &resource, hash), self.manner.recode) {
            (Ok(Some(item)), _) => item,
            (Ok(None), _) => {
                let bytes = read_whole(&resource, threads).map_err(damaged)?;
                self.added.decoded += bytes.len() as u64;
                Item::stored(bytes, hash, ResourceFlags::empty())
            }
            (Err(Refusal::Damaged(damage)), _) => return Err(damaged(damage)),
            (Err(Refusal::Coding(coding)), Recode::Never) => {
                return Err(self.needs_compression(0, coding));
            }
            (Err(Refusal::Coding(_)), Recode::WhenNeeded(packing) | Recode::Always(packing)) => {
                let bytes = read_whole(&resource, threads).map_err(damaged)?;
                let found = sha1(&bytes);
                if found != hash {
                    return Err(damaged(Damage::Hash { expected: hash, found }));
                }
                self.added.decoded += bytes.len() as u64;
                pack_bytes(packing, &bytes, hash, self.draft.layout(), threads)?
            }
        };
        self.draft.add_image(item);
        Ok(())
    }

    /// A resource that is not solid, as it is; `None` when it has to be decoded.
    fn resource(
        &mut self,
        part: usize,
        resource: &Resource<'_>,
        hash: Sha1Hash,
    ) -> Result<Option<Item>, Refusal> {
        let source = self.input.first_source + part;
        // Whatever follows, what is copied has to be there.
        resource.check_range(0, resource.place.size).map_err(Refusal::Damaged)?;
        let ResourceHeader { offset, size: len, .. } = resource.place;
        if let (Recode::Always(_), Some(_)) = (self.manner.recode, self.draft.coding().codec) {
            let raw = Coding { codec: None, chunk_size: 0 };
            return Err(Refusal::Coding(resource.coding().unwrap_or(raw)));
        }
        // What another compression could not make smaller, or none tried to, may yet get smaller.
        let untried = resource.form == Form::Stored && self.wim().coding() != self.draft.coding();
        if untried && self.draft.coding().codec.is_some() && self.manner.recode != Recode::Never {
            return Err(Refusal::Coding(Coding { codec: None, chunk_size: 0 }));
        }
        let as_it_is = |flags| (flags, vec![Segment::Copy { source, offset, len }]);
        let wanted = self.draft.layout();
        let (flags, segments) = match resource.form {
            Form::Stored => as_it_is(ResourceFlags::empty()),
            _ if self.draft.coding().codec.is_none() => return Ok(None),
            Form::Chunks(coding, _) if coding != self.draft.coding() => {
                return Err(Refusal::Coding(coding));
            }
            Form::Chunks(_, layout) if layout == wanted => as_it_is(ResourceFlags::COMPRESSED),
            Form::Chunks(..) => {
                recast::to_layout(resource, source, wanted).map_err(Refusal::Damaged)?
            }
            Form::Solid(_) => return Ok(None),
        };
        let uncompressed_size = resource.uncompressed_size();
        let item = Item { hash, flags, uncompressed_size, segments };
        self.added.copied = self.added.copied.saturating_add(item.len());
        Ok(Some(item))
    }

    /// Adds what is wanted of a solid resource.
    fn solid(&mut self, plan: &SolidPlan) -> Result<(), Error> {
        if let Some(&id) = plan.overlapping.first() {
            return Err(self.wim().damaged(id, Damage::Overlap));
        }
        let resource = self.wim().parts()[plan.part].solid(plan.index);
        let takes_solid = self.draft.takes_solid();
        let (copied, packed) = match (self.manner.recode, self.manner.solid) {
            (Recode::Always(_), OldSolid::Gather(_)) => (false, true),
            (Recode::Always(_), _) => (false, takes_solid),
            (_, OldSolid::Gather(coding)) => (resource.coding() == Some(coding), true),
            (_, OldSolid::Keep) => (takes_solid, takes_solid),
            (_, OldSolid::Unpack) => (false, takes_solid),
        };
        if self.is_in_order() || packed && !copied {
            self.added.to_pack.extend(plan.blobs.iter().map(|blob| blob.id));
            return Ok(());
        }
        if !copied {
            for blob in &plan.blobs {
                let place = self.decoded(blob.id);
                self.enter(blob.id, BlobPlace::Resource(place));
            }
            return Ok(());
        }
        let start = self.draft.at();
        let source = self.input.first_source + plan.part;
        let taken = recast::solid_chunks(&resource, plan, source, self.draft);
        let (header, offsets) =
            taken.map_err(|damage| self.wim().damaged(plan.blobs[0].id, damage))?;
        let place = ResourceHeader {
            size: self.draft.at() - start,
            flags: ResourceFlags::SOLID,
            offset: start,
            uncompressed_size: header.uncompressed_size,
        };
        let index = self.draft.enter_solid(SolidResource { resource: place, header });
        self.added.copied += place.size;
        let mut carried = header.uncompressed_size;
        for (blob, offset) in plan.blobs.iter().zip(offsets) {
            carried = carried.saturating_sub(blob.end - blob.offset);
            self.enter(blob.id, BlobPlace::Solid { resource: index, offset });
        }
        self.added.carried += carried;
        Ok(())
    }

    /// Enters a blob in the blob table.
    fn enter(&mut self, id: BlobId, place: BlobPlace) {
        let refcount = self.selection.count(id);
        let blob = Blob { refcount, place, ..*self.wim().blob(id) };
        self.draft.enter(blob, Some((self.input.number, id)));
    }

    fn needs_compression(&self, part: usize, from: Coding) -> Error {
        let file = self.wim().parts()[part].source.name();
        let to = self.draft.coding();
        Error::Unsupported(format!(
            "{file}: is compressed with {from}; to make {to} of it, it has to be compressed anew, \
             which can only be done into a file"
        ))
    }
}

/// Why a resource cannot be taken as it is.
enum Refusal {
    Damaged(Damage),
    /// It has another coding than the destination.
    Coding(Coding),
}
