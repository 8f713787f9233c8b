//! The properties that the files of a Windows give.

use wim_format::FormatError;
use wim_format::hive::{Hive, Key};
use wim_format::name::Utf16Name;
use wim_format::xml::Architecture;

use super::{languages, upper};

/// Properties and their values, in the order in which they are set.
#[derive(Debug, Default)]
pub(super) struct Facts {
    properties: Vec<(String, String)>,
}

impl Facts {
    pub(super) fn into_properties(self) -> Vec<(String, String)> {
        self.properties
    }

    fn set(&mut self, property: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.properties.push((property.to_owned(), value));
        }
    }

    /// What the name of the system root tells.
    pub(super) fn root(&mut self, name: Utf16Name<'_>) {
        self.set("WINDOWS/SYSTEMROOT", upper(name));
    }

    /// What `kernel32.dll` tells.
    pub(super) fn kernel(&mut self, bytes: &[u8]) {
        if let Some(architecture) = architecture(bytes) {
            self.set("WINDOWS/ARCH", u16::from(architecture).to_string());
        }
    }

    /// What the hive `SOFTWARE` tells.
    ///
    /// # Errors
    /// It is malformed. What was found before stays.
    pub(super) fn software(&mut self, hive: Hive<'_>) -> Result<(), FormatError> {
        let Some(version) = hive.key(r"Microsoft\Windows NT\CurrentVersion")? else {
            return Ok(());
        };
        let edition = text(&version, "EditionID")?;
        self.set("FLAGS", edition.clone());
        self.set("WINDOWS/EDITIONID", edition);
        self.set("WINDOWS/INSTALLATIONTYPE", text(&version, "InstallationType")?);
        let product = text(&version, "ProductName")?;
        for property in ["DISPLAYNAME", "DISPLAYDESCRIPTION", "WINDOWS/PRODUCTNAME"] {
            self.set(property, product.clone());
        }
        let major = number(&version, "CurrentMajorVersionNumber")?;
        let minor = number(&version, "CurrentMinorVersionNumber")?;
        // Windows before 10 has but the text, and Windows from 10 on says 6.3 there.
        let (major, minor) = match (major, minor) {
            (Some(major), Some(minor)) => (Some(major.into()), Some(minor.into())),
            _ => dotted(&text(&version, "CurrentVersion")?),
        };
        for (property, number) in [("MAJOR", major), ("MINOR", minor)] {
            if let Some(number) = number {
                self.set(&format!("WINDOWS/VERSION/{property}"), number.to_string());
            }
        }
        self.set("WINDOWS/VERSION/BUILD", text(&version, "CurrentBuild")?);
        Ok(())
    }

    /// What the hive `SYSTEM` tells.
    ///
    /// # Errors
    /// It is malformed. What was found before stays.
    pub(super) fn system(&mut self, hive: Hive<'_>) -> Result<(), FormatError> {
        let Some(control) = hive.key(r"ControlSet001\Control")? else { return Ok(()) };
        if let Some(windows) = below(&control, &["Windows"])? {
            if let Some(build) = number(&windows, "CSDBuildNumber")? {
                self.set("WINDOWS/VERSION/SPBUILD", build.to_string());
            }
            // The level stands in the upper bytes: 0x100 is Service Pack 1.
            if let Some(pack) = number(&windows, "CSDVersion")? {
                self.set("WINDOWS/VERSION/SPLEVEL", (pack >> 8).to_string());
            }
        }
        if let Some(options) = below(&control, &["ProductOptions"])? {
            self.set("WINDOWS/PRODUCTTYPE", text(&options, "ProductType")?);
            self.set("WINDOWS/PRODUCTSUITE", text(&options, "ProductSuite")?);
        }
        // The class of computers, of which there is one in every Windows.
        let computer = ["Class", "{4D36E966-E325-11CE-BFC1-08002BE10318}", "0000"];
        if let Some(computer) = below(&control, &computer)? {
            self.set("WINDOWS/HAL", text(&computer, "MatchingDeviceId")?);
        }
        self.languages(&control)
    }

    fn languages(&mut self, control: &Key<'_>) -> Result<(), FormatError> {
        if let Some(installed) = below(control, &["MUI", "UILanguages"])? {
            for (number, language) in (1..).zip(installed.subkeys()?) {
                let name = language?.name().as_name().to_string();
                self.set(&format!("WINDOWS/LANGUAGES/LANGUAGE[{number}]"), name);
            }
        }
        if let Some(language) = below(control, &["Nls", "Language"])? {
            let number = hexadecimal(&text(&language, "InstallLanguage")?);
            if let Some(name) = number.and_then(languages::name_of) {
                self.set("WINDOWS/LANGUAGES/DEFAULT", name);
            }
        }
        Ok(())
    }
}

fn below<'a>(key: &Key<'a>, path: &[&str]) -> Result<Option<Key<'a>>, FormatError> {
    let mut key = key.clone();
    for part in path {
        match key.subkey(part)? {
            Some(next) => key = next,
            None => return Ok(None),
        }
    }
    Ok(Some(key))
}

/// A text of a key; nothing where there is none.
fn text(key: &Key<'_>, name: &str) -> Result<String, FormatError> {
    Ok(key.value(name)?.and_then(|value| value.text()).unwrap_or_default())
}

fn number(key: &Key<'_>, name: &str) -> Result<Option<u32>, FormatError> {
    Ok(key.value(name)?.and_then(|value| value.number()))
}

/// The numbers of `6.1`.
fn dotted(text: &str) -> (Option<u64>, Option<u64>) {
    let leading = |text: &str| -> Option<u64> {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().ok()
    };
    let (major, minor) = text.split_once('.').unwrap_or((text, ""));
    let major = leading(major);
    (major, major.and_then(|_| leading(minor)))
}

/// The hexadecimal number that a text begins with, such as `0409`.
fn hexadecimal(text: &str) -> Option<u32> {
    let text = text.trim_start();
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    u32::from_str_radix(&text[..end], 16).ok()
}

/// The architecture that a Windows program is made for (PE format, COFF header: Machine).
fn architecture(program: &[u8]) -> Option<Architecture> {
    /// Where a DOS program says where the Windows program begins.
    const NEW_HEADER: usize = 0x3c;
    let start = u32::from_le_bytes(*program.get(NEW_HEADER..)?.first_chunk()?);
    let header = program.get(usize::try_from(start).ok()?..)?.strip_prefix(b"PE\0\0")?;
    match u16::from_le_bytes(*header.first_chunk()?) {
        0x014c => Some(Architecture::X86),
        0x01c0 | 0x01c2 | 0x01c4 => Some(Architecture::Arm),
        0x0200 => Some(Architecture::Ia64),
        0x8664 => Some(Architecture::Amd64),
        0xaa64 => Some(Architecture::Arm64),
        _ => None,
    }
}
