//! The header of a bundle.
//!
//! ```text
//! offset  size
//!      0     8   "osupgbnd"
//!      8     2   version of the format, little-endian: 1
//!     10     1   how it is locked: 0 not at all, 1 by a passphrase, 2 to a recipient's key
//!     11     1   zero
//!     12    64   passphrase: memory in KiB, passes, lanes (4 bytes each, little-endian), salt (16)
//!                recipient:  public half of the key pair made for this bundle (32), id of the
//!                recipient's key (32)
//!                the rest, and all of it if the bundle is not locked: zero
//!     76     4   CRC-32 of the bytes before, little-endian
//! ```

use std::io::Read;

use zeroize::Zeroizing;

use super::cipher::{self, COSTS, Cipher, Costs};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::trust;
use crate::trust::key::{self, KeyId, PrivateKey, PublicKey};

/// Bytes of a header.
pub const SIZE: usize = 80;
const MAGIC: &[u8; 8] = b"osupgbnd";
const VERSION: u16 = 1;

/// For whom a bundle is made.
#[derive(Debug, Clone)]
pub enum Lock {
    /// For anybody who gets hold of it. It is signed all the same.
    Open,
    /// For those who know a passphrase.
    Passphrase(Zeroizing<String>),
    /// For the store that has this key.
    Recipient(PublicKey),
}

/// How a bundle is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// Not at all.
    Open,
    /// By a passphrase.
    Passphrase {
        /// What deriving its key costs.
        costs: Costs,
        /// Makes equal passphrases give unequal keys.
        salt: [u8; 16],
    },
    /// To a recipient's key.
    Recipient {
        /// The public half of the key pair made for this bundle.
        ephemeral: [u8; 32],
        /// The recipient's key.
        key: KeyId,
    },
}

/// What a new bundle begins with, and the cipher of its frames.
///
/// # Errors
/// When the system has no random numbers.
pub(super) fn make(lock: &Lock) -> Result<([u8; SIZE], Cipher)> {
    match lock {
        Lock::Open => Ok((bytes(&Locked::Open)?, Cipher::none())),
        Lock::Passphrase(passphrase) => {
            let mut salt = [0; 16];
            key::random(&mut salt)?;
            let header = bytes(&Locked::Passphrase { costs: COSTS, salt })?;
            let secret = cipher::from_passphrase(passphrase, &salt, COSTS)?;
            Ok((header, cipher::derive(&secret, &header)))
        }
        Lock::Recipient(recipient) => {
            let pair = PrivateKey::generate()?;
            let locked = Locked::Recipient { ephemeral: pair.public().raw(), key: recipient.id() };
            let header = bytes(&locked)?;
            let secret = pair.agree(recipient);
            Ok((header, cipher::derive(&secret, &header)))
        }
    }
}

/// Reads the header of a bundle.
///
/// # Errors
/// When it is none, is damaged, or was made by a newer osupg.
pub fn read(from: &mut impl Read) -> Result<(Locked, [u8; SIZE])> {
    let mut header = [0; SIZE];
    from.read_exact(&mut header).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::damaged("this is no bundle: it is too short"),
        _ => Error::io(format!("cannot read the bundle: {error}")),
    })?;
    Ok((parse(&header)?, header))
}

/// The cipher of the frames behind a header. `passphrase` is asked for only if it is needed.
///
/// # Errors
/// When a passphrase is needed and not given, or the bundle is for another store.
pub(super) fn unlock(
    locked: &Locked,
    header: &[u8; SIZE],
    passphrase: Option<&str>,
    home: &Home,
) -> Result<Cipher> {
    match locked {
        Locked::Open => Ok(Cipher::none()),
        Locked::Passphrase { costs, salt } => {
            let passphrase = passphrase.ok_or_else(|| {
                Error::usage("the bundle is locked by a passphrase")
                    .advise("name a file with it: --passphrase-file")
            })?;
            let secret = cipher::from_passphrase(passphrase, salt, *costs)?;
            Ok(cipher::derive(&secret, header))
        }
        Locked::Recipient { ephemeral, key } => {
            let own = trust::private_key(home)?;
            if own.public().id() != *key {
                return Err(Error::usage(format!(
                    "the bundle is locked to key {key}, and this store has {}",
                    own.public().id()
                ))
                .advise("have it made again for this store's key, which `osupg key show` prints"));
            }
            let ephemeral = PublicKey::from_raw(*ephemeral)
                .ok_or_else(|| Error::damaged("the header of the bundle holds no key"))?;
            Ok(cipher::derive(&own.agree(&ephemeral), header))
        }
    }
}

fn bytes(locked: &Locked) -> Result<[u8; SIZE]> {
    let mut block = [0; 64];
    let kind = match locked {
        Locked::Open => 0,
        Locked::Passphrase { costs, salt } => {
            let Costs { memory_kib, passes, lanes } = *costs;
            for (at, number) in [memory_kib, passes, lanes].into_iter().enumerate() {
                block[4 * at..][..4].copy_from_slice(&number.to_le_bytes());
            }
            block[12..28].copy_from_slice(salt);
            1
        }
        Locked::Recipient { ephemeral, key } => {
            block[..32].copy_from_slice(ephemeral);
            block[32..].copy_from_slice(key.as_bytes());
            2
        }
    };
    let [v0, v1] = VERSION.to_le_bytes();
    let start = [&MAGIC[..], &[v0, v1, kind, 0], &block].concat();
    let crc = crc32fast::hash(&start).to_le_bytes();
    <[u8; SIZE]>::try_from([start, crc.to_vec()].concat())
        .map_err(|_| Error::io("internal: a bundle's header has another size"))
}

fn parse(header: &[u8; SIZE]) -> Result<Locked> {
    let damaged = |what: &str| Error::damaged(format!("the header of the bundle {what}"));
    let (start, crc) = header.split_at(SIZE - 4);
    let Some(rest) = start.strip_prefix(&MAGIC[..]) else {
        return Err(Error::damaged("this is no bundle: it begins with something else"));
    };
    if crc32fast::hash(start).to_le_bytes() != crc {
        return Err(damaged("is damaged").advise("copy the file again from where it was made"));
    }
    let (head, block) = rest.split_at(4);
    if head[..2] != VERSION.to_le_bytes() {
        return Err(Error::usage("the bundle is of a newer kind").advise("update osupg"));
    }
    let number = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&block[at..at + 4]);
        u32::from_le_bytes(bytes)
    };
    let take = |at: usize| {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&block[at..at + 32]);
        bytes
    };
    let zero = |from: usize| block[from..].iter().all(|byte| *byte == 0);
    match (head[2], head[3]) {
        (0, 0) if zero(0) => Ok(Locked::Open),
        (1, 0) if zero(28) => {
            let mut salt = [0; 16];
            salt.copy_from_slice(&block[12..28]);
            let costs = Costs { memory_kib: number(0), passes: number(4), lanes: number(8) };
            Ok(Locked::Passphrase { costs, salt })
        }
        (2, 0) => Ok(Locked::Recipient { ephemeral: take(0), key: KeyId::from_bytes(take(32)) }),
        _ => Err(damaged("says something that no bundle says")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_every_flipped_bit_is_found() {
        let recipient = PrivateKey::generate().unwrap().public();
        for locked in [
            Locked::Open,
            Locked::Passphrase { costs: COSTS, salt: [7; 16] },
            Locked::Recipient { ephemeral: recipient.raw(), key: recipient.id() },
        ] {
            let header = bytes(&locked).unwrap();
            assert_eq!(parse(&header).unwrap(), locked);
            for bit in 0..SIZE * 8 {
                let mut flipped = header;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(parse(&flipped).is_err(), "bit {bit}");
            }
        }
        assert!(read(&mut &bytes(&Locked::Open).unwrap()[..SIZE - 1]).is_err());
    }

    #[tokio::test]
    async fn locks_open_for_whom_they_were_made() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("one")).await.unwrap();
        let other = Home::open(&folder.path().join("other")).await.unwrap();
        let sealed = |cipher: &Cipher| cipher.seal(0, &[0; 8], b"content");

        let own = trust::private_key(&home).unwrap().public();
        let (header, cipher) = make(&Lock::Recipient(own)).unwrap();
        let locked = parse(&header).unwrap();
        let opened = unlock(&locked, &header, None, &home).unwrap();
        assert_eq!(sealed(&opened), sealed(&cipher));
        assert!(unlock(&locked, &header, None, &other).is_err());

        let phrase = Lock::Passphrase(Zeroizing::new("correct horse".into()));
        let (header, cipher) = make(&phrase).unwrap();
        let locked = parse(&header).unwrap();
        let opened = unlock(&locked, &header, Some("correct horse"), &other).unwrap();
        assert_eq!(sealed(&opened), sealed(&cipher));
        let wrong = unlock(&locked, &header, Some("wrong horse"), &other).unwrap();
        assert_ne!(sealed(&wrong), sealed(&cipher));
        assert!(unlock(&locked, &header, None, &home).is_err());
    }
}
