//! `wimx info` with something to change: names, properties, the image to boot.

use std::ffi::OsStr;

use serde_json::{Value, json};
use wim_extract::Cancel;
use wim_extract::archive::{ImageIndex, Wim};
use wim_extract::edit::{self, Boot, Changes, IntegrityTable, Outcome, Property};

use crate::args::{Global, InfoArgs};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::stdout;
use crate::writing::warn_of_pipable;

/// Whether the command line asks for a change.
pub(super) fn is_wanted(args: &InfoArgs) -> bool {
    args.boot || args.new_name.is_some() || !args.image_property.is_empty()
}

/// Makes the changes and says what was done.
pub(super) fn run(
    wim: Wim,
    args: &InfoArgs,
    global: &Global,
    bar: &Bar,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let changes = wanted(&wim, args)?;
    let notes = notes(&wim, &changes);
    let layout = wim.header().layout;
    let outcome = edit::run(wim, &args.wim, &changes, bar, cancel)?;
    if outcome == Outcome::Changed {
        warn_of_pipable(layout, bar);
    }
    if global.json {
        let changes: Vec<Value> = notes.into_iter().map(|note| note.json).collect();
        let changed = outcome == Outcome::Changed;
        let warnings = bar.warnings();
        return stdout::json(
            &json!({ "changed": changed, "changes": changes, "warnings": warnings }),
        );
    }
    if global.quiet {
        return Ok(());
    }
    notes.iter().try_for_each(|note| stdout::line(&note.text))?;
    match outcome {
        Outcome::Changed => Ok(()),
        Outcome::Unchanged => stdout::line(&format!(
            "The file \"{}\" was not modified because nothing needed to be done.",
            args.wim.display()
        )),
    }
}

/// What the command line asks for, in wimlib-imagex's order.
fn wanted(wim: &Wim, args: &InfoArgs) -> Result<Changes, Failure> {
    let target = target(wim, args)?;
    let mut properties = Vec::new();
    for assignment in &args.image_property {
        let Some((path, value)) = assignment.split_once('=') else {
            return Err(Failure::Usage(format!(
                "--image-property {assignment}: write it as NAME=VALUE"
            )));
        };
        properties.push((path, value));
    }
    properties.extend(args.new_name.as_deref().map(|name| ("NAME", name)));
    properties.extend(args.new_desc.as_deref().map(|text| ("DESCRIPTION", text)));
    let Some(image) = target else {
        return match properties[..] {
            [] => Ok(Changes { boot: Some(Boot::None), ..integrity(args) }),
            _ => Err(Failure::Usage("image 0 stands for no image; it has no properties".into())),
        };
    };
    let property = |(path, value): (&str, &str)| Property {
        image,
        path: path.to_owned(),
        value: value.to_owned(),
    };
    Ok(Changes {
        properties: properties.into_iter().map(property).collect(),
        boot: args.boot.then_some(Boot::Image(image)),
        ..integrity(args)
    })
}

fn integrity(args: &InfoArgs) -> Changes {
    let integrity = if args.check || args.include_integrity {
        IntegrityTable::Write
    } else if args.nocheck {
        IntegrityTable::Remove
    } else {
        IntegrityTable::Keep
    };
    Changes { integrity, ..Changes::default() }
}

/// The image to change; `None` for image 0, which with `--boot` means that no image boots.
fn target(wim: &Wim, args: &InfoArgs) -> Result<Option<ImageIndex>, Failure> {
    if args.boot && args.image.as_deref() == Some(OsStr::new("0")) {
        return Ok(None);
    }
    let images = match &args.image {
        Some(operand) => wim.resolve(operand)?,
        None => wim.images().collect(),
    };
    match images[..] {
        [image] => Ok(Some(image)),
        _ => Err(Failure::Choice(format!(
            "{}: has {} images; say which one to change",
            wim.name(),
            images.len()
        ))),
    }
}

/// A change, or that it is none.
struct Note {
    text: String,
    json: Value,
}

/// wimlib's words for each change.
fn notes(wim: &Wim, changes: &Changes) -> Vec<Note> {
    let boot = changes.boot.map(|boot| {
        let index = boot.index();
        let is_so = index == wim.header().boot_image().unwrap_or(0);
        let text = match is_so {
            true => format!("Image {index} is already marked as bootable."),
            false => format!("Marking image {index} as bootable."),
        };
        Note { text, json: json!({ "boot_index": index, "changed": !is_so }) }
    });
    let property = |Property { image, path, value }: &Property| {
        let old = wim.xml().property(image.get(), path).ok().flatten().unwrap_or_default();
        let text = match old == *value {
            true => format!("The {path} property of image {image} already has value \"{value}\"."),
            false => format!("Setting the {path} property of image {image} to \"{value}\"."),
        };
        let changed = old != *value;
        let json = json!({
            "image": image.get(), "property": path, "value": value, "old": old, "changed": changed,
        });
        Note { text, json }
    };
    boot.into_iter().chain(changes.properties.iter().map(property)).collect()
}
