//! What the XML says of an image, typed.

use super::tree::{NodeId, Tree};
use crate::time::FileTime;

/// What the XML says of an image. What is missing, or does not parse as its type, is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageXml {
    /// The image, from 1.
    pub index: u32,
    /// NAME.
    pub name: Option<String>,
    /// DESCRIPTION.
    pub description: Option<String>,
    /// DISPLAYNAME.
    pub display_name: Option<String>,
    /// DISPLAYDESCRIPTION.
    pub display_description: Option<String>,
    /// FLAGS: the edition's id, such as `Professional`.
    pub flags: Option<String>,
    /// DIRCOUNT: directories, the root included.
    pub dir_count: Option<u64>,
    /// FILECOUNT: names that are not directories.
    pub file_count: Option<u64>,
    /// TOTALBYTES: sizes of all streams, once for each link.
    pub total_bytes: Option<u64>,
    /// HARDLINKBYTES: what hard links save of it.
    pub hard_link_bytes: Option<u64>,
    /// CREATIONTIME.
    pub creation_time: Option<FileTime>,
    /// LASTMODIFICATIONTIME.
    pub modification_time: Option<FileTime>,
    /// WIMBOOT: whether the image is made to be booted from the WIM.
    pub wimboot: bool,
    /// WINDOWS: the Windows in the image, if there is one.
    pub windows: Option<WindowsInfo>,
}

/// The Windows installation in an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowsInfo {
    /// ARCH.
    pub architecture: Option<Architecture>,
    /// PRODUCTNAME.
    pub product_name: Option<String>,
    /// EDITIONID.
    pub edition_id: Option<String>,
    /// INSTALLATIONTYPE, such as `Client`.
    pub installation_type: Option<String>,
    /// HAL.
    pub hal: Option<String>,
    /// PRODUCTTYPE, such as `WinNT`.
    pub product_type: Option<String>,
    /// PRODUCTSUITE.
    pub product_suite: Option<String>,
    /// LANGUAGES/LANGUAGE, in order.
    pub languages: Vec<String>,
    /// LANGUAGES/DEFAULT.
    pub default_language: Option<String>,
    /// VERSION.
    pub version: Option<WindowsVersion>,
    /// SYSTEMROOT, such as `WINDOWS`.
    pub system_root: Option<String>,
}

/// The version of a Windows installation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowsVersion {
    /// MAJOR.
    pub major: Option<u64>,
    /// MINOR.
    pub minor: Option<u64>,
    /// BUILD.
    pub build: Option<u64>,
    /// SPBUILD: the revision within the build.
    pub spbuild: Option<u64>,
    /// SPLEVEL: the service pack.
    pub splevel: Option<u64>,
    /// BRANCH.
    pub branch: Option<String>,
}

/// A processor architecture; the numbers are Windows' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// 0
    X86,
    /// 5
    Arm,
    /// 6
    Ia64,
    /// 9
    Amd64,
    /// 12
    Arm64,
    /// Any other number.
    Other(u16),
}

impl From<u16> for Architecture {
    fn from(number: u16) -> Self {
        match number {
            0 => Self::X86,
            5 => Self::Arm,
            6 => Self::Ia64,
            9 => Self::Amd64,
            12 => Self::Arm64,
            other => Self::Other(other),
        }
    }
}

impl From<Architecture> for u16 {
    fn from(architecture: Architecture) -> Self {
        match architecture {
            Architecture::X86 => 0,
            Architecture::Arm => 5,
            Architecture::Ia64 => 6,
            Architecture::Amd64 => 9,
            Architecture::Arm64 => 12,
            Architecture::Other(other) => other,
        }
    }
}

impl ImageXml {
    pub(super) fn read(tree: &Tree, index: u32, element: NodeId) -> Self {
        let image = Reader { tree, element };
        Self {
            index,
            name: image.text("NAME"),
            description: image.text("DESCRIPTION"),
            display_name: image.text("DISPLAYNAME"),
            display_description: image.text("DISPLAYDESCRIPTION"),
            flags: image.text("FLAGS"),
            dir_count: image.number("DIRCOUNT"),
            file_count: image.number("FILECOUNT"),
            total_bytes: image.number("TOTALBYTES"),
            hard_link_bytes: image.number("HARDLINKBYTES"),
            creation_time: image.time("CREATIONTIME"),
            modification_time: image.time("LASTMODIFICATIONTIME"),
            wimboot: image.number("WIMBOOT") == Some(1),
            windows: image.child("WINDOWS").map(WindowsInfo::read),
        }
    }
}

impl WindowsInfo {
    fn read(windows: Reader<'_>) -> Self {
        let languages = windows.child("LANGUAGES");
        let architecture = windows.number("ARCH").and_then(|number| u16::try_from(number).ok());
        Self {
            architecture: architecture.map(Architecture::from),
            product_name: windows.text("PRODUCTNAME"),
            edition_id: windows.text("EDITIONID"),
            installation_type: windows.text("INSTALLATIONTYPE"),
            hal: windows.text("HAL"),
            product_type: windows.text("PRODUCTTYPE"),
            product_suite: windows.text("PRODUCTSUITE"),
            languages: languages.map(|element| element.texts("LANGUAGE")).unwrap_or_default(),
            default_language: languages.and_then(|element| element.text("DEFAULT")),
            version: windows.child("VERSION").map(WindowsVersion::read),
            system_root: windows.text("SYSTEMROOT"),
        }
    }
}

impl WindowsVersion {
    fn read(version: Reader<'_>) -> Self {
        Self {
            major: version.number("MAJOR"),
            minor: version.number("MINOR"),
            build: version.number("BUILD"),
            spbuild: version.number("SPBUILD"),
            splevel: version.number("SPLEVEL"),
            branch: version.text("BRANCH"),
        }
    }
}

/// Reads the children of an element by name; the first of each name counts.
#[derive(Clone, Copy)]
struct Reader<'t> {
    tree: &'t Tree,
    element: NodeId,
}

impl Reader<'_> {
    fn child(&self, name: &str) -> Option<Self> {
        let element = self.tree.elements_named(self.element, name).next()?;
        Some(Self { tree: self.tree, element })
    }

    fn text(&self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.tree.text_of(child.element))
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let elements = self.tree.elements_named(self.element, name);
        elements.map(|element| self.tree.text_of(element)).collect()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    fn time(&self, name: &str) -> Option<FileTime> {
        let time = self.child(name)?;
        let part = |name| parse_part(&time.text(name)?);
        Some(FileTime::from_parts(part("HIGHPART")?, part("LOWPART")?))
    }
}

/// Half of a time: `0x` and hexadecimal digits as all tools write it, or decimal digits.
fn parse_part(text: &str) -> Option<u32> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
