//! Writing new archives.

use wim_extract::export::IntegrityTable;
use wim_extract::write::{Options, WimWriter};
use wim_extract::{Cancel, Error, Silent};
use wim_format::Sha1Hash;
use wim_format::metadata::{ImageBuilder, Inode};
use wim_format::time::FileTime;

use crate::samples;

fn sample(writer: &mut WimWriter) -> Result<(), Error> {
    let small = writer.add_blob(b"hello")?;
    let large = writer.add_blob(&samples::noise(3_000_000, 1))?;
    assert_eq!(writer.add_blob(b"hello")?, small);
    assert_eq!(writer.add_blob(b"")?, Sha1Hash::ZERO);
    for name in ["one", "two"] {
        let mut image = ImageBuilder::new(Inode::directory());
        let file = image.add(ImageBuilder::ROOT, "file", Inode::file(small)).unwrap();
        image.link(ImageBuilder::ROOT, "link", file).unwrap();
        image.add(ImageBuilder::ROOT, "large", Inode::file(large)).unwrap();
        image.add(ImageBuilder::ROOT, "empty", Inode::file(Sha1Hash::ZERO)).unwrap();
        let index = writer.add_image(name, image.to_bytes().unwrap(), FileTime(7))?;
        writer.xml_mut().set_property(index, "DESCRIPTION", "a test").unwrap();
    }
    writer.set_boot(2);
    Ok(())
}

#[test]
fn a_written_archive_is_sound_and_the_same_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for threads in [1, 3] {
        let path = dir.path().join(format!("{threads}.wim"));
        let options = Options {
            guid: Some([9; 16]),
            integrity: IntegrityTable::Write,
            threads: wim_extract::pipeline::Threads::new(threads),
        };
        let mut writer = WimWriter::create(&path, &options).unwrap();
        sample(&mut writer).unwrap();
        assert!(!path.exists(), "nothing is seen before the end");
        writer.finish(&Silent, &Cancel::new()).unwrap();
        files.push(std::fs::read(&path).unwrap());
    }
    assert!(files[0] == files[1]);
    let wim = samples::open_bytes(files.remove(0));
    let outcome = samples::verify(&wim, 2);
    assert!(outcome.is_sound(), "{:?}", outcome.problems);
    assert_eq!(outcome.integrity_tables, 1);
    assert_eq!(wim.header().boot_image(), Some(2));
    let refcounts: Vec<_> = wim.blobs().map(|(_, blob)| (blob.size, blob.refcount)).collect();
    assert_eq!(refcounts, [(5, 4), (3_000_000, 2)]);
    let image = wim.xml().image(1).unwrap();
    assert_eq!(image.name.as_deref(), Some("one"));
    assert_eq!(image.description.as_deref(), Some("a test"));
    assert_eq!((image.dir_count, image.file_count), (Some(1), Some(4)));
    assert_eq!((image.total_bytes, image.hard_link_bytes), (Some(3_000_010), Some(5)));
    assert_eq!(image.creation_time, Some(FileTime(7)));
}

#[test]
fn a_missing_blob_or_a_taken_name_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new.wim");
    let mut writer = WimWriter::create(&path, &Options::default()).unwrap();
    let metadata = samples::image_of([&b"never added".to_vec()]);
    writer.add_image("name", metadata.clone(), FileTime(0)).unwrap();
    let error = writer.add_image("name", metadata, FileTime(0)).unwrap_err();
    assert_eq!(error.code(), 11);
    let error = writer.finish(&Silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.code(), 55, "{error}");
    assert!(error.to_string().contains("image 1: /file00"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
