//! Passwords, kept as Argon2id.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Characters that a password must have. Length is what guards a password; rules about capitals
/// and digits only make it harder to remember (NIST SP 800-63B).
const SHORTEST: usize = 12;
/// Bytes that a password may have, so that nobody has the server hash megabytes.
const LONGEST: usize = 1024;

/// A text that no log, message or list shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The hash of a password, as a PHC string with a salt of its own.
///
/// # Errors
/// When the password is too short or too long.
pub async fn hash(password: Secret) -> Result<String> {
    let count = password.0.chars().count();
    if count < SHORTEST {
        return Err(Error::usage(format!(
            "the password has {count} characters; {SHORTEST} is the least a password must have"
        )));
    }
    if password.0.len() > LONGEST {
        return Err(Error::usage(format!("the password is longer than {LONGEST} bytes")));
    }
    // Takes tens of milliseconds and 19 MiB by design: not on a thread that serves others.
    tokio::task::spawn_blocking(move || {
        Argon2::default()
            .hash_password(password.0.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|error| Error::io(format!("the password cannot be hashed: {error}")))
    })
    .await?
}

/// Whether this is the password. `hash` is `None` where there is no such account: it takes as long
/// then, so that nobody learns from the time which accounts there are.
///
/// # Errors
/// When the database holds something that is no hash.
pub async fn is_right(password: Secret, hash: Option<String>) -> Result<bool> {
    if password.0.len() > LONGEST {
        return Ok(false);
    }
    tokio::task::spawn_blocking(move || {
        let Some(hash) = hash else {
            let _ = Argon2::default().hash_password(password.0.as_bytes());
            return Ok(false);
        };
        let hash = PasswordHash::new(&hash).map_err(|error| {
            Error::damaged(format!("the database holds a password hash that is none: {error}"))
        })?;
        Ok(Argon2::default().verify_password(password.0.as_bytes(), &hash).is_ok())
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret(text.into())
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let first = hash(secret("correct horse battery")).await.unwrap();
        let again = hash(secret("correct horse battery")).await.unwrap();
        assert!(first.starts_with("$argon2id$"), "{first}");
        assert_ne!(first, again, "each has a salt of its own");
        assert!(is_right(secret("correct horse battery"), Some(first.clone())).await.unwrap());
        assert!(!is_right(secret("correct horse batterz"), Some(first)).await.unwrap());
        assert!(!is_right(secret("correct horse battery"), None).await.unwrap());
        assert!(is_right(secret("x"), Some("nonsense".into())).await.is_err());
    }

    #[tokio::test]
    async fn lengths_hold_at_and_beyond() {
        assert!(hash(secret("ä".repeat(11).as_str())).await.is_err());
        assert!(hash(secret("ä".repeat(12).as_str())).await.is_ok());
        assert!(hash(secret("a".repeat(1024).as_str())).await.is_ok());
        assert!(hash(secret("a".repeat(1025).as_str())).await.is_err());
        assert!(!is_right(secret(&"a".repeat(2000)), None).await.unwrap());
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", secret("hunter2")), "(secret)");
    }
}
