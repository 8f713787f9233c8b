//! How objects are named.
//!
//! An object is a run of bytes named by its BLAKE3 hash. It lies at `objects/` + the first two
//! digits + `/` + all sixty-four digits, so that no folder grows too large. Objects are written
//! once and never changed, whatever the store.

use std::fmt;

use object_store::path::Path;

use crate::text;

/// The folder of all objects.
pub const OBJECTS: &str = "objects";

/// The BLAKE3 hash of an object's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub [u8; 32]);

impl ObjectId {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Where it lies in the store.
    #[must_use]
    pub fn location(&self) -> Path {
        let digits = self.to_string();
        Path::from_iter([OBJECTS, &digits[..2], &digits])
    }

    /// The object at a location; `None` when no object can be there.
    #[must_use]
    pub fn at(location: &Path) -> Option<Self> {
        let id = Self(text::unhex(location.filename()?)?);
        (id.location() == *location).then_some(id)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::hex(&self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

/// A part of a file: one object and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Piece {
    /// The object that holds the bytes.
    pub id: ObjectId,
    /// Bytes in it.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_name_their_object() {
        let id = ObjectId::of(b"hello");
        let location = id.location();
        assert_eq!(
            location.as_ref(),
            "objects/ea/ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f"
        );
        assert_eq!(ObjectId::at(&location), Some(id));
    }

    #[test]
    fn other_locations_name_none() {
        let upper = ObjectId::of(b"hello").to_string().to_uppercase();
        for wrong in [
            "objects/ea/short",
            "objects/00",
            &format!("objects/EA/{upper}"),
            &format!("other/ea/{}", upper.to_lowercase()),
        ] {
            assert_eq!(ObjectId::at(&Path::from(wrong)), None, "{wrong}");
        }
    }
}
