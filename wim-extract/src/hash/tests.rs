use super::*;
use proptest::prelude::*;
use sha1::Digest;

fn reference(message: &[u8]) -> Sha1Hash {
    Sha1Hash(sha1::Sha1::digest(message).into())
}

fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| ((i + seed) * 131 + (i >> 8) * 29 + seed) as u8).collect()
}

/// [`sha1_many`] with the kernels of a test's choice.
fn many_with(kernels: &Kernels, messages: &[Vec<u8>]) -> Vec<Sha1Hash> {
    let mut hashes = vec![Sha1Hash::ZERO; messages.len()];
    let lanes = messages.iter().enumerate().map(|(id, message)| {
        let (body, rest) = message.as_chunks();
        Lane { id, state: START, body, tail: Tail::new(rest, message.len() as u64) }
    });
    lanes::run(kernels, lanes, |id, state| hashes[id] = to_hash(state));
    hashes
}

#[test]
fn every_length_around_block_borders() {
    let messages: Vec<Vec<u8>> =
        (0..200).chain([255, 256, 257, 1023, 1024, 4096]).map(|n| bytes(n, n)).collect();
    let expected: Vec<Sha1Hash> = messages.iter().map(|message| reference(message)).collect();
    for kernels in Kernels::every_choice() {
        assert_eq!(many_with(&kernels, &messages), expected, "{kernels:?}");
    }
    for (message, expected) in messages.iter().zip(&expected) {
        assert_eq!(sha1(message), *expected);
    }
    let borrowed: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let mut hashes = vec![Sha1Hash::ZERO; 3];
    sha1_many(&borrowed, &mut hashes);
    assert_eq!(hashes, expected);
}

#[test]
fn any_number_of_messages() {
    for kernels in Kernels::every_choice() {
        for count in 0..40 {
            let messages: Vec<Vec<u8>> = (0..count).map(|i| bytes(i * 37 % 300, i)).collect();
            let expected: Vec<Sha1Hash> = messages.iter().map(|m| reference(m)).collect();
            assert_eq!(many_with(&kernels, &messages), expected, "{count} {kernels:?}");
        }
    }
}

#[test]
fn one_giant_among_dwarfs() {
    let mut messages: Vec<Vec<u8>> = (0..100).map(|i| bytes(i * 11, i)).collect();
    messages.insert(50, bytes(1_000_003, 7));
    let expected: Vec<Sha1Hash> = messages.iter().map(|m| reference(m)).collect();
    for kernels in Kernels::every_choice() {
        assert_eq!(many_with(&kernels, &messages), expected, "{kernels:?}");
    }
}

proptest! {
    #[test]
    fn messages_of_any_length(lengths in proptest::collection::vec(0..3000_usize, 0..50)) {
        let messages: Vec<Vec<u8>> =
            lengths.iter().enumerate().map(|(seed, &n)| bytes(n, seed)).collect();
        let expected: Vec<Sha1Hash> = messages.iter().map(|m| reference(m)).collect();
        for kernels in Kernels::every_choice() {
            prop_assert_eq!(&many_with(&kernels, &messages), &expected);
        }
    }

    #[test]
    fn pieces_of_a_stream(lengths in proptest::collection::vec(0..300_usize, 0..20)) {
        let message = bytes(lengths.iter().sum(), 5);
        let mut sha1 = Sha1::new();
        let mut rest = &message[..];
        for length in lengths {
            let (piece, later) = rest.split_at(length);
            sha1.update(piece);
            rest = later;
        }
        prop_assert_eq!(sha1.finish(), reference(&message));
    }

    /// Several streams advanced together over buffers that end anywhere.
    #[test]
    fn pieces_of_many_streams(
        pieces in proptest::collection::vec(proptest::collection::vec(0..300_usize, 20), 1..6),
    ) {
        let mut streams = vec![Sha1::new(); 20];
        let mut whole = vec![Vec::new(); 20];
        for (round, lengths) in pieces.iter().enumerate() {
            let buffers: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(i, &n)| bytes(n, i + round)).collect();
            for (whole, buffer) in whole.iter_mut().zip(&buffers) {
                whole.extend_from_slice(buffer);
            }
            let mut pairs: Vec<(&mut Sha1, &[u8])> =
                streams.iter_mut().zip(buffers.iter().map(Vec::as_slice)).collect();
            update_many(&mut pairs);
        }
        for (stream, whole) in streams.into_iter().zip(whole) {
            prop_assert_eq!(stream.finish(), reference(&whole));
        }
    }
}
