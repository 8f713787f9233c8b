//! Changes an archive in place without touching its data: names, descriptions and other properties
//! of images, and which image boots.
//!
//! Only the XML, the integrity table and the header are written. At every moment the file on disk
//! is whole, before or after the change:
//!
//! ```text
//!   before   header | resources, blob table | XML | integrity
//!   1        header | resources, blob table | XML | integrity | … | new XML | integrity   durable
//!   2        header'| resources, blob table |  (unused)           | new XML | integrity   durable
//!   3        header'| resources, blob table | new XML | integrity | … | new XML | …       durable
//!   4        header"| resources, blob table | new XML | integrity                         cut
//! ```
//!
//! The header is one 208-byte write at the start of the file, within one disk sector. Where the file
//! has data behind its tables, which no tool writes, the new tables stay at the end (after step 2).
//!
//! A pipable archive begins with its XML, and is written anew.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use wim_format::Level;
use wim_format::blob_table::BlobPlace;
use wim_format::header::{HEADER_LEN, Header, HeaderFlags, Layout};
use wim_format::resource::{ResourceFlags, ResourceHeader};
use wim_format::xml::{EditError, WimXml};

use crate::archive::{ImageIndex, Wim};
use crate::cancel::Cancel;
use crate::error::{Action, Error};
use crate::export::{self, Existing, Verification};
use crate::pipeline::Threads;
use crate::progress::Progress;
use crate::source::read_exact_at;
use crate::write::pack::Packing;
use crate::write::place::Locked;
use crate::write::session::Context;
use crate::{integrity, output};

/// What to change.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Properties of images to set, in this order.
    pub properties: Vec<Property>,
    /// The image to boot.
    pub boot: Option<Boot>,
    /// What becomes of the integrity table, if anything else is changed.
    pub integrity: IntegrityTable,
}

/// A property of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The image.
    pub image: ImageIndex,
    /// Path of an XML element in the image, such as `NAME` or `WINDOWS/VERSION/MAJOR`.
    pub path: String,
    /// Its new text; empty to remove the element.
    pub value: String,
}

/// Which image boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// None.
    None,
    /// This one.
    Image(ImageIndex),
}

impl Boot {
    /// The index as the header has it: 0 for none.
    #[must_use]
    pub fn index(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Image(image) => image.get(),
        }
    }
}

/// What becomes of the integrity table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntegrityTable {
    /// Kept when there is one.
    #[default]
    Keep,
    /// Kept, or made when there is none.
    Write,
    /// Left out.
    Remove,
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The file is as wanted now.
    Changed,
    /// It was so before; nothing was written.
    Unchanged,
}

/// Makes the changes in the archive at `path`, which is open as `wim`.
///
/// # Errors
/// The file is read-only, a part of a split set, inside an ISO image, or locked by another
/// process; a property's path or value is impossible, or a name is taken; writing fails. The file is
/// then as it was.
pub fn run(
    wim: Wim,
    path: &Path,
    changes: &Changes,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let mut xml = wim.xml().clone();
    edit_xml(&mut xml, &wim, &changes.properties)?;
    let mut header = wim.header().clone();
    if let Some(boot) = changes.boot {
        set_boot(&mut header, &wim, boot)?;
    }
    if header == *wim.header() && xml.to_bytes() == wim.xml().to_bytes() {
        return Ok(Outcome::Unchanged);
    }
    if header.layout == Layout::Pipable {
        drop(wim);
        let context = Context { threads: Threads::default(), progress, cancel };
        return rebuild(path, xml, header.boot_index, changes.integrity, context);
    }
    let file = open_for_writing(path, &wim)?;
    wim.require_metadata()?;
    header.image_count = wim.image_count();
    let table = integrity_table(&wim, changes.integrity, progress, cancel)?;
    let final_place = end_of_data(&wim);
    let old_len = wim.parts()[0].source.len();
    xml.set_total_bytes(final_place.unwrap_or(old_len));
    let tables = Tables { xml: xml.to_bytes(), integrity: table };
    // Nothing may read through the map while the file behind it changes.
    drop(wim);
    cancel.check()?;
    tables.write(&file, header, final_place, old_len).map_err(Error::io(Action::Write, path))?;
    Ok(Outcome::Changed)
}

/// Writes a pipable archive anew, with another XML document.
fn rebuild(
    path: &Path,
    xml: WimXml,
    boot_index: u32,
    integrity: IntegrityTable,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    let old = Locked::open(path)?;
    let packing = Packing::like(&old.wim, Level::default());
    let mut session =
        export::add_to(&old, Existing::Rebuild, export::Pipable::Keep, packing, context)?;
    session.xml = xml;
    session.header.boot_index = boot_index;
    let table = match integrity {
        IntegrityTable::Keep => export::IntegrityTable::Keep,
        IntegrityTable::Write => export::IntegrityTable::Write,
        IntegrityTable::Remove => export::IntegrityTable::Omit,
    };
    session.finish(table, Verification::Trust, context)?;
    Ok(Outcome::Changed)
}

fn edit_xml(xml: &mut WimXml, wim: &Wim, properties: &[Property]) -> Result<(), Error> {
    for Property { image, path, value } in properties {
        let image = image.get();
        if path == "NAME" && !value.is_empty() {
            let others = xml.images().into_iter().filter(|other| other.index != image);
            if others.into_iter().any(|other| other.name.as_ref() == Some(value)) {
                return Err(Error::NameTaken { file: wim.name(), name: value.clone() });
            }
        }
        let edited = match value.as_str() {
            "" => xml.remove_property(image, path).map(drop),
            value => xml.set_property(image, path, value),
        };
        edited.map_err(|error: EditError| Error::Parameter(format!("property {path}: {error}")))?;
    }
    Ok(())
}

fn set_boot(header: &mut Header, wim: &Wim, boot: Boot) -> Result<(), Error> {
    header.boot_index = boot.index();
    header.boot_metadata = match boot {
        Boot::None => ResourceHeader::default(),
        Boot::Image(image) => wim.metadata_entry(image)?.resource,
    };
    Ok(())
}

/// Opens and locks the file, after making sure that it may be changed and is the one `wim` reads.
fn open_for_writing(path: &Path, wim: &Wim) -> Result<File, Error> {
    let header = wim.header();
    let read_only = |reason: &str| Error::ReadOnly { file: wim.name(), reason: reason.into() };
    if header.total_parts > 1 || header.flags.contains(HeaderFlags::SPANNED) {
        return Err(read_only("it is part of a split set"));
    }
    if header.flags.contains(HeaderFlags::READONLY) {
        return Err(read_only("it is marked as read-only"));
    }
    let opened = File::options().read(true).write(true).open(path);
    let file = opened.map_err(|error| read_only(&error.to_string()))?;
    let mut stored = [0; HEADER_LEN];
    let is_the_wim = read_exact_at(&file, &mut stored, 0).is_ok()
        && Header::parse(&stored).is_ok_and(|stored| stored == *header);
    if !is_the_wim {
        return Err(read_only("it is not a file of its own; export its images first"));
    }
    match output::lock_soon(&file, path) {
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.into() }),
        // File systems without locks are written to all the same, as wimlib does.
        _ => Ok(file),
    }
}

/// The new integrity table; what it covers does not change.
fn integrity_table(
    wim: &Wim,
    wanted: IntegrityTable,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<u8>, Error> {
    let part = &wim.parts()[0];
    let has_one = part.header.integrity.size != 0;
    if wanted == IntegrityTable::Remove || (wanted == IntegrityTable::Keep && !has_one) {
        return Ok(Vec::new());
    }
    match integrity::stored(part) {
        Ok(Some(stored)) => return Ok(stored.to_vec()),
        Ok(None) => {}
        Err(damage) => integrity::warn_of_new_table(&damage, progress),
    }
    integrity::compute(part, progress, cancel)
}

/// Where the XML belongs: right behind the blob table, when nothing but tables lies behind it.
fn end_of_data(wim: &Wim) -> Option<u64> {
    let part = &wim.parts()[0];
    let header = &part.header;
    let end = header.blob_table.end().max(HEADER_LEN as u64);
    let metadata = part.blobs.metadata.iter().map(|entry| entry.resource);
    let solid = part.blobs.solid.iter().map(|solid| solid.resource);
    let alone = part.blobs.blobs.iter().filter_map(|blob| match blob.place {
        BlobPlace::Resource(resource) => Some(resource),
        BlobPlace::Solid { .. } => None,
    });
    let before = |resource: ResourceHeader| resource.end() <= end;
    let behind = |table: ResourceHeader| table.size == 0 || table.offset >= end;
    let orderly = metadata.chain(solid).chain(alone).all(before)
        && behind(header.xml)
        && behind(header.integrity);
    orderly.then_some(end)
}

/// The tables that follow the blob table.
struct Tables {
    xml: Vec<u8>,
    /// Empty for none.
    integrity: Vec<u8>,
}

impl Tables {
    fn len(&self) -> u64 {
        (self.xml.len() + self.integrity.len()) as u64
    }

    /// Steps 1 to 4 of the module's documentation.
    fn write(
        &self,
        file: &impl Disk,
        mut header: Header,
        final_place: Option<u64>,
        old_len: u64,
    ) -> io::Result<()> {
        // So far behind that the final place does not overlap with this one.
        let behind = final_place.map_or(old_len, |place| old_len.max(place + self.len()));
        self.write_at(file, &mut header, behind)?;
        if let Some(place) = final_place {
            self.write_at(file, &mut header, place)?;
            file.set_len(place + self.len())?;
        }
        Ok(())
    }

    /// Writes the tables, then the header that points to them.
    fn write_at(&self, file: &impl Disk, header: &mut Header, place: u64) -> io::Result<()> {
        let table = |offset, bytes: &[u8], flags| match bytes {
            [] => ResourceHeader::default(),
            bytes => ResourceHeader::stored(offset, bytes.len() as u64, flags),
        };
        let integrity_place = place + self.xml.len() as u64;
        header.xml = table(place, &self.xml, ResourceFlags::METADATA);
        header.integrity = table(integrity_place, &self.integrity, ResourceFlags::empty());
        file.write(&self.xml, place)?;
        file.write(&self.integrity, integrity_place)?;
        file.sync()?;
        file.write(&header.to_bytes(), 0)?;
        file.sync()
    }
}

/// What the steps need of a file.
trait Disk {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes all before it durable before anything after it.
    fn sync(&self) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
}

impl Disk for File {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        output::write_all_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;

    use super::*;
    use crate::archive::Integrity;
    use crate::progress::Silent;
    use crate::source::MemorySource;
    use crate::verify;

    const VECTOR: &[u8] = include_bytes!("../../tests/data/vectors/v1.wim");

    /// Remembers the steps in place of doing them.
    #[derive(Default)]
    struct Log(RefCell<Vec<Step>>);

    #[derive(Clone)]
    enum Step {
        Write(Vec<u8>, usize),
        Sync,
        SetLen(usize),
    }

    impl Disk for Log {
        fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.0.borrow_mut().push(Step::Write(bytes.to_vec(), offset as usize));
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            self.0.borrow_mut().push(Step::Sync);
            Ok(())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.borrow_mut().push(Step::SetLen(len as usize));
            Ok(())
        }
    }

    fn write(file: &mut Vec<u8>, bytes: &[u8], offset: usize) {
        file.resize(file.len().max(offset + bytes.len()), 0);
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn open(bytes: &[u8]) -> Wim {
        let source = Arc::new(MemorySource::new(bytes.to_vec(), "x.wim"));
        Wim::from_source(source, []).expect("a whole archive")
    }

    /// The name of the image, after a check of everything else.
    fn name_in(bytes: &[u8]) -> String {
        let wim = open(bytes);
        let options = verify::Options { integrity: Integrity::Check, ..Default::default() };
        let found = verify::run(&wim, &options, &Silent, &Cancel::new()).expect("not cancelled");
        assert!(found.is_sound(), "{:?}", found.problems);
        assert_eq!(found.integrity_tables, 1);
        wim.xml().image(1).and_then(|image| image.name).unwrap_or_default()
    }

    /// The process may end, or the power fail, at any moment: between steps, in the middle of one
    /// (but not of the header, which is in one sector), or with only some of the steps since the
    /// last sync on the disk.
    #[test]
    fn the_file_is_whole_at_every_moment() {
        for name in ["N", "a name that makes the XML much longer than it was before the change"] {
            let wim = open(VECTOR);
            let mut xml = wim.xml().clone();
            xml.set_property(1, "NAME", name).expect("a property");
            let stored = integrity::stored(&wim.parts()[0]).expect("it is whole");
            let integrity = stored.expect("a table").to_vec();
            let tables = Tables { xml: xml.to_bytes(), integrity };
            let (log, place) = (Log::default(), end_of_data(&wim));
            assert!(place.is_some());
            let len = VECTOR.len() as u64;
            tables.write(&log, wim.header().clone(), place, len).expect("a log takes all");

            let (mut durable, mut names) = (VECTOR.to_vec(), vec![name_in(VECTOR)]);
            let steps = log.0.into_inner();
            for group in steps.split(|step| matches!(step, Step::Sync)) {
                // Any selection of the steps of a group may have reached the disk, cut anywhere.
                for selection in 0..1u32 << group.len() {
                    for cut in [1, 2, 3] {
                        let mut file = durable.clone();
                        for (index, step) in group.iter().enumerate() {
                            match step {
                                _ if selection & 1 << index == 0 => {}
                                Step::Write(bytes, 0) => write(&mut file, bytes, 0),
                                Step::Write(bytes, at) => {
                                    write(&mut file, &bytes[..bytes.len() * cut / 3], *at);
                                }
                                Step::SetLen(len) => file.truncate(*len),
                                Step::Sync => {}
                            }
                        }
                        names.push(name_in(&file));
                    }
                }
                for step in group {
                    match step {
                        Step::Write(bytes, at) => write(&mut durable, bytes, *at),
                        Step::SetLen(len) => durable.truncate(*len),
                        Step::Sync => {}
                    }
                }
            }
            assert_eq!(name_in(&durable), name);
            assert_eq!(durable.len() as u64, place.expect("a place") + tables.len());
            names.dedup();
            assert_eq!(names, ["NM", name], "first the old name, from some moment on the new one");
        }
    }
}
