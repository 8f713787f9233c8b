//! The command line: every command with its operands and options.
//!
//! Names, operands and meanings are wimlib-imagex's, so that scripts need no change; what is new
//! (`--json`, `--guid`, `--verify`, `--no-mmap`, `--threads` everywhere) has names it does not use.
//! As with getopt, the last of several values of an option counts: scripts put their own in front of
//! the user's. Options of which wimlib-imagex refuses a second one are lists here.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use wim_extract::pipeline::Threads;

use crate::compression::{Method, parse_guid, parse_method, parse_size};
use crate::convert::ConvertArgs;
use crate::diff::DiffArgs;
use crate::join::JoinArgs;
use crate::links::LinksArgs;
use crate::manual::{CompletionsArgs, ManArgs};
use crate::mount::MountArgs;
use crate::split::SplitArgs;
use crate::target::Target;

/// Reads Windows images (WIM, ESD, SWM): lists, verifies, extracts, applies and exports them.
#[derive(Debug, Parser)]
#[command(name = "wimx", version)]
#[command(after_help = TOP_HELP, max_term_width = 100, args_override_self = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Say nothing but errors and warnings
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Threads to work with, at most eight per processor; 0 means one per processor
    #[arg(long, global = true, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
    /// Read files instead of mapping them into memory (for media that may vanish)
    #[arg(long, global = true)]
    pub(crate) no_mmap: bool,
}

impl Global {
    /// The number of threads, as the engine wants it.
    pub(crate) fn threads(&self) -> Threads {
        Threads::new(self.threads)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Info(InfoArgs),
    Dir(DirArgs),
    Verify(VerifyArgs),
    Extract(ExtractArgs),
    Apply(ApplyArgs),
    Export(ExportArgs),
    Capture(CaptureArgs),
    Append(AppendArgs),
    Delete(DeleteArgs),
    Reorder(ReorderArgs),
    Optimize(OptimizeArgs),
    Update(UpdateArgs),
    Split(SplitArgs),
    Join(JoinArgs),
    Convert(ConvertArgs),
    Diff(DiffArgs),
    Links(LinksArgs),
    Man(ManArgs),
    Completions(CompletionsArgs),
    #[command(hide = true)]
    Mount(MountArgs),
    #[command(hide = true)]
    Mountrw(MountArgs),
    #[command(hide = true)]
    Unmount(MountArgs),
}

/// Show a WIM file and its images, or change an image's name, description or properties
#[derive(Debug, Args)]
#[command(after_help = INFO_HELP)]
pub(crate) struct InfoArgs {
    /// The WIM, or an ISO (`win.iso`, `win.iso:sources/boot.wim`)
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Show only this image: its index or its exact name
    pub(crate) image: Option<OsString>,
    /// Rename the image
    pub(crate) new_name: Option<String>,
    /// Describe the image anew
    pub(crate) new_desc: Option<String>,
    /// Mark IMAGE as the one to boot (IMAGE 0: none)
    #[arg(long)]
    pub(crate) boot: bool,
    /// Check the integrity table first; when something is changed, write one
    #[arg(long)]
    pub(crate) check: bool,
    /// When something is changed, write no integrity table
    #[arg(long, alias = "no-check")]
    pub(crate) nocheck: bool,
    /// When something is changed, write an integrity table
    #[arg(long)]
    pub(crate) include_integrity: bool,
    /// Show the fields of the header
    #[arg(long)]
    pub(crate) header: bool,
    /// List the blobs: every distinct stretch of file data
    #[arg(long, alias = "lookup-table")]
    pub(crate) blobs: bool,
    /// Write the XML document, UTF-16LE as stored, to standard output
    #[arg(long)]
    pub(crate) xml: bool,
    /// Write the XML document, UTF-16LE as stored, to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) extract_xml: Option<PathBuf>,
    /// Set a property of IMAGE, such as WINDOWS/VERSION/MAJOR=10 (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) image_property: Vec<String>,
}

/// List the files of an image
#[derive(Debug, Args)]
#[command(after_help = DIR_HELP)]
pub(crate) struct DirArgs {
    /// The WIM, or an ISO that holds one
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Index, exact name or `all`; needed when there are several
    pub(crate) image: Option<OsString>,
    /// List this file or directory instead of the whole image
    #[arg(long)]
    pub(crate) path: Option<OsString>,
    /// Show everything known about each file
    #[arg(long)]
    pub(crate) detailed: bool,
    /// Do not descend into directories
    #[arg(long)]
    pub(crate) one_file_only: bool,
    #[command(flatten)]
    pub(crate) references: References,
}

/// Check that a WIM file is whole: tables, images and every byte of file data
#[derive(Debug, Args)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct VerifyArgs {
    /// The WIM, or an ISO that holds one
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Leave the integrity table unchecked
    #[arg(long, alias = "no-check")]
    pub(crate) nocheck: bool,
    #[command(flatten)]
    pub(crate) references: References,
}

/// Extract files and directories of an image
#[derive(Debug, Args)]
#[command(after_help = EXTRACT_HELP)]
pub(crate) struct ExtractArgs {
    /// The WIM, or an ISO that holds one
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Index or exact name of the image
    pub(crate) image: OsString,
    /// Paths inside the image, with `*` and `?`; @FILE reads paths from FILE, @- from standard
    /// input; none means everything
    #[arg(value_name = "PATH|@LIST")]
    pub(crate) paths: Vec<OsString>,
    /// Extract into DIR instead of the current directory
    #[arg(long, value_name = "DIR")]
    pub(crate) dest_dir: Option<PathBuf>,
    /// Write the data of the files to standard output
    #[arg(long)]
    pub(crate) to_stdout: bool,
    /// Keep the whole path of a PATH below the destination (paths from lists always do)
    #[arg(long)]
    pub(crate) preserve_dir_structure: bool,
    /// Take `*` and `?` in paths literally
    #[arg(long, alias = "no-wildcards")]
    pub(crate) no_globs: bool,
    /// Go on with a warning when a path matches nothing
    #[arg(long)]
    pub(crate) nullglob: bool,
    #[command(flatten)]
    pub(crate) restore: Restore,
    #[command(flatten)]
    pub(crate) references: References,
}

/// Apply a whole image, or all of them, to a directory
#[derive(Debug, Args)]
#[command(after_help = APPLY_HELP)]
#[command(allow_missing_positional = true)]
pub(crate) struct ApplyArgs {
    /// The WIM, or an ISO that holds one; `-` for a pipable WIM on standard input
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Index, exact name or `all` (a directory for each); needed when there are several
    pub(crate) image: Option<OsString>,
    /// The directory to apply to, made when it is missing
    pub(crate) target: PathBuf,
    /// Point absolute links into TARGET (the default when the WIM says its links were fixed up)
    #[arg(long)]
    pub(crate) rpfix: bool,
    /// Leave the targets of links as they are
    #[arg(long)]
    pub(crate) norpfix: bool,
    #[command(flatten)]
    pub(crate) restore: Restore,
    #[command(flatten)]
    pub(crate) references: References,
}

/// Copy an image, or all of them, to a new or an existing WIM file
#[derive(Debug, Args)]
#[command(after_help = EXPORT_HELP)]
pub(crate) struct ExportArgs {
    /// The WIM to copy from, or an ISO that holds one
    #[arg(value_name = "SRC_WIMFILE")]
    pub(crate) source: PathBuf,
    /// Index, exact name or `all`
    #[arg(value_name = "SRC_IMAGE")]
    pub(crate) image: OsString,
    /// The WIM to write: made when missing, else the image is appended; `-` for a pipable one on
    /// standard output
    #[arg(value_name = "DEST_WIMFILE")]
    pub(crate) destination: PathBuf,
    /// Name of the image in the new place ("" for none); its old one by default
    #[arg(value_name = "DEST_IMAGE_NAME")]
    pub(crate) name: Option<String>,
    /// Description of the image in the new place; its old one by default
    #[arg(value_name = "DEST_IMAGE_DESC")]
    pub(crate) description: Option<String>,
    /// Mark the exported image as the one to boot; with `all`, the one the source boots
    #[arg(long)]
    pub(crate) boot: bool,
    /// Check the source's integrity table first and write one
    #[arg(long)]
    pub(crate) check: bool,
    /// Write no integrity table
    #[arg(long, alias = "no-check")]
    pub(crate) nocheck: bool,
    /// Write an integrity table
    #[arg(long)]
    pub(crate) include_integrity: bool,
    /// Check the SHA-1 of every blob while it is copied
    #[arg(long)]
    pub(crate) verify: bool,
    /// GUID of a new file (32 hexadecimal digits, dashes allowed); random by default
    #[arg(long, value_parser = parse_guid)]
    pub(crate) guid: Option<[u8; 16]>,
    /// Write the whole destination anew instead of appending to it
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Compression of a new file: none, xpress, lzx or lzms, with an optional :LEVEL
    #[arg(long, value_name = "TYPE[:LEVEL]", value_parser = parse_method)]
    pub(crate) compress: Option<Method>,
    /// Compression chunk size of a new file, such as 32K
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) chunk_size: Option<u32>,
    /// Compress all data again, even where it could be copied
    #[arg(long)]
    pub(crate) recompress: bool,
    #[command(flatten)]
    pub(crate) solid: SolidArgs,
    /// Write the pipable layout, which Windows cannot read
    #[arg(long)]
    pub(crate) pipable: bool,
    /// Write the normal layout even when the destination was pipable
    #[arg(long)]
    pub(crate) not_pipable: bool,
    /// Mark the image as WIMBoot-compatible (a new file: XPRESS, 4 KiB chunks)
    #[arg(long)]
    pub(crate) wimboot: bool,
    /// Refuse what this reader could not read
    #[arg(long = "for", value_name = "READER", value_enum)]
    pub(crate) target: Option<Target>,
    /// Compact the destination in place
    #[arg(long, hide = true)]
    pub(crate) unsafe_compact: bool,
    #[command(flatten)]
    pub(crate) references: References,
}

/// Capture a directory as the image of a new WIM file
#[derive(Debug, Args)]
#[command(after_help = CAPTURE_HELP)]
pub(crate) struct CaptureArgs {
    /// The directory to capture
    pub(crate) source: PathBuf,
    /// The WIM to write or to add to; `wimx capture` takes `-` for a pipable one on standard output
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Name of the image ("" for none); the last part of SOURCE by default
    #[arg(value_name = "IMAGE_NAME")]
    pub(crate) name: Option<String>,
    /// Description of the image
    #[arg(value_name = "IMAGE_DESC")]
    pub(crate) description: Option<String>,
    /// Mark the image as the one to boot
    #[arg(long)]
    pub(crate) boot: bool,
    /// Write an integrity table (append: and check the one that is there first)
    #[arg(long)]
    pub(crate) check: bool,
    /// Write no integrity table
    #[arg(long, alias = "no-check")]
    pub(crate) nocheck: bool,
    /// Write an integrity table
    #[arg(long)]
    pub(crate) include_integrity: bool,
    /// Compression of a new file: none, xpress, lzx (the default) or lzms, with an optional :LEVEL
    /// (wimlib's numbers; 50 is usual)
    #[arg(long, value_name = "TYPE[:LEVEL]", value_parser = parse_method)]
    pub(crate) compress: Option<Method>,
    /// Compression chunk size, such as 32K
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) chunk_size: Option<u32>,
    #[command(flatten)]
    pub(crate) solid: SolidArgs,
    /// Leave out what FILE lists instead of the usual files of a running Windows
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// SOURCE is a list of trees to be laid over each other: lines of a path and its path in the
    /// image
    #[arg(long)]
    pub(crate) source_list: bool,
    /// Store what symbolic links lead to in place of the links
    #[arg(long)]
    pub(crate) dereference: bool,
    /// Property FLAGS of the image, such as Professional
    #[arg(long, value_name = "EDITION")]
    pub(crate) flags: Option<String>,
    /// Set a property of the image, such as WINDOWS/VERSION/MAJOR=10 (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) image_property: Vec<String>,
    /// Store owner, group, mode, special files and extended attributes
    #[arg(long)]
    pub(crate) unix_data: bool,
    /// Make absolute links into SOURCE relative to it (the default for the first image)
    #[arg(long)]
    pub(crate) rpfix: bool,
    /// Leave the targets of links as they are
    #[arg(long)]
    pub(crate) norpfix: bool,
    /// Do not read files that have not changed since this image was made, by length and times, where
    /// their data is stored already. IMAGE is an index, from the end if negative, or a name; without
    /// WIMFILE, of the WIM that is added to, or of the one that --delta-from names
    #[arg(long, value_name = "[WIMFILE:]IMAGE", allow_hyphen_values = true)]
    pub(crate) update_of: Vec<String>,
    /// Refer to data that this WIM holds instead of storing it (repeatable); the result is a delta
    #[arg(long, value_name = "WIMFILE")]
    pub(crate) delta_from: Vec<PathBuf>,
    /// GUID of a new file (32 hexadecimal digits, dashes allowed); random by default
    #[arg(long, value_parser = parse_guid)]
    pub(crate) guid: Option<[u8; 16]>,
    /// Write the whole file anew instead of appending to it
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Write the pipable layout, which Windows cannot read
    #[arg(long)]
    pub(crate) pipable: bool,
    /// Write the normal layout
    #[arg(long)]
    pub(crate) not_pipable: bool,
    /// Mark the image as WIMBoot-compatible (a new file: XPRESS, 4 KiB chunks)
    #[arg(long)]
    pub(crate) wimboot: bool,
    /// Refuse what this reader could not read
    #[arg(long = "for", value_name = "READER", value_enum)]
    pub(crate) target: Option<Target>,
    /// Compact the file in place
    #[arg(long, hide = true)]
    pub(crate) unsafe_compact: bool,
    /// Without meaning where there are no security descriptors
    #[arg(long, hide = true, alias = "noacls")]
    pub(crate) no_acls: bool,
    /// Without meaning where there are no security descriptors
    #[arg(long, hide = true)]
    pub(crate) strict_acls: bool,
    /// Windows only: capture a snapshot of the volume
    #[arg(long, hide = true)]
    pub(crate) snapshot: bool,
    /// List every file that is left out, instead of how many
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// Capture a directory as a further image of a WIM file
#[derive(Debug, Args)]
#[command(after_help = APPEND_HELP)]
pub(crate) struct AppendArgs {
    #[command(flatten)]
    pub(crate) capture: CaptureArgs,
    /// Make the file when it is missing
    #[arg(long)]
    pub(crate) create: bool,
}

/// Remove an image from a WIM file, and the data only it needs
#[derive(Debug, Args)]
#[command(after_help = DELETE_HELP)]
pub(crate) struct DeleteArgs {
    /// The WIM
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Index, exact name or `all`
    pub(crate) image: OsString,
    /// Leave the data in the file: faster, and `wimx optimize` removes it later
    #[arg(long)]
    pub(crate) soft: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// Put the images of a WIM file into another order
#[derive(Debug, Args)]
#[command(after_help = REORDER_HELP)]
pub(crate) struct ReorderArgs {
    /// The WIM
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Index or exact name of those that come first, in their new order; the others follow as they were
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<OsString>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// Write a WIM file anew, without unused data or in another compression
#[derive(Debug, Args)]
#[command(after_help = OPTIMIZE_HELP)]
pub(crate) struct OptimizeArgs {
    /// The WIM
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Compress all data again
    #[arg(long)]
    pub(crate) recompress: bool,
    /// Compress all data in this way: none, xpress, lzx or lzms, with an optional :LEVEL
    #[arg(long, value_name = "TYPE[:LEVEL]", value_parser = parse_method)]
    pub(crate) compress: Option<Method>,
    /// Compress all data in chunks of this size, such as 32K
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) chunk_size: Option<u32>,
    /// Check the SHA-1 of every blob while it is copied
    #[arg(long)]
    pub(crate) verify: bool,
    /// Only say how much smaller the file would be
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) solid: SolidArgs,
    /// Write the pipable layout, which Windows cannot read
    #[arg(long)]
    pub(crate) pipable: bool,
    /// Write the normal layout even when the file was pipable
    #[arg(long)]
    pub(crate) not_pipable: bool,
    /// Refuse what this reader could not read
    #[arg(long = "for", value_name = "READER", value_enum)]
    pub(crate) target: Option<Target>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// Add, delete and rename files in an image: all or nothing
#[derive(Debug, Args)]
#[command(after_help = UPDATE_HELP)]
pub(crate) struct UpdateArgs {
    /// The WIM
    #[arg(value_name = "WIMFILE")]
    pub(crate) wim: PathBuf,
    /// Index or exact name; needed when there are several
    pub(crate) image: Option<OsString>,
    /// Carry out this command; without it, commands are read from standard input, one a line
    #[arg(long, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Add this file as /Windows/System32/WimBootCompress.ini
    #[arg(long, value_name = "FILE")]
    pub(crate) wimboot_config: Option<PathBuf>,
    /// For every add: store what symbolic links lead to in place of the links
    #[arg(long)]
    pub(crate) dereference: bool,
    /// For every add: store owner, group, mode, special files and extended attributes
    #[arg(long)]
    pub(crate) unix_data: bool,
    /// For every add: replace no file
    #[arg(long)]
    pub(crate) no_replace: bool,
    /// For every add: leave out what FILE lists
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// For every delete: a path that does not exist is no error
    #[arg(long)]
    pub(crate) force: bool,
    /// For every delete: remove directories with all that is in them
    #[arg(long)]
    pub(crate) recursive: bool,
    /// Without meaning where there are no security descriptors
    #[arg(long, hide = true, alias = "noacls")]
    pub(crate) no_acls: bool,
    /// Without meaning where there are no security descriptors
    #[arg(long, hide = true)]
    pub(crate) strict_acls: bool,
    /// Write the whole file anew instead of appending to it
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// A WIM that this one builds on as a delta, a pattern to be quoted: what is added and lies in it
    /// already is not stored (repeatable)
    #[arg(long = "ref", value_name = "GLOB")]
    pub(crate) references: Vec<String>,
    /// Accepted for old scripts; has no effect
    #[arg(long, hide = true)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// Whether file data is compressed together.
#[derive(Debug, Args)]
pub(crate) struct SolidArgs {
    /// Compress file data together, as one solid resource (an ESD)
    #[arg(long)]
    pub(crate) solid: bool,
    /// Compression of the solid resource: xpress, lzx or lzms (the default), with an optional :LEVEL
    #[arg(long, value_name = "TYPE[:LEVEL]", value_parser = parse_method)]
    pub(crate) solid_compress: Option<Method>,
    /// Chunk size of the solid resource; 64M by default
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) solid_chunk_size: Option<u32>,
    /// Keep the order of the source in the solid resource, instead of sorting files by kind and name
    #[arg(long)]
    pub(crate) no_solid_sort: bool,
}

/// What becomes of the integrity table of a file that is changed.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// Check the integrity table first, and write one
    #[arg(long)]
    pub(crate) check: bool,
    /// Write no integrity table
    #[arg(long, alias = "no-check")]
    pub(crate) nocheck: bool,
    /// Write an integrity table
    #[arg(long)]
    pub(crate) include_integrity: bool,
    /// Compact the file in place
    #[arg(long, hide = true)]
    pub(crate) unsafe_compact: bool,
}

/// Where data may be that the WIM itself does not hold.
#[derive(Debug, Args)]
pub(crate) struct References {
    /// The other parts of a split WIM, or the WIMs a delta WIM builds on; wimx expands the pattern,
    /// so quote it (repeatable)
    #[arg(long = "ref", value_name = "GLOB")]
    pub(crate) globs: Vec<String>,
}

/// What `extract` and `apply` bring back, and how strictly.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// Check the integrity table first
    #[arg(long)]
    pub(crate) check: bool,
    /// Restore owner, group, mode, special files and extended attributes stored by --unix-data
    #[arg(long)]
    pub(crate) unix_data: bool,
    /// Extract what a corrupt file still holds, with a warning instead of an error
    #[arg(long)]
    pub(crate) recover_data: bool,
    /// Escape names that the target cannot hold instead of leaving those files out
    #[arg(long)]
    pub(crate) include_invalid_names: bool,
    /// Do not restore security descriptors or UNIX permissions
    #[arg(long, alias = "noacls")]
    pub(crate) no_acls: bool,
    /// Fail when permissions cannot be restored exactly
    #[arg(long)]
    pub(crate) strict_acls: bool,
    /// Do not restore Windows attributes
    #[arg(long)]
    pub(crate) no_attributes: bool,
    /// Windows only: extract pointers into the WIM
    #[arg(long, hide = true)]
    pub(crate) wimboot: bool,
    /// Windows only: compress the extracted files
    #[arg(long, hide = true, value_name = "FORMAT")]
    pub(crate) compact: Option<String>,
    /// Accepted for old scripts; has no effect
    #[arg(long, hide = true)]
    pub(crate) verbose: bool,
}

const TOP_HELP: &str = "\
A link to wimx named after a command, such as wiminfo or wimapply, runs that command; `wimx links`
makes such links. Options may be shortened (--det), written with one dash (-detailed) and mixed with
operands; -- ends them. `wimx COMMAND --help` shows each command with examples.

An ISO may stand wherever a WIM is read: win.iso means its sources/install.wim or
sources/install.esd, win.iso:PATH any file in it.

With --json a command prints one JSON document, also when it fails: then it has the key \"error\"
with \"code\" and \"message\".

Exit codes:
  0    done
  2    compressed data is invalid; or no such command
  11   the image name is already in use
  13   the integrity table does not match the file
  14   a capture configuration cannot be understood
  15   no chunk size of this compression
  16   no compression that is possible there
  18   no such image
  28   file data does not have its SHA-1
  36   not the first part of a split WIM
  42   not a regular file, so not for --to-stdout
  43   not a WIM file
  47   a file cannot be opened
  49   no such path in the image
  50   a file cannot be read
  55   data is missing: name the other parts with --ref
  62   the parts of a split WIM are not all there, or not of one set
  65   a file ends too early
  68   not supported
  71   the WIM is read-only
  72   a file cannot be written
  130  stopped by a signal
  141  the reader of standard output went away
  255  the command line is wrong
The others are wimlib's numbers too; the message always says what they mean.

Environment:
  NO_COLOR                     no colours
  WIMLIB_IMAGEX_IGNORE_CASE=1  ignore the case of paths inside images";

const INFO_HELP: &str = "\
Examples:
  wimx info install.wim
  wimx info win.iso 6
  wimx info install.wim --json
  wimx info install.wim 2 'My edition' 'With our drivers'
  wimx info boot.wim 2 --boot
  wimx info install.wim 1 --image-property FLAGS=Professional

JSON: {\"wim\": {path, guid, version, compression, chunk_size, part, parts, boot_index, size,
attributes}, \"images\": [{index, name, description, display_name, display_description, directories,
files, total_bytes, hard_link_bytes, created, modified, flags, wimboot, windows}]}; with --header
also \"header\", with --blobs \"blobs\", with --xml \"xml\". After a change: {\"changed\", \"changes\":
[{image, property, value, old, changed} or {boot_index, changed}]}.

A change is made in place: only XML, integrity table and header are written, in such an order that
the file is whole at every moment.

Unlike wimlib-imagex, --blobs lists in the order of the file's own table.";

const DIR_HELP: &str = "\
Examples:
  wimx dir install.wim 1
  wimx dir install.wim 1 --path=/Windows/System32/drivers
  wimx dir win.iso Professional --path=/Windows/explorer.exe --detailed
  wimx dir install.wim all --json

JSON: {\"images\": [{\"index\", \"entries\": [{path, attributes, directory, size, links}]}]}; with
--detailed each entry also has short_name, created, modified, accessed, link_group, reparse_tag,
security_descriptor, object_id, unix and streams.";

const VERIFY_HELP: &str = "\
All images and all data are checked, also after the first damage is found; every damaged file is
named. The exit code is that of the first damage.

Examples:
  wimx verify install.wim
  wimx verify win.iso
  wimx verify install.swm --ref='install*.swm'
  wimx verify install.esd --json

JSON: {\"ok\", \"bytes\", \"blobs\", \"images\", \"damage\": [{code, message, files}]}.";

const EXTRACT_HELP: &str = "\
A PATH is extracted into the destination itself; a path from a list keeps its parents. A list is
UTF-8 or UTF-16LE text, one path a line; # and ; begin comments. For old scripts --verbose is
accepted; --compact and --wimboot, which need Windows, are refused.

Examples:
  wimx extract boot.wim 1 /Windows/System32/notepad.exe
  wimx extract boot.wim 1 /Windows/System32/notepad.exe --to-stdout > notepad.exe
  wimx extract install.wim 1 '/Windows/Fonts/*.ttf' --dest-dir=fonts
  wimx extract install.wim 1 @files.txt --dest-dir=out

JSON: {\"directories\", \"files\", \"hard_links\", \"bytes\", \"warnings\": [text]}.";

const APPLY_HELP: &str = "\
Nothing is ever written outside TARGET, whatever the image contains. What a directory cannot hold
(security descriptors, attributes, named streams, short names) is left out and counted in warnings.
For old scripts --verbose is accepted; --compact and --wimboot, which need Windows, are refused.

Examples:
  wimx apply install.wim 1 /mnt/windows
  wimx apply backup.wim restored --unix-data
  wimx apply install.swm 1 dir --ref='install*.swm'
  wimx apply win.iso all editions
  ssh host 'wimx capture data -' | wimx apply - copy

From standard input one image can be applied, while it comes: the WIM has to be pipable.

JSON: {\"directories\", \"files\", \"hard_links\", \"bytes\", \"warnings\": [text]}.";

const EXPORT_HELP: &str = "\
Data whose compression agrees with the destination's is copied as it is, in the kernel where that
is possible; other data is compressed anew; data the destination already holds is not copied. The
destination is complete or untouched, even when wimx is killed.

Examples:
  wimx export install.wim 6 pro.wim
  wimx export win.iso 'Windows 11 Pro' pro.wim Pro --check
  wimx export boot.wim 2 new.wim --boot
  wimx export install.swm all whole.wim --ref='install*.swm'

  wimx export install.esd 6 install.wim --compress=lzx
  wimx export install.wim all smaller.wim --recompress --compress=lzx:100
  wimx export install.wim all install.esd --solid

Chunks of LZMS have up to 64 MiB. With --solid, each thread takes ten times the chunk size and more;
of threads only as many are used as there is memory for. A destination that is pipable stays so,
unless --not-pipable is given, and is written anew.
For old scripts --unsafe-compact is accepted; it rebuilds the destination, which is safe.

JSON: {\"destination\", \"images\": [index], \"length\", \"copied\", \"decoded\", \"blobs\", \"shared\",
\"warnings\": [text]}.";

const CAPTURE_HELP: &str = "\
Files are read once, on all processors; equal data is stored once, whatever the files are called. A
file that changes while it is read ends the capture, and the WIM stays as it was. Symbolic links
become Windows links; devices, pipes and sockets need --unix-data.

Levels are wimlib's numbers: up to 20 fast, 50 usual, 100 small, above 100 smallest.

With --for=setup, boot or wof a file that Windows Setup, a boot loader or WIMBoot could not read is
refused, with the reason: because of its compression, say, or because data is missing in it.

For old scripts --no-acls, --strict-acls and --unsafe-compact (append: rebuilds the file, which is
safe) are accepted; --snapshot is refused.

Examples:
  wimx capture /mnt/windows install.wim 'Windows 11 Pro' --flags=Professional
  wimx capture winpe boot.wim 'Windows PE' --boot --compress=lzx:100
  wimx capture data data.wim --compress=xpress --check
  wimx capture data data.esd --solid
  wimx capture home home.wim --unix-data --config=exclude.ini
  wimx capture next delta.wim --delta-from=base.wim --update-of=1
  wimx capture data - | ssh host 'wimx apply - copy'

For a pipable WIM, which has the hashes before the data, and with --solid, which puts files in order
of kind and name, files are read twice. With --solid, each thread takes ten times the chunk size and
more; of threads only as many are used as there is memory for.

JSON: {\"destination\", \"image\", \"length\", \"directories\", \"files\", \"bytes\", \"stored\",
\"excluded\": [path], \"moved_links\": [path], \"warnings\": [text]}.";

const APPEND_HELP: &str = "\
Data that the WIM holds already is not stored again. The WIM is as before or has the new image, even
when wimx is killed.

Examples:
  wimx append /mnt/windows2 install.wim 'Windows 11 Home'
  wimx append today backup.wim --create
  wimx append today backup.wim --update-of=-1

Options and JSON are those of `wimx capture`.";

const DELETE_HELP: &str = "\
The file is written anew without the image and what only it needs, and takes the place of the old
one when it is complete. With --soft only the tables are written; the data stays in the file. For old
scripts --unsafe-compact is accepted, and has no effect.

Examples:
  wimx delete install.wim 3
  wimx delete install.wim 'Windows 11 Home N' --soft

JSON: {\"wim\", \"before\", \"after\"}: the length of the file in bytes.";

const REORDER_HELP: &str = "\
Only the tables are written, behind the data; the file is as before or as after at every moment. The
image that is booted stays the same. A pipable file is written anew.

Examples:
  wimx reorder install.wim 3
  wimx reorder install.wim 'Windows 11 Pro' 1

JSON: {\"wim\", \"order\": [former index], \"warnings\": [text]}.";

const OPTIMIZE_HELP: &str = "\
The new file takes the place of the old one when it is complete; a file that is just what it would
become is left as it is, unless --verify has its data checked. Without --recompress, --compress,
--chunk-size or --solid data is copied as it is. An ESD stays one unless --compress names another
compression than LZMS. For old scripts --unsafe-compact is accepted, where nothing is compressed anew.

Examples:
  wimx optimize install.wim --dry-run
  wimx optimize install.wim
  wimx optimize install.wim --compress=lzx:100
  wimx optimize boot.wim --compress=xpress --check
  wimx optimize install.wim --solid

JSON: {\"wim\", \"before\", \"after\"}: the length of the file in bytes.";

const UPDATE_HELP: &str = "\
Commands, one a line (# or ; begins a comment; paths with spaces in quotes):
  add [--dereference] [--unix-data] [--no-replace] SOURCE PATH
  delete [--force] [--recursive] PATH
  rename OLD_PATH NEW_PATH
PATH is inside the image. Either all commands are carried out or none. New data is written behind
the old; `wimx optimize` removes what is not needed any more. For old scripts --no-acls, --strict-acls
and --unsafe-compact (rebuilds the file, which is safe) are accepted.

Examples:
  wimx update boot.wim 2 --command='add startnet.cmd /Windows/System32/startnet.cmd'
  wimx update install.wim 1 < commands.txt
  wimx update install.wim 1 --command='delete --recursive \"/Program Files/Junk\"'

JSON: {\"wim\", \"before\", \"after\", \"stored\"}: lengths of the file and of the new data;
\"excluded\": [path].";
