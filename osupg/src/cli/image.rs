//! `osupg image …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use super::output::{facts, lines};
use super::package::image_table;
use crate::error::Result;
use crate::package::inspect::{self, Inspected};
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the images of a WIM, ESD, ISO or media folder; nothing is imported
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The file or folder; `win.iso:sources/boot.wim` names a file in an ISO
    file: PathBuf,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    let Command::Inspect(args) = command;
    let inspected = tokio::task::spawn_blocking(move || inspect::inspect(&args.file)).await??;
    context.output.show(&inspected, inspected_text)?;
    Ok(0)
}

fn inspected_text(inspected: &Inspected) -> String {
    let chunks = match inspected.chunk_size {
        0 => String::new(),
        size => format!(", chunks of {}", text::size(u64::from(size))),
    };
    let parts = if inspected.parts > 1 { inspected.parts.to_string() } else { String::new() };
    let boot =
        if inspected.boot_index > 0 { inspected.boot_index.to_string() } else { String::new() };
    let mut shown = format!("{}\n", text::clean(&inspected.file));
    shown.push_str(&facts(&[
        ("size", text::size(inspected.size)),
        ("compression", format!("{}{chunks}", inspected.compression)),
        ("guid", inspected.guid.clone()),
        ("parts", parts),
        ("boot image", boot),
    ]));
    shown.push_str(&image_table(&inspected.images));
    shown
        + &lines(inspected.warnings.iter().map(|warning| format!("Note: {}", text::clean(warning))))
}
