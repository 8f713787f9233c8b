//! The command line by which Windows Setup upgrades a device from a package.
//!
//! What a task sequence needs of a package: how setup.exe is called, which of its images it takes,
//! how much room the device needs, and what the exit codes mean. The options are those that
//! Microsoft documents for setup.exe; nothing is run here.

pub mod codes;
mod line;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::package::add;
use crate::package::model::{ImageFacts, Package};
use crate::package::reference::Reference;
use crate::package::select::Selection;
use crate::progress::Watch;
use crate::text;
use codes::ExitCode;
use line::{joined, path, quoted};

pub use line::product_key;

/// Windows 11 and Server 2025 want the licence terms accepted on the command line; before this
/// build `/Auto` implied it.
const EULA_SINCE: u32 = 22_000;
/// Minutes that a task sequence gives Setup if nobody says otherwise.
const TIME_OUT: u32 = 360;
/// Minutes in a week.
const LONGEST_TIME_OUT: u32 = 7 * 24 * 60;

/// What Setup keeps of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Applications, settings and data.
    #[default]
    Everything,
    /// Data only.
    Data,
    /// Nothing.
    Nothing,
}

/// What Setup may fetch from Microsoft before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DynamicUpdate {
    /// Nothing: the device gets what is in the package.
    #[default]
    Disable,
    /// Everything.
    Enable,
    /// Everything but drivers.
    NoDrivers,
    /// Everything but the cumulative update.
    NoLcu,
    /// Neither drivers nor the cumulative update.
    NoDriversNoLcu,
}

/// Whether drivers of the device are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MigrateDrivers {
    /// All of them.
    All,
    /// None of them.
    None,
}

/// What becomes of BitLocker during the upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BitLocker {
    /// It is suspended.
    AlwaysSuspend,
    /// It stays active if that works.
    TryKeepActive,
    /// It stays active, or the upgrade fails.
    ForceKeepActive,
}

/// What the upgrade is to do. Paths are those that the device sees.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package and revision.
    pub package: Reference,
    /// The folder on the device with the package's files; `.` for that of the script.
    #[serde(default)]
    pub source: Option<String>,
    /// The edition to install, such as `Professional`.
    #[serde(default)]
    pub edition: Option<String>,
    /// The index of the image to install.
    #[serde(default)]
    pub index: Option<u32>,
    /// A product key; whoever sees the command line sees it.
    #[serde(default)]
    pub product_key: Option<String>,
    /// What is kept of the device.
    #[serde(default)]
    pub keep: Keep,
    /// Only scan whether the upgrade would work.
    #[serde(default)]
    pub scan_only: bool,
    /// Pass over messages that a person could dismiss.
    #[serde(default)]
    pub ignore_warnings: bool,
    /// What Setup may fetch before it begins.
    #[serde(default)]
    pub dynamic_update: DynamicUpdate,
    /// A folder with drivers to add.
    #[serde(default)]
    pub install_drivers: Option<String>,
    /// Whether drivers of the device are taken over; Setup decides if nobody says.
    #[serde(default)]
    pub migrate_drivers: Option<MigrateDrivers>,
    /// A folder with the drivers of a third party's disk encryption.
    #[serde(default)]
    pub reflect_drivers: Option<String>,
    /// What becomes of BitLocker; Setup decides if nobody says.
    #[serde(default)]
    pub bitlocker: Option<BitLocker>,
    /// A folder that takes Setup's logs if it fails.
    #[serde(default)]
    pub copy_logs: Option<String>,
    /// Minutes after which a task sequence gives up; from 5 to 10080.
    #[serde(default)]
    pub time_out: Option<u32>,
}

/// How Setup is called, and what to make of its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// The package's id.
    pub package: String,
    /// Its revision.
    pub revision: i64,
    /// The image that is installed; `None` when Setup chooses by the product key.
    pub image_index: Option<u32>,
    /// Its edition; empty when Setup chooses.
    pub edition: String,
    /// The program.
    pub program: String,
    /// Its arguments, one by one.
    pub arguments: Vec<String>,
    /// Program and arguments as one line, quoted for Windows.
    pub command_line: String,
    /// What Configuration Manager's upgrade step has no field for: the value for
    /// `OSDSetupAdditionalUpgradeOptions`.
    pub additional_options: String,
    /// Minutes after which to give up.
    pub time_out: u32,
    /// MiB that must be free on the system drive.
    pub min_free_mb: u32,
    /// What the exit codes mean.
    pub exit_codes: Vec<ExitCode>,
    /// What to mind.
    pub notes: Vec<String>,
}

impl Operation for Request {
    type Outcome = Call;
    const NAME: &'static str = "upgrade.command";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Call> {
        let package = home.db.package_at(&self.package).await?;
        let images = add::install_images(home, &package).await?;
        self.call(&package, &images)
    }
}

impl Request {
    fn call(&self, package: &Package, images: &[ImageFacts]) -> Result<Call> {
        let key = self.product_key.as_deref().map(product_key).transpose()?;
        let image = self.image(images, key.is_some())?;
        let program = format!("{}\\setup.exe", self.source()?);
        let mut notes = Vec::new();
        let mut own = self.step_options(key.as_deref())?;
        let additional = self.additional_options(image, images, &mut notes)?;
        own.extend(additional.iter().cloned());
        let command_line = joined(&program, &own)?;
        if key.is_some() {
            notes.push(
                "whoever may read the task sequence or the device's logs sees the key".into(),
            );
        }
        if self.scan_only {
            notes.push(
                "a scan that finds nothing ends with 0xC1900210, which is no failure: count that \
                 code as success"
                    .into(),
            );
        }
        if !package.licence.is_settled() {
            notes.push("nobody has accepted the licence terms of this package yet".into());
        }
        if self.keep == Keep::Nothing {
            notes.push("applications, settings and data of the device are lost".into());
        }
        Ok(Call {
            package: package.id.clone(),
            revision: package.revision.number,
            image_index: image.map(|image| image.index),
            edition: image.map(|image| image.edition.clone()).unwrap_or_default(),
            program,
            arguments: own,
            command_line,
            additional_options: additional
                .iter()
                .map(|one| quoted(one))
                .collect::<Vec<_>>()
                .join(" "),
            time_out: self.minutes()?,
            min_free_mb: if package.architecture.value == "x86" { 16_384 } else { 20_480 },
            exit_codes: if self.scan_only { codes::of_scan() } else { codes::of_upgrade() },
            notes,
        })
    }

    /// The image that is named, or the only one.
    fn image<'a>(&self, images: &'a [ImageFacts], has_key: bool) -> Result<Option<&'a ImageFacts>> {
        let selection = match (&self.edition, self.index) {
            (Some(_), Some(_)) => {
                return Err(Error::usage(
                    "an image is chosen by its edition or its index, not both",
                ));
            }
            (Some(edition), None) => Selection::Editions(vec![edition.clone()]),
            (None, Some(index)) => Selection::Indexes(vec![index]),
            (None, None) => match images {
                [] => return Err(Error::usage("the package has no install.wim to upgrade from")),
                [only] => return Ok(Some(only)),
                _ if has_key => return Ok(None),
                several => {
                    let list: Vec<_> = several
                        .iter()
                        .map(|image| format!("{} {}", image.index, text::clean(&image.edition)))
                        .collect();
                    return Err(Error::usage(format!(
                        "the package has {} images, and a quiet Setup fails when several fit",
                        several.len()
                    ))
                    .advise(format!(
                        "choose one with --edition or --index; there are {}",
                        list.join(", ")
                    )));
                }
            },
        };
        let chosen = selection.choose(images)?.unwrap_or_default();
        Ok(images.iter().find(|image| chosen.contains(&image.index)))
    }

    fn source(&self) -> Result<String> {
        match self.source.as_deref().map(str::trim) {
            None | Some(".") => Ok(".".into()),
            Some(given) => Ok(path("source", given)?.trim_end_matches('\\').to_string()),
        }
    }

    fn minutes(&self) -> Result<u32> {
        match self.time_out {
            None => Ok(TIME_OUT),
            Some(minutes @ 5..=LONGEST_TIME_OUT) => Ok(minutes),
            Some(other) => Err(Error::usage(format!(
                "a time-out of {other} minutes is none; it is from 5 to {LONGEST_TIME_OUT}"
            ))),
        }
    }

    /// Options that the step Upgrade Operating System has fields for.
    fn step_options(&self, key: Option<&str>) -> Result<Vec<String>> {
        let auto = match self.keep {
            Keep::Everything => "Upgrade",
            Keep::Data => "DataOnly",
            Keep::Nothing => "Clean",
        };
        let mut options: Vec<String> =
            ["/Auto", auto, "/Quiet", "/NoReboot"].map(str::to_string).to_vec();
        let mut add = |name: &str, value: &str| options.extend([name.into(), value.into()]);
        let update = match self.dynamic_update {
            DynamicUpdate::Disable => "Disable",
            DynamicUpdate::Enable => "Enable",
            DynamicUpdate::NoDrivers => "NoDrivers",
            DynamicUpdate::NoLcu => "NoLCU",
            DynamicUpdate::NoDriversNoLcu => "NoDriversNoLCU",
        };
        add("/DynamicUpdate", update);
        if let Some(key) = key {
            add("/PKey", key);
        }
        if self.scan_only {
            add("/Compat", "ScanOnly");
        }
        if self.ignore_warnings {
            add("/Compat", "IgnoreWarning");
        }
        if let Some(folder) = &self.install_drivers {
            add("/InstallDrivers", &path("folder of drivers", folder)?);
        }
        Ok(options)
    }

    /// Options that it has none for.
    fn additional_options(
        &self,
        image: Option<&ImageFacts>,
        images: &[ImageFacts],
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>> {
        let mut options: Vec<String> = Vec::new();
        let mut add = |name: &str, value: &str| options.extend([name.into(), value.into()]);
        let build = image.or(images.first()).map(|image| image.build.as_str()).unwrap_or_default();
        if build.split('.').next().and_then(|build| build.parse().ok()).unwrap_or(0) >= EULA_SINCE {
            add("/EULA", "Accept");
            notes.push("/EULA Accept accepts the licence terms in your organisation's name".into());
        }
        if let Some(image) = image.filter(|_| images.len() > 1) {
            add("/ImageIndex", &image.index.to_string());
        }
        match self.migrate_drivers {
            None => {}
            Some(MigrateDrivers::All) => add("/MigrateDrivers", "All"),
            Some(MigrateDrivers::None) => add("/MigrateDrivers", "None"),
        }
        if let Some(folder) = &self.reflect_drivers {
            add("/ReflectDrivers", &path("folder of encryption drivers", folder)?);
        }
        match self.bitlocker {
            None => {}
            Some(BitLocker::AlwaysSuspend) => add("/BitLocker", "AlwaysSuspend"),
            Some(BitLocker::TryKeepActive) => add("/BitLocker", "TryKeepActive"),
            Some(BitLocker::ForceKeepActive) => add("/BitLocker", "ForceKeepActive"),
        }
        if let Some(folder) = &self.copy_logs {
            add("/CopyLogs", &path("folder for logs", folder)?);
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests;
