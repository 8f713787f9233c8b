//! Puts the resources of an input where they belong in a layout.

use std::sync::Arc;

use wim_format::blob_table::{Blob, BlobPlace, MetadataEntry, SolidResource};
use wim_format::header::Layout;
use wim_format::resource::{ResourceFlags, ResourceHeader};

use super::select::{SelectedImage, Selection};
use super::{Compression, Outcome, recast};
use crate::archive::{BlobId, Wim};
use crate::blob::{Coding, Form, Resource, read_whole};
use crate::error::{Damage, Error};
use crate::pipeline::{Plan, SolidPlan, Threads};
use crate::write::layout::{Draft, Segment};

/// What resources of the destination look like, unless they are solid.
pub(super) fn coding(wim: &Wim, compression: Compression) -> Result<Coding, Error> {
    let source = wim.coding();
    let wanted = match compression {
        Compression::AsSource => source,
        Compression::Stored => Coding { codec: None, chunk_size: 0 },
        Compression::Chunks { codec, chunk_size } => Coding { codec: Some(codec), chunk_size },
    };
    if wanted.codec.is_some() && wanted != source {
        return Err(needs_compression(&wim.name(), source, wanted));
    }
    Ok(wanted)
}

/// The error of data that would have to be compressed anew.
fn needs_compression(file: &str, from: Coding, to: Coding) -> Error {
    Error::Unsupported(format!(
        "{file}: is compressed with {from}; to make {to} of it, it would have to be compressed \
         anew, which this version cannot do yet. Leave out --compress and --chunk-size to keep its \
         compression, or use --compress=none"
    ))
}

/// Adds the blobs and metadata of a selection to a layout.
pub(crate) fn add(draft: &mut Draft, selection: &Selection<'_>) -> Result<Outcome, Error> {
    add_some(draft, selection, selection.blobs(), &selection.images)
}

/// Adds some of the blobs and metadata of a selection to a layout.
pub(crate) fn add_some(
    draft: &mut Draft,
    selection: &Selection<'_>,
    blobs: impl Iterator<Item = BlobId>,
    images: &[SelectedImage],
) -> Result<Outcome, Error> {
    let wim = selection.wim;
    let mut outcome = Outcome::default();
    let mut new = Vec::new();
    for id in blobs {
        match draft.share(&wim.blob(id).hash, selection.count(id)) {
            true => outcome.shared += 1,
            false => new.push(id),
        }
    }
    let plan = Plan::new(wim, new);
    outcome.blobs = plan.amount().items;
    let sources = wim.parts().iter().map(|part| Arc::clone(&part.source));
    let (input, first_source) = draft.add_input(sources);
    let mut adder = Adder { selection, input, first_source, draft, outcome };
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
    for image in images {
        adder.metadata(image.metadata)?;
    }
    Ok(adder.outcome)
}

/// Adds the resources of one input to a draft.
struct Adder<'a> {
    selection: &'a Selection<'a>,
    /// Number of the input, and index of its first part among the draft's sources.
    input: usize,
    first_source: usize,
    draft: &'a mut Draft,
    outcome: Outcome,
}

impl<'a> Adder<'a> {
    fn wim(&self) -> &'a Wim {
        self.selection.wim
    }

    /// Adds a blob that has a resource of its own.
    fn blob(&mut self, id: BlobId) -> Result<(), Error> {
        let resource = self.wim().resource(id);
        let part = self.wim().part_of(id);
        let place = match self.resource(part, &resource) {
            Ok(Some(place)) => place,
            Ok(None) => self.decoded(id),
            Err(Refusal::Damaged(damage)) => return Err(self.wim().damaged(id, damage)),
            Err(Refusal::Coding(coding)) => return Err(self.needs_compression(part, coding)),
        };
        self.enter(id, BlobPlace::Resource(place));
        Ok(())
    }

    /// Adds a blob that has to be decoded.
    fn decoded(&mut self, blob: BlobId) -> ResourceHeader {
        let len = self.wim().blob(blob).size;
        let place = self.draft.stored(len, ResourceFlags::empty());
        self.draft.push(Segment::Decoded { input: self.input, blob, len });
        self.outcome.decoded = self.outcome.decoded.saturating_add(len);
        place
    }

    /// Adds the metadata of an image.
    fn metadata(&mut self, entry: MetadataEntry) -> Result<(), Error> {
        let wim = self.wim();
        let resource = wim.parts()[0].resource(entry.resource);
        let damaged = |damage| Error::Damaged {
            file: wim.name(),
            path: Some("the metadata of an image".to_owned()),
            hash: entry.hash,
            damage,
        };
        let place = match self.resource(0, &resource) {
            Ok(Some(place)) => place,
            Ok(None) => {
                let bytes = read_whole(&resource, Threads::ONE).map_err(damaged)?;
                let place = self.draft.stored(bytes.len() as u64, ResourceFlags::empty());
                self.outcome.decoded += place.size;
                self.draft.literal(bytes);
                place
            }
            Err(Refusal::Damaged(damage)) => return Err(damaged(damage)),
            Err(Refusal::Coding(coding)) => return Err(self.needs_compression(0, coding)),
        };
        self.draft.enter_metadata(place, entry.hash);
        Ok(())
    }

    /// Adds a resource that is not solid as it is; `None` when it has to be decoded.
    fn resource(
        &mut self,
        part: usize,
        resource: &Resource<'_>,
    ) -> Result<Option<ResourceHeader>, Refusal> {
        let start = self.draft.at();
        let source = self.first_source + part;
        // Whatever follows, what is copied has to be there.
        resource.check_range(0, resource.place.size).map_err(Refusal::Damaged)?;
        let ResourceHeader { offset, size: len, .. } = resource.place;
        let flags = match resource.form {
            Form::Stored => {
                self.draft.push(Segment::Copy { source, offset, len });
                ResourceFlags::empty()
            }
            _ if self.draft.coding().codec.is_none() => return Ok(None),
            Form::Chunks(coding, _) if coding != self.draft.coding() => {
                return Err(Refusal::Coding(coding));
            }
            Form::Chunks(_, Layout::Normal) => {
                self.draft.push(Segment::Copy { source, offset, len });
                ResourceFlags::COMPRESSED
            }
            Form::Chunks(_, Layout::Pipable) => {
                recast::from_pipable(resource, source, self.draft).map_err(Refusal::Damaged)?
            }
            Form::Solid(_) => return Ok(None),
        };
        let size = self.draft.at() - start;
        self.outcome.copied += size;
        let uncompressed_size = resource.uncompressed_size();
        Ok(Some(ResourceHeader { size, flags, offset: start, uncompressed_size }))
    }

    /// Adds what is wanted of a solid resource.
    fn solid(&mut self, plan: &SolidPlan) -> Result<(), Error> {
        if let Some(&id) = plan.overlapping.first() {
            return Err(self.wim().damaged(id, Damage::Overlap));
        }
        if !self.draft.takes_solid() {
            for blob in &plan.blobs {
                let place = self.decoded(blob.id);
                self.enter(blob.id, BlobPlace::Resource(place));
            }
            return Ok(());
        }
        let start = self.draft.at();
        let resource = self.wim().parts()[plan.part].solid(plan.index);
        let source = self.first_source + plan.part;
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
        self.outcome.copied += place.size;
        let mut carried = header.uncompressed_size;
        for (blob, offset) in plan.blobs.iter().zip(offsets) {
            carried = carried.saturating_sub(blob.end - blob.offset);
            self.enter(blob.id, BlobPlace::Solid { resource: index, offset });
        }
        self.outcome.carried += carried;
        Ok(())
    }

    /// Enters a blob in the blob table.
    fn enter(&mut self, id: BlobId, place: BlobPlace) {
        let refcount = self.selection.count(id);
        let blob = Blob { refcount, place, ..*self.wim().blob(id) };
        self.draft.enter(blob, Some((self.input, id)));
    }

    fn needs_compression(&self, part: usize, coding: Coding) -> Error {
        let file = self.wim().parts()[part].source.name();
        needs_compression(&file, coding, self.draft.coding())
    }
}

/// Why a resource cannot be taken as it is.
enum Refusal {
    Damaged(Damage),
    /// It has another coding than the destination.
    Coding(Coding),
}
