//! Directory trees to make images from.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

/// A tree that becomes one image.
#[derive(Debug, Clone)]
pub struct Source {
    /// The image's name.
    pub name: &'static str,
    /// The tree.
    pub root: PathBuf,
}

/// The images of the corpus of real files that `tests/run` builds, `small` or `large`.
///
/// # Panics
/// When it is not there: a test over the corpus never passes without it.
#[must_use]
pub fn real(size: &str) -> Vec<Source> {
    let folder = std::env::var_os("OSUPG_CORPUS").map_or_else(
        || crate::bins::profile_dir().parent().expect("a target folder").join("corpus"),
        PathBuf::from,
    );
    ["A", "B", "PE"]
        .map(|name| Source { name, root: folder.join(size).join(name) })
        .into_iter()
        .inspect(|source| {
            assert!(
                source.root.is_dir(),
                "{} is missing: run tests/run, or cargo run --release -p osupg-benches -- corpus \
                 --size {size} {}",
                source.root.display(),
                folder.join(size).display()
            );
        })
        .collect()
}

/// Where archives of a real corpus are kept between runs.
///
/// # Panics
/// When the corpus was not built to its end.
#[must_use]
pub fn archives_of(sources: &[Source]) -> PathBuf {
    let folder = sources[0].root.parent().expect("an image lies in the corpus");
    let stamp = fs::read_to_string(folder.join("manifest.sha256")).expect("a built corpus");
    folder.with_file_name(format!("wims-{}", &stamp[..16]))
}

/// Makes two small trees under `folder` that hold every kind of thing a POSIX capture stores: text,
/// data without redundancy, runs of zeros, x86-like code, files of every length around a chunk, empty
/// files and folders, hard links, duplicates, symbolic links, names outside ASCII, odd times.
///
/// # Panics
/// When the folder cannot be written.
pub fn made(folder: &Path) -> Vec<Source> {
    let sources = ["first", "second"].map(|name| Source { name, root: folder.join(name) });
    for (number, source) in sources.iter().enumerate() {
        make(&source.root, number as u64).expect("the scratch folder can be written");
    }
    sources.into()
}

fn make(root: &Path, seed: u64) -> std::io::Result<()> {
    for folder in ["text", "code", "sizes", "empty/in/empty", "Größe 文", "links"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::write(root.join("empty file"), "")?;
    fs::write(root.join("zeros"), vec![0; 300_000])?;
    fs::write(root.join("noise"), noise(200_000, 7 + seed))?;
    fs::write(root.join("text/shared.txt"), text(700_000, 1))?;
    fs::write(root.join("text/own.txt"), text(90_000, 20 + seed))?;
    fs::write(root.join("code/big.dll"), code(2_500_000, 3))?;
    fs::write(root.join("Größe 文/\u{1f5bc}"), text(5_000, 9))?;
    for size in [1, 2, 4095, 4096, 4097, 32767, 32768, 32769, 65536, 98304, 131_072, 131_073] {
        fs::write(root.join(format!("sizes/{size}")), text(size, size as u64))?;
        fs::write(root.join(format!("sizes/{size}.noise")), noise(size, size as u64))?;
    }
    fs::copy(root.join("text/shared.txt"), root.join("text/duplicate.txt"))?;
    fs::hard_link(root.join("code/big.dll"), root.join("links/big.dll"))?;
    fs::hard_link(root.join("code/big.dll"), root.join("links/again.dll"))?;
    fs::hard_link(root.join("empty file"), root.join("links/empty"))?;
    symlink("../text/shared.txt", root.join("links/relative"))?;
    symlink("/text", root.join("links/absolute"))?;
    symlink("missing/target", root.join("links/dangling"))?;
    symlink("..", root.join("links/up"))?;
    set_times(root, Path::new(""), &mut 0)
}

/// Distinct times, in 100 ns units, before and after 1970; a folder after what is in it.
fn set_times(root: &Path, path: &Path, count: &mut i64) -> std::io::Result<()> {
    let full = root.join(path);
    let metadata = fs::symlink_metadata(&full)?;
    if metadata.is_dir() {
        let mut names = fs::read_dir(&full)?
            .map(|entry| Ok(path.join(entry?.file_name())))
            .collect::<std::io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            set_times(root, &name, count)?;
        }
    }
    *count += 1;
    let stamp = Timespec {
        tv_sec: *count * 86_399 - 1_000_000,
        tv_nsec: *count * 1_234_500 % 1_000_000_000 / 100 * 100,
    };
    let times = Timestamps { last_access: stamp, last_modification: stamp };
    rustix::fs::utimensat(CWD, &full, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// A small generator of repeatable numbers (xorshift).
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Bytes that no codec can shrink.
#[must_use]
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut next = numbers(seed);
    (0..len).map(|_| (next() >> 32) as u8).collect()
}

/// Words in random order: literals, and matches of many lengths and distances.
#[must_use]
pub fn text(len: usize, seed: u64) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "image",
        "the",
        "of",
        "resource",
        "a",
        "chunk",
        "directory",
        "\r\n",
        "and",
        "to",
        "offset",
        "is",
        "Windows",
        "0x",
        "blob",
        "in",
    ];
    let mut next = numbers(seed);
    let mut bytes = Vec::with_capacity(len + 16);
    while bytes.len() < len {
        let number = next() >> 24;
        bytes.extend_from_slice(WORDS[number as usize % WORDS.len()].as_bytes());
        bytes.extend_from_slice(if number & 0x700 == 0 { b"\t" } else { b" " });
        if number & 0xf000 == 0 {
            bytes.extend_from_slice(format!("{}", number % 100_000).as_bytes());
        }
    }
    bytes.truncate(len);
    bytes
}

/// Something like machine code: x86 calls with near targets (which LZX and LZMS translate) between
/// repeated and random bytes.
#[must_use]
pub fn code(len: usize, seed: u64) -> Vec<u8> {
    let mut next = numbers(seed);
    let mut bytes = Vec::with_capacity(len + 16);
    while bytes.len() < len {
        let number = next() >> 20;
        match number % 5 {
            0 => {
                let target = (number >> 8) as i32 % 4096 * 16 - bytes.len() as i32;
                bytes.push(0xe8);
                bytes.extend_from_slice(&target.to_le_bytes());
            }
            1 => bytes.extend_from_slice(&[0x48, 0x8b, 0x05, (number >> 8) as u8, 0, 0, 0]),
            2 => bytes.extend_from_slice(&[0x55, 0x48, 0x89, 0xe5]),
            3 => bytes.extend_from_slice(&[0x0f, 0x1f, 0x44, 0, 0]),
            _ => bytes.extend_from_slice(&(number >> 8).to_le_bytes()[..3]),
        }
    }
    bytes.truncate(len);
    bytes
}
