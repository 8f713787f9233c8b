//! A pipable archive of any bytes, read in order: header, XML, images, then the data of the first.
#![cfg_attr(fuzzing, no_main)]

use std::sync::atomic::{AtomicU64, Ordering};

use wim_extract::archive::BlobId;
use wim_extract::error::Damage;
use wim_extract::piped::{PipedBlobs, PipedWim};
use wim_extract::pipeline::{Options, Sink, Threads};
use wim_extract::{Cancel, Error, Silent};

/// Counts what comes.
#[derive(Default)]
struct Count(AtomicU64);

impl Sink for Count {
    fn piece(&self, _: BlobId, _: u64, data: &[u8]) -> Result<(), Error> {
        assert!(!data.is_empty(), "a piece has bytes");
        Ok(())
    }

    fn done(&self, _: BlobId, _: Result<(), Damage>) -> Result<(), Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let cancel = Cancel::new();
    let Ok(mut wim) = PipedWim::open(input, "input", &cancel) else { return };
    let Ok(tree) = wim.metadata(1) else { return };
    let blobs = PipedBlobs::of(&tree);
    let needed: Vec<BlobId> = tree
        .ids()
        .flat_map(|id| tree.dentry(id).streams().collect::<Vec<_>>())
        .filter_map(|stream| blobs.find(&stream.hash))
        .collect();
    let (count, options) =
        (Count::default(), Options { threads: Threads::ONE, ..Default::default() });
    if wim.data(&blobs, needed, &count, &options, &Silent, &cancel).is_ok() {
        assert_eq!(count.0.into_inner(), blobs.len() as u64, "all that is needed has come");
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
