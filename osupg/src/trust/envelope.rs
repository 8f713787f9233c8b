//! DSSE envelopes.
//!
//! ```json
//! {"payloadType": "…", "payload": "<base64>", "signatures": [{"keyid": "…", "sig": "<base64>"}]}
//! ```
//!
//! Signed is the pre-authentication encoding: `DSSEv1 <length> <type> <length> <payload>`, the
//! lengths in decimal digits. Fields that are not known are passed over, as DSSE asks for.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::key::{KeyId, PrivateKey, PublicKey};
use crate::error::{Error, Result};
use crate::text;

/// Signatures that an envelope may carry: each costs whoever opens it a check.
pub const MAX_SIGNATURES: usize = 16;

/// A statement with its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    /// As the envelope has it; text of strangers may be anything.
    key: String,
    bytes: Vec<u8>,
}

/// The envelope as JSON has it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Wire {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct WireSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl TryFrom<Wire> for Envelope {
    type Error = String;

    fn try_from(wire: Wire) -> std::result::Result<Self, String> {
        if wire.signatures.len() > MAX_SIGNATURES {
            return Err(format!(
                "the envelope has {} signatures; {MAX_SIGNATURES} is the most",
                wire.signatures.len()
            ));
        }
        let decode = |what: &str, given: &str| {
            // DSSE lets its makers choose between the two alphabets.
            let decoded = BASE64.decode(given).or_else(|_| URL_SAFE.decode(given));
            decoded.map_err(|error| format!("the {what} is not base64: {error}"))
        };
        Ok(Self {
            payload: decode("payload", &wire.payload)?,
            payload_type: wire.payload_type,
            signatures: wire
                .signatures
                .into_iter()
                .map(|one| Ok(Signature { bytes: decode("signature", &one.sig)?, key: one.keyid }))
                .collect::<std::result::Result<_, String>>()?,
        })
    }
}

impl From<Envelope> for Wire {
    fn from(envelope: Envelope) -> Self {
        Self {
            payload_type: envelope.payload_type,
            payload: BASE64.encode(envelope.payload),
            signatures: envelope
                .signatures
                .into_iter()
                .map(|one| WireSignature { keyid: one.key, sig: BASE64.encode(one.bytes) })
                .collect(),
        }
    }
}

impl JsonSchema for Envelope {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Envelope".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Wire::json_schema(generator)
    }
}

impl Envelope {
    /// Signs a statement with each of `keys`.
    #[must_use]
    pub fn sign(payload_type: &str, payload: &[u8], keys: &[&PrivateKey]) -> Self {
        let message = encoding(payload_type, payload);
        let signature = |key: &&PrivateKey| Signature {
            key: key.public().id().to_string(),
            bytes: key.sign(&message).to_vec(),
        };
        Self {
            payload_type: payload_type.to_string(),
            payload: payload.to_vec(),
            signatures: keys.iter().map(signature).collect(),
        }
    }

    /// Reads an envelope from JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json)
            .map_err(|error| Error::damaged(format!("this is no signed statement: {error}")))
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Texts and lists of texts: nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What kind of statement it claims to be.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The statement, for those who have verified it.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The ids of the keys that it claims to be signed by, as far as they are ids.
    #[must_use]
    pub fn claimed_signers(&self) -> Vec<KeyId> {
        self.signatures.iter().filter_map(|one| one.key.parse().ok()).collect()
    }

    /// The first signer that `key` knows whose signature is right; `None` when it knows none of
    /// them.
    ///
    /// # Errors
    /// When the statement is of another kind, or the signature of a known key is wrong.
    pub fn verify(
        &self,
        payload_type: &str,
        key: impl Fn(&KeyId) -> Option<PublicKey>,
    ) -> Result<Option<KeyId>> {
        if self.payload_type != payload_type {
            return Err(Error::damaged(format!(
                "the statement is of the kind {:?}, where {payload_type:?} is expected",
                text::clean(&self.payload_type)
            )));
        }
        let message = encoding(&self.payload_type, &self.payload);
        let mut wrong = None;
        for signature in &self.signatures {
            let Ok(id) = signature.key.parse::<KeyId>() else { continue };
            let Some(key) = key(&id) else { continue };
            if key.verifies(&message, &signature.bytes) {
                return Ok(Some(id));
            }
            wrong = Some(id);
        }
        match wrong {
            None => Ok(None),
            Some(id) => Err(Error::damaged(format!(
                "the signature of key {id} does not fit: the statement was changed after it was \
                 signed, or somebody else made it"
            ))),
        }
    }
}

/// What a signature is over.
fn encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "application/vnd.osupg.test";

    fn trusting(key: &PrivateKey) -> impl Fn(&KeyId) -> Option<PublicKey> {
        let public = key.public();
        move |id| (*id == public.id()).then_some(public)
    }

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        assert_eq!(
            encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn a_signed_statement_survives_the_wire() {
        let key = PrivateKey::generate().unwrap();
        let envelope = Envelope::sign(KIND, b"\x00anything\xff", &[&key]);
        let json = envelope.to_json();
        let read = Envelope::from_json(json.as_bytes()).unwrap();
        assert_eq!(read, envelope);
        assert_eq!(read.verify(KIND, trusting(&key)).unwrap(), Some(key.public().id()));
        let other_alphabet = json.replace('+', "-").replace('/', "_");
        assert!(Envelope::from_json(other_alphabet.as_bytes()).is_ok());
        let extended = json.replacen('{', "{\"later\":1,", 1);
        assert_eq!(Envelope::from_json(extended.as_bytes()).unwrap(), envelope);
    }

    #[test]
    fn what_was_changed_or_passed_off_is_refused() {
        let (key, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let envelope = Envelope::sign(KIND, b"statement", &[&key]);
        assert!(envelope.verify("application/vnd.osupg.other", trusting(&key)).is_err());
        assert_eq!(envelope.verify(KIND, trusting(&other)).unwrap(), None);
        let mut changed = envelope.clone();
        changed.payload[0] ^= 1;
        assert!(changed.verify(KIND, trusting(&key)).is_err());
        let mut renamed = Envelope::sign(KIND, b"statement", &[&other]);
        renamed.signatures[0].key = key.public().id().to_string();
        assert!(renamed.verify(KIND, trusting(&key)).is_err());
        let unsigned = Envelope { signatures: Vec::new(), ..envelope };
        assert_eq!(unsigned.verify(KIND, trusting(&key)).unwrap(), None);
    }

    #[test]
    fn a_right_signature_beside_a_wrong_one_counts() {
        let (key, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let mut envelope = Envelope::sign(KIND, b"statement", &[&other, &key]);
        envelope.signatures[0].key = key.public().id().to_string();
        assert_eq!(envelope.verify(KIND, trusting(&key)).unwrap(), Some(key.public().id()));
    }

    #[test]
    fn hostile_envelopes_are_refused() {
        let many = format!(
            r#"{{"payloadType":"x","payload":"","signatures":[{}]}}"#,
            vec![r#"{"keyid":"","sig":""}"#; MAX_SIGNATURES + 1].join(",")
        );
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"payloadType":"x","payload":"!","signatures":[]}"#,
            r#"{"payloadType":"x","payload":"","signatures":[{"sig":"é"}]}"#,
            &many,
        ] {
            assert!(Envelope::from_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
