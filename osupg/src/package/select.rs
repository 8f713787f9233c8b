//! Which of the images in the media a package keeps, and what they say about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields;
use super::model::{ImageFacts, Origin, Stated};
use crate::error::{Error, Result};
use crate::text;

/// Which images to keep.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// All of them; the media stay as they are.
    #[default]
    All,
    /// The image with this index, from 1.
    Index(u32),
    /// The image with this edition id, whatever its capitals.
    Edition(String),
}

impl Selection {
    /// The index of the image to keep; `None` for all.
    ///
    /// # Errors
    /// When there is no such image, or an edition id fits several; the error lists them.
    pub fn choose(&self, images: &[ImageFacts]) -> Result<Option<u32>> {
        match self {
            Self::All => Ok(None),
            Self::Index(index) => match images.iter().find(|image| image.index == *index) {
                Some(_) => Ok(Some(*index)),
                None => Err(Error::usage(format!("the media have no image {index}"))
                    .advise(list(images.iter()))),
            },
            Self::Edition(id) => {
                let found: Vec<_> =
                    images.iter().filter(|image| image.edition.eq_ignore_ascii_case(id)).collect();
                match found[..] {
                    [image] => Ok(Some(image.index)),
                    [] => Err(Error::usage(format!(
                        "the media have no edition {:?}",
                        text::clean(id)
                    ))
                    .advise(list(images.iter()))),
                    _ => Err(Error::usage(format!(
                        "{} images have the edition {:?}",
                        found.len(),
                        text::clean(id)
                    ))
                    .advise(format!("choose one with --index; {}", list(found.into_iter())))),
                }
            }
        }
    }
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
        assert_eq!(Selection::All.choose(&images).unwrap(), None);
        assert_eq!(Selection::Index(3).choose(&images).unwrap(), Some(3));
        let professional = Selection::Edition("professional".into());
        assert_eq!(professional.choose(&images).unwrap(), Some(2));
        for (selection, says) in [
            (Selection::Index(0), "no image 0"),
            (Selection::Index(4), "no image 4"),
            (Selection::Edition("Home".into()), "no edition"),
            (Selection::Edition("core".into()), "2 images"),
        ] {
            let error = selection.choose(&images).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.advice().unwrap().contains("1 Core"), "{:?}", error.advice());
        }
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
