//! `osupg sample-media` and `osupg demo`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Context;
use super::output::{count, print};
use super::package::{added_text, list_text, verified_text};
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::package::add::{self, Request};
use crate::package::reference::Reference;
use crate::package::select::Selection;
use crate::package::verify;
use crate::sample::{self, Made};
use crate::text;

#[derive(Debug, Args)]
pub(super) struct MediaArgs {
    /// The folder to make; it must not exist yet, or be empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(long_about = "\
Show the whole way once: make sample media, keep one edition of them, verify the package.

Everything goes into one folder, by default osupg-demo beside the folder of the ordinary store: \
the media, and a store of its own. Running it again starts from nothing; removing the folder \
removes every trace.")]
pub(super) struct DemoArgs {
    /// The folder to use instead
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) async fn media(args: MediaArgs, context: &Context) -> Result<u8> {
    let made = tokio::task::block_in_place(|| sample::make(&args.folder, context.watch()))?;
    context.output.show(&made, made_text)?;
    Ok(0)
}

fn made_text(made: &Made) -> String {
    format!(
        "Made sample media in {}: {}, {}, editions {}\n",
        text::path(&made.folder),
        count(made.files, "file"),
        text::size(made.size),
        made.editions.join(", ")
    )
}

/// The name of the package that the demonstration makes.
const NAME: &str = "Sample OS Pro";
const EDITION: &str = "Professional";
/// How a shell is told the value of a variable.
const SET: &str = if cfg!(windows) { "set" } else { "export" };
/// Marks a folder that the demonstration may empty.
const MARK: &str = "made-by-osupg-demo";

pub(super) async fn demo(args: DemoArgs, context: &Context) -> Result<u8> {
    let folder = match args.folder {
        Some(folder) => folder,
        None => config::default_home()?.with_file_name("osupg-demo"),
    };
    start_afresh(&folder)?;
    let (media, store) = (folder.join("media"), folder.join("store"));
    let say = |text: String| if context.output.json { Ok(()) } else { print(&text) };
    let (shown_media, shown_store) = (quoted(&media), quoted(&store));

    say(format!("$ osupg sample-media {shown_media}\n"))?;
    let made = tokio::task::block_in_place(|| sample::make(&media, context.watch()))?;
    say(made_text(&made))?;

    say(format!(
        "\n$ {SET} OSUPG_HOME={shown_store}\n\
         $ osupg package add {shown_media} --edition {EDITION} --name '{NAME}'\n"
    ))?;
    let home = Home::open_with(Config {
        home: Some(store),
        site_code: context.config()?.site_code,
        ..Config::default()
    })
    .await?;
    let request = Request {
        selection: Selection::Editions(vec![EDITION.into()]),
        ..Request::new(media, NAME)
    };
    let added = add::add(&home, &request, context.watch()).await?;
    say(added_text(&added))?;

    say("\n$ osupg package list\n".into())?;
    let packages = home.db.packages().await?;
    say(list_text(&packages))?;

    let id = &added.package.id;
    say(format!("\n$ osupg package verify {id}\n"))?;
    let reference = Reference { package: id.clone(), revision: None };
    let verified = verify::verify(&home, &reference, context.watch()).await?;
    home.close().await;
    say(verified_text(&verified))?;
    if !verified.sound {
        return Err(Error::damaged("the package of the demonstration is damaged"));
    }
    if context.output.json {
        let all =
            json!({ "made": made, "added": added, "packages": packages, "verified": verified });
        context.output.show(&all, |_| String::new())?;
    }
    say(format!(
        "\nThe media with {} editions are now a package with one, stored and verified.\n\
         Next, rebuild its media tree: osupg --home {shown_store} package export {id} DIR\n\
         Everything is in {}; remove that folder to undo the demonstration.\n",
        added.images_in_source,
        quoted(&folder)
    ))?;
    Ok(0)
}

/// Empties the folder of an earlier demonstration, or makes a new one.
fn start_afresh(folder: &Path) -> Result<()> {
    let mark = folder.join(MARK);
    let failed = |error: std::io::Error| Error::file("prepare", folder, &error);
    if folder.exists() && !mark.exists() {
        let mut entries = std::fs::read_dir(folder).map_err(failed)?;
        if entries.next().is_some() {
            let shown = text::path(folder);
            return Err(Error::usage(format!("{shown} holds something that is no demonstration"))
                .advise("name another folder for it"));
        }
    }
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::write(&mark, "osupg demo may empty this folder.\n").map_err(failed)?;
    for part in ["media", "store"] {
        match std::fs::remove_dir_all(folder.join(part)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let shown = text::path(path);
    if cfg!(windows) {
        return if shown.contains([' ', '&', '(', ')', '^', '%']) {
            format!("\"{shown}\"")
        } else {
            shown
        };
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@".contains(c);
    if shown.chars().all(plain) { shown } else { format!("'{}'", shown.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted(Path::new("/a/b-1")), "/a/b-1");
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }

    #[test]
    fn only_its_own_folder_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("precious"), "x").unwrap();
        assert!(start_afresh(folder.path()).is_err());
        assert!(folder.path().join("precious").exists());
        let own = folder.path().join("demo");
        start_afresh(&own).unwrap();
        std::fs::create_dir(own.join("media")).unwrap();
        start_afresh(&own).unwrap();
        assert!(!own.join("media").exists());
    }
}
