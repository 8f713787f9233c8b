//! Writes the sample trees as images.

use std::collections::HashMap;
use std::path::Path;

use wim_extract::write::{Options, WimWriter};
use wim_format::Sha1Hash;
use wim_format::metadata::reparse::{self, LinkKind};
use wim_format::metadata::{EntryId, FileAttributes, ImageBuilder, Inode, Reparse};
use wim_format::name::Utf16NameBuf;
use wim_format::time::FileTime;

use super::EPOCH;
use super::tree::{self, Item, Kind, Setup};
use crate::error::{Error, Result};
use crate::package::images::from_engine;
use crate::progress::Watch;

/// The branch that the sample build says it comes from.
pub(super) const BRANCH: &str = "ge_release";
const BUILD: &str = "26100";
const REVISION: &str = "1742";
/// Owner and group S-1-5-18 (the system), no access list, which lets everyone in; self-relative
/// ([MS-DTYP] §2.4.6).
const SECURITY: [u8; 44] = [
    1, 0, 0x04, 0x80, 20, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // header
    1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, // owner
    1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, // group
];

/// `install.wim`: one image an edition.
pub(super) fn install(path: &Path, watch: Watch<'_>) -> Result<()> {
    let mut wim = Maker::create(path, "install")?;
    for edition in &tree::EDITIONS {
        let image = wim.image(edition.name, &tree::edition(edition))?;
        wim.describe(image, edition.description, edition.id, "Client", "WinNT")?;
        wim.set(image, "DISPLAYNAME", edition.name)?;
        wim.set(image, "DISPLAYDESCRIPTION", edition.description)?;
    }
    wim.finish(watch)
}

/// `boot.wim`: the bare environment, and the same with Windows Setup, which is started.
pub(super) fn boot(path: &Path, watch: Watch<'_>) -> Result<()> {
    let mut wim = Maker::create(path, "boot")?;
    for (name, setup) in
        [("Sample PE (amd64)", Setup::Absent), ("Sample OS Setup (amd64)", Setup::Inside)]
    {
        let image = wim.image(name, &tree::boot(setup))?;
        wim.describe(image, name, "WindowsPE", "WindowsPE", "WinNT")?;
        wim.writer.set_boot(image);
    }
    wim.finish(watch)
}

struct Maker {
    writer: WimWriter,
}

impl Maker {
    fn create(path: &Path, name: &str) -> Result<Self> {
        // Always the same GUID: the file is always the same.
        let digest = blake3::hash(format!("osupg sample media: {name}").as_bytes());
        let guid = std::array::from_fn(|at| digest.as_bytes()[at]);
        let options = Options { guid: Some(guid), ..Options::default() };
        let writer = WimWriter::create(path, &options).map_err(|error| from_engine(&error))?;
        Ok(Self { writer })
    }

    fn blob(&mut self, data: &[u8]) -> Result<Sha1Hash> {
        self.writer.add_blob(data).map_err(|error| from_engine(&error))
    }

    /// Adds an image with these items; returns its index.
    fn image(&mut self, name: &str, items: &[Item]) -> Result<u32> {
        let time = FileTime::from_unix(i64::from(EPOCH), 0);
        let mut image = ImageBuilder::new(Inode::directory().at(time));
        let security = image.add_security_descriptor(&SECURITY).map_err(internal)?;
        image.inode_mut(ImageBuilder::ROOT).security = Some(security);
        let mut places: HashMap<&str, EntryId> = HashMap::new();
        for item in items {
            let (folder, name) = match item.path.rsplit_once('/') {
                Some((folder, name)) => (*places.get(folder).ok_or_else(out_of_order)?, name),
                None => (ImageBuilder::ROOT, item.path.as_str()),
            };
            let entry = if let Kind::Link(target) = &item.kind {
                let target = *places.get(target.as_str()).ok_or_else(out_of_order)?;
                image.link(folder, name, target).map_err(internal)?
            } else {
                let inode = Inode { security: Some(security), ..self.inode(item)?.at(time) };
                image.add(folder, name, inode).map_err(internal)?
            };
            image.set_short_name(entry, item.short_name).map_err(internal)?;
            places.insert(&item.path, entry);
        }
        let metadata = image.to_bytes().map_err(internal)?;
        self.writer.add_image(name, metadata, time).map_err(|error| from_engine(&error))
    }

    fn inode(&mut self, item: &Item) -> Result<Inode> {
        let mut inode = match &item.kind {
            Kind::Folder | Kind::Link(_) => Inode::directory(),
            Kind::File { data, zone } => {
                let mut inode = Inode::file(self.blob(data)?);
                inode.attributes = FileAttributes::ARCHIVE;
                if !zone.is_empty() {
                    let stream = self.blob(zone.as_bytes())?;
                    inode.named.push((Utf16NameBuf::from("Zone.Identifier"), stream));
                }
                inode
            }
            Kind::Junction(target) => {
                let print = Utf16NameBuf::from(target.trim_start_matches("\\??\\"));
                let target = Utf16NameBuf::from(*target);
                let data = reparse::junction_data(target.as_name(), print.as_name());
                self.folder_link(reparse::TAG_JUNCTION, &data.map_err(internal)?)?
            }
            Kind::Symlink(target) => {
                let target = Utf16NameBuf::from(*target);
                let (target, kind) = (target.as_name(), LinkKind::Relative);
                let data = reparse::symlink_data(target, target, kind);
                self.folder_link(reparse::TAG_SYMLINK, &data.map_err(internal)?)?
            }
        };
        if item.hidden {
            inode.attributes -= FileAttributes::NORMAL;
            inode.attributes |= FileAttributes::HIDDEN | FileAttributes::SYSTEM;
        }
        Ok(inode)
    }

    /// A link to a folder.
    fn folder_link(&mut self, tag: u32, data: &[u8]) -> Result<Inode> {
        let reparse = Reparse { tag, flags: 1, hash: self.blob(data)?, ..Reparse::default() };
        let mut inode = Inode::reparse_point(reparse);
        inode.attributes |= FileAttributes::DIRECTORY;
        Ok(inode)
    }

    fn set(&mut self, image: u32, property: &str, value: &str) -> Result<()> {
        self.writer.xml_mut().set_property(image, property, value).map_err(internal)
    }

    fn describe(
        &mut self,
        image: u32,
        description: &str,
        edition: &str,
        installation: &str,
        product: &str,
    ) -> Result<()> {
        self.set(image, "DESCRIPTION", description)?;
        self.set(image, "FLAGS", edition)?;
        for (property, value) in [
            ("ARCH", "9"),
            ("PRODUCTNAME", "Sample OS"),
            ("EDITIONID", edition),
            ("INSTALLATIONTYPE", installation),
            ("PRODUCTTYPE", product),
            ("LANGUAGES/LANGUAGE", "en-US"),
            ("LANGUAGES/DEFAULT", "en-US"),
            ("VERSION/MAJOR", "10"),
            ("VERSION/MINOR", "0"),
            ("VERSION/BUILD", BUILD),
            ("VERSION/SPBUILD", REVISION),
            ("VERSION/SPLEVEL", "0"),
            ("VERSION/BRANCH", BRANCH),
            ("SYSTEMROOT", "WINDOWS"),
        ] {
            self.set(image, &format!("WINDOWS/{property}"), value)?;
        }
        Ok(())
    }

    fn finish(self, watch: Watch<'_>) -> Result<()> {
        self.writer.finish(&wim_extract::Silent, watch.cancel).map_err(|error| from_engine(&error))
    }
}

/// The sample trees are made here; that one cannot be written is a defect of ours.
fn internal(error: impl std::fmt::Display) -> Error {
    Error::io(format!("internal: sample image: {error}"))
}

fn out_of_order() -> Error {
    internal("a folder or link target comes too late")
}
