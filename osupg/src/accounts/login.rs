//! From a token, or a name and password, to whoever is asking.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::limit::Limiter;
use super::password::{self, Secret};
use super::{Caller, Scopes, Token, TokenKind, secret};
use crate::db::Db;
use crate::db::accounts::{NewToken, TokenRow};
use crate::error::{Error, Result};
use crate::text;
use crate::time::Moment;

/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);
/// How exactly the last use of a token is kept, in microseconds.
const USED_EVERY: i64 = 60_000_000;

/// Who holds this token.
///
/// # Errors
/// When it is none, has ended, or its account is disabled.
pub async fn by_token(db: &Db, token: &str) -> Result<Caller> {
    let unknown = || {
        Error::unauthorised("the token is not known, or has been revoked")
            .advise("log in again, or have an administrator make a new token")
    };
    let id = secret::id_of(token).ok_or_else(unknown)?;
    let row = db.token(id).await?.ok_or_else(unknown)?;
    if !secret::is_right(token, &row.hash) || row.token.revoked_at.is_some() {
        return Err(unknown());
    }
    let now = Moment::now();
    if let Some(end) = row.token.expires_at.filter(|end| *end <= now) {
        return Err(Error::unauthorised(format!("the token expired at {}", end.rfc3339()))
            .advise("log in again, or have an administrator make a new token"));
    }
    let caller = caller(&row)?;
    if row.token.used_at.is_none_or(|used| now.0 - used.0 >= USED_EVERY) {
        db.token_used(id, now).await?;
    }
    Ok(caller)
}

/// What the holder of a token may do: no more than its account.
fn caller(row: &TokenRow) -> Result<Caller> {
    let token = &row.token;
    let scopes = Scopes::of(&token.scopes);
    let Some(account) = &row.account else {
        return Ok(Caller { name: format!("token:{}", token.name), right: token.right, scopes });
    };
    if account.disabled {
        return Err(Error::unauthorised(format!(
            "the account {} is disabled",
            text::clean(&account.name)
        )));
    }
    let name = match token.kind {
        TokenKind::Session => account.name.clone(),
        TokenKind::Token => format!("{} (token {})", account.name, token.name),
    };
    let right = token.right.and(account.right).ok_or_else(|| {
        Error::unauthorised(format!(
            "the token is for the right to {}, which the account {} does not have",
            token.right.word(),
            text::clean(&account.name)
        ))
    })?;
    Ok(Caller { name, right, scopes: scopes.and(Scopes::of(&account.scopes)) })
}

/// A session: the token, which nobody is shown again, and when it ends.
#[derive(Debug)]
pub struct Session {
    /// To be sent with every request.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Moment,
}

/// Begins a session with a name and a password.
///
/// # Errors
/// When they do not belong together, or there were too many failures of late.
pub async fn by_password(
    db: &Db,
    limiter: &Limiter,
    from: IpAddr,
    name: &str,
    password: Secret,
) -> Result<Session> {
    let now = Instant::now();
    let (by_name, by_address) = (format!("name {}", name.to_lowercase()), format!("from {from}"));
    let wait = limiter.wait(&by_name, now).max(limiter.wait(&by_address, now));
    if !wait.is_zero() {
        return Err(Error::busy("too many attempts to log in have failed")
            .advise(format!("try again in {} seconds", wait.as_secs() + 1)));
    }
    let row = match name.chars().count() {
        1..=super::MAX_NAME => db.account(name).await?,
        _ => None,
    };
    let hash = row.as_ref().map(|row| row.password.clone());
    let right = password::is_right(password, hash).await?;
    let Some(row) = row.filter(|row| right && !row.account.disabled) else {
        limiter.failed(&by_name, now);
        limiter.failed(&by_address, now);
        return Err(Error::unauthorised("the name or the password is wrong")
            .advise("an account that is disabled cannot log in either"));
    };
    limiter.succeeded(&by_name);
    let fresh = secret::make();
    let now = Moment::now();
    let expires_at = now.after(SESSION);
    let token = Token {
        id: fresh.id,
        name: "session".into(),
        kind: TokenKind::Session,
        account: Some(row.account.name.clone()),
        right: row.account.right,
        scopes: row.account.scopes.clone(),
        created_by: row.account.name,
        created_at: now,
        expires_at: Some(expires_at),
        used_at: None,
        revoked_at: None,
    };
    db.insert_token(&NewToken { token: &token, account: Some(row.key), hash: &fresh.hash }).await?;
    Ok(Session { token: fresh.token, expires_at })
}

/// Ends the session, or token, that this is.
///
/// # Errors
/// When the database cannot be written.
pub async fn end(db: &Db, token: &str) -> Result<()> {
    if let Some(id) = secret::id_of(token) {
        db.revoke_token(id, Moment::now()).await?;
    }
    Ok(())
}
