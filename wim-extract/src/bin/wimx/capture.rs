//! `wimx capture` and `wimx append`: a directory as an image.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use wim_extract::archive::{ImageIndex, Wim};
use wim_extract::capture::{
    self, Exclusions, Into, Links, Options, Outcome, RootFix, SourceTree, Template, UnixMetadata,
};
use wim_extract::error::Action;
use wim_extract::export::{Boot, Compression, Existing, Grouping, Pipable};
use wim_extract::readers::{Extent, Shape};
use wim_extract::text::{os_string, to_wtf8};
use wim_extract::{Cancel, Error, Progress};
use wim_format::Codec;

use crate::args::{AppendArgs, CaptureArgs, Global};
use crate::bar::{Bar, Notes};
use crate::compression::{AROUND_SOLID, Method, chunks, warn_of_recovery};
use crate::failure::Failure;
use crate::target::{self, Aim};
use crate::update::WIMBOOT_CONFIG;
use crate::words::words;
use crate::writing::{
    archive_to_stdout, integrity, is_stdout, new_layout, pipable, refuse_contradictions,
    warn_of_pipable,
};
use crate::{interrupt, open, restore, stdout};

/// Which of the two commands it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A new file.
    New,
    /// A file that has to be there.
    Append,
    /// A file that is made when it is missing.
    AppendOrCreate,
}

impl Kind {
    /// What `wimx append` does.
    pub(crate) fn of(args: &AppendArgs) -> Self {
        if args.create { Self::AppendOrCreate } else { Self::Append }
    }
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    destination: String,
    /// Index of the image.
    image: u32,
    /// Length of the file in bytes.
    length: u64,
    directories: u64,
    files: u64,
    /// Bytes of all files, each name counted.
    bytes: u64,
    /// Bytes of new file data, as they are stored.
    stored: u64,
    /// Files and directories that were left out.
    excluded: Vec<String>,
    /// Links whose absolute targets were made relative to the image.
    moved_links: Vec<String>,
    warnings: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &CaptureArgs, kind: Kind, global: &Global) -> Result<(), Failure> {
    let into = match kind {
        _ if is_stdout(&args.wim) => Into::New,
        Kind::New => Into::New,
        Kind::AppendOrCreate if !args.wim.exists() => Into::New,
        Kind::Append | Kind::AppendOrCreate => Into::Existing,
    };
    let pipable = refuse_what_cannot_be(args, kind, into)?;
    let out = is_stdout(&args.wim).then(|| archive_to_stdout(global)).transpose()?;
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    if args.check && into == Into::Existing {
        open::check(&args.wim, &[], global, &bar, &cancel)?;
    }
    let old = match into {
        Into::New => None,
        Into::Existing => Some(open::archive(&args.wim, &[], global, &bar)?),
    };
    let options = options(args, kind, old.as_ref(), into, pipable, global, &bar)?;
    let compression = options.compression.unwrap_or_default();
    let layout = match &old {
        Some(old) => pipable.layout(old.header().layout),
        None => new_layout(pipable, &args.wim),
    };
    let extent = extent(&options, old.as_ref(), args, &cancel)?;
    let shape = target::shape(compression, options.grouping, old.as_ref(), layout);
    let shape = Shape { extent, ..shape };
    let aim = Aim { target: args.target, boot: args.boot, wimboot: args.wimboot };
    target::check(shape, aim, &bar)?;
    warn_of_recovery(args.compress, options.grouping, &bar);
    // The file must not stay mapped while it is written to.
    drop(old);
    if let Some(out) = out {
        capture::to_stream(&sources(args)?, out, &options, &bar, &cancel)?;
        if !global.quiet {
            notes(args, &bar.notes()).iter().for_each(|line| anstream::eprintln!("{line}"));
        }
        return Ok(());
    }
    warn_of_pipable(layout, &bar);
    let outcome = capture::run(&sources(args)?, &args.wim, &options, &bar, &cancel)?;
    report(args, &options.name, &outcome, global, &bar)
}

/// Whether all data will be in the file. To find out of one that is there takes reading its metadata,
/// which is done only if somebody asks.
fn extent(
    options: &Options,
    old: Option<&Wim>,
    args: &CaptureArgs,
    cancel: &Cancel,
) -> Result<Extent, Failure> {
    match old.filter(|_| args.target.is_some()) {
        _ if !options.delta_from.is_empty() => Ok(Extent::Delta),
        Some(old) => Ok(Extent::of(old, options.threads, cancel)?),
        None => Ok(Extent::Whole),
    }
}

/// Options that contradict each other, and those that cannot be obeyed. Gives the layout.
fn refuse_what_cannot_be(args: &CaptureArgs, kind: Kind, into: Into) -> Result<Pipable, Failure> {
    if into == Into::New || rebuilds(args) || args.chunk_size.is_some() {
        refuse_contradictions(args.nocheck, args.check, args.include_integrity)?;
    }
    if args.rpfix && args.norpfix {
        return Err(restore::contradiction("--rpfix", "--norpfix"));
    }
    if args.unsafe_compact && kind == Kind::New {
        let message = "--unsafe-compact is for adding to a file; leave it out";
        return Err(Failure::Usage(message.into()));
    }
    if args.snapshot {
        let message = "--snapshot: is not supported; leave it out";
        return Err(Error::Unsupported(message.into()).into());
    }
    if is_stdout(&args.wim) && kind == Kind::Append {
        let message = "nothing can be appended to standard output; use `wimx capture`";
        return Err(Failure::Usage(message.into()));
    }
    pipable(args.pipable, args.not_pipable)
}

/// Whether an archive that is there is written anew.
fn rebuilds(args: &CaptureArgs) -> bool {
    args.rebuild || args.not_pipable || args.unsafe_compact
}

/// What is captured: SOURCE, or what it lists; for WIMBoot also the list of what is left out, by which the
/// running system goes.
fn sources(args: &CaptureArgs) -> Result<Vec<SourceTree>, Failure> {
    let mut sources = trees(args)?;
    let config = args.config.as_ref().filter(|_| args.wimboot);
    sources.extend(
        config
            .map(|config| SourceTree { path: config.clone(), destination: WIMBOOT_CONFIG.into() }),
    );
    Ok(sources)
}

fn trees(args: &CaptureArgs) -> Result<Vec<SourceTree>, Failure> {
    if !args.source_list {
        return Ok(vec![SourceTree::root(args.source.clone())]);
    }
    let mut bytes = Vec::new();
    let read = match args.source.as_os_str() == "-" {
        true => io::stdin().lock().read_to_end(&mut bytes).map(drop),
        false => fs::read(&args.source).map(|read| bytes = read),
    };
    // As with wimlib-imagex, the list belongs to the command line.
    let read = read.map_err(Error::io(Action::Open, &args.source));
    read.map_err(|error| Failure::Usage(error.to_string()))?;
    let mut sources = Vec::new();
    for (number, line) in (1..).zip(to_wtf8(&bytes).split(|&byte| byte == b'\n')) {
        let problem = |problem: &str| {
            Failure::Usage(format!("{}: line {number}: {problem}", args.source.display()))
        };
        // What is behind the two paths means nothing.
        let words = words(line).take(2).collect::<Result<Vec<_>, _>>();
        let mut words = words.map_err(|found| problem(&found))?.into_iter();
        let Some(path) = words.next() else { continue };
        let destination = words.next().unwrap_or_else(|| path.clone());
        sources.push(SourceTree { path: PathBuf::from(os_string(path)), destination });
    }
    Ok(sources)
}

fn options(
    args: &CaptureArgs,
    kind: Kind,
    old: Option<&Wim>,
    into: Into,
    pipable: Pipable,
    global: &Global,
    bar: &Bar,
) -> Result<Options, Failure> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => free_name(&args.source, old),
    };
    let bases: Result<Vec<Arc<Wim>>, Failure> = args
        .delta_from
        .iter()
        .map(|base| open::archive(base, &[], global, bar).map(Arc::new))
        .collect();
    let bases = bases?;
    let update_of = update_of(args, kind, old, &bases, global, bar)?;
    let method = args.compress;
    Ok(Options {
        threads: global.threads(),
        name,
        description: args.description.clone().unwrap_or_default(),
        properties: properties(args)?,
        compression: compression(args, old)?,
        level: method.map(Method::level).unwrap_or_default(),
        integrity: integrity(args.nocheck, args.check || args.include_integrity),
        boot: if args.boot { Boot::Mark } else { Boot::Leave },
        exclusions: exclusions(args, bar)?,
        links: if args.dereference { Links::Follow } else { Links::Keep },
        unix: if args.unix_data { UnixMetadata::Keep } else { UnixMetadata::Drop },
        root_fix: match (args.rpfix, args.norpfix) {
            (true, _) => RootFix::Fix,
            (_, true) => RootFix::Leave,
            _ => RootFix::AsArchive,
        },
        guid: args.guid,
        into,
        existing: if rebuilds(args) { Existing::Rebuild } else { Existing::Append },
        pipable,
        grouping: args.solid.grouping(Grouping::Keep)?,
        delta_from: bases,
        update_of,
    })
}

/// The image that `--update-of` names: of an archive, or of the one that is added to or built on.
fn update_of(
    args: &CaptureArgs,
    kind: Kind,
    old: Option<&Wim>,
    bases: &[Arc<Wim>],
    global: &Global,
    bar: &Bar,
) -> Result<Option<Template>, Failure> {
    let operand = match &args.update_of[..] {
        [] => return Ok(None),
        [operand] => operand,
        _ => return Err(Failure::Usage("--update-of: name one image only".into())),
    };
    if let Some((file, image)) = operand.rsplit_once(':') {
        if file.is_empty() {
            let message = "--update-of: name the archive before the colon, or leave the colon out";
            return Err(Error::Parameter(message.into()).into());
        }
        let wim = open::archive(Path::new(file), &[], global, bar)?;
        let image = one_image(&wim, image)?;
        return Ok(Some(Template { wim: Some(Arc::new(wim)), image }));
    }
    match (old, bases) {
        (Some(old), _) => Ok(Some(Template { wim: None, image: one_image(old, operand)? })),
        (None, [base]) => {
            Ok(Some(Template { wim: Some(Arc::clone(base)), image: one_image(base, operand)? }))
        }
        // There is nothing yet that could be unchanged.
        (None, _) if kind == Kind::AppendOrCreate => Ok(None),
        (None, _) => Err(Failure::Usage(format!(
            "--update-of={operand}: name the archive that has this image, as in \
             --update-of=old.wim:{operand}"
        ))),
    }
}

/// The image of this index, counted from the end if negative, or of this name.
fn one_image(wim: &Wim, operand: &str) -> Result<ImageIndex, Failure> {
    let from_end = operand.strip_prefix('-').and_then(|number| number.parse::<u32>().ok());
    let index = from_end.and_then(|number| (wim.image_count() + 1).checked_sub(number));
    match index.and_then(|index| wim.image(index)) {
        Some(image) => Ok(image),
        None if open::means_all(operand) => {
            Err(Failure::Choice("--update-of takes one image, not all".into()))
        }
        None => match wim.resolve(operand)?[..] {
            [image] => Ok(image),
            _ => Err(Failure::Choice("--update-of takes one image".into())),
        },
    }
}

/// The last part of the source's path, with a number behind it if an image is called so already.
fn free_name(source: &Path, old: Option<&Wim>) -> String {
    let full = || fs::canonicalize(source).ok();
    let name = source.file_name().map(ToOwned::to_owned);
    let name = name.or_else(|| full()?.file_name().map(ToOwned::to_owned)).unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let Some(old) = old.filter(|old| old.image_named(&name).is_some()) else { return name };
    let numbered = (1..).map(|number: u64| format!("{name} ({number})"));
    numbered.into_iter().find(|name| old.image_named(name).is_none()).unwrap_or(name)
}

fn properties(args: &CaptureArgs) -> Result<Vec<(String, String)>, Failure> {
    let mut properties = Vec::new();
    if args.wimboot {
        properties.push(("WIMBOOT".to_owned(), "1".to_owned()));
    }
    for property in &args.image_property {
        let Some((name, value)) = property.split_once('=') else {
            return Err(Failure::Usage(format!(
                "--image-property={property}: write it as NAME=VALUE"
            )));
        };
        properties.push((name.to_owned(), value.to_owned()));
    }
    properties.extend(args.flags.iter().map(|flags| ("FLAGS".to_owned(), flags.clone())));
    Ok(properties)
}

/// The compression asked for. As with wimlib-imagex, the codec of a file that is there wins.
fn compression(args: &CaptureArgs, old: Option<&Wim>) -> Result<Option<Compression>, Failure> {
    let wimboot = (args.wimboot && old.is_none()).then_some(Codec::Xpress);
    let codec = match (old, args.compress, wimboot) {
        (Some(old), ..) => old.codec(),
        (None, Some(method), _) => method.codec,
        (None, None, Some(codec)) => Some(codec),
        (None, None, None) if args.solid.solid => Some(Codec::Lzms),
        (None, None, None) => Some(Codec::Lzx),
    };
    match (args.chunk_size, old, wimboot) {
        (None, Some(_), _) => Ok(None),
        (None, None, Some(_)) if codec == wimboot => chunks(codec, Some(4 << 10)).map(Some),
        (None, None, _) => match args.compress {
            Some(method) => method.chunks(None).map(Some),
            None if args.solid.solid => Ok(Some(AROUND_SOLID)),
            None => Ok(None),
        },
        (size, ..) => chunks(codec, size).map(Some),
    }
}

/// Reads what `--config` names.
pub(crate) fn read_exclusions(config: &Path, bar: &Bar) -> Result<Exclusions, Failure> {
    let read = fs::read(config).map_err(Error::io(Action::Open, config));
    let text = read.map_err(|error| Failure::Config(Box::new(error)))?;
    Ok(Exclusions::parse(&text, &config.display().to_string(), bar)?)
}

/// What is left out. A tree for WIMBoot may say so itself.
fn exclusions(args: &CaptureArgs, bar: &Bar) -> Result<Exclusions, Failure> {
    let own = args.source.join(WIMBOOT_CONFIG.trim_start_matches('/'));
    match &args.config {
        Some(config) => read_exclusions(config, bar),
        None if args.wimboot && own.exists() => read_exclusions(&own, bar),
        None => {
            if args.wimboot {
                bar.warning(&format!(
                    "{}: is not there; the usual files of a running Windows are left out",
                    own.display()
                ));
            }
            Ok(Exclusions::default())
        }
    }
}

/// What is said of what was left out and changed.
fn notes(args: &CaptureArgs, notes: &Notes) -> Vec<String> {
    if args.verbose { notes.list() } else { notes.counts() }
}

fn report(
    args: &CaptureArgs,
    name: &str,
    outcome: &Outcome,
    global: &Global,
    bar: &Bar,
) -> Result<(), Failure> {
    let destination = args.wim.display().to_string();
    let Outcome { image, len, directories, files, bytes, stored, .. } = *outcome;
    let told = bar.notes();
    if global.json {
        let Notes { excluded, moved_links } = told;
        let warnings = bar.warnings();
        let length = len;
        return stdout::json(&Document {
            destination,
            image,
            length,
            directories,
            files,
            bytes,
            stored,
            excluded,
            moved_links,
            warnings,
        });
    }
    if global.quiet {
        return Ok(());
    }
    notes(args, &told).iter().try_for_each(|line| stdout::line(line))?;
    stdout::line(&format!(
        "Captured \"{}\" to \"{destination}\" as image {image} \"{name}\": {files} files in \
         {directories} directories, {bytes} bytes; {stored} bytes of new data stored.",
        args.source.display(),
    ))
}
