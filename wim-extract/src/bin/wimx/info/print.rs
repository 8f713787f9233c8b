//! wimlib's lines for `info`, which scripts read.

use std::fmt::Display;
use std::io::{self, Write};

use wim_format::time::FileTime;

use super::view::{ImageView, WimView, WindowsView};
use crate::calendar::Plain;

/// The file as a whole.
pub(super) fn wim(out: &mut impl Write, view: &WimView) -> io::Result<()> {
    writeln!(out, "WIM Information:")?;
    writeln!(out, "----------------")?;
    writeln!(out, "Path:           {}", view.path)?;
    writeln!(out, "GUID:           0x{}", view.guid)?;
    writeln!(out, "Version:        {}", view.version)?;
    writeln!(out, "Image Count:    {}", view.image_count)?;
    writeln!(out, "Compression:    {}", view.compression)?;
    writeln!(out, "Chunk Size:     {} bytes", view.chunk_size)?;
    writeln!(out, "Part Number:    {}/{}", view.part, view.parts)?;
    writeln!(out, "Boot Index:     {}", view.boot_index)?;
    writeln!(out, "Size:           {} bytes", view.size.unwrap_or(0))?;
    writeln!(out, "Attributes:     {}", view.attributes.join(", "))?;
    writeln!(out)
}

/// All images, each followed by an empty line.
pub(super) fn images(out: &mut impl Write, images: &[ImageView]) -> io::Result<()> {
    writeln!(out, "Available Images:")?;
    writeln!(out, "-----------------")?;
    images.iter().try_for_each(|view| image(out, view))
}

/// One image with a title of its own.
pub(super) fn single_image(out: &mut impl Write, view: &ImageView) -> io::Result<()> {
    let title = format!("Information for Image {}", view.index);
    writeln!(out, "{title}\n{}", "-".repeat(title.len()))?;
    image(out, view)
}

fn image(out: &mut impl Write, image: &ImageView) -> io::Result<()> {
    line(out, "Index", Some(image.index))?;
    line(out, "Name", Some(&image.name))?;
    line(out, "Description", Some(&image.description))?;
    line(out, "Display Name", image.display_name.as_ref())?;
    line(out, "Display Description", image.display_description.as_ref())?;
    line(out, "Directory Count", Some(image.directories.unwrap_or(0)))?;
    line(out, "File Count", Some(image.files.unwrap_or(0)))?;
    line(out, "Total Bytes", Some(image.total_bytes.unwrap_or(0)))?;
    line(out, "Hard Link Bytes", Some(image.hard_link_bytes.unwrap_or(0)))?;
    let time = |time: Option<FileTime>| Some(Plain(time.unwrap_or_default()));
    line(out, "Creation Time", time(image.created))?;
    line(out, "Last Modification Time", time(image.modified))?;
    if let Some(view) = &image.windows {
        windows(out, view)?;
    }
    line(out, "Flags", image.flags.as_ref())?;
    line(out, "WIMBoot compatible", Some(if image.wimboot { "yes" } else { "no" }))?;
    writeln!(out)
}

fn windows(out: &mut impl Write, windows: &WindowsView) -> io::Result<()> {
    // wimlib takes a missing number for 0, which is x86; JSON says null.
    line(out, "Architecture", Some(windows.architecture.unwrap_or("x86")))?;
    line(out, "Product Name", windows.product_name.as_ref())?;
    line(out, "Edition ID", windows.edition_id.as_ref())?;
    line(out, "Installation Type", windows.installation_type.as_ref())?;
    line(out, "HAL", windows.hal.as_ref())?;
    line(out, "Product Type", windows.product_type.as_ref())?;
    line(out, "Product Suite", windows.product_suite.as_ref())?;
    // Each language is followed by a space, the last one too.
    let spaced =
        |list: &Vec<String>| list.iter().map(|name| format!("{name} ")).collect::<String>();
    line(out, "Languages", windows.languages.as_ref().map(spaced))?;
    line(out, "Default Language", windows.default_language.as_ref())?;
    line(out, "System Root", windows.system_root.as_ref())?;
    let Some(version) = &windows.version else { return Ok(()) };
    line(out, "Major Version", Some(version.major))?;
    line(out, "Minor Version", Some(version.minor))?;
    line(out, "Build", Some(version.build))?;
    line(out, "Service Pack Build", Some(version.sp_build))?;
    line(out, "Service Pack Level", Some(version.sp_level))
}

/// `Name:` padded to the column of the values; nothing when there is no value.
fn line(out: &mut impl Write, name: &str, value: Option<impl Display>) -> io::Result<()> {
    match value {
        Some(value) => writeln!(out, "{name}:{:1$}{value}", "", 23 - name.len()),
        None => Ok(()),
    }
}
