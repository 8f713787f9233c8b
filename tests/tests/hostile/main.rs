//! Files that lie: cut short, bytes changed, sizes and counts invented, trees that try to get out.
//!
//! Whatever a file says, the answer is an error or a list of what is wrong: never a panic, a hang,
//! memory beyond a small multiple of the file, or a byte outside the target. Most of it runs in this
//! process, under a limit on its memory; escapes and memory are tried with the real command too.

mod crafted;
mod damage;
mod memory;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wim_extract::archive::{Integrity, Wim};
use wim_extract::pipeline::Threads;
use wim_extract::source::MemorySource;
use wim_extract::{Cancel, Silent, verify};

/// What this process may allocate at most. Every file here is smaller than 100 kB, so an honest reader
/// stays far below; a size taken from the file at face value ends the process.
const MEMORY_LIMIT: u64 = 512 << 20;

/// The archives that wimlib wrote, small enough to try every byte.
fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/vectors").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Opens the archive, reads the metadata of every image, decodes and hashes every blob. Whether nothing
/// is wrong with it.
fn is_sound(bytes: &[u8]) -> bool {
    limit_memory();
    let source = Arc::new(MemorySource::new(bytes.to_vec(), "test.wim"));
    let Ok(wim) = Wim::from_source(source, []) else { return false };
    for image in wim.images() {
        let Ok(tree) = wim.metadata(image) else { continue };
        for id in tree.ids() {
            let _ = tree.path(id);
        }
    }
    let options = verify::Options { threads: Threads::new(1), integrity: Integrity::Check };
    verify::run(&wim, &options, &Silent, &Cancel::new()).expect("not cancelled").is_sound()
}

/// Lets this process have [`MEMORY_LIMIT`] bytes.
fn limit_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let limit = Rlimit { current: Some(MEMORY_LIMIT), ..getrlimit(Resource::Data) };
        setrlimit(Resource::Data, limit).expect("a process may limit itself");
    });
}

/// A folder for the real command: the archive, an empty target, and what must not change.
struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("outside")).expect("a folder");
        fs::write(folder.path().join("outside/kept"), "kept").expect("a file");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything outside the target is as it was.
    fn assert_unharmed(&self, what: &str) {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .expect("the sandbox can be read")
            .map(|entry| entry.expect("the sandbox can be read").file_name())
            .filter(|name| name != "target" && name != "hostile.wim")
            .collect();
        names.sort();
        assert_eq!(names, ["outside"], "{what}: something new beside the target");
        let outside: Vec<_> = fs::read_dir(self.path("outside"))
            .expect("the folder is still one")
            .map(|entry| entry.expect("it can be read").file_name())
            .collect();
        assert_eq!(outside, ["kept"], "{what}: something new outside the target");
        let kept = fs::read_to_string(self.path("outside/kept")).expect("the file is still one");
        assert_eq!(kept, "kept", "{what}: a file outside the target was written");
    }
}
