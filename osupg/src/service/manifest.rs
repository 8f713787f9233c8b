//! What the manifest of a package (`update.mum`) says about it.
//!
//! ```xml
//! <assembly xmlns="urn:schemas-microsoft-com:asm.v3" description="Fix for KB5044284" …>
//!   <assemblyIdentity name="Package_for_RollupFix" version="26100.2033.1.5" language="neutral"
//!                     processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35"/>
//!   <package identifier="KB5044284" releaseType="Update">
//!     <parent buildCompare="EQ"> <assemblyIdentity name="Microsoft-Windows-…" …/> </parent>
//!     <installerAssembly name="Microsoft-Windows-ServicingStack" version="10.0.26100.1738" …/>
//!     <update name="…"> <package> <assemblyIdentity …/> </package> </update>
//!   </package>
//! </assembly>
//! ```
//!
//! A parent is what must be in the image: an edition of a build, or an earlier update (a checkpoint)
//! that this one is the difference to. One of several parents is enough. The installer assembly is
//! the servicing stack that the update takes at least.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::identity::{Identity, Version, is_part};

/// Bytes of the largest manifest that is read; those of cumulative updates have some 3 MiB.
pub(super) const MAX_LEN: u64 = 64 << 20;
/// Elements that nest; real manifests have six.
const MAX_DEPTH: usize = 64;
/// Parents of one package: editions and their languages.
const MAX_PARENTS: usize = 10_000;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) identity: Identity,
    /// Such as `KB5044284`; empty when it names none.
    pub(super) kb: String,
    /// A description; may be empty.
    pub(super) title: String,
    /// Such as `Update` or `Language Pack`; may be empty.
    pub(super) release_type: String,
    /// One of these must be in the image.
    pub(super) parents: Vec<Identity>,
    /// The oldest servicing stack that can install it.
    pub(super) servicing_stack: Option<Version>,
    /// Whether it says that it cannot be installed offline.
    pub(super) online_only: bool,
}

/// Reads a manifest: UTF-8 or UTF-16 with its mark.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(super) fn parse(bytes: &[u8]) -> Result<Manifest, String> {
    let text = decode(bytes)?;
    let mut reader = Reader::from_str(&text);
    let mut found = Found::default();
    let mut open: Vec<String> = Vec::new();
    loop {
        match reader.read_event().map_err(|error| format!("is no XML: {error}"))? {
            Event::Start(element) => {
                found.element(&open, &element)?;
                open.push(element.local_name().as_ref().to_string());
                if open.len() > MAX_DEPTH {
                    return Err(format!("nests elements deeper than {MAX_DEPTH}"));
                }
            }
            Event::Empty(element) => found.element(&open, &element)?,
            Event::End(_) => drop(open.pop()),
            Event::Eof => break,
            _ => {}
        }
    }
    found.finish()
}

fn decode(bytes: &[u8]) -> Result<String, String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).map_err(|_| "is no UTF-16".to_string())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => {
            std::str::from_utf8(rest).map(str::to_string).map_err(|_| "is no UTF-8".into())
        }
    }
}

#[derive(Default)]
struct Found {
    identity: Option<Identity>,
    kb: String,
    title: String,
    support: String,
    release_type: String,
    parents: Vec<Identity>,
    servicing_stack: Option<Version>,
    online_only: bool,
}

impl Found {
    fn element(&mut self, open: &[String], element: &BytesStart<'_>) -> Result<(), String> {
        let within: Vec<&str> = open.iter().map(String::as_str).collect();
        let get = |name: &str| attribute(element, name);
        match (within.as_slice(), element.local_name().as_ref()) {
            ([], "assembly") => {
                self.title = [get("displayName")?, get("description")?]
                    .into_iter()
                    .find(|text| !text.is_empty() && text != "default")
                    .unwrap_or_default();
                self.support = get("supportInformation")?;
            }
            ([], other) => return Err(format!("is no package manifest but <{other}>")),
            (["assembly"], "assemblyIdentity") => self.identity = Some(identity(element)?),
            (["assembly"], "package") => {
                self.kb = get("identifier")?;
                self.release_type = get("releaseType")?;
            }
            (["assembly", "package", "parent"], "assemblyIdentity") => {
                if self.parents.len() == MAX_PARENTS {
                    return Err(format!("names more than {MAX_PARENTS} parents"));
                }
                self.parents.push(identity(element)?);
            }
            (["assembly", "package"], "installerAssembly") => {
                self.servicing_stack = get("version")?.parse().ok();
            }
            (["assembly", "package"], "packageExtended") => {
                self.online_only = get("completelyOfflineCapable")?.eq_ignore_ascii_case("no");
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Manifest, String> {
        let identity = self.identity.ok_or("names no package (<assemblyIdentity>)")?;
        let kb = [&self.kb, &self.support, &self.title]
            .into_iter()
            .find_map(|text| kb_in(text))
            .or_else(|| article(&self.support))
            .unwrap_or_default();
        Ok(Manifest {
            identity,
            kb,
            title: self.title,
            release_type: self.release_type,
            parents: self.parents,
            servicing_stack: self.servicing_stack,
            online_only: self.online_only,
        })
    }
}

/// The value of an attribute, without its prefix; empty when there is none.
fn attribute(element: &BytesStart<'_>, name: &str) -> Result<String, String> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| format!("is no XML: {error}"))?;
        if attribute.key.local_name().as_ref() == name {
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| format!("is no XML: {error}"))?;
            return Ok(value.chars().filter(|c| !c.is_control()).take(1000).collect());
        }
    }
    Ok(String::new())
}

fn identity(element: &BytesStart<'_>) -> Result<Identity, String> {
    let part = |name: &str| {
        let value = attribute(element, name)?;
        if is_part(&value) { Ok(value) } else { Err(format!("has the {name} {value:?}")) }
    };
    let name = part("name")?;
    let version = part("version")?;
    let version = version
        .parse()
        .map_err(|()| format!("gives {name} the version {version:?}, which is not four numbers"))?;
    if name.is_empty() {
        return Err("names a package without a name".into());
    }
    let language = part("language")?;
    Ok(Identity {
        name,
        token: part("publicKeyToken")?,
        architecture: part("processorArchitecture")?,
        language: if matches!(language.as_str(), "neutral" | "*") {
            String::new()
        } else {
            language
        },
        version,
    })
}

/// The first article number of the form `KB` and six or more digits in a text.
pub(super) fn kb_in(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    upper.match_indices("KB").find_map(|(at, _)| {
        let digits: String = upper[at + 2..].chars().take_while(char::is_ascii_digit).collect();
        (6..=8).contains(&digits.len()).then(|| format!("KB{digits}"))
    })
}

/// The article at the end of an address such as `https://support.microsoft.com/help/5044284`.
fn article(address: &str) -> Option<String> {
    let last = address.trim_end_matches('/').rsplit(['/', '=']).next()?;
    let digits = (6..=8).contains(&last.len()) && last.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| format!("KB{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLUP: &str = r#"<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v3" manifestVersion="1.0"
  description="Fix for KB5044284 &amp; more" displayName="default" company="Microsoft Corporation"
  supportInformation="https://support.microsoft.com/help/5044284">
  <assemblyIdentity name="Package_for_RollupFix" version="26100.2033.1.5" language="neutral"
    processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35" />
  <package identifier="KB5044284" applicabilityEvaluation="deep" releaseType="Update">
    <parent buildCompare="EQ" integrate="separate" disposition="detect">
      <assemblyIdentity name="Microsoft-Windows-CoreEdition" version="10.0.26100.1" language="neutral"
        processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35" />
      <assemblyIdentity name="Package_for_RollupFix" version="26100.1742.1.10" language="neutral"
        processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35" />
    </parent>
    <installerAssembly name="Microsoft-Windows-ServicingStack" version="10.0.26100.1738"
      language="neutral" processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35" />
    <update name="5044284-1_neutral_PACKAGE"><package integrate="hidden">
      <assemblyIdentity name="Package_1_for_KB5044284" version="26100.2033.1.5" language="neutral"
        processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35" /></package></update>
    <mum2:packageExtended xmlns:mum2="urn:schemas-microsoft-com:asm.v3"
      completelyOfflineCapable="undetermined" />
  </package>
</assembly>"#;

    #[test]
    fn a_cumulative_update_says_what_it_is_and_takes() {
        let manifest = parse(ROLLUP.as_bytes()).unwrap();
        assert_eq!(
            manifest.identity.to_string(),
            "Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.2033.1.5"
        );
        assert_eq!((manifest.kb.as_str(), manifest.release_type.as_str()), ("KB5044284", "Update"));
        assert_eq!(manifest.title, "Fix for KB5044284 & more");
        assert_eq!(manifest.parents.len(), 2, "packages inside are no parents");
        assert_eq!(manifest.servicing_stack, "10.0.26100.1738".parse().ok());
        assert!(!manifest.online_only);
        let online = ROLLUP.replace("undetermined", "no");
        assert!(parse(online.as_bytes()).unwrap().online_only);
    }

    #[test]
    fn manifests_come_in_utf_16_too() {
        let mut wide = vec![0xff, 0xfe];
        wide.extend(ROLLUP.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(parse(&wide), parse(ROLLUP.as_bytes()));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let deep = "<assembly>".repeat(100);
        for (text, why) in [
            ("", "names no package"),
            ("<unattend/>", "is no package manifest but <unattend>"),
            ("<assembly/>", "names no package"),
            (&ROLLUP.replace("26100.2033.1.5", "../.."), "has the version"),
            (&ROLLUP.replace("26100.2033.1.5", "newest"), "not four numbers"),
            (&ROLLUP.replace("\"Package_for_RollupFix\"", "\"a/b\""), "has the name"),
            (&ROLLUP[..700], "is no XML"),
            (&deep, "nests"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(parse(&[0xff, 0xfe, 0, 0xd8]).is_err());
    }

    #[test]
    fn article_numbers_are_found() {
        assert_eq!(kb_in("windows11.0-kb5044284-x64.msu").as_deref(), Some("KB5044284"));
        assert_eq!(kb_in("kb12 kb5044284"), Some("KB5044284".into()));
        assert_eq!(kb_in("KBs"), None);
        assert_eq!(
            article("https://support.microsoft.com/?kbid=5044284").as_deref(),
            Some("KB5044284")
        );
    }
}
