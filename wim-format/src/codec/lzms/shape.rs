//! Huffman's algorithm on runs of equal weights.
//!
//! The textbook two-queue construction takes the two lightest nodes, leaves before internal nodes
//! of the same weight, and appends their parent to the queue of internal nodes. While the lightest
//! run holds `c` nodes of one weight, its pairs follow one another with nothing between them, so
//! `c / 2` parents are made in one step. Adaptive frequencies are small and mostly equal; a code of
//! 760 symbols takes some 80 steps instead of 759.
//!
//! Children are consumed in the order in which they were made, so depths never grow along the
//! queue. Walking the steps backwards from the root, it is enough to count internal nodes per
//! depth; the leaves of a depth are what its parents' children leave over.

/// Longest codeword. LZMS's frequencies cannot make a longer one.
pub(super) const MAX_CODE_LENGTH: usize = 15;

/// Number of codewords of each length.
pub(super) type LengthCounts = [u16; MAX_CODE_LENGTH + 1];

/// `count` nodes of the same weight.
#[derive(Debug, Clone, Copy)]
struct WeightRun {
    weight: u32,
    count: u32,
}

/// `parents` internal nodes made at once, each with `internal` children that are internal nodes.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    parents: u32,
    internal: u32,
}

/// Most leaves a code can have.
const MAX_LEAVES: usize = 1024;
/// Where the queue of internal nodes begins in [`Shaper::runs`], after the leaves and their end.
const INNER: usize = MAX_LEAVES + 1;
/// Stands behind the last run of a queue.
const END: WeightRun = WeightRun { weight: u32::MAX, count: 0 };

/// Working memory, kept from code to code.
#[derive(Debug)]
pub(super) struct Shaper {
    /// Two queues of runs in ascending order of weight, each followed by [`END`].
    runs: [WeightRun; 2 * (MAX_LEAVES + 1)],
    leaf_runs: usize,
    leaves: u32,
    steps: [Step; MAX_LEAVES],
    failed: bool,
}

impl Shaper {
    pub(super) fn new() -> Self {
        Self {
            runs: [END; 2 * (MAX_LEAVES + 1)],
            leaf_runs: 0,
            leaves: 0,
            steps: [Step::default(); MAX_LEAVES],
            failed: false,
        }
    }

    /// Forgets all leaves.
    pub(super) fn clear(&mut self) {
        (self.leaf_runs, self.leaves) = (0, 0);
    }

    /// Adds `count` leaves of a weight not below that of earlier ones.
    #[inline(always)]
    pub(super) fn add(&mut self, weight: u32, count: u32) {
        self.runs[self.leaf_runs] = WeightRun { weight, count };
        self.leaf_runs += 1;
        self.leaves += count;
    }

    /// Counts the codewords of each length for the leaves added, which are used up. A single leaf
    /// gets one bit. Nothing, if a codeword would be longer than 15 bits.
    pub(super) fn length_counts(&mut self) -> Option<LengthCounts> {
        let mut counts = LengthCounts::default();
        if self.leaves <= 1 {
            counts[1] = self.leaves as u16;
            return Some(counts);
        }
        let steps = self.merge();
        let internal = internal_per_depth(&self.steps[..steps]);
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

    /// Merges all leaves into one tree and notes how; returns the number of steps.
    fn merge(&mut self) -> usize {
        let Self { runs, leaf_runs, leaves, steps, .. } = self;
        runs[*leaf_runs] = END;
        runs[INNER] = END;
        // Fronts of the queue of leaves and of that of internal nodes, and the latter's back.
        let mut heads = [0, INNER];
        let mut back = INNER;
        let mut nodes = *leaves;
        let mut step = 0;
        while nodes > 1 {
            let internal = lightest(runs, heads);
            let run = runs[heads[internal]];
            let parents = run.count / 2;
            let (weight, inner_children) = if parents > 0 {
                take(runs, &mut heads[internal], 2 * parents);
                (2 * run.weight, 2 * internal)
            } else {
                take(runs, &mut heads[internal], 1);
                let also_internal = lightest(runs, heads);
                let other = runs[heads[also_internal]].weight;
                take(runs, &mut heads[also_internal], 1);
                (run.weight + other, internal + also_internal)
            };
            let parents = parents.max(1);
            runs[back] = WeightRun { weight, count: parents };
            back += 1;
            runs[back] = END;
            steps[step] = Step { parents, internal: inner_children as u32 };
            step += 1;
            nodes -= parents;
        }
        step
    }
}

/// The queue whose front is lightest: 0 for leaves, which go first where weights are equal, 1 for
/// internal nodes.
#[inline(always)]
fn lightest(runs: &[WeightRun], heads: [usize; 2]) -> usize {
    usize::from(runs[heads[1]].weight < runs[heads[0]].weight)
}

/// Removes `count` nodes of the run at `head`, at most as many as it has.
#[inline(always)]
fn take(runs: &mut [WeightRun], head: &mut usize, count: u32) {
    let run = &mut runs[*head];
    run.count -= count;
    *head += usize::from(run.count == 0);
}

/// How many internal nodes lie at each depth, 0 being the root's.
fn internal_per_depth(steps: &[Step]) -> Option<[u32; MAX_CODE_LENGTH + 1]> {
    let mut internal = [0; MAX_CODE_LENGTH + 1];
    internal[0] = 1;
    let (mut depth, mut left) = (0, 1);
    for step in steps.iter().rev() {
        let mut parents = step.parents;
        while parents > 0 {
            if left == 0 {
                depth += 1;
                left = internal[depth];
            }
            // Children of depth 16 would be codewords of 16 bits.
            if depth == MAX_CODE_LENGTH {
                return None;
            }
            let here = parents.min(left);
            internal[depth + 1] += here * step.internal;
            parents -= here;
            left -= here;
        }
    }
    Some(internal)
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
            shaper.add(run[0], run.len() as u32);
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
