//! The client of a service: operations by HTTP, jobs followed to their end, content by ranges.

mod events;
mod follow;
pub mod tokens;
mod work;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;

use crate::accounts::password::Secret;
use crate::api::problem::Problem;
use crate::api::session::{Begun, Login};
use crate::error::{Error, Kind, Result};
use crate::jobs::model::Job;
use crate::operation::Operation;
use crate::progress::Watch;
use crate::store::layout::{ObjectId, Piece};
use crate::text;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a service may be silent in the middle of an answer. Events come more often.
const SILENT: Duration = Duration::from_secs(60);
/// How long sending one body may take, its answer with it: as long as a service waits for a piece.
const SENDING: Duration = Duration::from_secs(300);
/// Bytes of an answer that is read whole: the list of ten thousand packages has some ten million.
const LARGEST_ANSWER: usize = 256 << 20;

/// Which service, and how it is spoken to.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Its address, such as `https://osupg.example:8473`.
    pub url: String,
    /// The token to send.
    pub token: Option<Secret>,
    /// A PEM file with the certificates to trust beside those of the system, as of a service whose
    /// certificate was made by its owner.
    pub certificates: Option<PathBuf>,
    /// How long it may be silent in the middle of an answer; a minute when left out.
    pub silence: Option<Duration>,
}

/// A client of one service.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// For bodies that take long to send, made when there is the first: nothing is answered meanwhile.
    sender: Arc<OnceLock<reqwest::Client>>,
    certificates: Option<PathBuf>,
    base: Url,
    token: Option<Secret>,
}

impl Client {
    /// A client of the service that the settings name. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none, or the certificates cannot be read.
    pub fn new(settings: &Settings) -> Result<Self> {
        let base = base(&settings.url)?;
        let certificates = settings.certificates.clone();
        let silence = settings.silence.unwrap_or(SILENT);
        let http = http(certificates.as_deref(), |builder| builder.read_timeout(silence))?;
        let token = settings.token.clone();
        Ok(Self { http, sender: Arc::default(), certificates, base, token })
    }

    /// The client for bodies that take long to send.
    fn sender(&self) -> Result<&reqwest::Client> {
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let made = http(self.certificates.as_deref(), |builder| builder.timeout(SENDING))?;
        Ok(self.sender.get_or_init(|| made))
    }

    /// The address of the service.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Has an operation done by the service. A job is followed until it is over: `watch` is told
    /// how it gets on, and cancelling cancels it there. A connection that breaks is made again.
    ///
    /// # Errors
    /// Those of the operation, and when the service cannot be reached or does not let it be done.
    pub async fn call<O: Operation>(&self, request: &O, watch: Watch<'_>) -> Result<O::Outcome> {
        let (area, verb) = O::NAME.split_once('.').unwrap_or((O::NAME, ""));
        let sent = self.request(Method::POST, &["api", "v1", area, verb])?.json(request).send();
        let response = tokio::select! {
            sent = sent => self.arrived(sent).await?,
            () = follow::stopped(watch) => {
                let message = "stopped; the service may have done it all the same";
                return Err(Error::of(Kind::Cancelled, message));
            }
        };
        if response.status() == StatusCode::ACCEPTED {
            let job: Job = self.json(response).await?;
            let outcome = follow::to_the_end(self, &job, watch).await?;
            return serde_json::from_value(outcome).map_err(|error| self.unreadable(&error));
        }
        self.json(response).await
    }

    /// Begins a session.
    ///
    /// # Errors
    /// When name and password do not belong together, or the service cannot be reached.
    pub async fn login(&self, name: &str, password: Secret) -> Result<Begun> {
        let login = Login { name: name.to_string(), password };
        let sent = self.request(Method::POST, &["api", "v1", "session"])?.json(&login).send();
        let response = self.arrived(sent.await).await?;
        self.json(response).await
    }

    /// Ends the session whose token this client has.
    ///
    /// # Errors
    /// When the token is not good any more, or the service cannot be reached.
    pub async fn logout(&self) -> Result<()> {
        let sent = self.request(Method::DELETE, &["api", "v1", "session"])?.send();
        self.arrived(sent.await).await.map(|_| ())
    }

    /// The bytes of an object from `from` on, as they come. They are not checked against its name
    /// here: whoever puts them together does that.
    ///
    /// # Errors
    /// When the service does not have the object, or cannot be reached.
    pub async fn object(&self, piece: &Piece, from: u64) -> Result<Body> {
        let id: ObjectId = piece.id;
        let path = ["api", "v1", "content", "objects", &id.to_string()];
        let mut request = self.request(Method::GET, &path)?;
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = self.arrived(request.send().await).await?;
        let expected = piece.size.saturating_sub(from);
        let answered = match (response.status(), from) {
            (StatusCode::OK, 0) => true,
            (StatusCode::PARTIAL_CONTENT, 1..) => {
                let wanted = format!("bytes {from}-{}/{}", piece.size - 1, piece.size);
                response.headers().get(CONTENT_RANGE).is_some_and(|range| range == wanted.as_str())
            }
            _ => false,
        };
        if !answered || response.content_length() != Some(expected) {
            return Err(Error::damaged(format!(
                "{} answers with other bytes of object {id} than were asked for",
                self.url()
            )));
        }
        Ok(Body { response, url: self.url().to_string(), left: expected })
    }

    /// A request to a path below the address of the service, with the token.
    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder> {
        self.request_by(&self.http, method, path)
    }

    fn request_by(
        &self,
        http: &reqwest::Client,
        method: Method,
        path: &[&str],
    ) -> Result<RequestBuilder> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::usage(format!("{} is no address of a service", self.base)))?
            .pop_if_empty()
            .extend(path);
        let request = http.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(&token.0),
            None => request,
        })
    }

    /// The answer, if it is a good one; otherwise the error it tells of.
    async fn arrived(&self, sent: reqwest::Result<Response>) -> Result<Response> {
        let response = sent.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = self.whole(response).await?;
        Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => problem.into_error(),
            Err(_) => Error::io(format!("{} answers with {status}", self.url()))
                .advise("is that the address of osupg, and no proxy between that says so?"),
        })
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T> {
        let bytes = self.whole(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.unreadable(&error))
    }

    async fn whole(&self, mut response: Response) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Error::io(format!("{} answers with too many bytes", self.url())));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        unreachable(self.url(), error)
    }

    fn unreadable(&self, error: &serde_json::Error) -> Error {
        Error::io(format!("{} answers with something unknown: {error}", self.url()))
            .advise("an older or newer osupg may answer there; both should be of one version")
    }
}

/// An HTTP client that trusts these certificates beside those of the system.
fn http(
    certificates: Option<&Path>,
    patience: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client> {
    // It may have been done before; one is as good as the other.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("osupg/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        // A token is for the address that was given and no other.
        .redirect(redirect::Policy::none());
    if let Some(path) = certificates {
        let pem = std::fs::read(path)
            .map_err(|error| Error::file("read the certificates", path, &error))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| {
            Error::usage(format!("{} holds no certificates: {error}", text::path(path)))
        })?;
        builder = builder.tls_certs_merge(certificates);
    }
    patience(builder)
        .build()
        .map_err(|error| Error::io(format!("HTTP cannot be set up: {}", causes(&error))))
}

/// The body of an answer, chunk by chunk.
#[derive(Debug)]
pub struct Body {
    response: Response,
    url: String,
    left: u64,
}

impl Body {
    /// The next bytes; `None` after the last.
    ///
    /// # Errors
    /// When the connection breaks, or there are fewer or more bytes than were announced.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.response.chunk().await.map_err(|error| unreachable(&self.url, &error))?;
        let len = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if len > self.left || (chunk.is_none() && self.left > 0) {
            return Err(Error::io(format!(
                "{} sends another number of bytes than it said",
                self.url
            )));
        }
        self.left -= len;
        Ok(chunk)
    }
}

fn unreachable(url: &str, error: &reqwest::Error) -> Error {
    if let Some(rustls::Error::InvalidCertificate(why)) = of_tls(error) {
        return Error::io(format!(
            "{url} shows a certificate that is not trusted here: {}",
            untrusted(why)
        ))
        .advise(
            "name the PEM file of the authority that made it: --server-ca, or `certificates` in the \
             section [dp] of the configuration",
        );
    }
    if error.is_timeout() && !error.is_connect() {
        return Error::io(format!("{url} has not sent anything for too long"))
            .advise("look at the network between, and at the service");
    }
    let failed = Error::io(format!("{url} cannot be reached: {}", causes(error)));
    if error.is_connect() {
        failed.advise("is the service running there, and is the address right?")
    } else {
        failed
    }
}

/// The error of TLS that is beneath another one, if there is any.
fn of_tls<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // What an I/O error was made from is not its source.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| of_tls(inner)) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// What is wrong with a certificate, in words.
fn untrusted(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Why;
    match why {
        Why::UnknownIssuer => "nobody who is trusted has signed it".into(),
        Why::Expired | Why::ExpiredContext { .. } => "it has expired".into(),
        Why::NotValidYet | Why::NotValidYetContext { .. } => "it is not valid yet".into(),
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "it is for another name than that of the address".into()
        }
        other => text::clean(&other.to_string()).into_owned(),
    }
}

/// An error with everything beneath it: the outermost alone says nothing.
fn causes(error: &reqwest::Error) -> String {
    let mut shown = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        shown = format!("{shown}: {error}");
        cause = error.source();
    }
    text::clean(&shown).into_owned()
}

/// The address of a service: `http` or `https`, a host, and nothing secret.
fn base(url: &str) -> Result<Url> {
    let wrong = |what: &str| {
        Error::usage(format!("{:?} is no address of a service: {what}", text::clean(url)))
            .advise("write it such as https://osupg.example:8473")
    };
    let base = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(wrong("it begins with http:// or https://"));
    }
    if base.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(wrong("a name and password have no place in it"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(wrong("it ends with the path"));
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for good in
            ["http://127.0.0.1:8473", "https://osupg.example/behind/proxy/", "https://[::1]:1"]
        {
            assert!(base(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "osupg.example",
            "osupg.example:8473",
            "ftp://osupg.example",
            "https://",
            "https://anna:secret@osupg.example",
            "https://osupg.example/?token=x",
            "https://osupg.example/#x",
        ] {
            assert!(base(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_put_below_the_address() {
        let settings = Settings { url: "https://host/below/".into(), ..Settings::default() };
        let client = Client::new(&settings).unwrap();
        let request = client.request(Method::GET, &["api", "v1", "a b", "../x"]).unwrap();
        let url = request.build().unwrap().url().to_string();
        assert_eq!(url, "https://host/below/api/v1/a%20b/..%2Fx");
    }
}
