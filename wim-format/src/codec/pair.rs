//! Decoding one chunk, or two at once.
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
    finish(chunk, src, dst)
}

/// Decodes what is left of a chunk.
fn finish<C: Chunk>(chunk: &mut C, src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
    while let Some(rounds) = chunk.prepare(src, dst)? {
        chunk.read(rounds);
        chunk.write(src, dst)?;
    }
    Ok(())
}

/// Decodes two chunks; the outcome of each is what [`decode`] would give.
pub(crate) fn decode_two<C: Chunk>(
    pair: &mut [C; 2],
    a: (&[u8], &mut [u8]),
    b: (&[u8], &mut [u8]),
) -> [Result<(), DecodeError>; 2] {
    pair.iter_mut().for_each(Chunk::start);
    loop {
        let rounds = match pair[0].prepare(a.0, a.1) {
            Ok(Some(rounds)) => rounds,
            outcome => return [outcome.map(drop), finish(&mut pair[1], b.0, b.1)],
        };
        let rounds = match pair[1].prepare(b.0, b.1) {
            Ok(Some(other)) => rounds.min(other),
            outcome => return [finish(&mut pair[0], a.0, a.1), outcome.map(drop)],
        };
        C::read_both(pair, rounds);
        let outcome_a = pair[0].write(a.0, a.1);
        let outcome_b = pair[1].write(b.0, b.1);
        match (outcome_a, outcome_b) {
            (Ok(()), Ok(())) => {}
            (Ok(()), failed) => return [finish(&mut pair[0], a.0, a.1), failed],
            (failed, Ok(())) => return [failed, finish(&mut pair[1], b.0, b.1)],
            failed => return [failed.0, failed.1],
        }
    }
}
