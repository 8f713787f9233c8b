//! `osupg package …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use super::output::{Align, count, facts, lines, table};
use crate::error::{Kind, Result};
use crate::package::add::{self, Added, Request};
use crate::package::model::{Entry, ImageFacts, Origin, Package, Stated};
use crate::package::remove::{self, Removed};
use crate::package::select::Selection;
use crate::package::snapshot::Reading;
use crate::package::verify::{self, Verified};
use crate::package::{export, files, list, show};
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Take a snapshot of Windows Setup media as a new package; the source is only read
    Add(AddArgs),
    /// List all packages
    #[command(visible_alias = "ls")]
    List,
    /// Show everything about a package
    Show(Which),
    /// List the images in the WIM files of a package
    Images(Which),
    /// List the files of a package
    Files(Which),
    /// Rebuild the media tree of a package, bit for bit, with its times
    Export(ExportArgs),
    /// Check every object, file and image of a package
    Verify(Which),
    /// Remove a package, and the bytes that only it used
    #[command(visible_alias = "rm")]
    Remove(Which),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg package add /media/win11 --name 'Windows 11 24H2'
  osupg package add win11.iso --edition Professional --name 'Windows 11 24H2 Pro' --version 2025-01
  osupg package add install.esd --index 6 --name 'Pro from ESD'")]
pub(super) struct AddArgs {
    /// A folder or ISO with Windows Setup media, or a WIM or ESD by itself
    source: PathBuf,
    /// Keep only the image with this index
    #[arg(long, value_name = "N", conflicts_with = "edition")]
    index: Option<u32>,
    /// Keep only the image with this edition id, such as Professional
    #[arg(long, value_name = "ID")]
    edition: Option<String>,
    /// The name: 1 to 50 characters, unique
    #[arg(long)]
    name: String,
    /// Your own version: up to 32 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    version: String,
    /// A comment: up to 127 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// The architecture, where the images do not say it right
    #[arg(long, value_name = "ARCH")]
    architecture: Option<String>,
    /// The language, where the images do not say it right, such as en-US
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// Read every file, even those that are as they were when they were last read, and check what
    /// the library holds of them
    #[arg(long)]
    rehash: bool,
}

/// Names a package.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The package's id, such as OSU00001, or its name
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The package's id, such as OSU00001, or its name
    #[arg(value_name = "ID")]
    id: String,
    /// The folder to make; it must not exist yet, or be empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Add(args) => add(args, context).await,
        Command::List => list(context).await,
        Command::Show(which) => show(&which.id, context).await,
        Command::Images(which) => images(&which.id, context).await,
        Command::Files(which) => files(&which.id, context).await,
        Command::Export(args) => export(args, context).await,
        Command::Verify(which) => verify(&which.id, context).await,
        Command::Remove(which) => remove(&which.id, context).await,
    }
}

async fn add(args: AddArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let selection = match (args.index, args.edition) {
        (Some(index), _) => Selection::Index(index),
        (None, Some(id)) => Selection::Edition(id),
        (None, None) => Selection::All,
    };
    let request = Request {
        source: args.source,
        selection,
        name: args.name,
        version: args.version,
        comment: args.comment,
        architecture: args.architecture,
        language: args.language,
        site: config.site(),
        reading: if args.rehash { Reading::Everything } else { Reading::Changed },
    };
    if context.global.server.is_none() {
        add::check_store_outside(&config.folder()?, &request.source)?;
    }
    let added = context.call(&request).await?;
    context.output.show(&added, added_text)?;
    Ok(0)
}

/// What an add did, for people.
pub(super) fn added_text(added: &Added) -> String {
    let Added { package, work, .. } = added;
    let kept = match (added.images.len() as u64, added.images_in_source) {
        (kept, all) if kept == all => count(kept, "image"),
        (kept, all) => format!("{kept} of {}", count(all, "image")),
    };
    let mut stored = match work.new_size {
        0 => "nothing new; the library had all of it".to_string(),
        new => format!("{} new in {}", text::size(new), count(work.new_objects, "object")),
    };
    if work.mended_objects > 0 {
        stored.push_str(&format!("; {} mended", count(work.mended_objects, "damaged object")));
    }
    let mut read = format!("{} ({})", count(work.files_read, "file"), text::size(work.bytes_read));
    if work.files_recognised > 0 {
        read.push_str(&format!(
            "; {} ({}) unchanged since last read",
            work.files_recognised,
            text::size(work.bytes_recognised)
        ));
    }
    let verified = match work.images_verified {
        0 => "before; the images are those of an earlier revision".to_string(),
        images => format!("{}, every blob", count(images, "image")),
    };
    let mut text = format!("Added {} \"{}\"\n", package.id, package.name);
    text.push_str(&facts(&[
        ("kept", kept),
        ("edition", package.revision.editions.clone()),
        ("build", package.revision.builds.clone()),
        ("architecture", package.architecture.value.clone()),
        ("language", package.language.value.clone()),
        ("media", media_size(package)),
        ("read", read),
        ("stored", stored),
        ("verified", verified),
    ]));
    text + &lines(added.warnings.iter().map(|warning| format!("Note: {}", text::clean(warning))))
}

fn media_size(package: &Package) -> String {
    let revision = &package.revision;
    format!("{}, {}", count(revision.file_count, "file"), text::size(revision.total_size))
}

async fn list(context: &Context) -> Result<u8> {
    let packages = context.call(&list::Request {}).await?;
    context.output.show(&packages, |packages| list_text(packages))?;
    Ok(0)
}

/// The list of packages, for people.
pub(super) fn list_text(packages: &[Package]) -> String {
    use Align::{Left, Right};
    if packages.is_empty() {
        return "There are no packages yet. `osupg package add` adds one.\n".to_string();
    }
    let columns = [
        ("ID", Left),
        ("NAME", Left),
        ("VERSION", Left),
        ("EDITION", Left),
        ("BUILD", Left),
        ("ARCH", Left),
        ("LANGUAGE", Left),
        ("REV", Right),
        ("SIZE", Right),
        ("ADDED", Left),
    ];
    let row = |package: &Package| {
        vec![
            package.id.clone(),
            package.name.clone(),
            package.version.clone(),
            package.revision.editions.clone(),
            package.revision.builds.clone(),
            package.architecture.value.clone(),
            package.language.value.clone(),
            package.revision.number.to_string(),
            text::size(package.revision.total_size),
            package.created_at.local(),
        ]
    };
    table(&columns, packages.iter().map(row).collect())
}

async fn show(id: &str, context: &Context) -> Result<u8> {
    let shown = context.call(&show::Request { package: id.into() }).await?;
    context.output.show(&shown, |shown| show_text(&shown.package, &shown.images))?;
    Ok(0)
}

fn show_text(package: &Package, images: &[ImageFacts]) -> String {
    let revision = &package.revision;
    let stated = |stated: &Stated| match stated.by {
        Origin::Hand => format!("{} (given by hand)", stated.value),
        Origin::Image => stated.value.clone(),
    };
    let mut kept = if revision.selection.is_empty() { "all images" } else { &*revision.selection };
    if images.is_empty() {
        kept = "";
    }
    let mut text = format!("{} \"{}\"\n", package.id, package.name);
    text.push_str(&facts(&[
        ("version", package.version.clone()),
        ("comment", package.comment.clone()),
        ("architecture", stated(&package.architecture)),
        ("language", stated(&package.language)),
        ("edition", revision.editions.clone()),
        ("build", revision.builds.clone()),
        ("source", format!("{} ({})", package.source_path, package.source_kind)),
        ("kept", kept.to_string()),
        ("revision", format!("{} ({})", revision.number, revision.cause)),
        ("digest", text::hex(&revision.digest)),
        ("media", media_size(package)),
        ("new then", text::size(revision.new_size)),
        ("added", package.created_at.local()),
    ]));
    if !images.is_empty() {
        text.push_str("Images in the install WIM:\n");
        text.push_str(&image_table(images));
    }
    text
}

/// A table of images, for people.
pub(super) fn image_table(images: &[ImageFacts]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("INDEX", Right),
        ("NAME", Left),
        ("EDITION", Left),
        ("VERSION", Left),
        ("ARCH", Left),
        ("LANGUAGES", Left),
        ("FILES", Right),
        ("SIZE", Right),
    ];
    let row = |image: &ImageFacts| {
        vec![
            image.index.to_string(),
            image.name.clone(),
            image.edition.clone(),
            image.version.clone(),
            image.architecture.clone(),
            image.languages.join(" "),
            image.files.to_string(),
            text::size(image.size),
        ]
    };
    table(&columns, images.iter().map(row).collect())
}

async fn images(id: &str, context: &Context) -> Result<u8> {
    let images = context.call(&list::ImagesRequest { package: id.into() }).await?;
    context.output.show(&images, |images| {
        let mut text = String::new();
        for group in images.chunk_by(|a, b| a.path == b.path) {
            let facts: Vec<_> = group.iter().map(|image| image.facts.clone()).collect();
            text.push_str(&format!("{}\n{}", group[0].path, image_table(&facts)));
        }
        text
    })?;
    Ok(0)
}

async fn files(id: &str, context: &Context) -> Result<u8> {
    let entries = context.call(&files::Request { package: id.into() }).await?;
    context.output.show(&entries, |entries| {
        lines(entries.iter().map(|entry| match &entry.content {
            Some(content) => format!(
                "{}  {:>12}  {}  {}",
                entry.modified.rfc3339_seconds(),
                content.size,
                text::hex(&content.sha256),
                entry.path
            ),
            None => folder_line(entry),
        }))
    })?;
    Ok(0)
}

fn folder_line(entry: &Entry) -> String {
    format!("{}  {:>12}  {:64}  {}/", entry.modified.rfc3339_seconds(), "", "", entry.path)
}

async fn export(args: ExportArgs, context: &Context) -> Result<u8> {
    let request = export::Request { package: args.id, folder: args.folder };
    let exported = context.call(&request).await?;
    context.output.show(&exported, |exported| {
        format!(
            "Rebuilt {} revision {} in {}: {}, {}\n",
            exported.id,
            exported.revision,
            text::path(&exported.folder),
            count(exported.files, "file"),
            text::size(exported.size)
        )
    })?;
    Ok(0)
}

async fn verify(id: &str, context: &Context) -> Result<u8> {
    let verified = context.call(&verify::Request { package: id.into() }).await?;
    context.output.show(&verified, verified_text)?;
    Ok(if verified.sound { 0 } else { Kind::Damaged.exit_code() })
}

/// What a verification found, for people.
pub(super) fn verified_text(verified: &Verified) -> String {
    let Verified { id, revision, .. } = verified;
    if verified.sound {
        return format!(
            "{id} revision {revision} is sound: {} in {}, {}; {} decoded\n",
            count(verified.files, "file"),
            count(verified.objects, "object"),
            text::size(verified.bytes),
            count(verified.images, "image")
        );
    }
    let mut text = format!(
        "{id} revision {revision} is damaged: {}\n",
        count(verified.problems.len() as u64, "problem")
    );
    for problem in &verified.problems {
        let files: Vec<_> = problem.files.iter().map(ToString::to_string).collect();
        let what = text::clean(&problem.what).replace("\\u{a}", "\n    ");
        text.push_str(&format!("  {what}\n"));
        text.push_str(&lines(files.iter().map(|file| format!("    {file}"))));
    }
    text + "Add the source again with --rehash: that puts back what the library lacks.\n"
}

async fn remove(id: &str, context: &Context) -> Result<u8> {
    let removed = context.call(&remove::Request { package: id.into() }).await?;
    context.output.show(&removed, removed_text)?;
    Ok(0)
}

fn removed_text(removed: &Removed) -> String {
    let Removed { id, name, freed_objects, freed_size, collected } = removed;
    let freed = match (*freed_objects, *collected) {
        (0, _) => "nothing was freed: other packages use all of its objects".to_string(),
        (objects, true) => {
            format!("{} in {} freed", text::size(*freed_size), count(objects, "object"))
        }
        (objects, false) => format!(
            "{} in {} will be freed by a later command, for an import is running",
            text::size(*freed_size),
            count(objects, "object")
        ),
    };
    format!("Removed {id} \"{}\"; {freed}\n", text::clean(name))
}
