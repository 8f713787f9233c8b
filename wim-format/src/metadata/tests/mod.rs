//! Trees made by the builder, trees spoiled by hand, and any bytes.

mod any;
mod build;
mod hostile;
mod read;

use super::*;
use crate::Sha1Hash;
use crate::name::Utf16NameBuf;

fn hash(byte: u8) -> Sha1Hash {
    Sha1Hash([byte; 20])
}

fn name(text: &str) -> Utf16NameBuf {
    text.into()
}

fn parse(bytes: &[u8]) -> Metadata<&[u8]> {
    Metadata::parse(bytes).expect("the test's metadata is valid")
}

/// The paths of all dentries, as a walk meets them.
fn paths<B: AsRef<[u8]>>(metadata: &Metadata<B>) -> Vec<String> {
    let mut paths = Vec::new();
    metadata.walk(DentryId::ROOT, |step| {
        paths.push(String::from_utf8_lossy(step.path).into_owned());
    });
    paths
}

/// `/`, `/a` with `/a/x` and `/a/y`, `/b`, `/c` (empty), `/d.txt`.
fn small_tree() -> ImageBuilder {
    let mut image = ImageBuilder::new(Inode::directory());
    let root = ImageBuilder::ROOT;
    let a = image.add(root, "a", Inode::directory()).unwrap();
    image.add(root, "d.txt", Inode::file(hash(1))).unwrap();
    image.add(root, "c", Inode::directory()).unwrap();
    image.add(root, "b", Inode::file(hash(2))).unwrap();
    image.add(a, "y", Inode::file(hash(3))).unwrap();
    image.add(a, "x", Inode::file(hash(4))).unwrap();
    image
}
