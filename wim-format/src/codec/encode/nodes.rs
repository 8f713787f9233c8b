//! The cheapest ways to each position of a chunk.
//!
//! A node holds what the way costs, in the upper half, and its last step, in the lower. So the better
//! of two ways is the smaller number, and many nodes are compared at once.

/// Nodes that are compared at once.
pub(crate) const LANES: usize = 8;
/// Bits of a step.
pub(crate) const STEP_BITS: u32 = 16;
/// No way leads here yet.
pub(crate) const FAR: u32 = u32::MAX;

/// Costs above this are moved down.
const HIGH: u32 = 0x8000 << STEP_BITS;
/// What is left of them: ways to later nodes can be cheaper.
const LOW: u32 = 0x2000 << STEP_BITS;
/// No way costs as much; such nodes have not been reached.
const UNREACHED: u32 = 0xF000 << STEP_BITS;

/// Numbers that lie beside those of nodes, from the start of a cache line on, so that no load of a register
/// spans two of them.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Row<const LEN: usize>(pub(crate) [u32; LEN]);

impl<const LEN: usize> Default for Row<LEN> {
    fn default() -> Self {
        Self([0; LEN])
    }
}

/// For each number of lanes from none to all, what hides those behind them.
pub(crate) const fn masks<const LANES: usize, const NUMBERS: usize>() -> [Row<LANES>; NUMBERS] {
    let mut masks = [Row([0; LANES]); NUMBERS];
    let mut count = 0;
    while count < NUMBERS {
        let mut lane = count;
        while lane < LANES {
            masks[count].0[lane] = FAR;
            lane += 1;
        }
        count += 1;
    }
    masks
}

static MASKS: [Row<LANES>; LANES + 1] = masks();

/// Takes, for each of the first `count` nodes (at least 1), the way that costs `base` and its part of
/// `row` where it is cheaper. Both have `LANES` elements more than that.
#[inline(always)]
pub(crate) fn relax(nodes: &mut [u32], row: &[u32], base: u32, count: usize) {
    let mut left = count;
    let (nodes, _) = nodes.as_chunks_mut::<LANES>();
    let (row, _) = row.as_chunks::<LANES>();
    for (nodes, row) in nodes.iter_mut().zip(row) {
        let Row(mask) = &MASKS[left.min(LANES)];
        // All lanes are read before any is written, so that they become one vector.
        let mut lanes = *nodes;
        for i in 0..LANES {
            lanes[i] = lanes[i].min(base.wrapping_add(row[i]) | mask[i]);
        }
        *nodes = lanes;
        if left <= LANES {
            return;
        }
        left -= LANES;
    }
}

/// The nodes ahead, where a step to them from the current node may be tried.
pub(crate) trait Ahead {
    /// Like [`relax`]; `nodes` are all nodes from the nearest that is tried on.
    fn relax(&mut self, nodes: &mut [u32], row: &[u32], base: u32, count: usize);
    /// Goes on by a node. Gives what it knew of the nearest node that is now too near.
    fn advance(&mut self) -> u32;
    /// Writes all that it knows of the nodes ahead into `nodes`, to go on from any of them.
    fn flush(&mut self, nodes: &mut [u32]);
}

/// Everything is in the nodes themselves.
#[derive(Debug)]
pub(crate) struct InMemory;

impl Ahead for InMemory {
    #[inline(always)]
    fn relax(&mut self, nodes: &mut [u32], row: &[u32], base: u32, count: usize) {
        relax(nodes, row, base, count);
    }

    #[inline(always)]
    fn advance(&mut self) -> u32 {
        FAR
    }

    #[inline(always)]
    fn flush(&mut self, _: &mut [u32]) {}
}

/// Whether costs have become high, so that they are to be made lower.
#[inline(always)]
pub(crate) fn is_high(node: u32) -> bool {
    node >= HIGH
}

/// Keeps costs small: where that of the first node has become high, all get less by as much. Of the
/// others the last `LANES` have not been reached, and wherever `LANES` in a row have not, none
/// behind them has: a step leaves out no more than what is between a match and the next.
#[inline(always)]
pub(crate) fn lower(nodes: &mut [u32]) {
    if nodes[0] < HIGH {
        return;
    }
    let less = (nodes[0] >> STEP_BITS << STEP_BITS) - LOW;
    let (nodes, _) = nodes.as_chunks_mut::<LANES>();
    for nodes in nodes {
        // All lanes are written, changed or not: a store of some of them takes Zen 3 a dozen cycles.
        let mut lanes = *nodes;
        let mut cheapest = FAR;
        for lane in &mut lanes {
            cheapest = cheapest.min(*lane);
            let cost = *lane & !(u32::MAX >> STEP_BITS);
            let step = *lane & (u32::MAX >> STEP_BITS);
            *lane = if *lane < UNREACHED { cost.saturating_sub(less) | step } else { *lane };
        }
        if cheapest >= UNREACHED {
            return;
        }
        *nodes = lanes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_get_lower_as_far_as_there_are_ways() {
        let high = HIGH + LOW;
        let mut nodes = [FAR; 5 * LANES - 3];
        for (i, node) in nodes[..3 * LANES].iter_mut().enumerate() {
            *node = if i % 3 == 1 { FAR } else { high + ((i as u32) << STEP_BITS) + 7 };
        }
        // One that costs less than all are lowered by.
        nodes[2] = (LOW / 2) + 9;
        let before = nodes;
        lower(&mut nodes);
        for (i, (after, before)) in nodes.into_iter().zip(before).enumerate() {
            let lowered = match i {
                2 => 9,
                _ if before == FAR => FAR,
                _ => LOW + ((i as u32) << STEP_BITS) + 7,
            };
            assert_eq!(after, lowered, "node {i}");
        }
    }

    #[test]
    fn low_costs_stay() {
        let nodes = [HIGH - 1, HIGH + 5, FAR];
        let mut after = nodes;
        lower(&mut after);
        assert_eq!(after, nodes);
    }
}
