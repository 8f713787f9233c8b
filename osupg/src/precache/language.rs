//! Languages of Windows: what task sequences call `OSLanguage` is a number.

/// The languages in which Windows comes, with their numbers (LCID).
const LANGUAGES: [(u32, &str); 38] = [
    (1025, "ar-SA"),
    (1026, "bg-BG"),
    (1028, "zh-TW"),
    (1029, "cs-CZ"),
    (1030, "da-DK"),
    (1031, "de-DE"),
    (1032, "el-GR"),
    (1033, "en-US"),
    (1035, "fi-FI"),
    (1036, "fr-FR"),
    (1037, "he-IL"),
    (1038, "hu-HU"),
    (1040, "it-IT"),
    (1041, "ja-JP"),
    (1042, "ko-KR"),
    (1043, "nl-NL"),
    (1044, "nb-NO"),
    (1045, "pl-PL"),
    (1046, "pt-BR"),
    (1048, "ro-RO"),
    (1049, "ru-RU"),
    (1050, "hr-HR"),
    (1051, "sk-SK"),
    (1053, "sv-SE"),
    (1054, "th-TH"),
    (1055, "tr-TR"),
    (1058, "uk-UA"),
    (1060, "sl-SI"),
    (1061, "et-EE"),
    (1062, "lv-LV"),
    (1063, "lt-LT"),
    (2052, "zh-CN"),
    (2057, "en-GB"),
    (2058, "es-MX"),
    (2070, "pt-PT"),
    (3082, "es-ES"),
    (3084, "fr-CA"),
    (9242, "sr-Latn-RS"),
];

/// The tag of a language that is given as a tag or as a number; `None` for a number of no language
/// that Windows comes in.
pub(super) fn tag(given: &str) -> Option<String> {
    match given.trim().parse::<u32>() {
        Ok(number) => {
            let found = LANGUAGES.iter().find(|(known, _)| *known == number);
            found.map(|(_, tag)| (*tag).to_string())
        }
        Err(_) => Some(given.trim().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_tags_are_understood() {
        assert_eq!(tag("1033").as_deref(), Some("en-US"));
        assert_eq!(tag(" 1031 ").as_deref(), Some("de-DE"));
        assert_eq!(tag("nl-NL").as_deref(), Some("nl-NL"));
        assert_eq!(tag("4711"), None);
        assert!(LANGUAGES.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, none twice");
    }
}
