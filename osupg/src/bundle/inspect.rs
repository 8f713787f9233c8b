//! Looks at a bundle without taking it in.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Opened;
use super::header::Locked;
use super::index::{self, Index};
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;
use crate::time::Moment;
use crate::trust::{self, TrustList};

/// What to look at.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The bundle.
    pub file: PathBuf,
    /// A file with the passphrase that opens it.
    #[serde(default)]
    pub passphrase_file: Option<PathBuf>,
}

/// What a bundle says. Unless `trusted`, anybody may have written it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Inspected {
    /// Whether a key that is trusted here has signed it.
    pub trusted: bool,
    /// What people here call that key; otherwise why the bundle is not trusted.
    pub signer: String,
    /// Whether it is encrypted.
    pub locked: bool,
    /// When it was made.
    pub made_at: Moment,
    /// What its maker says about it.
    pub comment: String,
    /// The revisions in it.
    pub revisions: Vec<Brought>,
    /// What its reader must have, as in `OSU00001@2`; empty for a full bundle.
    pub base: Vec<String>,
    /// Pieces in it.
    pub pieces: u64,
    /// Their bytes.
    pub pieces_size: u64,
    /// Bytes of the file.
    pub size: u64,
}

/// A revision in a bundle.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Brought {
    /// The package's id.
    pub package: String,
    /// Its name.
    pub name: String,
    /// The revision's number.
    pub number: i64,
    /// Its editions.
    pub editions: String,
    /// Their builds.
    pub builds: String,
    /// Files in it.
    pub files: u64,
    /// The sum of their sizes.
    pub size: u64,
}

impl Operation for Request {
    type Outcome = Inspected;
    const NAME: &'static str = "bundle.inspect";
    const RIGHT: Right = Right::Operate;

    fn places(&self) -> Vec<&Path> {
        [&self.file].into_iter().chain(&self.passphrase_file).map(PathBuf::as_path).collect()
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Inspected> {
        let passphrase = self.passphrase_file.as_deref();
        let opened = tokio::task::block_in_place(|| Opened::open(&self.file, passphrase, home))?;
        inspect(home, &opened)
    }
}

fn inspect(home: &Home, opened: &Opened) -> Result<Inspected> {
    let list = TrustList::of(home)?;
    let payload = opened.envelope.payload();
    let signer = trust::signer(&opened.envelope, &list, index::PAYLOAD_TYPE);
    let (trusted, signer) = match signer {
        Ok((_, name)) => match Index::read(payload, Some(&list)) {
            Ok(_) => (true, name),
            Err(error) => (false, error.to_string()),
        },
        Err(error) => (false, error.to_string()),
    };
    let index = Index::read(payload, None)?;
    let brought = index.documents.iter().map(|(document, _)| Brought {
        package: document.package.id.clone(),
        name: document.package.name.clone(),
        number: document.number,
        editions: document.editions.clone(),
        builds: document.builds.clone(),
        files: document.files().count() as u64,
        size: document.total_size(),
    });
    Ok(Inspected {
        trusted,
        signer,
        locked: opened.locked != Locked::Open,
        made_at: index.made_at,
        comment: index.comment.clone(),
        revisions: brought.collect(),
        base: index.base.iter().map(|base| format!("{}@{}", base.package, base.number)).collect(),
        pieces: index.pieces.len() as u64,
        pieces_size: index.size(),
        size: opened.size,
    })
}
