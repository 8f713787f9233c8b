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

use crate::DecodeError;

/// Longest codeword. LZMS's frequencies cannot make a longer one.
pub(super) const MAX_CODE_LENGTH: usize = 15;

/// Number of codewords of each length.
pub(super) type LengthCounts = [u16; MAX_CODE_LENGTH + 1];

/// `count` nodes of the same weight.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WeightRun {
    pub(super) weight: u32,
    pub(super) count: u32,
}

/// `parents` internal nodes made at once, each with `internal` children that are internal nodes.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    parents: u32,
    internal: u32,
}

/// A queue of runs in ascending order of weight.
struct Queue<const N: usize> {
    runs: [WeightRun; N],
    head: usize,
    tail: usize,
}

impl<const N: usize> Queue<N> {
    const END: WeightRun = WeightRun { weight: u32::MAX, count: 0 };

    fn front(&self) -> WeightRun {
        if self.head < self.tail { self.runs[self.head] } else { Self::END }
    }

    /// Removes `count` nodes of the front run, at most as many as it has.
    fn take(&mut self, count: u32) {
        let run = &mut self.runs[self.head];
        run.count -= count;
        self.head += usize::from(run.count == 0);
    }

    fn push(&mut self, run: WeightRun) {
        self.runs[self.tail] = run;
        self.tail += 1;
    }
}

/// Counts the codewords of each length for leaves given as runs of ascending weight, none empty,
/// and of at most `N` leaves in all. A single leaf gets one bit.
///
/// # Errors
/// [`DecodeError::BadCode`] when a codeword would be longer than 15 bits.
pub(super) fn length_counts<const N: usize>(
    leaves: &[WeightRun],
) -> Result<LengthCounts, DecodeError> {
    let mut counts = LengthCounts::default();
    if let [WeightRun { count: 1, .. }] = leaves {
        counts[1] = 1;
        return Ok(counts);
    }
    let mut steps = [Step::default(); N];
    let step_count = merge(leaves, &mut steps);
    let internal = internal_per_depth(&steps[..step_count])?;
    for depth in 1..=MAX_CODE_LENGTH {
        counts[depth] = (2 * internal[depth - 1] - internal[depth]) as u16;
    }
    Ok(counts)
}

/// Merges all leaves into one tree and notes how; returns the number of steps.
fn merge<const N: usize>(leaves: &[WeightRun], steps: &mut [Step; N]) -> usize {
    let mut leaf = Queue { runs: [WeightRun::default(); N], head: 0, tail: leaves.len() };
    leaf.runs[..leaves.len()].copy_from_slice(leaves);
    let mut inner = Queue { runs: [WeightRun::default(); N], head: 0, tail: 0 };
    let mut nodes: u32 = leaves.iter().map(|run| run.count).sum();
    let mut step_count = 0;
    while nodes > 1 {
        let (light, internal) = lightest(&mut leaf, &mut inner);
        let run = light.front();
        let (step, parent) = if run.count >= 2 {
            let parents = run.count / 2;
            light.take(2 * parents);
            (
                Step { parents, internal: 2 * internal },
                WeightRun { weight: 2 * run.weight, count: parents },
            )
        } else {
            light.take(1);
            let (other, also_internal) = lightest(&mut leaf, &mut inner);
            let weight = run.weight + other.front().weight;
            other.take(1);
            (
                Step { parents: 1, internal: internal + also_internal },
                WeightRun { weight, count: 1 },
            )
        };
        inner.push(parent);
        steps[step_count] = step;
        step_count += 1;
        nodes -= step.parents;
    }
    step_count
}

/// The queue whose front is lightest, and 1 if that is the queue of internal nodes, else 0.
#[inline(always)]
fn lightest<'a, const N: usize>(
    leaf: &'a mut Queue<N>,
    inner: &'a mut Queue<N>,
) -> (&'a mut Queue<N>, u32) {
    if leaf.front().weight <= inner.front().weight { (leaf, 0) } else { (inner, 1) }
}

/// How many internal nodes lie at each depth, 0 being the root's.
fn internal_per_depth(steps: &[Step]) -> Result<[u32; MAX_CODE_LENGTH + 1], DecodeError> {
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
                return Err(DecodeError::BadCode);
            }
            let here = parents.min(left);
            internal[depth + 1] += here * step.internal;
            parents -= here;
            left -= here;
        }
    }
    Ok(internal)
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

    fn runs(weights: &[u32]) -> Vec<WeightRun> {
        weights
            .chunk_by(|a, b| a == b)
            .map(|run| WeightRun { weight: run[0], count: run.len() as u32 })
            .collect()
    }

    #[test]
    fn equal_weights() {
        let mut counts = LengthCounts::default();
        (counts[6], counts[5]) = (12, 26);
        assert_eq!(length_counts::<64>(&runs(&[1; 38])), Ok(counts));
        (counts[6], counts[5]) = (44, 10);
        assert_eq!(length_counts::<64>(&runs(&[1; 54])), Ok(counts));
    }

    #[test]
    fn one_leaf_gets_one_bit() {
        assert_eq!(length_counts::<8>(&runs(&[7])).map(|counts| counts[1]), Ok(1));
    }

    #[test]
    fn too_deep_is_an_error() {
        let mut weights = vec![1, 1];
        while weights.len() < 17 {
            weights.push(weights[weights.len() - 1] + weights[weights.len() - 2]);
        }
        assert_eq!(length_counts::<32>(&runs(&weights)), Err(DecodeError::BadCode));
        assert!(length_counts::<32>(&runs(&weights[..16])).is_ok());
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
            match length_counts::<400>(&runs(&weights)) {
                Ok(counts) => {
                    prop_assert_eq!(&expected[..=MAX_CODE_LENGTH], &counts[..]);
                    prop_assert!(expected[MAX_CODE_LENGTH + 1..].iter().all(|&n| n == 0));
                }
                Err(_) => prop_assert!(expected[MAX_CODE_LENGTH + 1..].iter().any(|&n| n > 0)),
            }
        }
    }
}
