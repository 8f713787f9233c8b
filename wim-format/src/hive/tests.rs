#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use proptest::prelude::*;

use super::*;
use crate::testing::check;
use crate::testing::hive::{Lists, TinyHive};

const LISTS: [Lists; 4] = [Lists::Hashes, Lists::Hints, Lists::Bare, Lists::Nested];

fn sample() -> TinyHive {
    TinyHive::default()
        .text(r"Microsoft\Windows NT\CurrentVersion", "ProductName", "Windows \u{1fa9f} Pro")
        .number(r"Microsoft\Windows NT\CurrentVersion", "Major", 10)
        .texts(r"Microsoft\Windows NT", "Suites", &["one", "two"])
        .value("Microsoft", "", 3, b"raw")
        .text("Microsoft", "empty", "")
        .value("Microsoft", "nothing", 1, b"")
        .key("\u{3b1}\u{3b2}")
        .text("\u{e4}", "\u{416}", "umlaut")
        .key("other")
        .key("zulu")
}

fn value<'a>(hive: Hive<'a>, path: &str, name: &str) -> Value<'a> {
    hive.key(path).unwrap().unwrap().value(name).unwrap().unwrap()
}

#[test]
fn values_are_found_in_lists_of_every_kind() {
    for lists in LISTS {
        let bytes = sample().with_lists(lists).build();
        let hive = Hive::parse(&bytes).unwrap();
        let version = r"MICROSOFT\windows nt\CurrentVersion";
        assert_eq!(value(hive, version, "productname").text().unwrap(), "Windows \u{1fa9f} Pro");
        assert_eq!(value(hive, version, "Major").number(), Some(10));
        assert_eq!(value(hive, version, "Major").text(), None);
        assert_eq!(value(hive, r"Microsoft\Windows NT", "Suites").text().unwrap(), "one");
        assert_eq!(value(hive, "Microsoft", ""), Value { kind: 3, data: b"raw" });
        assert_eq!(value(hive, "Microsoft", "empty").text().unwrap(), "");
        assert_eq!(value(hive, "Microsoft", "nothing").text().unwrap(), "");
        assert_eq!(value(hive, "\u{c4}", "\u{436}").text().unwrap(), "umlaut");
        assert!(hive.key(r"Microsoft\Windows").unwrap().is_none(), "a part of a name is none");
        assert!(hive.key("other").unwrap().unwrap().value("x").unwrap().is_none());
        let names = hive.root().unwrap().subkeys().unwrap();
        let names: Vec<_> = names.map(|key| key.unwrap().name().as_name().to_string()).collect();
        assert_eq!(names, ["Microsoft", "other", "zulu", "\u{e4}", "\u{3b1}\u{3b2}"]);
    }
}

#[test]
fn texts_that_are_none() {
    let text = |kind, data: &[u8]| Value { kind, data }.text();
    assert_eq!(text(1, b"a\0b\0"), Some("ab".to_owned()), "a NUL may be missing");
    assert_eq!(text(1, b"a\0\0\0b\0"), Some("a".to_owned()));
    assert_eq!(text(1, b"a\0b"), None);
    assert_eq!(text(1, b"\x00\xd8"), None);
    assert_eq!(text(2, b"a\0"), None, "a text with variables is none");
    assert_eq!(Value { kind: 4, data: &[1, 0] }.number(), None);
    assert_eq!(Value { kind: 3, data: &[1, 0, 0, 0] }.number(), None);
}

#[test]
fn what_is_no_hive() {
    let bytes = sample().build();
    for len in [0, 3, 40, 4095, 4096, bytes.len() - 1] {
        let error = Hive::parse(&bytes[..len]).unwrap_err().to_string();
        assert!(error.contains("registry hive"), "{error}");
    }
    let mut other = bytes.clone();
    other[0] = b'x';
    assert!(Hive::parse(&other).unwrap_err().to_string().contains("regf"));
    let mut newer = bytes.clone();
    newer[20] = 2;
    assert!(Hive::parse(&newer).unwrap_err().to_string().contains("byte 20"));
    // What Windows left behind its last bin is no harm.
    let longer = [bytes, vec![7; 5000]].concat();
    assert!(Hive::parse(&longer).unwrap().key("other").unwrap().is_some());
}

/// Where a key's node begins in the file.
fn node(bytes: &[u8], path: &str) -> usize {
    BASE_LEN + Hive::parse(bytes).unwrap().key(path).unwrap().unwrap().offset() as usize + 4
}

#[test]
fn keys_that_go_round_in_circles_end() {
    let mut bytes = sample().key(r"loop\inner").build();
    let outer = Hive::parse(&bytes).unwrap().key("loop").unwrap().unwrap();
    // The list of the inner key is that of the outer one, so the inner key holds itself.
    let (count, list) = (outer.subkeys, outer.subkey_list);
    let inner = node(&bytes, r"loop\inner");
    bytes[inner + 20..inner + 24].copy_from_slice(&count.to_le_bytes());
    bytes[inner + 28..inner + 32].copy_from_slice(&list.to_le_bytes());
    let hive = Hive::parse(&bytes).unwrap();
    let deep = format!(r"loop{}", r"\inner".repeat(1000));
    assert!(hive.key(&deep).unwrap().is_some());
    assert!(hive.key(&format!(r"{deep}\nobody")).unwrap().is_none());
    check::hive(&bytes);
}

#[test]
fn lists_and_cells_that_lie() {
    let good = sample().with_lists(Lists::Nested).build();
    let root = node(&good, "Microsoft");
    for (what, at, word) in [
        ("a list outside", 28, 0x7fff_ffff),
        ("a list that is a key", 28, (root - 4 - BASE_LEN) as u32),
        ("values without end", 36, u32::MAX),
        ("values outside", 40, 0x7fff_fff0),
    ] {
        let mut bytes = good.clone();
        bytes[root + at..root + at + 4].copy_from_slice(&word.to_le_bytes());
        let key = Hive::parse(&bytes).unwrap().key("Microsoft").unwrap().unwrap();
        let failed = key.value("x").is_err() || key.subkey("x").is_err();
        assert!(failed, "{what}");
        check::hive(&bytes);
    }
    let mut free = good.clone();
    free[root - 1] = 0;
    assert!(Hive::parse(&free).unwrap().key("Microsoft").is_err(), "a free cell is no key");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        check::hive(&bytes);
    }

    #[test]
    fn hives_with_any_damage(
        lists in prop::sample::select(LISTS.to_vec()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = sample().with_lists(lists).build();
        for (at, byte) in damage {
            // The bins hold little beside zeroes at their end.
            let at = 4096 + at.index(1600);
            bytes[at] = byte;
        }
        check::hive(&bytes);
    }

    #[test]
    fn what_is_built_is_read(
        names in prop::collection::btree_set("[a-z\u{e4}\u{3b1}]{1,5}", 1..12),
        number: u32,
        lists in prop::sample::select(LISTS.to_vec()),
    ) {
        let mut hive = TinyHive::default().with_lists(lists);
        for name in &names {
            hive = hive.number(&format!(r"top\{name}"), name, number);
        }
        let bytes = hive.build();
        let read = Hive::parse(&bytes).unwrap();
        for name in &names {
            prop_assert_eq!(value(read, &format!(r"TOP\{name}"), name).number(), Some(number));
        }
    }
}
