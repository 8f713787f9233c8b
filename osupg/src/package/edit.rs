//! Changes what is said of a package; its media and revisions stay as they are.
//!
//! Who edits may name the edit count of the package that was looked at. If somebody has changed a
//! field since, the edit is refused with what was changed, by whom and when.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Acceptance, Origin, Package, Priority, Stated};
use super::select::{self, Selection, Statement};
use super::{add, fields};
use crate::accounts;
use crate::db::edits::{Edit, Recorded};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;
use crate::text;
use crate::time::Moment;

/// Times an edit is tried anew when others edit the same package at the same moment.
const TRIES: usize = 5;
/// Changes that the refusal of a stale edit lists.
const MAX_LISTED: usize = 10;

/// What to change.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name.
    pub package: String,
    /// The edit count of the package that was looked at; without it the edit goes before all
    /// others.
    #[serde(default)]
    pub seen: Option<i64>,
    /// The new values.
    pub set: Fields,
}

/// New values of fields; those left out stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fields {
    /// The name: 1 to 50 characters, unique.
    pub name: Option<String>,
    /// The organisation's version: up to 32 characters.
    pub version: Option<String>,
    /// A comment: up to 127 characters.
    pub comment: Option<String>,
    /// The manufacturer: up to 32 characters.
    pub manufacturer: Option<String>,
    /// The architecture; empty for what the images say.
    pub architecture: Option<String>,
    /// The languages; empty for what the images say.
    pub language: Option<String>,
    /// The order in which packages are sent.
    pub priority: Option<Priority>,
    /// Whether clients keep it in their cache.
    pub persist_in_cache: Option<bool>,
    /// The folder it is listed in, such as `/Windows 11/Pro`.
    pub folder: Option<String>,
    /// The security scopes it belongs to: at least one.
    pub scopes: Option<Vec<String>>,
    /// The device models it is for; an empty list for all.
    pub models: Option<Vec<String>>,
    /// Whether somebody has to accept its licence terms before it is used.
    pub licence_required: Option<bool>,
    /// The source that the next refresh reads.
    pub source: Option<PathBuf>,
    /// The images that the next refresh keeps.
    pub selection: Option<Selection>,
}

/// What an edit did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Edited {
    /// The package as it is now.
    pub package: Package,
    /// What was changed; nothing where all was so already.
    pub changes: Vec<Edit>,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

impl Operation for Request {
    type Outcome = Edited;
    const NAME: &'static str = "package.edit";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    fn places(&self) -> Vec<&Path> {
        self.set.source.as_deref().into_iter().collect()
    }

    fn confine(&mut self, held: &[String]) -> Result<()> {
        match &self.set.scopes {
            Some(scopes) => accounts::check_held(held, scopes),
            None => Ok(()),
        }
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Edited> {
        edit(home, &self.package, self.seen, async |before: &Package| {
            let images = add::install_images(home, before).await?;
            let by = |stated: &Stated| (stated.by == Origin::Hand).then(|| stated.value.clone());
            let given = |set: &Option<String>, stated: &Stated| match set {
                Some(set) => Some(set.clone()).filter(|set| !set.trim().is_empty()),
                None => by(stated),
            };
            let architecture = given(&self.set.architecture, &before.architecture);
            let language = given(&self.set.language, &before.language);
            let statement = select::state(&images, architecture.as_deref(), language.as_deref())?;
            self.set.apply(before, statement)
        })
        .await
    }
}

impl Fields {
    /// The package with these values, and what is odd about them.
    fn apply(&self, before: &Package, statement: Statement) -> Result<(Package, Vec<String>)> {
        let mut after = before.clone();
        let checked = |set: &Option<String>, check: fn(&str) -> Result<String>| {
            set.as_deref().map(check).transpose()
        };
        let put = |to: &mut String, value: Option<String>| {
            if let Some(value) = value {
                *to = value;
            }
        };
        put(&mut after.name, checked(&self.name, fields::name)?);
        put(&mut after.version, checked(&self.version, fields::version)?);
        put(&mut after.comment, checked(&self.comment, fields::comment)?);
        put(&mut after.manufacturer, checked(&self.manufacturer, fields::manufacturer)?);
        put(&mut after.folder, checked(&self.folder, fields::folder)?);
        if self.architecture.is_some() {
            after.architecture = statement.architecture;
        }
        if self.language.is_some() {
            after.language = statement.language;
        }
        let warnings = match (&self.architecture, &self.language) {
            (None, None) => Vec::new(),
            _ => statement.warnings,
        };
        after.priority = self.priority.unwrap_or(after.priority);
        after.persist_in_cache = self.persist_in_cache.unwrap_or(after.persist_in_cache);
        after.licence.required = self.licence_required.unwrap_or(after.licence.required);
        if let Some(scopes) = &self.scopes {
            after.scopes = fields::scopes(scopes)?;
        }
        if let Some(models) = &self.models {
            after.models = fields::models(models)?;
        }
        if let Some(source) = &self.source {
            let absolute = std::path::absolute(source)
                .map_err(|error| Error::file("find the source", source, &error))?;
            let source = absolute.to_str().ok_or_else(|| {
                Error::usage(format!("the source {} is not UTF-8", text::path(&absolute)))
            })?;
            after.source_path = source.to_string();
        }
        if let Some(selection) = &self.selection {
            after.selection = selection.clone();
        }
        Ok((after, warnings))
    }
}

/// Edits a package by what `change` makes of it.
async fn edit(
    home: &Home,
    id_or_name: &str,
    seen: Option<i64>,
    change: impl AsyncFn(&Package) -> Result<(Package, Vec<String>)>,
) -> Result<Edited> {
    for _ in 0..TRIES {
        let before = home.db.package(id_or_name).await?;
        if let Some(seen) = seen.filter(|seen| *seen != before.edit_count) {
            return Err(stale(home, &before, seen).await?);
        }
        let (after, warnings) = change(&before).await?;
        let changes = differences(&before, &after);
        if changes.is_empty() {
            return Ok(Edited { package: before, changes, warnings });
        }
        if home.db.edit_package(&before, &after, &changes, home.by()).await? {
            let package = home.db.package(&before.id).await?;
            return Ok(Edited { package, changes, warnings });
        }
    }
    Err(Error::io(format!("{id_or_name} is being edited by others all the time"))
        .advise("run the command again"))
}

/// The refusal of an edit whose maker has not seen the latest.
async fn stale(home: &Home, package: &Package, seen: i64) -> Result<Error> {
    let id = &package.id;
    if !(0..=package.edit_count).contains(&seen) {
        return Ok(Error::usage(format!(
            "{id} has no edit {seen}; it is at edit {}",
            package.edit_count
        )));
    }
    let missed = home.db.edits(id, seen).await?;
    let mut message = format!(
        "{id} was changed since you looked at it (edit {seen}, now {}):",
        package.edit_count
    );
    for Recorded { at, by, edit, .. } in missed.iter().take(MAX_LISTED) {
        message.push_str(&format!(
            "\n  {} from {:?} to {:?} by {} at {}",
            edit.field,
            text::clean(&edit.old),
            text::clean(&edit.new),
            text::clean(by),
            at.rfc3339()
        ));
    }
    if missed.len() > MAX_LISTED {
        message.push_str(&format!("\n  and {} more", missed.len() - MAX_LISTED));
    }
    Ok(Error::conflict(message).advise("look at the package again, then repeat the edit"))
}

/// The fields in which two states of a package differ.
fn differences(before: &Package, after: &Package) -> Vec<Edit> {
    let yes = |value: bool| if value { "yes" } else { "no" }.to_string();
    let accepted = |package: &Package| {
        let accepted = package.licence.accepted.as_ref();
        accepted.map_or_else(String::new, |a| format!("{} at {}", a.by, a.at.rfc3339()))
    };
    let stated = |stated: &Stated| match stated.by {
        Origin::Hand => format!("{} (by hand)", stated.value),
        Origin::Image => stated.value.clone(),
    };
    let of = |package: &Package| {
        [
            ("name", package.name.clone()),
            ("version", package.version.clone()),
            ("comment", package.comment.clone()),
            ("manufacturer", package.manufacturer.clone()),
            ("architecture", stated(&package.architecture)),
            ("language", stated(&package.language)),
            ("priority", package.priority.word().to_string()),
            ("persist-in-cache", yes(package.persist_in_cache)),
            ("folder", package.folder.clone()),
            ("scopes", package.scopes.join(", ")),
            ("models", package.models.join(", ")),
            ("licence-required", yes(package.licence.required)),
            ("licence-accepted", accepted(package)),
            ("source", package.source_path.clone()),
            ("selection", package.selection.to_string()),
        ]
    };
    of(before)
        .into_iter()
        .zip(of(after))
        .filter(|((_, old), (_, new))| old != new)
        .map(|((field, old), (_, new))| Edit::new(field, &old, &new))
        .collect()
}

/// Accepts the licence terms of a package on behalf of the organisation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptLicence {
    /// The package's id or name.
    pub package: String,
}

impl Operation for AcceptLicence {
    type Outcome = Edited;
    const NAME: &'static str = "package.accept-licence";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Edited> {
        let acceptance = Acceptance { by: home.by().to_string(), at: Moment::now() };
        edit(home, &self.package, None, async |before: &Package| {
            let mut after = before.clone();
            // Who accepted first has accepted.
            after.licence.accepted.get_or_insert_with(|| acceptance.clone());
            Ok((after, Vec::new()))
        })
        .await
    }
}

/// What was changed in the fields of a package, by whom and when.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The package's id or name.
    pub package: String,
}

impl Operation for History {
    type Outcome = Vec<Recorded>;
    const NAME: &'static str = "package.history";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Recorded>> {
        let package = home.db.package(&self.package).await?;
        home.db.edits(&package.id, 0).await
    }
}
