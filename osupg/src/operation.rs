//! What osupg can be asked to do, whoever asks: the command line, the HTTP service or a schedule.
//!
//! An operation is a request with its outcome, both of which travel as JSON. It says what right it
//! takes, whether it is over at once or worth a job, and which package it is about. Front ends hold
//! no logic: they make a request, have it run here or by a service, and show the outcome.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wim_extract::Cancel;

use crate::accounts::Sight;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::points::{
    control, deliver, group, manage, node, plan, publish, status, validate, withdraw,
};
use crate::progress::{Progress, Watch};
use crate::{
    accounts, audit, bundle, doctor, jobs, library, package, precache, schedule, service, trust,
    upgrade,
};

/// What an account must be allowed to do. Reading, operating and administering each include those
/// before; the right to work stands aside, and comes with the right to operate.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Take work for Windows' servicing stack, fetch what it takes, and bring what was made of it. The
    /// history of runs says who did; the audit log holds only refusals.
    Work,
    /// Look at packages, points and jobs.
    Read,
    /// Change packages and send them.
    Operate,
    /// Change accounts, keys and what is kept.
    Administer,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Work, Self::Read, Self::Operate, Self::Administer];

    /// Whether whoever has this right may do what takes the other.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Work, _) | (Self::Read, Self::Work) => self == other,
            _ => self >= other,
        }
    }

    /// What both allow; `None` when that is nothing.
    #[must_use]
    pub fn and(self, other: Self) -> Option<Self> {
        if self.includes(other) { Some(other) } else { other.includes(self).then_some(self) }
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }

    /// The right of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.word() == word)
    }
}

/// How far an operation that is about no one package reaches, for callers who are limited to
/// security scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Over every package, or something that all share: such a caller may not.
    Site,
    /// Its outcome is limited to what such a caller may see, by [`Operation::limit`].
    Visible,
    /// It makes a package, which [`Operation::confine`] puts into scopes of such a caller.
    Made,
}

/// How long an operation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Over at once: its answer is its outcome.
    Quick,
    /// Moves or reads data: a service makes it a job.
    Long,
}

/// A request, and what comes of it.
pub trait Operation:
    fmt::Debug + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// What it answers.
    type Outcome: Serialize + DeserializeOwned + JsonSchema + Send + 'static;

    /// Its name, such as `package.add`: area and verb.
    const NAME: &'static str;
    /// The right that it takes.
    const RIGHT: Right;
    /// How long it may take.
    const LENGTH: Length = Length::Quick;
    /// How far it reaches when it has no [`subject`](Self::subject).
    const REACH: Reach = Reach::Site;

    /// The package that it is about, by id or name, for rights that end at a security scope.
    fn subject(&self) -> Option<&str> {
        None
    }

    /// The packages that it names beside its [`subject`](Self::subject), by id or name.
    fn named(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The package of which no other job may run beside it.
    fn alone(&self) -> Option<&str> {
        self.subject()
    }

    /// The security scopes of the package that it makes; none if it makes none.
    fn makes_in(&self) -> Vec<String> {
        Vec::new()
    }

    /// Checks what can be known of a request by itself, before a long operation becomes a job.
    ///
    /// # Errors
    /// When a field breaks its limits.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Keeps what it puts into security scopes within those that a limited caller holds.
    ///
    /// # Errors
    /// When it names others.
    fn confine(&mut self, held: &[String]) -> Result<()> {
        let _ = held;
        Ok(())
    }

    /// An operation and its request that it has done later, in the name of whoever asks.
    fn later(&self) -> Option<(&str, &Value)> {
        None
    }

    /// The job that it is about, whose package then is what it is about.
    fn job(&self) -> Option<i64> {
        None
    }

    /// The schedule that it is about, whose package then is what it is about.
    fn schedule(&self) -> Option<&str> {
        None
    }

    /// The files and folders of the machine that it reads or writes on behalf of whoever asks. A
    /// service has them only below the folders that its configuration lists.
    fn places(&self) -> Vec<&Path> {
        Vec::new()
    }

    /// Takes out of an outcome what a caller limited to security scopes must not see.
    fn limit(outcome: &mut Self::Outcome, sight: &Sight) {
        let _ = (outcome, sight);
    }

    /// Does it, in the name of [`Home::by`]. The future need not be [`Send`]: [`Known::run`] gives
    /// it a thread. A long operation can be stopped and run again at any moment.
    fn run(&self, home: &Home, watch: Watch<'_>) -> impl Future<Output = Result<Self::Outcome>>;
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The package, by id or name.
    pub subject: Option<String>,
    /// The packages that it names beside that, by id or name.
    pub named: Vec<String>,
    /// The package of which no other job may run beside it.
    pub alone: Option<String>,
    /// The security scopes of the package that it makes.
    pub makes_in: Vec<String>,
    /// The job.
    pub job: Option<i64>,
    /// The schedule.
    pub schedule: Option<String>,
    /// The operation that is done later, and its request.
    pub later: Option<(String, Value)>,
    /// The files and folders of the machine that it reads or writes.
    pub places: Vec<PathBuf>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Value>> + 'a>>;

/// An operation by its name, for those who hold requests as JSON.
#[derive(Clone, Copy)]
pub struct Known {
    /// Area and verb.
    pub name: &'static str,
    /// The right that it takes.
    pub right: Right,
    /// How long it may take.
    pub length: Length,
    /// How far it reaches when it is about no one package.
    pub reach: Reach,
    /// Describes its request, as JSON Schema.
    pub request_schema: fn(&mut SchemaGenerator) -> Schema,
    /// Describes its outcome.
    pub outcome_schema: fn(&mut SchemaGenerator) -> Schema,
    facts: fn(&Value) -> Result<Facts>,
    confine: fn(&Value, &[String]) -> Result<Value>,
    limit: fn(Value, &Sight) -> Result<Value>,
    run: for<'a> fn(&'a Value, &'a Home, Watch<'a>) -> Running<'a>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({})", self.name)
    }
}

impl Known {
    pub(crate) const fn of<O: Operation>() -> Self {
        Self {
            name: O::NAME,
            right: O::RIGHT,
            length: O::LENGTH,
            reach: O::REACH,
            request_schema: SchemaGenerator::subschema_for::<O>,
            outcome_schema: SchemaGenerator::subschema_for::<O::Outcome>,
            facts: |request| {
                let request = parse::<O>(request)?;
                request.check()?;
                Ok(Facts {
                    subject: request.subject().map(str::to_string),
                    named: request.named().into_iter().map(str::to_string).collect(),
                    alone: request.alone().map(str::to_string),
                    makes_in: request.makes_in(),
                    job: request.job(),
                    schedule: request.schedule().map(str::to_string),
                    later: request.later().map(|(name, inner)| (name.to_string(), inner.clone())),
                    places: request.places().into_iter().map(Path::to_path_buf).collect(),
                })
            },
            confine: |request, held| {
                let mut request = parse::<O>(request)?;
                request.confine(held)?;
                serde_json::to_value(request).map_err(|error| {
                    Error::usage(format!("a request for {} has no JSON: {error}", O::NAME))
                })
            },
            limit: |outcome, sight| {
                let mut outcome = serde_json::from_value(outcome).map_err(|e| no_json::<O>(&e))?;
                O::limit(&mut outcome, sight);
                serde_json::to_value(outcome).map_err(|error| no_json::<O>(&error))
            },
            run: |request, home, watch| {
                Box::pin(async move {
                    let outcome = parse::<O>(request)?.run(home, watch).await?;
                    serde_json::to_value(outcome).map_err(|error| no_json::<O>(&error))
                })
            },
        }
    }

    /// What `request` is about.
    ///
    /// # Errors
    /// When it is no request of this operation, or a field of it breaks its limits.
    pub fn facts(&self, request: &Value) -> Result<Facts> {
        (self.facts)(request)
    }

    /// The request as a caller may make it who holds these security scopes and no others.
    ///
    /// # Errors
    /// When it is no request of this operation, or names other scopes.
    pub fn confine(&self, request: &Value, held: &[String]) -> Result<Value> {
        (self.confine)(request, held)
    }

    /// The part of an outcome that a caller limited to security scopes may see.
    ///
    /// # Errors
    /// When it is no outcome of this operation.
    pub fn limit(&self, outcome: Value, sight: &Sight) -> Result<Value> {
        (self.limit)(outcome, sight)
    }

    /// Does what `request` asks for, on a thread of its own: operations mix waiting with work, and
    /// must keep no thread that serves others. Dropping the future does not stop it; `cancel` does.
    ///
    /// # Errors
    /// When it is no request of this operation, and as [`Operation::run`].
    pub async fn run(
        &self,
        request: Value,
        home: Home,
        progress: Arc<dyn Progress>,
        cancel: Cancel,
    ) -> Result<Value> {
        let (run, handle) = (self.run, tokio::runtime::Handle::current());
        tokio::task::spawn_blocking(move || {
            let watch = Watch { progress: &*progress, cancel: &cancel };
            handle.block_on(run(&request, &home, watch))
        })
        .await?
    }
}

fn no_json<O: Operation>(error: &serde_json::Error) -> Error {
    Error::io(format!("the outcome of {} has no JSON: {error}", O::NAME))
}

fn parse<O: Operation>(request: &Value) -> Result<O> {
    // serde would take a list for the fields in their order.
    if !request.is_object() {
        return Err(Error::usage(format!("a request for {} is a JSON object", O::NAME)));
    }
    // SQLite would take it and PostgreSQL has no such text; no name or path has it either.
    if holds_nul(request) {
        return Err(Error::usage(format!("a request for {} holds no character U+0000", O::NAME)));
    }
    O::deserialize(request)
        .map_err(|error| Error::usage(format!("this is no request for {}: {error}", O::NAME)))
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => {
            fields.iter().any(|(name, field)| name.contains('\0') || holds_nul(field))
        }
        _ => false,
    }
}

/// Every operation there is.
pub const ALL: &[Known] = &[
    Known::of::<accounts::operations::Add>(),
    Known::of::<accounts::operations::Edit>(),
    Known::of::<accounts::operations::List>(),
    Known::of::<accounts::operations::Remove>(),
    Known::of::<audit::Query>(),
    Known::of::<bundle::create::Request>(),
    Known::of::<bundle::import::Request>(),
    Known::of::<bundle::inspect::Request>(),
    Known::of::<doctor::Request>(),
    Known::of::<jobs::requests::CancelJob>(),
    Known::of::<jobs::requests::List>(),
    Known::of::<jobs::requests::Retry>(),
    Known::of::<jobs::requests::Show>(),
    Known::of::<jobs::requests::Submit>(),
    Known::of::<trust::manage::RotateKey>(),
    Known::of::<trust::manage::ShowKey>(),
    Known::of::<library::check::Request>(),
    Known::of::<library::gc::Request>(),
    Known::of::<library::repair::Request>(),
    Known::of::<package::edit::AcceptLicence>(),
    Known::of::<package::add::Request>(),
    Known::of::<package::diff::Request>(),
    Known::of::<package::drift::Request>(),
    Known::of::<package::edit::Request>(),
    Known::of::<group::Add>(),
    Known::of::<group::AddMember>(),
    Known::of::<group::List>(),
    Known::of::<group::Remove>(),
    Known::of::<group::RemoveMember>(),
    Known::of::<package::document::Request>(),
    Known::of::<package::export::Request>(),
    Known::of::<package::files::Request>(),
    Known::of::<package::list::FoldersRequest>(),
    Known::of::<package::edit::History>(),
    Known::of::<package::list::ImagesRequest>(),
    Known::of::<package::list::Request>(),
    Known::of::<package::prune::Request>(),
    Known::of::<package::refresh::Request>(),
    Known::of::<package::remove::Request>(),
    Known::of::<package::revisions::Request>(),
    Known::of::<package::rollback::Request>(),
    Known::of::<package::show::Request>(),
    Known::of::<status::PackageRequest>(),
    Known::of::<package::verify::Request>(),
    Known::of::<precache::Request>(),
    Known::of::<schedule::Add>(),
    Known::of::<schedule::List>(),
    Known::of::<schedule::Pause>(),
    Known::of::<schedule::Preview>(),
    Known::of::<schedule::Remove>(),
    Known::of::<schedule::Resume>(),
    Known::of::<schedule::Show>(),
    Known::of::<manage::Add>(),
    Known::of::<control::CancelRequest>(),
    Known::of::<control::CatchUp>(),
    Known::of::<deliver::Request>(),
    Known::of::<manage::Edit>(),
    Known::of::<manage::List>(),
    Known::of::<manage::Maintenance>(),
    Known::of::<status::OverviewRequest>(),
    Known::of::<plan::Request>(),
    Known::of::<publish::Request>(),
    Known::of::<manage::Remove>(),
    Known::of::<validate::RepairRequest>(),
    Known::of::<node::report::Report>(),
    Known::of::<control::RetryRequest>(),
    Known::of::<manage::Show>(),
    Known::of::<status::PointRequest>(),
    Known::of::<validate::Request>(),
    Known::of::<node::report::WantedRequest>(),
    Known::of::<withdraw::Request>(),
    Known::of::<service::history::CancelRequest>(),
    Known::of::<service::work::ClaimRequest>(),
    Known::of::<service::history::Request>(),
    Known::of::<service::inventory::Request>(),
    Known::of::<service::work::OfferRequest>(),
    Known::of::<service::plan::Request>(),
    Known::of::<service::work::RenewRequest>(),
    Known::of::<service::work::ReportRequest>(),
    Known::of::<service::history::RetryRequest>(),
    Known::of::<service::run::Request>(),
    Known::of::<service::history::ShowRequest>(),
    Known::of::<accounts::operations::CreateToken>(),
    Known::of::<accounts::operations::ListTokens>(),
    Known::of::<accounts::operations::RevokeToken>(),
    Known::of::<trust::manage::Add>(),
    Known::of::<trust::manage::List>(),
    Known::of::<trust::manage::Remove>(),
    Known::of::<upgrade::Request>(),
    Known::of::<service::update::import::Request>(),
    Known::of::<service::update::list::Request>(),
    Known::of::<service::update::remove::Request>(),
    Known::of::<service::update::list::ShowRequest>(),
];

/// The operation with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Known> {
    ALL.iter().chain(TEST).find(|known| known.name == name)
}

/// Operations that only tests know.
#[cfg(test)]
const TEST: &[Known] = jobs::tests::OPERATIONS;
#[cfg(not(test))]
const TEST: &[Known] = &[];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_to_work_stands_aside() {
        use Right::{Administer, Operate, Read, Work};
        assert!(Administer.includes(Operate) && Operate.includes(Read) && Operate.includes(Work));
        assert!(!Read.includes(Work) && !Work.includes(Read) && !Read.includes(Operate));
        assert_eq!((Work.and(Operate), Operate.and(Work)), (Some(Work), Some(Work)));
        assert_eq!((Work.and(Read), Read.and(Work)), (None, None));
        assert_eq!(Read.and(Administer), Some(Read));
        for right in Right::ALL {
            assert_eq!(Right::from_word(right.word()), Some(right));
        }
    }

    #[test]
    fn names_are_area_and_verb_and_unique() {
        let mut names: Vec<_> = ALL.iter().map(|known| known.name).collect();
        for name in &names {
            let (area, verb) = name.split_once('.').unwrap();
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            assert!(!area.is_empty() && plain(area) && !verb.is_empty() && plain(verb), "{name}");
            assert_eq!(find(name).map(|known| known.name), Some(*name));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(find("package.fly").is_none());
    }

    /// Every source file of this crate.
    fn sources() -> Vec<String> {
        let mut texts = Vec::new();
        let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = pending.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    pending.push(entry);
                } else {
                    texts.push(std::fs::read_to_string(entry).unwrap());
                }
            }
        }
        texts
    }

    /// From `start` to the line that ends the item.
    fn item<'t>(text: &'t str, start: &str) -> Option<&'t str> {
        let from = &text[text.find(start)?..];
        Some(&from[..from.find("\n}").unwrap_or(from.len())])
    }

    /// A service checks the files that a request names, and has only the word of the request for
    /// which those are.
    #[test]
    fn requests_with_paths_say_which_places_they_touch() {
        let mut found = 0;
        for text in sources() {
            for part in text.split("impl Operation for ").skip(1) {
                let name = part.split([' ', '{']).next().unwrap_or_default();
                if name.starts_with('$') {
                    continue;
                }
                let Some(request) = item(&text, &format!("pub struct {name} {{")) else { continue };
                let operation = item(part, name).unwrap_or_default();
                if request.contains("Path") && !request.contains("MediaPath") {
                    found += 1;
                    let shown = operation.lines().take(4).collect::<Vec<_>>().join("\n");
                    assert!(operation.contains("fn places"), "{shown}");
                }
            }
        }
        assert!(found >= 2, "package.add and package.export hold paths");
    }
}
