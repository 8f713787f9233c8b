//! Both ways of decoding against each other, and on streams made to do harm.

use super::{Decoder, SYMBOLS};
use crate::DecodeError;
use crate::codec::cpu::Cpu;
use crate::testing::streams::xpress::{XpressWriter, compress, write};
use crate::testing::streams::{Token, codewords, expand};
use proptest::prelude::*;

/// The outcomes of chunks that are decoded together.
fn together<const N: usize>(
    decoder: &mut Decoder,
    chunks: [(&[u8], &mut [u8]); N],
) -> [Result<(), DecodeError>; N] {
    let mut outcomes = [None; N];
    decoder.decode_many(chunks, |number, outcome, _| {
        assert_eq!(outcomes[number].replace(outcome), None, "a chunk ends once");
    });
    outcomes.map(|outcome| outcome.expect("every chunk ends"))
}

/// Decodes a chunk in every way there is, checks that all agree, and gives what they agree on.
fn decode(src: &[u8], len: usize) -> Result<Vec<u8>, DecodeError> {
    let mut bytes = vec![0; len];
    let expected = super::decode_plainly(src, &mut bytes);
    let other = compress(b"another chunk, another chunk, and another");
    for cpu in Cpu::choices() {
        let mut decoder = Decoder::new(cpu);
        let mut alone = vec![0; len];
        assert_eq!(decoder.decode(src, &mut alone), expected, "the plain decoder differs");
        assert!(expected.is_err() || alone == bytes, "the plain decoder differs");
        for _ in 0..2 {
            let mut two = [vec![0; len], vec![0; len]];
            let [a, b] = &mut two;
            assert_eq!(together(&mut decoder, [(src, a), (src, b)]), [expected; 2]);
            if expected.is_ok() {
                assert!(two.iter().all(|one| *one == bytes), "two chunks at once differ");
            }
            let mut two = [vec![0; len], vec![0; 41]];
            let [a, b] = &mut two;
            assert_eq!(together(&mut decoder, [(src, a), (&other, b)]), [expected, Ok(())]);
            assert_eq!(two[1], b"another chunk, another chunk, and another");
            let [a, b] = &mut two;
            assert_eq!(together(&mut decoder, [(&other, b), (src, a)]), [Ok(()), expected]);
            assert_eq!(two[1], b"another chunk, another chunk, and another");
            assert!(expected.is_err() || two[0] == bytes, "a chunk beside another differs");
            let mut four = [vec![0; len], vec![0; 41], vec![0; len], vec![0; 41]];
            let [a, b, c, d] = &mut four;
            let outcomes = together(&mut decoder, [(src, a), (&other, b), (src, c), (&other, d)]);
            assert_eq!(outcomes, [expected, Ok(()), expected, Ok(())]);
            assert!(four[1] == two[1] && four[3] == two[1], "a chunk that waited differs");
            assert!(
                expected.is_err() || four[0] == two[0] && four[2] == two[0],
                "one of many differs"
            );
        }
    }
    expected.map(|()| bytes)
}

/// Tokens from random numbers, valid and of all kinds.
fn tokens(choices: &[(u8, u32, u32)]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut len = 0;
    for &(kind, a, b) in choices {
        let (token, size) = match kind {
            0..6 => (Token::Literal((a % 7) as u8 * 37), 1),
            6 => (Token::Literal(a as u8), 1),
            kind => {
                let length = 3 + b as usize
                    % match kind {
                        7..10 => 15,
                        10 => 64,
                        11 => 300,
                        12 => 2000,
                        _ => 30,
                    };
                let reach = [8, 40, 3000, 1 << 16][usize::from(kind) % 4];
                (Token::Match { length, offset: 1 + a as usize % len.clamp(1, reach) }, length)
            }
        };
        if (len == 0 && size > 1) || len + size > super::MAX_CHUNK {
            continue;
        }
        len += size;
        tokens.push(token);
    }
    tokens
}

fn choices(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(u8, u32, u32)>> {
    prop::collection::vec((0u8..14, any::<u32>(), any::<u32>()), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_valid_stream_is_decoded(choices in choices(1..6000)) {
        let tokens = tokens(&choices);
        let expected = expand(&tokens);
        prop_assert!(decode(&write(&tokens), expected.len()) == Ok(expected));
    }

    #[test]
    fn damaged_streams_are_judged_alike(
        choices in choices(1..3000),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        wrong_len in prop::option::of(0usize..5000),
        in_table in any::<bool>(),
    ) {
        let tokens = tokens(&choices);
        prop_assume!(!tokens.is_empty());
        let mut stream = write(&tokens);
        let table = if in_table { 0 } else { super::TABLE_LEN };
        for (at, byte) in damage {
            let at = table + at.index(stream.len() - table);
            stream[at] = byte;
        }
        if let Some(cut) = cut {
            stream.truncate(cut.index(stream.len()));
        }
        let _ = decode(&stream, wrong_len.unwrap_or(expand(&tokens).len()));
    }

    #[test]
    fn any_bits_after_a_table_are_survived(
        bits in prop::collection::vec(any::<u8>(), 0..6000),
        frequencies in prop::collection::vec(0u32..1000, SYMBOLS),
        len in 0usize..=super::MAX_CHUNK,
    ) {
        // Literals often enough to get beyond the first match.
        let lengths = crate::testing::streams::lengths_for(
            &frequencies
                .iter()
                .enumerate()
                .map(|(symbol, frequency)| if symbol < 300 { 1 + 9 * frequency } else { frequency / 990 })
                .collect::<Vec<_>>(),
            15,
        );
        let mut stream = XpressWriter::new(&lengths).finish();
        stream.truncate(super::TABLE_LEN);
        stream.extend(bits);
        let _ = decode(&stream, len);
    }

    #[test]
    fn bytes_come_back(bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 1..3000)) {
        prop_assert_eq!(decode(&compress(&bytes), bytes.len()), Ok(bytes));
    }
}

/// The table for codewords of the given lengths.
fn table(lengths: &[(usize, u8)]) -> Vec<u8> {
    let mut all = vec![0; SYMBOLS];
    lengths.iter().for_each(|&(symbol, length)| all[symbol] = length);
    all
}

#[test]
fn the_table_is_whole() {
    let stream = write(&[Token::Literal(7); 9]);
    for len in 0..super::TABLE_LEN {
        assert_eq!(decode(&stream[..len], 9), Err(DecodeError::Truncated));
    }
    assert_eq!(decode(&stream, 9), Ok(vec![7; 9]));
}

#[test]
fn codes_are_complete_or_refused() {
    for lengths in [&[(65, 1)][..], &[(65, 1), (66, 2)], &[(65, 1), (66, 1), (67, 1)], &[]] {
        let stream = XpressWriter::new(&table(lengths)).finish();
        assert_eq!(decode(&stream, 100), Err(DecodeError::BadCode), "{lengths:?}");
        assert_eq!(decode(&stream, 0), Err(DecodeError::BadCode), "{lengths:?}");
    }
}

#[test]
fn zeros_follow_the_end_of_the_stream() {
    let stream = XpressWriter::new(&table(&[(65, 1), (66, 1)])).finish();
    for end in [stream.len(), super::TABLE_LEN, super::TABLE_LEN + 1] {
        let decoded = decode(&stream[..end], super::MAX_CHUNK);
        assert!(decoded == Ok(vec![65; super::MAX_CHUNK]));
    }
    // The byte of a length may be one of them.
    let mut writer = XpressWriter::new(&table(&[(65, 1), (256 + 15, 1)]));
    writer.put(0b011, 3);
    assert_eq!(decode(&writer.finish(), 1 + 2 * 18), Ok(vec![65; 1 + 2 * 18]));
}

#[test]
fn chunks_have_a_largest_size() {
    let mut decoder = Decoder::new(Cpu::detect());
    let dst = &mut vec![0; super::MAX_CHUNK + 1];
    assert_eq!(decoder.decode(&[], dst), Err(DecodeError::BadSize));
    let stream = write(&[Token::Literal(7)]);
    let mut one = [0];
    let two = together(&mut decoder, [(&[], dst), (&stream, &mut one)]);
    assert_eq!(two, [Err(DecodeError::BadSize), Ok(())]);
}

#[test]
fn offsets_stay_within_the_chunk() {
    for (offset, outcome) in [(1, Ok(vec![7; 100])), (2, Err(DecodeError::OffsetBeforeStart))] {
        let tokens = [Token::Literal(7), Token::Match { length: 99, offset }];
        assert_eq!(decode(&write(&tokens), 100), outcome);
        // Far from the end, where copies are wide.
        let tokens = [&tokens[..], &[Token::Literal(7); 900]].concat();
        assert_eq!(decode(&write(&tokens), 1000), outcome.map(|_| vec![7; 1000]));
    }
}

#[test]
fn a_match_ends_with_the_chunk() {
    for length in [3, 17, 18, 272, 273, 274, 5000] {
        let tokens = [Token::Literal(1), Token::Match { length, offset: 1 }];
        let stream = write(&tokens);
        assert_eq!(decode(&stream, length), Err(DecodeError::Overrun));
        assert_eq!(decode(&stream, length + 1), Ok(vec![1; length + 1]));
    }
}

#[test]
fn length_bytes_lie_behind_the_words_read_by_then() {
    // Every number of bits before, during and after, with lengths of all kinds.
    for literals in 0..40 {
        let mut tokens = vec![Token::Literal(1), Token::Literal(2), Token::Literal(3)];
        tokens.extend((0..literals).map(|i| Token::Literal(i % 5)));
        for (i, length) in [18, 272, 273, 17, 300, 65535, 19].into_iter().enumerate() {
            let length = if length == 65535 { 20_000 } else { length };
            tokens.push(Token::Match { length, offset: 1 + (1 << i) % 3 });
            tokens.push(Token::Match { length: 3, offset: 3 });
            tokens.push(Token::Match { length, offset: 3 });
        }
        let expected = expand(&tokens);
        assert!(decode(&write(&tokens), expected.len()) == Ok(expected));
    }
    // So many that the input is taken in by several pieces.
    for literals in 0..9 {
        let mut tokens = vec![Token::Literal(9); 20 + literals];
        for i in 0..3000 {
            tokens.push(Token::Match { length: 18 + i % 3, offset: 1 + i % 19 });
            tokens.extend((0..8).map(|j| Token::Literal((i * 37 + j * 101) as u8)));
            if i == 2000 {
                tokens.push(Token::Match { length: 300, offset: 5 });
            }
        }
        tokens.truncate(21_000);
        let expected = expand(&tokens);
        assert!(decode(&write(&tokens), expected.len()) == Ok(expected));
    }
    // The longest, and one whose three bytes say less than fifteen.
    for (bytes, length) in [([0xFF, 0xFC, 0xFF], 65535), ([0xFF, 2, 0], 5)] {
        let mut writer = XpressWriter::new(&table(&[(65, 1), (256 + 15, 1)]));
        writer.put(0b01, 2);
        writer.put_bytes(&bytes);
        assert_eq!(decode(&writer.finish(), 1 + length), Ok(vec![65; 1 + length]));
    }
}

#[test]
fn the_longest_codewords_are_read() {
    let mut lengths: Vec<(usize, u8)> = (1..=15).map(|length| (length.into(), length)).collect();
    lengths.push((256 + 16 * 3 + 15, 15));
    let table = table(&lengths);
    let codes = codewords(&table);
    let mut writer = XpressWriter::new(&table);
    let mut expected = Vec::new();
    for round in 0..40 {
        for symbol in 1..=15 {
            let symbol = if round % 2 == 0 { symbol } else { 16 - symbol };
            writer.put(codes[symbol], table[symbol].into());
            expected.push(symbol as u8);
        }
        writer.put(codes[256 + 16 * 3 + 15], 15);
        writer.put_bytes(&[round]);
        writer.put(6, 3);
        for _ in 0..usize::from(round) + 18 {
            expected.push(expected[expected.len() - 14]);
        }
    }
    assert_eq!(decode(&writer.finish(), expected.len()), Ok(expected));
}

#[test]
fn overlapping_copies_repeat_what_they_copy() {
    for offset in 1..70 {
        let mut tokens: Vec<Token> = (0..offset as u8).map(Token::Literal).collect();
        for length in [3, 7, 8, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 130, 257, 1000] {
            tokens.push(Token::Match { length, offset });
            tokens.push(Token::Literal(length as u8));
        }
        let expected = expand(&tokens);
        assert_eq!(decode(&write(&tokens), expected.len()), Ok(expected), "offset {offset}");
    }
}
