//! The version of a program: `VS_FIXEDFILEINFO` in its resources, and what it is made for.
//!
//! ```text
//! DOS header ─► PE header ─► optional header ─► resources (directory 2) ─► sections
//!   resources: type 16 (version) ─► name ─► language ─► data: … 0xFEEF04BD … 8 bytes of version
//! ```
//!
//! ("PE Format" and "VS_FIXEDFILEINFO" of Microsoft.) Offsets come from the file and are checked.

use super::identity::Version;

const SIGNATURE: u32 = 0xFEEF_04BD;
const RT_VERSION: u32 = 16;
/// Entries of one resource directory that are looked at.
const MAX_ENTRIES: usize = 4096;
/// Sections of a program; Windows loads no more than 96.
const MAX_SECTIONS: usize = 96;

/// The version of a program; `None` for what is no program or has none.
#[must_use]
pub(super) fn of(program: &[u8]) -> Option<Version> {
    let image = Image::parse(program)?;
    let resources = image.at(image.resources)?;
    let types = directory(resources, 0)?;
    let names = types.into_iter().find(|entry| entry.id == RT_VERSION)?;
    let languages = directory(resources, names.below()?)?.into_iter().next()?;
    let data = directory(resources, languages.below()?)?.into_iter().next()?;
    let record = resources.get(data.data()?..)?;
    let (place, len) = (long(record, 0)?, long(record, 4)?);
    let block = image.at(place)?;
    let block = block.get(..usize::try_from(len).ok()?.min(block.len()))?;
    fixed(block)
}

/// The architecture that a program is made for, in the word that packages use.
#[must_use]
pub(super) fn architecture(program: &[u8]) -> Option<&'static str> {
    let header = program.get(usize::try_from(long(program, 0x3c)?).ok()?..)?;
    match word(header.strip_prefix(b"PE\0\0")?, 0)? {
        0x014c => Some("x86"),
        0x8664 => Some("x64"),
        0xaa64 => Some("arm64"),
        _ => None,
    }
}

/// The fixed part begins on a multiple of four, behind a header and a name.
fn fixed(block: &[u8]) -> Option<Version> {
    let at = (0..block.len().min(256)).step_by(4).find(|at| long(block, *at) == Some(SIGNATURE))?;
    let (high, low) = (long(block, at + 8)?, long(block, at + 12)?);
    Some(Version([high >> 16, high & 0xffff, low >> 16, low & 0xffff]))
}

struct Image<'a> {
    file: &'a [u8],
    /// Address, length in the file and place in the file of each section.
    sections: Vec<(u32, u32, u32)>,
    resources: u32,
}

impl<'a> Image<'a> {
    fn parse(file: &'a [u8]) -> Option<Self> {
        if !file.starts_with(b"MZ") {
            return None;
        }
        let header =
            file.get(usize::try_from(long(file, 0x3c)?).ok()?..)?.strip_prefix(b"PE\0\0")?;
        let (sections, optional_len) =
            (usize::from(word(header, 2)?), usize::from(word(header, 16)?));
        let optional = header.get(20..)?;
        let directories = match word(optional, 0)? {
            0x10b => 96,
            0x20b => 112,
            _ => return None,
        };
        let resources = long(optional, directories + 16)?;
        let table = optional.get(optional_len..)?;
        let sections = (0..sections.min(MAX_SECTIONS))
            .map(|number| {
                let section = table.get(number * 40..)?;
                Some((long(section, 12)?, long(section, 16)?, long(section, 20)?))
            })
            .collect::<Option<_>>()?;
        (resources != 0).then_some(Self { file, sections, resources })
    }

    /// What is in memory from an address on, up to the end of its section.
    fn at(&self, address: u32) -> Option<&'a [u8]> {
        let holds = |(start, len, _): &&(u32, u32, u32)| {
            address.checked_sub(*start).is_some_and(|offset| offset < *len)
        };
        let (start, len, place) = self.sections.iter().find(holds)?;
        let from = usize::try_from(place.checked_add(address - start)?).ok()?;
        let to = usize::try_from(place.checked_add(*len)?).ok()?.min(self.file.len());
        self.file.get(from..to)
    }
}

/// An entry of a resource directory.
struct Entry {
    id: u32,
    place: u32,
}

impl Entry {
    /// Where the directory below begins.
    fn below(&self) -> Option<usize> {
        (self.place >> 31 == 1).then_some((self.place & 0x7fff_ffff) as usize)
    }

    /// Where the description of the data is.
    fn data(&self) -> Option<usize> {
        (self.place >> 31 == 0).then_some(self.place as usize)
    }
}

fn directory(resources: &[u8], at: usize) -> Option<Vec<Entry>> {
    let directory = resources.get(at..)?;
    let count = usize::from(word(directory, 12)?) + usize::from(word(directory, 14)?);
    (0..count.min(MAX_ENTRIES))
        .map(|number| {
            let entry = directory.get(16 + number * 8..)?;
            Some(Entry { id: long(entry, 0)?, place: long(entry, 4)? })
        })
        .collect()
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
pub(in crate::service) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A program of this version, as small as one can be: its resources are its one section.
    pub(in crate::service) fn program(version: &str, payload: &[u8]) -> Vec<u8> {
        const AT: u32 = 0x200;
        let [a, b, c, d] = version.parse::<Version>().unwrap().0;
        let mut block = vec![0; 40];
        block[6..8].copy_from_slice(b"V\0");
        block.extend(SIGNATURE.to_le_bytes());
        block.extend(0x1_0000_u32.to_le_bytes());
        block.extend((a << 16 | b).to_le_bytes());
        block.extend((c << 16 | d).to_le_bytes());
        let mut resources = Vec::new();
        for (id, place) in [(RT_VERSION, 0x8000_0018_u32), (1, 0x8000_0030), (1033, 0x48)] {
            resources.extend([0; 12]);
            resources.extend([0, 0, 1, 0]);
            resources.extend(u32::to_le_bytes(id));
            resources.extend(place.to_le_bytes());
        }
        resources.extend((0x1000 + 0x58_u32).to_le_bytes());
        resources.extend((block.len() as u32).to_le_bytes());
        resources.extend([0; 8]);
        resources.extend(block);
        resources.extend(payload);
        let mut file = vec![0; 0x40];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x40;
        file.extend(b"PE\0\0");
        file.extend(0x8664_u16.to_le_bytes());
        file.extend([1, 0]);
        file.extend([0; 12]);
        file.extend(240_u16.to_le_bytes());
        file.extend([0x22, 0]);
        let mut optional = vec![0; 240];
        optional[..2].copy_from_slice(&[0x0b, 0x02]);
        optional[108] = 16;
        optional[128..132].copy_from_slice(&0x1000_u32.to_le_bytes());
        optional[132..136].copy_from_slice(&(resources.len() as u32).to_le_bytes());
        file.extend(optional);
        file.extend(b".rsrc\0\0\0");
        for value in [resources.len() as u32, 0x1000, resources.len() as u32, AT] {
            file.extend(value.to_le_bytes());
        }
        file.extend([0; 16]);
        file.resize(AT as usize, 0);
        file.extend(resources);
        file
    }

    #[test]
    fn the_version_of_a_program_is_found() {
        let program = program("10.0.26100.1742", b"more");
        assert_eq!(of(&program), "10.0.26100.1742".parse().ok());
        assert_eq!(architecture(&program), Some("x64"));
        assert_eq!(of(b"MZ"), None);
        assert_eq!(
            of(&crate::service::file_version::tests::program("1.2.3.4", b"")[..0x210]),
            None
        );
    }

    proptest! {
        #[test]
        fn no_program_does_harm(at in 0_usize..0x300, value: [u8; 4]) {
            let mut program = program("1.2.3.4", b"payload");
            if let Some(place) = program.get_mut(at..at + 4) {
                place.copy_from_slice(&value);
            }
            let _ = (of(&program), architecture(&program));
        }
    }
}
