//! The XML document of a WIM: what its images are called and what is in them.
//!
//! ```text
//! <WIM>
//!   <IMAGE INDEX="1"><NAME>…</NAME><DIRCOUNT>…</DIRCOUNT>…<WINDOWS>…</WINDOWS></IMAGE>
//!   <TOTALBYTES>…</TOTALBYTES>
//! </WIM>
//! ```
//!
//! UTF-16LE with a byte order mark. Edits are lossless: elements that are unknown, their order,
//! white space, comments, even lone surrogates stay as they are; only what is edited changes.

mod image;
mod property;
#[cfg(test)]
mod tests;
mod text;
mod tree;

use std::fmt::Write as _;

use crate::FormatError;
use crate::limits::MAX_IMAGES;
use crate::time::FileTime;
use property::Path;
use tree::{NodeId, Tree};

pub use image::{Architecture, ImageXml, WindowsInfo, WindowsVersion};

/// An edit of the XML that is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// There is no such image.
    #[error("there is no image {index}; the XML lists {count}")]
    NoSuchImage {
        /// The image asked for, from 1.
        index: u32,
        /// Number of images.
        count: u32,
    },
    /// The path of a property is malformed.
    #[error("property path {path:?}: {problem}")]
    BadPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The value holds characters that XML cannot express.
    #[error("value holds the character {found:?}, which XML cannot hold")]
    BadValue {
        /// The first such character.
        found: char,
    },
    /// 65535 images are the most that a WIM can have.
    #[error("a WIM holds at most 65535 images")]
    TooManyImages,
    /// The edited document would not be well-formed or would be too large.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// The XML document of a WIM.
#[derive(Debug, Clone)]
pub struct WimXml {
    tree: Tree,
    /// The element `WIM`.
    root: NodeId,
    /// The elements `IMAGE`, by index.
    images: Vec<NodeId>,
    has_bom: bool,
}

impl Default for WimXml {
    fn default() -> Self {
        Self::new()
    }
}

impl WimXml {
    /// The document of a WIM without images.
    #[must_use]
    pub fn new() -> Self {
        let mut tree = Tree::empty();
        let root = tree.append_element(Tree::DOCUMENT, "WIM");
        Self { tree, root, images: Vec::new(), has_bom: true }
    }

    /// Reads a document from all of its bytes.
    ///
    /// # Errors
    /// [`FormatError::Xml`] when it is not well-formed UTF-16 XML, its root is not `WIM`, or the
    /// INDEX attributes of its images are not 1, 2, … once each, in whatever order.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        if !bytes.len().is_multiple_of(2) {
            let problem = "the length is odd, so it cannot be UTF-16".to_owned();
            return Err(FormatError::Xml { offset: bytes.len() as u64, problem });
        }
        let (text, has_bom) = text::from_utf16(bytes);
        let tree = Tree::parse(text)?;
        let mut elements = tree.elements(Tree::DOCUMENT);
        let root = elements.next().filter(|root| tree.name(*root) == "WIM");
        let (Some(root), None) = (root, elements.next()) else {
            return Err(problem("expected one root element named WIM".to_owned()));
        };
        drop(elements);
        let images = images_by_index(&tree, root)?;
        Ok(Self { tree, root, images, has_bom })
    }

    /// The document as it stands in a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let text = self.tree.to_text();
        let mut bytes = Vec::with_capacity(2 * text.len() + 2);
        if self.has_bom {
            bytes.extend([0xff, 0xfe]);
        }
        text::append_utf16(&text, &mut bytes);
        bytes
    }

    /// The document as a string, U+FFFD for lone surrogates.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::from_stored(&self.tree.to_text()).into_owned()
    }

    /// Number of images.
    #[must_use]
    pub fn image_count(&self) -> u32 {
        // At most 65535: `parse` and `add_image` see to it.
        self.images.len() as u32
    }

    /// All images by index.
    #[must_use]
    pub fn images(&self) -> Vec<ImageXml> {
        (1..)
            .zip(&self.images)
            .map(|(index, node)| ImageXml::read(&self.tree, index, *node))
            .collect()
    }

    /// The image `index`, from 1.
    #[must_use]
    pub fn image(&self, index: u32) -> Option<ImageXml> {
        let node = self.image_node(index).ok()?;
        Some(ImageXml::read(&self.tree, index, node))
    }

    /// Whether the file is an encrypted ESD, whose metadata nobody can read without the key.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        let mut esd = self.tree.elements_named(self.root, "ESD");
        esd.any(|esd| self.tree.elements_named(esd, "ENCRYPTED").next().is_some())
    }

    /// TOTALBYTES of the WIM: where in the file the XML begins.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        let element = self.tree.elements_named(self.root, "TOTALBYTES").next()?;
        self.tree.text_of(element).trim().parse().ok()
    }

    /// Sets TOTALBYTES of the WIM; a new element goes to the end.
    pub fn set_total_bytes(&mut self, value: u64) {
        let found = self.tree.elements_named(self.root, "TOTALBYTES").next();
        let element = found.unwrap_or_else(|| self.tree.append_element(self.root, "TOTALBYTES"));
        self.tree.set_text(element, &value.to_string());
    }

    /// Removes TOTALBYTES of the WIM, which the leading XML of a pipable WIM does not have.
    pub fn remove_total_bytes(&mut self) {
        let elements: Vec<_> = self.tree.elements_named(self.root, "TOTALBYTES").collect();
        elements.into_iter().for_each(|element| self.tree.remove(self.root, element));
    }

    /// The text of the element at `path` in an image, such as `WINDOWS/LANGUAGES/LANGUAGE[2]`;
    /// `None` when there is no such element.
    ///
    /// # Errors
    /// No such image, or a malformed path.
    pub fn property(&self, image: u32, path: &str) -> Result<Option<String>, EditError> {
        let found = Path::parse(path)?.find(&self.tree, self.image_node(image)?);
        Ok(found.map(|(_, element)| self.tree.text_of(element)))
    }

    /// Sets the text of the element at `path` in an image, replacing all that the element holds.
    /// What is missing of the path is made, at the end of what it belongs in.
    ///
    /// # Errors
    /// No such image, a malformed path, one that leaves out an index (`[3]` with only one there),
    /// or a value that XML cannot hold.
    pub fn set_property(&mut self, image: u32, path: &str, value: &str) -> Result<(), EditError> {
        property::check_value(value)?;
        let image = self.image_node(image)?;
        let element = Path::parse(path)?.find_or_make(&mut self.tree, image)?;
        self.tree.set_text(element, value);
        Ok(())
    }

    /// Removes the element at `path` in an image, and says whether there was one.
    ///
    /// # Errors
    /// No such image, or a malformed path.
    pub fn remove_property(&mut self, image: u32, path: &str) -> Result<bool, EditError> {
        let found = Path::parse(path)?.find(&self.tree, self.image_node(image)?);
        if let Some((parent, element)) = found {
            self.tree.remove(parent, element);
        }
        Ok(found.is_some())
    }

    /// Sets a time, such as `LASTMODIFICATIONTIME`.
    ///
    /// # Errors
    /// As [`set_property`](Self::set_property).
    pub fn set_time(&mut self, image: u32, path: &str, time: FileTime) -> Result<(), EditError> {
        let (high, low) = time.to_parts();
        self.set_property(image, &format!("{path}/HIGHPART"), &format!("0x{high:08X}"))?;
        self.set_property(image, &format!("{path}/LOWPART"), &format!("0x{low:08X}"))
    }

    /// Adds an image without properties and returns its index.
    ///
    /// # Errors
    /// [`EditError::TooManyImages`].
    pub fn add_image(&mut self) -> Result<u32, EditError> {
        self.check_room()?;
        let node = self.tree.append_element(self.root, "IMAGE");
        Ok(self.adopt(node))
    }

    /// Copies an image of another document, character for character but for its INDEX, and
    /// returns its index here.
    ///
    /// # Errors
    /// No such image there, or too many here.
    pub fn copy_image(&mut self, other: &Self, index: u32) -> Result<u32, EditError> {
        self.check_room()?;
        let node = self.tree.append_copy(self.root, &other.tree, other.image_node(index)?)?;
        Ok(self.adopt(node))
    }

    /// Removes an image; those behind it move up by one.
    ///
    /// # Errors
    /// No such image.
    pub fn remove_image(&mut self, index: u32) -> Result<(), EditError> {
        let node = self.image_node(index)?;
        self.tree.remove(self.root, node);
        self.images.remove(index as usize - 1);
        self.number_from(index);
        Ok(())
    }

    /// Makes the last child of the root the last image.
    fn adopt(&mut self, node: NodeId) -> u32 {
        let last_image =
            self.tree.elements_named(self.root, "IMAGE").filter(|id| *id != node).last();
        self.tree.move_last_behind(self.root, last_image);
        self.images.push(node);
        let index = self.image_count();
        self.number_from(index);
        index
    }

    /// Writes the INDEX of the images from `first` on.
    fn number_from(&mut self, first: u32) {
        let mut value = String::new();
        for (index, node) in (1..).zip(&self.images).skip(first as usize - 1) {
            value.clear();
            let _ = write!(value, "{index}");
            self.tree.set_attribute(*node, "INDEX", &value);
        }
    }

    fn check_room(&self) -> Result<(), EditError> {
        if self.image_count() < MAX_IMAGES { Ok(()) } else { Err(EditError::TooManyImages) }
    }

    fn image_node(&self, index: u32) -> Result<NodeId, EditError> {
        let position = index.checked_sub(1).map(|index| index as usize);
        let node = position.and_then(|position| self.images.get(position));
        node.copied().ok_or(EditError::NoSuchImage { index, count: self.image_count() })
    }
}

/// The IMAGE elements, each at the place that its INDEX gives.
fn images_by_index(tree: &Tree, root: NodeId) -> Result<Vec<NodeId>, FormatError> {
    let elements: Vec<_> = tree.elements_named(root, "IMAGE").collect();
    if elements.len() > MAX_IMAGES as usize {
        return Err(problem(format!("{} images, expected at most 65535", elements.len())));
    }
    let mut images = vec![None; elements.len()];
    for &element in &elements {
        let attribute = tree.attribute(element, "INDEX").unwrap_or_default();
        let index = attribute.trim().parse::<usize>().ok().and_then(|index| index.checked_sub(1));
        match index.and_then(|index| images.get_mut(index)) {
            Some(place @ None) => *place = Some(element),
            _ => {
                return Err(problem(format!(
                    "an IMAGE has the INDEX {attribute:?}, expected each of 1 to {} once",
                    elements.len()
                )));
            }
        }
    }
    Ok(images.into_iter().flatten().collect())
}

fn problem(problem: String) -> FormatError {
    FormatError::Xml { offset: 0, problem }
}
