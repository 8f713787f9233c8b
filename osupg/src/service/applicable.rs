//! Which updates an image needs, why others not, and what has to be there before.
//!
//! Windows' servicing stack decides for itself when it installs something. What is said here comes
//! from manifests and the image's own records, before anything runs; where they do not say enough,
//! the state says so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::inventory::ImageInventory;
use super::update::{Kind, Update};

/// What an update is to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing is known of the image.
    Unknown,
    /// The image does not need it.
    NotRequired,
    /// It is in the image.
    Installed,
    /// The image needs it.
    Applicable,
    /// Nothing says what it is for.
    ApplicabilityNotSupported,
    /// It can be put in, but not be found there.
    InstalledCheckNotSupported,
}

impl State {
    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NotRequired => "not required",
            Self::Installed => "installed",
            Self::Applicable => "applicable",
            Self::ApplicabilityNotSupported => "applicability cannot be checked",
            Self::InstalledCheckNotSupported => "whether it is installed cannot be checked",
        }
    }

    /// Whether a run puts it in.
    #[must_use]
    pub const fn is_to_run(self) -> bool {
        matches!(
            self,
            Self::Applicable | Self::ApplicabilityNotSupported | Self::InstalledCheckNotSupported
        )
    }
}

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The recovery environment.
    Winre,
    /// An image of boot.wim.
    Boot,
    /// An image of install.wim.
    Install,
}

/// What an update is to an image, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assessment {
    /// What it is.
    pub state: State,
    /// Why, in a sentence.
    pub reason: String,
}

fn is(state: State, reason: impl Into<String>) -> Assessment {
    Assessment { state, reason: reason.into() }
}

/// Assesses an update for an image.
#[must_use]
pub fn assess(image: &ImageInventory, role: Role, update: &Update) -> Assessment {
    let facts = &update.facts;
    if !facts.online_only.is_empty() {
        return is(State::NotRequired, facts.online_only.clone());
    }
    if let Some(reason) = not_for(role, update) {
        return is(State::NotRequired, reason);
    }
    if image.build == 0 && image.packages.is_empty() {
        return is(State::Unknown, "neither the image nor the WIM says what Windows is in it");
    }
    let other_architecture = !facts.architecture.is_empty()
        && !image.architecture.is_empty()
        && !facts.architecture.eq_ignore_ascii_case(&image.architecture);
    if other_architecture {
        let (wanted, found) = (&facts.architecture, &image.architecture);
        return is(State::NotRequired, format!("it is for {wanted}, the image is {found}"));
    }
    if !facts.builds.is_empty() && image.build != 0 && !facts.builds.contains(&image.build) {
        let builds: Vec<_> = facts.builds.iter().map(u32::to_string).collect();
        let wanted = builds.join(", ");
        return is(
            State::NotRequired,
            format!("it is for build {wanted}, the image has build {}", image.build),
        );
    }
    let Some(identity) = &facts.identity else {
        return if facts.kind == Kind::Driver {
            is(
                State::InstalledCheckNotSupported,
                "an image does not say which drivers it was given",
            )
        } else {
            is(State::ApplicabilityNotSupported, "it names no package of the servicing stack")
        };
    };
    if let Some(there) = image.installed().find(|there| there.is(identity)) {
        return is(State::Installed, format!("the image has {there}"));
    }
    let newer =
        |there: &&Identity| there.is_version_of(identity) && there.version > identity.version;
    if let Some(newer) = image.installed().find(newer) {
        return is(State::NotRequired, format!("the image has a newer one, {}", newer.version));
    }
    if facts.kind == Kind::Cumulative
        && let Some((build, revision)) = facts.version.build()
        && (build, revision) <= (image.build, image.revision)
        && image.from_registry
    {
        return is(State::Installed, format!("the image is at {}", image.version()));
    }
    if facts.builds.is_empty() {
        return is(State::ApplicabilityNotSupported, "its manifest names no build of Windows");
    }
    is(State::Applicable, format!("for build {}", image.build))
}

/// Why an update does not go into images of a role.
fn not_for(role: Role, update: &Update) -> Option<&'static str> {
    match (role, update.facts.kind) {
        (Role::Install, _) if update.is_for_pe() => Some("it is a component of Windows PE"),
        (Role::Winre | Role::Boot, _) if update.is_for_pe() => None,
        (_, Kind::Setup) => Some("it goes over the files of Windows Setup on the media"),
        (Role::Winre, Kind::Cumulative) => Some(
            "the recovery environment takes its servicing stack and the Safe OS update instead",
        ),
        (Role::Winre | Role::Boot, Kind::Dotnet) => Some(".NET is in install.wim only"),
        (Role::Boot | Role::Install, Kind::SafeOs) => Some("it is for the recovery environment"),
        (Role::Winre | Role::Boot, Kind::Feature) => Some("features on demand go into install.wim"),
        _ => None,
    }
}

/// An update that takes the place of another.
#[must_use]
pub fn superseded_by<'u>(update: &Update, all: &'u [Update]) -> Option<&'u Update> {
    all.iter()
        .filter(|other| other.id != update.id && other.facts.version > update.facts.version)
        .filter(|other| match (&update.facts.identity, &other.facts.identity) {
            (Some(old), Some(new)) => new.is_version_of(old),
            (None, None) => {
                let same =
                    other.facts.kind == update.facts.kind && update.facts.kind == Kind::Setup;
                let (a, b) = (&other.facts, &update.facts);
                same && a.architecture == b.architecture && a.builds == b.builds
            }
            _ => false,
        })
        .max_by_key(|other| other.facts.version)
}

/// Updates in the order in which they go into an image.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// First to last; those that were added because others take them, too.
    pub(super) updates: Vec<Update>,
    /// Why each that was added is there.
    pub(super) added: Vec<String>,
    /// What is missing, with what to do about it.
    pub(super) missing: Vec<String>,
}

/// Puts updates for one image into order, with what they take: checkpoints and servicing stacks that
/// the image lacks come from `imported` where they are there.
pub(super) fn order(image: &ImageInventory, chosen: &[Update], imported: &[Update]) -> Ordered {
    let mut ordered = Ordered { updates: chosen.to_vec(), ..Ordered::default() };
    // Each round looks at what the one before has added; a chain is as long as there are updates.
    let mut at = 0;
    while at < ordered.updates.len() && at <= imported.len() + chosen.len() {
        let update = ordered.updates[at].clone();
        at += 1;
        checkpoint(image, &update, imported, &mut ordered);
        servicing_stack(image, &update, imported, &mut ordered);
    }
    ordered.updates.sort_by_key(|update| (rank(update.facts.kind), update.facts.version));
    ordered
}

/// Microsoft's order within an image.
pub(super) const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::ServicingStack => 0,
        Kind::Language => 1,
        Kind::Feature => 2,
        Kind::SafeOs => 3,
        Kind::Cumulative => 4,
        Kind::Other => 5,
        Kind::Driver => 6,
        // After the clean-up: it leaves actions pending, with which a clean-up fails.
        Kind::Dotnet => 7,
        Kind::Setup => 8,
    }
}

fn checkpoint(image: &ImageInventory, update: &Update, imported: &[Update], to: &mut Ordered) {
    let wanted = &update.facts.checkpoints;
    // One of them is enough, and a later one of the same package serves, too.
    let serves = |there: &Identity| {
        wanted.iter().any(|want| there.is_version_of(want) && there.version >= want.version)
    };
    if wanted.is_empty() || image.installed().any(serves) {
        return;
    }
    let earlier = |other: &&Update| {
        other.id != update.id
            && other.facts.version < update.facts.version
            && other.facts.identity.as_ref().is_some_and(serves)
    };
    if to.updates.iter().any(|other| earlier(&other)) {
        return;
    }
    match imported.iter().filter(earlier).min_by_key(|other| other.facts.version) {
        Some(other) => {
            to.added.push(format!("{} takes the checkpoint {}", update.called(), other.called()));
            to.updates.push(other.clone());
        }
        None => {
            let names: Vec<_> =
                wanted.iter().map(|want| format!("{} {}", want.name, want.version)).collect();
            to.missing.push(format!(
                "{} takes the checkpoint {}, which is neither in image {} nor imported: import its \
                 .msu with `osupg update import`",
                update.called(),
                names.join(" or "),
                image.index
            ));
        }
    }
}

fn servicing_stack(image: &ImageInventory, update: &Update, imported: &[Update], to: &mut Ordered) {
    let Some(wanted) = update.facts.servicing_stack.and_then(|version| version.build()) else {
        return;
    };
    let is_stack = |identity: &Identity| {
        identity.name.to_ascii_lowercase().starts_with("package_for_servicingstack")
    };
    let serves = |identity: &Identity| {
        is_stack(identity) && identity.version.build().is_some_and(|build| build >= wanted)
    };
    let brings = |other: &&Update| {
        let facts = &other.facts;
        facts.identity.iter().chain(&facts.contains).any(serves)
    };
    // What the media were built with serves until an update asks for more.
    let built_with = image.build == wanted.0 && image.revision >= wanted.1;
    if built_with || image.installed().any(serves) || to.updates.iter().any(|u| brings(&u)) {
        return;
    }
    let stack = |other: &&Update| other.facts.kind == Kind::ServicingStack && brings(other);
    match imported.iter().find(stack) {
        Some(other) => {
            to.added.push(format!("{} takes {}", update.called(), other.called()));
            to.updates.push(other.clone());
        }
        None => to.missing.push(format!(
            "{} takes a servicing stack of {}.{} or later, which is neither in image {} nor \
             imported: import it with `osupg update import`",
            update.called(),
            wanted.0,
            wanted.1,
            image.index
        )),
    }
}

#[cfg(test)]
mod tests;
