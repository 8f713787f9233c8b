//! Sends content: whole, in ranges or not at all, as the headers of the request say.
//!
//! Bytes come from the library piece by piece, and every piece is checked against its hash before
//! any of it is sent. A piece that is missing or damaged cuts the connection: the client has been
//! told the length, and sees that it did not get it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::range::{self, Span, Wanted};
use crate::error::{Error, Kind, Result};
use crate::store::Library;
use crate::store::layout::Piece;

/// Pieces that are read ahead of the client, which is what a transfer takes of memory.
const PIECES_AHEAD: usize = 2;
/// The bytes given to the connection at a time.
const FRAME: usize = 256 * 1024;
/// A client that takes no frame for this long is gone, or holds on to a place that others need.
const STALLED: Duration = Duration::from_secs(60);
/// How long a request waits for one of the transfers going on to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that can be sent.
#[derive(Debug)]
pub(crate) struct Representation {
    /// Where its bytes are.
    pub(crate) bytes: Stored,
    /// A strong validator: equal only for equal bytes. Without its quotation marks.
    pub(crate) tag: String,
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// Whether other bytes can never be found at this address.
    pub(crate) lifetime: Lifetime,
}

/// How long an answer may be kept by whoever gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// For ever: the address is that of these bytes.
    Immutable,
    /// Until it is asked again, for the bytes may change or go.
    Revalidate,
}

/// Where bytes are.
#[derive(Debug)]
pub(crate) enum Stored {
    /// In memory.
    Memory(Bytes),
    /// In the library.
    Pieces(Library, Arc<[Piece]>),
}

impl Stored {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Pieces(_, pieces) => pieces.iter().map(|piece| piece.size).sum(),
        }
    }
}

/// The transfers that may go on at the same time.
#[derive(Debug, Clone)]
pub(crate) struct Transfers {
    places: Arc<Semaphore>,
    /// Counts the bytes that are sent.
    sent: Counter,
}

impl Transfers {
    /// So many of them; `sent` counts their bytes.
    pub(crate) fn new(most: usize, sent: Counter) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), sent }
    }

    /// A place among the transfers; it is waited for a while.
    pub(crate) async fn place(&self) -> Result<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(PATIENCE, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Error::of(Kind::Busy, "too many transfers are going on")
                .advise("try again in a moment, or allow more with transfers in [serve]")),
        }
    }

    /// The answer to a request for `what`.
    pub(crate) async fn send(
        &self,
        what: Representation,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response> {
        let len = what.bytes.len();
        let quoted = format!("\"{}\"", what.tag);
        let etag = HeaderValue::from_str(&quoted)
            .map_err(|_| Error::damaged("a hash cannot be written as a header"))?;
        let mut common = HeaderMap::new();
        common.insert(header::ETAG, etag);
        common.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        common.insert(header::CACHE_CONTROL, cache_control(what.lifetime));
        if let Some(status) = precondition(headers, &quoted) {
            return Ok((status, common).into_response());
        }
        let wanted = match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
            Some(range) if *method == Method::GET && if_range(headers, &quoted) => {
                range::parse(range, len)
            }
            _ => Wanted::Whole,
        };
        let plan = match wanted {
            Wanted::Nothing => {
                set(&mut common, header::CONTENT_RANGE, &format!("bytes */{len}"));
                return Ok((StatusCode::RANGE_NOT_SATISFIABLE, common).into_response());
            }
            Wanted::Whole => Plan::whole(len),
            Wanted::Spans(spans) => Plan::of(&spans, len, what.media_type),
        };
        let media_type = plan.media_type.as_deref().unwrap_or(what.media_type);
        set(&mut common, header::CONTENT_TYPE, media_type);
        set(&mut common, header::CONTENT_LENGTH, &plan.len().to_string());
        if let Some(range) = &plan.content_range {
            set(&mut common, header::CONTENT_RANGE, range);
        }
        if *method == Method::HEAD {
            return Ok((plan.status, common).into_response());
        }
        let place = self.place().await?;
        Ok((plan.status, common, body(what.bytes, plan.parts, place, self.sent.clone()))
            .into_response())
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Numbers and media types of our own making: they are always fit for a header.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn cache_control(lifetime: Lifetime) -> HeaderValue {
    HeaderValue::from_static(match lifetime {
        Lifetime::Immutable => "private, max-age=31536000, immutable",
        Lifetime::Revalidate => "private, no-cache",
    })
}

/// The status that preconditions end a request with, if they do.
fn precondition(headers: &HeaderMap, quoted: &str) -> Option<StatusCode> {
    let lists = |name: HeaderName, weak: bool| {
        let values = headers.get_all(name);
        let mut values = values.iter().filter_map(|value| value.to_str().ok()).peekable();
        values.peek()?;
        Some(values.flat_map(|list| list.split(',')).map(str::trim).any(|tag| {
            let tag = if weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
            tag == "*" || tag == quoted
        }))
    };
    if lists(header::IF_MATCH, false) == Some(false) {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    if lists(header::IF_NONE_MATCH, true) == Some(true) {
        return Some(StatusCode::NOT_MODIFIED);
    }
    None
}

/// Whether ranges may be sent: there is no `If-Range`, or it names these very bytes. A date never
/// does, for no date of modification is given out.
fn if_range(headers: &HeaderMap, quoted: &str) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|tag| tag.as_bytes() == quoted.as_bytes())
}

/// What is sent, in order.
#[derive(Debug)]
struct Plan {
    status: StatusCode,
    /// The media type, where it is not that of the content.
    media_type: Option<String>,
    content_range: Option<String>,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    /// The line between ranges.
    Text(Bytes),
    /// Bytes of the content.
    Span(Span),
}

impl Plan {
    fn whole(len: u64) -> Self {
        let parts =
            if len == 0 { Vec::new() } else { vec![Part::Span(Span { start: 0, end: len })] };
        Self { status: StatusCode::OK, media_type: None, content_range: None, parts }
    }

    fn of(spans: &[Span], len: u64, media_type: &str) -> Self {
        let status = StatusCode::PARTIAL_CONTENT;
        let content_range =
            |span: Span| format!("bytes {}-{}/{len}", span.start, span.end.saturating_sub(1));
        if let [span] = *spans {
            let content_range = Some(content_range(span));
            return Self { status, media_type: None, content_range, parts: vec![Part::Span(span)] };
        }
        // A boundary must not occur in the content: nobody can know these digits beforehand.
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let mut parts = Vec::with_capacity(spans.len() * 2 + 1);
        for (position, &span) in spans.iter().enumerate() {
            let start = if position == 0 { "" } else { "\r\n" };
            parts.push(Part::Text(Bytes::from(format!(
                "{start}--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {}\r\n\r\n",
                content_range(span)
            ))));
            parts.push(Part::Span(span));
        }
        parts.push(Part::Text(Bytes::from(format!("\r\n--{boundary}--\r\n"))));
        let media_type = Some(format!("multipart/byteranges; boundary={boundary}"));
        Self { status, media_type, content_range: None, parts }
    }

    fn len(&self) -> u64 {
        let len = |part: &Part| match part {
            Part::Text(text) => text.len() as u64,
            Part::Span(span) => span.len(),
        };
        self.parts.iter().map(len).sum()
    }
}

/// The body: filled by a task of its own, which stops when the client has gone or takes nothing.
fn body(bytes: Stored, parts: Vec<Part>, place: OwnedSemaphorePermit, sent: Counter) -> Body {
    let (frames, mut taken) = mpsc::channel(1);
    let frames = Frames { frames, sent };
    tokio::spawn(async move {
        let _place = place;
        for part in parts {
            let sent = match (part, &bytes) {
                (Part::Text(text), _) => feed(&frames, text).await,
                (Part::Span(span), Stored::Memory(bytes)) => {
                    feed(&frames, slice(bytes, span.start, span.end)).await
                }
                (Part::Span(span), Stored::Pieces(library, pieces)) => {
                    feed_pieces(&frames, library, pieces, span).await
                }
            };
            if sent.is_none() {
                return;
            }
        }
    });
    Body::from_stream(stream::poll_fn(move |context| taken.poll_recv(context)))
}

/// The way into the body of an answer.
struct Frames {
    frames: mpsc::Sender<Result<Bytes>>,
    /// Counts the bytes that have gone that way.
    sent: Counter,
}

/// Gives bytes to the connection; `None` when it takes no more.
async fn feed(frames: &Frames, mut bytes: Bytes) -> Option<()> {
    while !bytes.is_empty() {
        let frame = bytes.split_to(bytes.len().min(FRAME));
        let len = frame.len() as u64;
        tokio::time::timeout(STALLED, frames.frames.send(Ok(frame))).await.ok()?.ok()?;
        frames.sent.inc_by(len);
    }
    Some(())
}

async fn feed_pieces(
    frames: &Frames,
    library: &Library,
    pieces: &[Piece],
    span: Span,
) -> Option<()> {
    let mut reads = stream::iter(parts_of(pieces, span))
        .map(|(piece, within)| async move { (library.get(&piece).await, within) })
        .buffered(PIECES_AHEAD);
    while let Some((read, within)) = reads.next().await {
        match read {
            Ok(bytes) => feed(frames, slice(&bytes, within.start, within.end)).await?,
            Err(error) => {
                tracing::error!("content cannot be sent: {error}");
                // An error in the body ends the connection before its announced end.
                let _ = frames.frames.send(Err(error)).await;
                return None;
            }
        }
    }
    Some(())
}

/// `start..end` of bytes that are known to have it.
fn slice(bytes: &Bytes, start: u64, end: u64) -> Bytes {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(start)..at(end).max(at(start)))
}

/// The pieces that a span touches, and which bytes of each.
fn parts_of(pieces: &[Piece], span: Span) -> Vec<(Piece, Range<u64>)> {
    let mut start = 0;
    let mut parts = Vec::new();
    for piece in pieces {
        let end = start + piece.size;
        if start >= span.end {
            break;
        }
        if end > span.start && piece.size > 0 {
            let within = span.start.max(start) - start..span.end.min(end) - start;
            parts.push((*piece, within));
        }
        start = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;
    use crate::store::layout::ObjectId;

    const DATA: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

    /// The data in pieces of many sizes, an empty one among them.
    async fn stored() -> (tempfile::TempDir, Stored) {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::local(folder.path()).unwrap();
        let mut pieces = Vec::new();
        let mut rest = DATA;
        for size in [1, 9, 0, 16, 10] {
            let (now, later) = rest.split_at(size);
            rest = later;
            let bytes = Bytes::copy_from_slice(now);
            let piece = Piece { id: ObjectId::of(&bytes), size: size as u64 };
            library.put(&piece.id, &bytes).await.unwrap();
            pieces.push(piece);
        }
        (folder, Stored::Pieces(library, pieces.into()))
    }

    async fn ask(bytes: Stored, asked: &[(HeaderName, &str)]) -> (Response, String) {
        let mut headers = HeaderMap::new();
        for (name, value) in asked {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let what = Representation {
            bytes,
            tag: "abc".into(),
            media_type: "text/plain",
            lifetime: Lifetime::Immutable,
        };
        let mut response =
            Transfers::new(1, Counter::default()).send(what, &Method::GET, &headers).await.unwrap();
        let body = std::mem::take(response.body_mut());
        let body = to_bytes(body, 10_000).await.unwrap();
        if let Some(length) = response.headers().get(header::CONTENT_LENGTH) {
            assert_eq!(length.to_str().unwrap(), body.len().to_string(), "the length is true");
        }
        (response, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_range_is_the_same_bytes_from_pieces() {
        let (_folder, Stored::Pieces(library, pieces)) = stored().await else { unreachable!() };
        let whole = Stored::Pieces(library.clone(), Arc::clone(&pieces));
        let (response, body) = ask(whole, &[]).await;
        assert_eq!((response.status(), body.as_bytes()), (StatusCode::OK, DATA));
        for start in 0..DATA.len() {
            for end in start + 1..=DATA.len() {
                let range = format!("bytes={start}-{}", end - 1);
                let bytes = Stored::Pieces(library.clone(), Arc::clone(&pieces));
                let (response, body) = ask(bytes, &[(header::RANGE, &range)]).await;
                assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
                assert_eq!(body.as_bytes(), &DATA[start..end], "{range}");
                let said = response.headers()[header::CONTENT_RANGE].to_str().unwrap();
                assert_eq!(said, format!("bytes {start}-{}/36", end - 1));
            }
        }
    }

    #[tokio::test]
    async fn several_ranges_come_as_parts() {
        let (_folder, bytes) = stored().await;
        let (response, body) = ask(bytes, &[(header::RANGE, "bytes=-2,0-1,9-11")]).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        let media_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
        let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let part = |range: &str, data: &str| {
            format!(
                "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {range}/36\r\n\r\n{data}\r\n"
            )
        };
        let wanted = part("34-35", "yz") + &part("0-1", "01") + &part("9-11", "9ab");
        assert_eq!(body, format!("{wanted}--{boundary}--\r\n"));
    }

    #[tokio::test]
    async fn preconditions_are_kept() {
        let range = (header::RANGE, "bytes=0-0");
        for (asked, status) in [
            (vec![(header::IF_NONE_MATCH, "\"abc\"")], StatusCode::NOT_MODIFIED),
            (vec![(header::IF_NONE_MATCH, "\"x\", W/\"abc\"")], StatusCode::NOT_MODIFIED),
            (vec![(header::IF_NONE_MATCH, "*")], StatusCode::NOT_MODIFIED),
            (vec![(header::IF_NONE_MATCH, "\"x\"")], StatusCode::OK),
            (vec![(header::IF_MATCH, "\"x\"")], StatusCode::PRECONDITION_FAILED),
            (vec![(header::IF_MATCH, "W/\"abc\"")], StatusCode::PRECONDITION_FAILED),
            (vec![(header::IF_MATCH, "\"abc\"")], StatusCode::OK),
            (vec![range.clone(), (header::IF_RANGE, "\"abc\"")], StatusCode::PARTIAL_CONTENT),
            (vec![range.clone(), (header::IF_RANGE, "W/\"abc\"")], StatusCode::OK),
            (vec![range.clone(), (header::IF_RANGE, "\"old\"")], StatusCode::OK),
            (
                vec![range.clone(), (header::IF_RANGE, "Sat, 01 Jan 2000 00:00:00 GMT")],
                StatusCode::OK,
            ),
            (vec![(header::RANGE, "bytes=36-")], StatusCode::RANGE_NOT_SATISFIABLE),
        ] {
            let memory = Stored::Memory(Bytes::from_static(DATA));
            let (response, body) = ask(memory, &asked).await;
            assert_eq!(response.status(), status, "{asked:?}");
            assert_eq!(response.headers()[header::ETAG], "\"abc\"");
            let sent = match status {
                StatusCode::OK => 36,
                StatusCode::PARTIAL_CONTENT => 1,
                _ => 0,
            };
            assert_eq!(body.len(), sent, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn a_damaged_piece_cuts_the_body() {
        let (folder, Stored::Pieces(library, pieces)) = stored().await else { unreachable!() };
        let third = folder.path().join(pieces[3].id.location().as_ref());
        std::fs::write(third, [b'x'; 16]).unwrap();
        let what = Representation {
            bytes: Stored::Pieces(library, pieces),
            tag: "abc".into(),
            media_type: "text/plain",
            lifetime: Lifetime::Revalidate,
        };
        let sent = Transfers::new(1, Counter::default())
            .send(what, &Method::GET, &HeaderMap::new())
            .await
            .unwrap();
        let error = to_bytes(sent.into_body(), 10_000).await.unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }

    #[tokio::test]
    async fn places_are_given_back() {
        let transfers = Transfers::new(1, Counter::default());
        for _ in 0..3 {
            let what = Representation {
                bytes: Stored::Memory(Bytes::from_static(DATA)),
                tag: "abc".into(),
                media_type: "text/plain",
                lifetime: Lifetime::Revalidate,
            };
            let sent = transfers.send(what, &Method::GET, &HeaderMap::new()).await.unwrap();
            drop(sent);
        }
    }
}
