//! Directory trees that no honest tool writes: names that climb, links planted for later names to
//! follow, lists that contain themselves.

use std::fs;
use std::path::Path;
use std::time::Duration;

use osupg_tests::bins;
use osupg_tests::child::run_within;
use wim_format::Sha1Hash;
use wim_format::metadata::reparse::{LinkKind, TAG_SYMLINK, symlink_data};
use wim_format::name::Utf16NameBuf;
use wim_format::testing::{Chunks, TinyWim};

use crate::Sandbox;

const DIRECTORY: u32 = 0x10;
const NORMAL: u32 = 0x80;
const REPARSE_POINT: u32 = 0x400;

/// A dentry to be written.
struct Node {
    name: Vec<u16>,
    attributes: u32,
    hash: Sha1Hash,
    /// Reparse tag or hard link group.
    link: u64,
    children: Children,
}

/// What a dentry says of its children.
enum Children {
    None,
    Here(Vec<Node>),
    /// A list at this offset, whatever is there.
    At(u64),
}

/// The writer of one hostile archive.
struct Hostile {
    wim: TinyWim,
}

impl Hostile {
    fn new() -> Self {
        Self { wim: TinyWim::default() }
    }

    fn file(&mut self, name: &str) -> Node {
        let hash = self.wim.blob(b"evil", Chunks::Stored);
        self.node(name, NORMAL, hash, 0, Children::None)
    }

    fn folder(&self, name: &str, children: Vec<Node>) -> Node {
        self.node(name, DIRECTORY, Sha1Hash([0; 20]), 0, Children::Here(children))
    }

    fn folder_at(&self, name: &str, offset: u64) -> Node {
        self.node(name, DIRECTORY, Sha1Hash([0; 20]), 0, Children::At(offset))
    }

    fn symlink(&mut self, name: &str, target: &str) -> Node {
        let kind = if target.starts_with('\\') { LinkKind::Absolute } else { LinkKind::Relative };
        let target = Utf16NameBuf::from(target);
        let data = symlink_data(target.as_name(), target.as_name(), kind).expect("a short target");
        let hash = self.wim.blob(&data, Chunks::Stored);
        let attributes = REPARSE_POINT | DIRECTORY;
        self.node(name, attributes, hash, u64::from(TAG_SYMLINK), Children::None)
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn node(
        &self,
        name: &str,
        attributes: u32,
        hash: Sha1Hash,
        link: u64,
        children: Children,
    ) -> Node {
        Node { name: name.encode_utf16().collect(), attributes, hash, link, children }
    }

    /// The archive with these names in the root of its one image.
    fn build(mut self, names: Vec<Node>) -> Vec<u8> {
        let root = self.folder("", names);
        let mut metadata = vec![8, 0, 0, 0, 0, 0, 0, 0];
        write_list(&mut metadata, &[root]);
        self.wim.image("hostile", metadata, Chunks::Stored);
        self.wim.build()
    }
}

/// Appends a list of dentries and everything below, and returns where the list is.
fn write_list(out: &mut Vec<u8>, nodes: &[Node]) -> u64 {
    let start = out.len() as u64;
    let places: Vec<usize> = nodes.iter().map(|node| write_dentry(out, node)).collect();
    out.extend([0; 8]);
    for (node, place) in nodes.iter().zip(places) {
        let offset = match &node.children {
            Children::None => continue,
            Children::Here(nodes) => write_list(out, nodes),
            Children::At(offset) => *offset,
        };
        out[place + 16..place + 24].copy_from_slice(&offset.to_le_bytes());
    }
    start
}

/// Appends one dentry and returns where it is.
fn write_dentry(out: &mut Vec<u8>, node: &Node) -> usize {
    let place = out.len();
    let name: Vec<u8> = node.name.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let length = if name.is_empty() { 104 } else { (104 + name.len()).next_multiple_of(8) };
    out.extend((length as u64).to_le_bytes());
    out.extend(node.attributes.to_le_bytes());
    out.extend((-1i32).to_le_bytes());
    out.extend([0; 8 + 16]);
    out.extend([1; 24]);
    out.extend(node.hash.0);
    out.extend([0; 4]);
    out.extend(node.link.to_le_bytes());
    out.extend([0; 4]);
    out.extend((name.len() as u16).to_le_bytes());
    out.extend(name);
    out.resize(place + length, 0);
    place
}

/// Applies and extracts with the real command, twice, since the second run finds what the first left.
fn stays_inside(what: &str, make: impl Fn(&mut Hostile, &Path) -> Vec<Node>) {
    let sandbox = Sandbox::new();
    let mut hostile = Hostile::new();
    let nodes = make(&mut hostile, &sandbox.path("outside"));
    fs::write(sandbox.path("hostile.wim"), hostile.build(nodes)).expect("the sandbox is writable");
    let target = sandbox.path("target");
    for _ in 0..2 {
        for words in [
            "apply --quiet hostile.wim 1 target",
            "apply --quiet --include-invalid-names hostile.wim 1 target",
            "extract --quiet hostile.wim 1 --dest-dir=target",
            "dir hostile.wim 1",
            "verify --quiet hostile.wim",
        ] {
            let mut command = bins::wimx();
            command.args(words.split(' ')).current_dir(sandbox.folder.path());
            let finished = run_within(&mut command, Duration::from_secs(120));
            let _ = finished.code();
            assert!(!finished.stderr.contains("panicked"), "{what}: {}", finished.stderr);
            sandbox.assert_unharmed(&format!("{what}, {words}"));
        }
    }
    if target.exists() {
        fs::remove_dir_all(&target).expect("what was applied can be removed");
    }
}

#[test]
fn an_honest_tree_of_this_writer_applies() {
    let sandbox = Sandbox::new();
    let mut hostile = Hostile::new();
    let file = hostile.file("file");
    let link = hostile.symlink("link", "folder");
    let nodes = vec![file, hostile.folder("folder", vec![]), link];
    fs::write(sandbox.path("hostile.wim"), hostile.build(nodes)).expect("the sandbox is writable");
    let mut command = bins::wimx();
    command.args(["apply", "hostile.wim", "1", "target"]).current_dir(sandbox.folder.path());
    run_within(&mut command, Duration::from_secs(120)).ok();
    assert_eq!(fs::read(sandbox.path("target/file")).expect("the file is there"), b"evil");
    assert!(sandbox.path("target/folder").is_dir());
    let link = fs::read_link(sandbox.path("target/link")).expect("the link is there");
    assert_eq!(link, Path::new("folder"));
}

#[test]
fn names_do_not_climb_out() {
    for name in
        ["..", ".", "../outside/new", "..\\outside\\new", "a/../../outside/new", "C:new", "/"]
    {
        stays_inside(name, |hostile, _| vec![hostile.file(name)]);
        stays_inside(name, |hostile, _| {
            let child = hostile.file("new");
            vec![hostile.folder(name, vec![child])]
        });
    }
    stays_inside("../ as a folder twice", |hostile, _| {
        let child = hostile.file("kept");
        let inner = hostile.folder("outside", vec![child]);
        vec![hostile.folder("..", vec![inner])]
    });
    stays_inside("absolute", |hostile, outside| {
        vec![hostile.file(&outside.join("new").display().to_string())]
    });
    stays_inside("a NUL in the name", |hostile, _| vec![hostile.file("..\0")]);
}

#[test]
fn planted_links_are_not_followed() {
    for second in ["door", "DOOR", "Door"] {
        for target in ["../outside", "OUTSIDE"] {
            let planted = |hostile: &mut Hostile, outside: &Path| {
                let absolute = outside.display().to_string().replace('/', "\\");
                let target = if target == "OUTSIDE" { absolute.as_str() } else { target };
                hostile.symlink("door", target)
            };
            stays_inside("a folder where a link is", |hostile, outside| {
                let link = planted(hostile, outside);
                let child = hostile.file("new");
                vec![link, hostile.folder(second, vec![child])]
            });
            stays_inside("the folder first", |hostile, outside| {
                let child = hostile.file("new");
                let folder = hostile.folder(second, vec![child]);
                vec![folder, planted(hostile, outside)]
            });
            stays_inside("a link that has children", |hostile, outside| {
                let mut link = planted(hostile, outside);
                link.children = Children::Here(vec![hostile.file("new")]);
                vec![link]
            });
        }
    }
    stays_inside("a file where a link to a file is", |hostile, _| {
        let link = hostile.symlink("door", "../outside/kept");
        vec![link, hostile.file("door"), hostile.file("DOOR")]
    });
}

#[test]
fn lists_that_contain_themselves_end() {
    // Offset 8 is the root's own dentry; 120 is the list of its children.
    for offset in [8, 120, 0, 1, u64::MAX, u64::MAX - 7] {
        stays_inside("a cycle", |hostile, _| {
            let file = hostile.file("file");
            vec![file, hostile.folder_at("again", offset)]
        });
        stays_inside("two cycles", |hostile, _| {
            vec![hostile.folder_at("a", offset), hostile.folder_at("b", offset)]
        });
    }
    // Lists shared by many folders on every level: few bytes, 2^40 paths.
    stays_inside("a tree that unfolds without end", |hostile, _| {
        let mut nodes = vec![hostile.file("leaf")];
        for level in (0..40).rev() {
            // Each list is two dentries of 112 bytes and its end mark; both lead to the next list.
            let next = 120 + 232 * (level + 1);
            nodes = vec![hostile.folder_at("a", next), hostile.folder("b", nodes)];
        }
        nodes
    });
}

#[test]
fn doubled_and_odd_names_are_survived() {
    stays_inside("the same name twice", |hostile, _| {
        vec![hostile.file("twice"), hostile.file("twice"), hostile.folder("twice", vec![])]
    });
    stays_inside("names of one file over a folder", |hostile, _| {
        let mut names =
            vec![hostile.file("one"), hostile.file("two"), hostile.folder("two", vec![])];
        names[0].link = 7;
        names[1].link = 7;
        names
    });
    stays_inside("a name of 32767 units", |hostile, _| vec![hostile.file(&"n".repeat(32_000))]);
    stays_inside("an empty name", |hostile, _| vec![hostile.file("")]);
    stays_inside("lone surrogates", |hostile, _| {
        let mut file = hostile.file("x");
        file.name = vec![0xd800, 0x41, 0xdc00];
        vec![file]
    });
    stays_inside("devices", |hostile, _| {
        ["CON", "nul.txt", "COM1", "x ", "x.", "a:b"].map(|name| hostile.file(name)).into()
    });
}

#[test]
fn deep_trees_end() {
    for depth in [300, 5000, 100_000] {
        let sandbox = Sandbox::new();
        let mut hostile = Hostile::new();
        let file = hostile.file("file");
        let mut metadata = vec![8, 0, 0, 0, 0, 0, 0, 0];
        // Written in a loop: a recursive writer would overflow its own stack.
        let root = hostile.folder("", vec![]);
        let mut place = write_dentry(&mut metadata, &root);
        for _ in 0..depth {
            metadata.extend([0; 8]);
            let next = metadata.len() as u64;
            metadata[place + 16..place + 24].copy_from_slice(&next.to_le_bytes());
            place = write_dentry(&mut metadata, &hostile.folder("d", vec![]));
        }
        metadata.extend([0; 8]);
        let next = metadata.len() as u64;
        metadata[place + 16..place + 24].copy_from_slice(&next.to_le_bytes());
        write_dentry(&mut metadata, &file);
        metadata.extend([0; 8]);
        hostile.wim.image("deep", metadata, Chunks::Stored);
        fs::write(sandbox.path("hostile.wim"), hostile.wim.build()).expect("it is writable");
        for words in ["verify --quiet hostile.wim", "dir hostile.wim 1"] {
            let mut command = bins::wimx();
            command.args(words.split(' ')).current_dir(sandbox.folder.path());
            let finished = run_within(&mut command, Duration::from_secs(120));
            let _ = finished.code();
            assert!(finished.peak_anonymous < 1 << 30, "{depth} levels, {words}");
        }
    }
}
