//! Writing without storing zeros.

use std::{fs::File, io};

use crate::output::write_all_at;

/// The unit in which zeros are left out: the block of most file systems.
const BLOCK: usize = 4096;

/// Writes `data` at `offset` of a new file, leaving out blocks of zeros, which a hole stands for.
/// The caller sets the file's length afterwards, because the last block may be left out too.
pub(super) fn write_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    let first = BLOCK - (offset % BLOCK as u64) as usize;
    let mut start = 0;
    // The run of blocks to be written that ends at `at`.
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(if at == 0 { first } else { at + BLOCK });
        if is_zero(&data[at..end]) {
            write_all_at(file, &data[start..at], offset + start as u64)?;
            start = end;
        }
        at = end;
    }
    write_all_at(file, &data[start..], offset + start as u64)
}

fn is_zero(block: &[u8]) -> bool {
    let (words, rest) = block.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_file_reads_as_what_was_written(
            runs in proptest::collection::vec((0usize..9000, any::<bool>()), 0..8),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut data = Vec::new();
            for (len, zero) in runs {
                data.extend((0..len).map(|i| if zero { 0 } else { i as u8 | 1 }));
            }
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
            cuts.extend([0, data.len()]);
            cuts.sort_unstable();
            let mut file = tempfile::tempfile().unwrap();
            for pair in cuts.windows(2) {
                write_at(&file, &data[pair[0]..pair[1]], pair[0] as u64).unwrap();
            }
            file.set_len(data.len() as u64).unwrap();
            let mut read = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut read).unwrap();
            prop_assert!(read == data);
        }
    }

    #[test]
    fn zeros_take_no_space() {
        let file = tempfile::tempfile().unwrap();
        crate::output::allow_holes(&file);
        let mut data = vec![0; 1 << 20];
        data[500_000] = 1;
        write_at(&file, &data, 0).unwrap();
        file.set_len(data.len() as u64).unwrap();
        let found = crate::status::Status::of(&file).unwrap();
        assert_eq!(found.len(), 1 << 20);
        assert!(found.allocated() < 64 << 10, "{} bytes", found.allocated());
    }
}
