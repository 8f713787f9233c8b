//! What osupg can be asked to do, whoever asks: the command line, the HTTP service or a schedule.
//!
//! An operation is a request with its outcome, both of which travel as JSON. It says what right it
//! takes, whether it is over at once or worth a job, and which package it is about. Front ends hold
//! no logic: they make a request, have it run here or by a service, and show the outcome.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wim_extract::Cancel;

use crate::error::{Error, Result};
use crate::home::Home;
use crate::package;
use crate::progress::{Progress, Watch};

/// What an account must be allowed to do. Each right includes those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Look at packages, points and jobs.
    Read,
    /// Change packages and send them.
    Operate,
    /// Change accounts, keys and what is kept.
    Administer,
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
pub trait Operation: fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it answers.
    type Outcome: Serialize + DeserializeOwned + Send + 'static;

    /// Its name, such as `package.add`: area and verb.
    const NAME: &'static str;
    /// The right that it takes.
    const RIGHT: Right;
    /// How long it may take.
    const LENGTH: Length = Length::Quick;

    /// The package that it is about, by id or name, for rights that end at a security scope.
    fn subject(&self) -> Option<&str> {
        None
    }

    /// Does it. The future need not be [`Send`]: [`Known::run`] gives it a thread. A long operation can be stopped and run again at any moment.
    fn run(&self, home: &Home, watch: Watch<'_>) -> impl Future<Output = Result<Self::Outcome>>;
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
    subject: fn(&Value) -> Result<Option<String>>,
    run: for<'a> fn(&'a Value, &'a Home, Watch<'a>) -> Running<'a>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({})", self.name)
    }
}

impl Known {
    const fn of<O: Operation>() -> Self {
        Self {
            name: O::NAME,
            right: O::RIGHT,
            length: O::LENGTH,
            subject: |request| Ok(parse::<O>(request)?.subject().map(str::to_string)),
            run: |request, home, watch| {
                Box::pin(async move {
                    let outcome = parse::<O>(request)?.run(home, watch).await?;
                    serde_json::to_value(outcome)
                        .map_err(|error| Error::io(format!("{} has no JSON: {error}", O::NAME)))
                })
            },
        }
    }

    /// The package that `request` is about.
    ///
    /// # Errors
    /// When it is no request of this operation.
    pub fn subject(&self, request: &Value) -> Result<Option<String>> {
        (self.subject)(request)
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

fn parse<O: Operation>(request: &Value) -> Result<O> {
    O::deserialize(request)
        .map_err(|error| Error::usage(format!("this is no request for {}: {error}", O::NAME)))
}

/// Every operation there is.
pub const ALL: &[Known] = &[
    Known::of::<package::add::Request>(),
    Known::of::<package::export::Request>(),
    Known::of::<package::files::Request>(),
    Known::of::<package::list::Request>(),
    Known::of::<package::list::ImagesRequest>(),
    Known::of::<package::remove::Request>(),
    Known::of::<package::show::Request>(),
    Known::of::<package::verify::Request>(),
];

/// The operation with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Known> {
    ALL.iter().find(|known| known.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
