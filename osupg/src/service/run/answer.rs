//! The answer file at the top of the media, and the packages that it has Setup install.
//!
//! Setup takes packages from the `<servicing>` section of an answer file when it installs Windows anew;
//! an upgrade does not look at it. Where the media are is not known beforehand: `%configsetroot%` is
//! their root if `UseConfigurationSet` is set in the pass `windowsPE`. That pass is also what makes Setup
//! take an answer file that it has found by itself: one that holds only `<servicing>` is passed over
//! (Microsoft, KB939289).

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

use super::super::applicable;
use super::super::update::Update;
use super::Work;
use super::media::{self, Changes, New};
use crate::error::{Error, Result};
use crate::text;

/// Where it is.
const PLACE: &str = "autounattend.xml";
/// Where packages are, which it names.
const PACKAGES: &str = "servicing";

/// Puts the answer file onto the media, and what it takes.
pub(super) fn put(work: &Work<'_>, changes: &mut Changes) -> Result<()> {
    let place = media::spelled(work, PLACE)?;
    let given = match &work.recipe.answer_file {
        Some(file) => Some((text::path(file), media::read_file(file)?)),
        None => media::there(work, changes, &place)?.map(|bytes| (place.to_string(), bytes)),
    };
    let given = given
        .map(|(name, bytes)| {
            let found = Found::read(&bytes);
            let found = found.map_err(|why| Error::usage(format!("the answer file {name} {why}")));
            found.map(|found| (name, found))
        })
        .transpose()?;
    if work.survey.unattended.is_empty() {
        if let Some(file) = &work.recipe.answer_file {
            changes.put(place, New::File(file.clone()));
        }
        return Ok(());
    }
    let mut updates: Vec<&Update> = work.survey.unattended.iter().collect();
    updates.sort_by_key(|update| (applicable::rank(update.facts.kind), update.facts.version));
    let mut packages = String::new();
    for update in updates {
        let folder = work.scratch.folder(&format!("unattended-{}", update.id))?;
        for (name, file) in media::bring(work, update, &folder)? {
            let name = name.rsplit('/').next().unwrap_or_default();
            let path = format!("{PACKAGES}/{}/{name}", update.id);
            packages.push_str(&package(update, &path));
            changes.put(media::spelled(work, &path)?, New::File(file));
        }
    }
    let architecture = match work.survey.install_images().first() {
        Some(image) if image.architecture == "x64" => "amd64",
        Some(image) => &image.architecture,
        None => "amd64",
    };
    let said = match given {
        Some((name, found)) => found
            .with(&packages, architecture)
            .map_err(|why| Error::usage(format!("the answer file {name} {why}")))?,
        None => anew(&packages, architecture),
    };
    changes.put(place, New::Bytes(said.into_bytes()));
    Ok(())
}

/// The element that has Setup install a package.
fn package(update: &Update, path: &str) -> String {
    let Some(identity) = &update.facts.identity else { return String::new() };
    let language = match identity.language.as_str() {
        "" => "neutral",
        language => language,
    };
    format!(
        "    <package action=\"install\">\r\n      <assemblyIdentity name=\"{}\" version=\"{}\" \
         processorArchitecture=\"{}\" publicKeyToken=\"{}\" language=\"{}\"/>\r\n      \
         <source location=\"%configsetroot%\\{}\"/>\r\n    </package>\r\n",
        escape(&identity.name),
        identity.version,
        escape(&identity.architecture),
        escape(&identity.token),
        escape(language),
        escape(path.replace('/', "\\"))
    )
}

fn servicing(packages: &str) -> String {
    format!("  <servicing>\r\n{packages}  </servicing>\r\n")
}

/// What makes Setup know the root of the media.
fn configuration_set(architecture: &str) -> String {
    format!(
        "  <settings pass=\"windowsPE\">\r\n    <component name=\"Microsoft-Windows-Setup\" \
         processorArchitecture=\"{}\" publicKeyToken=\"31bf3856ad364e35\" language=\"neutral\" \
         versionScope=\"nonSxS\">\r\n      <UseConfigurationSet>true</UseConfigurationSet>\r\n    \
         </component>\r\n  </settings>\r\n",
        escape(architecture)
    )
}

/// An answer file with nothing else in it.
fn anew(packages: &str, architecture: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n\
         <unattend xmlns=\"urn:schemas-microsoft-com:unattend\">\r\n{}{}</unattend>\r\n",
        servicing(packages),
        configuration_set(architecture)
    )
}

/// An answer file, and where things are in it. One that Setup cannot read makes it stop at the first PC.
struct Found {
    said: String,
    /// Where the root ends; `None` for one without anything in it.
    end: Option<usize>,
    /// Where the section `<servicing>` ends.
    servicing_end: Option<usize>,
    /// Whether it has the pass `windowsPE`.
    has_pass: bool,
    /// Whether `UseConfigurationSet` is set there.
    is_set: bool,
}

impl Found {
    /// Reads it; what is wrong, as the end of a sentence.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let said = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_string())?;
        let said = said.strip_prefix('\u{feff}').unwrap_or(said);
        let mut found = Self {
            said: said.to_string(),
            end: None,
            servicing_end: None,
            has_pass: false,
            is_set: false,
        };
        let mut reader = Reader::from_str(said);
        let mut open: Vec<String> = Vec::new();
        let mut root = None;
        let mut in_pass = false;
        loop {
            let start = usize::try_from(reader.buffer_position()).unwrap_or(said.len());
            match reader.read_event().map_err(|error| format!("is no XML: {error}"))? {
                Event::Start(element) => {
                    let name = element.local_name().as_ref().to_string();
                    root.get_or_insert_with(|| name.clone());
                    if open.len() == 1 && name == "settings" {
                        let mut passes = element.attributes().flatten();
                        in_pass = passes.any(|pass| {
                            pass.key.as_ref() == "pass" && pass.value.as_ref() == "windowsPE"
                        });
                        found.has_pass |= in_pass;
                    }
                    open.push(name);
                }
                Event::Empty(element) => {
                    root.get_or_insert_with(|| element.local_name().as_ref().to_string());
                }
                Event::Text(text) => {
                    let within = open.last().is_some_and(|name| name == "UseConfigurationSet");
                    if within && in_pass {
                        found.is_set |= text.as_ref().trim().eq_ignore_ascii_case("true");
                    }
                }
                Event::End(_) => {
                    let name = open.pop().unwrap_or_default();
                    match open.len() {
                        0 => found.end = Some(start),
                        1 if name == "servicing" => found.servicing_end = Some(start),
                        _ => {}
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        if !open.is_empty() {
            return Err("is no XML: it ends in the middle".into());
        }
        match root.as_deref() {
            Some("unattend") => Ok(found),
            Some(other) => Err(format!("is <{other}>, not <unattend>")),
            None => Err("is empty".into()),
        }
    }

    /// The same with packages; everything else keeps its bytes.
    fn with(&self, packages: &str, architecture: &str) -> Result<String, String> {
        let Some(end) = self.end else { return Ok(anew(packages, architecture)) };
        if self.has_pass && !self.is_set {
            return Err(
                "has a pass windowsPE that does not set UseConfigurationSet, without which \
                        Setup finds no packages on the media: set it to true in \
                        Microsoft-Windows-Setup"
                    .into(),
            );
        }
        let pass = if self.has_pass { String::new() } else { configuration_set(architecture) };
        let (before, after) = self.said.split_at(end);
        Ok(match self.servicing_end {
            Some(at) if at <= end => {
                let (first, rest) = before.split_at(at);
                format!("{first}{packages}{rest}{pass}{after}")
            }
            _ => format!("{before}{}{pass}{after}", servicing(packages)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "<package/>";

    fn with(said: &str) -> Result<String, String> {
        Found::read(said.as_bytes())?.with(PACKAGE, "amd64")
    }

    #[test]
    fn packages_go_into_what_is_there() {
        let set = "<settings pass=\"windowsPE\"><component><UseConfigurationSet> true \
                   </UseConfigurationSet></component></settings>";
        let said = format!("\u{feff}<unattend><!-- kept -->{set}</unattend>\n");
        let new = with(&said).unwrap();
        assert!(new.starts_with("<unattend><!-- kept --><settings"), "{new}");
        assert_eq!((new.matches("windowsPE").count(), new.matches(PACKAGE).count()), (1, 1));
        let said = format!("<unattend>{set}<servicing><package id='1'/></servicing></unattend>");
        let new = with(&said).unwrap();
        assert!(new.contains("<servicing><package id='1'/><package/></servicing>"), "{new}");
        let new = with("<unattend><settings pass=\"specialize\"/></unattend>").unwrap();
        assert!(new.contains("<UseConfigurationSet>true<") && new.contains(PACKAGE), "{new}");
        assert_eq!(with("<unattend/>").unwrap(), anew(PACKAGE, "amd64"));
        // What is made can be read again, and is right.
        let found = anew(PACKAGE, "amd64");
        let found = Found::read(found.as_bytes()).unwrap();
        assert!(found.has_pass && found.is_set && found.servicing_end.is_some());
    }

    #[test]
    fn what_setup_would_not_take_is_refused() {
        for (said, why) in [
            ("<html/>", "not <unattend>"),
            ("", "is empty"),
            ("<unattend>", "no XML"),
            ("<unattend></html>", "no XML"),
            (
                "<unattend><settings pass=\"windowsPE\"></settings></unattend>",
                "UseConfigurationSet",
            ),
            (
                "<unattend><settings pass=\"windowsPE\"><UseConfigurationSet>false\
                 </UseConfigurationSet></settings></unattend>",
                "UseConfigurationSet",
            ),
        ] {
            let found = with(said).unwrap_err();
            assert!(found.contains(why), "{said}: {found}");
        }
        assert!(Found::read(&[0xff, 0xfe, 0x3c, 0]).is_err());
    }
}
