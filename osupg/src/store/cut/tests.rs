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
    Pieces::new(&source, spans).map(|cut| cut.unwrap().bytes).collect()
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

/// Blobs of many sizes as in an image: most are small, most bytes are in large ones.
fn blobs(total: usize) -> Vec<Vec<u8>> {
    let mut blobs: Vec<Vec<u8>> = Vec::new();
    let mut sum = 0;
    for seed in 0.. {
        let draw = mark_of(&u64::to_le_bytes(seed)) as usize;
        let size =
            if draw.is_multiple_of(4) { 60_000 + draw % 900_000 } else { 500 + draw % 40_000 };
        blobs.push(noise(size, seed));
        sum += size;
        if sum > total {
            break;
        }
    }
    blobs
}

/// The share of a WIM's bytes that are in pieces that it has not in common with the one before.
fn new_share(before: &[Vec<u8>], after: &[Vec<u8>]) -> f64 {
    let (file, spans) = outline(before, 1_000_000);
    let name = |piece: &Bytes| *blake3::hash(piece).as_bytes();
    let old: HashSet<_> = pieces(&file, &spans).iter().map(name).collect();
    let (file, spans) = outline(after, 2_000_000);
    let new = pieces(&file, &spans).into_iter().filter(|piece| !old.contains(&name(piece)));
    new.map(|piece| piece.len()).sum::<usize>() as f64 / file.len() as f64
}

#[test]
fn a_patched_wim_shares_what_did_not_change() {
    let before = blobs(64 << 20);
    let bytes: usize = before.iter().map(Vec::len).sum();
    // Blobs all over it change, in content and in size, until they are 5 % of the bytes.
    let mut after = before.clone();
    let (mut changed, mut index) = (0, 0);
    while changed < bytes / 20 {
        index = (index + 379) % after.len();
        changed += after[index].len();
        let size = after[index].len() + 77;
        after[index] = noise(size, 1_000_000 + index as u64);
    }
    let least = changed as f64 / bytes as f64;
    let share = new_share(&before, &after);
    assert!((least..least + 0.03).contains(&share), "{share} of {least}");
    // The same where the changed ones are gone and the new ones stand at the end.
    let mut moved: Vec<_> = before.iter().filter(|blob| after.contains(blob)).cloned().collect();
    moved.extend(after.iter().filter(|blob| !before.contains(blob)).cloned());
    let share = new_share(&before, &moved);
    assert!((least..least + 0.03).contains(&share), "{share} of {least}");
}

#[test]
fn a_wim_has_no_more_pieces_than_it_needs() {
    let before = blobs(64 << 20);
    let (file, spans) = outline(&before, 1);
    let pieces = pieces(&file, &spans);
    assert!(pieces.len() < before.len() * 2 / 3, "{} of {}", pieces.len(), before.len());
    assert!(pieces.len() < file.len() / (100 << 10), "{} pieces", pieces.len());
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

#[test]
fn a_short_look_finds_the_end_that_a_long_one_finds() {
    let mut bytes = noise(40 << 20, 5);
    // Without an end for long, and with one at once.
    bytes[10 << 20..25 << 20].fill(0);
    let mut ends = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let rest = &bytes[start..];
        let rest = &rest[..rest.len().min(MAX_PIECE)];
        let cut = FastCDC::new(rest, MIN_PIECE, USUAL_PIECE, MAX_PIECE).cut(0, rest.len()).1;
        start += cut;
        ends.push(cut);
    }
    let found: Vec<_> =
        pieces(&bytes, &plain(bytes.len() as u64)).iter().map(|piece| piece.len()).collect();
    assert_eq!(found, ends);
    assert!(found.contains(&MAX_PIECE) && found.iter().any(|len| *len < WINDOW), "{found:?}");
}
