use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::*;
use crate::points::target::tests::{Bench, TIMEOUT, media, names, noise};

fn folder(bench: &Bench) -> Folder {
    Folder::new(&bench.path("point"), TIMEOUT)
}

#[tokio::test]
async fn the_tree_is_that_of_the_media_with_its_times() {
    let bench = Bench::new();
    let folder = folder(&bench);
    let signed = bench.revision("OSU00001", 1, &media()).await;
    bench.install(&folder, &signed, Depth::Usual).await;
    let tree = folder.tree("OSU00001");
    let wanted: Vec<_> =
        signed.document.entries.iter().map(|entry| entry.path.as_str().to_string()).collect();
    assert_eq!(names(&tree), wanted);
    for (path, bytes) in media() {
        assert_eq!(fs::read(tree.join(path)).unwrap(), bytes, "{path}");
    }
    for entry in &signed.document.entries {
        let meta = fs::metadata(tree.join(entry.path.as_str())).unwrap();
        let time = crate::time::FileTime::from(meta.modified().unwrap());
        assert_eq!(time, entry.modified, "{}", entry.path);
    }
    assert_eq!(names(&folder.root.join(".osupg/OSU00001")), ["installed.json"]);
}

#[tokio::test]
async fn a_change_of_places_that_was_cut_off_costs_no_bytes() {
    let bench = Bench::new();
    let folder = folder(&bench);
    let first = bench.revision("OSU00001", 1, &media()).await;
    bench.install(&folder, &first, Depth::Usual).await;
    let mut files = media();
    files.insert("setup.exe", noise(25_000, 9));
    let second = bench.revision("OSU00001", 2, &files).await;
    bench.install(&folder, &second, Depth::Usual).await;
    // As a kill leaves it: between the change of places and the new document.
    let state = folder.root.join(".osupg/OSU00001");
    fs::rename(state.join("installed.json"), state.join("next.json")).unwrap();
    fs::write(state.join("leaving.json"), first.envelope.to_json()).unwrap();
    fs::create_dir(state.join("next")).unwrap();
    fs::write(state.join("next/setup.exe"), &media()["setup.exe"]).unwrap();
    assert!(folder.list().await.unwrap().is_empty(), "nothing is called installed");
    assert_eq!(bench.install(&folder, &second, Depth::Usual).await, 0);
    assert_eq!(bench.flaws(&folder, &second).await, [""; 0]);
    assert_eq!(names(&state), ["installed.json"]);
    // Or before it: the old tree is in its place, and the new one is whole.
    fs::rename(state.join("installed.json"), state.join("leaving.json")).unwrap();
    assert_eq!(bench.install(&folder, &second, Depth::Usual).await, 0);
    assert_eq!(bench.flaws(&folder, &second).await, [""; 0]);
}

#[tokio::test]
async fn what_is_not_ours_is_named_and_goes_with_a_repair() {
    let bench = Bench::new();
    let folder = folder(&bench);
    let signed = bench.revision("OSU00001", 1, &media()).await;
    bench.install(&folder, &signed, Depth::Usual).await;
    let tree = folder.tree("OSU00001");
    fs::write(tree.join("sources/autounattend.xml"), "x").unwrap();
    fs::remove_file(tree.join("bootmgr")).unwrap();
    fs::write(tree.join("setup.exe"), "short").unwrap();
    fs::remove_dir_all(tree.join("efi")).unwrap();
    symlink("/etc", tree.join("efi")).unwrap();
    assert_eq!(
        bench.flaws(&folder, &signed).await,
        [
            "bootmgr is missing",
            "efi is no folder",
            "efi/boot the folder is missing",
            "efi/boot/bootx64.efi is missing",
            "setup.exe has 5 bytes instead of 24.4 KiB",
            "sources/autounattend.xml does not belong to the package",
        ]
    );
    let sent = bench.install(&folder, &signed, Depth::EveryByte).await;
    // What bootx64.efi was is there as twin.efi.
    assert_eq!(sent, 25_000 + 12_345);
    assert_eq!(bench.flaws(&folder, &signed).await, [""; 0]);
    assert!(Path::new("/etc/passwd").exists(), "the link was not followed");
}

#[tokio::test]
async fn links_in_the_state_lead_nowhere() {
    let bench = Bench::new();
    let folder = folder(&bench);
    let outside = bench.path("outside");
    fs::create_dir_all(folder.root.join(".osupg/OSU00001/next")).unwrap();
    symlink(&outside, folder.root.join(".osupg/OSU00001/next/sources")).unwrap();
    symlink(outside.join("x"), folder.root.join(".osupg/OSU00001/next/setup.exe")).unwrap();
    let signed = bench.revision("OSU00001", 1, &media()).await;
    bench.install(&folder, &signed, Depth::Usual).await;
    assert_eq!(bench.flaws(&folder, &signed).await, [""; 0]);
    assert_eq!(names(&outside), [""; 0]);

    // A link in the place of the state itself is refused.
    symlink(&outside, folder.root.join(".osupg/OSU00002")).unwrap();
    let other = bench.revision("OSU00002", 1, &media()).await;
    let error = folder.plan(&other).await.unwrap_err();
    assert!(error.to_string().contains("is no folder"), "{error}");
    assert_eq!(names(&outside), [""; 0]);
}

#[tokio::test]
async fn a_folder_that_somebody_else_made_stays() {
    let bench = Bench::new();
    let folder = folder(&bench);
    fs::create_dir(folder.tree("OSU00001")).unwrap();
    fs::write(folder.tree("OSU00001").join("mine"), "x").unwrap();
    let signed = bench.revision("OSU00001", 1, &media()).await;
    let rules = crate::points::feed::Rules::none();
    let cancel = wim_extract::Cancel::new();
    let watch = crate::progress::Watch { progress: &crate::progress::Silent, cancel: &cancel };
    let feed = Feed::new(&bench.library, &rules, watch);
    let error = folder.install(&signed, Depth::Usual, &feed).await.unwrap_err();
    assert!(error.to_string().contains("not put there by osupg"), "{error}");
    folder.remove("OSU00001", &feed).await.unwrap();
    assert!(folder.tree("OSU00001").join("mine").exists());
}

#[tokio::test]
async fn a_share_that_is_not_mounted_is_no_empty_point() {
    let bench = Bench::new();
    let folder = folder(&bench);
    let mark = folder.claim().await.unwrap();
    folder.check_mark(&mark).await.unwrap();
    fs::rename(folder.root.join(".osupg"), bench.folder.path().join("away")).unwrap();
    let error = folder.check_mark(&mark).await.unwrap_err();
    assert!(error.advice().unwrap().contains("mounted"), "{error}");
    fs::remove_dir_all(&folder.root).unwrap();
    assert!(folder.check_mark(&mark).await.is_err());
}

#[tokio::test]
async fn equal_files_share_their_bytes_where_nothing_speaks_against_it() {
    let bench = Bench::new();
    let folder = folder(&bench);
    let signed = bench.revision("OSU00001", 1, &media()).await;
    bench.install(&folder, &signed, Depth::Usual).await;
    let mut other = bench.revision("OSU00002", 1, &media()).await;
    other.near = vec!["OSU00001".into()];
    assert_eq!(bench.install(&folder, &other, Depth::Usual).await, 0);
    let meta = |id: &str| fs::metadata(folder.tree(id).join("sources/install.wim")).unwrap();
    let (first, second) = (meta("OSU00001"), meta("OSU00002"));
    // A clone has its own inode; where the file system has none, a hard link has the same.
    let linked = first.ino() == second.ino() && first.nlink() >= 2;
    let cloned = first.ino() != second.ino();
    assert!(linked || cloned);
    // Damage in one is repaired there without touching what the other has.
    let file = folder.tree("OSU00002").join("sources/install.wim");
    let mut bytes = fs::read(&file).unwrap();
    bytes[5] ^= 1;
    fs::remove_file(&file).unwrap();
    fs::write(&file, bytes).unwrap();
    assert_eq!(bench.flaws(&folder, &other).await.len(), 1);
    assert_eq!(bench.install(&folder, &other, Depth::EveryByte).await, 0, "it is at the point");
    assert_eq!(bench.flaws(&folder, &other).await, [""; 0]);
    assert_eq!(bench.flaws(&folder, &signed).await, [""; 0]);
}
