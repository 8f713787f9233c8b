//! Decoding chunks into a buffer, two at a time.

use std::cmp::Reverse;
use std::ops::Range;

use bytes::Bytes;
use wim_format::resource::ChunkTable;
use wim_format::{Codec, DecodeError, Decoder, Hints};

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

    /// Like [`add`](Self::add), and reads their bytes.
    pub(crate) fn add_from(
        &mut self,
        resource: &Resource<'_>,
        table: &ChunkTable<'_>,
        chunks: Range<u64>,
        dst: usize,
        tag: usize,
    ) -> Result<usize, Damage> {
        let first = table.get(chunks.start).map_err(Damage::Layout)?;
        let last = table.get(chunks.end.saturating_sub(1)).map_err(Damage::Layout)?;
        let end = last.offset + u64::from(last.compressed);
        // Starts are in order only if the table is sound; `add` checks each chunk against the bytes.
        let bytes = resource.bytes(first.offset, end.saturating_sub(first.offset))?;
        self.add(resource, table, chunks, (bytes, first.offset), dst, tag)
    }

    /// Takes back the jobs of `tag`, which came last.
    pub(crate) fn retract(&mut self, tag: usize) {
        while self.jobs.last().is_some_and(|job| job.tag == tag) {
            self.jobs.pop();
        }
    }

    /// Decodes all chunks into `out`. For a chunk that fails, its place is filled with zeros and
    /// `failed` is told its tag; it is called in the order of the jobs.
    pub(crate) fn decode(
        &self,
        decoders: &mut Decoders,
        out: &mut [u8],
        failed: impl FnMut(usize, Damage),
    ) {
        self.decode_with_hints(decoders, out, &mut [], failed);
    }

    /// Like [`decode`](Self::decode), and the matches of each chunk go to `hints`, which are as many as the
    /// jobs and in their order, or none. Those that an encoder would not use are left out.
    pub(crate) fn decode_with_hints(
        &self,
        decoders: &mut Decoders,
        out: &mut [u8],
        hints: &mut [&mut Hints],
        mut failed: impl FnMut(usize, Damage),
    ) {
        let mut coded = self.copy_raw(out);
        // Two are decoded at a time. With the longest first, both lanes run dry together.
        coded.sort_by_key(|&(index, _)| Reverse(self.jobs[index].src.len()));
        let mut failures = Vec::new();
        debug_assert!(hints.is_empty() || hints.len() == self.jobs.len());
        let wants_hints = !hints.is_empty();
        let coder_of = |index: usize| self.jobs[index].coder;
        while let Some(coder) = coded.first().and_then(|&(index, _)| coder_of(index)) {
            let (run, rest): (Vec<_>, _) =
                coded.into_iter().partition(|&(index, _)| coder_of(index) == Some(coder));
            coded = rest;
            let indices: Vec<usize> = run.iter().map(|&(index, _)| index).collect();
            let mut conclude = |number: usize, result, dst: &mut [u8], found: &Hints| match result {
                Ok(()) => {
                    // Others are of no use.
                    if found.are_weighed()
                        && let Some(hints) = hints.get_mut(indices[number])
                    {
                        **hints = found.clone();
                    }
                }
                Err(source) => {
                    dst.fill(0);
                    failures.push((indices[number], source));
                }
            };
            let chunks = run.into_iter().map(|(index, dst)| (self.src(&self.jobs[index]), dst));
            match decoders.get(coder) {
                Ok(decoder) if wants_hints => decoder.decode_many_with_hints(chunks, conclude),
                Ok(decoder) => decoder.decode_many(chunks, |number, result, dst| {
                    conclude(number, result, dst, Hints::NONE);
                }),
                Err(error) => chunks
                    .enumerate()
                    .for_each(|(number, (_, dst))| conclude(number, Err(error), dst, Hints::NONE)),
            }
        }
        failures.sort_unstable_by_key(|&(index, _)| index);
        for (index, source) in failures {
            let job = &self.jobs[index];
            failed(job.tag, Damage::Decode { chunk: job.chunk, offset: job.file_offset, source });
        }
    }

    /// Copies the raw chunks to their places in `out` and gives the others, by their index, with theirs.
    fn copy_raw<'a>(&self, out: &'a mut [u8]) -> Vec<(usize, &'a mut [u8])> {
        let mut coded = Vec::with_capacity(self.jobs.len());
        let mut rest = out;
        let mut at = 0;
        for (index, job) in self.jobs.iter().enumerate() {
            let (_, after_gap) = rest.split_at_mut(job.dst.start - at);
            let (dst, after) = after_gap.split_at_mut(job.dst.len());
            rest = after;
            at = job.dst.end;
            match job.coder {
                None => dst.copy_from_slice(self.src(job)),
                Some(_) => coded.push((index, dst)),
            }
        }
        coded
    }

    fn src(&self, job: &Job) -> &[u8] {
        &self.held[job.held][job.src.clone()]
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

/// Decodes one chunk; one that is as long as its contents is stored raw. The decoder for `coder` is
/// made when it is first needed.
pub(crate) fn decode_one(
    decoder: &mut Option<Decoder>,
    coder: Option<(Codec, u32)>,
    src: &[u8],
    dst: &mut [u8],
) -> Result<(), DecodeError> {
    if src.len() == dst.len() {
        dst.copy_from_slice(src);
        return Ok(());
    }
    let Some((codec, chunk_size)) = coder else { return Err(DecodeError::BadSize) };
    let decoder = match decoder {
        Some(decoder) => decoder,
        None => decoder.insert(Decoder::new(codec, chunk_size)?),
    };
    decoder.decode(src, dst)
}
