//! The upper-case table of NTFS, by which directories are sorted and names compared.
//!
//! Windows 7 and later write the table of Unicode 5.1 to new volumes, cut down to pairs: a unit
//! has an upper-case form only if that form's lower case is the unit again (so `ı`, `ſ` and `ς`
//! stand for themselves). Here it is computed from the standard library's Unicode data, less the
//! pairs that are younger than Unicode 5.1. The result was compared unit by unit with the order
//! in which wimlib sorts all names of two characters.

/// The upper-case form of a UTF-16 code unit on NTFS; surrogates stand for themselves.
#[must_use]
pub fn upcase(unit: u16) -> u16 {
    match unit {
        0..0x80 => (unit as u8).to_ascii_uppercase().into(),
        _ => upcase_unicode(unit),
    }
}

fn upcase_unicode(unit: u16) -> u16 {
    match unit {
        // Small Greek letters with iota subscript: the standard library gives only their full
        // upper case, which is two letters long. Their simple upper case is the title case.
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => unit + 8,
        0x1fb3 | 0x1fc3 | 0x1ff3 => unit + 9,
        _ if is_younger_than_unicode_5_1(unit) => unit,
        _ => pair_of(unit).unwrap_or(unit),
    }
}

/// The upper-case letter whose lower case is `unit`.
fn pair_of(unit: u16) -> Option<u16> {
    let lower = char::from_u32(unit.into())?;
    let upper = only(lower.to_uppercase())?;
    (only(upper.to_lowercase())? == lower).then_some(u16::try_from(u32::from(upper)).ok()?)
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

/// Lower-case letters that had no upper case in Unicode 5.1 and have one now.
fn is_younger_than_unicode_5_1(unit: u16) -> bool {
    matches!(
        unit,
        // Latin extensions and IPA
        0x019b | 0x023f..=0x0240 | 0x0252 | 0x025c | 0x0261 | 0x0264..=0x0266 | 0x026a | 0x026c
        | 0x0282 | 0x0287 | 0x029d..=0x029e
        // Greek yot, Cyrillic, Georgian, Cherokee
        | 0x03f3 | 0x0525..=0x052f | 0x10d0..=0x10ff | 0x13f8..=0x13fd | 0x1c8a | 0x1d8e
        // Glagolitic, Coptic, Georgian
        | 0x2c5f | 0x2cec..=0x2cf3 | 0x2d27..=0x2d2d
        // Cyrillic, Latin D and E, Cherokee
        | 0xa661 | 0xa699..=0xa69b | 0xa791..=0xa7f6 | 0xab53..=0xabbf
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_exceptions() {
        let pairs = [('a', 'A'), ('z', 'Z'), ('ä', 'Ä'), ('ÿ', 'Ÿ'), ('я', 'Я'), ('ᾳ', 'ᾼ')];
        for (lower, upper) in pairs {
            assert_eq!(upcase(lower as u16), upper as u16, "{lower}");
            assert_eq!(upcase(upper as u16), upper as u16, "{upper}");
        }
        for unchanged in ['@', '{', 'µ', 'ß', 'ı', 'ſ', 'ς', 'ა', 'ǅ', '中'] {
            assert_eq!(upcase(unchanged as u16), unchanged as u16, "{unchanged}");
        }
        assert_eq!(upcase(0xd801), 0xd801);
    }

    /// A newer Unicode in the standard library must not change the order of names.
    #[test]
    fn the_table_is_frozen() {
        let (mut pairs, mut sum) = (0, 0u64);
        for unit in 0..=u16::MAX {
            let upper = upcase(unit);
            assert_eq!(upcase(upper), upper);
            pairs += usize::from(upper != unit);
            sum = sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(upper);
        }
        assert_eq!((pairs, sum), (973, 15_690_337_088_522_084_836));
    }
}
