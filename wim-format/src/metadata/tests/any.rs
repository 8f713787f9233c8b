use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::testing::check;

/// One file to be put somewhere: where, its name, what it is, and how it is linked.
#[derive(Debug, Clone)]
struct Plan {
    parent: usize,
    name: Vec<u16>,
    attributes: u32,
    hashes: [u8; 3],
    named: usize,
    link: bool,
    tagged: Vec<u8>,
    short: bool,
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let unit = prop_oneof![0x61u16..0x67, 0x41u16..0x47, any::<u16>()];
    let attributes = prop_oneof![Just(0x10u32), Just(0x80), Just(0x410), Just(0x400), Just(0x4000)];
    let name = vec(unit, 1..5);
    let rest = (any::<[u8; 3]>(), 0usize..3, any::<bool>(), vec(any::<u8>(), 0..9), any::<bool>());
    (any::<usize>(), name, attributes, rest).prop_map(|(parent, name, attributes, rest)| {
        let (hashes, named, link, tagged, short) = rest;
        Plan { parent, name, attributes, hashes, named, link, tagged, short }
    })
}

/// Puts all in that can be put in, and counts it.
fn build(plans: &[Plan]) -> (ImageBuilder, usize) {
    let mut image = ImageBuilder::new(Inode::directory());
    let mut entries = vec![ImageBuilder::ROOT];
    let mut names = std::collections::HashSet::new();
    for plan in plans {
        let parent = entries[plan.parent % entries.len()];
        let name = Utf16NameBuf::from_units(plan.name.iter().copied());
        if !names.insert((parent, name.clone())) {
            continue;
        }
        let last = entries[entries.len() - 1];
        let security = image.add_security_descriptor(&plan.tagged).unwrap();
        let added = match plan.link {
            true => image.link(parent, name, last),
            false => image.add(parent, name, inode(plan, security)),
        };
        let Ok(entry) = added else { continue };
        if plan.short {
            image.set_short_name(entry, "SHORT~1").unwrap();
        }
        entries.push(entry);
    }
    (image, entries.len())
}

fn inode(plan: &Plan, security: SecurityId) -> Inode {
    let mut tagged = TaggedItems::default();
    if let [tag, data @ ..] = plan.tagged.as_slice() {
        tagged.push((*tag).into(), data).unwrap();
    }
    let [data, reparse, named] = plan.hashes.map(hash);
    let names = (0..plan.named).map(|index| (name(&format!("stream {index}")), named));
    Inode {
        attributes: FileAttributes::from_bits_retain(plan.attributes),
        security: Some(security),
        data,
        reparse: Reparse { tag: 7, flags: 1, hash: reparse, ..Reparse::default() },
        named: names.collect(),
        tagged,
        ..Inode::default()
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        check::metadata(&bytes);
    }

    #[test]
    fn any_reparse_data(bytes in vec(0u8..20, 0..60)) {
        check::reparse(&bytes);
    }

    /// What is built is read, and written again byte for byte.
    #[test]
    fn any_tree(plans in vec(any_plan(), 0..30)) {
        let (image, count) = build(&plans);
        let bytes = image.to_bytes().unwrap();
        let tree = parse(&bytes);
        prop_assert_eq!(tree.len(), count);
        prop_assert!(tree.warnings().is_empty());
        prop_assert_eq!(tree.to_bytes(), bytes.clone());
        check::metadata(&bytes);
    }

    /// A valid tree with some bytes changed; small values make plausible lengths and offsets.
    #[test]
    fn any_changed_tree(
        plans in vec(any_plan(), 0..12),
        changes in vec((any::<usize>(), prop_oneof![any::<u8>(), 0u8..20]), 1..8),
    ) {
        let mut bytes = build(&plans).0.to_bytes().unwrap();
        let len = bytes.len();
        changes.into_iter().for_each(|(offset, value)| bytes[offset % len] = value);
        check::metadata(&bytes);
    }

    /// Lists of children exchanged, shared and cut off.
    #[test]
    fn any_changed_offsets(
        plans in vec(any_plan(), 1..12),
        changes in vec((any::<usize>(), any::<usize>(), 0usize..4), 1..4),
    ) {
        let mut bytes = build(&plans).0.to_bytes().unwrap();
        let offsets: Vec<_> = parse(&bytes).nodes.iter().map(|node| node.offset as usize).collect();
        for (from, to, kind) in changes {
            let field = offsets[from % offsets.len()] + 0x10;
            let target = match kind {
                0 => offsets[to % offsets.len()],
                1 => to % bytes.len(),
                2 => bytes.len() - 8,
                _ => 0,
            };
            bytes[field..field + 8].copy_from_slice(&(target as u64).to_le_bytes());
        }
        check::metadata(&bytes);
    }
}
