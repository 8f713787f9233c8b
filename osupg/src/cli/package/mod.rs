//! `osupg package …`

mod edit;
mod revisions;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use super::output::{Align, count, facts, lines, table};
use crate::error::{Kind, Result};
use crate::package::add::{self, Added, Request};
use crate::package::model::{Entry, ImageFacts, Origin, Package, Stated};
use crate::package::reference::Reference;
use crate::package::remove::{self, Removed};
use crate::package::select::Selection;
use crate::package::snapshot::{Reading, Work};
use crate::package::verify::{self, Verified};
use crate::package::{export, files, list, show};
use crate::page::LONGEST;
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Take a snapshot of Windows Setup media as a new package; the source is only read
    Add(AddArgs),
    /// List packages: all, or those in a folder or with some property
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// List the folders that packages are in
    Folders,
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
    /// Read the source of a package again; if it has changed, that makes a new revision
    Refresh(revisions::RefreshArgs),
    /// List the revisions of a package
    #[command(visible_alias = "revs")]
    Revisions(ById),
    /// Show what differs between two revisions, also inside their images
    Diff(revisions::DiffArgs),
    /// Show whether the source of a package is still what a revision holds
    Drift(revisions::DriftArgs),
    /// Go back to an older revision; this makes a new one, so it can be undone
    Rollback(revisions::RollbackArgs),
    /// Remove old revisions that no rule keeps
    Prune(revisions::PruneArgs),
    /// Change what is said of a package: name, version, folder, priority and so on
    Edit(Box<edit::EditArgs>),
    /// Accept the licence terms of a package on behalf of the organisation
    AcceptLicence(ById),
    /// Show what was changed in the fields of a package, by whom and when
    History(ById),
    /// Remove a package with all its revisions, and the bytes that only it used
    #[command(visible_alias = "rm")]
    Remove(ById),
}

/// Which images of the source to keep.
#[derive(Debug, Args)]
pub(super) struct SelectArgs {
    /// Keep only the images with these indices, such as 1,3,6
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "edition")]
    index: Vec<u32>,
    /// Keep only the images with these edition ids, such as Professional; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    edition: Vec<String>,
}

impl SelectArgs {
    /// The selection, if one is made.
    fn selection(self) -> Option<Selection> {
        match (self.index.is_empty(), self.edition.is_empty()) {
            (false, _) => Some(Selection::Indexes(self.index)),
            (_, false) => Some(Selection::Editions(self.edition)),
            (true, true) => None,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg package add /media/win11 --name 'Windows 11 24H2'
  osupg package add win11.iso --edition Professional --name 'Windows 11 24H2 Pro' --version 2025-01
  osupg package add win11.iso --edition Core --edition Professional --name 'Home and Pro'
  osupg package add install.esd --index 1,6 --name 'From ESD' --folder '/Windows 11/24H2'")]
pub(super) struct AddArgs {
    /// A folder or ISO with Windows Setup media, or a WIM or ESD by itself
    source: PathBuf,
    #[command(flatten)]
    select: SelectArgs,
    /// The name: 1 to 50 characters, unique
    #[arg(long)]
    name: String,
    /// Your own version: up to 32 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    version: String,
    /// A comment: up to 127 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// The manufacturer: up to 32 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    manufacturer: String,
    /// The folder to list it in, such as '/Windows 11/Pro'
    #[arg(long, value_name = "PATH", default_value = "/")]
    folder: String,
    /// The security scope it belongs to; may be repeated [default: those of your account or token,
    /// else Default]
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
    /// A device model it is for; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
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

/// What to list.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg package list --folder '/Windows 11'
  osupg package list --architecture arm64 --language de-DE
  osupg package list --text 24h2 --limit 50 --after OSU00100")]
pub(super) struct ListArgs {
    /// Only those in this folder, or in one below it
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// Only those for this architecture
    #[arg(long, value_name = "ARCH")]
    architecture: Option<String>,
    /// Only those with this language
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// Only those with this text in id, name, version, comment or manufacturer
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Only those after this id
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// No more than so many, 1 to 1,000; all when left out
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

/// Names a package, or one of its revisions.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The package's id or name, such as OSU00001, or a revision, such as OSU00001@2
    #[arg(value_name = "ID[@N]")]
    id: Reference,
}

/// Names a package.
#[derive(Debug, Args)]
pub(super) struct ById {
    /// The package's id, such as OSU00001, or its name
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The package's id or name, such as OSU00001, or a revision, such as OSU00001@2
    #[arg(value_name = "ID[@N]")]
    id: Reference,
    /// The folder to make; it must not exist yet, or be empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Add(args) => add(args, context).await,
        Command::List(args) => list(args, context).await,
        Command::Folders => folders(context).await,
        Command::Show(which) => show(which.id, context).await,
        Command::Images(which) => images(which.id, context).await,
        Command::Files(which) => files(which.id, context).await,
        Command::Export(args) => export(args, context).await,
        Command::Verify(which) => verify(which.id, context).await,
        Command::Refresh(args) => revisions::refresh(args, context).await,
        Command::Revisions(which) => revisions::list(which.id, context).await,
        Command::Diff(args) => revisions::diff(args, context).await,
        Command::Drift(args) => revisions::drift(args, context).await,
        Command::Rollback(args) => revisions::rollback(args, context).await,
        Command::Prune(args) => revisions::prune(args, context).await,
        Command::Edit(args) => edit::edit(*args, context).await,
        Command::AcceptLicence(which) => edit::accept_licence(which.id, context).await,
        Command::History(which) => edit::history(which.id, context).await,
        Command::Remove(which) => remove(which.id, context).await,
    }
}

async fn add(args: AddArgs, context: &Context) -> Result<u8> {
    let request = Request {
        source: args.source,
        selection: args.select.selection().unwrap_or_default(),
        name: args.name,
        version: args.version,
        comment: args.comment,
        manufacturer: args.manufacturer,
        folder: args.folder,
        scopes: args.scope,
        models: args.model,
        architecture: args.architecture,
        language: args.language,
        reading: reading(args.rehash),
    };
    if context.global.server.is_none() {
        add::check_store_outside(&context.config()?.folder()?, &request.source)?;
    }
    let added = context.call(&request).await?;
    context.output.show(&added, added_text)?;
    Ok(0)
}

fn reading(rehash: bool) -> Reading {
    if rehash { Reading::Everything } else { Reading::Changed }
}

/// What an add did, for people.
pub(super) fn added_text(added: &Added) -> String {
    let Added { package, work, .. } = added;
    let kept = match (added.images.len() as u64, added.images_in_source) {
        (kept, all) if kept == all => count(kept, "image"),
        (kept, all) => format!("{kept} of {}", count(all, "image")),
    };
    let mut rows = vec![
        ("kept", kept),
        ("edition", package.revision.editions.clone()),
        ("build", package.revision.builds.clone()),
        ("architecture", package.architecture.value.clone()),
        ("language", package.language.value.clone()),
        ("media", media_size(package)),
    ];
    rows.extend(work_facts(work));
    let text = format!("Added {} \"{}\"\n", package.id, package.name);
    text + &facts(&rows) + &notes(&added.warnings)
}

/// What reading media took.
fn work_facts(work: &Work) -> [(&'static str, String); 3] {
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
    [("read", read), ("stored", stored), ("verified", verified)]
}

fn notes(warnings: &[String]) -> String {
    lines(warnings.iter().map(|warning| format!("Note: {}", text::clean(warning))))
}

fn media_size(package: &Package) -> String {
    let revision = &package.revision;
    format!("{}, {}", count(revision.file_count, "file"), text::size(revision.total_size))
}

async fn list(args: ListArgs, context: &Context) -> Result<u8> {
    let ListArgs { folder, architecture, language, text, after, limit } = args;
    let filters = [&folder, &architecture, &language, &text, &after];
    let all = filters.iter().all(|filter| filter.is_none());
    let request = list::Request { folder, architecture, language, text, after, limit };
    let packages = match limit {
        Some(_) => context.call(&request).await?,
        None => context.call_all(&list::Request { limit: Some(LONGEST), ..request }).await?,
    };
    context.output.show(&packages.items, |packages| match packages.is_empty() && !all {
        true => "No package fits.\n".to_string(),
        false => list_text(packages),
    })?;
    Ok(0)
}

async fn folders(context: &Context) -> Result<u8> {
    let folders = context.call(&list::FoldersRequest {}).await?;
    context.output.show(&folders, |folders| {
        let row = |folder: &list::Folder| vec![folder.path.clone(), folder.packages.to_string()];
        let columns = [("FOLDER", Align::Left), ("PACKAGES", Align::Right)];
        table(&columns, folders.iter().map(row).collect())
    })?;
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

async fn show(id: Reference, context: &Context) -> Result<u8> {
    let shown = context.call(&show::Request { package: id }).await?;
    context.output.show(&shown, |shown| show_text(&shown.package, &shown.images))?;
    Ok(0)
}

fn show_text(package: &Package, images: &[ImageFacts]) -> String {
    let revision = &package.revision;
    let stated = |stated: &Stated| match stated.by {
        Origin::Hand => format!("{} (given by hand)", stated.value),
        Origin::Image => stated.value.clone(),
    };
    let kept = match (images.is_empty(), &*revision.selection) {
        (true, _) => "",
        (false, "") => "all images",
        (false, kept) => kept,
    };
    let licence = match (&package.licence.accepted, package.licence.required) {
        (Some(accepted), _) => format!("accepted by {} on {}", accepted.by, accepted.at.local()),
        (None, true) => "has to be accepted before the package is used".to_string(),
        (None, false) => String::new(),
    };
    let mut text = format!("{} \"{}\"\n", package.id, package.name);
    text.push_str(&facts(&[
        ("version", package.version.clone()),
        ("comment", package.comment.clone()),
        ("manufacturer", package.manufacturer.clone()),
        ("folder", package.folder.clone()),
        ("scopes", package.scopes.join(", ")),
        ("priority", package.priority.word().to_string()),
        ("client cache", if package.persist_in_cache { "stays in it" } else { "" }.to_string()),
        ("models", package.models.join(", ")),
        ("licence", licence),
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
        ("edit", package.edit_count.to_string()),
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

async fn images(id: Reference, context: &Context) -> Result<u8> {
    let images = context.call(&list::ImagesRequest { package: id }).await?;
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

async fn files(id: Reference, context: &Context) -> Result<u8> {
    let entries = context.call(&files::Request { package: id }).await?;
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

async fn verify(id: Reference, context: &Context) -> Result<u8> {
    let verified = context.call(&verify::Request { package: id }).await?;
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

async fn remove(id: String, context: &Context) -> Result<u8> {
    let removed = context.call(&remove::Request { package: id }).await?;
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
