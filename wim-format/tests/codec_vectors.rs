//! Streams with known contents, made by wimlib or by hand: `tests/data/codec-vectors.txt`.

#![allow(clippy::unwrap_used)] // Vectors are our own: a malformed one is a broken test.

use sha1::{Digest, Sha1};
use wim_format::{Codec, Decoder};

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/codec-vectors.txt"));

/// One stream and what it holds.
struct Vector {
    name: String,
    codec: Codec,
    chunk_size: u32,
    len: usize,
    content: Content,
    stream: Vec<u8>,
}

enum Content {
    Bytes(Vec<u8>),
    Sha1(Vec<u8>),
}

fn hex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// The vectors of the file: a headline, a line `in:`, a line `out:`.
fn vectors() -> Vec<Vector> {
    let lines: Vec<&str> = VECTORS.lines().filter(|line| !line.starts_with('#')).collect();
    lines.chunks_exact(3).map(|three| vector(three[0], three[1], three[2])).collect()
}

fn vector(headline: &str, input: &str, output: &str) -> Vector {
    let words: Vec<&str> = headline.split_whitespace().collect();
    let codec = match words[1] {
        "xpress" => Codec::Xpress,
        "lzx" | "lzx64k" => Codec::Lzx,
        "lzms" => Codec::Lzms,
        other => panic!("unknown codec {other}"),
    };
    let len = headline.rsplit_once("len=").unwrap().1.parse().unwrap();
    let input = input.trim_start().strip_prefix("in: ").unwrap();
    let content = match input.rsplit_once("sha1=") {
        Some((_, digest)) => Content::Sha1(hex(digest)),
        None => Content::Bytes(hex(input)),
    };
    let stream = hex(output.rsplit_once(": ").unwrap().1);
    Vector {
        name: headline.to_owned(),
        codec,
        chunk_size: words[2].parse().unwrap(),
        len,
        content,
        stream,
    }
}

fn check_all(codec: Codec) {
    let vectors: Vec<Vector> = vectors().into_iter().filter(|v| v.codec == codec).collect();
    assert!(vectors.len() >= 4, "the file holds several streams of each codec");
    for vector in vectors {
        let mut decoder = Decoder::new(codec, vector.chunk_size).unwrap();
        let mut bytes = vec![0; vector.len];
        decoder
            .decode(&vector.stream, &mut bytes)
            .unwrap_or_else(|e| panic!("{}: {e}", vector.name));
        match &vector.content {
            Content::Bytes(expected) => assert_eq!(&bytes, expected, "{}", vector.name),
            Content::Sha1(digest) => {
                assert_eq!(Sha1::digest(&bytes).as_slice(), digest, "{}", vector.name);
            }
        }
    }
}

#[test]
fn xpress() {
    check_all(Codec::Xpress);
}

#[test]
fn lzx() {
    check_all(Codec::Lzx);
}
