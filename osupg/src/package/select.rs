//! Which of the images in the media a package keeps, and what they say about it.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields;
use super::model::{ImageFacts, Origin, Package, Stated};
use crate::error::{Error, Result};
use crate::text;

/// Images that one package can keep: as many as a WIM can have.
const MAX_IMAGES: usize = 65_535;

/// Which images to keep.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// All of them; the media stay as they are.
    #[default]
    All,
    /// The images with these indices, from 1.
    Indexes(Vec<u32>),
    /// The images with these edition ids, whatever their capitals.
    Editions(Vec<String>),
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all images"),
            Self::Indexes(indexes) => f.write_str(&kept_words(Some(indexes))),
            Self::Editions(ids) => {
                write!(f, "edition{} {}", text::plural(ids.len() as u64), ids.join(", "))
            }
        }
    }
}

impl Selection {
    /// The indices of the images to keep, in order and each once; `None` for all.
    ///
    /// # Errors
    /// When there is no such image, or an edition id fits several; the error lists them.
    pub fn choose(&self, images: &[ImageFacts]) -> Result<Option<Vec<u32>>> {
        let chosen = match self {
            Self::All => return Ok(None),
            Self::Indexes(indexes) => {
                indexes.iter().map(|index| by_index(images, *index)).collect::<Result<Vec<_>>>()?
            }
            Self::Editions(ids) => {
                ids.iter().map(|id| by_edition(images, id)).collect::<Result<Vec<_>>>()?
            }
        };
        let chosen = BTreeSet::from_iter(chosen);
        match chosen.len() {
            0 => Err(Error::usage("no image is chosen").advise(list(images.iter()))),
            1..=MAX_IMAGES => Ok(Some(chosen.into_iter().collect())),
            many => Err(Error::usage(format!("{many} images are chosen; no WIM can hold so many"))),
        }
    }
}

fn by_index(images: &[ImageFacts], index: u32) -> Result<u32> {
    match images.iter().find(|image| image.index == index) {
        Some(_) => Ok(index),
        None => {
            Err(Error::usage(format!("the media have no image {index}"))
                .advise(list(images.iter())))
        }
    }
}

fn by_edition(images: &[ImageFacts], id: &str) -> Result<u32> {
    let found: Vec<_> =
        images.iter().filter(|image| image.edition.eq_ignore_ascii_case(id)).collect();
    match found[..] {
        [image] => Ok(image.index),
        [] => Err(Error::usage(format!("the media have no edition {:?}", text::clean(id)))
            .advise(list(images.iter()))),
        _ => Err(Error::usage(format!(
            "{} images have the edition {:?}",
            found.len(),
            text::clean(id)
        ))
        .advise(format!("choose with --index; {}", list(found.into_iter())))),
    }
}

/// The images with these indices; all for `None`.
pub(crate) fn kept(images: &[ImageFacts], keep: Option<&[u32]>) -> Vec<ImageFacts> {
    let wanted = |image: &&ImageFacts| keep.is_none_or(|keep| keep.contains(&image.index));
    images.iter().filter(wanted).cloned().collect()
}

/// `image 2`, `images 1, 3`; nothing for all.
pub(crate) fn kept_words(keep: Option<&[u32]>) -> String {
    let Some(keep) = keep else { return String::new() };
    let numbers: Vec<_> = keep.iter().map(ToString::to_string).collect();
    format!("image{} {}", text::plural(keep.len() as u64), numbers.join(", "))
}

/// `there are 1 Core, 2 Professional`.
fn list<'a>(images: impl Iterator<Item = &'a ImageFacts>) -> String {
    let all: Vec<_> = images
        .map(|image| {
            let called = if image.edition.is_empty() { &image.name } else { &image.edition };
            format!("{} {}", image.index, text::clean(called))
        })
        .collect();
    format!("there are {}", all.join(", "))
}

/// What a package says of itself, and what is odd about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub architecture: Stated,
    pub language: Stated,
    pub editions: String,
    pub builds: String,
    pub warnings: Vec<String>,
}

/// Reads architecture and language from the images that are kept; what is given by hand goes
/// before, and a contradiction gives a warning.
pub(crate) fn state(
    images: &[ImageFacts],
    architecture: Option<&str>,
    language: Option<&str>,
) -> Result<Statement> {
    let mut warnings = Vec::new();
    let architectures = distinct(images.iter().map(|image| image.architecture.as_str()));
    if architectures.len() > 1 {
        warnings.push(format!(
            "the images are for different architectures: {}",
            architectures.join(", ")
        ));
    }
    let languages = distinct(images.iter().flat_map(|image| {
        // The language an image starts with goes first.
        std::iter::once(image.default_language.as_str())
            .chain(image.languages.iter().map(String::as_str))
    }));
    let given = architecture.map(fields::architecture).transpose()?;
    let architecture = settle("architecture", given, architectures, &mut warnings);
    let given = language.map(fields::languages).transpose()?;
    let language = settle("language", given, languages, &mut warnings);
    let editions = distinct(images.iter().map(|image| image.edition.as_str())).join(", ");
    let builds = distinct(images.iter().map(|image| image.build.as_str())).join(", ");
    Ok(Statement { architecture, language, editions, builds, warnings })
}

/// What a package says of itself with other images: what was given by hand stays.
pub(crate) fn restate(package: &Package, images: &[ImageFacts]) -> Result<Statement> {
    let by_hand = |stated: &Stated| (stated.by == Origin::Hand).then(|| stated.value.clone());
    let (architecture, language) = (by_hand(&package.architecture), by_hand(&package.language));
    state(images, architecture.as_deref(), language.as_deref())
}

fn settle(
    field: &str,
    given: Option<String>,
    read: Vec<String>,
    warnings: &mut Vec<String>,
) -> Stated {
    let Some(given) = given else {
        if read.is_empty() {
            warnings.push(format!("the images do not say their {field}; give it with --{field}"));
        }
        return Stated { value: read.join(" "), by: Origin::Image };
    };
    let same = |a: &String, b: &String| a.eq_ignore_ascii_case(b);
    let stated: Vec<String> = given.split(' ').map(str::to_string).collect();
    let contradicts = stated.iter().any(|value| !read.iter().any(|known| same(known, value)));
    if contradicts && !read.is_empty() {
        warnings.push(format!(
            "the {field} was given as {given}, but the images say {}",
            read.join(" ")
        ));
    }
    Stated { value: given, by: Origin::Hand }
}

/// Each value once, in the order met, without empty ones; made safe to keep and show.
fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for value in values.map(str::trim).filter(|value| !value.is_empty()) {
        if !seen.iter().any(|known| known.eq_ignore_ascii_case(value)) {
            seen.push(value.to_string());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(index: u32, edition: &str) -> ImageFacts {
        ImageFacts {
            index,
            edition: edition.into(),
            architecture: "x64".into(),
            languages: vec!["en-US".into(), "de-DE".into()],
            default_language: "de-DE".into(),
            ..ImageFacts::default()
        }
    }

    #[test]
    fn images_are_chosen_by_index_or_edition() {
        let images = [image(1, "Core"), image(2, "Professional"), image(3, "Core")];
        let indexes = |indexes: &[u32]| Selection::Indexes(indexes.to_vec());
        let editions =
            |ids: &[&str]| Selection::Editions(ids.iter().map(ToString::to_string).collect());
        assert_eq!(Selection::All.choose(&images).unwrap(), None);
        assert_eq!(indexes(&[3]).choose(&images).unwrap(), Some(vec![3]));
        assert_eq!(indexes(&[3, 1, 3]).choose(&images).unwrap(), Some(vec![1, 3]));
        assert_eq!(editions(&["professional"]).choose(&images).unwrap(), Some(vec![2]));
        for (selection, says) in [
            (indexes(&[0]), "no image 0"),
            (indexes(&[1, 4]), "no image 4"),
            (indexes(&[]), "no image is chosen"),
            (editions(&["Professional", "Home"]), "no edition"),
            (editions(&["core"]), "2 images"),
        ] {
            let error = selection.choose(&images).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.advice().unwrap().contains("1 Core"), "{:?}", error.advice());
        }
    }

    #[test]
    fn selections_are_said_and_kept_as_text() {
        for (selection, words, json) in [
            (Selection::All, "all images", r#""all""#),
            (Selection::Indexes(vec![2]), "image 2", r#"{"indexes":[2]}"#),
            (Selection::Indexes(vec![1, 3]), "images 1, 3", r#"{"indexes":[1,3]}"#),
            (Selection::Editions(vec!["Core".into()]), "edition Core", r#"{"editions":["Core"]}"#),
        ] {
            assert_eq!(selection.to_string(), words);
            assert_eq!(serde_json::to_string(&selection).unwrap(), json);
            assert_eq!(serde_json::from_str::<Selection>(json).unwrap(), selection);
        }
        assert_eq!(kept_words(None), "");
    }

    #[test]
    fn what_the_images_say_is_taken() {
        let statement = state(&[image(1, "Core")], None, None).unwrap();
        assert_eq!(statement.architecture, Stated { value: "x64".into(), by: Origin::Image });
        assert_eq!(statement.language.value, "de-DE en-US");
        assert!(statement.warnings.is_empty());
    }

    #[test]
    fn a_contradiction_is_kept_and_warned_about() {
        let statement = state(&[image(1, "Core")], Some("arm64"), Some("fr-fr")).unwrap();
        assert_eq!(statement.architecture, Stated { value: "arm64".into(), by: Origin::Hand });
        assert_eq!(statement.language.value, "fr-FR");
        assert_eq!(statement.warnings.len(), 2);
        let agreeing = state(&[image(1, "Core")], Some("AMD64"), Some("EN-us")).unwrap();
        assert!(agreeing.warnings.is_empty(), "{:?}", agreeing.warnings);
    }

    #[test]
    fn silence_is_warned_about() {
        let statement = state(&[ImageFacts::default()], None, None).unwrap();
        assert_eq!(statement.architecture.value, "");
        assert_eq!(statement.warnings.len(), 2);
        let told = state(&[ImageFacts::default()], Some("x64"), Some("en-US")).unwrap();
        assert!(told.warnings.is_empty());
    }
}
