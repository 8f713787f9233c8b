//! Names of languages by the numbers that Windows gives them.

/// Number ([MS-LCID] §2.2, hexadecimal) and name of every language, in the order in which Windows
/// counts them. The number of a language without a country stands for the country that wimlib
/// takes it for.
const NAMES: &str = "\
0001 ar-SA 0002 bg-BG 0003 ca-ES 0004 zh-CN 0005 cs-CZ 0006 da-DK 0007 de-DE 0008 el-GR
0009 en-US 000a es-ES 000b fi-FI 000c fr-FR 000d he-IL 000e hu-HU 000f is-IS 0010 it-IT
0011 ja-JP 0012 ko-KR 0013 nl-NL 0014 nb-NO 0015 pl-PL 0016 pt-BR 0017 rm-CH 0018 ro-RO
0019 ru-RU 001a hr-HR 001b sk-SK 001c sq-AL 001d sv-SE 001e th-TH 001f tr-TR 0020 ur-PK
0021 id-ID 0022 uk-UA 0023 be-BY 0024 sl-SI 0025 et-EE 0026 lv-LV 0027 lt-LT 0028 tg-Cyrl-TJ
0029 fa-IR 002a vi-VN 002b hy-AM 002c az-Latn-AZ 002d eu-ES 002e hsb-DE 002f mk-MK
0030 st-ZA 0031 ts-ZA 0032 tn-ZA 0033 ve-ZA 0034 xh-ZA 0035 zu-ZA 0036 af-ZA 0037 ka-GE
0038 fo-FO 0039 hi-IN 003a mt-MT 003b se-NO 003c ga-IE 003d yi-001 003e ms-MY 003f kk-KZ
0040 ky-KG 0041 sw-KE 0042 tk-TM 0043 uz-Latn-UZ 0044 tt-RU 0045 bn-BD 0046 pa-IN 0047 gu-IN
0048 or-IN 0049 ta-IN 004a te-IN 004b kn-IN 004c ml-IN 004d as-IN 004e mr-IN 004f sa-IN
0050 mn-MN 0051 bo-CN 0052 cy-GB 0053 km-KH 0054 lo-LA 0055 my-MM 0056 gl-ES 0057 kok-IN
0058 mni-IN 0059 sd-Arab-PK 005a syr-SY 005b si-LK 005c chr-Cher-US 005d iu-Latn-CA
005e am-ET 005f tzm-Latn-DZ 0060 ks-Arab-IN 0061 ne-NP 0062 fy-NL 0063 ps-AF 0064 fil-PH
0065 dv-MV 0066 bin-NG 0067 ff-Latn-SN 0068 ha-Latn-NG 0069 ibb-NG 006a yo-NG 006b quz-BO
006c nso-ZA 006d ba-RU 006e lb-LU 006f kl-GL 0070 ig-NG 0071 kr-Latn-NG 0072 om-ET
0073 ti-ER 0074 gn-PY 0075 haw-US 0076 la-001 0077 so-SO 0078 ii-CN 0079 pap-029 007a arn-CL
007c moh-CA 007e br-FR 0080 ug-CN 0081 mi-NZ 0082 oc-FR 0083 co-FR 0084 gsw-CH 0085 sah-RU
0086 quc-Latn-GT 0087 rw-RW 0088 wo-SN 008c prs-AF 0091 gd-GB 0092 ku-Arab-IQ 0401 ar-SA
0402 bg-BG 0403 ca-ES 0404 zh-TW 0405 cs-CZ 0406 da-DK 0407 de-DE 0408 el-GR 0409 en-US
040a es-ES_tradnl 040b fi-FI 040c fr-FR 040d he-IL 040e hu-HU 040f is-IS 0410 it-IT
0411 ja-JP 0412 ko-KR 0413 nl-NL 0414 nb-NO 0415 pl-PL 0416 pt-BR 0417 rm-CH 0418 ro-RO
0419 ru-RU 041a hr-HR 041b sk-SK 041c sq-AL 041d sv-SE 041e th-TH 041f tr-TR 0420 ur-PK
0421 id-ID 0422 uk-UA 0423 be-BY 0424 sl-SI 0425 et-EE 0426 lv-LV 0427 lt-LT 0428 tg-Cyrl-TJ
0429 fa-IR 042a vi-VN 042b hy-AM 042c az-Latn-AZ 042d eu-ES 042e hsb-DE 042f mk-MK
0430 st-ZA 0431 ts-ZA 0432 tn-ZA 0433 ve-ZA 0434 xh-ZA 0435 zu-ZA 0436 af-ZA 0437 ka-GE
0438 fo-FO 0439 hi-IN 043a mt-MT 043b se-NO 043d yi-001 043e ms-MY 043f kk-KZ 0440 ky-KG
0441 sw-KE 0442 tk-TM 0443 uz-Latn-UZ 0444 tt-RU 0445 bn-IN 0446 pa-IN 0447 gu-IN 0448 or-IN
0449 ta-IN 044a te-IN 044b kn-IN 044c ml-IN 044d as-IN 044e mr-IN 044f sa-IN 0450 mn-MN
0451 bo-CN 0452 cy-GB 0453 km-KH 0454 lo-LA 0455 my-MM 0456 gl-ES 0457 kok-IN 0458 mni-IN
0459 sd-Deva-IN 045a syr-SY 045b si-LK 045c chr-Cher-US 045d iu-Cans-CA 045e am-ET
045f tzm-Arab-MA 0460 ks-Arab-IN 0461 ne-NP 0462 fy-NL 0463 ps-AF 0464 fil-PH 0465 dv-MV
0466 bin-NG 0467 ff-Latn-NG 0468 ha-Latn-NG 0469 ibb-NG 046a yo-NG 046b quz-BO 046c nso-ZA
046d ba-RU 046e lb-LU 046f kl-GL 0470 ig-NG 0471 kr-Latn-NG 0472 om-ET 0473 ti-ET 0474 gn-PY
0475 haw-US 0476 la-001 0477 so-SO 0478 ii-CN 0479 pap-029 047a arn-CL 047c moh-CA
047e br-FR 0480 ug-CN 0481 mi-NZ 0482 oc-FR 0483 co-FR 0484 gsw-FR 0485 sah-RU
0486 quc-Latn-GT 0487 rw-RW 0488 wo-SN 048c prs-AF 0491 gd-GB 0492 ku-Arab-IQ 0801 ar-IQ
0803 ca-ES-valencia 0804 zh-CN 0807 de-CH 0809 en-GB 080a es-MX 080c fr-BE 0810 it-CH
0813 nl-BE 0814 nn-NO 0816 pt-PT 0818 ro-MD 0819 ru-MD 081a sr-Latn-CS 081d sv-FI 0820 ur-IN
082c az-Cyrl-AZ 082e dsb-DE 0832 tn-BW 083b se-SE 083c ga-IE 083e ms-BN 0843 uz-Cyrl-UZ
0845 bn-BD 0846 pa-Arab-PK 0849 ta-LK 0850 mn-Mong-CN 0859 sd-Arab-PK 085d iu-Latn-CA
085f tzm-Latn-DZ 0860 ks-Deva-IN 0861 ne-IN 0867 ff-Latn-SN 086b quz-EC 0873 ti-ER
0c01 ar-EG 0c04 zh-HK 0c07 de-AT 0c09 en-AU 0c0a es-ES 0c0c fr-CA 0c1a sr-Cyrl-CS 0c3b se-FI
0c50 mn-Mong-MN 0c51 dz-BT 0c6b quz-PE 1001 ar-LY 1004 zh-SG 1007 de-LU 1009 en-CA
100a es-GT 100c fr-CH 101a hr-BA 103b smj-NO 105f tzm-Tfng-MA 1401 ar-DZ 1404 zh-MO
1407 de-LI 1409 en-NZ 140a es-CR 140c fr-LU 141a bs-Latn-BA 143b smj-SE 1801 ar-MA
1809 en-IE 180a es-PA 180c fr-MC 181a sr-Latn-BA 183b sma-NO 1c01 ar-TN 1c09 en-ZA
1c0a es-DO 1c0c fr-029 1c1a sr-Cyrl-BA 1c3b sma-SE 2001 ar-OM 2009 en-JM 200a es-VE
200c fr-RE 201a bs-Cyrl-BA 203b sms-FI 2401 ar-YE 2409 en-029 240a es-CO 240c fr-CD
241a sr-Latn-RS 243b smn-FI 2801 ar-SY 2809 en-BZ 280a es-PE 280c fr-SN 281a sr-Cyrl-RS
2c01 ar-JO 2c09 en-TT 2c0a es-AR 2c0c fr-CM 2c1a sr-Latn-ME 3001 ar-LB 3009 en-ZW 300a es-EC
300c fr-CI 301a sr-Cyrl-ME 3401 ar-KW 3409 en-PH 340a es-CL 340c fr-ML 3801 ar-AE 3809 en-ID
380a es-UY 380c fr-MA 3c01 ar-BH 3c09 en-HK 3c0a es-PY 3c0c fr-HT 4001 ar-QA 4009 en-IN
400a es-BO 4409 en-MY 440a es-SV 4809 en-SG 480a es-HN 4c09 en-AE 4c0a es-NI 500a es-PR
540a es-US 7804 zh-CN 781a bs-Latn-BA 7c04 zh-HK 7c1a sr-Latn-RS 7c28 tg-Cyrl-TJ 7c2e dsb-DE
7c3b smj-SE 7c46 pa-Arab-PK 7c50 mn-Mong-CN 7c59 sd-Arab-PK 7c5c chr-Cher-US 7c5d iu-Latn-CA
7c5f tzm-Latn-DZ 7c67 ff-Latn-SN 7c68 ha-Latn-NG 7c86 quc-Latn-GT 7c92 ku-Arab-IQ";

/// The name of a language, such as `en-US` for 0x409.
pub(super) fn name_of(number: u32) -> Option<&'static str> {
    let mut words = NAMES.split_ascii_whitespace();
    while let (Some(found), Some(name)) = (words.next(), words.next()) {
        if u32::from_str_radix(found, 16) == Ok(number) {
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_take_turns() {
        assert!(NAMES.split_ascii_whitespace().count().is_multiple_of(2));
        for pair in NAMES.split_ascii_whitespace().collect::<Vec<_>>().chunks(2) {
            let number = u32::from_str_radix(pair[0], 16).expect("a hexadecimal number");
            assert_eq!(name_of(number), Some(pair[1]));
            assert!(pair[1].contains('-'), "{pair:?}");
        }
    }

    #[test]
    fn languages() {
        assert_eq!(name_of(0x409), Some("en-US"));
        assert_eq!(name_of(0xc0a), Some("es-ES"));
        assert_eq!(name_of(0x804), Some("zh-CN"));
        assert_eq!(name_of(0x9999), None);
    }
}
