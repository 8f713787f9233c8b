use proptest::prelude::*;

use super::*;

fn name(units: &[u16]) -> Utf16NameBuf {
    Utf16NameBuf::from_units(units.iter().copied())
}

#[test]
fn names_become_wtf8_and_come_back() {
    let cases: [(&[u16], &[u8]); 7] = [
        (&[], b""),
        (&[0x61, 0xe9, 0x4e2d], "aé中".as_bytes()),
        (&[0xd83d, 0xde00], "😀".as_bytes()),
        (&[0xd83d], b"\xed\xa0\xbd"),
        (&[0xde00, 0xd83d], b"\xed\xb8\x80\xed\xa0\xbd"),
        (&[0xd800, 0xd83d, 0xde00], b"\xed\xa0\x80\xf0\x9f\x98\x80"),
        (&[0xd7ff, 0xe000], b"\xed\x9f\xbf\xee\x80\x80"),
    ];
    for (units, bytes) in cases {
        assert_eq!(name(units).as_name().to_wtf8(), bytes);
        assert_eq!(Utf16NameBuf::from_wtf8(bytes), Ok(name(units)));
    }
}

#[test]
fn other_bytes_are_no_name() {
    let cases: [(&[u8], usize); 8] = [
        (b"a\xff", 1),
        (b"\xed", 0),
        (b"\xed\xa0", 0),
        (b"\xed\xa0a", 0),
        (b"ab\x80", 2),
        (b"\xed\xa0\x80\x80", 3),
        (b"\xed\xa0\x80\xed\xa0", 3),
        (b"\xf0\x9f\x98", 0),
    ];
    for (bytes, offset) in cases {
        assert_eq!(Utf16NameBuf::from_wtf8(bytes), Err(NotUnicode { offset }), "{bytes:x?}");
    }
}

#[test]
fn an_odd_byte_is_left_out() {
    assert_eq!(Utf16Name::new(b"a\0b").as_bytes(), b"a\0");
    assert_eq!(Utf16Name::new(b"a").len(), 0);
}

#[test]
fn order_is_that_of_ntfs() {
    let sorted = ["", "$", "A", "a", "A.B", "a.b", "AB", "aB", "B", "[", "_", "Ä", "ä", "ÿ"];
    for (i, a) in sorted.iter().enumerate() {
        for (j, b) in sorted.iter().enumerate() {
            let (a, b) = (Utf16NameBuf::from(*a), Utf16NameBuf::from(*b));
            assert_eq!(a.as_name().cmp_ntfs(b.as_name()), i.cmp(&j), "{a} {b}");
        }
    }
    let (a, b) = (Utf16NameBuf::from("Straße"), Utf16NameBuf::from("STRAßE"));
    assert!(a.as_name().matches(b.as_name(), CaseSensitivity::Insensitive));
    assert!(!a.as_name().matches(b.as_name(), CaseSensitivity::Sensitive));
}

#[test]
fn names_are_shown_readably() {
    let name = name(&[0x61, 0xd800]);
    assert_eq!(name.to_string(), "a\u{fffd}");
    assert_eq!(format!("{name:?}"), r#""a\xed\xa0\x80""#);
}

proptest! {
    #[test]
    fn any_units_survive(units: Vec<u16>) {
        let name = name(&units);
        prop_assert_eq!(Utf16NameBuf::from_wtf8(&name.as_name().to_wtf8()), Ok(name.clone()));
        prop_assert_eq!(name.to_string(), String::from_utf16_lossy(&units));
    }

    #[test]
    fn any_bytes_are_a_name_or_not(bytes: Vec<u8>) {
        if let Ok(name) = Utf16NameBuf::from_wtf8(&bytes) {
            // Two surrogates of three bytes each become one character of four.
            let again = Utf16NameBuf::from_wtf8(&name.as_name().to_wtf8());
            prop_assert_eq!(again, Ok(name));
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            prop_assert_eq!(Utf16NameBuf::from_wtf8(&bytes), Ok(Utf16NameBuf::from(text)));
        }
    }

    /// Comparing is comparing the upper-case forms.
    #[test]
    fn comparing_equals_folding(a: Vec<u16>, b: Vec<u16>) {
        let fold = |units: &[u16]| units.iter().map(|unit| upcase(*unit)).collect::<Vec<_>>();
        let (x, y) = (name(&a), name(&b));
        prop_assert_eq!(x.as_name().cmp_ignore_case(y.as_name()), fold(&a).cmp(&fold(&b)));
        let both = fold(&a).cmp(&fold(&b)).then(a.cmp(&b));
        prop_assert_eq!(x.as_name().cmp_ntfs(y.as_name()), both);
    }
}
