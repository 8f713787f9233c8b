//! Everything comes back, and what wimlib makes small is small.

use super::*;
use crate::codec::lzms::Decoder;
use crate::codec::lzms::tests::{inputs, model};
use proptest::prelude::*;

/// Encodes a chunk and expects every way of decoding to give it again; gives the size.
fn round_trip(encoder: &mut Encoder, chunk: &[u8]) -> Option<usize> {
    let mut dst = vec![0xAA; chunk.len().saturating_sub(1)];
    let len = encoder.encode(chunk, &mut dst)?;
    for cpu in Cpu::choices() {
        let mut decoded = vec![0; chunk.len()];
        assert_eq!(Decoder::new(cpu).decode(&dst[..len], &mut decoded), Ok(()));
        assert!(decoded == chunk, "something else has come back from {} bytes", chunk.len());
    }
    Some(len)
}

fn encoder(level: Level) -> Encoder {
    Encoder::new(1 << 17, level)
}

#[test]
fn sizes_are_those_of_wimlib_or_less() {
    // With what wimlib makes of each, in `tests/data/lzms`.
    let contents: [(&str, Vec<u8>, usize); 5] = [
        ("text", inputs::text(), include_bytes!("../../../../../tests/data/lzms/text.lzms").len()),
        ("code", inputs::code(), include_bytes!("../../../../../tests/data/lzms/code.lzms").len()),
        (
            "records",
            inputs::records(),
            include_bytes!("../../../../../tests/data/lzms/records.lzms").len(),
        ),
        (
            "repeats",
            inputs::repeats(),
            include_bytes!("../../../../../tests/data/lzms/repeats.lzms").len(),
        ),
        (
            "zeros",
            inputs::zeros(),
            include_bytes!("../../../../../tests/data/lzms/zeros.lzms").len(),
        ),
    ];
    for (name, content, theirs) in contents {
        let sizes = Level::ALL.map(|level| round_trip(&mut encoder(level), &content).unwrap());
        assert!(sizes[2] <= theirs + theirs / 50 + 2, "{name}: {sizes:?}, wimlib {theirs}");
    }
}

#[test]
fn the_smallest_chunks_come_back() {
    for level in Level::ALL {
        let mut encoder = encoder(level);
        for len in 0..300 {
            let small = round_trip(&mut encoder, &vec![7; len]);
            assert!(small.is_some() || len < 16, "{len} equal bytes");
            let pattern: Vec<u8> = (0..len).map(|i| (i * i % 251 % 7) as u8).collect();
            round_trip(&mut encoder, &pattern);
        }
    }
}

#[test]
fn long_matches_reach_far() {
    let mut noise = inputs::repeats()[..2000].to_vec();
    let whole: Vec<u8> = noise.iter().copied().cycle().take(1 << 17).collect();
    let len = round_trip(&mut encoder(Level::Usual), &whole).unwrap();
    assert!(len < 2100, "{len}");
    noise.extend(vec![0; (1 << 17) - 4000]);
    noise.extend_from_within(..2000);
    let len = round_trip(&mut encoder(Level::Usual), &noise).unwrap();
    assert!(len < 2100, "{len}");
}

#[test]
fn noise_is_left_alone_at_once() {
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..1 << 17)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as u8
        })
        .collect();
    assert_eq!(round_trip(&mut encoder(Level::Usual), &noise), None);
}

/// The state that the parser keeps is the one that the format's text describes.
#[test]
fn recent_offsets_are_those_of_the_model() {
    let (mut state, mut output) = (state::State::start(), model::Output::new());
    output.bytes = vec![0; 1000];
    let mut seed = 7_u32;
    for _ in 0..5000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (pick, offset) = ((seed >> 24) % 9, 1 + (seed >> 12) % 90);
        let index = pick as usize % 3;
        let (kind, source, item) = match pick {
            0 => (decisions::Kind::Literal, 0, model::Item::Literal(1)),
            1 => (decisions::Kind::Lz, offset, model::Item::Lz { offset, length: 1 }),
            2 => {
                let item = model::Item::Delta { power: 1, offset, length: 1 };
                (decisions::Kind::Delta, deltas::join(1, offset), item)
            }
            3..=5 => {
                let item = model::Item::LzRepeat { index, length: 1 };
                (decisions::LZ_REPEATS_OF[index], 0, item)
            }
            _ => {
                let item = model::Item::DeltaRepeat { index, length: 1 };
                (decisions::DELTA_REPEATS_OF[index], 0, item)
            }
        };
        state.pass(kind, source);
        output.apply(item);
        // What the next item, whatever it is, can repeat.
        for index in 0..3 {
            assert_eq!(state.lz_repeats()[index], output.lz.get(index));
            let (power, offset) = output.delta.get(index);
            assert_eq!(state.delta_repeats()[index], deltas::join(power, offset));
        }
    }
}

/// Bytes of many characters: noise, few symbols, runs, rising numbers, repetitions, code.
fn chunks() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..200),
        prop::collection::vec(0u8..3, 1..200),
        (any::<u8>(), 1usize..3000).prop_map(|(byte, len)| vec![byte; len]),
        (any::<u32>(), any::<u32>(), 1usize..100).prop_map(|(from, step, count)| {
            let numbers = (0..count as u32).map(|i| from.wrapping_add(i.wrapping_mul(step)));
            numbers.flat_map(u32::to_le_bytes).collect()
        }),
        any::<i32>().prop_map(|target| {
            let mut call = vec![0xE8];
            call.extend((target >> 12).to_le_bytes());
            call
        }),
    ];
    let pieces = prop::collection::vec((piece, any::<prop::sample::Index>(), 0usize..300), 1..60);
    pieces.prop_map(|pieces| {
        let mut bytes = Vec::new();
        for (piece, from, again) in pieces {
            bytes.extend(piece);
            let from = from.index(bytes.len());
            for i in from..from + again {
                bytes.push(bytes[i]);
            }
        }
        bytes.truncate(1 << 17);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_chunk_comes_back(
        two in prop::collection::vec(chunks(), 2),
        level in prop::sample::select(Level::ALL.to_vec()),
    ) {
        let mut used = encoder(level);
        for chunk in two {
            let len = round_trip(&mut used, &chunk);
            prop_assert_eq!(round_trip(&mut encoder(level), &chunk), len);
        }
    }
}
