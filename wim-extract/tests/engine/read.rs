//! Reading blobs through the pipeline.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use wim_extract::archive::{BlobId, Wim};
use wim_extract::error::Damage;
use wim_extract::pipeline::{self, DamagedData, Options, Order, Plan, Sink, Threads};
use wim_extract::progress::{Amount, Phase, Progress};
use wim_extract::{Cancel, Error, Silent};

use crate::samples;

/// Puts blobs together again and checks what the pipeline promises.
#[derive(Default)]
struct Collected {
    blobs: Mutex<HashMap<BlobId, Collecting>>,
    /// Blobs and offsets in the order of the calls.
    calls: Mutex<Vec<(BlobId, u64)>>,
}

#[derive(Default)]
struct Collecting {
    pieces: Vec<(u64, Vec<u8>)>,
    done: Option<Result<(), Damage>>,
}

impl Sink for Collected {
    fn piece(&self, blob: BlobId, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut blobs = self.blobs.lock().unwrap();
        let entry = blobs.entry(blob).or_default();
        assert!(entry.done.is_none(), "no piece comes after the end");
        entry.pieces.push((offset, data.to_vec()));
        self.calls.lock().unwrap().push((blob, offset));
        Ok(())
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), Error> {
        let mut blobs = self.blobs.lock().unwrap();
        let before = blobs.entry(blob).or_default().done.replace(result);
        assert!(before.is_none(), "a blob ends once");
        Ok(())
    }
}

impl Collected {
    /// All blobs, sorted by content, each sound and without gaps.
    fn contents(self) -> Vec<Vec<u8>> {
        let blobs = self.blobs.into_inner().unwrap();
        let mut contents: Vec<_> = blobs
            .into_values()
            .map(|mut blob| {
                blob.done.unwrap().unwrap();
                blob.pieces.sort();
                let mut content = Vec::new();
                for (offset, data) in blob.pieces {
                    assert_eq!(offset, content.len() as u64, "pieces cover a blob without overlap");
                    content.extend(data);
                }
                content
            })
            .collect();
        contents.sort();
        contents
    }
}

fn read(wim: &Wim, options: &Options) -> Collected {
    let collected = Collected::default();
    let plan = Plan::new(wim, wim.blobs().map(|(id, _)| id));
    pipeline::run(&plan, &collected, options, &Silent, &Cancel::new()).unwrap();
    collected
}

fn every_way() -> impl Iterator<Item = Options> {
    [1, 2, 5].into_iter().flat_map(|threads| {
        [Order::Any, Order::File].map(|order| Options {
            threads: Threads::new(threads),
            order,
            ..Options::default()
        })
    })
}

#[test]
fn blobs_of_every_size_are_read_in_every_way() {
    for chunk_size in [32768, 65536, 2 << 20] {
        let (bytes, mut expected) = samples::all_sizes(chunk_size);
        expected.sort();
        let wim = samples::open_bytes(bytes);
        for options in every_way() {
            assert!(read(&wim, &options).contents() == expected, "{options:?}");
        }
    }
}

#[test]
fn solid_blobs_are_read_in_every_way() {
    for chunk_size in [32768, 131_072, 1 << 26] {
        let (bytes, mut expected) = samples::solid(chunk_size);
        expected.sort();
        let wim = samples::open_bytes(bytes);
        for options in every_way() {
            assert!(read(&wim, &options).contents() == expected, "{chunk_size} {options:?}");
        }
    }
}

#[test]
fn a_subset_of_a_solid_resource_is_read() {
    let (bytes, blobs) = samples::solid(32768);
    let wim = samples::open_bytes(bytes);
    for mask in 1..1u32 << blobs.len() {
        let wanted: Vec<_> =
            (0..blobs.len()).filter(|bit| mask >> bit & 1 == 1).map(|bit| &blobs[bit]).collect();
        let ids = wanted.iter().map(|blob| wim.find(&samples::sha1(blob)).unwrap());
        let collected = Collected::default();
        let options = Options { threads: Threads::new(2), ..Options::default() };
        pipeline::run(&Plan::new(&wim, ids), &collected, &options, &Silent, &Cancel::new())
            .unwrap();
        let mut expected: Vec<_> = wanted.into_iter().cloned().collect();
        expected.sort();
        assert!(collected.contents() == expected, "{mask:b}");
    }
}

#[test]
fn file_order_is_the_order_of_the_file() {
    for bytes in [samples::all_sizes(32768).0, samples::solid(32768).0] {
        let wim = samples::open_bytes(bytes);
        let options =
            Options { threads: Threads::new(4), order: Order::File, ..Options::default() };
        let calls = read(&wim, &options).calls.into_inner().unwrap();
        // The samples' blobs are written in the order of the table.
        assert!(calls.is_sorted());
    }
}

#[test]
fn a_blob_that_is_named_twice_is_read_once() {
    let wim = samples::open("v5.wim");
    let twice = wim.blobs().chain(wim.blobs()).map(|(id, _)| id);
    let plan = Plan::new(&wim, twice);
    assert_eq!(plan.amount(), Amount::new(153_011, 5));
}

#[test]
fn damaged_chunks_are_withheld_or_zero() {
    let (mut bytes, _) = samples::all_sizes(32768);
    let wim = samples::open_bytes(bytes.clone());
    // The first chunk of the 40-chunk blob.
    let (id, blob) = wim.blobs().nth(2).unwrap();
    let wim_format::blob_table::BlobPlace::Resource(place) = blob.place else { panic!() };
    let chunk = place.offset as usize + 40 * 4;
    bytes[chunk..chunk + 60].fill(0xff);
    let size = blob.size;
    let wim = samples::open_bytes(bytes);
    for options in every_way() {
        for (damaged, whole) in [(DamagedData::Withhold, false), (DamagedData::Deliver, true)] {
            let collected = read(&wim, &Options { damaged, ..options });
            let blobs = collected.blobs.into_inner().unwrap();
            let blob = &blobs[&id];
            let Some(Err(Damage::Decode { chunk: 0, .. })) = blob.done else {
                panic!("{options:?}: {:?}", blob.done)
            };
            let given: u64 = blob.pieces.iter().map(|(_, data)| data.len() as u64).sum();
            assert_eq!(given == size, whole, "{options:?}");
            let first = blob.pieces.iter().find(|(offset, _)| *offset == 0);
            assert_eq!(first.is_some(), whole);
            assert!(first.is_none_or(|(_, data)| data[..32768].iter().all(|&byte| byte == 0)));
            let others = blobs.iter().filter(|(other, _)| **other != id);
            assert!(others.into_iter().all(|(_, blob)| matches!(blob.done, Some(Ok(())))));
        }
    }
}

/// Fails at its `n`th call.
struct Failing(AtomicU64);

impl Sink for Failing {
    fn piece(&self, _: BlobId, _: u64, _: &[u8]) -> Result<(), Error> {
        match self.0.fetch_sub(1, Ordering::Relaxed) {
            1 => Err(Error::Parameter("enough".to_owned())),
            _ => Ok(()),
        }
    }

    fn done(&self, _: BlobId, _: Result<(), Damage>) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn an_error_of_the_sink_ends_the_run() {
    for bytes in [samples::all_sizes(32768).0, samples::solid(32768).0] {
        let wim = samples::open_bytes(bytes);
        let plan = Plan::new(&wim, wim.blobs().map(|(id, _)| id));
        for options in every_way() {
            for call in 1..9 {
                let sink = Failing(AtomicU64::new(call));
                let result = pipeline::run(&plan, &sink, &options, &Silent, &Cancel::new());
                assert!(matches!(result, Err(Error::Parameter(_))), "{result:?}");
            }
        }
    }
}

/// Panics at a piece.
struct Panicking;

impl Sink for Panicking {
    fn piece(&self, _: BlobId, offset: u64, _: &[u8]) -> Result<(), Error> {
        assert!(offset == 0, "a test's panic");
        Ok(())
    }

    fn done(&self, _: BlobId, _: Result<(), Damage>) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn a_panic_ends_the_run_and_nobody_waits() {
    let wim = samples::open_bytes(samples::solid(32768).0);
    for options in every_way() {
        let run = || {
            let plan = Plan::new(&wim, wim.blobs().map(|(id, _)| id));
            pipeline::run(&plan, &Panicking, &options, &Silent, &Cancel::new())
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    }
}

/// Counts, and cancels at the first step.
struct Counting<'c> {
    done: Mutex<Amount>,
    cancel: Option<&'c Cancel>,
}

impl Progress for Counting<'_> {
    fn advance(&self, done: Amount) {
        let mut sum = self.done.lock().unwrap();
        *sum = Amount::new(sum.bytes + done.bytes, sum.items + done.items);
        if let Some(cancel) = self.cancel {
            cancel.cancel();
        }
    }

    fn begin(&self, _: Phase, _: Amount) {}
}

#[test]
fn progress_adds_up_and_cancelling_stops() {
    for bytes in [samples::all_sizes(32768).0, samples::solid(32768).0] {
        let wim = samples::open_bytes(bytes);
        let plan = Plan::new(&wim, wim.blobs().map(|(id, _)| id));
        for options in every_way() {
            let counting = Counting { done: Mutex::default(), cancel: None };
            let sink = Collected::default();
            pipeline::run(&plan, &sink, &options, &counting, &Cancel::new()).unwrap();
            assert_eq!(counting.done.into_inner().unwrap(), plan.amount(), "{options:?}");

            let cancel = Cancel::new();
            let counting = Counting { done: Mutex::default(), cancel: Some(&cancel) };
            let sink = Collected::default();
            let result = pipeline::run(&plan, &sink, &options, &counting, &cancel);
            assert!(matches!(result, Err(Error::Cancelled)), "{options:?}");
        }
    }
}

#[test]
fn more_threads_than_are_of_use_are_not_started() {
    let one_each = Threads::default().get();
    assert_eq!(Threads::new(0).get(), one_each);
    assert_eq!(Threads::new(one_each + 1).get(), one_each + 1);
    assert_eq!(Threads::new(usize::MAX).get(), 8 * one_each);
}
