//! `/api/v1/content/…`: objects, the files of a revision put together from them, and its signed
//! document.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::identity::{self, Peer};
use super::problem::Refusal;
use super::transfer::{Lifetime, Representation, Stored};
use super::{Service, Shared};
use crate::accounts::{Caller, Scopes, Sight};
use crate::error::{Error, Result};
use crate::package::document;
use crate::package::model::{Content, Package};
use crate::package::reference::Reference;
use crate::store::layout::ObjectId;
use crate::text;

/// What these calls are called in the audit log.
const NAME: &str = "content.get";
/// Whatever it is: content is nothing that a browser should try to show.
const BYTES: &str = "application/octet-stream";
/// Manifests that are kept in memory, about a megabyte each.
const MANIFESTS: usize = 16;

/// `GET /api/v1/content/objects/{blake3}`
pub(super) async fn object(
    State(service): State<Shared>,
    Path(digits): Path<String>,
    from: Peer,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = reader(&service, from, &headers).await?;
    let unknown =
        || Error::not_found(format!("no package holds an object {:?}", text::clean(&digits)));
    let id = text::unhex(&digits).map(ObjectId).ok_or_else(unknown)?;
    let (piece, packages) = service.home.db.served_object(id).await?.ok_or_else(unknown)?;
    if let Some(Caller { scopes: scopes @ Scopes::Only(_), .. }) = &caller {
        let sight = Sight::of(&service.home.db, scopes).await?;
        if !packages.iter().any(|package| sight.sees(package)) {
            return Err(unknown().into());
        }
    }
    let what = Representation {
        bytes: Stored::Pieces(service.home.library.clone(), [piece].into()),
        tag: id.to_string(),
        media_type: BYTES,
        lifetime: Lifetime::Immutable,
    };
    Ok(service.transfers.send(what, &method, &headers).await?)
}

/// `GET /api/v1/content/files/{package}/{number}/{path}`
pub(super) async fn file(
    State(service): State<Shared>,
    Path((package, number, path)): Path<(String, String, String)>,
    from: Peer,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = reader(&service, from, &headers).await?;
    let package = revision(&service, caller.as_ref(), package, &number).await?;
    // The path is looked up in the manifest and nowhere else: no file system ever sees it.
    let manifest = service.manifest(&package).await?;
    let content = manifest.get(&path).ok_or_else(|| {
        Error::not_found(format!(
            "{} revision {} has no file {:?}",
            package.id,
            package.revision.number,
            text::clean(&path)
        ))
    })?;
    let what = Representation {
        bytes: Stored::Pieces(service.home.library.clone(), content.pieces.clone().into()),
        tag: text::hex(&content.sha256),
        media_type: BYTES,
        lifetime: Lifetime::Immutable,
    };
    Ok(service.transfers.send(what, &method, &headers).await?)
}

/// `GET /api/v1/content/revisions/{package}/{number}`: the revision's signed document.
pub(super) async fn document(
    State(service): State<Shared>,
    Path((package, number)): Path<(String, String)>,
    from: Peer,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = reader(&service, from, &headers).await?;
    let package = revision(&service, caller.as_ref(), package, &number).await?;
    let reference = Reference { package: package.id, revision: Some(package.revision.number) };
    let document = document::of_revision(&service.home, &reference).await?;
    let envelope = document::sign(&service.home, &document).await?;
    let bytes = Bytes::from(envelope.to_json());
    let what = Representation {
        tag: blake3::hash(&bytes).to_hex().to_string(),
        bytes: Stored::Memory(bytes),
        media_type: "application/json",
        // The package may be renamed, and the key of the store changed.
        lifetime: Lifetime::Revalidate,
    };
    Ok(service.transfers.send(what, &method, &headers).await?)
}

/// Whoever asks for content; `None` where it is given to everybody.
pub(super) async fn reader(
    service: &Shared,
    from: Peer,
    headers: &HeaderMap,
) -> Result<Option<Caller>> {
    // A token that is sent must be good, even where none is needed.
    if service.settings.anonymous_content && identity::token(headers)?.is_none() {
        return Ok(None);
    }
    let caller = service.caller(headers).await.and_then(|caller| {
        caller.may_read()?;
        Ok(caller)
    });
    match caller {
        Ok(caller) => Ok(Some(caller)),
        Err(error) => {
            service.refused(None, from, NAME, None, &Value::Null, &error).await;
            Err(error)
        }
    }
}

/// The package at the revision that an address names, if `caller` may see it.
pub(super) async fn revision(
    service: &Service,
    caller: Option<&Caller>,
    package: String,
    number: &str,
) -> Result<Package> {
    let revision = number.parse::<i64>().ok().filter(|number| *number > 0).ok_or_else(|| {
        Error::not_found(format!("{:?} is no number of a revision", text::clean(number)))
    })?;
    if let Some(caller) = caller {
        caller.may_see(&service.home, &package).await?;
    }
    service.home.db.package_at(&Reference { package, revision: Some(revision) }).await
}

type Manifest = Arc<HashMap<String, Content>>;

/// The files of the revisions that were asked for last. A revision never changes.
#[derive(Debug, Default)]
pub(super) struct Manifests(Mutex<VecDeque<(i64, Manifest)>>);

impl Service {
    async fn manifest(&self, package: &Package) -> Result<Manifest> {
        let key = package.revision.key;
        if let Some(manifest) = self.manifests.get(key) {
            return Ok(manifest);
        }
        let entries = self.home.db.entries(key).await?;
        let files = entries
            .into_iter()
            .filter_map(|entry| Some((entry.path.as_str().to_string(), entry.content?)));
        let manifest = Arc::new(files.collect::<HashMap<_, _>>());
        self.manifests.keep(key, Arc::clone(&manifest));
        Ok(manifest)
    }
}

impl Manifests {
    fn get(&self, key: i64) -> Option<Manifest> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = kept.iter().position(|(other, _)| *other == key)?;
        let found = kept.remove(position)?;
        let manifest = Arc::clone(&found.1);
        kept.push_front(found);
        Some(manifest)
    }

    fn keep(&self, key: i64, manifest: Manifest) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, _)| *other != key);
        kept.push_front((key, manifest));
        kept.truncate(MANIFESTS);
    }
}
