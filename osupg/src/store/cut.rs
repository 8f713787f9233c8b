//! Where files are cut into pieces.
//!
//! Pieces are at most 8 MiB. What decides where one ends depends on the bytes around that place and
//! not on how far into the file they are, so that a file that was changed in one part shares the
//! pieces of its other parts with what it was before:
//!
//! - a WIM is cut between its resources. One of 64 KiB or more is a piece by itself. Smaller ones
//!   share pieces: a resource ends one when the first bits of its own SHA-1 say so, with a
//!   probability that grows with its size (about one end in 64 KiB). A rebuilt or patched WIM copies
//!   its unchanged resources and so gives the same pieces: what is new is what changed, wherever
//!   in the image it lies, and little more;
//! - any other file, and a resource larger than a piece, is cut by content into 1 to 8 MiB:
//!   FastCDC, which ends a piece where a rolling hash of the last bytes says so.
//!
//! Larger pieces would be fewer, but an update of Windows changes files all over an image: with
//! pieces of 2 MiB nearly every one of them would have a changed file in it.

use std::io;

use bytes::Bytes;
use fastcdc::v2020::FastCDC;
use wim_extract::source::Source;

/// No piece that is cut by content is shorter, unless the file ends it.
pub const MIN_PIECE: usize = 1 << 20;
/// No piece is longer.
pub const MAX_PIECE: usize = 8 << 20;
/// Where FastCDC begins to look harder for an end.
const USUAL_PIECE: usize = 2 << 20;
/// How far FastCDC looks before more is read: four pieces in five end within.
const WINDOW: usize = 3 << 20;
/// A resource of a WIM with so many bytes is a piece by itself.
const OWN_PIECE: u64 = 64 << 10;
/// Smaller ones share a piece until it has so many bytes at least.
const MIN_RUN: u64 = 32 << 10;
/// How many bytes such a piece has on the average beyond that.
const USUAL_RUN: u64 = 64 << 10;

/// A run of bytes that the next one does not share a piece with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Bytes; never 0. Up to [`MAX_PIECE`] for [`Inside::OnePiece`].
    pub len: u64,
    /// What happens inside.
    pub inside: Inside,
}

/// How a [`Span`] becomes pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// It is one.
    OnePiece,
    /// It is cut by content.
    ByContent,
}

/// A stretch of a WIM that is copied whole when the WIM is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub len: u64,
    /// Bits that depend on its content alone: from the SHA-1 of its blob.
    pub mark: u32,
}

/// The spans of a file of which nothing is known.
#[must_use]
pub fn plain(len: u64) -> Vec<Span> {
    match len {
        0 => Vec::new(),
        _ if len <= MIN_PIECE as u64 => vec![Span { len, inside: Inside::OnePiece }],
        _ => vec![Span { len, inside: Inside::ByContent }],
    }
}

/// The spans of a WIM of `len` bytes with these resources. Whatever they claim, the spans cover the
/// file exactly; resources that overlap or lie outside are taken for ordinary bytes.
#[must_use]
pub fn wim(len: u64, mut resources: Vec<Resource>) -> Vec<Span> {
    resources.sort_by_key(|resource| resource.offset);
    let mut cutter = WimCutter { spans: Vec::new(), open: 0 };
    let mut position = 0;
    for resource in resources {
        let Some(end) = resource.offset.checked_add(resource.len).filter(|end| *end <= len) else {
            continue;
        };
        if resource.offset < position || resource.len == 0 {
            continue;
        }
        // Header, tables and dead space change on every rebuild: pieces of their own.
        cutter.apart(resource.offset - position);
        cutter.resource(&resource);
        position = end;
    }
    cutter.apart(len - position);
    cutter.close();
    cutter.spans
}

struct WimCutter {
    spans: Vec<Span>,
    /// Bytes of the piece being gathered.
    open: u64,
}

impl WimCutter {
    fn close(&mut self) {
        if self.open > 0 {
            self.spans.push(Span { len: self.open, inside: Inside::OnePiece });
            self.open = 0;
        }
    }

    fn apart(&mut self, len: u64) {
        if len > 0 {
            self.close();
            self.spans.extend(plain(len));
        }
    }

    fn resource(&mut self, resource: &Resource) {
        if resource.len > MAX_PIECE as u64 {
            self.close();
            self.spans.push(Span { len: resource.len, inside: Inside::ByContent });
            return;
        }
        if resource.len >= OWN_PIECE {
            self.close();
            self.spans.push(Span { len: resource.len, inside: Inside::OnePiece });
            return;
        }
        if self.open + resource.len > MAX_PIECE as u64 {
            self.close();
        }
        self.open += resource.len;
        if self.open >= MIN_RUN && ends_a_piece(resource) {
            self.close();
        }
    }
}

/// True for a share of `len / USUAL_RUN` of all resources of this length.
fn ends_a_piece(resource: &Resource) -> bool {
    let threshold = (resource.len << 32) / USUAL_RUN;
    u64::from(resource.mark) < threshold
}

/// A piece that was cut.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Its bytes.
    pub bytes: Bytes,
    /// The memory that they hold: what is cut by content is read without knowing its end.
    pub held: usize,
}

/// The pieces of `source`, one after the other.
#[derive(Debug)]
pub struct Pieces<'a> {
    source: &'a dyn Source,
    spans: std::slice::Iter<'a, Span>,
    /// What is left of the span at hand.
    span: Option<Span>,
    position: u64,
}

impl<'a> Pieces<'a> {
    /// Cuts `source` along `spans`, which cover it.
    #[must_use]
    pub fn new(source: &'a dyn Source, spans: &'a [Span]) -> Self {
        Self { source, spans: spans.iter(), span: None, position: 0 }
    }

    fn read_piece(&mut self, span: Span) -> io::Result<Cut> {
        let longest = span.len.min(MAX_PIECE as u64) as usize;
        let cut = match span.inside {
            Inside::OnePiece => {
                let bytes = self.source.bytes(self.position, longest)?;
                Cut { bytes, held: longest }
            }
            Inside::ByContent => self.cut_by_content(longest)?,
        };
        self.position += cut.bytes.len() as u64;
        let left = span.len - cut.bytes.len() as u64;
        self.span = (left > 0).then_some(Span { len: left, ..span });
        Ok(cut)
    }

    /// A piece of no more than `longest` bytes. Where it ends depends on the bytes before that place
    /// alone, so that a short look finds the same end as a long one.
    fn cut_by_content(&self, longest: usize) -> io::Result<Cut> {
        let mut held = longest.min(WINDOW);
        loop {
            let mut bytes = self.source.bytes(self.position, held)?;
            let end = FastCDC::new(&bytes, MIN_PIECE, USUAL_PIECE, MAX_PIECE).cut(0, held).1;
            // Zero would never end; it is what an empty input gives.
            let end = if end == 0 { held } else { end };
            if end < held || held == longest {
                bytes.truncate(end);
                return Ok(Cut { bytes, held });
            }
            held = longest;
        }
    }
}

impl Iterator for Pieces<'_> {
    type Item = io::Result<Cut>;

    fn next(&mut self) -> Option<Self::Item> {
        let span = match self.span.take() {
            Some(span) => span,
            None => *self.spans.next()?,
        };
        Some(self.read_piece(span))
    }
}

#[cfg(test)]
mod tests;
