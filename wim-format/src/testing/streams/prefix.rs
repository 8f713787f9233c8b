/// Lengths of a complete prefix code for symbols of these frequencies, none longer than `longest`.
/// A single symbol gets company, since a code of one codeword is not complete; none at all is the
/// empty code.
#[must_use]
pub fn lengths_for(frequencies: &[u32], longest: u8) -> Vec<u8> {
    let mut frequencies = frequencies.to_vec();
    match frequencies.iter().filter(|&&f| f > 0).count() {
        0 => return vec![0; frequencies.len()],
        1 => {
            let other = usize::from(frequencies[0] > 0);
            frequencies[other] = 1;
        }
        _ => {}
    }
    loop {
        let lengths = huffman(&frequencies);
        if lengths.iter().all(|&length| length <= longest) {
            return lengths;
        }
        // Flatter frequencies make a flatter tree.
        frequencies.iter_mut().filter(|f| **f > 0).for_each(|f| *f = *f / 2 + 1);
    }
}

/// Huffman's algorithm, the slow way: join the two rarest trees until one is left.
fn huffman(frequencies: &[u32]) -> Vec<u8> {
    let mut lengths = vec![0; frequencies.len()];
    let used = (0..frequencies.len()).filter(|&symbol| frequencies[symbol] > 0);
    let mut trees: Vec<(u64, Vec<usize>)> =
        used.map(|symbol| (u64::from(frequencies[symbol]), vec![symbol])).collect();
    while trees.len() > 1 {
        trees.sort_by_key(|tree| std::cmp::Reverse(tree.0));
        if let (Some(a), Some(b)) = (trees.pop(), trees.pop()) {
            let symbols = [a.1, b.1].concat();
            symbols.iter().for_each(|&symbol| lengths[symbol] += 1);
            trees.push((a.0 + b.0, symbols));
        }
    }
    lengths
}

/// The canonical codeword of each symbol, in the lowest bits; 0 for those without one.
#[must_use]
pub fn codewords(lengths: &[u8]) -> Vec<u64> {
    let mut codewords = vec![0; lengths.len()];
    let mut next = 0;
    for length in 1..=16 {
        next <<= 1;
        for (symbol, _) in lengths.iter().enumerate().filter(|(_, own)| **own == length) {
            codewords[symbol] = next;
            next += 1;
        }
    }
    codewords
}
