//! `wimx diff`: what differs between two images.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;

use clap::{Args, ValueEnum};
use serde::Serialize;
use wim_extract::archive::{ImageIndex, Wim};
use wim_extract::diff::{self, Aspects, Change, ChangeKind, Image, Options, Outcome};
use wim_extract::text::{os_bytes, os_string};

use crate::args::Global;
use crate::bar::Bar;
use crate::failure::Failure;
use crate::text::{Hex, lossy, lost};
use crate::{open, stdout};

/// The exit code of images that differ, as diff and cmp have it.
const DIFFERENT: u8 = 1;

/// Compare two images: which files were added, removed, changed or renamed
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct DiffArgs {
    /// The old image: a WIM, or an ISO that holds one, with an index or name behind a colon
    #[arg(value_name = "OLD_WIMFILE[:IMAGE]")]
    old: OsString,
    /// The new image
    #[arg(value_name = "NEW_WIMFILE[:IMAGE]")]
    new: OsString,
    /// Differences that do not count (repeatable, or separated by commas)
    #[arg(long, value_name = "ASPECT", value_delimiter = ',')]
    ignore: Vec<Aspect>,
}

/// An aspect in which files can differ, as the command line and JSON call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Aspect {
    /// A file became a directory, or the other way round
    Kind,
    /// The data of a file
    Content,
    /// Named data streams
    Streams,
    /// What a link leads to, and other reparse points
    Target,
    /// Windows attributes
    Attributes,
    /// Times of creation and last change
    Times,
    /// Security descriptors
    Security,
    /// How many hard links a file has
    Links,
    /// Short names (8.3)
    ShortName,
    /// Object IDs, extended attributes, UNIX owners and modes
    Extras,
}

const HELP: &str = "\
Each line is a file or directory and what became of it:
  A path           added
  D path           deleted
  M path  aspects  modified, and in what
  R old -> new     renamed: the same data under another path
No file data is read: it is compared by its SHA-1. Times of last access do not count.

The image may be left out where the WIM has only one. Both may be in the same WIM.

Exit codes: 0 the images are the same, 1 they differ; else as ever (nothing is locked here, which is
what code 1 means elsewhere).

Examples:
  wimx diff old.wim:1 new.wim:1
  wimx diff win.iso:Professional patched.wim --ignore=times,security
  wimx diff install.wim:1 install.wim:2 --json

JSON: {\"same\": bool, \"changes\": [{kind, path, from, directory, old_size, new_size, aspects}],
\"totals\": {added, removed, changed, renamed: {count, bytes}, unchanged}, \"warnings\": [text]}.";

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    same: bool,
    changes: Vec<ChangeView<'a>>,
    totals: Totals,
    warnings: Vec<String>,
}

/// A file or directory that differs.
#[derive(Serialize)]
struct ChangeView<'a> {
    kind: &'static str,
    path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<Hex<'a>>,
    /// The old path of a renamed file.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_hex: Option<Hex<'a>>,
    directory: bool,
    /// Bytes of data before; null where there was none, or its blob is in no file given.
    old_size: Option<u64>,
    /// Bytes of data now.
    new_size: Option<u64>,
    aspects: Vec<Aspect>,
}

/// How much there is of every kind of change.
#[derive(Debug, Default, Serialize)]
struct Totals {
    added: Total,
    removed: Total,
    changed: Total,
    renamed: Total,
    /// Files and directories that are the same.
    unchanged: u64,
}

/// Files and directories, and their bytes: of what was removed the old ones, else the new ones.
#[derive(Debug, Default, Serialize)]
struct Total {
    count: u64,
    bytes: u64,
}

/// Runs the command.
pub(crate) fn run(args: &DiffArgs, global: &Global) -> Result<(), Failure> {
    let bar = Bar::new(global);
    let (old, old_image) = operand(&args.old, global, &bar)?;
    let (new, new_image) = operand(&args.new, global, &bar)?;
    let (old, new) = (Image { wim: &old, index: old_image }, Image { wim: &new, index: new_image });
    let ignored = args.ignore.iter().map(|aspect| aspect.flag()).collect();
    let outcome = diff::run(old, new, &Options { ignored })?;
    let totals = totals(&outcome);
    if global.json {
        stdout::json(&Document {
            same: outcome.changes.is_empty(),
            changes: outcome.changes.iter().map(view).collect(),
            totals,
            warnings: bar.warnings(),
        })?;
    } else if !global.quiet {
        print(&outcome, &totals)?;
    }
    if outcome.changes.is_empty() { Ok(()) } else { Err(Failure::Reported(DIFFERENT)) }
}

/// Opens what an operand names. A path with a colon in it is taken as it stands, if it can be.
fn operand(operand: &OsStr, global: &Global, bar: &Bar) -> Result<(Wim, ImageIndex), Failure> {
    let whole = match open::archive(Path::new(operand), &[], global, bar) {
        Ok(wim) => {
            let [image] = open::images(&wim, None)?[..] else {
                return Err(Failure::Usage(format!("{}: has no image", wim.name())));
            };
            return Ok((wim, image));
        }
        Err(failure) => failure,
    };
    let Some((path, image)) = split_image(operand) else { return Err(whole) };
    let wim = open::archive(Path::new(&path), &[], global, bar)?;
    let image = open::image(&wim, image.as_ref())?;
    Ok((wim, image))
}

/// Splits at the last colon, if what is behind it can be an image: no path, and in a path that does
/// not exist.
fn split_image(operand: &OsStr) -> Option<(OsString, String)> {
    let bytes = os_bytes(operand);
    let colon = bytes.iter().rposition(|&byte| byte == b':')?;
    let image = std::str::from_utf8(&bytes[colon + 1..]).ok()?;
    let is_path = image.contains(['/', '\\']) || Path::new(operand).exists();
    (!is_path).then(|| (os_string(bytes[..colon].to_vec()), image.to_owned()))
}

impl Aspect {
    fn flag(self) -> Aspects {
        match self {
            Self::Kind => Aspects::KIND,
            Self::Content => Aspects::CONTENT,
            Self::Streams => Aspects::STREAMS,
            Self::Target => Aspects::TARGET,
            Self::Attributes => Aspects::ATTRIBUTES,
            Self::Times => Aspects::TIMES,
            Self::Security => Aspects::SECURITY,
            Self::Links => Aspects::LINKS,
            Self::ShortName => Aspects::SHORT_NAME,
            Self::Extras => Aspects::EXTRAS,
        }
    }

    fn all_in(aspects: Aspects) -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|aspect| aspects.contains(aspect.flag())).collect()
    }

    /// What follows the path: "  content, times".
    fn list(aspects: Aspects) -> String {
        let names = Self::all_in(aspects).into_iter().filter_map(|aspect| {
            aspect.to_possible_value().map(|value| value.get_name().to_owned())
        });
        let names: Vec<_> = names.collect();
        if names.is_empty() { String::new() } else { format!("  {}", names.join(", ")) }
    }
}

fn print(outcome: &Outcome, totals: &Totals) -> Result<(), Failure> {
    stdout::with(|out| {
        for change in &outcome.changes {
            print_change(out, change)?;
        }
        let Totals { added, removed, changed, renamed, unchanged } = totals;
        if outcome.changes.is_empty() {
            return Ok(writeln!(
                out,
                "The images are the same: {unchanged} files and directories."
            )?);
        }
        let say = |total: &Total, what| format!("{} {what} ({} bytes)", total.count, total.bytes);
        Ok(writeln!(
            out,
            "{}, {}, {}, {}; {unchanged} the same.",
            say(added, "added"),
            say(removed, "deleted"),
            say(changed, "modified"),
            say(renamed, "renamed")
        )?)
    })
}

fn print_change(out: &mut impl Write, change: &Change) -> io::Result<()> {
    let (letter, from, aspects) = match &change.kind {
        ChangeKind::Added => ("A", None, Aspects::empty()),
        ChangeKind::Removed => ("D", None, Aspects::empty()),
        ChangeKind::Changed(aspects) => ("M", None, *aspects),
        ChangeKind::Renamed { from, aspects } => ("R", Some(from), *aspects),
    };
    write!(out, "{letter} ")?;
    if let Some(from) = from {
        out.write_all(from)?;
        write!(out, " -> ")?;
    }
    out.write_all(&change.path)?;
    writeln!(out, "{}", Aspect::list(aspects))
}

fn view(change: &Change) -> ChangeView<'_> {
    let (kind, from, aspects) = match &change.kind {
        ChangeKind::Added => ("added", None, Aspects::empty()),
        ChangeKind::Removed => ("removed", None, Aspects::empty()),
        ChangeKind::Changed(aspects) => ("changed", None, *aspects),
        ChangeKind::Renamed { from, aspects } => ("renamed", Some(from.as_slice()), *aspects),
    };
    ChangeView {
        kind,
        path: lossy(&change.path),
        path_hex: lost(&change.path),
        from: from.map(lossy),
        from_hex: from.and_then(lost),
        directory: change.is_directory,
        old_size: change.old_size,
        new_size: change.new_size,
        aspects: Aspect::all_in(aspects),
    }
}

fn totals(outcome: &Outcome) -> Totals {
    let mut totals = Totals { unchanged: outcome.same, ..Totals::default() };
    for change in &outcome.changes {
        let (total, size) = match change.kind {
            ChangeKind::Added => (&mut totals.added, change.new_size),
            ChangeKind::Removed => (&mut totals.removed, change.old_size),
            ChangeKind::Changed(_) => (&mut totals.changed, change.new_size),
            ChangeKind::Renamed { .. } => (&mut totals.renamed, change.new_size),
        };
        total.count += 1;
        total.bytes = total.bytes.saturating_add(size.unwrap_or(0));
    }
    totals
}
