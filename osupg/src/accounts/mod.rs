//! Who may ask a service for what: accounts with passwords, API tokens, rights and security scopes.
//!
//! A right says what may be done (read, operate, administer, or work alone), scopes say to which
//! packages. Who works on the machine itself with the command line needs no account: there the
//! permissions of the store's folder decide, and whoever may write to it may do everything.

pub mod limit;
pub mod login;
pub mod operations;
pub mod password;
mod secret;

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::db::Db;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::jobs::model::Job;
use crate::operation::{self, Known, Reach, Right};
use crate::text;
use crate::time::Moment;

/// Characters in the name of an account, a token or a scope.
const MAX_NAME: usize = 64;
/// Scopes of an account or token.
const MAX_SCOPES: usize = 64;

/// An account, without its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// Its name; unique, whatever its capitals.
    pub name: String,
    /// What it may do.
    pub right: Right,
    /// The security scopes whose packages it may see; empty for all.
    pub scopes: Vec<String>,
    /// Whether it may do nothing at present.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Moment,
    /// When its right, scopes, password or state last changed.
    pub changed_at: Moment,
}

/// What a token was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// For a program, by an administrator.
    Token,
    /// For a person, by logging in.
    Session,
}

impl TokenKind {
    /// The word in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
        }
    }

    /// The value of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        if word == "session" { Self::Session } else { Self::Token }
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// The part of it that may be shown: sixteen hexadecimal digits.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it was made for.
    pub kind: TokenKind,
    /// The account it belongs to: it can do no more than that, and ends with it.
    pub account: Option<String>,
    /// What it may be used for.
    pub right: Right,
    /// The security scopes whose packages it may be used for; empty for all.
    pub scopes: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Moment,
    /// When it ends by itself.
    pub expires_at: Option<Moment>,
    /// When it was last used, to the minute.
    pub used_at: Option<Moment>,
    /// When it was ended by hand.
    pub revoked_at: Option<Moment>,
}

/// Whoever asks, known by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account, or `token:` and the token's name.
    pub name: String,
    /// What may be done.
    pub right: Right,
    /// The scopes of the packages to which it may be done.
    pub scopes: Scopes,
}

/// The packages that somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// Every one.
    All,
    /// Those in one of these security scopes.
    Only(Vec<String>),
}

impl Scopes {
    /// What a list of scopes means: an empty one is no limit.
    fn of(list: &[String]) -> Self {
        if list.is_empty() { Self::All } else { Self::Only(list.to_vec()) }
    }

    /// What both allow.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, scopes) | (scopes, Self::All) => scopes,
            (Self::Only(own), Self::Only(others)) => {
                Self::Only(own.into_iter().filter(|scope| has(&others, scope)).collect())
            }
        }
    }

    /// Whether a package in the scopes `of` is among them.
    #[must_use]
    pub fn reach(&self, of: &[String]) -> bool {
        match self {
            Self::All => true,
            Self::Only(own) => of.iter().any(|scope| has(own, scope)),
        }
    }
}

fn has(scopes: &[String], scope: &str) -> bool {
    scopes.iter().any(|own| own.to_lowercase() == scope.to_lowercase())
}

/// Which packages somebody limited to scopes sees.
#[derive(Debug)]
pub struct Sight {
    scopes: Scopes,
    /// By id.
    packages: HashMap<String, Vec<String>>,
}

impl Sight {
    /// What `scopes` let see of the packages there are now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn of(db: &Db, scopes: &Scopes) -> Result<Self> {
        Ok(Self { scopes: scopes.clone(), packages: db.scopes_of_packages().await? })
    }

    /// Whether the package with this id is seen.
    #[must_use]
    pub fn sees(&self, id: &str) -> bool {
        self.packages.get(id).is_some_and(|of| self.scopes.reach(of))
    }

    /// The id right before that of the first package seen after this one, whether or not there is
    /// a package of that id; `None` when no later one is seen.
    #[must_use]
    pub fn right_before_next(&self, id: &str) -> Option<String> {
        let later = self.packages.keys().filter(|other| other.as_str() > id && self.sees(other));
        let (site, number) = later.min()?.split_at_checked(3)?;
        Some(format!("{site}{:05}", number.parse::<u32>().ok()?.checked_sub(1)?))
    }

    /// Whether a job is seen: the package that it is about, or the scopes of the one it makes.
    #[must_use]
    pub fn sees_job(&self, job: &Job) -> bool {
        if !job.subject.is_empty() {
            return self.sees(&job.subject);
        }
        let known = operation::find(&job.operation);
        known.and_then(|known| known.facts(&job.request).ok()).is_some_and(|facts| {
            match facts.subject {
                Some(subject) => self.sees(&subject),
                None => self.scopes.reach(&facts.makes_in),
            }
        })
    }
}

impl Caller {
    /// Checks that the caller has the right that `known` takes.
    ///
    /// # Errors
    /// When the right does not reach so far.
    pub fn has(&self, known: &Known) -> Result<()> {
        if self.right.includes(known.right) {
            return Ok(());
        }
        Err(forbidden(format!(
            "{} takes the right to {}, and {} has the right to {}",
            known.name,
            known.right.word(),
            text::clean(&self.name),
            self.right.word()
        )))
    }

    /// Checks that the caller has the right to look at packages.
    ///
    /// # Errors
    /// When it has not: a worker's token is for its work alone.
    pub fn may_read(&self) -> Result<()> {
        if self.right.includes(Right::Read) {
            return Ok(());
        }
        Err(forbidden(format!(
            "this takes the right to read, and {} has the right to {}",
            text::clean(&self.name),
            self.right.word()
        )))
    }

    /// Checks that the caller may have `known` done to `subject`, a package by id or name.
    ///
    /// # Errors
    /// When it takes a right that the caller does not have, or reaches beyond the caller's scopes.
    pub async fn may(&self, home: &Home, known: &Known, subject: Option<&str>) -> Result<()> {
        self.has(known)?;
        match subject {
            Some(subject) => self.may_see(home, subject).await,
            None if self.scopes != Scopes::All && known.reach == Reach::Site => {
                Err(forbidden(format!(
                    "{} reaches every package, and {} is limited to security scopes",
                    known.name,
                    text::clean(&self.name)
                )))
            }
            None => Ok(()),
        }
    }

    /// Checks that a job is one that the caller may see. Of one that it may not see it is said that
    /// there is none.
    ///
    /// # Errors
    /// When it may not, or the database cannot be read.
    pub async fn may_see_job(&self, home: &Home, job: &Job) -> Result<()> {
        if self.scopes == Scopes::All || Sight::of(&home.db, &self.scopes).await?.sees_job(job) {
            return Ok(());
        }
        Err(no_job(job.id))
    }

    /// Checks that a schedule is about a package that the caller may see. Of one that is not it is
    /// said that there is none.
    ///
    /// # Errors
    /// When it is not, or there is no such schedule.
    pub async fn may_see_schedule(&self, home: &Home, name: &str) -> Result<()> {
        if self.scopes == Scopes::All {
            return Ok(());
        }
        let schedule = home.db.schedule(name).await?;
        let sight = Sight::of(&home.db, &self.scopes).await?;
        match schedule.package {
            Some(package) if sight.sees(&package) => Ok(()),
            _ => Err(crate::db::schedules::no_schedule(name)),
        }
    }

    /// Checks that the package `subject` (its id or name) is one that the caller may see. Of one
    /// that it may not see it is said that there is none, as of one that does not exist.
    ///
    /// # Errors
    /// When it may not, or there is no such package.
    pub async fn may_see(&self, home: &Home, subject: &str) -> Result<()> {
        if self.scopes == Scopes::All {
            return Ok(());
        }
        let package = home.db.package(subject).await?;
        if self.scopes.reach(&home.db.scopes_of(&package.id).await?) {
            Ok(())
        } else {
            Err(crate::db::packages::no_package(subject))
        }
    }

    /// Checks that every one of these packages is one that the caller may see.
    ///
    /// # Errors
    /// As [`may_see`](Self::may_see), for the first that is not.
    pub async fn may_see_all(&self, home: &Home, packages: &[String]) -> Result<()> {
        for package in packages {
            self.may_see(home, package).await?;
        }
        Ok(())
    }
}

/// The error of a job that does not exist, or that nobody may know of.
pub(crate) fn no_job(id: impl std::fmt::Display) -> Error {
    Error::not_found(format!("there is no job {:?}", text::clean(&id.to_string())))
        .advise("`osupg job list` shows the jobs there are")
}

/// Checks that a caller who holds the security scopes `held` holds all of `named`.
///
/// # Errors
/// Names the first that is not among them.
pub(crate) fn check_held(held: &[String], named: &[String]) -> Result<()> {
    if held.is_empty() {
        return Err(forbidden("no security scope is yours".into()));
    }
    match named.iter().find(|scope| !has(held, scope)) {
        None => Ok(()),
        Some(other) => Err(forbidden(format!(
            "the security scope {:?} is not one of those that are yours: {}",
            text::clean(other),
            text::clean(&held.join(", "))
        ))),
    }
}

fn forbidden(message: String) -> Error {
    Error::forbidden(message)
        .advise("ask an administrator for an account or token that may do this")
}

/// Checks a name: 1 to 64 letters, digits and `. _ - @`.
///
/// # Errors
/// When it is empty, too long or holds anything else.
fn name(what: &str, given: &str) -> Result<String> {
    let fits = |c: char| c.is_alphanumeric() || ". _-@".contains(c);
    let given = given.trim();
    let count = given.chars().count();
    if count > MAX_NAME {
        return Err(Error::usage(format!(
            "a name of {count} characters is too long for {what}: {MAX_NAME} is the most"
        )));
    }
    if given.is_empty() || !given.chars().all(fits) {
        return Err(Error::usage(format!(
            "{:?} is no name for {what}: 1 to {MAX_NAME} letters, digits, blanks and . _ - @",
            text::clean(given)
        )));
    }
    Ok(given.to_string())
}

/// Checks a list of scopes; each is kept once.
fn scopes(given: &[String]) -> Result<Vec<String>> {
    if given.len() > MAX_SCOPES {
        return Err(Error::usage(format!(
            "{} scopes are given; {MAX_SCOPES} is the most",
            given.len()
        )));
    }
    let mut kept: Vec<String> = Vec::new();
    for scope in given {
        let scope = name("a security scope", scope)?;
        if !has(&kept, &scope) {
            kept.push(scope);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(scopes: &[&str]) -> Scopes {
        Scopes::Only(scopes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn where_to_go_on_tells_nothing_of_what_is_hidden() {
        let of = |id: &str, scope: &str| (id.to_string(), vec![scope.to_string()]);
        let packages = [of("AAA00002", "B"), of("AAA00007", "A"), of("BBB00001", "B")];
        let sight =
            |scope: &str| Sight { scopes: only(&[scope]), packages: packages.clone().into() };
        assert_eq!(sight("A").right_before_next("AAA00002").as_deref(), Some("AAA00006"));
        assert_eq!(sight("A").right_before_next("AAA00007"), None);
        assert_eq!(sight("B").right_before_next("AAA00002").as_deref(), Some("BBB00000"));
    }

    #[test]
    fn scopes_limit_each_other() {
        assert_eq!(Scopes::All.and(Scopes::All), Scopes::All);
        assert_eq!(Scopes::All.and(only(&["A"])), only(&["A"]));
        assert_eq!(only(&["A", "b"]).and(only(&["B", "C"])), only(&["b"]));
        assert_eq!(only(&["A"]).and(only(&["B"])), only(&[]), "nothing, not everything");
        assert!(!only(&[]).reach(&["A".into()]));
        assert!(only(&["paris"]).reach(&["Paris".into()]));
        assert!(Scopes::All.reach(&[]));
    }

    #[test]
    fn names_are_short_and_plain() {
        for good in ["anna", "build agent", "Jörg.Müller@example", "a_b-c"] {
            assert_eq!(name("an account", good).unwrap(), good);
        }
        for bad in ["", "  ", "a\nb", "a:b", "a/b", "\u{202e}x", &"x".repeat(65)] {
            assert!(name("an account", bad).is_err(), "{bad:?}");
        }
        let doubled = ["A", "a", "B"].map(String::from);
        assert_eq!(scopes(&doubled).unwrap(), ["A", "B"]);
        assert!(scopes(&vec!["A".to_string(); 65]).is_err());
    }
}
