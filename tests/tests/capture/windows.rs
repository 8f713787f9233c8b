//! What the XML says of a captured Windows, as wimlib says it.

use std::fs;
use std::path::Path;

use osupg_tests::child::run;
use osupg_tests::{bins, tools};
use wim_format::testing::hive::{Lists, TinyHive};

use crate::options::xml;
use crate::{Scratch, trees};

const VERSION: &str = r"Microsoft\Windows NT\CurrentVersion";
const CONTROL: &str = r"ControlSet001\Control";

/// The files of a system root.
#[derive(Clone, Default)]
struct Root {
    kernel: Option<Vec<u8>>,
    software: Option<Vec<u8>>,
    system: Option<Vec<u8>>,
}

impl Root {
    fn write(&self, root: &Path) {
        for (path, contents) in [
            ("System32/kernel32.dll", &self.kernel),
            ("System32/config/SOFTWARE", &self.software),
            ("System32/config/SYSTEM", &self.system),
        ] {
            if let Some(contents) = contents {
                trees::write(root, &[(path, contents)]);
            }
        }
    }
}

/// A program for a machine.
fn program(machine: u16) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[60] = 64;
    bytes.extend(b"PE\0\0");
    bytes.extend(machine.to_le_bytes());
    bytes.resize(1000, 0);
    bytes
}

fn software() -> TinyHive {
    TinyHive::default()
        .text(VERSION, "CurrentVersion", "6.3")
        .number(VERSION, "CurrentMajorVersionNumber", 10)
        .number(VERSION, "CurrentMinorVersionNumber", 0)
        .text(VERSION, "CurrentBuild", "26100")
        .text(VERSION, "CurrentBuildNumber", "26100")
        .text(VERSION, "ProductName", "Windows <11> Pro & \u{e4}")
        .text(VERSION, "EditionID", "Professional")
        .text(VERSION, "InstallationType", "Client")
}

fn system() -> TinyHive {
    let computer = r"Class\{4D36E966-E325-11CE-BFC1-08002BE10318}\0000";
    TinyHive::default()
        .number("Select", "Current", 1)
        .number(&format!(r"{CONTROL}\Windows"), "CSDVersion", 0x100)
        .number(&format!(r"{CONTROL}\Windows"), "CSDBuildNumber", 1742)
        .text(&format!(r"{CONTROL}\ProductOptions"), "ProductType", "WinNT")
        .texts(&format!(r"{CONTROL}\ProductOptions"), "ProductSuite", &["Terminal Server", "x"])
        .text(&format!(r"{CONTROL}\{computer}"), "MatchingDeviceId", "acpiapic")
        .text(&format!(r"{CONTROL}\Nls\Language"), "InstallLanguage", "0407")
        .key(&format!(r"{CONTROL}\MUI\UILanguages\en-US"))
        .key(&format!(r"{CONTROL}\MUI\UILanguages\de-DE"))
}

fn windows() -> Root {
    Root {
        kernel: Some(program(0x8664)),
        software: Some(software().build()),
        system: Some(system().build()),
    }
}

fn with_software(hive: &TinyHive) -> Root {
    Root { software: Some(hive.build()), ..Root::default() }
}

fn with_system(hive: &TinyHive) -> Root {
    Root { system: Some(hive.build()), ..Root::default() }
}

/// What the XML says of the images: not how long the archive is.
fn said(scratch: &Scratch, wim: &str) -> String {
    let xml = xml(scratch, wim);
    let end = xml.rfind("</IMAGE>").expect("there is an image");
    xml[..end].to_owned()
}

/// Both tools say the same of `tree`, with `options`. Gives what they say.
#[track_caller]
fn same(scratch: &Scratch, options: &str, what: &str) -> String {
    let line =
        |wim: &str| format!("capture tree {wim}.wim name --quiet {options}").trim().to_owned();
    scratch.wimlib(&line("theirs")).ok();
    scratch.wimx(&line("ours")).ok();
    let both = ["theirs.wim", "ours.wim"].map(|wim| said(scratch, wim));
    assert_eq!(both[1], both[0], "{what}");
    let [_, ours] = both;
    ours
}

/// Both tools say the same of a tree with these system roots.
#[track_caller]
fn same_of(roots: &[(&str, &Root)], what: &str) -> String {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("tree")).expect("a folder");
    for (name, root) in roots {
        root.write(&scratch.path("tree").join(name));
    }
    same(&scratch, "--compress=none", what)
}

#[test]
fn a_windows_is_described() {
    let said = same_of(&[("Windows", &windows())], "all three files");
    for expected in [
        "<SYSTEMROOT>WINDOWS</SYSTEMROOT><ARCH>9</ARCH>",
        "<PRODUCTNAME>Windows &lt;11&gt; Pro &amp; \u{e4}</PRODUCTNAME>",
        "<BUILD>26100</BUILD><SPBUILD>1742</SPBUILD><SPLEVEL>1</SPLEVEL>",
        "<LANGUAGE>de-DE</LANGUAGE><LANGUAGE>en-US</LANGUAGE><DEFAULT>de-DE</DEFAULT>",
        "<FLAGS>Professional</FLAGS>",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
}

#[test]
fn what_is_given_wins() {
    let scratch = Scratch::new();
    windows().write(&scratch.path("tree/WINNT"));
    for options in [
        "--flags=Other",
        "--image-property=WINDOWS/ARCH=5 --image-property=DISPLAYNAME=shown",
        "--image-property=WINDOWS/LANGUAGES/DEFAULT=xx --image-property=WINDOWS/NEW=1 --wimboot",
        "--compress=lzx:20",
    ] {
        same(&scratch, options, options);
    }
}

#[test]
fn the_system_root_with_most_files_is_taken() {
    let whole = windows();
    let parts = [
        Root { kernel: whole.kernel.clone(), ..Root::default() },
        Root { software: whole.software.clone(), ..Root::default() },
        Root { system: whole.system.clone(), ..Root::default() },
        Root { kernel: None, ..whole.clone() },
        whole,
    ];
    for (first, a) in parts.iter().enumerate() {
        for (second, b) in parts.iter().enumerate() {
            same_of(&[("aaa", a), ("Bbb", b)], &format!("{first} and {second}"));
        }
    }
    same_of(&[("a/Windows", &parts[0])], "not right below the root");
    same_of(&[("w\u{fc}ndows", &parts[0])], "a name that is not ASCII");
    same_of(&[], "no Windows");
    let odd = Scratch::new();
    trees::write(&odd.path("tree"), &[("wInDows/sYSTEM32/KERNEL32.dll", &program(0x14c))]);
    same(&odd, "", "names of another case");
}

#[test]
fn machines() {
    for machine in [0x14c, 0x1c0, 0x1c2, 0x1c4, 0x200, 0x8664, 0xaa64, 0, 0x5032] {
        let root = Root { kernel: Some(program(machine)), ..Root::default() };
        same_of(&[("Windows", &root)], &format!("machine {machine:#x}"));
    }
    let far = [&program(0x8664)[..60], &[0xff, 0xff, 0xff, 0x7f], &[0; 100]].concat();
    for kernel in [Vec::new(), b"MZ".to_vec(), vec![0; 300], program(0x14c)[..70].to_vec(), far] {
        let what = format!("{} bytes", kernel.len());
        same_of(&[("Windows", &Root { kernel: Some(kernel), ..Root::default() })], &what);
    }
}

#[test]
fn values_of_every_kind() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let older = |version: &str| TinyHive::default().text(VERSION, "CurrentVersion", version);
    for (hive, what) in [
        (older("6.3"), "6.3"),
        (older("6"), "6"),
        (older("6.1.2"), "6.1.2"),
        (older("x.1"), "x.1"),
        (older(""), "no version"),
        (older("5.2").number(VERSION, "CurrentMajorVersionNumber", 10), "half a number"),
        (older("5.2").text(VERSION, "CurrentBuild", " 12x3"), "a build that is no number"),
        (older("5.2").number(VERSION, "CurrentBuild", 17), "a number for a text"),
        (TinyHive::default().text(VERSION, "ProductName", ""), "an empty text"),
        (TinyHive::default().value(VERSION, "ProductName", 1, &utf16("abc")), "no NUL"),
        (TinyHive::default().value(VERSION, "ProductName", 1, &utf16("ab\0c")), "a NUL within"),
        (TinyHive::default().value(VERSION, "ProductName", 1, b"a\0b\0c"), "odd"),
        (TinyHive::default().value(VERSION, "ProductName", 2, &utf16("a%b%\0")), "variables"),
        (TinyHive::default().value(VERSION, "ProductName", 3, &utf16("abc")), "binary"),
        (TinyHive::default().texts(VERSION, "ProductName", &["abc", "def"]), "two texts"),
        (TinyHive::default().text(VERSION, "EditionID", "only this"), "the edition alone"),
        (TinyHive::default().key(r"Microsoft\Windows"), "no version at all"),
        (TinyHive::default(), "an empty hive"),
    ] {
        same_of(&[("Windows", &with_software(&hive))], what);
    }
    for lists in [Lists::Hashes, Lists::Hints, Lists::Bare, Lists::Nested] {
        let (software, system) = (software().with_lists(lists), system().with_lists(lists));
        same_of(&[("Windows", &with_software(&software))], &format!("{lists:?}"));
        same_of(&[("Windows", &with_system(&system))], &format!("{lists:?}"));
    }
}

#[test]
fn languages() {
    let installed = |number: &str| {
        let key = format!(r"{CONTROL}\Nls\Language");
        TinyHive::default().text(&key, "InstallLanguage", number)
    };
    for number in ["0409", "040C", "0c0a", "0004", "0804", "7c04", "9999", "zz", "409x", "0x409"] {
        same_of(&[("Windows", &with_system(&installed(number)))], number);
    }
    let suite = |texts: &[&str]| {
        TinyHive::default().texts(&format!(r"{CONTROL}\ProductOptions"), "ProductSuite", texts)
    };
    same_of(&[("Windows", &with_system(&suite(&[])))], "no suite");
    same_of(&[("Windows", &with_system(&suite(&["", "second"])))], "an empty suite first");
}

#[test]
fn hives_that_are_none() {
    let whole = software().build();
    let mut cases = vec![
        (Vec::new(), "empty"),
        (b"regf".to_vec(), "the signature alone"),
        (vec![0; 9000], "zeroes"),
        (whole[..whole.len() - 100].to_vec(), "cut off"),
        ([whole.clone(), vec![0; 5000]].concat(), "longer than it says"),
    ];
    for (at, what) in
        [(0, "signature"), (4, "sequence"), (20, "major"), (24, "minor"), (508, "sum")]
    {
        let mut hive = whole.clone();
        hive[at] ^= 6;
        cases.push((hive, what));
    }
    for (hive, what) in cases {
        let root = Root { software: Some(hive), kernel: Some(program(0x14c)), system: None };
        same_of(&[("Windows", &root)], what);
    }
    // Ours says why it says nothing.
    let scratch = Scratch::new();
    Root { software: Some(vec![7; 5000]), ..Root::default() }.write(&scratch.path("tree/Windows"));
    let said = scratch.wimx("capture tree ours.wim").ok().stderr;
    assert!(said.contains("/Windows/System32/config/SOFTWARE: registry hive"), "{said}");
}

#[test]
fn a_control_character_is_left_out() {
    let scratch = Scratch::new();
    let hive = TinyHive::default().text(VERSION, "ProductName", "a\u{1}b").build();
    Root { software: Some(hive), ..Root::default() }.write(&scratch.path("tree/Windows"));
    // wimlib 1.13 writes XML that it cannot read again; 1.14 leaves the value out, too.
    let said = scratch.wimx("capture tree ours.wim").ok().stderr;
    scratch.verifies("ours.wim");
    assert!(said.contains("WINDOWS/PRODUCTNAME: ") && said.contains("cannot hold"), "{said}");
}

/// An update describes the image anew: from files that came, and from those that were there.
#[test]
fn updates_and_appends_describe_too() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("plain"), &[("file", b"file")]);
    windows().write(&scratch.path("tree/Windows"));
    let other = TinyHive::default().text(VERSION, "ProductName", "newer");
    let newer = Root { software: Some(other.build()), ..Root::default() };
    newer.write(&scratch.path("newer/Windows"));
    let both = |lines: &[&str]| {
        for line in lines {
            for (wim, tool) in [("theirs.wim", tools::wimlib()), ("ours.wim", bins::wimx())] {
                run(&mut scratch.command(tool, &line.replace("WIM", wim))).ok();
            }
        }
        let both = ["theirs.wim", "ours.wim"].map(|wim| said(&scratch, wim));
        assert_eq!(both[1], both[0], "{lines:?}");
    };
    both(&["capture plain WIM name about --quiet --flags=Old"]);
    both(&["append tree WIM second about --quiet --flags=Given"]);
    for command in ["add tree /", "add newer /", "delete /file", "delete --recursive /Windows"] {
        for (wim, tool) in [("theirs.wim", tools::wimlib()), ("ours.wim", bins::wimx())] {
            scratch.update(tool, &format!("update {wim} 1 --quiet"), command);
        }
        let both = ["theirs.wim", "ours.wim"].map(|wim| said(&scratch, wim));
        assert_eq!(both[1], both[0], "{command}");
    }
}
