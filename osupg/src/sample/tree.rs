//! What the sample images hold: a small Windows-like tree, most of it the same in every edition.
//!
//! It has what real images have and a reader must not lose: hard links, a junction, a symbolic
//! link, a named stream, short names, hidden and system files, an empty file and folder.

use super::EPOCH;
use super::pe::{self, Program};
use super::text::{Numbers, binary, ini, prose};

/// Libraries in `System32`, beside those with names of their own.
const LIBRARIES: u32 = 90;
/// Words of which library names are made.
const PARTS: [&str; 12] =
    ["api", "core", "net", "ui", "dev", "sec", "media", "shell", "print", "store", "time", "user"];

/// One name in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Where it is, parts separated by `/`; the folder above is an item that comes before.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: Kind,
    /// The 8.3 name; empty for none.
    pub(super) short_name: &'static str,
    /// Whether it is hidden and belongs to the system.
    pub(super) hidden: bool,
}

/// What an [`Item`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A folder.
    Folder,
    /// A file with its contents and, if not empty, a stream `Zone.Identifier`.
    File { data: Vec<u8>, zone: &'static str },
    /// Another name of the file at this path, which comes before.
    Link(String),
    /// A junction to this folder.
    Junction(&'static str),
    /// A symbolic link to this relative path.
    Symlink(&'static str),
}

/// An edition of the sample system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edition {
    /// Name of the image.
    pub(super) name: &'static str,
    /// What a person is shown.
    pub(super) description: &'static str,
    /// Edition id.
    pub(super) id: &'static str,
    /// Programs that only this edition has.
    pub(super) features: &'static [&'static str],
}

/// The editions of `install.wim`.
pub(super) const EDITIONS: [Edition; 3] = [
    Edition {
        name: "Sample OS Home",
        description: "Sample OS for one person at home",
        id: "Core",
        features: &["gamepanel"],
    },
    Edition {
        name: "Sample OS Pro",
        description: "Sample OS for work",
        id: "Professional",
        features: &["gpedit", "remotehost", "drivelock"],
    },
    Edition {
        name: "Sample OS Enterprise",
        description: "Sample OS for large organisations",
        id: "Enterprise",
        features: &["gpedit", "remotehost", "drivelock", "branchcache", "appguard"],
    },
];

/// Collects items; folders above come by themselves.
#[derive(Debug, Default)]
struct Collector {
    items: Vec<Item>,
}

impl Collector {
    fn put(&mut self, path: &str, kind: Kind) -> &mut Item {
        for (end, _) in path.match_indices('/') {
            let folder = &path[..end];
            if !self.items.iter().any(|item| item.path == folder) {
                self.push(folder, Kind::Folder);
            }
        }
        self.push(path, kind)
    }

    fn push(&mut self, path: &str, kind: Kind) -> &mut Item {
        let place = self.items.len();
        self.items.push(Item { path: path.into(), kind, short_name: "", hidden: false });
        &mut self.items[place]
    }

    fn file(&mut self, path: &str, data: Vec<u8>) -> &mut Item {
        self.put(path, Kind::File { data, zone: "" })
    }

    fn program(&mut self, path: &str, program: Program, size: usize) {
        self.file(path, pe::build(program, EPOCH, &binary(path, size)));
    }

    /// What every image has, boot images too.
    fn kernel(&mut self) {
        for (name, size) in
            [("ntoskrnl.exe", 900_000), ("hal.dll", 60_000), ("winload.efi", 300_000)]
        {
            let program = if name.ends_with("efi") { Program::Efi } else { Program::Console };
            self.program(&format!("Windows/System32/{name}"), program, size);
        }
        for (name, size) in
            [("ntdll.dll", 500_000), ("kernel32.dll", 200_000), ("user32.dll", 400_000)]
        {
            self.program(&format!("Windows/System32/{name}"), Program::Library, size);
        }
        for name in ["disk", "ntfs", "tcpip", "usbhub"] {
            self.program(&format!("Windows/System32/drivers/{name}.sys"), Program::Console, 80_000);
        }
        self.file("Windows/System32/drivers/etc/hosts", b"127.0.0.1 localhost\r\n".to_vec());
        self.file("Windows/Temp/.keep", Vec::new());
        self.put("Windows/Logs", Kind::Folder);
    }

    /// What the editions share.
    fn system(&mut self) {
        let mut numbers = Numbers::of("libraries");
        for number in 0..LIBRARIES {
            let part = |n: u64| PARTS[n as usize % PARTS.len()];
            let name =
                format!("{}{}{number:02}", part(numbers.next() >> 40), part(numbers.next() >> 40));
            let size = 4_000 + numbers.below(120_000) as usize;
            let file = format!("Windows/System32/{name}.dll");
            self.program(&file, Program::Library, size);
            // As in the component store: the same file under a second name.
            let component = format!("Windows/WinSxS/amd64_{name}_10.0.26100.1742/{name}.dll");
            self.put(&component, Kind::Link(file));
            self.program(
                &format!("Windows/System32/en-US/{name}.dll.mui"),
                Program::Library,
                3_000,
            );
        }
        self.program("Windows/explorer.exe", Program::Console, 1_200_000);
        self.file("Windows/Fonts/sample.ttf", binary("font", 350_000));
        self.file("Windows/Web/Wallpaper/sample.bmp", binary("wallpaper", 1_500_000));
        self.file("Windows/INF/sample.inf", prose("inf", 40_000));
        self.file("Windows/win.ini", ini(&[("fonts", &[]), ("mail", &[("MAPI", "1")])]));
        self.put("Program Files", Kind::Folder).short_name = "PROGRA~1";
        self.file("Program Files/Common Files/readme.txt", prose("common", 3_000));
        self.put("Users/Default/Documents", Kind::Folder);
        self.file("Users/Default/NTUSER.DAT.LOG1", Vec::new()).hidden = true;
        self.put(
            "Users/Public/Downloads/guide.txt",
            Kind::File { data: prose("guide", 20_000), zone: "[ZoneTransfer]\r\nZoneId=3\r\n" },
        );
        self.put("Documents and Settings", Kind::Junction("\\??\\C:\\Users")).hidden = true;
        self.put("Users/All Users", Kind::Symlink("Public")).hidden = true;
        self.file("Users/Größe und 文字.txt", prose("names", 500));
    }
}

/// The tree of an edition.
pub(super) fn edition(edition: &Edition) -> Vec<Item> {
    let mut tree = Collector::default();
    tree.kernel();
    tree.system();
    for feature in edition.features {
        tree.program(&format!("Windows/System32/{feature}.exe"), Program::Console, 150_000);
    }
    let id = edition.id;
    tree.file(&format!("Windows/servicing/Editions/{id}Edition.xml"), prose(id, 8_000));
    tree.file("Windows/System32/license.rtf", prose(&format!("licence of {id}"), 30_000));
    tree.file("Windows/System32/edition.ini", ini(&[("Edition", &[("Id", id)])]));
    tree.items
}

/// The tree of a boot image; the second has Windows Setup in it.
pub(super) fn boot(with_setup: Setup) -> Vec<Item> {
    let mut tree = Collector::default();
    tree.kernel();
    tree.program("Windows/System32/winpeshl.exe", Program::Console, 40_000);
    tree.program("Windows/System32/wpeutil.exe", Program::Console, 50_000);
    if with_setup == Setup::Inside {
        tree.program("setup.exe", Program::Console, 90_000);
        tree.program("sources/setup.exe", Program::Console, 350_000);
    }
    tree.items
}

/// Whether a boot image holds Windows Setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setup {
    /// It does.
    Inside,
    /// It does not.
    Absent,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_folder_comes_before_what_is_in_it_and_names_are_unique() {
        let trees = EDITIONS.iter().map(edition).chain([boot(Setup::Absent), boot(Setup::Inside)]);
        for items in trees {
            let mut seen = HashSet::new();
            for item in &items {
                if let Some((folder, _)) = item.path.rsplit_once('/') {
                    assert!(seen.contains(folder), "{}", item.path);
                }
                if let Kind::Link(target) = &item.kind {
                    assert!(seen.contains(target), "{target}");
                }
                assert!(seen.insert(item.path.clone()), "{} twice", item.path);
            }
        }
    }

    #[test]
    fn editions_share_most_of_their_files() {
        let files = |items: Vec<Item>| -> HashSet<Vec<u8>> {
            let data = items.into_iter().filter_map(|item| match item.kind {
                Kind::File { data, .. } => Some(data),
                _ => None,
            });
            data.collect()
        };
        let home = files(edition(&EDITIONS[0]));
        let pro = files(edition(&EDITIONS[1]));
        let shared = home.intersection(&pro).count();
        assert!(shared * 10 > home.len() * 9, "{shared} of {}", home.len());
        assert!(shared < home.len() && shared < pro.len());
    }
}
