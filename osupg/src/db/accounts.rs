//! Accounts and API tokens.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::packages::listed_scopes;
use super::{Db, hash32};
use crate::accounts::{Account, Token, TokenKind};
use crate::error::{Error, Result};
use crate::operation::Right;
use crate::time::Moment;

/// A row of `account`.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// The key.
    pub key: i64,
    /// What may be shown of it.
    pub account: Account,
    /// The hash of the password.
    pub password: String,
}

/// A row of `token` with what its account says.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// What may be shown of it.
    pub token: Token,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The account it belongs to, if it belongs to one.
    pub account: Option<Account>,
}

/// A token about to be kept.
#[derive(Debug)]
pub struct NewToken<'a> {
    /// What may be shown of it.
    pub token: &'a Token,
    /// The key of its account.
    pub account: Option<i64>,
    /// SHA-256 of the token.
    pub hash: &'a [u8; 32],
}

fn right(row: &AnyRow, column: &str) -> Result<Right> {
    let word: &str = row.get(column);
    Right::from_word(word)
        .ok_or_else(|| Error::damaged(format!("the database holds the right {word:?}")))
}

fn scopes(row: &AnyRow, column: &str) -> Result<Vec<String>> {
    serde_json::from_str(row.get(column)).map_err(|error| {
        Error::damaged(format!("the database holds scopes that are none: {error}"))
    })
}

fn json(scopes: &[String]) -> Result<String> {
    serde_json::to_string(scopes)
        .map_err(|error| Error::io(format!("scopes cannot be written as JSON: {error}")))
}

fn account_of(row: &AnyRow) -> Result<AccountRow> {
    Ok(AccountRow {
        key: row.get("id"),
        account: Account {
            name: row.get("name"),
            right: right(row, "role")?,
            scopes: scopes(row, "scopes")?,
            disabled: row.get::<i64, _>("disabled") != 0,
            created_at: Moment(row.get("created_at")),
            changed_at: Moment(row.get("changed_at")),
        },
        password: row.get("password"),
    })
}

/// Every token with its account; conditions and order follow.
macro_rules! token_query {
    ($rest:literal) => {
        concat!(
            "SELECT t.id AS token_id, t.name AS token_name, t.kind, t.hash, t.role AS token_role, \
             t.scopes AS token_scopes, t.created_by, t.created_at AS token_created_at, \
             t.expires_at, t.used_at, t.revoked_at, \
             a.id AS id, a.name, a.password, a.role, a.scopes, a.disabled, a.created_at, \
             a.changed_at FROM token t LEFT JOIN account a ON a.id = t.account_id ",
            $rest
        )
    };
}

fn token_of(row: &AnyRow) -> Result<TokenRow> {
    let account = match row.get::<Option<i64>, _>("id") {
        Some(_) => Some(account_of(row)?.account),
        None => None,
    };
    let moment = |column: &str| row.get::<Option<i64>, _>(column).map(Moment);
    Ok(TokenRow {
        token: Token {
            id: row.get("token_id"),
            name: row.get("token_name"),
            kind: TokenKind::from_word(row.get("kind")),
            account: account.as_ref().map(|account| account.name.clone()),
            right: right(row, "token_role")?,
            scopes: scopes(row, "token_scopes")?,
            created_by: row.get("created_by"),
            created_at: Moment(row.get("token_created_at")),
            expires_at: moment("expires_at"),
            used_at: moment("used_at"),
            revoked_at: moment("revoked_at"),
        },
        hash: hash32(row.get("hash"))?,
        account,
    })
}

/// Names that differ in nothing but capitals are the same name.
fn name_key(name: &str) -> String {
    name.to_lowercase()
}

impl Db {
    /// All accounts, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let rows = sqlx::query("SELECT * FROM account ORDER BY name_key").fetch_all(self.pool());
        rows.await?.iter().map(|row| Ok(account_of(row)?.account)).collect()
    }

    /// The account with this name, capitals or not.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn account(&self, name: &str) -> Result<Option<AccountRow>> {
        let row = sqlx::query("SELECT * FROM account WHERE name_key = $1")
            .bind(name_key(name))
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(account_of).transpose()
    }

    /// Keeps a new account; `false` when the name is taken.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn insert_account(&self, account: &Account, password: &str) -> Result<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO account \
             (name, name_key, password, role, scopes, disabled, created_at, changed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name_key) DO NOTHING",
        )
        .bind(account.name.clone())
        .bind(name_key(&account.name))
        .bind(password.to_string())
        .bind(account.right.word())
        .bind(json(&account.scopes)?)
        .bind(i64::from(account.disabled))
        .bind(account.created_at.0)
        .bind(account.changed_at.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Changes everything of an account but its name. A new password, and disabling, end the
    /// sessions that were begun with it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn update_account(&self, row: &AccountRow, sessions: Sessions) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE account SET password = $1, role = $2, scopes = $3, disabled = $4, \
             changed_at = $5 WHERE id = $6",
        )
        .bind(row.password.clone())
        .bind(row.account.right.word())
        .bind(json(&row.account.scopes)?)
        .bind(i64::from(row.account.disabled))
        .bind(row.account.changed_at.0)
        .bind(row.key)
        .execute(&mut *tx)
        .await?;
        if sessions == Sessions::End {
            sqlx::query("DELETE FROM token WHERE account_id = $1 AND kind = 'session'")
                .bind(row.key)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Removes an account with its tokens.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_account(&self, key: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM account WHERE id = $1").bind(key).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// All tokens that are no sessions, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&self) -> Result<Vec<Token>> {
        let rows = sqlx::query(token_query!(
            "WHERE t.kind = 'token' ORDER BY t.created_at DESC, t.id LIMIT 10000"
        ))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok(token_of(row)?.token)).collect()
    }

    /// The token, or session, that this names.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn token(&self, id: &str) -> Result<Option<TokenRow>> {
        let row = sqlx::query(token_query!("WHERE t.id = $1"))
            .bind(id.to_string())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(token_of).transpose()
    }

    /// Keeps a new token, and forgets sessions that have ended.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn insert_token(&self, new: &NewToken<'_>) -> Result<()> {
        let token = new.token;
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM token WHERE kind = 'session' AND expires_at < $1")
            .bind(token.created_at.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO token \
             (id, name, kind, account_id, hash, role, scopes, created_by, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(token.id.clone())
        .bind(token.name.clone())
        .bind(token.kind.word())
        .bind(new.account)
        .bind(new.hash.to_vec())
        .bind(token.right.word())
        .bind(json(&token.scopes)?)
        .bind(token.created_by.clone())
        .bind(token.created_at.0)
        .bind(token.expires_at.map(|moment| moment.0))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a token was used. Once a minute is enough.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn token_used(&self, id: &str, at: Moment) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE token SET used_at = $1 WHERE id = $2")
            .bind(at.0)
            .bind(id.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a token; `false` when there is none of this id, or it has been ended.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn revoke_token(&self, id: &str, at: Moment) -> Result<bool> {
        let mut tx = self.begin().await?;
        let done =
            sqlx::query("UPDATE token SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
                .bind(at.0)
                .bind(id.to_string())
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}

impl Db {
    /// The security scopes of every package, by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn scopes_of_packages(&self) -> Result<HashMap<String, Vec<String>>> {
        let rows = sqlx::query("SELECT id, scopes FROM package").fetch_all(self.pool()).await?;
        Ok(rows.iter().map(|row| (row.get("id"), listed_scopes(row.get("scopes")))).collect())
    }

    /// The security scopes of the package with this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn scopes_of(&self, id: &str) -> Result<Vec<String>> {
        let scopes: Option<String> = sqlx::query_scalar("SELECT scopes FROM package WHERE id = $1")
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        Ok(scopes.as_deref().map(listed_scopes).unwrap_or_default())
    }
}

/// What a change of an account does to the sessions begun with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// They go on.
    Keep,
    /// They end.
    End,
}
