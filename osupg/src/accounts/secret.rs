//! API tokens: `osupg_`, sixteen digits that name the token, `_`, and sixty-four secret digits.
//!
//! Only the SHA-256 of the whole is kept. That is enough for a secret of 244 random bits, which
//! nobody can guess, and lets each request be checked in microseconds. The prefix lets scanners
//! find tokens that were put where they do not belong.

use sha2::{Digest, Sha256};

use super::password::Secret;
use crate::text;

const PREFIX: &str = "osupg_";
const ID_DIGITS: usize = 16;
const SECRET_DIGITS: usize = 64;

/// A token that was just made.
#[derive(Debug)]
pub(super) struct Fresh {
    /// The part that may be shown.
    pub(super) id: String,
    /// All of it: shown once.
    pub(super) token: Secret,
    /// What is kept of it.
    pub(super) hash: [u8; 32],
}

/// Makes a token from the system's random numbers.
pub(super) fn make() -> Fresh {
    let digits = || uuid::Uuid::new_v4().simple().to_string();
    let id = text::hex(&Sha256::digest(digits().as_bytes())[..ID_DIGITS / 2]);
    let token = format!("{PREFIX}{id}_{}{}", digits(), digits());
    let hash = hash(&token);
    Fresh { id, token: Secret(token), hash }
}

/// The part of a token that names it; `None` for what is no token.
pub(super) fn id_of(token: &str) -> Option<&str> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let digits =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    let whole = id.len() == ID_DIGITS && secret.len() == SECRET_DIGITS;
    (whole && digits(id) && digits(secret)).then_some(id)
}

/// Whether `token` is the one whose hash this is, in a time that does not depend on how much of
/// it is right.
pub(super) fn is_right(token: &str, kept: &[u8; 32]) -> bool {
    let differing = hash(token).iter().zip(kept).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differing) == 0
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let (one, two) = (make(), make());
        assert_eq!(id_of(&one.token.0), Some(one.id.as_str()));
        assert!(is_right(&one.token.0, &one.hash));
        assert!(!is_right(&two.token.0, &one.hash));
        let mut last = one.token.0.clone();
        let changed = if last.ends_with('0') { '1' } else { '0' };
        last.pop();
        last.push(changed);
        assert!(!is_right(&last, &one.hash));
    }

    #[test]
    fn what_is_no_token_has_no_name() {
        let token = make().token.0;
        let upper = token.to_uppercase();
        for wrong in ["", "osupg_", "osupg__", &token[..token.len() - 1], &upper, &token[6..]] {
            assert_eq!(id_of(wrong), None, "{wrong}");
        }
        assert_eq!(id_of(&format!("{token}0")), None);
        assert_eq!(id_of(&token.replace("osupg_", "osupg-")), None);
    }
}
