use std::collections::HashSet;

use proptest::prelude::*;
use wim_extract::source::MemorySource;

use super::*;

/// Bytes that do not repeat.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    let mut bytes = vec![0; len];
    reader.fill(&mut bytes);
    bytes
}

fn pieces(bytes: &[u8], spans: &[Span]) -> Vec<Bytes> {
    let source = MemorySource::new(Bytes::copy_from_slice(bytes), "test");
    Pieces::new(&source, spans).map(Result::unwrap).collect()
}

fn mark_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(blake3::hash(bytes).as_bytes()[..4].try_into().unwrap())
}

#[test]
fn small_files_are_one_piece_and_empty_ones_none() {
    assert_eq!(plain(0), []);
    assert_eq!(plain(1), [Span { len: 1, inside: Inside::OnePiece }]);
    let edge = MIN_PIECE as u64;
    assert_eq!(plain(edge)[0].inside, Inside::OnePiece);
    assert_eq!(plain(edge + 1)[0].inside, Inside::ByContent);
    assert!(pieces(&[], &plain(0)).is_empty());
}

#[test]
fn an_insertion_leaves_most_pieces_of_a_plain_file_alone() {
    let before = noise(40 << 20, 1);
    let mut after = before.clone();
    let _ = after.splice(10_000_000..10_000_000, *b"something new");
    let old: HashSet<Bytes> = pieces(&before, &plain(before.len() as u64)).into_iter().collect();
    let new: usize = pieces(&after, &plain(after.len() as u64))
        .into_iter()
        .filter(|piece| !old.contains(piece))
        .map(|piece| piece.len())
        .sum();
    assert!(new <= 2 * MAX_PIECE, "{new} new bytes");
}

/// A WIM in outline: a header, blobs back to back, a table.
fn outline(blobs: &[Vec<u8>], tables: u64) -> (Vec<u8>, Vec<Span>) {
    let mut file = noise(208, tables);
    let mut resources = Vec::new();
    for blob in blobs {
        let resource =
            Resource { offset: file.len() as u64, len: blob.len() as u64, mark: mark_of(blob) };
        resources.push(resource);
        file.extend_from_slice(blob);
    }
    file.extend(noise(5000, tables));
    let spans = wim(file.len() as u64, resources);
    (file, spans)
}

#[test]
fn a_patched_wim_shares_most_pieces() {
    // 64 MiB in blobs of 2 to 250 KiB; then one in twenty changes, in place and in size.
    let mut blobs: Vec<Vec<u8>> = Vec::new();
    let mut total = 0;
    for seed in 0.. {
        let size = 2048 + mark_of(&u64::to_le_bytes(seed)) as usize % 256_000;
        blobs.push(noise(size, seed));
        total += size;
        if total > 64 << 20 {
            break;
        }
    }
    let (file, spans) = outline(&blobs, 1_000_000);
    let old: HashSet<Bytes> = pieces(&file, &spans).into_iter().collect();
    let changed_region = blobs.len() / 2..blobs.len() / 2 + blobs.len() / 20;
    for index in changed_region {
        let size = blobs[index].len() + 77;
        blobs[index] = noise(size, 1_000_000 + index as u64);
    }
    let (file, spans) = outline(&blobs, 2_000_000);
    let new: usize = pieces(&file, &spans)
        .into_iter()
        .filter(|piece| !old.contains(piece))
        .map(|piece| piece.len())
        .sum();
    let share = new as f64 / file.len() as f64;
    assert!(share < 0.05 + 0.25, "{share}");
    assert!(old.len() > 12, "{} pieces", old.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the resources claim, the pieces are the file.
    #[test]
    fn pieces_always_add_up(
        len in 0_usize..3_000_000,
        claims in prop::collection::vec((0_u64..4_000_000, 0_u64..3_000_000, any::<u32>()), 0..20),
        far in any::<u64>(),
    ) {
        let bytes = noise(len, 3);
        let mut resources: Vec<_> = claims
            .into_iter()
            .map(|(offset, len, mark)| Resource { offset, len, mark })
            .collect();
        resources.push(Resource { offset: far, len: far, mark: 0 });
        let spans = wim(len as u64, resources);
        prop_assert_eq!(spans.iter().map(|span| span.len).sum::<u64>(), len as u64);
        let pieces = pieces(&bytes, &spans);
        prop_assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= MAX_PIECE));
        prop_assert_eq!(pieces.concat(), bytes);
    }
}
