//! Ed25519 keys, their names and their text form.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer, SigningKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::text;

/// DER before the 32 bytes of a public key (RFC 8410, `SubjectPublicKeyInfo`).
const PUBLIC_DER: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// DER before the 32 bytes of a private key (RFC 8410, `OneAsymmetricKey` without public half).
const PRIVATE_DER: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// Hexadecimal digits by which a key may be named at least.
pub const SHORTEST_PREFIX: usize = 8;

/// The name of a key: the SHA-256 of its public half in DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// Whether the id begins with these hexadecimal digits, of which there must be at least eight.
    #[must_use]
    pub fn begins_with(&self, digits: &str) -> bool {
        digits.len() >= SHORTEST_PREFIX
            && self.to_string().starts_with(&digits.to_ascii_lowercase())
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first sixteen digits, for lists.
    #[must_use]
    pub fn short(&self) -> String {
        text::hex(self.0.get(..8).unwrap_or_default())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = String;

    fn from_str(digits: &str) -> std::result::Result<Self, String> {
        let bad = || "a key id is 64 hexadecimal digits".to_string();
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(id))
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Keys and their ids are texts in JSON.
macro_rules! text_schema {
    ($name:ident, $words:literal) => {
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $words })
            }
        }
    };
}

text_schema!(KeyId, "The id of a key: 64 hexadecimal digits.");
text_schema!(PublicKey, "A public Ed25519 key as PEM.");

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The public half of a key: checks signatures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(Sha256::digest(self.der()).into())
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn raw(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The key with these bytes; `None` when they are none, or one for which anybody can make
    /// signatures.
    #[must_use]
    pub fn from_raw(raw: [u8; 32]) -> Option<Self> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&raw).ok()?;
        // A part of small order would let whoever made the key learn bits of what it agrees on.
        (!key.is_weak() && key.to_edwards().is_torsion_free()).then_some(Self(key))
    }

    fn der(&self) -> Vec<u8> {
        [&PUBLIC_DER[..], self.0.as_bytes()].concat()
    }

    /// As PEM, which `openssl` reads.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// Reads PEM as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// When it is no public Ed25519 key, or one for which anybody can make signatures.
    pub fn from_pem(given: &str) -> Result<Self> {
        let bad = |what: &str| {
            Error::usage(format!("this is no public Ed25519 key: {what}"))
                .advise("`osupg key show` prints one; it begins with -----BEGIN PUBLIC KEY-----")
        };
        let der = from_pem("PUBLIC KEY", given).ok_or_else(|| bad("it is not PEM"))?;
        let raw = der.strip_prefix(&PUBLIC_DER[..]).and_then(|raw| <[u8; 32]>::try_from(raw).ok());
        let raw = raw.ok_or_else(|| bad("the key is of another kind"))?;
        Self::from_raw(raw).ok_or_else(|| bad("its bytes are not those of a key"))
    }

    /// Whether `signature` is that of this key over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.pem())
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_pem(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A whole key: makes signatures. Its bytes are wiped when it is dropped, and never shown.
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// A new key from the system's random numbers.
    ///
    /// # Errors
    /// When the system has none.
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        random(&mut *seed)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The 64 bytes of the signature over `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// What this key and `other` agree on, and nobody else knows: X25519 (RFC 7748) between the
    /// forms that both have on Curve25519. Signing and agreeing with one key does not weaken
    /// either, as long as what is agreed on is hashed before it is used.
    #[must_use]
    pub fn agree(&self, other: &PublicKey) -> Zeroizing<[u8; 32]> {
        Zeroizing::new((other.0.to_montgomery() * self.0.to_scalar()).to_bytes())
    }

    /// As PEM (PKCS #8).
    pub(super) fn pem(&self) -> Zeroizing<String> {
        let der = Zeroizing::new([&PRIVATE_DER[..], self.0.as_bytes()].concat());
        Zeroizing::new(pem("PRIVATE KEY", &der))
    }

    /// Reads what [`pem`](Self::pem) wrote, or `openssl genpkey -algorithm ed25519`.
    pub(super) fn from_pem(given: &str) -> Option<Self> {
        let der = Zeroizing::new(from_pem("PRIVATE KEY", given)?);
        let raw = Zeroizing::new(<[u8; 32]>::try_from(der.strip_prefix(&PRIVATE_DER[..])?).ok()?);
        Some(Self(SigningKey::from_bytes(&raw)))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().id())
    }
}

/// Fills `bytes` with random numbers of the system.
///
/// # Errors
/// When the system has none.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|error| Error::io(format!("the system gives no random numbers: {error}")))
}

fn pem(label: &str, der: &[u8]) -> String {
    // Both DER forms are short enough for one line of at most 64 characters (RFC 7468).
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(der))
}

fn from_pem(label: &str, given: &str) -> Option<Vec<u8>> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let (_, rest) = given.split_once(&begin)?;
    let (body, _) = rest.split_once(&end)?;
    let body: String = body.split_ascii_whitespace().collect();
    BASE64.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_text_form() {
        let key = PrivateKey::generate().unwrap();
        let again = PrivateKey::from_pem(&key.pem()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(PublicKey::from_pem(&key.public().pem()).unwrap(), key.public());
        let id: KeyId = key.public().id().to_string().parse().unwrap();
        assert_eq!(id, key.public().id());
        assert!(id.begins_with(&id.short()) && !id.begins_with(&id.to_string()[..7]));
        assert_ne!(PrivateKey::generate().unwrap().public(), key.public());
    }

    #[test]
    fn only_public_ed25519_keys_are_taken() {
        let private = PrivateKey::generate().unwrap();
        let order_one = pem("PUBLIC KEY", &[&PUBLIC_DER[..], &[1], &[0; 31]].concat());
        for bad in [
            "",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            &private.pem(),
            &order_one,
        ] {
            assert!(PublicKey::from_pem(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn two_keys_agree_and_a_third_does_not() {
        let [one, two, three] = std::array::from_fn(|_| PrivateKey::generate().unwrap());
        assert_eq!(one.agree(&two.public()), two.agree(&one.public()));
        assert_ne!(one.agree(&two.public()), three.agree(&one.public()));
        assert_ne!(*one.agree(&two.public()), [0; 32]);
    }

    #[test]
    fn a_signature_fits_its_key_and_message() {
        let (key, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let mut signature = key.sign(b"message");
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"massage", &signature));
        assert!(!other.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"message", &signature[..63]));
        signature[0] ^= 1;
        assert!(!key.public().verifies(b"message", &signature));
    }
}
