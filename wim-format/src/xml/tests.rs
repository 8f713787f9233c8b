use proptest::prelude::*;

use super::*;
use crate::testing::check;

fn bytes(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn xml(text: &str) -> WimXml {
    WimXml::parse(&bytes(text)).expect("the test's document is valid")
}

/// Odd in every way that must survive.
const ODD: &str = "<?xml version='1.0'?><!-- a -->\r\n<WIM >\n <TOTALBYTES>7</TOTALBYTES>\
    <IMAGE  INDEX = '2' X=\"&lt;\"><NAME>b &amp; c</NAME><!-- - -->\u{1f600}<U a='>'/></IMAGE >\
    \t<IMAGE INDEX=\"1\"><NAME><![CDATA[<x>]]>y&#x41;&unknown;</NAME><V>1</V><V/></IMAGE><E/>\r</WIM>\n";

#[test]
fn what_is_not_edited_stays() {
    assert_eq!(xml(ODD).to_bytes(), bytes(ODD));
    assert_eq!(xml(ODD).to_text(), ODD);
}

#[test]
fn images_come_by_index() {
    let xml = xml(ODD);
    let names: Vec<_> = xml.images().into_iter().map(|image| image.name.unwrap()).collect();
    assert_eq!(names, ["<x>yA&unknown;", "b & c"]);
    assert_eq!(xml.total_bytes(), Some(7));
    assert!(!xml.is_encrypted());
}

#[test]
fn an_edit_changes_only_its_place() {
    let mut xml = xml(ODD);
    xml.set_property(2, "NAME", "<new>").unwrap();
    let expected = ODD.replace("b &amp; c", "&lt;new&gt;");
    assert_eq!(xml.to_text(), expected);
    xml.set_property(2, "U", "u").unwrap();
    let expected = expected.replace("<U a='>'/>", "<U a='>'>u</U>");
    assert_eq!(xml.to_text(), expected);
    xml.set_property(1, "V[2]", "2").unwrap();
    xml.set_property(1, "V[3]/W", "3").unwrap();
    let expected = expected.replace("<V/>", "<V>2</V><V><W>3</W></V>");
    assert_eq!(xml.to_text(), expected);
    assert_eq!(xml.property(1, "V[3]/W").unwrap().as_deref(), Some("3"));
    assert!(xml.remove_property(1, "V").unwrap());
    assert!(!xml.remove_property(1, "V[7]").unwrap());
    let expected = expected.replace("<V>1</V>", "");
    assert_eq!(xml.to_text(), expected);
    xml.set_total_bytes(12345);
    let expected = expected.replace(">7<", ">12345<");
    assert_eq!(xml.to_text(), expected);
    xml.remove_total_bytes();
    let expected = expected.replace("<TOTALBYTES>12345</TOTALBYTES>", "");
    assert_eq!(xml.to_text(), expected);
    assert_eq!(WimXml::parse(&xml.to_bytes()).unwrap().to_text(), expected);
}

#[test]
fn images_move_with_all_they_hold() {
    let source = xml(ODD);
    let mut xml = WimXml::new();
    xml.set_total_bytes(1);
    assert_eq!(xml.copy_image(&source, 2), Ok(1));
    assert_eq!(xml.copy_image(&source, 1), Ok(2));
    assert_eq!(xml.add_image(), Ok(3));
    xml.set_property(3, "NAME", "third").unwrap();
    xml.remove_image(2).unwrap();
    let expected = "<WIM><IMAGE  INDEX = '1' X=\"&lt;\"><NAME>b &amp; c</NAME><!-- - -->\u{1f600}\
        <U a='>'/></IMAGE ><IMAGE INDEX=\"2\"><NAME>third</NAME></IMAGE>\
        <TOTALBYTES>1</TOTALBYTES></WIM>";
    assert_eq!(xml.to_text(), expected);
    assert_eq!(xml.remove_image(3), Err(EditError::NoSuchImage { index: 3, count: 2 }));
    assert_eq!(xml.remove_image(0), Err(EditError::NoSuchImage { index: 0, count: 2 }));
}

#[test]
fn lone_surrogates_survive_edits() {
    let mut units: Vec<u16> = "<WIM><IMAGE INDEX=\"1\"><A>".encode_utf16().collect();
    units.extend([0xd800, 0x41, 0xdfff]);
    units.extend("</A><B/></IMAGE></WIM>".encode_utf16());
    let raw: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let mut xml = WimXml::parse(&raw).unwrap();
    assert_eq!(xml.to_bytes(), raw);
    assert_eq!(xml.property(1, "A").unwrap().as_deref(), Some("\u{fffd}A\u{fffd}"));
    xml.set_property(1, "B", "b").unwrap();
    assert!(xml.to_bytes().starts_with(&raw[..2 * 33]));
}

#[test]
fn typed_view() {
    let xml = xml("<WIM><IMAGE INDEX=\"1\"><DISPLAYNAME>D</DISPLAYNAME><FLAGS>Pro</FLAGS>\
        <DIRCOUNT> 3 </DIRCOUNT><FILECOUNT>x</FILECOUNT><CREATIONTIME><HIGHPART>0x01DD7A9B</HIGHPART>\
        <LOWPART>0xC5FC8BDA</LOWPART></CREATIONTIME><WIMBOOT>1</WIMBOOT><WINDOWS><ARCH>9</ARCH>\
        <EDITIONID>Professional</EDITIONID><LANGUAGES><LANGUAGE>en-US</LANGUAGE>\
        <LANGUAGE>de-DE</LANGUAGE><DEFAULT>en-US</DEFAULT></LANGUAGES><VERSION><MAJOR>10</MAJOR>\
        <BUILD>26100</BUILD><BRANCH>ge_release</BRANCH></VERSION></WINDOWS></IMAGE>\
        <ESD><ENCRYPTED/></ESD></WIM>");
    let image = xml.image(1).unwrap();
    assert_eq!(image.display_name.as_deref(), Some("D"));
    assert_eq!((image.dir_count, image.file_count), (Some(3), None));
    assert_eq!(image.creation_time, Some(FileTime(0x01dd_7a9b_c5fc_8bda)));
    assert!(image.wimboot && xml.is_encrypted());
    let windows = image.windows.unwrap();
    assert_eq!(windows.architecture, Some(Architecture::Amd64));
    assert_eq!(windows.languages, ["en-US", "de-DE"]);
    assert_eq!(windows.default_language.as_deref(), Some("en-US"));
    let version = windows.version.unwrap();
    assert_eq!((version.major, version.minor, version.build), (Some(10), None, Some(26100)));
    assert_eq!(version.branch.as_deref(), Some("ge_release"));
    assert_eq!(xml.image(2), None);
}

#[test]
fn times_are_written_as_halves() {
    let mut xml = WimXml::new();
    xml.add_image().unwrap();
    xml.set_time(1, "CREATIONTIME", FileTime(0x1234)).unwrap();
    assert!(xml.to_text().contains("<HIGHPART>0x00000000</HIGHPART><LOWPART>0x00001234</LOWPART>"));
    assert_eq!(xml.image(1).unwrap().creation_time, Some(FileTime(0x1234)));
}

#[test]
fn malformed_documents_are_refused() {
    let deep = format!("<WIM>{}{}</WIM>", "<a>".repeat(300), "</a>".repeat(300));
    let bad = [
        "",
        "x",
        "<WIM>",
        "<WIM></WIN>",
        "</WIM>",
        "<WIM/><WIM/>",
        "<wim/>",
        "\u{feff}<WIM/>",
        "<WIM><a b></WIM>",
        "<WIM>&</WIM>",
        "<WIM><!-- </WIM>",
        "<WIM><IMAGE/></WIM>",
        "<WIM><IMAGE INDEX=\"2\"/></WIM>",
        "<WIM><IMAGE INDEX='1'/><IMAGE INDEX='1'/></WIM>",
        "<WIM><IMAGE INDEX='0'/></WIM>",
        "<WIM><IMAGE INDEX='99999999999999999999'/></WIM>",
        &deep,
    ];
    for text in bad {
        assert!(matches!(WimXml::parse(&bytes(text)), Err(FormatError::Xml { .. })), "{text:?}");
    }
    assert!(WimXml::parse(&[0xff, 0xfe, 0x3c]).is_err());
}

#[test]
fn malformed_edits_are_refused() {
    let mut xml = xml(ODD);
    for path in ["", "/", "A/", "A//B", "A[", "A[0]", "A[x]", "A]", "1A", "A B", "A[1]B", "<A>"] {
        assert!(matches!(xml.set_property(1, path, "x"), Err(EditError::BadPath { .. })), "{path}");
    }
    let long = vec!["A"; 300].join("/");
    assert!(matches!(xml.set_property(1, &long, "x"), Err(EditError::BadPath { .. })));
    assert!(matches!(xml.set_property(1, "V[4]", "x"), Err(EditError::BadPath { .. })));
    let bad_value = xml.set_property(1, "V", "a\0");
    assert_eq!(bad_value, Err(EditError::BadValue { found: '\0' }));
    assert!(matches!(xml.property(3, "NAME"), Err(EditError::NoSuchImage { .. })));
    assert_eq!(xml.to_text(), ODD);
}

/// Pieces of which documents are put together; some do not fit.
fn any_piece() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "<a>",
        "</a>",
        "<a/>",
        "<a b='>'>",
        "text",
        "&amp;",
        "&#x10ffff;",
        "&no;",
        "\r\n",
        "<!--x-->",
        "<![CDATA[<]]>",
        "<?p i?>",
        "<NAME>n</NAME>",
        "<WINDOWS>",
        "</WINDOWS>",
        "<LANGUAGES/>",
        "<TOTALBYTES>1</TOTALBYTES>",
        "\u{10f800}",
        "\u{10ffff}",
        "]]>",
        "<",
        "&",
        "\0",
        " ",
    ])
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        check::xml(&bytes);
    }

    #[test]
    fn any_document(
        images in proptest::collection::vec(proptest::collection::vec(any_piece(), 0..8), 0..4),
        outside in proptest::collection::vec(any_piece(), 3),
        changes in proptest::collection::vec((any::<usize>(), any::<u16>()), 0..2),
    ) {
        let mut text = format!("{}<WIM>", if outside[0].contains('!') { outside[0] } else { "" });
        for (image, index) in images.iter().zip(1..) {
            text += &format!("<IMAGE INDEX=\"{index}\">{}</IMAGE>", image.concat());
        }
        text += &format!("{}</WIM>", outside[1]);
        let mut units: Vec<u16> = text.encode_utf16().collect();
        let len = units.len();
        changes.into_iter().for_each(|(at, unit)| units[at % len] = unit);
        let bytes: Vec<u8> = units.into_iter().flat_map(u16::to_le_bytes).collect();
        check::xml(&bytes);
    }
}
