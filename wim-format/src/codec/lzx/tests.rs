//! Both ways of decoding against each other, against lzxd, and on streams made to do harm.

use super::{Decoder, tables};
use crate::DecodeError;
use crate::codec::cpu::Cpu;
use crate::codec::e8;
use crate::testing::streams::lzx::{
    Block, LzxWriter, MATCH_LENGTHS, compress, main_symbols, size_of_token, translate_calls,
};
use crate::testing::streams::{BitWriter, Token, codewords, expand, parse};
use proptest::prelude::*;

/// What the plain decoder makes of a chunk.
fn plain(order: u32, src: &[u8], len: usize) -> Result<Vec<u8>, DecodeError> {
    let mut dst = vec![0; len];
    super::decode_plainly(1 << order, src, &mut dst)?;
    Ok(dst)
}

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
fn decode(order: u32, src: &[u8], len: usize) -> Result<Vec<u8>, DecodeError> {
    let expected = plain(order, src, len);
    let other = compress(b"another chunk, another chunk, and another", order, 5);
    let mut first = None;
    for cpu in Cpu::choices() {
        let mut decoder = Decoder::new(1 << order, cpu);
        let mut alone = vec![0; len];
        let outcome = decoder.decode(src, &mut alone);
        assert_eq!(*first.get_or_insert(outcome), outcome, "the outcome depends on the processor");
        for _ in 0..2 {
            let mut two = [vec![0; len], vec![0; len]];
            let [a, b] = &mut two;
            assert_eq!(together(&mut decoder, [(src, a), (src, b)]), [outcome; 2]);
            if outcome.is_ok() {
                assert!(two.iter().all(|one| *one == alone), "two chunks at once differ");
            }
            let mut two = [vec![0; len], vec![0; 41]];
            let [a, b] = &mut two;
            assert_eq!(together(&mut decoder, [(src, a), (&other, b)]), [outcome, Ok(())]);
            assert_eq!(two[1], b"another chunk, another chunk, and another");
            let [a, b] = &mut two;
            assert_eq!(together(&mut decoder, [(&other, b), (src, a)]), [Ok(()), outcome]);
            assert_eq!(two[1], b"another chunk, another chunk, and another");
            if outcome.is_ok() {
                assert!(two[0] == alone, "a chunk beside another differs");
            }
            let mut four = [vec![0; len], vec![0; 41], vec![0; len], vec![0; 41]];
            let [a, b, c, d] = &mut four;
            let outcomes = together(&mut decoder, [(src, a), (&other, b), (src, c), (&other, d)]);
            assert_eq!(outcomes, [outcome, Ok(()), outcome, Ok(())]);
            assert!(four[1] == two[1] && four[3] == two[1], "a chunk that waited differs");
            assert!(
                outcome.is_err() || four[0] == two[0] && four[2] == two[0],
                "one of many differs"
            );
        }
        match (&expected, outcome) {
            (Ok(bytes), Ok(())) => assert!(*bytes == alone, "the plain decoder differs"),
            (Err(_), Err(_)) => {}
            _ => panic!("plain {:?}, but {outcome:?}", expected.as_ref().map(drop)),
        }
    }
    first.unwrap().and(expected)
}

/// Tokens from random numbers, valid and of all kinds.
fn tokens(choices: &[(u8, u32, u32)], limit: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut len = 0;
    for &(kind, a, b) in choices {
        let token = match kind {
            0..6 => Token::Literal((a % 7) as u8 * 37),
            6 => Token::Literal(0xE8),
            kind => {
                let length = match kind {
                    7..10 => 2 + b as usize % 8,
                    10 => 2 + b as usize % 256,
                    _ => 2 + b as usize % 40,
                };
                let reach = match kind % 4 {
                    0 => 8,
                    1 => 40,
                    2 => 3000,
                    _ => 1 << 21,
                };
                Token::Match { length, offset: 1 + a as usize % len.clamp(1, reach) }
            }
        };
        let size = size_of_token(&token);
        if (len == 0 && size > 1) || len + size > limit {
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

/// A chunk of `tokens` in blocks of the given numbers of tokens.
fn write(order: u32, tokens: &[Token], blocks: &[(bool, usize)]) -> Vec<u8> {
    let mut writer = LzxWriter::new(order);
    let mut rest = tokens;
    for &(aligned, count) in blocks.iter().cycle() {
        let (tokens, after) = rest.split_at(count.min(rest.len()));
        let size = tokens.iter().map(size_of_token).sum();
        writer.block(if aligned { Block::Aligned } else { Block::Verbatim }, tokens, size);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    writer.bytes()
}

/// What tokens stand for, with calls translated back.
fn contents(tokens: &[Token]) -> Vec<u8> {
    let mut bytes = expand(tokens);
    Cpu::PORTABLE.run(e8::Undo { chunk: &mut bytes });
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_valid_stream_is_decoded(
        choices in choices(1..3000),
        order in 15u32..=21,
        blocks in prop::collection::vec((any::<bool>(), 1usize..1500), 1..6),
    ) {
        let tokens = tokens(&choices, 1 << order);
        prop_assume!(!tokens.is_empty());
        let stream = write(order, &tokens, &blocks);
        let expected = contents(&tokens);
        prop_assert_eq!(decode(order, &stream, expected.len()), Ok(expected));
    }

    #[test]
    fn damaged_streams_are_judged_alike(
        choices in choices(1..600),
        order in prop_oneof![Just(15u32), Just(16), Just(17), Just(21)],
        blocks in prop::collection::vec((any::<bool>(), 1usize..300), 1..4),
        flips in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        cut in any::<prop::sample::Index>(),
        lie in -2isize..3,
    ) {
        let tokens = tokens(&choices, 1 << order);
        prop_assume!(!tokens.is_empty());
        let mut stream = write(order, &tokens, &blocks);
        let len = expand(&tokens).len();
        for flip in flips {
            let bit = flip.index(8 * stream.len());
            stream[bit / 8] ^= 1 << (bit % 8);
        }
        let _ = decode(order, &stream, len);
        stream.truncate(cut.index(stream.len() + 1));
        let _ = decode(order, &stream, len);
        let _ = decode(order, &stream, len.saturating_add_signed(lie).min(1 << order));
    }

    #[test]
    fn any_bytes_are_survived(
        src in prop::collection::vec(any::<u8>(), 0..400),
        order in 15u32..=21,
        len in 0usize..3000,
    ) {
        let _ = decode(order, &src, len);
    }

    #[test]
    fn bytes_come_back(bytes in prop::collection::vec(prop_oneof![Just(0xE8u8), Just(0u8), any::<u8>()], 1..3000)) {
        let stream = compress(&bytes, 15, 400);
        prop_assert_eq!(decode(15, &stream, bytes.len()), Ok(bytes));
    }

    #[test]
    fn lzxd_agrees(choices in choices(1..3000), aligned in any::<bool>()) {
        let mut tokens = tokens(&choices, 1 << 15);
        // lzxd translates the target 0 as if it were negative; wimlib does as we do.
        if expand(&tokens).windows(5).any(|call| call == [0xE8, 0, 0, 0, 0]) {
            tokens.iter_mut().filter(|t| **t == Token::Literal(0xE8)).for_each(|t| *t = Token::Literal(1));
        }
        prop_assume!(!tokens.is_empty());
        let stream = write(15, &tokens, &[(aligned, usize::MAX)]);
        let expected = lzxd(&stream, expand(&tokens).len());
        // An aligned code that no match needs may be empty, as wimlib has it; lzxd refuses it.
        prop_assume!(expected != Err("DecompressError(EmptyTree)".to_owned()));
        let expected = expected.unwrap();
        prop_assert_eq!(decode(15, &stream, expected.len()), Ok(expected));
    }
}

/// Decodes a chunk of one block with lzxd, which wants the header that cabinets have: a bit and the
/// file size for the translation of calls, and always 24 bits of block size.
fn lzxd(stream: &[u8], len: usize) -> Result<Vec<u8>, String> {
    let old = BitWriter::from_bytes(stream);
    let short = len == 32768;
    let kind = u64::from(u16::from_le_bytes([stream[0], stream[1]]) >> 13);
    let mut new = BitWriter::default();
    new.put(1, 1);
    new.put(12_000_000, 32);
    new.put(kind, 3);
    new.put(len as u64, 24);
    new.append(&old, if short { 4 } else { 20 });
    let mut decoder = ::lzxd::Lzxd::new(::lzxd::WindowSize::KB32);
    let decoded = decoder.decompress_next(&new.bytes(), len);
    decoded.map(<[u8]>::to_vec).map_err(|error| format!("{error:?}"))
}

/// A chunk that starts with a block header and codes with the given lengths.
fn with_codes(
    block: Block,
    main: &[(usize, u8)],
    length: &[(usize, u8)],
    aligned: &[(usize, u8)],
) -> LzxWriter {
    let lengths = |symbols: &[(usize, u8)], alphabet: usize| {
        let mut lengths = vec![0; alphabet];
        symbols.iter().for_each(|&(symbol, length)| lengths[symbol] = length);
        lengths
    };
    let mut writer = LzxWriter::new(15);
    writer.block_header(if block == Block::Verbatim { 1 } else { 2 }, 100);
    let main = lengths(main, main_symbols(15));
    writer.codes(block, &main, &lengths(length, 249), &lengths(aligned, 8));
    writer
}

/// Main symbol of a match.
fn main_symbol(slot: usize, header: usize) -> usize {
    256 + 8 * slot + header
}

#[test]
fn a_chunk_of_no_bytes_needs_no_stream() {
    assert_eq!(decode(15, &[], 0), Ok(Vec::new()));
    assert_eq!(decode(15, &[1, 2, 3], 0), Ok(Vec::new()));
}

#[test]
fn an_empty_stream_has_no_block() {
    assert_eq!(decode(15, &[], 10), Err(DecodeError::BadBlock));
}

#[test]
fn zeros_follow_the_end_of_the_stream() {
    // 100 literals of one zero bit each, none of which is there.
    let writer = with_codes(Block::Verbatim, &[(65, 1), (66, 1)], &[], &[]);
    assert_eq!(decode(15, &writer.bytes(), 100), Ok(vec![65; 100]));
    // The same for a whole chunk: far beyond the end.
    let mut writer = LzxWriter::new(21);
    writer.block_header(1, 1 << 21);
    let mut main = vec![0; main_symbols(21)];
    (main[65], main[66]) = (1, 1);
    writer.codes(Block::Verbatim, &main, &[0; 249], &[]);
    assert_eq!(decode(21, &writer.bytes(), 1 << 21), Ok(vec![65; 1 << 21]));
}

#[test]
fn codes_are_complete_or_refused() {
    for main in [&[(65, 1)][..], &[(65, 1), (66, 2)], &[(65, 1), (66, 1), (67, 1)], &[]] {
        let writer = with_codes(Block::Verbatim, main, &[], &[]);
        assert_eq!(decode(15, &writer.bytes(), 100), Err(DecodeError::BadCode), "main {main:?}");
    }
    let main = &[(65, 1), (main_symbol(0, 7), 1)];
    for length in [&[(1, 1)][..], &[(0, 1), (1, 1), (2, 1)], &[(3, 16)]] {
        let writer = with_codes(Block::Verbatim, main, length, &[]);
        assert_eq!(decode(15, &writer.bytes(), 100), Err(DecodeError::BadCode), "{length:?}");
    }
    for aligned in [&[(1, 1)][..], &[(0, 1), (1, 1), (2, 1)], &[(3, 7)]] {
        let writer = with_codes(Block::Aligned, main, &[], aligned);
        assert_eq!(decode(15, &writer.bytes(), 100), Err(DecodeError::BadCode), "{aligned:?}");
    }
}

#[test]
fn empty_codes_may_be_declared_and_not_used() {
    let main = &[(65, 1), (main_symbol(0, 7), 2), (main_symbol(8, 0), 2)];
    let writer = with_codes(Block::Aligned, main, &[], &[]);
    assert_eq!(decode(15, &writer.bytes(), 100), Ok(vec![65; 100]));
    for used in [0b0010, 0b0011] {
        let mut writer = writer.clone();
        writer.bits.put(used, 4);
        assert_eq!(decode(15, &writer.bytes(), 100), Err(DecodeError::BadCode), "{used:b}");
    }
}

#[test]
fn a_code_that_is_bad_beyond_the_end_of_the_block_does_no_harm() {
    let main = &[(65, 1), (main_symbol(0, 7), 2), (main_symbol(8, 0), 2)];
    let mut writer = with_codes(Block::Aligned, main, &[], &[]);
    writer.bits.put(0, 64);
    writer.bits.put(0, 36);
    writer.bits.put(0b10, 2);
    assert_eq!(decode(15, &writer.bytes(), 100), Ok(vec![65; 100]));
}

#[test]
fn a_pretree_run_ends_with_its_part() {
    for (symbol, extra, bits) in [(17, 15, 4), (18, 31, 5), (19, 1, 1)] {
        let mut writer = LzxWriter::new(15);
        writer.block_header(1, 100);
        let (lengths, codes) = writer.pretree();
        let mut put = |symbol: usize| writer.bits.put(codes[symbol], lengths[symbol].into());
        (0..255).for_each(|_| put(8));
        put(symbol);
        writer.bits.put(extra, bits);
        writer.bits.put(codes[8], lengths[8].into());
        assert_eq!(decode(15, &writer.bytes(), 100), Err(DecodeError::Overrun), "{symbol}");
    }
}

#[test]
fn a_repeated_length_is_a_length() {
    for symbol in 17..20 {
        let mut writer = LzxWriter::new(15);
        writer.block_header(1, 100);
        let (lengths, codes) = writer.pretree();
        writer.bits.put(codes[19], lengths[19].into());
        writer.bits.put(0, 1);
        writer.bits.put(codes[symbol], lengths[symbol].into());
        assert_eq!(decode(15, &writer.bytes(), 100), Err(DecodeError::BadCode), "{symbol}");
    }
}

#[test]
fn offsets_stay_within_the_chunk() {
    let far = [Token::Literal(1), Token::Match { length: 99, offset: 2 }];
    let mut writer = LzxWriter::new(15);
    writer.block(Block::Verbatim, &far, 100);
    assert_eq!(decode(15, &writer.bytes(), 100), Err(DecodeError::OffsetBeforeStart));
    // The first of the recent offsets is 1, and there is nothing yet to copy.
    let none = [Token::Match { length: 100, offset: 1 }];
    let mut writer = LzxWriter::new(15);
    writer.block(Block::Verbatim, &none, 100);
    assert_eq!(decode(15, &writer.bytes(), 100), Err(DecodeError::OffsetBeforeStart));
}

#[test]
fn a_match_ends_with_its_block() {
    let tokens = [Token::Literal(1), Token::Match { length: 100, offset: 1 }];
    for (size, outcome) in [(100, Err(DecodeError::Overrun)), (101, Ok(vec![1; 101]))] {
        let mut writer = LzxWriter::new(15);
        writer.block(Block::Verbatim, &tokens, size);
        assert_eq!(decode(15, &writer.bytes(), size), outcome);
    }
    // Another block follows, and there is room in the chunk.
    let mut writer = LzxWriter::new(15);
    writer.block(Block::Verbatim, &tokens, 100);
    writer.block(Block::Verbatim, &tokens, 101);
    assert_eq!(decode(15, &writer.bytes(), 201), Err(DecodeError::Overrun));
}

#[test]
fn blocks_fit_into_the_chunk() {
    for (kind, size) in [(0, 100), (4, 100), (7, 100), (1, 0), (3, 0), (1, 101), (3, 101)] {
        let mut writer = LzxWriter::new(15);
        writer.block_header(kind, size);
        writer.bits.put(0, 64);
        assert_eq!(decode(15, &writer.bytes(), 100), Err(DecodeError::BadBlock), "{kind} {size}");
    }
    assert_eq!(decode(15, &[0xFF; 100], 32768), Err(DecodeError::BadBlock));
    let mut decoder = Decoder::new(1 << 15, Cpu::detect());
    let dst = &mut vec![0; (1 << 15) + 1];
    assert_eq!(decoder.decode(&[], dst), Err(DecodeError::BadSize));
    let two = together(&mut decoder, [(&[], dst), (&[], &mut [])]);
    assert_eq!(two, [Err(DecodeError::BadSize), Ok(())]);
}

#[test]
fn uncompressed_blocks_are_copied() {
    let bytes: Vec<u8> = (0..=255).cycle().take(20_001).collect();
    for order in [15, 16, 21] {
        for len in [1, 2, 3, 4096, 20_001] {
            for bits_before in 0..17 {
                let mut writer = LzxWriter::new(order);
                // A block whose end leaves the words at every bit once.
                let before = vec![Token::Literal(9); 1 + bits_before];
                writer.block(Block::Verbatim, &before, before.len());
                writer.uncompressed(&bytes[..len], [3, 2, 1]);
                let after = [Token::Match { length: 2, offset: 3 }, Token::Literal(7)];
                writer.block(
                    Block::Aligned,
                    &after[..usize::from(len > 2) + 1 - 1],
                    2 * usize::from(len > 2),
                );
                if len <= 2 {
                    continue;
                }
                let mut expected = vec![9; before.len()];
                expected.extend_from_slice(&bytes[..len]);
                expected.extend_from_within(expected.len() - 3..expected.len() - 1);
                Cpu::PORTABLE.run(e8::Undo { chunk: &mut expected });
                let decoded = decode(order, &writer.bytes(), expected.len());
                assert_eq!(decoded, Ok(expected), "{order} {len} {bits_before}");
            }
        }
    }
}

#[test]
fn uncompressed_blocks_are_whole() {
    let mut writer = LzxWriter::new(15);
    writer.uncompressed(b"abcde", [1, 2, 3]);
    let stream = writer.bytes();
    assert_eq!(decode(15, &stream, 5), Ok(b"abcde".to_vec()));
    assert_eq!(decode(15, &stream[..stream.len() - 1], 5), Ok(b"abcde".to_vec()), "no pad byte");
    for len in 4..stream.len() - 1 {
        assert_eq!(decode(15, &stream[..len], 5), Err(DecodeError::Truncated), "{len} bytes");
    }
    for zero in 0..3 {
        let mut recent = [1; 3];
        recent[zero] = 0;
        let mut writer = LzxWriter::new(15);
        writer.uncompressed(b"abcde", recent);
        assert_eq!(decode(15, &writer.bytes(), 5), Err(DecodeError::BadBlock));
    }
}

#[test]
fn recent_offsets_may_reach_anywhere_and_are_checked_when_used() {
    let mut writer = LzxWriter::new(15);
    writer.uncompressed(b"ab", [u32::MAX, 2, 1]);
    writer.block(Block::Verbatim, &[Token::Match { length: 2, offset: u32::MAX as usize }], 2);
    assert_eq!(decode(15, &writer.bytes(), 4), Err(DecodeError::OffsetBeforeStart));
    let mut writer = LzxWriter::new(15);
    writer.uncompressed(b"ab", [u32::MAX, 2, 1]);
    writer.block(Block::Verbatim, &[Token::Match { length: 2, offset: 2 }], 2);
    assert_eq!(decode(15, &writer.bytes(), 4), Ok(b"abab".to_vec()));
}

#[test]
fn every_window_has_its_offsets() {
    for order in 15..=21 {
        let len = 1usize << order;
        let mut tokens = vec![Token::Literal(1), Token::Literal(2), Token::Literal(3)];
        let mut at = 3;
        // Every slot's first and last offset as soon as there is output enough.
        for slot in 3..(main_symbols(order) - 256) / 8 {
            let base = tables::OFFSET_BASE[slot] as usize;
            for offset in [base, base + (1 << tables::EXTRA_BITS[slot]) - 1] {
                while at < offset + 1 {
                    let length = (offset + 1 - at).min(257);
                    let token = if length < 3 {
                        Token::Literal(at as u8)
                    } else {
                        Token::Match { length, offset: 3 }
                    };
                    at += size_of_token(&token);
                    tokens.push(token);
                }
                if at + 20 < len {
                    tokens.push(Token::Match { length: 20, offset });
                    tokens.push(Token::Literal(slot as u8));
                    at += 21;
                }
            }
        }
        let expected = contents(&tokens);
        for aligned in [false, true] {
            let stream = write(order, &tokens, &[(aligned, 700), (!aligned, 900)]);
            let decoded = decode(order, &stream, expected.len());
            assert!(decoded.as_ref() == Ok(&expected), "order {order}");
        }
    }
}

#[test]
fn the_longest_codewords_and_matches_are_read() {
    // Frequencies that double make codewords of all lengths up to the limit of 16.
    let mut tokens = vec![Token::Literal(0); 3];
    for symbol in 0..14u8 {
        tokens.extend(std::iter::repeat_n(Token::Literal(symbol), 1 << (14 - symbol).min(12)));
        tokens
            .push(Token::Match { length: 257 - usize::from(symbol), offset: 1 + tokens.len() / 2 });
        tokens.push(Token::Match { length: 10, offset: 1 });
    }
    let expected = contents(&tokens);
    for aligned in [false, true] {
        let stream = write(17, &tokens, &[(aligned, usize::MAX)]);
        assert!(decode(17, &stream, expected.len()) == Ok(expected.clone()));
    }
    let lengths: Vec<u8> = (1..=16).chain([16]).collect();
    assert_eq!(codewords(&lengths)[16], 0xFFFF);
    let main: Vec<(usize, u8)> =
        lengths.iter().enumerate().map(|(i, &length)| (i, length)).collect();
    let mut writer = with_codes(Block::Verbatim, &main, &[], &[]);
    (0..100).for_each(|i| {
        writer.bits.put(codewords(&lengths)[16 - i % 17], lengths[16 - i % 17].into())
    });
    let expected: Vec<u8> = (0..100).map(|i| 16 - i % 17).collect();
    assert_eq!(decode(15, &writer.bytes(), 100), Ok(expected));
}

#[test]
fn overlapping_copies_repeat_what_they_copy() {
    for offset in 1..70 {
        let mut tokens: Vec<Token> = (0..offset as u8).map(Token::Literal).collect();
        for length in [2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130, 257] {
            tokens.push(Token::Match { length, offset });
            tokens.push(Token::Literal(length as u8));
        }
        let expected = contents(&tokens);
        let stream = write(15, &tokens, &[(false, usize::MAX)]);
        assert_eq!(decode(15, &stream, expected.len()), Ok(expected), "offset {offset}");
    }
}

#[test]
fn calls_are_translated_back() {
    let mut original = vec![0x90; 4000];
    for (i, at) in (3..3980).step_by(13).enumerate() {
        let target = [
            0,
            1,
            -1,
            -(at as i32),
            -(at as i32) - 1,
            11_999_999,
            12_000_000 - at as i32,
            i32::MIN,
        ];
        original[at] = 0xE8;
        original[at + 1..at + 5].copy_from_slice(&target[i % target.len()].to_le_bytes());
    }
    let mut translated = original.clone();
    translate_calls(&mut translated);
    assert_ne!(original, translated);
    let mut writer = LzxWriter::new(15);
    writer.block(Block::Verbatim, &parse(&translated, MATCH_LENGTHS), translated.len());
    assert_eq!(decode(15, &writer.bytes(), original.len()), Ok(original));
}
