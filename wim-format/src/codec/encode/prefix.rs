//! Makes prefix codes: lengths from frequencies (Huffman's, limited), and canonical codewords.

/// Most symbols of any alphabet here.
pub(crate) const MAX_SYMBOLS: usize = 656;
/// The longest codeword of any code here.
const MAX_LENGTH: usize = 16;

/// Room to make codes in.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Used symbols by frequency, as `frequency << 10 | symbol`; then parents, then depths.
    nodes: Vec<u32>,
    order: Vec<u16>,
}

const SYMBOL_BITS: u32 = 10;
/// Symbols that occur so often or more are sorted by comparing them.
const OFTEN: usize = 128;

impl Builder {
    pub(crate) fn new() -> Self {
        Self { nodes: Vec::with_capacity(MAX_SYMBOLS), order: Vec::with_capacity(MAX_SYMBOLS) }
    }

    /// Sets `lengths` to the codeword lengths of a complete code, none longer than `limit`, that
    /// takes about the fewest bits for symbols of these frequencies (whose sum is below 2^22). No
    /// symbol used gives no codeword; a single one gets company, since one codeword is not
    /// complete.
    pub(crate) fn lengths(&mut self, frequencies: &[u32], limit: usize, lengths: &mut [u8]) {
        lengths.fill(0);
        let Self { nodes, order } = self;
        sort_used(frequencies, nodes);
        if let [only] = nodes[..] {
            let only = only as usize & ((1 << SYMBOL_BITS) - 1);
            lengths[only] = 1;
            lengths[usize::from(only == 0)] = 1;
        }
        if nodes.len() < 2 {
            return;
        }
        order.clear();
        order.extend(nodes.iter().map(|node| (node & ((1 << SYMBOL_BITS) - 1)) as u16));
        nodes.iter_mut().for_each(|node| *node >>= SYMBOL_BITS);
        join(nodes);
        let counts = counts(nodes, limit);
        let mut rarest = order.iter();
        for length in (1..=limit).rev() {
            for &symbol in rarest.by_ref().take(counts[length] as usize) {
                lengths[usize::from(symbol)] = length as u8;
            }
        }
    }
}

/// Sets `nodes` to the symbols used, as `frequency << 10 | symbol`, in ascending order. Most symbols are
/// rare: those of each frequency are counted, which takes a third of the time of comparing them.
fn sort_used(frequencies: &[u32], nodes: &mut Vec<u32>) {
    let mut next = [0u32; OFTEN + 1];
    let place = |frequency: u32| (frequency as usize).min(OFTEN);
    for &frequency in frequencies {
        next[place(frequency)] += 1;
    }
    next[0] = 0;
    let mut used = 0;
    for next in &mut next {
        (*next, used) = (used, used + *next);
    }
    let rare = next[OFTEN] as usize;
    nodes.clear();
    nodes.resize(used as usize, 0);
    for (symbol, &frequency) in frequencies.iter().enumerate() {
        if frequency != 0 {
            let next = &mut next[place(frequency)];
            nodes[*next as usize] = frequency << SYMBOL_BITS | symbol as u32;
            *next += 1;
        }
    }
    nodes[rare..].sort_unstable();
}

/// Joins the two rarest nodes again and again. `nodes` holds frequencies in ascending order, and
/// then, for each inner node, the one it was joined into; the root is the last but one.
fn join(nodes: &mut [u32]) {
    let count = nodes.len();
    let mut leaf = 0;
    let mut inner = 0;
    for new in 0..count - 1 {
        let mut sum = 0;
        for _ in 0..2 {
            if leaf < count && (inner >= new || nodes[leaf] <= nodes[inner]) {
                sum += nodes[leaf];
                leaf += 1;
            } else {
                sum += nodes[inner];
                nodes[inner] = new as u32;
                inner += 1;
            }
        }
        nodes[new] = sum;
    }
}

/// How many codewords there are of each length, given the inner nodes as [`join`] leaves them.
fn counts(nodes: &mut [u32], limit: usize) -> [u32; MAX_LENGTH + 1] {
    let mut counts = [0u32; MAX_LENGTH + 1];
    let inner = nodes.len() - 1;
    nodes[inner - 1] = 0;
    // Each inner node starts as a leaf, and splits a leaf of the level above.
    counts[1] = 2;
    let mut excess = 0i64;
    for node in (0..inner - 1).rev() {
        let depth = nodes[nodes[node] as usize] + 1;
        nodes[node] = depth;
        let depth = depth as usize;
        if depth < limit {
            counts[depth] -= 1;
            counts[depth + 1] += 2;
        } else {
            // A leaf more than there is room for.
            counts[limit] += 1;
            excess += 1;
        }
    }
    shorten(&mut counts, limit, excess);
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

/// The first codeword of each length; 0 for that of no bits.
fn first_codewords(lengths: &[u8]) -> [u32; MAX_LENGTH + 1] {
    let mut counts = [0u32; MAX_LENGTH + 1];
    for &length in lengths {
        counts[usize::from(length)] += 1;
    }
    counts[0] = 0;
    let mut first = [0u32; MAX_LENGTH + 1];
    for length in 1..=MAX_LENGTH {
        first[length] = (first[length - 1] + counts[length - 1]) << 1;
    }
    first
}

/// Sets `words` to the canonical codewords of these lengths.
pub(crate) fn codewords(lengths: &[u8], words: &mut [u16]) {
    let mut next = first_codewords(lengths);
    for (word, &length) in words.iter_mut().zip(lengths) {
        let next = &mut next[usize::from(length)];
        *word = *next as u16;
        *next += u32::from(length != 0);
    }
}

/// Sets `words` to the canonical codewords of these lengths, each as `length << 16 | word`.
pub(crate) fn packed_codewords(lengths: &[u8], words: &mut [u32]) {
    let mut next = first_codewords(lengths);
    for (word, &length) in words.iter_mut().zip(lengths) {
        let next = &mut next[usize::from(length)];
        *word = u32::from(length) << 16 | *next;
        *next += u32::from(length != 0);
    }
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
