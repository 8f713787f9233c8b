//! Large blobs, several at a time: a chunk of each is decoded, then all are hashed in step.

use std::ops::Range;

use bytes::Bytes;
use wim_format::resource::ChunkTable;

use super::buffers::Buffer;
use super::decode::{Decoders, Jobs};
use super::ordered::check;
use super::plan::LANE;
use super::worker::Run;
use crate::archive::BlobId;
use crate::blob::Resource;
use crate::error::{Damage, Error};
use crate::hash::{Sha1, update_many};

/// A large blob on its way.
struct Lane<'r> {
    blob: BlobId,
    resource: Resource<'r>,
    /// `None` for a stored resource.
    table: Option<ChunkTable<'static>>,
    /// What has been read so far.
    offset: u64,
    hash: Sha1,
    damage: Option<Damage>,
    /// This step's bytes.
    step: Step,
}

enum Step {
    /// In the buffer.
    Decoded(Range<usize>),
    Stored(Bytes),
    /// They could not be read, but so many were to be.
    Lost(u64),
}

/// Works on large blobs until there are no more.
pub(crate) fn run<'r>(
    run: &Run<'r, '_>,
    out: &mut Buffer<'_>,
    decoders: &mut Decoders,
    jobs: &mut Jobs,
) -> Result<(), Error> {
    let mut lanes: Vec<Lane<'r>> = Vec::with_capacity(run.shape.lanes);
    loop {
        run.cancel.check()?;
        if run.is_over() {
            return Ok(());
        }
        while lanes.len() < run.shape.lanes
            && let Some(blob) = run.next_large()
        {
            match Lane::open(run, blob) {
                Ok(lane) => lanes.push(lane),
                Err(damage) => run.finish_blob(blob, run.size(blob), Err(damage))?,
            }
        }
        if lanes.is_empty() {
            return Ok(());
        }
        advance(run, &mut lanes, out, decoders, jobs)?;
    }
}

/// Takes every lane a step further and finishes those at their end.
fn advance<'r>(
    run: &Run<'r, '_>,
    lanes: &mut Vec<Lane<'r>>,
    out: &mut Buffer<'_>,
    decoders: &mut Decoders,
    jobs: &mut Jobs,
) -> Result<(), Error> {
    jobs.clear();
    let mut len = 0;
    for (tag, lane) in lanes.iter_mut().enumerate() {
        lane.prepare(&mut len, tag, jobs);
    }
    match out.first(len) {
        Ok(out) => jobs.decode(decoders, out, |tag, damage| {
            lanes[tag].damage.get_or_insert(damage);
        }),
        Err(damage) => lanes.iter_mut().for_each(|lane| lane.lose_step(&damage)),
    }
    for lane in lanes.iter_mut() {
        if let Some(data) = lane.step.bytes(out) {
            run.give(lane.blob, lane.offset, data, lane.damage.is_some())?;
        }
    }
    let mut pairs: Vec<(&mut Sha1, &[u8])> = lanes
        .iter_mut()
        .filter(|lane| lane.damage.is_none())
        .filter_map(|lane| Some((&mut lane.hash, lane.step.bytes(out)?)))
        .collect();
    update_many(&mut pairs);
    for index in (0..lanes.len()).rev() {
        let lane = &mut lanes[index];
        let len = lane.step.len();
        lane.offset += len;
        if lane.offset < lane.resource.uncompressed_size() {
            run.advance(len);
            continue;
        }
        let lane = lanes.swap_remove(index);
        run.finish_blob(lane.blob, len, lane.result(run))?;
    }
    Ok(())
}

impl<'r> Lane<'r> {
    fn open(run: &Run<'r, '_>, blob: BlobId) -> Result<Self, Damage> {
        let resource = run.wim().resource(blob);
        resource.check_range(0, resource.place.size)?;
        let table = resource.table()?;
        resource.expect_soon();
        Ok(Self {
            blob,
            resource,
            table,
            offset: 0,
            hash: Sha1::new(),
            damage: None,
            step: Step::Lost(0),
        })
    }

    /// Adds this step's chunks to `jobs`, to be decoded to `len` and on.
    fn prepare(&mut self, len: &mut usize, tag: usize, jobs: &mut Jobs) {
        let rest = self.resource.uncompressed_size() - self.offset;
        let Some(table) = &self.table else {
            let want = rest.min(LANE);
            self.step = match self.resource.bytes(self.offset, want) {
                Ok(bytes) => Step::Stored(bytes),
                Err(damage) => self.lose(want, damage),
            };
            return;
        };
        let chunk_size = u64::from(table.chunk_size());
        let first = self.offset / chunk_size;
        let want = rest.min(chunk_size.max(LANE));
        let chunks = first..(self.offset + want).div_ceil(chunk_size);
        let start = *len;
        self.step = match jobs.add_from(&self.resource, table, chunks, start, tag) {
            Ok(end) => {
                *len = end;
                Step::Decoded(start..end)
            }
            Err(damage) => {
                jobs.retract(tag);
                self.lose(want, damage)
            }
        };
    }

    fn lose(&mut self, len: u64, damage: Damage) -> Step {
        self.damage.get_or_insert(damage);
        Step::Lost(len)
    }

    /// There was no room to decode this step.
    fn lose_step(&mut self, damage: &Damage) {
        self.step = self.lose(self.step.len(), damage.clone());
    }

    fn result(self, run: &Run<'_, '_>) -> Result<(), Damage> {
        match self.damage {
            Some(damage) => Err(damage),
            None => check(run.wim().blob(self.blob).hash, self.hash.finish()),
        }
    }
}

impl Step {
    fn bytes<'a>(&'a self, out: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Decoded(range) => Some(&out[range.clone()]),
            Self::Stored(bytes) => Some(bytes),
            Self::Lost(_) => None,
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Decoded(range) => range.len() as u64,
            Self::Stored(bytes) => bytes.len() as u64,
            Self::Lost(len) => *len,
        }
    }
}
