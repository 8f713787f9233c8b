//! UTF-16LE to a Rust string and back, without loss.
//!
//! A lone surrogate has no place in a Rust string, so each of the 2048 has a stand-in among the
//! last 2048 characters of plane 16 (private use). A real character of that range is written as
//! the stand-ins of its two surrogates. So each string of units has exactly one stored form.

use std::borrow::Cow;

/// Stand-in of the surrogate U+D800; the others follow in order, to U+10FFFF.
const STAND_IN_FIRST: u32 = 0x10_f800;
const SURROGATE_FIRST: u16 = 0xd800;
const BOM: u16 = 0xfeff;

/// Text in stored form, and whether a byte order mark stood before it.
pub(super) fn from_utf16(bytes: &[u8]) -> (String, bool) {
    let units = bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit));
    let has_bom = units.clone().next() == Some(BOM);
    let mut text = String::with_capacity(bytes.len() / 2);
    for c in char::decode_utf16(units.skip(usize::from(has_bom))) {
        match c {
            Ok(c) => push_stored(&mut text, c),
            Err(lone) => text.extend(stand_in(lone.unpaired_surrogate())),
        }
    }
    (text, has_bom)
}

/// The units that stored text stands for, appended as UTF-16LE.
pub(super) fn append_utf16(stored: &str, out: &mut Vec<u8>) {
    for c in stored.chars() {
        match surrogate(c) {
            Some(unit) => out.extend(unit.to_le_bytes()),
            None => {
                let mut units = [0; 2];
                out.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_le_bytes()));
            }
        }
    }
}

/// Stored form of an ordinary string.
pub(super) fn to_stored(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| surrogate(c).is_some()) {
        return text.into();
    }
    let mut stored = String::with_capacity(text.len() + 8);
    text.chars().for_each(|c| push_stored(&mut stored, c));
    stored.into()
}

/// Ordinary string of stored text; U+FFFD for each lone surrogate.
pub(super) fn from_stored(stored: &str) -> Cow<'_, str> {
    if !stored.chars().any(|c| surrogate(c).is_some()) {
        return stored.into();
    }
    let mut bytes = Vec::with_capacity(stored.len() * 2);
    append_utf16(stored, &mut bytes);
    let units = bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit));
    let chars = char::decode_utf16(units);
    chars.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into()
}

fn push_stored(text: &mut String, c: char) {
    match surrogate(c) {
        None => text.push(c),
        Some(_) => {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.extend(stand_in(*unit)));
        }
    }
}

/// The character that stands for a surrogate.
fn stand_in(surrogate: u16) -> Option<char> {
    char::from_u32(STAND_IN_FIRST + u32::from(surrogate.wrapping_sub(SURROGATE_FIRST)))
}

/// The surrogate that a character stands for.
fn surrogate(c: char) -> Option<u16> {
    let index = u32::from(c).checked_sub(STAND_IN_FIRST)?;
    Some(SURROGATE_FIRST + index as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(units: &[u16]) {
        let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let (text, bom) = from_utf16(&bytes);
        let mut back = if bom { BOM.to_le_bytes().to_vec() } else { Vec::new() };
        append_utf16(&text, &mut back);
        assert_eq!(back, bytes);
        let plain = from_stored(&text);
        assert_eq!(plain, String::from_utf16_lossy(&units[usize::from(bom)..]));
    }

    #[test]
    fn surrogates_survive() {
        there_and_back(&[]);
        there_and_back(&[BOM, 0x41, 0xd800, 0x42]);
        there_and_back(&[0xdc00, 0xd800]);
        // The last character of Unicode has the form of a stand-in.
        there_and_back(&[0xdbff, 0xdfff]);
        there_and_back(&[0xdbfe, 0xdc00, 0xdbfd, 0xdfff, 0xdbfe]);
        assert_eq!(from_stored(&to_stored("a\u{10f800}\u{10ffff}")), "a\u{10f800}\u{10ffff}");
    }

    proptest::proptest! {
        #[test]
        fn any_units_survive(units: Vec<u16>) {
            there_and_back(&units);
        }

        #[test]
        fn any_text_survives(text: String) {
            assert_eq!(from_stored(&to_stored(&text)), text);
        }
    }
}
