//! Makes prefix codes: lengths from frequencies (Huffman's, limited), and canonical codewords.

/// Most symbols of any alphabet here.
pub(crate) const MAX_SYMBOLS: usize = 656;
/// The longest codeword of any code here.
const MAX_LENGTH: usize = 16;

/// Room to make codes in.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Used symbols, as `frequency << 10 | symbol`, and again, sorted.
    used: Vec<u32>,
    sorted: Vec<u32>,
    /// The frequencies of inner nodes, and which one each was joined into.
    sums: [u32; MAX_SYMBOLS],
    parents: [u16; MAX_SYMBOLS],
}

const SYMBOL_BITS: u32 = 10;
/// Symbols that occur so often or more are sorted by comparing them.
const OFTEN: usize = 128;
/// More than any frequency.
const NEVER: u32 = u32::MAX;

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            used: vec![0; MAX_SYMBOLS],
            sorted: Vec::with_capacity(MAX_SYMBOLS + 1),
            sums: [0; MAX_SYMBOLS],
            parents: [0; MAX_SYMBOLS],
        }
    }

    /// Sets `lengths` to the codeword lengths of a complete code, none longer than `limit`, that
    /// takes about the fewest bits for symbols of these frequencies (whose sum is below 2^22). No
    /// symbol used gives no codeword; a single one gets company, since one codeword is not
    /// complete.
    pub(crate) fn lengths(&mut self, frequencies: &[u32], limit: usize, lengths: &mut [u8]) {
        lengths.fill(0);
        let Self { used, sorted, sums, parents } = self;
        sort_used(frequencies, used, sorted);
        let symbol = |leaf: u32| leaf as usize & ((1 << SYMBOL_BITS) - 1);
        if let [only] = sorted[..] {
            lengths[symbol(only)] = 1;
            lengths[usize::from(symbol(only) == 0)] = 1;
        }
        if sorted.len() < 2 {
            return;
        }
        let inner = sorted.len() - 1;
        join(sorted, &mut sums[..inner], parents);
        let counts = counts(&parents[..inner - 1], limit);
        let mut rarest = sorted.iter();
        for length in (1..=limit).rev() {
            for &leaf in rarest.by_ref().take(counts[length] as usize) {
                lengths[symbol(leaf)] = length as u8;
            }
        }
    }
}

/// Sets `sorted` to the symbols used, as `frequency << 10 | symbol`, in ascending order. Most symbols are
/// rare: those of each frequency are counted, which takes a third of the time of comparing them.
fn sort_used(frequencies: &[u32], used: &mut [u32], sorted: &mut Vec<u32>) {
    // Whether a symbol is used takes no branch, which would be guessed wrongly too often.
    let mut count = 0;
    for (symbol, &frequency) in frequencies.iter().enumerate() {
        used[count] = frequency << SYMBOL_BITS | symbol as u32;
        count += usize::from(frequency != 0);
    }
    let used = &used[..count];
    let place = |leaf: u32| ((leaf >> SYMBOL_BITS) as usize).min(OFTEN);
    let mut next = [0u32; OFTEN + 1];
    for &leaf in used {
        next[place(leaf)] += 1;
    }
    let mut sum = 0;
    for next in &mut next {
        (*next, sum) = (sum, sum + *next);
    }
    let rare = next[OFTEN] as usize;
    sorted.clear();
    sorted.resize(count, 0);
    for &leaf in used {
        let next = &mut next[place(leaf)];
        sorted[*next as usize] = leaf;
        *next += 1;
    }
    sorted[rare..].sort_unstable();
}

/// Joins the two rarest nodes again and again: `leaves` are in ascending order, and so are the inner nodes
/// as they are made. Sets `parents` to the inner node that each inner one but the root is joined into.
fn join(leaves: &mut Vec<u32>, sums: &mut [u32], parents: &mut [u16; MAX_SYMBOLS]) {
    // Behind the last leaf, and behind the last inner node, lies one that is never the rarer.
    leaves.push(NEVER);
    sums.fill(NEVER);
    let (mut leaf, mut inner) = (0, 0);
    for new in 0..sums.len() {
        let mut sum = 0;
        for _ in 0..2 {
            let (from_leaf, from_inner) = (leaves[leaf] >> SYMBOL_BITS, sums[inner]);
            if from_leaf <= from_inner {
                sum += from_leaf;
                leaf += 1;
            } else {
                sum += from_inner;
                parents[inner] = new as u16;
                inner += 1;
            }
        }
        sums[new] = sum;
    }
    leaves.pop();
}

/// How many codewords there are of each length, given the parents of the inner nodes, which come in the
/// order of their depth, those that are deepest first.
fn counts(parents: &[u16], limit: usize) -> [u32; MAX_LENGTH + 1] {
    let mut counts = [0u32; MAX_LENGTH + 1];
    // Those of a depth: the root at first, which the parents do not hold.
    let (mut first, mut end) = (parents.len(), parents.len() + 1);
    for count in &mut counts[1..limit] {
        // Each inner node of a depth has two nodes below it, of which the inner ones are no codewords.
        let nodes = 2 * (end - first);
        end = first;
        first = parents[..end]
            .iter()
            .rposition(|&parent| usize::from(parent) < end)
            .map_or(0, |last| last + 1);
        *count = (nodes - (end - first)) as u32;
    }
    // What lies deeper is one leaf more than there is room for with each inner node.
    let excess = first;
    counts[limit] = (2 * (end - first) + excess) as u32;
    shorten(&mut counts, limit, excess as i64);
    counts
}

/// Makes codewords longer until the code is no longer over-full by `excess` codewords of `limit`
/// bits, then shorter until it is complete.
fn shorten(counts: &mut [u32; MAX_LENGTH + 1], limit: usize, mut excess: i64) {
    while excess > 0 {
        let Some(length) = (1..limit).rev().find(|&length| counts[length] > 0) else { return };
        counts[length] -= 1;
        counts[length + 1] += 1;
        excess -= 1 << (limit - length - 1);
    }
    while excess < 0 {
        let fits = |length: usize| counts[length] > 0 && 1 << (limit - length) <= -excess;
        let Some(length) = (2..=limit).find(|&length| fits(length)) else { return };
        counts[length] -= 1;
        counts[length - 1] += 1;
        excess += 1 << (limit - length);
    }
}

/// Parts of a code whose codewords are made side by side: most symbols have the length of one close by, and
/// its codeword is the one before.
const PARTS: usize = 4;

/// Gives `put` the canonical codeword of each symbol, by these lengths; 0 for those of no length.
#[inline(always)]
pub(crate) fn each_codeword(lengths: &[u8], mut put: impl FnMut(usize, u32)) {
    let part = lengths.len().div_ceil(PARTS);
    let starts: [usize; PARTS] = std::array::from_fn(|which| (which * part).min(lengths.len()));
    let parts = starts.map(|start| &lengths[start..lengths.len().min(start + part)]);
    // As long as the last one, which is the shortest.
    let in_step = parts[PARTS - 1].len();
    let mut next = [[0u32; MAX_LENGTH + 1]; PARTS];
    let place = |length: u8| usize::from(length).min(MAX_LENGTH);
    for i in 0..in_step {
        (0..PARTS).for_each(|which| next[which][place(parts[which][i])] += 1);
    }
    for (part, next) in parts.iter().zip(&mut next) {
        part[in_step..].iter().for_each(|&length| next[place(length)] += 1);
    }
    let mut first = 0;
    for length in 1..=MAX_LENGTH {
        first <<= 1;
        for next in &mut next {
            (next[length], first) = (first, first + next[length]);
        }
    }
    next.iter_mut().for_each(|next| next[0] = 0);
    let mut give = |which: usize, i: usize| {
        let length = parts[which][i];
        let next = &mut next[which][place(length)];
        put(starts[which] + i, *next);
        *next += u32::from(length != 0);
    };
    for i in 0..in_step {
        (0..PARTS).for_each(|which| give(which, i));
    }
    for (which, part) in parts.iter().enumerate() {
        (in_step..part.len()).for_each(|i| give(which, i));
    }
}

/// Sets `words` to the canonical codewords of these lengths.
pub(crate) fn codewords(lengths: &[u8], words: &mut [u16]) {
    each_codeword(lengths, |symbol, word| words[symbol] = word as u16);
}

/// Sets `words` to the canonical codewords of these lengths, each as `length << 16 | word`.
pub(crate) fn packed_codewords(lengths: &[u8], words: &mut [u32]) {
    let words = &mut words[..lengths.len()];
    each_codeword(lengths, |symbol, word| words[symbol] = u32::from(lengths[symbol]) << 16 | word);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kraft(lengths: &[u8]) -> u32 {
        lengths.iter().filter(|&&length| length > 0).map(|&length| 1 << (16 - length)).sum()
    }

    proptest! {
        #[test]
        fn codes_are_complete_and_limited(
            frequencies in prop::collection::vec(
                prop_oneof![Just(0u32), 1u32..4, 0u32..3000], 2..MAX_SYMBOLS),
            limit in 10usize..=16,
        ) {
            let mut lengths = vec![0; frequencies.len()];
            Builder::new().lengths(&frequencies, limit, &mut lengths);
            let used = frequencies.iter().filter(|&&frequency| frequency > 0).count();
            prop_assert_eq!(kraft(&lengths), if used == 0 { 0 } else { 1 << 16 });
            prop_assert!(lengths.iter().all(|&length| usize::from(length) <= limit));
            if used > 1 {
                for (a, &frequency) in frequencies.iter().enumerate() {
                    prop_assert_eq!(lengths[a] > 0, frequency > 0);
                    for (b, &other) in frequencies.iter().enumerate() {
                        prop_assert!(other == 0 || frequency <= other || lengths[a] <= lengths[b]);
                    }
                }
            }
        }
    }

    #[test]
    fn steep_frequencies_meet_the_limit() {
        for (symbols, limit) in [(8, 7), (20, 15), (30, 16), (8, 3), (20, 5)] {
            let mut frequencies = vec![1u32; symbols];
            for i in 2..symbols {
                frequencies[i] = (frequencies[i - 1] + frequencies[i - 2]).min(100_000);
            }
            let mut lengths = vec![0; symbols];
            Builder::new().lengths(&frequencies, limit, &mut lengths);
            assert_eq!(kraft(&lengths), 1 << 16, "{lengths:?}");
            assert!(lengths.iter().all(|&length| usize::from(length) <= limit));
        }
    }

    #[test]
    fn known_frequencies_give_the_known_lengths() {
        let mut lengths = [0; 6];
        Builder::new().lengths(&[5, 9, 12, 13, 16, 45], 16, &mut lengths);
        assert_eq!(lengths, [4, 4, 3, 3, 3, 1]);
        let mut words = [0; 6];
        codewords(&lengths, &mut words);
        assert_eq!(words, [0b1110, 0b1111, 0b100, 0b101, 0b110, 0]);
    }
}
