//! SHA-1, by which WIM names and checks its blobs: one stream, or many independent ones at once.
//!
//! One SHA-1 is a chain: each round waits for the one before, and a core spends most of its width
//! waiting. Independent messages have independent chains, so hashing sixteen blobs side by side
//! gives three to four times the bytes per second of one after the other. A single large blob
//! gains nothing: start it early, on a thread of its own, and let other threads take the rest.
//!
//! - [`Sha1`] hashes one stream as it comes.
//! - [`sha1_many`] hashes whole messages in memory; order and sizes may be anything.
//! - [`update_many`] feeds several open streams one buffer each.
//!
//! The kernel is chosen at run time. The environment variable `WIM_EXTRACT_CPU` limits the choice:
//! `scalar` hashes one stream after the other, `sha-ni` and `avx512` allow nothing beyond the
//! named instruction set. Results never depend on it.

mod kernel;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod x86;

use kernel::{Kernels, START, State, compress};
use lanes::{Lane, Tail};
pub use wim_format::Sha1Hash;

/// Bytes that SHA-1 takes at a time.
const BLOCK: usize = 64;

/// How many streams [`sha1_many`] and [`update_many`] advance together at best: 16, 4, 2 or 1.
/// Batches of a few times as many messages keep the lanes full.
#[must_use]
pub fn lanes() -> usize {
    Kernels::get().lanes()
}

/// SHA-1 of one stream.
///
/// ```
/// use wim_extract::hash::Sha1;
///
/// let mut sha1 = Sha1::new();
/// sha1.update(b"a");
/// sha1.update(b"bc");
/// assert_eq!(sha1.finish().to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
/// ```
#[derive(Debug, Clone)]
pub struct Sha1 {
    state: State,
    /// Bytes of the stream so far.
    length: u64,
    /// The last `length % 64` bytes, which do not fill a block yet.
    partial: [u8; BLOCK],
}

impl Default for Sha1 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha1 {
    /// Starts an empty stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: START, length: 0, partial: [0; BLOCK] }
    }

    /// Appends `bytes` to the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        let blocks = self.absorb(bytes);
        compress(&mut self.state, blocks);
    }

    /// Ends the stream.
    #[must_use]
    pub fn finish(mut self) -> Sha1Hash {
        let partial = (self.length % BLOCK as u64) as usize;
        let tail = Tail::new(&self.partial[..partial], self.length);
        compress(&mut self.state, tail.blocks());
        to_hash(self.state)
    }

    /// Appends `bytes` up to their last block border, but leaves it to the caller to compress the
    /// whole blocks returned.
    fn absorb<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [[u8; BLOCK]] {
        let held = (self.length % BLOCK as u64) as usize;
        self.length += bytes.len() as u64;
        if held > 0 {
            let missing = bytes.len().min(BLOCK - held);
            let (head, rest) = bytes.split_at(missing);
            self.partial[held..held + missing].copy_from_slice(head);
            if held + missing < BLOCK {
                return &[];
            }
            compress(&mut self.state, std::slice::from_ref(&self.partial));
            bytes = rest;
        }
        let (blocks, rest) = bytes.as_chunks();
        self.partial[..rest.len()].copy_from_slice(rest);
        blocks
    }
}

/// SHA-1 of one message.
#[must_use]
pub fn sha1(message: &[u8]) -> Sha1Hash {
    let mut sha1 = Sha1::new();
    sha1.update(message);
    sha1.finish()
}

/// SHA-1 of each of `messages`, in their order, written to `hashes` (which is cleared first).
///
/// Longer messages are started first, so that the lanes run dry together.
pub fn sha1_many(messages: &[&[u8]], hashes: &mut Vec<Sha1Hash>) {
    hashes.clear();
    if let [message] = messages {
        return hashes.push(sha1(message));
    }
    hashes.resize(messages.len(), Sha1Hash::ZERO);
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_unstable_by_key(|&index| std::cmp::Reverse(messages[index].len()));
    let whole = order.into_iter().map(|id| {
        let (body, rest) = messages[id].as_chunks();
        let tail = Tail::new(rest, messages[id].len() as u64);
        Lane { id, state: START, body, tail }
    });
    lanes::run(Kernels::get(), whole, |id, state| hashes[id] = to_hash(state));
}

/// Appends to each stream its buffer, as [`Sha1::update`] would one by one.
pub fn update_many(streams: &mut [(&mut Sha1, &[u8])]) {
    if let [(sha1, bytes)] = streams {
        return sha1.update(bytes);
    }
    let mut order: Vec<usize> = (0..streams.len()).collect();
    order.sort_unstable_by_key(|&index| std::cmp::Reverse(streams[index].1.len()));
    let mut open: Vec<Lane<'_>> = Vec::with_capacity(streams.len());
    for id in order {
        let (sha1, bytes) = &mut streams[id];
        let body = sha1.absorb(bytes);
        open.push(Lane { id, state: sha1.state, body, tail: Tail::NONE });
    }
    lanes::run(Kernels::get(), open.into_iter(), |id, state| streams[id].0.state = state);
}

fn to_hash(state: State) -> Sha1Hash {
    let mut bytes = [0; 20];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    Sha1Hash(bytes)
}

#[cfg(test)]
mod tests;
