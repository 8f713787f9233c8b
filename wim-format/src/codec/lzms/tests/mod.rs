pub(super) mod inputs;
pub(super) mod model;

use super::*;
use proptest::prelude::*;
use sha1::{Digest, Sha1};

fn decode(src: &[u8], size: usize) -> Result<Vec<u8>, DecodeError> {
    let mut dst = vec![0; size];
    Decoder::new(Cpu::detect()).decode(src, &mut dst)?;
    Ok(dst)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// A stream of `tests/data/codec-vectors.txt`: `NAME CODEC CHUNK LEVEL len=N`, then the input in
/// hexadecimal or as a description with its SHA-1, then the output.
struct Vector {
    name: String,
    size: usize,
    sha1: Vec<u8>,
    compressed: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let text =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/codec-vectors.txt"));
    let lines: Vec<&str> = text.lines().collect();
    lines
        .windows(3)
        .filter(|lines| lines[0].split(' ').nth(1) == Some("lzms"))
        .map(|lines| {
            let input = lines[1].trim().strip_prefix("in: ").unwrap();
            Vector {
                name: lines[0].to_owned(),
                size: lines[0].rsplit_once("len=").unwrap().1.parse().unwrap(),
                sha1: match input.rsplit_once("sha1=") {
                    Some((_, sha1)) => unhex(sha1),
                    None => Sha1::digest(unhex(input)).to_vec(),
                },
                compressed: unhex(lines[2].rsplit_once("): ").unwrap().1),
            }
        })
        .collect()
}

#[test]
fn vectors_decode() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 6);
    for vector in vectors {
        let decoded = decode(&vector.compressed, vector.size).expect(&vector.name);
        assert_eq!(Sha1::digest(decoded).as_slice(), vector.sha1, "{}", vector.name);
    }
}

#[test]
fn a_decoder_carries_nothing_from_chunk_to_chunk() {
    let mut decoder = Decoder::new(Cpu::detect());
    for _ in 0..3 {
        for vector in vectors() {
            let mut dst = vec![0; vector.size];
            // A failed chunk leaves nothing behind either.
            let _ = decoder.decode(&[0xFF; 30], &mut [0; 999]);
            decoder.decode(&vector.compressed, &mut dst).expect(&vector.name);
            assert_eq!(Sha1::digest(dst).as_slice(), vector.sha1, "{}", vector.name);
        }
    }
}

#[test]
fn impossible_sizes_are_rejected() {
    for size in [0, 1, 2, 3, 5, 7, 17] {
        assert_eq!(decode(&vec![0; size], 100), Err(DecodeError::BadSize), "{size} bytes");
    }
    // Nothing is asked of the streams when there is no output.
    assert_eq!(decode(&[0; 4], 0), Ok(vec![]));
}

#[test]
fn shorter_size_than_encoded_is_an_overrun() {
    // The second item of this stream is a match of 358 bytes.
    let hello = &vectors()[0];
    assert_eq!(decode(&hello.compressed, 364), Err(DecodeError::Overrun));
    // Where the literals alone fill the output, nothing goes past its end.
    assert_eq!(decode(&hello.compressed, 7), Ok(b"hello h".to_vec()));
}

#[test]
fn match_before_any_output_is_rejected() {
    // Decisions of all ones: the first item is a delta match with a recent offset.
    assert_eq!(decode(&[0xFF; 64], 1000), Err(DecodeError::OffsetBeforeStart));
}

#[test]
fn streams_go_on_with_zeros() {
    // All-zero streams: decision 0 is a literal for ever, code 0 is the first of the longest.
    let decoded = decode(&[0; 4], 10_000).unwrap();
    assert_eq!(decoded.len(), 10_000);
    assert_eq!(decoded, decode(&[0; 40_000], 10_000).unwrap());
}

proptest! {
    #[test]
    fn arbitrary_streams_never_panic(mut src: Vec<u8>, size in 0..70_000_usize) {
        src.truncate(src.len() & !1);
        let _ = decode(&src, size);
    }

    #[test]
    fn damaged_streams_never_panic(
        which in 0..6_usize,
        damage in proptest::collection::vec((0..1000_usize, 0..8_u32), 0..4),
        size in 0..6000_usize,
    ) {
        let mut src = vectors().swap_remove(which).compressed;
        for (at, bit) in damage {
            let at = at % src.len();
            src[at] ^= 1 << bit;
        }
        let _ = decode(&src, size);
    }
}

/// The same chunk by every variant of the stages that this machine can run.
fn decode_every_way(src: &[u8], size: usize) -> Vec<Result<Vec<u8>, DecodeError>> {
    let one = |cpu| {
        let mut dst = vec![0; size];
        Decoder::new(cpu).decode(src, &mut dst)?;
        Ok(dst)
    };
    Cpu::choices().into_iter().map(one).collect()
}

/// Makes of three arbitrary numbers an item that is valid at this point of the output.
fn valid_item(output: &model::Output, (kind, a, b): (u8, u32, u32)) -> model::Item {
    let at = output.bytes.len() as u32;
    // Mostly short, at times long.
    let length = 1 + (b >> 8) % (1 << (b % 12));
    let index = (a % 3) as usize;
    match kind {
        4..=6 if at > 0 => model::Item::Lz { offset: 1 + a % at, length },
        7..=8 if output.lz.get(index) <= at => model::Item::LzRepeat { index, length },
        9 => {
            let power = a % 8;
            match (at >> power).checked_sub(1) {
                Some(most) if most > 0 => {
                    model::Item::Delta { power, offset: 1 + (a >> 3) % most, length }
                }
                _ => model::Item::Literal(a as u8),
            }
        }
        10 => {
            let (power, offset) = output.delta.get(index);
            if (u64::from(offset) + 1) << power <= u64::from(at) {
                model::Item::DeltaRepeat { index, length }
            } else {
                model::Item::Literal(a as u8)
            }
        }
        _ => model::Item::Literal((a >> (a & 31)) as u8),
    }
}

/// Encodes items with the model and expects every variant of the decoder to give their output.
fn check_items(seeds: &[(u8, u32, u32)]) {
    let mut output = model::Output::new();
    let mut items = Vec::new();
    for &seed in seeds {
        let item = valid_item(&output, seed);
        output.apply(item);
        items.push(item);
    }
    let mut expected = output.bytes;
    let chunk = model::encode(&items, expected.len());
    x86::undo::<false>(&mut expected, &mut TargetUsage::new());
    for outcome in decode_every_way(&chunk, expected.len()) {
        assert!(outcome.as_ref() == Ok(&expected), "{} items: {:?}", items.len(), outcome.err());
    }
}

#[test]
fn many_rebuilds_of_every_code() {
    // A linear congruential generator: enough items of each kind for several builds.
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let seeds: Vec<_> = (0..30_000).map(|_| ((next() % 11) as u8, next(), next())).collect();
    check_items(&seeds);
}

#[test]
fn first_positions_after_each_kind() {
    // Repeats directly after matches of their own kind and of others: queues lag by one item.
    for kinds in [[4, 7, 7, 4, 7], [9, 10, 10, 9, 10], [4, 9, 7, 10, 0], [7, 0, 7, 7, 7]] {
        for a in 0..27 {
            let mut seeds = vec![(0, 1, 0), (0, 900, 0), (0, 33, 0), (0, 77, 0), (4, 1, 0x302)];
            for (i, kind) in kinds.into_iter().enumerate() {
                seeds.push((kind, a / 3_u32.pow(i as u32 % 3), 0x1203 + a));
            }
            check_items(&seeds);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_sequence_of_items_decodes(
        seeds in proptest::collection::vec((0..11_u8, any::<u32>(), any::<u32>()), 1..3000),
    ) {
        check_items(&seeds);
    }

    /// Processors may differ, results may not: not even for damaged chunks.
    #[test]
    fn every_variant_agrees_on_damage(
        seeds in proptest::collection::vec((0..11_u8, any::<u32>(), any::<u32>()), 1..800),
        damage in proptest::collection::vec((any::<u32>(), 0..8_u32), 1..3),
        size in 0..20_000_usize,
    ) {
        let mut output = model::Output::new();
        let items: Vec<_> = seeds
            .into_iter()
            .map(|seed| {
                let item = valid_item(&output, seed);
                output.apply(item);
                item
            })
            .collect();
        let mut chunk = model::encode(&items, output.bytes.len());
        for (at, bit) in damage {
            let at = at as usize % chunk.len();
            chunk[at] ^= 1 << bit;
        }
        let outcomes = decode_every_way(&chunk, size);
        prop_assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
    }
}

#[test]
fn chunks_made_by_wimlib() {
    macro_rules! fixture {
        ($name:ident) => {
            (
                stringify!($name),
                &include_bytes!(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/../tests/data/lzms/",
                    stringify!($name),
                    ".lzms"
                ))[..],
                inputs::$name(),
            )
        };
    }
    for (name, chunk, content) in
        [fixture!(text), fixture!(code), fixture!(records), fixture!(repeats), fixture!(zeros)]
    {
        for outcome in decode_every_way(chunk, content.len()) {
            assert!(outcome.as_ref() == Ok(&content), "{name}: {:?}", outcome.err());
        }
    }
}
