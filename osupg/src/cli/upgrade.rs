//! `osupg upgrade-command`

use clap::{Args, ValueEnum};

use super::Context;
use super::output::{facts, lines};
use crate::error::Result;
use crate::package::reference::Reference;
use crate::upgrade::{BitLocker, Call, DynamicUpdate, Keep, MigrateDrivers, Request};

#[derive(Debug, Args)]
#[command(after_help = "\
Paths are those that the device sees; %variables% of a task sequence may stand in them.

Examples:
  osupg upgrade-command OSU00001 --scan-only --ignore-warnings
  osupg upgrade-command OSU00001@3 --edition Professional --source '\\\\server\\win11' --json
  osupg upgrade-command OSU00001 --install-drivers '%drivers01%' --bitlocker try-keep-active")]
pub(super) struct UpgradeArgs {
    /// The package, and maybe a revision of it
    #[arg(value_name = "ID[@N]")]
    package: Reference,
    /// The folder with the package's files [default: that of the script]
    #[arg(long, value_name = "PATH")]
    source: Option<String>,
    /// The edition to install
    #[arg(long, value_name = "ID", conflicts_with = "index")]
    edition: Option<String>,
    /// The index of the image to install
    #[arg(long, value_name = "N")]
    index: Option<u32>,
    /// A product key; whoever sees the command line sees it
    #[arg(long, value_name = "KEY")]
    product_key: Option<String>,
    /// What is kept of the device
    #[arg(long, value_enum, default_value_t = KeepArg::Everything)]
    keep: KeepArg,
    /// Only scan whether the upgrade would work
    #[arg(long)]
    scan_only: bool,
    /// Pass over messages that a person could dismiss
    #[arg(long)]
    ignore_warnings: bool,
    /// What Setup may fetch from Microsoft before it begins
    #[arg(long, value_enum, default_value_t = UpdateArg::Disable)]
    dynamic_update: UpdateArg,
    /// A folder with drivers to add
    #[arg(long, value_name = "PATH")]
    install_drivers: Option<String>,
    /// Whether drivers of the device are taken over [default: Setup decides]
    #[arg(long, value_enum)]
    migrate_drivers: Option<MigrateArg>,
    /// A folder with the drivers of a third party's disk encryption
    #[arg(long, value_name = "PATH")]
    reflect_drivers: Option<String>,
    /// What becomes of BitLocker [default: Setup decides]
    #[arg(long, value_enum)]
    bitlocker: Option<BitLockerArg>,
    /// A folder that takes Setup's logs if it fails
    #[arg(long, value_name = "PATH")]
    copy_logs: Option<String>,
    /// Minutes after which a task sequence gives up [default: 360]
    #[arg(long, value_name = "MINUTES")]
    time_out: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeepArg {
    /// Applications, settings and data
    Everything,
    /// Data only
    Data,
    /// Nothing
    Nothing,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UpdateArg {
    /// Nothing
    Disable,
    /// Everything
    Enable,
    /// Everything but drivers
    NoDrivers,
    /// Everything but the cumulative update
    NoLcu,
    /// Neither drivers nor the cumulative update
    NoDriversNoLcu,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MigrateArg {
    /// All of them
    All,
    /// None of them
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BitLockerArg {
    /// It is suspended
    AlwaysSuspend,
    /// It stays active if that works
    TryKeepActive,
    /// It stays active, or the upgrade fails
    ForceKeepActive,
}

pub(super) async fn run(args: UpgradeArgs, context: &Context) -> Result<u8> {
    let call = context.call(&request(args)).await?;
    context.output.show(&call, call_text)?;
    Ok(0)
}

fn request(args: UpgradeArgs) -> Request {
    Request {
        package: args.package,
        source: args.source,
        edition: args.edition,
        index: args.index,
        product_key: args.product_key,
        keep: match args.keep {
            KeepArg::Everything => Keep::Everything,
            KeepArg::Data => Keep::Data,
            KeepArg::Nothing => Keep::Nothing,
        },
        scan_only: args.scan_only,
        ignore_warnings: args.ignore_warnings,
        dynamic_update: match args.dynamic_update {
            UpdateArg::Disable => DynamicUpdate::Disable,
            UpdateArg::Enable => DynamicUpdate::Enable,
            UpdateArg::NoDrivers => DynamicUpdate::NoDrivers,
            UpdateArg::NoLcu => DynamicUpdate::NoLcu,
            UpdateArg::NoDriversNoLcu => DynamicUpdate::NoDriversNoLcu,
        },
        install_drivers: args.install_drivers,
        migrate_drivers: args.migrate_drivers.map(|drivers| match drivers {
            MigrateArg::All => MigrateDrivers::All,
            MigrateArg::None => MigrateDrivers::None,
        }),
        reflect_drivers: args.reflect_drivers,
        bitlocker: args.bitlocker.map(|bitlocker| match bitlocker {
            BitLockerArg::AlwaysSuspend => BitLocker::AlwaysSuspend,
            BitLockerArg::TryKeepActive => BitLocker::TryKeepActive,
            BitLockerArg::ForceKeepActive => BitLocker::ForceKeepActive,
        }),
        copy_logs: args.copy_logs,
        time_out: args.time_out,
    }
}

fn call_text(call: &Call) -> String {
    let mut text = format!("{}\n\n", call.command_line);
    text.push_str(&facts(&[
        ("package", format!("{} revision {}", call.package, call.revision)),
        ("edition", call.edition.clone()),
        ("free space", format!("{} MiB at least", call.min_free_mb)),
        ("time-out", format!("{} minutes", call.time_out)),
    ]));
    text.push_str("Exit codes:\n");
    text.push_str(&lines(
        call.exit_codes
            .iter()
            .map(|code| format!("  {}  {:>10}  {}", code.hex, code.decimal, code.meaning)),
    ));
    text + &lines(call.notes.iter().map(|note| format!("Note: {note}")))
}
