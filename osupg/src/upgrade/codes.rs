//! What the exit codes of Windows Setup mean.
//!
//! Setup ends with an HRESULT of the family `MOSETUP_E_…`. Task sequences show it as an unsigned or
//! a signed decimal number, so each code is given in all three forms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the device stands after Setup ended with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Go on: the scan found nothing, or the upgrade goes on after the restart.
    Ready,
    /// Somebody can mend it on the device.
    Mend,
    /// This package cannot upgrade this device.
    WrongPackage,
    /// The device does not meet what this Windows asks for.
    Ineligible,
    /// The command line lacks something.
    CommandLine,
}

/// An exit code with its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExitCode {
    /// Eight hexadecimal digits, as in `0xC1900210`.
    pub hex: String,
    /// As task sequences keep it in `_SMSTSOSUpgradeActionReturnCode`.
    pub decimal: u32,
    /// As programs see it that take exit codes for signed numbers.
    pub signed: i32,
    /// Its name in the Windows SDK; empty for codes without one.
    pub name: String,
    /// How the device stands.
    pub verdict: Verdict,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub advice: String,
}

/// Code, name, verdict, meaning, advice.
type Row = (u32, &'static str, Verdict, &'static str, &'static str);

/// Codes that end a scan.
const SCAN: &[Row] = &[
    (
        0xC190_0210,
        "MOSETUP_E_COMPAT_SCANONLY",
        Verdict::Ready,
        "the scan found nothing in the way",
        "upgrade",
    ),
    (
        0xC190_0208,
        "MOSETUP_E_COMPAT_INSTALLREQ_BLOCK",
        Verdict::Mend,
        "an application or driver is in the way",
        "read CompatData*.xml in C:\\$WINDOWS.~BT\\Sources\\Panther; update or remove what it names",
    ),
    (
        0xC190_0204,
        "MOSETUP_E_COMPAT_MIGCHOICE_BLOCK",
        Verdict::WrongPackage,
        "applications and data cannot be kept: edition, language or architecture differ",
        "choose a package and an edition that fit the device, as `osupg precache simulate` does",
    ),
    (
        0xC190_0200,
        "MOSETUP_E_COMPAT_SYSREQ_BLOCK",
        Verdict::Ineligible,
        "the device does not meet the requirements of this Windows",
        "compare processor, memory, TPM and Secure Boot with the requirements",
    ),
    (
        0xC190_0202,
        "MOSETUP_E_COMPAT_DOWNLOADREQ_BLOCK",
        Verdict::Ineligible,
        "the device does not meet the requirements for downloading the update",
        "compare the device with the requirements of this Windows",
    ),
    (
        0xC190_0206,
        "MOSETUP_E_COMPAT_DEVICEREQ_BLOCK",
        Verdict::Mend,
        "a device or its driver is in the way",
        "update the driver that CompatData*.xml names",
    ),
    (
        0xC190_020A,
        "MOSETUP_E_COMPAT_RECOVERYREQ_BLOCK",
        Verdict::Mend,
        "Windows could not be recovered after a failed upgrade",
        "enlarge or free the recovery partition",
    ),
    (
        0xC190_020E,
        "MOSETUP_E_INSTALLDISKSPACE_BLOCK",
        Verdict::Mend,
        "there is too little free space on the system drive",
        "free as much as `min_free_mb` says and scan again",
    ),
    (
        0xC190_010E,
        "MOSETUP_E_EULA_ACCEPT_REQUIRED",
        Verdict::CommandLine,
        "the licence terms have to be accepted on the command line",
        "add /EULA accept",
    ),
    (
        0xC190_0215,
        "MOSETUP_E_NO_MATCHING_INSTALL_IMAGE",
        Verdict::CommandLine,
        "several editions fit the device and none was named, or none fits",
        "name one with /ImageIndex, or keep a single edition in the package",
    ),
    (
        0xC190_0216,
        "MOSETUP_E_ROLLBACK_PENDING",
        Verdict::Mend,
        "an earlier upgrade is still being rolled back",
        "restart the device and scan again",
    ),
];

/// Further codes that end an upgrade.
const UPGRADE: &[Row] = &[
    (0, "", Verdict::Ready, "the upgrade is prepared; it goes on after the restart", "restart"),
    (
        3,
        "CONX_SETUP_EXITCODE_CONTINUE_REBOOT",
        Verdict::Ready,
        "the upgrade is prepared; it goes on after the restart",
        "restart",
    ),
    (
        5,
        "CONX_SETUP_EXITCODE_RESUME_AT_COMPAT_REPORT",
        Verdict::Mend,
        "the compatibility check found something that has to be mended first",
        "scan with /Compat ScanOnly and mend what it names",
    ),
    (
        7,
        "CONX_SETUP_EXITCODE_AUTO_INSTALL_FAIL",
        Verdict::WrongPackage,
        "the chosen kind of upgrade is not possible on this device",
        "choose a package and an edition that fit the device",
    ),
    (
        0xC190_01DF,
        "MOSETUP_E_DISK_FULL",
        Verdict::Mend,
        "the disk filled up during the upgrade",
        "free space and start again",
    ),
];

fn code(row: &Row) -> ExitCode {
    let (number, name, verdict, meaning, advice) = *row;
    ExitCode {
        hex: format!("0x{number:08X}"),
        decimal: number,
        signed: number.cast_signed(),
        name: name.to_string(),
        verdict,
        meaning: meaning.to_string(),
        advice: advice.to_string(),
    }
}

/// The codes that end a scan, the good one first.
#[must_use]
pub fn of_scan() -> Vec<ExitCode> {
    SCAN.iter().map(code).collect()
}

/// The codes that end an upgrade, the good ones first. Those of a scan end it too, if Setup finds
/// something in the way.
#[must_use]
pub fn of_upgrade() -> Vec<ExitCode> {
    let scanned_only = |row: &&Row| row.2 != Verdict::Ready;
    UPGRADE.iter().chain(SCAN.iter().filter(scanned_only)).map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_one_number() {
        let ready = &of_scan()[0];
        assert_eq!(ready.hex, "0xC1900210");
        assert_eq!(ready.decimal, 3_247_440_400);
        assert_eq!(ready.signed, -1_047_526_896);
        for code in of_scan().into_iter().chain(of_upgrade()) {
            assert_eq!(code.hex, format!("0x{:08X}", code.decimal));
            assert_eq!(code.decimal.cast_signed(), code.signed);
            assert!(!code.meaning.is_empty() && !code.advice.is_empty());
        }
    }

    #[test]
    fn no_code_has_two_meanings() {
        for codes in [of_scan(), of_upgrade()] {
            let mut numbers: Vec<_> = codes.iter().map(|code| code.decimal).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), codes.len());
        }
    }
}
