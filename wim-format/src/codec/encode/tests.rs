//! Everything comes back, whatever it was.

use super::{EncodeError, Encoder, LZMS_LIMIT, Level};
use crate::codec::{Codec, Cpu, Decoder, Hints, decode_plainly};
use crate::testing::check::hints;
use proptest::prelude::*;
use std::num::NonZeroU32;

/// Encodes `chunk` by `used`, which uses the best instructions there are, and by a fresh encoder for each
/// choice of instructions, and checks that all give the same, and that both decoders give the chunk again.
/// Gives the encoded size.
fn round_trip(codec: Codec, size: u32, level: Level, used: &mut Encoder, chunk: &[u8]) -> usize {
    let mut first = vec![0xAA; chunk.len()];
    let mut again = vec![0x55; chunk.len()];
    let len = used.encode(chunk, &mut first);
    for cpu in Cpu::choices() {
        let mut fresh = Encoder::new(codec, size, level).expect("a legal chunk size");
        fresh.set_cpu(cpu);
        assert_eq!(fresh.encode(chunk, &mut again), len, "{cpu:?}: another size");
        let len = len.unwrap_or_default();
        assert!(first[..len] == again[..len], "{cpu:?}: other bytes");
    }
    let Some(len) = len else { return chunk.len() };
    assert!(len < chunk.len(), "not smaller");
    let mut plain = vec![0; chunk.len()];
    assert_eq!(decode_plainly(codec, size, &first[..len], &mut plain), Ok(()));
    assert!(plain == chunk, "the plain decoder gives other bytes");
    let mut decoder = Decoder::with_cpu(codec, size, Cpu::detect()).expect("a legal chunk size");
    let mut fast = vec![0; chunk.len()];
    assert_eq!(decoder.decode(&first[..len], &mut fast), Ok(()));
    assert!(fast == chunk, "the fast decoder gives other bytes");
    len
}

fn kinds() -> Vec<(Codec, u32)> {
    let lzx = (15..=21).map(|order| (Codec::Lzx, 1 << order));
    let xpress = (12..=16).map(|order| (Codec::Xpress, 1 << order));
    let lzms = (15..=21).map(|order| (Codec::Lzms, 1 << order));
    lzx.chain(xpress).chain(lzms).collect()
}

/// Random bytes that are always the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 33
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Code with calls, tables of numbers and words, some of them again and again.
fn mixture(len: usize) -> Vec<u8> {
    let mut noise = Noise(7);
    let mut bytes = Vec::with_capacity(len + 300);
    while bytes.len() < len {
        match noise.next() % 9 {
            0 => {
                bytes.push(0xE8);
                let target = (noise.next() % 20_000_000) as i32 - 8_000_000;
                bytes.extend(target.to_le_bytes());
            }
            1 => bytes.extend([0xE8, noise.next() as u8 % 4, 0, 0, 0]),
            2 => bytes.extend((0..20u16).flat_map(|i| (i * 12).to_le_bytes())),
            3 => bytes.extend(b"the quick brown fox "),
            4 => bytes.extend(vec![noise.next() as u8 % 3; noise.next() as usize % 400]),
            5..8 if bytes.len() > 10 => {
                let offset = 1 + noise.next() as usize % bytes.len();
                for _ in 0..2 + noise.next() % 40 {
                    bytes.push(bytes[bytes.len() - offset]);
                }
            }
            _ => bytes.push(noise.next() as u8),
        }
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn chunks_of_every_size_come_back_at_every_level() {
    for (codec, size) in kinds() {
        let full = size as usize;
        let text = mixture(full);
        for level in Level::ALL {
            if size > 1 << 17 && level > Level::Balanced {
                break;
            }
            let mut used = Encoder::new(codec, size, level).expect("a legal chunk size");
            let mut check = |chunk: &[u8]| round_trip(codec, size, level, &mut used, chunk);
            let whole = check(&text);
            assert!(whole < full * 4 / 5, "{codec:?} {size} {level:?}: {whole}");
            if size > 1 << 16 {
                continue;
            }
            let small = if codec == Codec::Xpress { 500 } else { 120 };
            assert!(check(&vec![0; full]) < small);
            assert!(check(&vec![0xE8; full]) < full / 2);
            for len in [full - 1, full - 2, full / 2 + 1, 300, 65, 64, 10, 2, 1] {
                check(&text[..len]);
                check(&vec![7; len]);
            }
            assert_eq!(check(&Noise(3).bytes(full)), full, "noise does not get smaller");
        }
    }
}

/// The last position of the largest chunk is stored as none, where all chains end: in the next chunk
/// they must not lead on from there, to what lies ahead.
#[test]
fn chains_end_after_the_largest_chunk() {
    let mut noise = Noise(5);
    for (codec, size) in [(Codec::Xpress, 1 << 16), (Codec::Lzx, 1 << 21)] {
        let full = size as usize;
        let mut used = Encoder::new(codec, size, Level::Fast).expect("a legal chunk size");
        round_trip(codec, size, Level::Fast, &mut used, &vec![0; full]);
        let mut chunk: Vec<u8> = noise.bytes(full).iter().map(|byte| 0x40 | (byte % 16)).collect();
        chunk[1000..1005].copy_from_slice(&[0xF1, 0xF2, 0, 0, 1]);
        chunk[2000..2005].copy_from_slice(&[0xF1, 0xF2, 0, 0, 0]);
        chunk[full - 2..].copy_from_slice(&[0xF1, 0xF2]);
        let len = round_trip(codec, size, Level::Fast, &mut used, &chunk);
        assert!(len < full * 3 / 4, "{codec:?}: {len}");
    }
}

/// Near the end of a chunk no block ends, and then a long run of literals may come.
#[test]
fn literals_between_the_last_matches() {
    let (mut noise, text) = (Noise(3), mixture(1 << 15));
    for level in Level::ALL {
        let mut encoder = Encoder::new(Codec::Lzx, 1 << 15, level).expect("a legal chunk size");
        for before in (20_000..28_000).step_by(500) {
            for between in [600, 1500] {
                let mut chunk = text[..before].to_vec();
                let rest = (1 << 15) - before;
                chunk.extend(noise.bytes(rest.saturating_sub(between + 500)));
                chunk.extend(&text[1000..1200]);
                chunk.extend(noise.bytes(between));
                chunk.extend(&text[3000..]);
                chunk.truncate(1 << 15);
                round_trip(Codec::Lzx, 1 << 15, level, &mut encoder, &chunk);
            }
        }
    }
}

/// The fast level searches less of it, and finds what comes behind it, or comes again.
#[test]
fn noise_hides_nothing_for_long() {
    let (half, most) = (1 << 14, 1 << 9);
    let (noise, text) = (Noise(5).bytes(half), mixture(half));
    let mut encoder = Encoder::new(Codec::Lzx, 1 << 15, Level::Fast).expect("a legal chunk size");
    let mut size = |chunk: &[u8]| round_trip(Codec::Lzx, 1 << 15, Level::Fast, &mut encoder, chunk);
    let text_alone = size(&text);
    assert_eq!(size(&noise), half);
    assert!(size(&[&noise[..], &text].concat()) < half + text_alone + most);
    assert!(size(&[&noise[..], &noise].concat()) < half + most);
    assert!(size(&[&text[..], &noise].concat()) < half + text_alone + most);
}

#[test]
fn the_start_of_a_chunk_is_out_of_reach_of_its_end() {
    for (codec, size) in kinds() {
        let mut chunk = vec![9; size as usize];
        let end = chunk.len() - 8;
        chunk[..8].copy_from_slice(b"abcdefgh");
        chunk[end..].copy_from_slice(b"abcdefgh");
        chunk[end - 1] = 8;
        for (level, cut) in Level::ALL.into_iter().flat_map(|level| (0..8).map(move |i| (level, i)))
        {
            // The same bytes at ever greater distance, up to that of the last byte from the first.
            chunk[end..].rotate_right(cut);
            let mut used = Encoder::new(codec, size, level).expect("a legal chunk size");
            round_trip(codec, size, level, &mut used, &chunk);
            if size > 1 << 16 {
                break;
            }
        }
    }
}

#[test]
fn hints_say_what_repeats_what() {
    // Without calls, which are translated before matches are sought.
    let without_calls = |byte: u8| if byte == 0xE8 { 0xE9 } else { byte };
    for size in [1 << 15, 1 << 16] {
        let chunk: Vec<u8> = mixture(size as usize).into_iter().map(without_calls).collect();
        for level in [Level::Fast, Level::Usual] {
            let hints = hints(&chunk, size, level);
            let (mut end, mut matched) = (0, 0);
            for hint in hints.iter() {
                let (range, offset) = (hint.range(), hint.offset());
                if offset == 0 {
                    assert!(range.start >= end + 64, "{range:?}");
                    continue;
                }
                let is_before = (1..=range.start).contains(&offset);
                assert!(range.start >= end && is_before, "{range:?} {offset}");
                let before = range.start - offset..range.end - offset;
                let is_same = chunk[range.clone()].iter().eq(&chunk[before]);
                assert!(is_same, "{range:?} {offset}");
                (end, matched) = (range.end, matched + range.len());
            }
            assert!(matched > chunk.len() / 2, "{matched} of {size}");
            assert_eq!(hints.are_weighed(), level == Level::Usual);
        }
    }
    let large = hints(&mixture(1 << 17), 1 << 17, Level::Usual);
    assert_eq!(large.iter().count(), 0, "a large chunk");
}

/// XPRESS of a chunk at each choice of instructions, which all give the same.
fn hinted(chunk: &[u8], size: u32, level: Level, hints: &Hints) -> Vec<u8> {
    let streams = Cpu::choices().into_iter().map(|cpu| {
        let mut encoder = Encoder::new(Codec::Xpress, size, level).expect("a legal chunk size");
        encoder.set_cpu(cpu);
        let mut stream = vec![0; chunk.len()];
        match encoder.encode_with_hints(chunk, hints, &mut stream) {
            Some(len) => stream.truncate(len),
            None => stream.copy_from_slice(chunk),
        }
        stream
    });
    let mut streams: Vec<Vec<u8>> = streams.collect();
    streams.dedup();
    let [stream] = &mut streams[..] else { panic!("other instructions, other bytes") };
    let mut decoded = chunk.to_vec();
    if stream.len() < chunk.len() {
        decoded.fill(0);
        assert_eq!(decode_plainly(Codec::Xpress, size, stream, &mut decoded), Ok(()));
    }
    assert!(decoded == chunk, "something else comes back");
    std::mem::take(stream)
}

/// A few hints do not keep the rest of a chunk from being searched.
#[test]
fn few_hints_leave_the_rest_to_be_searched() {
    let chunk = mixture(1 << 15);
    let few = Hints::of(&[(100, 2, 50)]);
    let [plain, few] =
        [Hints::NONE, &few].map(|hints| hinted(&chunk, 1 << 15, Level::Usual, hints).len());
    assert!(few < plain * 5 / 4, "{few} for {plain}");
}

#[test]
fn hints_make_nothing_larger() {
    // Text, and binary data of a kind: the same as 32-bit numbers.
    let text = [&include_bytes!("tests.rs")[..], include_bytes!("../lzx/tests.rs")].concat();
    let wide: Vec<u8> = text.iter().flat_map(|&byte| [byte, 0, byte >> 4, 0]).collect();
    for (size, data) in [(1 << 15, &text), (1 << 16, &wide)] {
        let chunk = data[..data.len().min(size as usize)].to_vec();
        let weighed = hints(&chunk, size, Level::Usual);
        let unweighed = hints(&chunk, size, Level::Fast);
        for level in Level::ALL {
            let plain = hinted(&chunk, size, level, Hints::NONE);
            assert!(plain == hinted(&chunk, size, level, &unweighed), "{level:?}: not weighed");
            let stream = hinted(&chunk, size, level, &weighed);
            assert_eq!(plain != stream, level.takes_hints(Codec::Xpress), "{level:?}");
            let (hinted, plain) = (stream.len(), plain.len());
            assert!(hinted <= plain, "{level:?}: {hinted} for {plain}");
        }
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    for (codec, size) in [(Codec::Lzx, 1 << 14), (Codec::Xpress, 1 << 17), (Codec::Lzx, 40_000)] {
        let error = Encoder::new(codec, size, Level::Usual).expect_err("an illegal size");
        assert_eq!(error, EncodeError::ChunkSize { codec, found: size });
    }
    let error = Encoder::new(Codec::Lzms, 1 << 27, Level::Usual).expect_err("much memory");
    let (found, limit) = (1 << 27, LZMS_LIMIT);
    assert_eq!(error, EncodeError::Memory { codec: Codec::Lzms, found, limit });
}

#[test]
fn higher_numbers_never_try_less() {
    for codec in [Codec::Lzx, Codec::Xpress, Codec::Lzms] {
        let level = |number| Level::from_number(codec, NonZeroU32::new(number).expect("not 0"));
        assert!((1..300).all(|number| level(number) <= level(number + 1)));
        assert_eq!(level(1), Level::Fast);
        assert_eq!(level(50), Level::Usual);
        assert_eq!(level(100), Level::Best);
        assert_eq!(level(u32::MAX), Level::Smallest);
    }
}

/// Bytes of many characters: noise, few symbols, repetitions at all distances, calls.
fn chunks(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..200),
        prop::collection::vec(0u8..3, 1..200),
        (any::<u8>(), 1usize..3000).prop_map(|(byte, len)| vec![byte; len]),
        any::<i32>().prop_map(|target| {
            let mut call = vec![0xE8];
            call.extend((target >> 8).to_le_bytes());
            call
        }),
    ];
    let pieces = prop::collection::vec((piece, any::<prop::sample::Index>(), 0usize..300), 1..60);
    pieces.prop_map(move |pieces| {
        let mut bytes = Vec::new();
        for (piece, from, again) in pieces {
            bytes.extend(piece);
            let from = from.index(bytes.len());
            for i in from..from + again {
                bytes.push(bytes[i]);
            }
        }
        bytes.truncate(len);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_chunk_comes_back_by_any_hints(
        two in (chunks(1 << 16), chunks(1 << 16)),
        size in prop::sample::select(vec![1u32 << 12, 1 << 15, 1 << 16]),
        any in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u16>()), 0..50),
    ) {
        let hints = [hints(&two.0, 1 << 16, Level::Usual), hints(&two.1, 1 << 16, Level::Usual)];
        let any = Hints::of(&any);
        prop_assert!(any.are_weighed() || any.iter().count() == 0);
        for chunk in [&two.0, &two.1] {
            let chunk = &chunk[..chunk.len().min(size as usize)];
            for hints in hints.iter().chain([&any]) {
                hinted(chunk, size, Level::Usual, hints);
            }
        }
    }

    #[test]
    fn any_chunk_comes_back(
        two in (chunks(1 << 15), chunks(1 << 15)),
        level in prop::sample::select(Level::ALL.to_vec()),
        lzx in prop::sample::select(vec![1u32 << 15, 1 << 16, 1 << 17]),
    ) {
        for (codec, size) in [(Codec::Lzx, lzx), (Codec::Xpress, 1 << 15), (Codec::Lzms, lzx)] {
            let mut used = Encoder::new(codec, size, level).expect("a legal chunk size");
            for chunk in [&two.0, &two.1] {
                round_trip(codec, size, level, &mut used, chunk);
            }
        }
    }
}
