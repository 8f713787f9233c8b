//! What `wimx info` knows of a file and its images. The JSON shapes are these structures.

use std::fmt;

use serde::Serialize;
use wim_extract::archive::Wim;
use wim_format::Codec;
use wim_format::header::{HeaderFlags, Layout};
use wim_format::time::FileTime;
use wim_format::xml::{Architecture, ImageXml, WimXml, WindowsInfo};

use crate::calendar::Rfc3339;
use crate::text::{Hex, display};

/// A GUID as wimlib prints it: its 16 bytes in file order.
pub(super) struct Guid(pub(super) [u8; 16]);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// The file as a whole.
#[derive(Serialize)]
pub(super) struct WimView {
    /// As the user wrote it.
    pub(super) path: String,
    #[serde(serialize_with = "display")]
    pub(super) guid: Guid,
    pub(super) version: u32,
    pub(super) image_count: u32,
    /// `None`, `XPRESS`, `LZX` or `LZMS`: the compression of resources that are not solid.
    pub(super) compression: &'static str,
    pub(super) chunk_size: u32,
    pub(super) part: u16,
    pub(super) parts: u16,
    /// 0 when no image is bootable.
    pub(super) boot_index: u32,
    /// TOTALBYTES of the XML: where the tables of a whole file end; null when it is not there.
    pub(super) size: Option<u64>,
    /// wimlib's words: `Pipable`, `Integrity info`, `Relative path junction` and so on.
    pub(super) attributes: Vec<&'static str>,
}

impl WimView {
    pub(super) fn new(wim: &Wim, xml: &WimXml, path: String) -> Self {
        let header = wim.header();
        let has = |flag| header.flags.contains(flag);
        let attributes = [
            (header.layout == Layout::Pipable, "Pipable"),
            (header.integrity.size != 0, "Integrity info"),
            (has(HeaderFlags::RP_FIX), "Relative path junction"),
            (has(HeaderFlags::RESOURCE_ONLY), "Resource only"),
            (has(HeaderFlags::METADATA_ONLY), "Metadata only"),
            (has(HeaderFlags::READONLY), "Readonly"),
        ];
        Self {
            path,
            guid: Guid(header.guid),
            version: header.version as u32,
            image_count: wim.image_count(),
            compression: match wim.codec() {
                None => "None",
                Some(Codec::Xpress) => "XPRESS",
                Some(Codec::Lzx) => "LZX",
                Some(Codec::Lzms) => "LZMS",
            },
            chunk_size: header.chunk_size,
            part: header.part_number,
            parts: header.total_parts,
            boot_index: header.boot_image().unwrap_or(0),
            size: xml.total_bytes(),
            attributes: attributes.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect(),
        }
    }
}

/// An image, as the XML describes it; null where the XML is silent.
#[derive(Serialize)]
pub(super) struct ImageView {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) display_name: Option<String>,
    pub(super) display_description: Option<String>,
    pub(super) directories: Option<u64>,
    pub(super) files: Option<u64>,
    pub(super) total_bytes: Option<u64>,
    pub(super) hard_link_bytes: Option<u64>,
    #[serde(serialize_with = "rfc3339")]
    pub(super) created: Option<FileTime>,
    #[serde(serialize_with = "rfc3339")]
    pub(super) modified: Option<FileTime>,
    pub(super) windows: Option<WindowsView>,
    pub(super) flags: Option<String>,
    pub(super) wimboot: bool,
}

/// The Windows in an image.
#[derive(Serialize)]
pub(super) struct WindowsView {
    pub(super) architecture: Option<&'static str>,
    pub(super) product_name: Option<String>,
    pub(super) edition_id: Option<String>,
    pub(super) installation_type: Option<String>,
    pub(super) hal: Option<String>,
    pub(super) product_type: Option<String>,
    pub(super) product_suite: Option<String>,
    pub(super) languages: Option<Vec<String>>,
    pub(super) default_language: Option<String>,
    pub(super) system_root: Option<String>,
    pub(super) version: Option<VersionView>,
}

/// The version of a Windows.
#[derive(Serialize)]
pub(super) struct VersionView {
    pub(super) major: u64,
    pub(super) minor: u64,
    pub(super) build: u64,
    pub(super) sp_build: u64,
    pub(super) sp_level: u64,
    pub(super) branch: Option<String>,
}

impl From<ImageXml> for ImageView {
    fn from(image: ImageXml) -> Self {
        Self {
            index: image.index,
            name: image.name.unwrap_or_default(),
            description: image.description.unwrap_or_default(),
            display_name: present(image.display_name),
            display_description: present(image.display_description),
            directories: image.dir_count,
            files: image.file_count,
            total_bytes: image.total_bytes,
            hard_link_bytes: image.hard_link_bytes,
            created: image.creation_time,
            modified: image.modification_time,
            windows: image.windows.map(WindowsView::from),
            flags: present(image.flags),
            wimboot: image.wimboot,
        }
    }
}

impl From<WindowsInfo> for WindowsView {
    fn from(windows: WindowsInfo) -> Self {
        let default_language = present(windows.default_language);
        let any_language = !windows.languages.is_empty() || default_language.is_some();
        Self {
            architecture: windows.architecture.map(architecture_name),
            product_name: present(windows.product_name),
            edition_id: present(windows.edition_id),
            installation_type: present(windows.installation_type),
            hal: present(windows.hal),
            product_type: present(windows.product_type),
            product_suite: present(windows.product_suite),
            languages: any_language.then_some(windows.languages),
            default_language,
            system_root: present(windows.system_root),
            version: windows.version.map(|version| VersionView {
                major: version.major.unwrap_or(0),
                minor: version.minor.unwrap_or(0),
                build: version.build.unwrap_or(0),
                sp_build: version.spbuild.unwrap_or(0),
                sp_level: version.splevel.unwrap_or(0),
                branch: present(version.branch),
            }),
        }
    }
}

/// wimlib's names.
fn architecture_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86 => "x86",
        Architecture::Arm => "ARM",
        Architecture::Ia64 => "ia64",
        Architecture::Amd64 => "x86_64",
        Architecture::Arm64 => "ARM64",
        Architecture::Other(1) => "MIPS",
        Architecture::Other(_) => "unknown",
    }
}

/// An empty element says no more than a missing one.
fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn rfc3339<S: serde::Serializer>(
    time: &Option<FileTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(Rfc3339).serialize(serializer)
}
