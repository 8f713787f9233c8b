//! No more connections at a time than the service can bear.

use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

/// Accepts connections as long as there is a place for them; the next ones are closed at once.
#[derive(Debug, Clone)]
pub(super) struct Limited(Arc<Semaphore>);

impl Limited {
    /// So many places.
    pub(super) fn to(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }
}

impl<I, S> Accept<I, S> for Limited {
    type Stream = I;
    type Service = Held<S>;
    type Future = Ready<io::Result<(I, Held<S>)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let place = Arc::clone(&self.0).try_acquire_owned();
        ready(match place {
            Ok(place) => Ok((stream, Held { service, _place: Arc::new(place) })),
            Err(_) => {
                tracing::warn!("a connection is refused: there are too many");
                Err(io::Error::new(io::ErrorKind::ConnectionRefused, "too many connections"))
            }
        })
    }
}

/// The service of one connection, with its place.
#[derive(Debug, Clone)]
pub(super) struct Held<S> {
    service: S,
    _place: Arc<OwnedSemaphorePermit>,
}

impl<R, S: Service<R>> Service<R> for Held<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.service.call(request)
    }
}
