//! A builder of small registry hives.

use std::collections::BTreeMap;

/// The list in which a key of a [`TinyHive`] names its subkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lists {
    /// `lh`: with hashes, as Windows XP and later write it.
    #[default]
    Hashes,
    /// `lf`: with the first four characters.
    Hints,
    /// `li`: with nothing.
    Bare,
    /// `ri`: several of `lh`, of at most two keys each.
    Nested,
}

/// A registry hive in the making. Paths are divided by `\`; what is missing of them is made.
#[derive(Debug, Clone, Default)]
pub struct TinyHive {
    root: Node,
    lists: Lists,
}

#[derive(Debug, Clone, Default)]
struct Node {
    subkeys: BTreeMap<String, Node>,
    values: Vec<(String, u32, Vec<u8>)>,
}

impl TinyHive {
    /// Names subkeys in lists of this kind.
    #[must_use]
    pub fn with_lists(mut self, lists: Lists) -> Self {
        self.lists = lists;
        self
    }

    /// Makes a key.
    #[must_use]
    pub fn key(mut self, path: &str) -> Self {
        self.at(path);
        self
    }

    /// Adds a value of any type.
    #[must_use]
    pub fn value(mut self, path: &str, name: &str, kind: u32, data: &[u8]) -> Self {
        self.at(path).values.push((name.to_owned(), kind, data.to_vec()));
        self
    }

    /// Adds a string, `REG_SZ`.
    #[must_use]
    pub fn text(self, path: &str, name: &str, text: &str) -> Self {
        self.value(path, name, 1, &utf16(&format!("{text}\0")))
    }

    /// Adds a list of strings, `REG_MULTI_SZ`.
    #[must_use]
    pub fn texts(self, path: &str, name: &str, texts: &[&str]) -> Self {
        let all: String = texts.iter().map(|text| format!("{text}\0")).collect();
        self.value(path, name, 7, &utf16(&format!("{all}\0")))
    }

    /// Adds a number, `REG_DWORD`.
    #[must_use]
    pub fn number(self, path: &str, name: &str, number: u32) -> Self {
        self.value(path, name, 4, &number.to_le_bytes())
    }

    /// All bytes of the hive.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut bins = Bins { bytes: vec![0; 32], lists: self.lists };
        let root = bins.node("ROOT", &self.root);
        let used = bins.bytes.len();
        let len = (used + 8).next_multiple_of(4096);
        bins.bytes.extend(((len - used) as u32).to_le_bytes());
        bins.bytes.resize(len, 0);
        bins.bytes[..4].copy_from_slice(b"hbin");
        bins.bytes[8..12].copy_from_slice(&(len as u32).to_le_bytes());
        let mut hive = vec![0; 4096];
        hive[..4].copy_from_slice(b"regf");
        let fields =
            [(4, 1), (8, 1), (20, 1), (24, 5), (32, 1), (36, root), (40, len as u32), (44, 1)];
        for (at, value) in fields {
            hive[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        }
        let words = hive[..508].as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
        let checksum = words.fold(0, |sum, word| sum ^ word);
        hive[508..512].copy_from_slice(&checksum.to_le_bytes());
        hive.extend(bins.bytes);
        hive
    }

    fn at(&mut self, path: &str) -> &mut Node {
        let parts = path.split('\\').filter(|part| !part.is_empty());
        parts.fold(&mut self.root, |node, part| node.subkeys.entry(part.to_owned()).or_default())
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A name as Latin-1 where that can be, and whether it is.
fn encoded(name: &str) -> (Vec<u8>, bool) {
    let latin: Result<Vec<u8>, _> = name.chars().map(|c| u8::try_from(u32::from(c))).collect();
    latin.map_or_else(|_| (utf16(name), false), |bytes| (bytes, true))
}

/// The bins as far as they are written.
struct Bins {
    bytes: Vec<u8>,
    lists: Lists,
}

impl Bins {
    /// Adds a cell in use, and gives its offset.
    fn cell(&mut self, data: &[u8]) -> u32 {
        let at = self.bytes.len();
        let len = (data.len() + 4).next_multiple_of(8);
        self.bytes.extend((len as u32).wrapping_neg().to_le_bytes());
        self.bytes.extend(data);
        self.bytes.resize(at + len, 0);
        at as u32
    }

    fn node(&mut self, name: &str, node: &Node) -> u32 {
        let mut subkeys: Vec<_> = node.subkeys.iter().collect();
        subkeys.sort_by_key(|(name, _)| name.to_uppercase());
        let keys: Vec<_> = subkeys
            .into_iter()
            .map(|(name, node)| (self.node(name, node), name.as_str()))
            .collect();
        let values: Vec<u8> = node
            .values
            .iter()
            .flat_map(|(name, kind, data)| self.value(name, *kind, data).to_le_bytes())
            .collect();
        let subkey_list = if keys.is_empty() { u32::MAX } else { self.list(&keys) };
        let value_list = if values.is_empty() { u32::MAX } else { self.cell(&values) };
        let (name, is_latin) = encoded(name);
        let mut data = b"nk".to_vec();
        data.extend(if is_latin { 0x20u16 } else { 0 }.to_le_bytes());
        data.extend([0; 16]);
        let count = (node.values.len()) as u32;
        let fields = [keys.len() as u32, 0, subkey_list, u32::MAX, count, value_list];
        data.extend(fields.into_iter().flat_map(u32::to_le_bytes));
        data.extend([u32::MAX, u32::MAX, 0, 0, 0, 0, 0].into_iter().flat_map(u32::to_le_bytes));
        data.extend((name.len() as u16).to_le_bytes());
        data.extend([0; 2]);
        data.extend(name);
        self.cell(&data)
    }

    fn value(&mut self, name: &str, kind: u32, data: &[u8]) -> u32 {
        let (len, place) = match data.len() {
            len @ 0..=4 => {
                let mut place = [0; 4];
                place[..len].copy_from_slice(data);
                (len as u32 | 1 << 31, u32::from_le_bytes(place))
            }
            len => (len as u32, self.cell(data)),
        };
        let (name, is_latin) = encoded(name);
        let mut cell = b"vk".to_vec();
        cell.extend((name.len() as u16).to_le_bytes());
        cell.extend([len, place, kind, u32::from(is_latin)].into_iter().flat_map(u32::to_le_bytes));
        cell.extend(name);
        self.cell(&cell)
    }

    fn list(&mut self, keys: &[(u32, &str)]) -> u32 {
        let (signature, beside): (_, fn(&str) -> Vec<u8>) = match self.lists {
            Lists::Hashes => (b"lh", |name| hash(name).to_vec()),
            Lists::Hints => (b"lf", |name| {
                let mut hint = name.as_bytes().to_vec();
                hint.resize(4, 0);
                hint
            }),
            Lists::Bare => (b"li", |_| Vec::new()),
            Lists::Nested => return self.list_of_lists(keys),
        };
        let entries: Vec<_> = keys
            .iter()
            .map(|&(at, name)| [at.to_le_bytes().to_vec(), beside(name)].concat())
            .collect();
        let count = (keys.len() as u16).to_le_bytes();
        self.cell(&[signature.as_slice(), &count, &entries.concat()].concat())
    }

    fn list_of_lists(&mut self, keys: &[(u32, &str)]) -> u32 {
        self.lists = Lists::Hashes;
        let lists: Vec<u8> =
            keys.chunks(2).flat_map(|keys| self.list(keys).to_le_bytes()).collect();
        self.lists = Lists::Nested;
        let count = (lists.len() as u16 / 4).to_le_bytes();
        self.cell(&[b"ri".as_slice(), &count, &lists].concat())
    }
}

/// The hash of a name in an `lh` list.
fn hash(name: &str) -> [u8; 4] {
    let upper = name.to_uppercase();
    let hash = upper
        .encode_utf16()
        .fold(0u32, |hash, unit| hash.wrapping_mul(37).wrapping_add(unit.into()));
    hash.to_le_bytes()
}
