//! What a device would fetch before its upgrade, and why.
//!
//! A client that is to be upgraded fetches the packages of its task sequence beforehand, chosen by
//! their tags: architecture and language. Tags that people type can be wrong, so that devices fetch
//! gigabytes in vain, or nothing. Here a tag counts only where the images say nothing; where they
//! contradict it, the images decide and the contradiction is told.

mod language;

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounts::Sight;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Reach, Right};
use crate::package::add;
use crate::package::fields;
use crate::package::model::{ImageFacts, Origin, Package};
use crate::package::reference::Reference;
use crate::points;
use crate::points::model::{Kind, Point};
use crate::progress::Watch;
use crate::text;

/// Packages that one request may name.
const MAX_NAMED: usize = 1000;

/// A device, and the packages that its task sequence refers to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its architecture, such as `x64`.
    pub architecture: String,
    /// The language of its Windows, as a tag such as `en-US` or a number such as `1033`.
    pub os_language: String,
    /// Its model; any if left out.
    #[serde(default)]
    pub model: Option<String>,
    /// The edition of its Windows, such as `Professional`; any if left out.
    #[serde(default)]
    pub edition: Option<String>,
    /// The build of its Windows, such as `22631.3880`; any if left out.
    #[serde(default)]
    pub os_build: Option<String>,
    /// The packages; all if left out.
    #[serde(default)]
    pub packages: Vec<Reference>,
}

/// What a device would fetch.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The device's architecture, as packages name it.
    pub architecture: String,
    /// The device's language, as a tag.
    pub os_language: String,
    /// Every package that was looked at, by id.
    pub packages: Vec<Choice>,
    /// Bytes of all that is fetched.
    pub size: u64,
}

/// A package, fetched or not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// The package's id.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Its revision.
    pub revision: i64,
    /// Whether the device fetches it.
    pub fetch: bool,
    /// Why, or why not.
    pub reasons: Vec<String>,
    /// Where its tags are wrong.
    pub warnings: Vec<String>,
    /// Files of the revision.
    pub files: u64,
    /// The sum of their sizes.
    pub size: u64,
    /// The digest of the revision's manifest, which its signed document holds.
    pub digest: String,
    /// Where the service has the signed document, relative to its address.
    pub document: String,
    /// What the address of a file begins with, relative to that of the service; the file's path,
    /// which the document gives with its hash, follows.
    pub content: String,
    /// The points that have this revision whole; none for a package that is not fetched.
    pub locations: Vec<Location>,
}

/// A point that has a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    /// The point's name.
    pub point: String,
    /// What kind of place it is.
    pub kind: points::model::Kind,
    /// Where the revision is there: the media tree in a folder, the signed document in an object
    /// store, what a node is known by.
    pub address: String,
}

impl Operation for Request {
    type Outcome = Answer;
    const NAME: &'static str = "precache.simulate";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    fn named(&self) -> Vec<&str> {
        self.packages.iter().map(|reference| &*reference.package).collect()
    }

    fn check(&self) -> Result<()> {
        if self.packages.len() > MAX_NAMED {
            return Err(Error::usage(format!("{MAX_NAMED} packages are the most to ask for")));
        }
        Ok(())
    }

    fn limit(answer: &mut Answer, sight: &Sight) {
        answer.packages.retain(|choice| sight.sees(&choice.package));
        answer.size = fetched(&answer.packages);
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Answer> {
        let device = self.device()?;
        let at: HashMap<i64, Point> =
            home.db.points().await?.into_iter().map(|point| (point.key, point)).collect();
        let mut packages = Vec::new();
        for package in self.candidates(home).await? {
            watch.check()?;
            // What the tags rule out by themselves needs no look at the images, if they come from
            // there.
            let images = match device.ruled_out_by_images(&package) {
                true => Vec::new(),
                false => add::install_images(home, &package).await?,
            };
            let mut choice = device.choose(&package, &images);
            if choice.fetch {
                choice.locations = locations(home, &package, &at).await?;
            }
            packages.push(choice);
        }
        let size = fetched(&packages);
        let Device { architecture, language, .. } = device;
        Ok(Answer { architecture, os_language: language, packages, size })
    }
}

/// The points that have the revision of a package whole, by name.
async fn locations(
    home: &Home,
    package: &Package,
    points: &HashMap<i64, Point>,
) -> Result<Vec<Location>> {
    let held = home.db.presences_of(&package.id).await?;
    let held = held.into_iter().filter(|one| one.held == Some(package.revision.number));
    let found = held.filter_map(|one| {
        let point = points.get(&one.point_key)?;
        let address = match point.kind {
            Kind::Folder => format!("{}/{}", point.target, package.id),
            Kind::Objects => format!("{}/revisions/{}.json", point.target, package.id),
            Kind::Node => point.target.clone(),
        };
        Some(Location { point: point.name.clone(), kind: point.kind, address })
    });
    Ok(found.collect())
}

fn fetched(packages: &[Choice]) -> u64 {
    packages.iter().filter(|choice| choice.fetch).map(|choice| choice.size).sum()
}

impl Request {
    fn device(&self) -> Result<Device> {
        let language = language::tag(&self.os_language).ok_or_else(|| {
            Error::usage(format!(
                "{} is the number of no language that Windows comes in",
                text::clean(&self.os_language)
            ))
            .advise("give a tag such as en-US, or a number such as 1033")
        })?;
        let language = fields::languages(&language)?;
        if language.contains(' ') {
            return Err(Error::usage("a device has one language"));
        }
        let build = self.os_build.as_deref().map(parse_build).transpose()?;
        Ok(Device {
            architecture: fields::architecture(&self.architecture)?,
            language,
            model: self.model.as_deref().map(fields::model).transpose()?,
            edition: self.edition.clone(),
            build,
        })
    }

    async fn candidates(&self, home: &Home) -> Result<Vec<Package>> {
        self.check()?;
        if self.packages.is_empty() {
            return home.db.packages().await;
        }
        let mut packages = Vec::new();
        for reference in &self.packages {
            packages.push(home.db.package_at(reference).await?);
        }
        packages.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(packages)
    }
}

/// A build with its revision: `26100.1742`.
fn parse_build(given: &str) -> Result<Build> {
    let numbers: Option<Vec<u64>> =
        given.trim().split('.').map(|number| number.parse().ok()).collect();
    match numbers.as_deref() {
        Some([build]) => Ok((*build, 0)),
        Some([build, revision]) => Ok((*build, *revision)),
        // 10.0.26100.1742
        Some([_, _, build, revision]) => Ok((*build, *revision)),
        _ => Err(Error::usage(format!("{:?} is no build of Windows", text::clean(given)))
            .advise("give it as in 22631.3880")),
    }
}

type Build = (u64, u64);

#[derive(Debug)]
struct Device {
    architecture: String,
    language: String,
    model: Option<String>,
    edition: Option<String>,
    build: Option<Build>,
}

impl Device {
    /// Whether the package's tags come from its images and rule it out.
    fn ruled_out_by_images(&self, package: &Package) -> bool {
        let from_images = |by: Origin, value: &str| by == Origin::Image && !value.trim().is_empty();
        let (architecture, language) = (&package.architecture, &package.language);
        (from_images(architecture.by, &architecture.value)
            && !lists(&architecture.value, &self.architecture))
            || (from_images(language.by, &language.value)
                && !lists(&language.value, &self.language))
    }

    fn choose(&self, package: &Package, images: &[ImageFacts]) -> Choice {
        let (mut for_it, mut against, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        let held: Vec<&str> = images.iter().map(|image| image.architecture.as_str()).collect();
        judge(
            "architecture",
            &self.architecture,
            &package.architecture.value,
            &held,
            (&mut for_it, &mut against, &mut warnings),
        );
        let held: Vec<&str> = images
            .iter()
            .flat_map(|image| image.languages.iter().chain([&image.default_language]))
            .map(String::as_str)
            .collect();
        judge(
            "language",
            &self.language,
            &package.language.value,
            &held,
            (&mut for_it, &mut against, &mut warnings),
        );
        self.judge_model(&package.models, &mut for_it, &mut against);
        self.judge_edition(images, &mut for_it, &mut against);
        self.judge_build(images, &mut for_it, &mut against);
        let fetch = against.is_empty();
        Choice {
            package: package.id.clone(),
            name: package.name.clone(),
            revision: package.revision.number,
            fetch,
            reasons: if fetch { for_it } else { against },
            warnings,
            files: package.revision.file_count,
            size: package.revision.total_size,
            digest: text::hex(&package.revision.digest),
            document: address("revisions", package),
            content: format!("{}/", address("files", package)),
            locations: Vec::new(),
        }
    }

    /// The images know nothing of models: what people have said of the package counts.
    fn judge_model(&self, models: &[String], for_it: &mut Vec<String>, against: &mut Vec<String>) {
        let Some(model) = self.model.as_ref().filter(|_| !models.is_empty()) else { return };
        let same = |one: &String| one.to_lowercase() == model.to_lowercase();
        if models.iter().any(same) {
            for_it.push(format!("it is for the model {}", text::clean(model)));
        } else {
            against.push(format!(
                "it is for {}, the device is a {}",
                text::clean(&models.join(", ")),
                text::clean(model)
            ));
        }
    }

    fn judge_edition(
        &self,
        images: &[ImageFacts],
        for_it: &mut Vec<String>,
        against: &mut Vec<String>,
    ) {
        let Some(edition) = &self.edition else { return };
        if images.is_empty() {
            return;
        }
        if images.iter().any(|image| image.edition.eq_ignore_ascii_case(edition)) {
            for_it.push(format!("it has the edition {}", text::clean(edition)));
        } else {
            let has: Vec<_> = images.iter().map(|image| text::clean(&image.edition)).collect();
            against.push(format!(
                "it has no edition {}, only {}",
                text::clean(edition),
                has.join(", ")
            ));
        }
    }

    fn judge_build(
        &self,
        images: &[ImageFacts],
        for_it: &mut Vec<String>,
        against: &mut Vec<String>,
    ) {
        let Some(device) = self.build else { return };
        let newest = images.iter().filter_map(|image| parse_build(&image.build).ok()).max();
        match newest {
            Some(build) if build > device => {
                for_it.push(format!("build {}.{} is newer than the device's", build.0, build.1));
            }
            Some(build) => against.push(format!(
                "the device has build {}.{}, and the package {}.{}",
                device.0, device.1, build.0, build.1
            )),
            None => {}
        }
    }
}

/// Where the service has something of a revision, relative to its address.
fn address(what: &str, package: &Package) -> String {
    format!("/api/v1/content/{what}/{}/{}", package.id, package.revision.number)
}

/// Whether a list of words separated by blanks or commas has this one, whatever the capitals.
fn lists(list: &str, word: &str) -> bool {
    list.split([' ', ',']).any(|one| one.eq_ignore_ascii_case(word))
}

/// Compares what a device has with what the images hold, or the tag where they say nothing.
fn judge(
    what: &str,
    device: &str,
    tag: &str,
    held: &[&str],
    (for_it, against, warnings): (&mut Vec<String>, &mut Vec<String>, &mut Vec<String>),
) {
    let mut known: Vec<&str> = Vec::new();
    for value in held.iter().map(|value| value.trim()).filter(|value| !value.is_empty()) {
        if !known.iter().any(|one| one.eq_ignore_ascii_case(value)) {
            known.push(value);
        }
    }
    let tag_fits = tag.trim().is_empty() || lists(tag, device);
    if known.is_empty() {
        let tag = text::clean(tag);
        if tag.trim().is_empty() {
            for_it.push(format!("nobody knows its {what}, so every device takes it"));
        } else if tag_fits {
            for_it.push(format!("its {what} is {tag}"));
        } else {
            against.push(format!("its {what} is {tag}, the device's is {device}"));
        }
        return;
    }
    let fits = known.iter().any(|one| one.eq_ignore_ascii_case(device));
    let list: Vec<_> = known.iter().map(|one| text::clean(one)).collect();
    let list = list.join(", ");
    if fits {
        for_it.push(format!("its images have the {what} {device}"));
    } else {
        against.push(format!("its images have the {what} {list}, the device {device}"));
    }
    if fits != tag_fits {
        warnings.push(format!(
            "its {what} is given as {:?}, but its images have {list}: a client that goes by the \
             tag would {}",
            text::clean(tag),
            if tag_fits { "fetch it in vain" } else { "not fetch it" }
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(architecture: &str, language: &str, edition: &str, build: &str) -> ImageFacts {
        ImageFacts {
            index: 1,
            architecture: architecture.into(),
            languages: vec![language.into()],
            default_language: language.into(),
            edition: edition.into(),
            build: build.into(),
            ..ImageFacts::default()
        }
    }

    fn request() -> Request {
        Request { architecture: "amd64".into(), os_language: "1033".into(), ..Request::default() }
    }

    fn judged(tag: &str, held: &[&str]) -> (bool, usize) {
        let (mut for_it, mut against, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        judge("language", "en-US", tag, held, (&mut for_it, &mut against, &mut warnings));
        assert_eq!(for_it.is_empty(), !against.is_empty(), "one of both, and a reason");
        (against.is_empty(), warnings.len())
    }

    #[test]
    fn images_go_before_tags_and_contradictions_are_told() {
        assert_eq!(judged("en-US", &["en-us"]), (true, 0));
        assert_eq!(judged("de-DE en-US", &["en-US", "de-DE"]), (true, 0));
        assert_eq!(judged("de-DE", &["de-DE"]), (false, 0));
        assert_eq!(judged("en-US", &["de-DE"]), (false, 1), "fetched in vain by its tag");
        assert_eq!(judged("de-DE", &["en-US"]), (true, 1), "not fetched by its tag");
        assert_eq!(judged("", &["en-US"]), (true, 0));
        assert_eq!(judged("", &["de-DE"]), (false, 1));
        assert_eq!(judged("en-US", &[]), (true, 0));
        assert_eq!(judged("de-DE", &[""]), (false, 0));
        assert_eq!(judged("", &[]), (true, 0));
    }

    #[test]
    fn edition_and_build_decide_when_they_are_given() {
        let images = [image("x64", "en-US", "Professional", "26100.1742")];
        let judged = |edition: Option<&str>, build: Option<&str>| {
            let request = Request {
                edition: edition.map(Into::into),
                os_build: build.map(Into::into),
                ..request()
            };
            let device = request.device().unwrap();
            let (mut for_it, mut against) = (Vec::new(), Vec::new());
            device.judge_edition(&images, &mut for_it, &mut against);
            device.judge_build(&images, &mut for_it, &mut against);
            against.is_empty()
        };
        assert!(judged(None, None) && judged(Some("professional"), Some("22631.3880")));
        assert!(!judged(Some("Enterprise"), None));
        assert!(!judged(None, Some("26100.1742")) && !judged(None, Some("10.0.26100.2000")));
    }

    #[test]
    fn devices_that_cannot_be_are_refused() {
        assert_eq!(request().device().unwrap().architecture, "x64");
        for wrong in [
            Request { architecture: "sparc".into(), ..request() },
            Request { os_language: "4711".into(), ..request() },
            Request { os_language: "en-US de-DE".into(), ..request() },
            Request { os_language: String::new(), ..request() },
            Request { os_build: Some("new".into()), ..request() },
        ] {
            assert!(wrong.device().is_err(), "{wrong:?}");
        }
    }
}
