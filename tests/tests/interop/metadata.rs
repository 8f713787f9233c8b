//! Metadata resources parsed and written again: the same bytes.

use osupg_tests::capture::Kind;
use wim_extract::archive::{OpenOptions, Wim};

use crate::Archives;

#[test]
fn made_metadata_is_written_back_byte_for_byte() {
    all_round_trip(Archives::made());
}

#[test]
#[ignore = "takes minutes over real files: tests/run"]
fn real_metadata_is_written_back_byte_for_byte() {
    Archives::real().iter().for_each(all_round_trip);
}

fn all_round_trip(archives: &Archives) {
    for wim in archives.wims() {
        let mut options = OpenOptions::default();
        if wim.kind == Kind::Split {
            options.references = vec![wim.path.with_file_name("split*.swm").display().to_string()];
        }
        let opened = Wim::open(&wim.path, &options).expect("an archive opens");
        assert_eq!(opened.image_count() as usize, archives.trees.len());
        for (image, (_, tree)) in opened.images().zip(archives.images()) {
            let metadata = opened.metadata(image).expect("an image's metadata can be read");
            assert_eq!(metadata.ids().len(), tree.len(), "{:?}: number of names", wim.kind);
            assert!(metadata.warnings().is_empty(), "{:?}: {:?}", wim.kind, metadata.warnings());
            let written = metadata.to_bytes();
            assert!(written == metadata.bytes(), "{:?}, image {image}: differs", wim.kind);
        }
    }
}
