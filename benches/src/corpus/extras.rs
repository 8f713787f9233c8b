//! What an install image has beyond the files of its packages.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::manifest::walk;

/// Files of these kinds are installed through the component store, as hard links.
const COMPONENT_KINDS: [&str; 4] = ["dll", "pyd", "exe", "lib"];

/// One small file in this many has a real copy.
const COPY_EVERY: u64 = 29;

/// Larger files are never copied.
const COPY_LIMIT: u64 = 256 << 10;

/// Adds links, copies, odd names and times to the unpacked image.
pub(super) fn add(image: &Path) -> Result<()> {
    let files: Vec<PathBuf> =
        walk(image)?.into_iter().filter(|path| image.join(path).is_file()).collect();
    for path in &files {
        component_link(image, path)?;
        copy_some(image, path)?;
    }
    odd_names(image)?;
    links(image, &files)?;
    set_times(image)
}

/// A number that depends on the path alone.
fn number_of(path: &Path, purpose: &str) -> u64 {
    let hash =
        Sha256::new().chain_update(purpose).chain_update(path.as_os_str().as_encoded_bytes());
    u64::from_le_bytes(hash.finalize()[..8].try_into().expect("eight bytes of thirty-two"))
}

fn component_link(image: &Path, path: &Path) -> Result<()> {
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    if !COMPONENT_KINDS.contains(&kind) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().unwrap_or_default();
    let component = format!("amd64_component_{:016x}_none", number_of(folder, "component"));
    let store = image.join("Windows/WinSxS").join(component);
    fs::create_dir_all(&store)?;
    fs::hard_link(image.join(path), store.join(name))?;
    Ok(())
}

fn copy_some(image: &Path, path: &Path) -> Result<()> {
    let number = number_of(path, "copy");
    if !number.is_multiple_of(COPY_EVERY) || image.join(path).metadata()?.len() > COPY_LIMIT {
        return Ok(());
    }
    let backup = image.join("Windows/servicing/Backup");
    fs::create_dir_all(&backup)?;
    fs::copy(image.join(path), backup.join(format!("{number:016x}.bak")))?;
    Ok(())
}

/// Empty things, and names outside ASCII: composed and decomposed accents, CJK, a name beyond the
/// basic plane, trailing text that only looks like an extension, and a long one.
fn odd_names(image: &Path) -> Result<()> {
    let users = image.join("Users");
    for folder in ["Default/AppData/Local/Temp", "Öffentlich", "Public/Documents", "公用"] {
        fs::create_dir_all(users.join(folder))?;
    }
    for (name, text) in [
        ("Default/NTUSER.DAT", ""),
        ("Default/AppData/Local/desktop.ini", "[.ShellClassInfo]\r\n"),
        ("Öffentlich/Größe.txt", "composed"),
        ("Öffentlich/Gro\u{308}ße.txt", "decomposed"),
        ("公用/文档.txt", "cjk"),
        ("公用/\u{1f5bc} Bild.txt", "beyond the basic plane"),
        ("Public/Documents/no extension.", "x"),
    ] {
        fs::write(users.join(name), text)?;
    }
    let long = "long ".repeat(40) + ".txt";
    fs::write(users.join("Public/Documents").join(long), "a name of 204 characters")?;
    Ok(())
}

fn links(image: &Path, files: &[PathBuf]) -> Result<()> {
    symlink("Users", image.join("Documents and Settings"))?;
    symlink("/Users/Public", image.join("Users/All Users"))?;
    symlink("../Default", image.join("Users/Public/Default User"))?;
    symlink("nowhere/at all", image.join("Users/Public/dangling"))?;
    if let Some(first) = files.first() {
        symlink(Path::new("..").join(first), image.join("Windows/first"))?;
    }
    Ok(())
}

/// Gives everything but symbolic links a time and permissions that depend on the path alone. A file
/// with several names has the time of the first.
fn set_times(image: &Path) -> Result<()> {
    let mut first_names = BTreeMap::new();
    let mut paths = walk(image)?;
    paths.reverse();
    paths.push(PathBuf::new());
    for path in &paths {
        let metadata = fs::symlink_metadata(image.join(path))?;
        if metadata.is_file() {
            first_names.insert(metadata.ino(), path.clone());
        }
    }
    // Children before their folders, so that a folder keeps its time.
    for path in &paths {
        let full = image.join(path);
        let metadata = fs::symlink_metadata(&full)?;
        if metadata.is_symlink() {
            symlink_time(&full, time_of(path))?;
            continue;
        }
        let named = first_names.get(&metadata.ino()).unwrap_or(path);
        let mode = if metadata.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&full, Permissions::from_mode(mode))?;
        let time = time_of(named);
        File::open(&full)?.set_times(FileTimes::new().set_modified(time).set_accessed(time))?;
    }
    Ok(())
}

/// A time between 2021 and 2024 in whole units of 100 ns, which is what a WIM can hold.
fn time_of(path: &Path) -> SystemTime {
    let number = number_of(path, "time");
    let seconds = 1_610_000_000 + number % 100_000_000;
    let ticks = (number >> 32) % 10_000_000;
    UNIX_EPOCH + Duration::new(seconds, u32::try_from(ticks * 100).expect("below one second"))
}

fn symlink_time(path: &Path, time: SystemTime) -> Result<()> {
    let since = time.duration_since(UNIX_EPOCH)?;
    let stamp = rustix::fs::Timespec {
        tv_sec: i64::try_from(since.as_secs())?,
        tv_nsec: since.subsec_nanos().into(),
    };
    let times = rustix::fs::Timestamps { last_access: stamp, last_modification: stamp };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
