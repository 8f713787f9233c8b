//! Decoding chunks into a buffer, two at a time.

use std::ops::Range;

use bytes::Bytes;
use wim_format::resource::ChunkTable;
use wim_format::{Codec, Decoder};

use crate::blob::Resource;
use crate::error::Damage;

/// The decoders of one worker, one for each codec and chunk size it has met.
#[derive(Debug, Default)]
pub(crate) struct Decoders(Vec<((Codec, u32), Decoder)>);

/// A chunk to be decoded.
#[derive(Debug)]
pub(crate) struct Job {
    /// Codec and chunk size, by which decoders are told apart; `None` for a chunk stored raw.
    coder: Option<(Codec, u32)>,
    /// Which of the held byte ranges the compressed bytes are in, and where.
    held: usize,
    src: Range<usize>,
    /// Where the decoded bytes go. Jobs are in the order of this and do not overlap.
    dst: Range<usize>,
    /// Number of the chunk in its resource, and where it is in the file.
    chunk: u64,
    file_offset: u64,
    /// What the caller knows the chunk by.
    tag: usize,
}

/// Chunks that are decoded together. Reused from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    held: Vec<Bytes>,
    jobs: Vec<Job>,
}

impl Jobs {
    pub(crate) fn clear(&mut self) {
        self.held.clear();
        self.jobs.clear();
    }

    /// Adds the chunks `chunks` of a resource. `bytes` begins at `base` in the resource and holds
    /// all of them; their decoded bytes go to `dst` and on. Returns where they end there.
    pub(crate) fn add(
        &mut self,
        resource: &Resource<'_>,
        table: &ChunkTable<'_>,
        chunks: Range<u64>,
        (bytes, base): (Bytes, u64),
        mut dst: usize,
        tag: usize,
    ) -> Result<usize, Damage> {
        let codec = resource.coding().and_then(|coding| coding.codec);
        let chunk_size = table.chunk_size();
        for chunk in chunks {
            let span = table.get(chunk).map_err(Damage::Layout)?;
            let file_offset = resource.place.offset + span.offset;
            let start = span.offset.checked_sub(base).and_then(|start| usize::try_from(start).ok());
            let src = start
                .map(|start| start..start.saturating_add(span.compressed as usize))
                .filter(|src| src.end <= bytes.len());
            let Some(src) = src else {
                let end = file_offset + u64::from(span.compressed);
                let file_len = resource.source.len();
                return Err(Damage::Truncated { offset: file_offset, end, file_len });
            };
            let end = dst + span.uncompressed as usize;
            let coder = if span.is_raw() { None } else { codec.map(|codec| (codec, chunk_size)) };
            if coder.is_none() && !span.is_raw() {
                return Err(Damage::NoCodec { offset: file_offset });
            }
            let held = self.held.len();
            self.jobs.push(Job { coder, held, src, dst: dst..end, chunk, file_offset, tag });
            dst = end;
        }
        self.held.push(bytes);
        Ok(dst)
    }

    /// Takes back the jobs of `tag`, which came last.
    pub(crate) fn retract(&mut self, tag: usize) {
        while self.jobs.last().is_some_and(|job| job.tag == tag) {
            self.jobs.pop();
        }
    }

    /// Decodes all chunks into `out`. For a chunk that fails, its place is filled with zeros and
    /// `failed` is told its tag.
    pub(crate) fn decode(
        &self,
        decoders: &mut Decoders,
        out: &mut [u8],
        mut failed: impl FnMut(usize, Damage),
    ) {
        let mut rest = out;
        let mut at = 0;
        let mut single: Option<(&Job, &mut [u8])> = None;
        for job in &self.jobs {
            let (_, after_gap) = rest.split_at_mut(job.dst.start - at);
            let (dst, after) = after_gap.split_at_mut(job.dst.len());
            rest = after;
            at = job.dst.end;
            let Some(coder) = job.coder else {
                dst.copy_from_slice(self.src(job));
                continue;
            };
            match single.take() {
                Some((first, first_dst)) if first.coder == job.coder => {
                    self.decode_two(decoders, coder, (first, first_dst), (job, dst), &mut failed);
                }
                other => {
                    if let Some((first, first_dst)) = other {
                        self.decode_one(decoders, first, first_dst, &mut failed);
                    }
                    single = Some((job, dst));
                }
            }
        }
        if let Some((job, dst)) = single {
            self.decode_one(decoders, job, dst, &mut failed);
        }
    }

    fn src(&self, job: &Job) -> &[u8] {
        &self.held[job.held][job.src.clone()]
    }

    fn decode_one(
        &self,
        decoders: &mut Decoders,
        job: &Job,
        dst: &mut [u8],
        failed: &mut impl FnMut(usize, Damage),
    ) {
        let Some(coder) = job.coder else { return };
        let result = decoders.get(coder).and_then(|decoder| decoder.decode(self.src(job), dst));
        job.conclude(result, dst, failed);
    }

    fn decode_two(
        &self,
        decoders: &mut Decoders,
        coder: (Codec, u32),
        (a, a_dst): (&Job, &mut [u8]),
        (b, b_dst): (&Job, &mut [u8]),
        failed: &mut impl FnMut(usize, Damage),
    ) {
        let [a_result, b_result] = match decoders.get(coder) {
            Ok(decoder) => {
                decoder.decode_two((self.src(a), &mut *a_dst), (self.src(b), &mut *b_dst))
            }
            Err(error) => [Err(error); 2],
        };
        a.conclude(a_result, a_dst, failed);
        b.conclude(b_result, b_dst, failed);
    }
}

impl Job {
    fn conclude(
        &self,
        result: Result<(), wim_format::DecodeError>,
        dst: &mut [u8],
        failed: &mut impl FnMut(usize, Damage),
    ) {
        if let Err(source) = result {
            dst.fill(0);
            failed(
                self.tag,
                Damage::Decode { chunk: self.chunk, offset: self.file_offset, source },
            );
        }
    }
}

impl Decoders {
    fn get(&mut self, coder: (Codec, u32)) -> Result<&mut Decoder, wim_format::DecodeError> {
        let known = self.0.iter().position(|(of, _)| *of == coder);
        let index = match known {
            Some(index) => index,
            None => {
                self.0.push((coder, Decoder::new(coder.0, coder.1)?));
                self.0.len() - 1
            }
        };
        Ok(&mut self.0[index].1)
    }
}
