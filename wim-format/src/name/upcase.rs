//! The upper-case table of NTFS, by which directories are sorted and names compared.

/// The upper-case form of a UTF-16 code unit on NTFS.
///
/// It is Unicode's simple upper case within the basic plane; surrogates stand for themselves.
#[must_use]
pub fn upcase(unit: u16) -> u16 {
    match unit {
        0..0x80 => (unit as u8).to_ascii_uppercase().into(),
        _ => upcase_unicode(unit),
    }
}

fn upcase_unicode(unit: u16) -> u16 {
    let Some(c) = char::from_u32(unit.into()) else { return unit };
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => u16::try_from(u32::from(upper)).unwrap_or(unit),
        _ => unit,
    }
}
