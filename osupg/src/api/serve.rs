//! Listens, answers until it is told to stop, and tells systemd how it is.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::sync::watch;
use wim_extract::Cancel;

use super::connections::Limited;
use super::{Service, Settings, Shared, router, tls};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::system::{self, ReloadRequests};

/// How long a client has to send the head of its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(30);
/// How often it is looked whether the service is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Serves `home` until `cancel` is set; then waits for requests that are being answered.
/// `listening` is told the address when the first request can come.
///
/// # Errors
/// When the settings do not fit each other, or it is impossible to listen.
pub async fn serve(
    home: Home,
    settings: Settings,
    cancel: Cancel,
    listening: impl FnOnce(SocketAddr, Scheme) + Send,
) -> Result<()> {
    let config = match (&settings.tls_cert, &settings.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(RustlsConfig::from_config(tls::read(certificate, key)?))
        }
        (None, None) => None,
        _ => {
            return Err(Error::usage("TLS needs both a certificate and its key")
                .advise("set both tls-cert and tls-key in [serve], or neither"));
        }
    };
    let scheme = if config.is_some() { Scheme::Https } else { Scheme::Http };
    check_listen(&settings, scheme)?;
    let listener = bind(settings.listen)?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::io(format!("the address listened at is not known: {error}")))?;

    let (stop, stopping) = watch::channel(false);
    let within = Duration::from_secs(settings.stop_within);
    let service = Service::new(home, settings, stopping);
    let handle = Handle::new();
    let tasks = [
        tokio::spawn(stop_on(cancel, stop, handle.clone(), within)),
        tokio::spawn(keep_watchdog_quiet(Arc::clone(&service))),
        tokio::spawn(reload_on_hangup(Arc::clone(&service), config.clone())),
    ];
    listening(address, scheme);
    system::tell_ready();
    let served = answer(listener, config, handle, &service).await;
    for task in tasks {
        task.abort();
    }
    served
}

/// How the service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// Passwords and tokens must not cross a network in the clear by accident.
fn check_listen(settings: &Settings, scheme: Scheme) -> Result<()> {
    let local = settings.listen.ip().to_canonical().is_loopback();
    if local || scheme == Scheme::Https || settings.allow_plain_http {
        return Ok(());
    }
    Err(Error::usage(format!(
        "other machines would reach {} without TLS, and passwords would cross the network in the \
         clear",
        settings.listen
    ))
    .advise(
        "set tls-cert and tls-key in [serve]; behind a proxy that has TLS, set allow-plain-http",
    ))
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|error| {
            Error::io(format!("cannot listen at {address}: {error}"))
                .advise("choose another address with --listen or listen in [serve]")
        })
}

async fn answer(
    listener: TcpListener,
    config: Option<RustlsConfig>,
    handle: Handle<SocketAddr>,
    service: &Shared,
) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(format!("the service has failed: {error}"));
    let limited = Limited::to(service.settings.connections);
    let app = router(Arc::clone(service)).into_make_service_with_connect_info::<SocketAddr>();
    match config {
        Some(config) => {
            let acceptor = RustlsAcceptor::new(config).acceptor(limited);
            let server = axum_server::from_tcp(listener).map_err(failed)?.acceptor(acceptor);
            server.http1_only().first_request_timeout(FIRST_REQUEST).handle(handle).serve(app).await
        }
        None => {
            let server = axum_server::from_tcp(listener).map_err(failed)?.acceptor(limited);
            server.http1_only().first_request_timeout(FIRST_REQUEST).handle(handle).serve(app).await
        }
    }
    .map_err(failed)
}

async fn stop_on(
    cancel: Cancel,
    stop: watch::Sender<bool>,
    handle: Handle<SocketAddr>,
    within: Duration,
) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(LOOK).await;
    }
    system::tell_stopping();
    tracing::info!("stopping");
    let _ = stop.send(true);
    handle.graceful_shutdown(Some(within));
    // The tasks that wait for this to be set must not find its sender gone.
    std::future::pending::<()>().await;
}

/// Tells the manager of services that this one lives, as long as its database answers.
async fn keep_watchdog_quiet(service: Shared) {
    let Some(limit) = system::watchdog() else { return };
    loop {
        match service.home.db.answers().await {
            Ok(()) => system::tell_alive(),
            Err(error) => tracing::error!("the database does not answer: {error}"),
        }
        tokio::time::sleep(limit / 3).await;
    }
}

/// Reads the certificate again on SIGHUP, where there is one. One that cannot be used leaves the old one in place.
async fn reload_on_hangup(service: Shared, config: Option<RustlsConfig>) {
    let Some(mut requests) = ReloadRequests::listen() else { return };
    while requests.next().await.is_some() {
        let Settings { tls_cert: Some(certificate), tls_key: Some(key), .. } = &service.settings
        else {
            continue;
        };
        match (tls::read(certificate, key), &config) {
            (Ok(fresh), Some(config)) => {
                config.reload_from_config(fresh);
                tracing::info!("the certificate was read again");
            }
            (Err(error), _) => tracing::error!("the old certificate stays in use: {error}"),
            (Ok(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_listened_to_with_tls_only() {
        let at = |listen: &str| Settings { listen: listen.parse().unwrap(), ..Settings::default() };
        for local in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(check_listen(&at(local), Scheme::Http).is_ok(), "{local}");
        }
        for open in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
            assert!(check_listen(&at(open), Scheme::Http).is_err(), "{open}");
            assert!(check_listen(&at(open), Scheme::Https).is_ok(), "{open}");
            let allowed = Settings { allow_plain_http: true, ..at(open) };
            assert!(check_listen(&allowed, Scheme::Http).is_ok(), "{open}");
        }
    }
}
