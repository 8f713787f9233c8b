//! Programs for the sample media: real PE files that do nothing and say success.
//!
//! ```text
//! 0x000  DOS header and the usual message     file offsets; sections start at 0x400
//! 0x080  PE signature, COFF header, optional header (PE32+), two section headers
//! 0x400  .text    xor eax, eax ; ret          at 0x1000 in memory
//! 0x600  .rdata   the payload                 at 0x2000 in memory
//! ```
//!
//! Layout and fields as in Microsoft's "PE Format" specification.

/// What a program is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// Runs in a console.
    Console,
    /// Is loaded by other programs.
    Library,
    /// Is started by the firmware.
    Efi,
}

const FILE_ALIGNMENT: u32 = 0x200;
const MEMORY_ALIGNMENT: u32 = 0x1000;
const HEADERS_SIZE: u32 = 0x400;
const TEXT_AT: u32 = MEMORY_ALIGNMENT;
const DATA_AT: u32 = 2 * MEMORY_ALIGNMENT;
const PE_AT: usize = 0x80;
/// The checksum field: signature 4, COFF header 20, 64 into the optional header.
const CHECKSUM_AT: usize = PE_AT + 4 + 20 + 64;
const MACHINE_AMD64: u16 = 0x8664;
/// xor eax, eax ; ret
const CODE: [u8; 3] = [0x31, 0xc0, 0xc3];
/// The message of every Windows linker, with the code that prints it in DOS.
const DOS_STUB: &[u8] =
    b"\x0e\x1f\xba\x0e\x00\xb4\x09\xcd\x21\xb8\x01\x4c\xcd\x21This program cannot be run in DOS mode.\r\r\n$";

impl Program {
    fn subsystem(self) -> u16 {
        match self {
            Self::Console => 3,
            Self::Library => 2,
            Self::Efi => 10,
        }
    }

    /// Executable, large addresses; libraries say so.
    fn characteristics(self) -> u16 {
        match self {
            Self::Library => 0x2022,
            Self::Console | Self::Efi => 0x0022,
        }
    }
}

/// A 64-bit program that carries `payload`; `time` is the link time in seconds since 1970.
#[must_use]
pub(super) fn build(program: Program, time: u32, payload: &[u8]) -> Vec<u8> {
    let data_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let data_file_len = data_len.next_multiple_of(FILE_ALIGNMENT);
    let mut file = dos_header();
    coff_header(&mut file, program, time);
    optional_header(&mut file, program, data_len, data_file_len);
    section(&mut file, b".text\0\0\0", CODE.len() as u32, TEXT_AT, HEADERS_SIZE, 0x6000_0020);
    let data_offset = HEADERS_SIZE + FILE_ALIGNMENT;
    section(&mut file, b".rdata\0\0", data_len, DATA_AT, data_offset, 0x4000_0040);
    file.resize(HEADERS_SIZE as usize, 0);
    file.extend_from_slice(&CODE);
    // int3, as linkers fill code with.
    file.resize(data_offset as usize, 0xcc);
    file.extend_from_slice(payload);
    file.resize((data_offset + data_file_len) as usize, 0);
    let sum = checksum(&file);
    file[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
    file
}

fn dos_header() -> Vec<u8> {
    let mut header = vec![0; 0x40];
    header[..2].copy_from_slice(b"MZ");
    // Bytes on the last page, pages, header paragraphs, maximal extra paragraphs, SP, file offset of
    // relocations: as linkers write them.
    for (at, value) in [(2, 0x90_u16), (4, 3), (8, 4), (12, 0xffff), (16, 0xb8), (24, 0x40)] {
        header[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    header[0x3c..0x40].copy_from_slice(&(PE_AT as u32).to_le_bytes());
    header.extend_from_slice(DOS_STUB);
    header.resize(PE_AT, 0);
    header
}

fn coff_header(file: &mut Vec<u8>, program: Program, time: u32) {
    file.extend_from_slice(b"PE\0\0");
    file.extend_from_slice(&MACHINE_AMD64.to_le_bytes());
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&time.to_le_bytes());
    // No symbol table.
    file.extend_from_slice(&[0; 8]);
    file.extend_from_slice(&240_u16.to_le_bytes());
    file.extend_from_slice(&program.characteristics().to_le_bytes());
}

fn optional_header(file: &mut Vec<u8>, program: Program, data_len: u32, data_file_len: u32) {
    let image_size = DATA_AT + data_len.max(1).next_multiple_of(MEMORY_ALIGNMENT);
    let image_base: u64 = if program == Program::Library { 0x1_8000_0000 } else { 0x1_4000_0000 };
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    put(&0x20b_u16.to_le_bytes());
    put(&[14, 0]);
    for value in [FILE_ALIGNMENT, data_file_len, 0, TEXT_AT, TEXT_AT] {
        put(&value.to_le_bytes());
    }
    put(&image_base.to_le_bytes());
    put(&MEMORY_ALIGNMENT.to_le_bytes());
    put(&FILE_ALIGNMENT.to_le_bytes());
    // Operating system, image and subsystem version 10.0.
    for _ in 0..3 {
        put(&[10, 0, 0, 0]);
    }
    put(&[0; 4]);
    put(&image_size.to_le_bytes());
    put(&HEADERS_SIZE.to_le_bytes());
    // The checksum, filled in last.
    put(&[0; 4]);
    put(&program.subsystem().to_le_bytes());
    // High-entropy addresses, relocatable, no execution of data.
    put(&0x0160_u16.to_le_bytes());
    for value in [0x10_0000_u64, 0x1000, 0x10_0000, 0x1000] {
        put(&value.to_le_bytes());
    }
    put(&[0; 4]);
    put(&16_u32.to_le_bytes());
    put(&[0; 16 * 8]);
}

fn section(file: &mut Vec<u8>, name: &[u8; 8], len: u32, at: u32, offset: u32, flags: u32) {
    file.extend_from_slice(name);
    for value in [len, at, len.next_multiple_of(FILE_ALIGNMENT), offset, 0, 0, 0, flags] {
        file.extend_from_slice(&value.to_le_bytes());
    }
}

/// The sum of all 16-bit words with carries added back, plus the length; the field itself is 0.
fn checksum(file: &[u8]) -> u32 {
    let sum = file.chunks(2).fold(0_u32, |sum, pair| {
        let word = u32::from(pair[0]) | u32::from(pair.get(1).copied().unwrap_or(0)) << 8;
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    ((sum & 0xffff) + (sum >> 16)) + file.len() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u32_at(file: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn headers_say_where_everything_is() {
        let payload = vec![7; 1000];
        let file = build(Program::Console, 5, &payload);
        assert_eq!(&file[..2], b"MZ");
        let pe = u32_at(&file, 0x3c) as usize;
        assert_eq!(&file[pe..pe + 4], b"PE\0\0");
        let optional = pe + 24;
        assert_eq!(file[optional..optional + 2], [0x0b, 0x02]);
        let sections = optional + 240;
        let text_offset = u32_at(&file, sections + 20) as usize;
        assert_eq!(file[text_offset..text_offset + 3], CODE);
        let data = sections + 40;
        let (len, offset) = (u32_at(&file, data + 8), u32_at(&file, data + 20) as usize);
        assert_eq!(file[offset..offset + len as usize], payload);
        // The image ends where its last section does.
        assert_eq!(u32_at(&file, optional + 56), u32_at(&file, data + 12) + 0x1000);
        assert_eq!(file.len(), offset + 1024);
    }

    #[test]
    fn checksum_is_that_of_the_file_without_it() {
        let mut file = build(Program::Efi, 0, b"abc");
        let stated = u32_at(&file, CHECKSUM_AT);
        file[CHECKSUM_AT..CHECKSUM_AT + 4].fill(0);
        // The plain definition, in one wide sum.
        let mut wide: u64 =
            file.chunks(2).map(|p| u64::from(u16::from_le_bytes([p[0], p[1]]))).sum();
        while wide > 0xffff {
            wide = (wide & 0xffff) + (wide >> 16);
        }
        assert_eq!(u64::from(stated), wide + file.len() as u64);
    }
}
