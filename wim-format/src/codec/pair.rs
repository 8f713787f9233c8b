//! Decoding one chunk, or many, two at a time.
//!
//! Reading a symbol has to wait for the one before, so the symbols of two chunks, read in turn by
//! one loop, take little longer than those of one.

use crate::DecodeError;

/// A chunk on its way through a decoder, batch by batch.
pub(crate) trait Chunk: Sized {
    /// Starts a new chunk, whatever became of the one before.
    fn start(&mut self);

    /// Reads what comes before the next symbols of `src`. Gives how many rounds the symbol loop
    /// should go, or `None` when all of `dst` is written.
    fn prepare(&mut self, src: &[u8], dst: &mut [u8]) -> Result<Option<usize>, DecodeError>;

    /// Reads the symbols of `rounds` rounds.
    fn read(&mut self, rounds: usize);

    /// The same for both chunks of a pair.
    fn read_both(pair: &mut [Self; 2], rounds: usize);

    /// Writes what these symbols stand for.
    fn write(&mut self, src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError>;
}

/// Decodes one chunk.
pub(crate) fn decode<C: Chunk>(
    chunk: &mut C,
    src: &[u8],
    dst: &mut [u8],
) -> Result<(), DecodeError> {
    chunk.start();
    while let Some(rounds) = chunk.prepare(src, dst)? {
        chunk.read(rounds);
        chunk.write(src, dst)?;
    }
    Ok(())
}

/// Decodes chunks, given by their compressed bytes and the place of the decoded ones, two at a time:
/// when one ends, the next one takes its place. `done` is told of each as it ends: what has decoded it, its
/// number, the outcome, which is what [`decode`] would give, and the place.
pub(crate) fn decode_many<'a, C: Chunk>(
    pair: &mut [C; 2],
    chunks: impl IntoIterator<Item = (&'a [u8], &'a mut [u8])>,
    mut done: impl FnMut(&C, usize, Result<(), DecodeError>, &'a mut [u8]),
) {
    let mut waiting = chunks.into_iter().enumerate();
    let mut lanes = [None, None];
    loop {
        let mut rounds = [None; 2];
        for ((rounds, lane), chunk) in rounds.iter_mut().zip(&mut lanes).zip(&mut *pair) {
            *rounds = advance(chunk, lane, &mut waiting, &mut done);
        }
        match rounds {
            [Some(a), Some(b)] => C::read_both(pair, a.min(b)),
            [Some(a), None] => pair[0].read(a),
            [None, Some(b)] => pair[1].read(b),
            [None, None] => return,
        }
        for (lane, chunk) in lanes.iter_mut().zip(&mut *pair) {
            let Some(job) = lane else { continue };
            if let Err(error) = chunk.write(job.src, job.dst)
                && let Some(job) = lane.take()
            {
                done(chunk, job.number, Err(error), job.dst);
            }
        }
    }
}

/// A chunk that is being decoded.
struct Job<'a> {
    number: usize,
    src: &'a [u8],
    dst: &'a mut [u8],
}

/// Gets a lane ready for its symbols, with the next chunk if it has none or the one it has ends.
/// Gives how many rounds the symbol loop should go, or `None` when nothing is left.
fn advance<'a, C: Chunk>(
    chunk: &mut C,
    lane: &mut Option<Job<'a>>,
    waiting: &mut impl Iterator<Item = (usize, (&'a [u8], &'a mut [u8]))>,
    done: &mut impl FnMut(&C, usize, Result<(), DecodeError>, &'a mut [u8]),
) -> Option<usize> {
    loop {
        let job = match lane.take() {
            Some(job) => job,
            None => {
                let (number, (src, dst)) = waiting.next()?;
                chunk.start();
                Job { number, src, dst }
            }
        };
        match chunk.prepare(job.src, job.dst) {
            Ok(Some(rounds)) => {
                *lane = Some(job);
                return Some(rounds);
            }
            outcome => done(chunk, job.number, outcome.map(drop), job.dst),
        }
    }
}
