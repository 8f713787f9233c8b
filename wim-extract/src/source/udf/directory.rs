//! File identifiers: the entries of a directory ([ECMA-167] 4/14.4).

use super::{
    UdfError, name,
    tag::{TAG_LEN, id, tag_checksum_holds},
    volume::Volume,
};

/// An entry of a directory.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) is_directory: bool,
    /// Where its file entry is in the image.
    pub(super) place: u64,
}

/// Bytes of a file identifier before its implementation use and name.
const FIXED_LEN: usize = 38;
/// Bits of the file characteristics at 18.
const DIRECTORY: u8 = 2;
const DELETED: u8 = 4;
const PARENT: u8 = 8;

/// The entries in the data of the directory whose file entry is at `place`, without the deleted
/// ones and the one that leads to the parent.
pub(super) fn parse(data: &[u8], place: u64, volume: &Volume) -> Result<Vec<Child>, UdfError> {
    let damaged = |what| UdfError::Damaged { offset: place, what };
    let mut children = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let Some((fixed, variable)) = rest.split_first_chunk::<FIXED_LEN>() else {
            return Err(damaged("a directory that ends in the middle of an entry"));
        };
        let is_identifier = u16::from_le_bytes([fixed[0], fixed[1]]) == id::FILE_IDENTIFIER;
        if !is_identifier || !tag_checksum_holds(&fixed[..TAG_LEN]) {
            return Err(damaged("a directory entry with a wrong tag"));
        }
        let characteristics = fixed[18];
        let implementation_use = usize::from(u16::from_le_bytes([fixed[36], fixed[37]]));
        let end = implementation_use + usize::from(fixed[19]);
        let Some(name) = variable.get(implementation_use..end) else {
            return Err(damaged("a directory entry that reaches beyond the directory"));
        };
        if characteristics & (DELETED | PARENT) == 0 {
            let block = u32::from_le_bytes([fixed[24], fixed[25], fixed[26], fixed[27]]);
            let partition = u16::from_le_bytes([fixed[28], fixed[29]]);
            let Some(child_place) = volume.place(block, partition) else {
                return Err(damaged("a directory entry in a partition that does not exist"));
            };
            let Some(name) = name::identifier(name) else {
                return Err(damaged("a directory entry whose name no file can have"));
            };
            let is_directory = characteristics & DIRECTORY != 0;
            children.push(Child { name, is_directory, place: child_place });
        }
        // Entries are padded to four bytes; only the last may lack the padding.
        let padded = (FIXED_LEN + end).next_multiple_of(4);
        rest = rest.get(padded..).unwrap_or_default();
    }
    if has_twins(&children) {
        return Err(damaged("a directory with two entries of the same name"));
    }
    Ok(children)
}

/// Whether a name occurs twice, which [ECMA-167] 4/8.6 forbids: a path would lead to only one of
/// the two.
fn has_twins(children: &[Child]) -> bool {
    let mut names: Vec<&str> = children.iter().map(|child| child.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}
