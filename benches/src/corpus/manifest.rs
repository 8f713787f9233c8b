//! The manifest of a corpus: one line for every name, and the checksum over all lines.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Writes `manifest.txt` in `folder` over the trees `images` and returns its SHA-256. A line is
/// kind, size, time, content and path; the second name of a file refers to the first.
pub(super) fn write(folder: &Path, images: &[PathBuf]) -> Result<String> {
    let mut lines = String::new();
    for image in images {
        let mut names: HashMap<u64, PathBuf> = HashMap::new();
        for path in walk(image)? {
            let full = image.join(&path);
            let metadata = fs::symlink_metadata(&full)?;
            let content = if metadata.is_dir() {
                "directory 0 -".to_owned()
            } else if metadata.is_symlink() {
                format!("symlink 0 {}", fs::read_link(&full)?.display())
            } else if let Some(first) = names.get(&metadata.ino()) {
                format!("link 0 {}", first.display())
            } else {
                names.insert(metadata.ino(), path.clone());
                format!("file {} {}", metadata.len(), sha256_of(&full)?)
            };
            let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
            let image = image.file_name().unwrap_or_default();
            let name = Path::new(image).join(path);
            writeln!(lines, "{seconds}.{nanos:09} {content} {}", name.display())?;
        }
    }
    fs::write(folder.join("manifest.txt"), &lines)?;
    Ok(hex(&Sha256::digest(lines)))
}

/// Every path under `root` relative to it, sorted, a folder before what is in it. The root itself is
/// not among them.
pub(super) fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let full = root.join(&folder);
        for entry in fs::read_dir(&full).with_context(|| format!("reading {}", full.display()))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
