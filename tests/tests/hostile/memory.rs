//! The real command under watch: how much memory it takes, and that it ends.

use std::fs;
use std::time::Duration;

use osupg_tests::bins;
use osupg_tests::child::run_within;

use crate::{Sandbox, vector};

/// Anonymous memory that any command may take on a tiny file: buffers in flight for all threads.
const LIMIT: u64 = 96 << 20;

/// Places in a header where a lie is dear: chunk size, number of images, and stored size, place and
/// full size of blob table, XML and integrity table.
const CLAIMS: [(&str, usize, &[u8]); 12] = [
    ("a chunk size of 1 GiB", 20, &[0, 0, 0, 0x40]),
    ("four billion images", 44, &[0xff; 4]),
    ("65535 parts", 42, &[0xff; 2]),
    ("a blob table of 64 PiB", 48, &[0xff; 7]),
    ("a blob table at the end of the world", 56, &[0xff; 8]),
    ("a blob table of 1 TiB when unpacked", 64, &[0, 0, 0, 0, 0, 1, 0, 0]),
    ("XML of 64 PiB", 72, &[0xff; 7]),
    ("XML at the end of the world", 80, &[0xff; 8]),
    ("XML of 1 TiB when unpacked", 88, &[0, 0, 0, 0, 0, 1, 0, 0]),
    ("an integrity table of 64 PiB", 124, &[0xff; 7]),
    ("an integrity table at the end of the world", 132, &[0xff; 8]),
    ("an integrity table of 1 TiB", 140, &[0, 0, 0, 0, 0, 1, 0, 0]),
];

#[test]
fn lies_about_sizes_cost_no_memory() {
    for name in ["v1.wim", "v2lzx.wim", "v2lzms.wim", "v3.wim"] {
        let whole = vector(name);
        for (what, at, lie) in CLAIMS {
            let mut bytes = whole.clone();
            bytes[at..at + lie.len()].copy_from_slice(lie);
            commands_stay_small(&format!("{name} with {what}"), &bytes);
        }
    }
}

/// Each blob entry claims to be huge, one number at a time.
#[test]
fn blobs_that_claim_to_be_huge_cost_no_memory() {
    for name in ["v1.wim", "v2xpress.wim", "v2lzx.wim", "v3.wim"] {
        let whole = vector(name);
        let table = u64::from_le_bytes(whole[56..64].try_into().expect("eight bytes")) as usize;
        for entry in 0..3 {
            for (what, field) in [("stored", 0), ("placed", 8), ("unpacked", 16)] {
                let mut bytes = whole.clone();
                let at = table + entry * 50 + field;
                bytes[at + 4..at + 7].copy_from_slice(&[0xff, 0xff, 0x3f]);
                commands_stay_small(&format!("{name}, entry {entry} {what} at exabytes"), &bytes);
            }
        }
    }
}

fn commands_stay_small(what: &str, bytes: &[u8]) {
    let sandbox = Sandbox::new();
    let wim = sandbox.path("hostile.wim");
    let target = sandbox.path("target");
    fs::write(&wim, bytes).expect("the sandbox can be written");
    for verb in ["info", "dir", "verify", "apply"] {
        let mut command = bins::wimx();
        command.arg(verb).arg("--quiet").arg(&wim);
        if verb == "apply" || verb == "dir" {
            command.arg("1");
        }
        if verb == "apply" {
            command.arg(&target);
        }
        let finished = run_within(&mut command, Duration::from_secs(120));
        let _ = finished.code();
        assert!(!finished.stderr.contains("panicked"), "{what}, {verb}: {}", finished.stderr);
        let peak = finished.peak_anonymous;
        assert!(peak <= LIMIT, "{what}: {verb} took {peak} bytes of memory");
    }
    sandbox.assert_unharmed(what);
}
