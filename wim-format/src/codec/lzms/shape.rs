//! The lengths of codewords by Huffman's algorithm, without branches that would be guessed wrongly.
//!
//! The textbook two-queue construction takes the two lightest nodes, leaves before internal nodes
//! of the same weight, and appends their parent to the queue of internal nodes. Which two is a
//! question to the first two of each queue alone: two leaves if the second is no heavier than the
//! first internal node, two internal nodes if the second is lighter than the first leaf, else one
//! of each. Both comparisons are made at once. Leaves of the least weight, which are many, become
//! parents all at once.
//!
//! Children are consumed in the order in which they were made, so depths never grow along the
//! queue. Walking it backwards from the root, it is enough to count internal nodes per depth; the
//! leaves of a depth are what its parents' children leave over.

use std::hint::select_unpredictable;

/// Longest codeword. LZMS's frequencies cannot make a longer one.
pub(super) const MAX_CODE_LENGTH: usize = 15;

/// Number of codewords of each length.
pub(super) type LengthCounts = [u16; MAX_CODE_LENGTH + 1];

/// Room for leaves and two nodes behind the last: a power of two, so that masking an index is free
/// of bounds checks.
const NODES: usize = 1024;
/// Most leaves a code can have.
const MAX_LEAVES: usize = NODES - FILL;
/// Weights written at once.
const FILL: usize = 8;
/// Stands behind the last node of a queue.
const END: u32 = u32::MAX;

/// Working memory, kept from code to code.
#[derive(Debug)]
pub(super) struct Shaper {
    /// Weights in ascending order.
    leaves: [u32; NODES],
    internal: [u32; NODES],
    /// How many children of each internal node are internal nodes.
    children: [u8; NODES],
    leaf_count: usize,
    /// How many leaves of the least weight were added at once.
    lightest: usize,
    failed: bool,
}

impl Shaper {
    pub(super) fn new() -> Self {
        Self {
            leaves: [END; NODES],
            internal: [END; NODES],
            children: [0; NODES],
            leaf_count: 0,
            lightest: 0,
            failed: false,
        }
    }

    /// Forgets all leaves.
    pub(super) fn clear(&mut self) {
        self.leaf_count = 0;
    }

    /// Adds `count` leaves of a weight not below that of earlier ones; more than [`MAX_LEAVES`] are
    /// not taken.
    #[inline(always)]
    pub(super) fn add(&mut self, weight: u32, count: usize) {
        if self.leaf_count == 0 {
            self.lightest = count;
        }
        let end = (self.leaf_count + count).min(MAX_LEAVES);
        // Whole vectors: what is too much is overwritten by what follows.
        let mut at = self.leaf_count;
        while at < end {
            self.leaves[at..at + FILL].fill(weight);
            at += FILL;
        }
        self.leaf_count = end;
    }

    /// Counts the codewords of each length for the leaves added, which are used up. A single leaf
    /// gets one bit. Nothing, if a codeword would be longer than 15 bits.
    pub(super) fn length_counts(&mut self) -> Option<LengthCounts> {
        let mut counts = LengthCounts::default();
        if self.leaf_count <= 1 {
            counts[1] = self.leaf_count as u16;
            return Some(counts);
        }
        self.merge();
        let internal = self.internal_per_depth();
        self.failed |= internal.is_none();
        let internal = internal?;
        for depth in 1..=MAX_CODE_LENGTH {
            counts[depth] = (2 * internal[depth - 1] - internal[depth]) as u16;
        }
        Some(counts)
    }

    /// Whether any code since the last call was impossible.
    pub(super) fn has_failed(&mut self) -> bool {
        std::mem::take(&mut self.failed)
    }

    /// The internal nodes whose children are leaves of the least weight.
    fn first_internal(&self) -> usize {
        (self.lightest / 2).min(self.leaf_count - 1)
    }

    /// Merges all leaves into one tree and notes how.
    fn merge(&mut self) {
        let first = self.first_internal();
        let Self { leaves, internal, children, leaf_count, .. } = self;
        leaves[*leaf_count..][..2].fill(END);
        internal[..first].fill(2 * leaves[0]);
        internal[first..*leaf_count + 2].fill(END);
        let (mut leaf, mut node) = (2 * first, 0);
        for made in first..*leaf_count - 1 {
            let two_of =
                |queue: &[u32; NODES], at: usize| [queue[at % NODES], queue[(at + 1) % NODES]];
            let (l, n) = (two_of(leaves, leaf), two_of(internal, node));
            let (only_leaves, no_leaf) = (l[1] <= n[0], n[1] < l[0]);
            let one = select_unpredictable(no_leaf, n[1], l[0]);
            let other = select_unpredictable(only_leaves, l[1], n[0]);
            let taken = 1 - usize::from(only_leaves) + usize::from(no_leaf);
            internal[made % NODES] = one + other;
            children[made % NODES] = taken as u8;
            node += taken;
            leaf += 2 - taken;
        }
    }

    /// How many internal nodes lie at each depth, 0 being the root's.
    fn internal_per_depth(&self) -> Option<[u32; MAX_CODE_LENGTH + 1]> {
        let mut internal = [0; MAX_CODE_LENGTH + 1];
        internal[0] = 1;
        let (mut depth, mut left, mut below) = (0, 1, 0);
        // The first ones have no children among internal nodes.
        for &children in self.children[self.first_internal()..self.leaf_count - 1].iter().rev() {
            below += u32::from(children);
            left -= 1;
            if left == 0 {
                depth += 1;
                *internal.get_mut(depth)? = below;
                (left, below) = (below, 0);
            }
        }
        if below > 0 {
            *internal.get_mut(depth + 1)? = below;
        }
        // Children of internal nodes at depth 15 would be codewords of 16 bits.
        (internal[MAX_CODE_LENGTH] == 0).then_some(internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The two-queue algorithm one node at a time, depths by walking up to the root.
    fn naive(weights: &[u32]) -> Vec<u16> {
        #[derive(Clone, Copy)]
        struct Node(u32, usize);
        let leaves = weights.len();
        let mut nodes: Vec<Node> = weights.iter().map(|&weight| Node(weight, 0)).collect();
        let (mut leaf, mut inner) = (0, leaves);
        while nodes.len() < 2 * leaves - 1 {
            let mut weight = 0;
            let parent = nodes.len();
            for _ in 0..2 {
                let take_leaf =
                    leaf < leaves && (inner == parent || nodes[leaf].0 <= nodes[inner].0);
                let cursor = if take_leaf { &mut leaf } else { &mut inner };
                weight += nodes[*cursor].0;
                nodes[*cursor].1 = parent;
                *cursor += 1;
            }
            nodes.push(Node(weight, 0));
        }
        let mut counts = vec![0; 64];
        for leaf in 0..leaves {
            let (mut at, mut depth) = (leaf, 0);
            while at != nodes.len() - 1 {
                at = nodes[at].1;
                depth += 1;
            }
            counts[depth] += 1;
        }
        counts
    }

    fn length_counts(weights: &[u32]) -> Option<LengthCounts> {
        let mut shaper = Shaper::new();
        // Whatever an earlier code left behind does not matter.
        shaper.add(1, 5);
        shaper.clear();
        for run in weights.chunk_by(|a, b| a == b) {
            shaper.add(run[0], run.len());
        }
        shaper.length_counts()
    }

    #[test]
    fn equal_weights() {
        let mut counts = LengthCounts::default();
        (counts[6], counts[5]) = (12, 26);
        assert_eq!(length_counts(&[1; 38]), Some(counts));
        (counts[6], counts[5]) = (44, 10);
        assert_eq!(length_counts(&[1; 54]), Some(counts));
    }

    #[test]
    fn one_leaf_gets_one_bit() {
        assert_eq!(length_counts(&[7]).map(|counts| counts[1]), Some(1));
    }

    #[test]
    fn too_deep_is_refused() {
        let mut weights = vec![1, 1];
        while weights.len() < 17 {
            weights.push(weights[weights.len() - 1] + weights[weights.len() - 2]);
        }
        assert_eq!(length_counts(&weights), None);
        assert!(length_counts(&weights[..16]).is_some());
    }

    proptest! {
        #[test]
        fn equals_one_node_at_a_time(
            mut weights in proptest::collection::vec(
                prop_oneof![4 => 1..4_u32, 2 => 1..40_u32, 1 => 1..1000_u32], 2..400,
            ),
        ) {
            weights.sort_unstable();
            let expected = naive(&weights);
            match length_counts(&weights) {
                Some(counts) => {
                    prop_assert_eq!(&expected[..=MAX_CODE_LENGTH], &counts[..]);
                    prop_assert!(expected[MAX_CODE_LENGTH + 1..].iter().all(|&n| n == 0));
                }
                None => prop_assert!(expected[MAX_CODE_LENGTH + 1..].iter().any(|&n| n > 0)),
            }
        }
    }
}
