//! What is known of a file system by its kind.

use std::fs::File;

/// `f_type` of statfs(2).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn magic(file: &File) -> Option<u32> {
    rustix::fs::fstatfs(file).ok().map(|found| found.f_type as u32)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn magic(_: &File) -> Option<u32> {
    None
}

const TMPFS: u32 = 0x0102_1994;
/// ext2 and ext3 too.
const EXT4: u32 = 0xEF53;
const F2FS: u32 = 0xF2F5_2010;

/// Whether the file system may share blocks between files, or copy without moving the bytes through
/// this machine; if not, the kernel copies them as anybody would.
pub fn shares_blocks(file: &File) -> bool {
    magic(file).is_some_and(|magic| ![TMPFS, EXT4, F2FS].contains(&magic))
}

/// Whether files are kept in memory alone.
pub(crate) fn is_memory(file: &File) -> bool {
    magic(file) == Some(TMPFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_in_memory_is_known_as_such() {
        let memory = File::open("/dev/shm").unwrap();
        assert!(is_memory(&memory) && !shares_blocks(&memory));
        // Nothing is known of procfs.
        let other = File::open("/proc/self/status").unwrap();
        assert!(!is_memory(&other) && shares_blocks(&other));
    }
}
