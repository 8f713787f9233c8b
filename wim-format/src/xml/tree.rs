//! A tree of spans over the text of the document.
//!
//! A node is a range of text (two for an element: its tags) and links to its neighbours. An edit
//! appends new text and changes links; what is not edited keeps its span, and with it every
//! character. To write the document is to write the spans in order.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::text;
use crate::FormatError;
use crate::limits::{MAX_XML_BYTES, MAX_XML_DEPTH};

/// A node of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(u32);

/// Stands for "no node" in links.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `<a …>` … `</a>`, or the document as a whole.
    Element,
    /// `<a …/>`
    EmptyElement,
    /// Characters.
    Text,
    /// `&amp;` and the like.
    Reference,
    /// `<![CDATA[…]]>`
    CData,
    /// Comment, processing instruction, declaration.
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// The opening tag, or all there is.
    open: Span,
    /// The closing tag.
    close: Span,
    first: u32,
    last: u32,
    next: u32,
}

/// The document as a tree.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// The document and all text added since.
    text: String,
    nodes: Vec<Node>,
}

impl Tree {
    /// The node that holds the root element and what stands around it.
    pub(super) const DOCUMENT: NodeId = NodeId(0);

    /// A document of no characters.
    pub(super) fn empty() -> Self {
        let mut tree = Self { text: String::new(), nodes: Vec::new() };
        tree.push(Kind::Element, Span::default());
        tree
    }

    /// Parses a document in the stored form of [`super::text`].
    pub(super) fn parse(text: String) -> Result<Self, FormatError> {
        if text.len() > MAX_XML_BYTES {
            let problem = "the document is larger than 1 GiB".to_owned();
            return Err(FormatError::Xml { offset: 0, problem });
        }
        let mut tree = Self::empty();
        tree.parse_into(Self::DOCUMENT, text)?;
        Ok(tree)
    }

    /// Parses `text` and appends its nodes to the children of `parent`.
    fn parse_into(&mut self, parent: NodeId, text: String) -> Result<(), FormatError> {
        // The reader passes over such a mark without counting it.
        if text.starts_with('\u{feff}') {
            return Err(xml_error(&text, 0, "text begins with a byte order mark".to_owned()));
        }
        let base = self.text.len();
        let mut reader = Reader::from_str(&text);
        // Tags open at this point, outermost first, below the parent.
        let mut open = vec![parent];
        let mut start = 0;
        loop {
            let event = reader.read_event().map_err(|error| {
                xml_error(&text, reader.error_position() as usize, error.to_string())
            })?;
            let end = reader.buffer_position() as usize;
            let span = Span { start: base + start, end: base + end };
            let innermost = open[open.len() - 1];
            let kind = match event {
                Event::Eof => break,
                Event::End(_) => {
                    self.nodes[innermost.index()].close = span;
                    // The reader has checked that a tag is open.
                    open.pop();
                    start = end;
                    continue;
                }
                Event::Start(_) => Kind::Element,
                Event::Empty(_) => Kind::EmptyElement,
                Event::Text(_) => Kind::Text,
                Event::GeneralRef(_) => Kind::Reference,
                Event::CData(_) => Kind::CData,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                    Kind::Other
                }
            };
            let node = self.push(kind, span);
            self.append(innermost, node);
            if kind == Kind::Element {
                if open.len() > MAX_XML_DEPTH {
                    let problem = "elements are nested more than 256 deep".to_owned();
                    return Err(xml_error(&text, start, problem));
                }
                open.push(node);
            }
            start = end;
        }
        if open.len() > 1 {
            return Err(xml_error(&text, start, "an element has no closing tag".to_owned()));
        }
        self.text.push_str(&text);
        Ok(())
    }

    /// The document as text, stored form.
    pub(super) fn to_text(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        self.append_text(Self::DOCUMENT, &mut out);
        out
    }

    /// Appends a node and all in it. Recursion is bounded by the depth of the tree.
    fn append_text(&self, id: NodeId, out: &mut String) {
        let node = &self.nodes[id.index()];
        out.push_str(self.span(node.open));
        self.children(id).for_each(|child| self.append_text(child, out));
        out.push_str(self.span(node.close));
    }

    /// All children: elements, text and the rest.
    fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let first = link(self.nodes[id.index()].first);
        std::iter::successors(first, |id| link(self.nodes[id.index()].next))
    }

    /// The child elements.
    pub(super) fn elements(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.children(id).filter(|child| {
            matches!(self.nodes[child.index()].kind, Kind::Element | Kind::EmptyElement)
        })
    }

    /// The child elements of that name.
    pub(super) fn elements_named<'t>(
        &'t self,
        id: NodeId,
        name: &'t str,
    ) -> impl Iterator<Item = NodeId> + 't {
        self.elements(id).filter(move |child| self.name(*child) == name)
    }

    /// The name of an element.
    pub(super) fn name(&self, id: NodeId) -> &str {
        tag_name(self.span(self.nodes[id.index()].open))
    }

    /// The characters directly in an element, references resolved; U+FFFD for lone surrogates.
    pub(super) fn text_of(&self, id: NodeId) -> String {
        let mut out = String::new();
        for child in self.children(id) {
            let node = &self.nodes[child.index()];
            let raw = self.span(node.open);
            match node.kind {
                Kind::Text => out.push_str(raw),
                Kind::CData => {
                    let inner = raw.strip_prefix("<![CDATA[");
                    out.push_str(inner.and_then(|raw| raw.strip_suffix("]]>")).unwrap_or_default());
                }
                Kind::Reference => match quick_xml::escape::unescape(raw) {
                    Ok(resolved) => out.push_str(&text::to_stored(&resolved)),
                    // An entity of a DTD, which nobody has given us.
                    Err(_) => out.push_str(raw),
                },
                Kind::Element | Kind::EmptyElement | Kind::Other => {}
            }
        }
        text::from_stored(&out).into_owned()
    }

    /// The value of an attribute, as it stands in the tag.
    pub(super) fn attribute(&self, id: NodeId, name: &str) -> Option<&str> {
        let tag = self.span(self.nodes[id.index()].open);
        attribute_range(tag, name).map(|range| &tag[range])
    }

    /// Replaces the value of an attribute, or adds the attribute. `value` must need no escapes.
    pub(super) fn set_attribute(&mut self, id: NodeId, name: &str, value: &str) {
        let tag = self.span(self.nodes[id.index()].open);
        let new = match attribute_range(tag, name) {
            Some(range) => [&tag[..range.start], value, &tag[range.end..]].concat(),
            None => {
                let (head, tail) = tag.split_at(1 + tag_name(tag).len());
                format!("{head} {name}=\"{value}\"{tail}")
            }
        };
        self.nodes[id.index()].open = self.add_text(&new);
    }

    /// Appends a new element `<name></name>` to the children of `parent`.
    pub(super) fn append_element(&mut self, parent: NodeId, name: &str) -> NodeId {
        let node = self.new_element(name);
        self.open_up(parent);
        self.append(parent, node);
        node
    }

    /// Makes an element that is nowhere in the document yet.
    fn new_element(&mut self, name: &str) -> NodeId {
        let open = self.add_text(&format!("<{name}>"));
        let close = self.add_text(&format!("</{name}>"));
        let node = self.push(Kind::Element, open);
        self.nodes[node.index()].close = close;
        node
    }

    /// Makes `value` all that an element holds.
    pub(super) fn set_text(&mut self, id: NodeId, value: &str) {
        self.open_up(id);
        let span = self.add_text(&quick_xml::escape::partial_escape(&*text::to_stored(value)));
        let child = self.push(Kind::Text, span);
        let node = &mut self.nodes[id.index()];
        (node.first, node.last) = (child.0, child.0);
    }

    /// Takes a child out of the document.
    pub(super) fn remove(&mut self, parent: NodeId, child: NodeId) {
        let before = self.children(parent).take_while(|id| *id != child).last();
        let next = self.nodes[child.index()].next;
        match before {
            Some(before) => self.nodes[before.index()].next = next,
            None => self.nodes[parent.index()].first = next,
        }
        if self.nodes[parent.index()].last == child.0 {
            self.nodes[parent.index()].last = before.map_or(NONE, |id| id.0);
        }
        self.nodes[child.index()].next = NONE;
    }

    /// Copies an element of another document, character for character, to the end of the children
    /// of `parent`.
    pub(super) fn append_copy(
        &mut self,
        parent: NodeId,
        other: &Self,
        element: NodeId,
    ) -> Result<NodeId, FormatError> {
        let mut copy = String::new();
        other.append_text(element, &mut copy);
        self.open_up(parent);
        self.parse_into(parent, copy)?;
        Ok(NodeId(self.nodes[parent.index()].last))
    }

    /// Moves the last child of `parent` behind its child `before`, or to the front.
    pub(super) fn move_last_behind(&mut self, parent: NodeId, before: Option<NodeId>) {
        let Some(moved) = link(self.nodes[parent.index()].last) else { return };
        if before == Some(moved) {
            return;
        }
        self.remove(parent, moved);
        let place = match before {
            Some(before) => &mut self.nodes[before.index()].next,
            None => &mut self.nodes[parent.index()].first,
        };
        let next = std::mem::replace(place, moved.0);
        self.nodes[moved.index()].next = next;
        if next == NONE {
            self.nodes[parent.index()].last = moved.0;
        }
    }

    /// Turns `<a/>` into `<a></a>`.
    fn open_up(&mut self, id: NodeId) {
        let node = self.nodes[id.index()];
        if node.kind != Kind::EmptyElement {
            return;
        }
        let tag = self.span(node.open);
        let open = tag.strip_suffix("/>").map_or_else(|| tag.to_owned(), |tag| format!("{tag}>"));
        let close = format!("</{}>", tag_name(tag));
        let (open, close) = (self.add_text(&open), self.add_text(&close));
        let node = &mut self.nodes[id.index()];
        (node.kind, node.open, node.close) = (Kind::Element, open, close);
    }

    fn push(&mut self, kind: Kind, open: Span) -> NodeId {
        let close = Span::default();
        self.nodes.push(Node { kind, open, close, first: NONE, last: NONE, next: NONE });
        NodeId((self.nodes.len() - 1) as u32)
    }

    fn append(&mut self, parent: NodeId, child: NodeId) {
        let last = std::mem::replace(&mut self.nodes[parent.index()].last, child.0);
        match link(last) {
            Some(last) => self.nodes[last.index()].next = child.0,
            None => self.nodes[parent.index()].first = child.0,
        }
    }

    fn add_text(&mut self, new: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(new);
        Span { start, end: self.text.len() }
    }

    fn span(&self, span: Span) -> &str {
        &self.text[span.start..span.end]
    }
}

impl NodeId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

fn link(id: u32) -> Option<NodeId> {
    (id != NONE).then_some(NodeId(id))
}

/// The name in `<name …>`.
fn tag_name(tag: &str) -> &str {
    let inner = tag.strip_prefix('<').unwrap_or(tag);
    let end = inner.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/');
    &inner[..end.unwrap_or(inner.len())]
}

/// Where in a tag the value of an attribute stands, quotes excluded.
fn attribute_range(tag: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let mut at = 1 + tag_name(tag).len();
    loop {
        let rest = tag.get(at..)?;
        let key = rest.trim_start();
        let (key_name, after) = key.split_once('=')?;
        let quoted = after.trim_start();
        let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let len = quoted[1..].find(quote)?;
        let start = tag.len() - quoted.len() + 1;
        if key_name.trim_end() == name {
            return Some(start..start + len);
        }
        at = start + len + 1;
    }
}

/// An error at a position of UTF-8 text, given as the offset in the UTF-16 file.
fn xml_error(text: &str, position: usize, problem: String) -> FormatError {
    let before = text.get(..position).unwrap_or(text);
    let units = before.encode_utf16().count() as u64;
    FormatError::Xml { offset: 2 + 2 * units, problem }
}
