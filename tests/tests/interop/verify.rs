//! `wimx verify` and `wimx dir` against wimlib's.

use std::fs;

use osupg_tests::capture::Kind;
use osupg_tests::child::run;

use crate::{Archives, Scratch, peer, wimx};

#[test]
fn made_archives_verify() {
    all_verify(Archives::made());
}

#[test]
#[ignore = "takes minutes over real files: tests/run"]
fn real_archives_verify() {
    Archives::real().iter().for_each(all_verify);
}

fn all_verify(archives: &Archives) {
    let _scratch = Scratch::new();
    for wim in archives.wims() {
        wim.with_parts(peer("verify --quiet").arg(&wim.path)).ok();
        wim.with_parts(wimx("verify").arg(&wim.path)).ok();
        for (image, _) in archives.images() {
            let image = image.to_string();
            let expected = wim.with_parts(peer("dir").arg(&wim.path).arg(&image)).ok();
            let found = wim.with_parts(wimx("dir").arg(&wim.path).arg(&image)).ok();
            assert!(expected.stdout == found.stdout, "{}: dir differs", wim.path.display());
        }
    }
}

/// One byte changed, anywhere: we find damage when wimlib does, and never when it does not.
#[test]
fn damage_is_found_where_wimlib_finds_it() {
    const PLACES: u64 = 16;
    let archives = Archives::made();
    let scratch = Scratch::new();
    for wim in archives.wims().filter(|wim| wim.kind != Kind::Split) {
        let whole = fs::read(&wim.path).expect("an archive can be read");
        let damaged = scratch.path("damaged.wim");
        let mut found = 0;
        for place in 0..PLACES {
            // Spread over the data, with some in the tables at the end.
            let at = match place {
                0..12 => 208 + (whole.len() as u64 - 300) * place / 12,
                _ => whole.len() as u64 - (PLACES - place) * 300,
            };
            let mut bytes = whole.clone();
            bytes[at as usize] ^= 0x10;
            fs::write(&damaged, bytes).expect("the scratch folder can be written");
            let expected = run(peer("verify --quiet").arg(&damaged)).code();
            let ours = run(wimx("verify").arg(&damaged)).code();
            assert_eq!(
                expected == 0,
                ours == 0,
                "{:?} with byte {at} changed: wimlib says {expected}, wimx {ours}",
                wim.kind
            );
            found += u32::from(ours != 0);
        }
        assert!(found > 10, "{:?}: damage found in only {found} of {PLACES}", wim.kind);
    }
}
