//! Another osupg over HTTPS: as the server that says what is wanted, and as a source.

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use wim_extract::Cancel;

use super::agent::Authority;
use super::report::{Noted, Report, Wanted, WantedRequest};
use super::source::{Part, Source};
use crate::error::Result;
use crate::package::document;
use crate::package::reference::Reference;
use crate::progress::{Silent, Watch};
use crate::remote::Client;
use crate::store::layout::Piece;
use crate::trust::Envelope;

/// The server of a node.
#[derive(Debug)]
pub struct Server {
    /// How it is reached.
    pub client: Client,
    /// The node's point there.
    pub point: String,
}

impl Authority for Server {
    fn wanted<'a>(&'a self, watch: Watch<'a>) -> LocalBoxFuture<'a, Result<Wanted>> {
        async move { self.client.call(&WantedRequest { point: self.point.clone() }, watch).await }
            .boxed_local()
    }

    fn report<'a>(
        &'a self,
        report: &'a Report,
        watch: Watch<'a>,
    ) -> LocalBoxFuture<'a, Result<Noted>> {
        self.client.call(report, watch).boxed_local()
    }
}

/// An osupg that content is fetched from.
#[derive(Debug)]
pub struct Http(pub Client);

impl Source for Http {
    fn name(&self) -> String {
        self.0.url().to_string()
    }

    fn envelope<'a>(
        &'a self,
        package: &'a str,
        number: i64,
    ) -> LocalBoxFuture<'a, Result<Option<Envelope>>> {
        async move {
            let package = Reference { package: package.into(), revision: Some(number) };
            // Whoever stops the node stops it before the next source.
            let cancel = Cancel::new();
            let watch = Watch { progress: &Silent, cancel: &cancel };
            self.0.call(&document::Request { package }, watch).await.map(Some)
        }
        .boxed_local()
    }

    fn piece<'a>(&'a self, piece: &'a Piece, part: &'a mut Part) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            if part.is_full() {
                return Ok(());
            }
            let mut body = self.0.object(piece, part.len()).await?;
            while let Some(chunk) = body.chunk().await? {
                part.append(&chunk)?;
            }
            Ok(())
        }
        .boxed_local()
    }
}
