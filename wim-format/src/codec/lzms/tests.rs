use super::*;
use proptest::prelude::*;
use sha1::{Digest, Sha1};

fn decode(src: &[u8], size: usize) -> Result<Vec<u8>, DecodeError> {
    let mut dst = vec![0; size];
    Decoder::new().decode(src, &mut dst)?;
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
    let mut decoder = Decoder::new();
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
