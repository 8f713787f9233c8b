//! What can be done with accounts and tokens. All of it takes the right to administer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::password::{self, Secret};
use super::{Account, Token, TokenKind, name, scopes, secret};
use crate::db::accounts::{AccountRow, NewToken, Sessions};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;
use crate::text;
use crate::time::Moment;

/// The longest that a token may last: ten years, in seconds.
const LONGEST: u64 = 10 * 366 * 24 * 60 * 60;

/// Makes an account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// Its name: 1 to 64 characters, unique whatever its capitals.
    pub name: String,
    /// Its password: at least 12 characters.
    pub password: Secret,
    /// What it may do.
    pub right: Right,
    /// The security scopes it is limited to; empty for none.
    #[serde(default)]
    pub scopes: Vec<String>,
}

impl Operation for Add {
    type Outcome = Account;
    const NAME: &'static str = "account.add";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Account> {
        let name = name("an account", &self.name)?;
        let scopes = scopes(&self.scopes)?;
        for_people(self.right)?;
        let hash = password::hash(self.password.clone()).await?;
        let now = Moment::now();
        let account = Account {
            name,
            right: self.right,
            scopes,
            disabled: false,
            created_at: now,
            changed_at: now,
        };
        if home.db.insert_account(&account, &hash).await? {
            Ok(account)
        } else {
            Err(Error::conflict(format!("there is an account {:?} already", account.name)))
        }
    }
}

/// All accounts, by name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {}

impl Operation for List {
    type Outcome = Vec<Account>;
    const NAME: &'static str = "account.list";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Account>> {
        home.db.accounts().await
    }
}

/// Changes an account. What is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Its name.
    pub name: String,
    /// What it may do from now on.
    #[serde(default)]
    pub right: Option<Right>,
    /// The security scopes it is limited to from now on; an empty list takes every limit away.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Whether it may do anything at all. Disabling ends its sessions, and its tokens do nothing
    /// while it is disabled.
    #[serde(default)]
    pub disabled: Option<bool>,
    /// Its new password. It ends the sessions that were begun with the old one.
    #[serde(default)]
    pub password: Option<Secret>,
}

impl Operation for Edit {
    type Outcome = Account;
    const NAME: &'static str = "account.edit";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Account> {
        let mut row = existing(home, &self.name).await?;
        if let Some(right) = self.right {
            for_people(right)?;
            row.account.right = right;
        }
        if let Some(given) = &self.scopes {
            row.account.scopes = scopes(given)?;
        }
        if let Some(disabled) = self.disabled {
            row.account.disabled = disabled;
        }
        if let Some(password) = &self.password {
            row.password = password::hash(password.clone()).await?;
        }
        let ends = self.password.is_some() || row.account.disabled;
        row.account.changed_at = Moment::now();
        let sessions = if ends { Sessions::End } else { Sessions::Keep };
        home.db.update_account(&row, sessions).await?;
        Ok(row.account)
    }
}

/// Removes an account with its tokens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// Its name.
    pub name: String,
}

impl Operation for Remove {
    type Outcome = Account;
    const NAME: &'static str = "account.remove";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Account> {
        let row = existing(home, &self.name).await?;
        home.db.delete_account(row.key).await?;
        Ok(row.account)
    }
}

/// Checks that an account can have a right.
fn for_people(right: Right) -> Result<()> {
    if right == Right::Work {
        return Err(Error::usage("the right to work is for tokens of workers, not for accounts")
            .advise("make one with `osupg token create NAME --right work`"));
    }
    Ok(())
}

async fn existing(home: &Home, name: &str) -> Result<AccountRow> {
    home.db.account(name).await?.ok_or_else(|| {
        Error::not_found(format!("there is no account {:?}", text::clean(name)))
            .advise("`osupg account list` shows the accounts there are")
    })
}

/// Makes an API token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What it is for: 1 to 64 characters.
    pub name: String,
    /// What it may be used for.
    pub right: Right,
    /// The security scopes it is limited to; empty for none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The account it belongs to: it can do no more than that, and ends with it.
    #[serde(default)]
    pub account: Option<String>,
    /// Seconds until it ends by itself; never when left out.
    #[serde(default)]
    pub lifetime: Option<u64>,
}

/// A token that was just made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The token itself. It cannot be shown again.
    pub secret: Secret,
    /// What is kept of it.
    pub token: Token,
}

impl Operation for CreateToken {
    type Outcome = Created;
    const NAME: &'static str = "token.create";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Created> {
        let name = name("a token", &self.name)?;
        let scopes = scopes(&self.scopes)?;
        let account = match &self.account {
            Some(account) => Some(existing(home, account).await?),
            None => None,
        };
        if self.lifetime.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds)) {
            return Err(Error::usage("a token lasts from one second to ten years"));
        }
        let now = Moment::now();
        let fresh = secret::make();
        let token = Token {
            id: fresh.id,
            name,
            kind: TokenKind::Token,
            account: account.as_ref().map(|row| row.account.name.clone()),
            right: self.right,
            scopes,
            created_by: home.by().to_string(),
            created_at: now,
            expires_at: self
                .lifetime
                .map(|seconds| now.after(std::time::Duration::from_secs(seconds))),
            used_at: None,
            revoked_at: None,
        };
        let key = account.map(|row| row.key);
        home.db.insert_token(&NewToken { token: &token, account: key, hash: &fresh.hash }).await?;
        Ok(Created { secret: fresh.token, token })
    }
}

/// All tokens, the newest first; sessions are not among them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTokens {}

impl Operation for ListTokens {
    type Outcome = Vec<Token>;
    const NAME: &'static str = "token.list";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Token>> {
        home.db.tokens().await
    }
}

/// Ends a token at once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeToken {
    /// Its id: the sixteen digits after `osupg_`.
    pub id: String,
}

impl Operation for RevokeToken {
    type Outcome = Token;
    const NAME: &'static str = "token.revoke";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Token> {
        let unknown = || {
            Error::not_found(format!("there is no token {:?}", text::clean(&self.id)))
                .advise("`osupg token list` shows the tokens there are")
        };
        home.db.token(&self.id).await?.ok_or_else(unknown)?;
        if !home.db.revoke_token(&self.id, Moment::now()).await? {
            return Err(Error::conflict(format!("the token {} has been revoked before", self.id)));
        }
        Ok(home.db.token(&self.id).await?.ok_or_else(unknown)?.token)
    }
}
