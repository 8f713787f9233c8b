//! Keeps the lanes of a multi-buffer kernel busy with messages of different lengths.
//!
//! All lanes advance by as many blocks as the one with the fewest left; a lane that is done takes
//! the next message. When fewer lanes are busy than a wide kernel needs to pay, their states move
//! on to the next narrower one, down to plain hashing of what is left.

use super::BLOCK;
use super::kernel::{Kernels, State, Wide, compress};

/// The padded end of a message: up to two blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    blocks: [[u8; BLOCK]; 2],
    /// The blocks still to hash are `blocks[from..]`.
    from: usize,
}

impl Tail {
    /// For a stream that goes on.
    pub(super) const NONE: Self = Self { blocks: [[0; BLOCK]; 2], from: 2 };

    /// For a message of `length` bytes whose last, partial block is `rest`: a one bit, zeros and
    /// the length in bits.
    pub(super) fn new(rest: &[u8], length: u64) -> Self {
        let mut blocks = [[0; BLOCK]; 2];
        let fits = rest.len() < BLOCK - size_of::<u64>();
        let from = usize::from(fits);
        blocks[from][..rest.len()].copy_from_slice(rest);
        blocks[from][rest.len()] = 0x80;
        blocks[1][BLOCK - size_of::<u64>()..]
            .copy_from_slice(&length.wrapping_mul(8).to_be_bytes());
        Self { blocks, from }
    }

    /// The blocks still to hash.
    pub(super) fn blocks(&self) -> &[[u8; BLOCK]] {
        &self.blocks[self.from..]
    }
}

/// A message on its way: first the whole blocks of the caller's buffer, then the padded end.
#[derive(Debug, Clone)]
pub(super) struct Lane<'a> {
    /// Names the message to the caller.
    pub(super) id: usize,
    /// State before the next block; inside a kernel the kernel's copy is the current one.
    pub(super) state: State,
    pub(super) body: &'a [[u8; BLOCK]],
    pub(super) tail: Tail,
}

impl Lane<'_> {
    /// The next blocks that lie together in memory.
    fn next_blocks(&self) -> &[[u8; BLOCK]] {
        if self.body.is_empty() { self.tail.blocks() } else { self.body }
    }

    fn is_done(&self) -> bool {
        self.next_blocks().is_empty()
    }

    /// Drops `count` of [`next_blocks`](Self::next_blocks).
    fn advance(&mut self, count: usize) {
        if self.body.is_empty() {
            self.tail.from += count;
        } else {
            self.body = &self.body[count..];
        }
    }
}

/// A kernel that advances `W` streams at once.
pub(super) trait Kernel<const W: usize>: Copy {
    /// Compresses the blocks into the states; lane `i` is column `i` of `states` and `blocks[i]`,
    /// and all have the same number of blocks.
    fn advance(self, states: &mut [[u32; W]; 5], blocks: [&[[u8; BLOCK]]; W]);
}

/// Hashes all lanes to their ends and reports each final state under the lane's `id`.
pub(super) fn run<'a>(
    kernels: &Kernels,
    lanes: impl Iterator<Item = Lane<'a>>,
    mut done: impl FnMut(usize, State),
) {
    let mut lanes = lanes;
    let mut left: Vec<Lane<'a>> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(wide) = kernels.avx512 {
            left = side_by_side::<16, _>(wide, &mut left.into_iter().chain(&mut lanes), &mut done);
        }
        if let Some(wide) = kernels.sha_ni_4 {
            left = side_by_side::<4, _>(wide, &mut left.into_iter().chain(&mut lanes), &mut done);
        }
        if let Some(wide) = kernels.sha_ni_2 {
            left = side_by_side::<2, _>(wide, &mut left.into_iter().chain(&mut lanes), &mut done);
        }
    }
    for mut lane in left.into_iter().chain(lanes) {
        compress(&mut lane.state, lane.body);
        compress(&mut lane.state, lane.tail.blocks());
        done(lane.id, lane.state);
    }
}

/// Runs lanes `W` at a time while at least as many are busy as the kernel is worth; returns those
/// left unfinished.
fn side_by_side<'a, const W: usize, K: Kernel<W>>(
    Wide { kernel, worth }: Wide<K>,
    waiting: &mut dyn Iterator<Item = Lane<'a>>,
    done: &mut dyn FnMut(usize, State),
) -> Vec<Lane<'a>> {
    let mut busy: Vec<Lane<'a>> = waiting.take(W).collect();
    let mut states = [[0; W]; 5];
    for (column, lane) in busy.iter().enumerate() {
        put_column(&mut states, column, lane.state);
    }
    loop {
        let mut column = 0;
        while let Some(lane) = busy.get_mut(column) {
            if !lane.is_done() {
                column += 1;
                continue;
            }
            done(lane.id, get_column(&states, column));
            if let Some(next) = waiting.next() {
                put_column(&mut states, column, next.state);
                *lane = next;
            } else {
                let last = get_column(&states, busy.len() - 1);
                put_column(&mut states, column, last);
                busy.swap_remove(column);
            }
        }
        if busy.len() < worth.max(1) {
            break;
        }
        let count = busy.iter().map(|lane| lane.next_blocks().len()).min().unwrap_or(0);
        // Idle lanes hash what the first one does, for nobody.
        let blocks =
            std::array::from_fn(|i| &busy.get(i).unwrap_or(&busy[0]).next_blocks()[..count]);
        kernel.advance(&mut states, blocks);
        for lane in &mut busy {
            lane.advance(count);
        }
    }
    for (column, lane) in busy.iter_mut().enumerate() {
        lane.state = get_column(&states, column);
    }
    busy
}

fn get_column<const W: usize>(states: &[[u32; W]; 5], column: usize) -> State {
    states.map(|row| row[column])
}

fn put_column<const W: usize>(states: &mut [[u32; W]; 5], column: usize, state: State) {
    for (row, word) in states.iter_mut().zip(state) {
        row[column] = word;
    }
}
