//! What a run works on: the base revision, what its images hold, and the updates for each of them.

use std::collections::BTreeMap;

use super::applicable::{self, Assessment, Ordered, Role, State};
use super::install::{self, Form};
use super::inventory::{self, ImageInventory, WimInventory};
use super::recipe::Recipe;
use super::update::{Kind, Update};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::package::model::{Entry, Package};
use crate::package::reference::Reference;
use crate::progress::Watch;

/// How the cause of a revision begins that servicing has made.
pub(super) const CAUSE: &str = "servicing: ";
/// Revisions that are followed back to a base.
const MAX_BACK: usize = 1000;

/// A package and what a run would do to it.
pub(super) struct Survey {
    /// The package with its current revision.
    pub(super) package: Package,
    /// The package with the revision that the run starts from.
    pub(super) base: Package,
    /// The manifest of the base.
    pub(super) entries: Vec<Entry>,
    /// What its WIM files hold.
    pub(super) wims: Vec<WimInventory>,
    /// The updates that were chosen, superseded ones too.
    pub(super) chosen: Vec<Update>,
    /// Updates that are placed on the media.
    pub(super) placed: Vec<Update>,
    /// Updates that the answer file has Setup install.
    pub(super) unattended: Vec<Update>,
    /// Images of install.wim that are kept.
    pub(super) kept: Vec<u32>,
    /// The form in which the media have it.
    pub(super) form: Form,
    /// What is missing of it.
    pub(super) incomplete: Option<String>,
    imported: Vec<Update>,
}

/// An image and the updates for it.
pub(super) struct Surveyed<'s> {
    pub(super) role: Role,
    /// The file of the media that holds it, directly or in an image.
    pub(super) wim: &'s str,
    pub(super) image: &'s ImageInventory,
    /// The recovery environment's SHA-1; empty for other images.
    pub(super) sha1: &'s str,
    /// Each update and what it is to the image.
    pub(super) assessed: Vec<(Update, Assessment)>,
    /// Those that are put in, in order.
    pub(super) ordered: Ordered,
}

impl Survey {
    /// Looks at everything. The caller holds the library's lease.
    pub(super) async fn take(
        home: &Home,
        reference: &Reference,
        recipe: &Recipe,
        watch: Watch<'_>,
    ) -> Result<Self> {
        let package = home.db.package(&reference.package).await?;
        let base = match reference.revision {
            Some(_) => home.db.package_at(reference).await?,
            None => pristine(home, package.clone()).await?,
        };
        let entries = home.db.entries(base.revision.key).await?;
        crate::package::check_digest(&base, &entries)?;
        let (mut form, mut incomplete) = (Form::Plain, None);
        if let Some(first) = install::entry(&entries) {
            (form, incomplete) = tokio::task::block_in_place(|| {
                let open = inventory::open(home, &entries, first)?;
                let form = Form::of(home, &entries, first)?;
                Ok::<_, Error>((form, install::incomplete(&open, &entries, first)))
            })
            .map_err(|error| error.context(&first.path))?;
        }
        let wims = inventory::of_entries(home, &entries, watch).await?;
        let imported = home.db.updates().await?;
        let mut survey = Self {
            package,
            base,
            entries,
            wims,
            chosen: Vec::new(),
            placed: Vec::new(),
            unattended: Vec::new(),
            kept: Vec::new(),
            form,
            incomplete,
            imported,
        };
        survey.kept = survey.keep(&recipe.keep)?;
        for name in &recipe.place {
            survey.placed.push(home.db.update(name).await?);
        }
        for name in &recipe.unattended {
            survey.unattended.push(home.db.update(name).await?);
        }
        for name in &recipe.updates {
            let update = home.db.update(name).await?;
            if !survey.chosen.iter().any(|chosen| chosen.id == update.id) {
                survey.chosen.push(update);
            }
        }
        for kind in &recipe.latest {
            survey.add_latest(*kind);
        }
        Ok(survey)
    }

    /// The entry of install.wim, of install.esd or of the first part of install.swm.
    pub(super) fn install(&self) -> Option<&Entry> {
        install::entry(&self.entries)
    }

    /// The entry of boot.wim.
    pub(super) fn boot(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path.is("sources/boot.wim"))
    }

    fn images_of(&self, entry: Option<&Entry>) -> &[ImageInventory] {
        let path = entry.map(|entry| entry.path.as_str());
        let wim = self.wims.iter().find(|wim| Some(wim.path.as_str()) == path);
        wim.map_or(&[], |wim| &wim.images)
    }

    /// The images of install.wim.
    pub(super) fn install_images(&self) -> &[ImageInventory] {
        self.images_of(self.install())
    }

    /// The images of boot.wim.
    pub(super) fn boot_images(&self) -> &[ImageInventory] {
        self.images_of(self.boot())
    }

    fn keep(&self, wanted: &[String]) -> Result<Vec<u32>> {
        let images = self.install_images();
        if wanted.is_empty() {
            return Ok(images.iter().map(|image| image.index).collect());
        }
        let mut kept = Vec::new();
        for wanted in wanted {
            let fits = |image: &&ImageInventory| {
                image.index.to_string() == *wanted || image.edition.eq_ignore_ascii_case(wanted)
            };
            let fitting: Vec<_> = images.iter().filter(fits).map(|image| image.index).collect();
            if fitting.is_empty() {
                let there: Vec<_> = images
                    .iter()
                    .map(|image| format!("{} {}", image.index, image.edition))
                    .collect();
                return Err(Error::usage(format!("install.wim has no image {wanted:?}"))
                    .advise(format!("there are {}", there.join(", "))));
            }
            kept.extend(fitting);
        }
        kept.sort_unstable();
        kept.dedup();
        Ok(kept)
    }

    /// Chooses the newest updates of a kind that an image needs.
    fn add_latest(&mut self, kind: Kind) {
        let fits = |update: &&Update| {
            update.facts.kind == kind
                && update.facts.online_only.is_empty()
                && applicable::superseded_by(update, &self.imported).is_none()
                && (kind == Kind::Setup && self.for_media(update).state.is_to_run()
                    || self.images().any(|(role, _, image, _)| {
                        applicable::assess(image, role, update).state.is_to_run()
                    }))
        };
        let new: Vec<_> = self.imported.iter().filter(fits).cloned().collect();
        for update in new {
            if !self.chosen.iter().any(|chosen| chosen.id == update.id) {
                self.chosen.push(update);
            }
        }
    }

    /// What a Setup update is to the media, as far as can be said without comparing its files.
    pub(super) fn for_media(&self, update: &Update) -> Assessment {
        let is = |state, reason: String| Assessment { state, reason };
        let Some(image) = self.install_images().first() else {
            return is(State::Unknown, "nothing says what Windows the media install".into());
        };
        let facts = &update.facts;
        if !facts.architecture.is_empty() && facts.architecture != image.architecture {
            let (wanted, found) = (&facts.architecture, &image.architecture);
            return is(
                State::NotRequired,
                format!("it is for {wanted}, the media are for {found}"),
            );
        }
        if !facts.builds.is_empty() && image.build != 0 && !facts.builds.contains(&image.build) {
            let builds: Vec<_> = facts.builds.iter().map(u32::to_string).collect();
            return is(
                State::NotRequired,
                format!("it is for build {}, the media have {}", builds.join(", "), image.build),
            );
        }
        is(State::Applicable, "its files are compared one by one with those of the media".into())
    }

    /// Every image that updates can go into: WinRE first, each once; then boot.wim and install.wim.
    fn images(&self) -> impl Iterator<Item = (Role, &str, &ImageInventory, &str)> {
        let path = |entry: Option<&Entry>| {
            let path = entry.map(|entry| entry.path.as_str()).unwrap_or_default();
            self.wims.iter().map(|wim| wim.path.as_str()).find(|at| *at == path).unwrap_or_default()
        };
        let (install, boot) = (path(self.install()), path(self.boot()));
        let mut winres: BTreeMap<&str, (&ImageInventory, &str)> = BTreeMap::new();
        let kept = self.install_images().iter().filter(|image| self.kept.contains(&image.index));
        for image in kept.clone() {
            if let Some(winre) = &image.winre
                && let Some(inner) = winre.images.first()
            {
                winres.entry(&winre.sha1).or_insert((inner, &winre.sha1));
            }
        }
        let winres =
            winres.into_values().map(move |(image, sha1)| (Role::Winre, install, image, sha1));
        let boots = self.boot_images().iter().map(move |image| (Role::Boot, boot, image, ""));
        let installs = kept.map(move |image| (Role::Install, install, image, ""));
        winres.chain(boots).chain(installs)
    }

    /// Every image with the updates for it.
    pub(super) fn surveyed(&self) -> Vec<Surveyed<'_>> {
        self.images()
            .map(|(role, wim, image, sha1)| {
                let assess = |update: &Update| applicable::assess(image, role, update);
                let mut assessed: Vec<_> = self
                    .chosen
                    .iter()
                    .filter(|update| update.facts.kind != Kind::Setup)
                    .map(|update| (update.clone(), assess(update)))
                    .collect();
                let to_run: Vec<Update> = assessed
                    .iter()
                    .filter(|(_, assessment)| assessment.state.is_to_run())
                    .filter(|(update, _)| !self.is_superseded(update))
                    .map(|(update, _)| update.clone())
                    .collect();
                let mut ordered = applicable::order(image, &to_run, &self.imported);
                // What is brought along must itself fit.
                ordered.updates.retain(|update| {
                    to_run.iter().any(|chosen| chosen.id == update.id)
                        || assess(update).state.is_to_run()
                });
                for update in &ordered.updates {
                    if !assessed.iter().any(|(known, _)| known.id == update.id) {
                        assessed.push((update.clone(), assess(update)));
                    }
                }
                Surveyed { role, wim, image, sha1, assessed, ordered }
            })
            .collect()
    }

    /// Whether another chosen update takes the place of this one. Checkpoints are brought back when a
    /// later one needs them.
    pub(super) fn is_superseded(&self, update: &Update) -> bool {
        applicable::superseded_by(update, &self.chosen).is_some()
    }

    /// The Setup updates that go over the media, the oldest first.
    pub(super) fn setup_updates(&self) -> Vec<&Update> {
        let mut setup: Vec<_> = self
            .chosen
            .iter()
            .filter(|update| update.facts.kind == Kind::Setup)
            .filter(|update| self.for_media(update).state.is_to_run())
            .collect();
        setup.sort_by_key(|update| update.facts.version);
        setup
    }
}

/// The revision that servicing starts from: the newest before the current one that no servicing made.
/// Every run builds anew from it, so that nothing piles up.
async fn pristine(home: &Home, current: Package) -> Result<Package> {
    let mut at = current;
    for _ in 0..MAX_BACK {
        let cause = &at.revision.cause;
        let back = match (cause.strip_prefix("rollback to "), cause.starts_with(CAUSE)) {
            (Some(number), _) => number.parse().ok(),
            (None, true) => at.revision.parent,
            (None, false) => return Ok(at),
        };
        let Some(revision) = back.filter(|number| *number < at.revision.number) else {
            return Ok(at);
        };
        let reference = Reference { package: at.id.clone(), revision: Some(revision) };
        at = home.db.package_at(&reference).await.map_err(|error| {
            error
                .context("the base of earlier servicing")
                .advise("name the revision to start from: ID@N")
        })?;
    }
    Ok(at)
}
