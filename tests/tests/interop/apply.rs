//! `wimx apply` against wimlib's: two trees that differ in nothing.

use std::fs;

use osupg_tests::tree::{Times, after_a_round_trip, assert_same, describe};

use crate::{Archives, Scratch, peer, wimx};

#[test]
fn made_images_apply_to_the_same_trees() {
    all_apply(Archives::made());
}

#[test]
#[ignore = "takes minutes over real files: tests/run"]
fn real_images_apply_to_the_same_trees() {
    Archives::real().iter().for_each(all_apply);
}

fn all_apply(archives: &Archives) {
    let scratch = Scratch::new();
    for wim in archives.wims() {
        for (image, source) in archives.images() {
            let what = format!("{:?}, image {image}", wim.kind);
            let [theirs, ours] =
                [("theirs", peer("apply --quiet")), ("ours", wimx("apply --quiet"))].map(
                    |(name, mut command)| {
                        let target = scratch.path(name);
                        fs::create_dir(&target).expect("the scratch folder can be written");
                        command.arg(&wim.path).arg(image.to_string()).arg(&target);
                        wim.with_parts(&mut command).ok();
                        describe(&target, Times::Compare).expect("an applied tree can be read")
                    },
                );
            assert_same(&format!("{what}, wimlib's and ours"), &theirs, &ours);
            assert_same(
                &format!("{what}, the source and ours"),
                source,
                &after_a_round_trip(&ours),
            );
            scratch.clear();
        }
    }
}
