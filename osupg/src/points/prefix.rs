//! A prefix of an object store, whose silence is borne for so long and no longer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::{Error, Result};
use crate::store::cut::MAX_PIECE;
use crate::text;

/// A prefix, and how it is asked.
#[derive(Debug, Clone)]
pub struct Prefix {
    /// The store, beginning at the prefix.
    pub store: Arc<dyn ObjectStore>,
    /// For messages.
    pub address: String,
    /// How long it may be silent.
    pub silence: Duration,
}

impl Prefix {
    /// Makes a request, or takes the next bytes of an answer; `None` where there is no such object.
    pub(super) async fn ask<T>(
        &self,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<Option<T>> {
        self.ask_within(self.silence, request).await
    }

    /// Makes a request that may take so long; `None` where there is no such object.
    pub(super) async fn ask_within<T>(
        &self,
        timeout: Duration,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<Option<T>> {
        let advice = "check the address, the keys and the network";
        match tokio::time::timeout(timeout, request).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(object_store::Error::NotFound { .. })) => Ok(None),
            Ok(Err(error)) => Err(Error::io(format!("{}: {error}", self.shown())).advise(advice)),
            Err(_) => Err(Error::io(format!(
                "{} has not answered for {} seconds",
                self.shown(),
                timeout.as_secs()
            ))
            .advise(advice)),
        }
    }

    /// The bytes of an object of at most `limit`.
    pub(super) async fn get(&self, at: &Path, limit: usize) -> Result<Option<Bytes>> {
        let Some(found) = self.ask(self.store.get(at)).await? else { return Ok(None) };
        if found.meta.size > limit as u64 {
            return Err(Error::damaged(format!(
                "{}/{at} is longer than the {limit} bytes that it can have",
                self.shown()
            )));
        }
        // What is announced is believed as far as a piece goes.
        let mut bytes = BytesMut::with_capacity(found.meta.size.min(MAX_PIECE as u64) as usize);
        let mut chunks = found.into_stream();
        while let Some(chunk) = self.ask(chunks.try_next()).await?.flatten() {
            if bytes.len() + chunk.len() > limit {
                return Err(Error::damaged(format!(
                    "{}/{at} gives more bytes than it said",
                    self.shown()
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    /// The address, as a message holds it.
    pub(super) fn shown(&self) -> String {
        text::clean(&self.address).to_string()
    }
}
