//! Replays fuzz inputs in ordinary tests: every input that ever crashed a target
//! (`tests/data/regressions/<target>`) and the seeds the fuzzers start from (`fuzz/seeds/<target>`).

use std::fs;
use std::path::Path;

/// A target's body, compiled here without the fuzzer, and a test that feeds it the files.
macro_rules! replay {
    ($($target:ident $file:literal;)*) => {$(
        #[allow(unreachable_pub, reason = "public for the fuzzer's build of the same file")]
        #[path = $file]
        mod $target;

        #[test]
        fn $target() {
            replay(stringify!($target), $target::run);
        }
    )*};
}

replay! {
    archive "../../fuzz/fuzz_targets/archive.rs";
    blob_table "../../fuzz/fuzz_targets/blob_table.rs";
    bundle "../../fuzz/fuzz_targets/bundle.rs";
    chunk_table "../../fuzz/fuzz_targets/chunk_table.rs";
    encode_lzx "../../fuzz/fuzz_targets/encode_lzx.rs";
    encode_lzms "../../fuzz/fuzz_targets/encode_lzms.rs";
    encode_xpress "../../fuzz/fuzz_targets/encode_xpress.rs";
    header "../../fuzz/fuzz_targets/header.rs";
    integrity "../../fuzz/fuzz_targets/integrity.rs";
    lzms "../../fuzz/fuzz_targets/lzms.rs";
    lzx "../../fuzz/fuzz_targets/lzx.rs";
    metadata "../../fuzz/fuzz_targets/metadata.rs";
    piped "../../fuzz/fuzz_targets/piped.rs";
    reparse "../../fuzz/fuzz_targets/reparse.rs";
    signed "../../fuzz/fuzz_targets/signed.rs";
    udf "../../fuzz/fuzz_targets/udf.rs";
    xml "../../fuzz/fuzz_targets/xml.rs";
    hive "../../fuzz/fuzz_targets/hive.rs";
    xpress "../../fuzz/fuzz_targets/xpress.rs";
}

fn replay(target: &str, run: fn(&[u8])) {
    run(&[]);
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for folder in ["tests/data/regressions", "fuzz/seeds"] {
        let Ok(files) = fs::read_dir(root.join(folder).join(target)) else { continue };
        for file in files {
            let path = file.expect("a readable folder").path();
            eprintln!("{}", path.display());
            run(&fs::read(&path).expect("a readable file"));
        }
    }
}
