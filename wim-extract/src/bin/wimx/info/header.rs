//! The fields of the header: `info --header`.

use std::io::{self, Write};

use serde_json::{Value, json};
use wim_format::header::{HEADER_LEN, Header, HeaderFlags, Layout};
use wim_format::resource::ResourceHeader;

use super::view::Guid;

const FLAG_NAMES: [(HeaderFlags, &str); 13] = [
    (HeaderFlags::RESERVED, "RESERVED"),
    (HeaderFlags::COMPRESSION, "COMPRESSION"),
    (HeaderFlags::READONLY, "READONLY"),
    (HeaderFlags::SPANNED, "SPANNED"),
    (HeaderFlags::RESOURCE_ONLY, "RESOURCE_ONLY"),
    (HeaderFlags::METADATA_ONLY, "METADATA_ONLY"),
    (HeaderFlags::WRITE_IN_PROGRESS, "WRITE_IN_PROGRESS"),
    (HeaderFlags::RP_FIX, "RP_FIX"),
    (HeaderFlags::COMPRESS_RESERVED, "COMPRESS_RESERVED"),
    (HeaderFlags::LZX, "COMPRESS_LZX"),
    (HeaderFlags::XPRESS, "COMPRESS_XPRESS"),
    (HeaderFlags::LZMS, "COMPRESS_LZMS"),
    (HeaderFlags::XPRESS_2, "COMPRESS_XPRESS_2"),
];

/// Writes wimlib's lines.
pub(super) fn print(out: &mut impl Write, header: &Header) -> io::Result<()> {
    let line = |out: &mut dyn Write, name: &str, value: &dyn std::fmt::Display| {
        writeln!(out, "{name:<27} = {value}")
    };
    line(
        out,
        "Magic Characters",
        &magic(header).escape_default().to_string().replace("\\u{0}", "\\0"),
    )?;
    line(out, "Header Size", &HEADER_LEN)?;
    line(out, "Version", &format_args!("{:#x}", header.version as u32))?;
    line(out, "Flags", &format_args!("{:#x}", header.flags.bits()))?;
    for name in flag_names(header.flags) {
        writeln!(out, "    WIM_HDR_FLAG_{name} is set")?;
    }
    line(out, "Chunk Size", &header.chunk_size)?;
    line(out, "GUID", &Guid(header.guid))?;
    line(out, "Part Number", &header.part_number)?;
    line(out, "Total Parts", &header.total_parts)?;
    line(out, "Image Count", &header.image_count)?;
    resource(out, "Blob Table", &header.blob_table, "Original_size")?;
    resource(out, "XML Data", &header.xml, "Original Size")?;
    resource(out, "Boot Metadata", &header.boot_metadata, "Original Size")?;
    line(out, "Boot Index", &header.boot_image().unwrap_or(0))?;
    resource(out, "Integrity", &header.integrity, "Original_size")
}

fn resource(
    out: &mut impl Write,
    name: &str,
    resource: &ResourceHeader,
    last: &str,
) -> io::Result<()> {
    let flags = format!("{:#x}", resource.flags.bits());
    for (field, value) in [
        ("Size", resource.size.to_string()),
        ("Flags", flags),
        ("Offset", resource.offset.to_string()),
        (last, resource.uncompressed_size.to_string()),
    ] {
        writeln!(out, "{:<27} = {value}", format_args!("{name} {field}").to_string())?;
    }
    Ok(())
}

/// The same as a JSON object.
pub(super) fn json(header: &Header) -> Value {
    let resource = |resource: &ResourceHeader| {
        json!({
            "size": resource.size,
            "flags": resource.flags.bits(),
            "offset": resource.offset,
            "uncompressed_size": resource.uncompressed_size,
        })
    };
    json!({
        "magic": magic(header).trim_end_matches('\0'),
        "header_size": HEADER_LEN,
        "version": header.version as u32,
        "flags": header.flags.bits(),
        "flag_names": flag_names(header.flags).collect::<Vec<_>>(),
        "chunk_size": header.chunk_size,
        "guid": Guid(header.guid).to_string(),
        "part": header.part_number,
        "parts": header.total_parts,
        "images": header.image_count,
        "blob_table": resource(&header.blob_table),
        "xml": resource(&header.xml),
        "boot_metadata": resource(&header.boot_metadata),
        "boot_index": header.boot_index,
        "integrity": resource(&header.integrity),
    })
}

fn magic(header: &Header) -> &'static str {
    match header.layout {
        Layout::Normal => "MSWIM\0\0\0",
        Layout::Pipable => "WLPWM\0\0\0",
    }
}

fn flag_names(flags: HeaderFlags) -> impl Iterator<Item = &'static str> {
    FLAG_NAMES.into_iter().filter(move |(flag, _)| flags.contains(*flag)).map(|(_, name)| name)
}
