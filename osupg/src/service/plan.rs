//! Shows what a run would do before it does anything: the tasks of Microsoft's guidance for media, in
//! their order, each with who does it.

mod steps;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::applicable::{self, Role, State};
use super::install::{self, Form};
use super::recipe::{Recipe, Superseded, Target};
use super::survey::{Survey, Surveyed};
use super::update::Kind;
use super::work;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::package::reference::Reference;
use crate::progress::Watch;

/// What to plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package. With a revision, that is the base; without, the newest that servicing has not made.
    pub package: Reference,
    /// What the run is to do.
    pub recipe: Recipe,
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The package.
    pub id: String,
    /// The revision it starts from.
    pub base: i64,
    /// The images, and what each update is to them.
    pub images: Vec<PlannedImage>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Why it cannot run; empty when it can.
    pub problems: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// Bytes of scratch that it takes.
    pub scratch: u64,
}

/// An image of the base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedImage {
    /// The WIM that holds it, or the install.wim that holds its WIM.
    pub wim: String,
    /// What it is for.
    pub role: Role,
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its build.
    pub build: String,
    /// The updates.
    pub updates: Vec<PlannedUpdate>,
}

/// An update and an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedUpdate {
    /// The update's id.
    pub update: String,
    /// What it is called.
    pub called: String,
    /// What it is to the image.
    pub state: State,
    /// Why.
    pub reason: String,
    /// The id of the newest that takes its place, if it was imported.
    pub superseded_by: Option<String>,
}

/// Who does a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// osupg itself, on any system.
    Native,
    /// The servicing stack of Windows, on a worker.
    Dism,
    /// Nobody: the run was not asked to.
    Nobody,
}

impl By {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Dism => "DISM",
            Self::Nobody => "-",
        }
    }
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The number of Microsoft's task; `None` for what is ours.
    pub task: Option<u8>,
    /// What it changes: `winre.wim`, `boot.wim`, `install.wim` or `media`.
    pub target: String,
    /// What it does.
    pub title: String,
    /// Who does it.
    pub by: By,
    /// The updates that it puts in.
    pub updates: Vec<String>,
}

impl Operation for Request {
    type Outcome = Plan;
    const NAME: &'static str = "service.plan";
    const RIGHT: Right = Right::Read;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    fn places(&self) -> Vec<&Path> {
        self.recipe.places()
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Plan> {
        let recipe = self.recipe.checked()?;
        let _lease = home.lease().await?;
        let survey = Survey::take(home, &self.package, &recipe, watch).await?;
        let mut plan = make(&survey, &recipe);
        if plan.steps.iter().any(|step| step.by == By::Dism) {
            let builds = survey.surveyed().into_iter().filter(|i| !i.ordered.updates.is_empty());
            let build = builds.map(|image| image.image.build).max().unwrap_or(0);
            let why = work::why_none(home, build).await?;
            plan.notes.extend(why.map(|why| format!("updates of images will wait: {why}")));
        }
        Ok(plan)
    }
}

/// Makes the plan.
pub(super) fn make(survey: &Survey, recipe: &Recipe) -> Plan {
    let surveyed = survey.surveyed();
    let mut plan = Plan {
        id: survey.base.id.clone(),
        base: survey.base.revision.number,
        images: surveyed.iter().map(|image| planned(survey, image)).collect(),
        steps: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
        scratch: scratch(survey, recipe, &surveyed),
    };
    for image in &surveyed {
        plan.problems.extend(image.ordered.missing.iter().cloned());
        plan.notes.extend(image.ordered.added.iter().cloned());
        if image.image.pending && recipe.superseded == Superseded::Remove {
            plan.problems.push(format!(
                "{} image {} has actions that wait for its next start: a clean-up would fail; start \
                 from a base without them",
                image.wim, image.image.index
            ));
        }
    }
    check(survey, recipe, &surveyed, &mut plan);
    check_unattended(survey, &mut plan);
    steps::list(survey, recipe, &surveyed, &mut plan.steps);
    plan.notes.extend(steps::notes(&plan.steps));
    for list in [&mut plan.problems, &mut plan.notes] {
        let mut seen = std::collections::HashSet::new();
        list.retain(|line| seen.insert(line.clone()));
    }
    plan
}

fn planned(survey: &Survey, image: &Surveyed<'_>) -> PlannedImage {
    let updates = image.assessed.iter().map(|(update, assessment)| {
        let newer = applicable::superseded_by(update, &survey.chosen);
        let runs = image.ordered.updates.iter().any(|other| other.id == update.id);
        let (state, reason) = match newer {
            Some(newer) if assessment.state.is_to_run() && !runs => {
                (State::NotRequired, format!("superseded by {}", newer.called()))
            }
            _ => (assessment.state, assessment.reason.clone()),
        };
        PlannedUpdate {
            update: update.id.clone(),
            called: update.called(),
            state,
            reason,
            superseded_by: newer.map(|newer| newer.id.clone()),
        }
    });
    PlannedImage {
        wim: image.wim.to_string(),
        role: image.role,
        index: image.image.index,
        name: image.image.name.clone(),
        build: image.image.version(),
        updates: updates.collect(),
    }
}

/// What is wrong with the recipe for this base.
fn check(survey: &Survey, recipe: &Recipe, surveyed: &[Surveyed<'_>], plan: &mut Plan) {
    let images = survey.install_images();
    let mut problem = |text: String| plan.problems.push(text);
    let needs_install = survey.install().is_none()
        && (!recipe.keep.is_empty() || recipe.setup_complete.is_some() || recipe.winre.is_some());
    if needs_install {
        problem("the media hold no sources/install.wim, install.esd or install.swm".into());
    }
    if let Some(incomplete) = &survey.incomplete {
        problem(incomplete.clone());
    }
    if !survey.package.licence.is_settled() {
        problem(format!(
            "the licence of {} is not accepted: accept it with `osupg package accept-licence`",
            survey.package.id
        ));
    }
    if recipe.superseded == Superseded::Remove && survey.kept.len() > 1 {
        problem(format!(
            "superseded updates can be removed from an install.wim with one image; this one keeps {}: \
             choose one with --keep",
            survey.kept.len()
        ));
    }
    let targets = recipe.add.iter().map(|add| add.to).chain(recipe.remove.iter().map(|r| r.from));
    for target in targets {
        match target {
            Target::Install(Some(index)) if !survey.kept.contains(&index) => {
                problem(format!("install.wim has no image {index}, or it is not kept"));
            }
            Target::Install(None) if images.is_empty() => problem("there is no install.wim".into()),
            Target::Boot(index) => {
                let boots = survey.boot_images();
                let fits = |image: &super::inventory::ImageInventory| {
                    index.is_none_or(|index| index == image.index)
                };
                if !boots.iter().any(fits) && recipe.boot.is_none() {
                    problem(format!("there is no {target}"));
                }
            }
            Target::Winre if recipe.winre.is_none() && !has_winre(survey) => {
                problem("no image has a recovery environment (Winre.wim)".into());
            }
            _ => {}
        }
    }
    for update in survey.chosen.iter().filter(|update| !update.facts.online_only.is_empty()) {
        problem(format!("{}: {}", update.called(), update.facts.online_only));
    }
    for update in &survey.chosen {
        let runs = surveyed
            .iter()
            .any(|image| image.ordered.updates.iter().any(|other| other.id == update.id));
        if update.facts.kind != Kind::Setup && !runs {
            plan.notes.push(format!("no image takes {}", update.called()));
        }
    }
    for update in survey.chosen.iter().filter(|update| update.facts.kind == Kind::Setup) {
        let assessment = survey.for_media(update);
        if !assessment.state.is_to_run() {
            plan.notes.push(format!("{} stays out: {}", update.called(), assessment.reason));
        }
    }
}

/// What is wrong with packages for the answer file.
fn check_unattended(survey: &Survey, plan: &mut Plan) {
    for update in &survey.unattended {
        let called = update.called();
        let takes = matches!(
            update.facts.kind,
            Kind::Cumulative
                | Kind::ServicingStack
                | Kind::Dotnet
                | Kind::Feature
                | Kind::Language
                | Kind::Other
        );
        let cabinet = update.files == 1 && update.file.to_ascii_lowercase().ends_with(".cab");
        if !takes || !cabinet || update.facts.identity.is_none() {
            plan.problems.push(format!(
                "{called} is no package in a .cab, which is all that the servicing section of an answer \
                 file takes: put it in with --update, or place it with --place"
            ));
        }
        if survey.chosen.iter().chain(&survey.placed).any(|other| other.id == update.id) {
            plan.problems.push(format!(
                "{called} is both for the answer file and put in or placed: one of them is enough"
            ));
        }
        let assess = |image| applicable::assess(image, Role::Install, update);
        let all: Vec<_> = survey.install_images().iter().map(assess).collect();
        if !all.is_empty() && !all.iter().any(|found| found.state.is_to_run()) {
            let reason = all.first().map(|found| found.reason.clone()).unwrap_or_default();
            plan.notes.push(format!("no image needs {called} at a clean installation: {reason}"));
        }
    }
}

fn has_winre(survey: &Survey) -> bool {
    let images = survey.install_images();
    images.iter().any(|image| survey.kept.contains(&image.index) && image.winre.is_some())
}

/// Three times each WIM that is built anew: itself, what is taken out and put in, its copy; and the
/// updates.
fn scratch(survey: &Survey, recipe: &Recipe, surveyed: &[Surveyed<'_>]) -> u64 {
    let size = |entry: Option<&crate::package::model::Entry>| {
        entry.and_then(|entry| Some(entry.content.as_ref()?.size)).unwrap_or(0)
    };
    let runs = |role: Role| {
        surveyed.iter().any(|image| image.role == role && !image.ordered.updates.is_empty())
    };
    let edits = |wanted: fn(&Target) -> bool| {
        recipe
            .add
            .iter()
            .map(|add| &add.to)
            .chain(recipe.remove.iter().map(|r| &r.from))
            .any(wanted)
    };
    let install = runs(Role::Install)
        || runs(Role::Winre)
        || recipe.winre.is_some()
        || recipe.setup_complete.is_some()
        || !recipe.keep.is_empty()
        || edits(|target| matches!(target, Target::Install(_) | Target::Winre));
    let boot = runs(Role::Boot)
        || recipe.boot.is_some()
        || edits(|target| matches!(target, Target::Boot(_)));
    let updates = survey.chosen.iter().chain(&survey.placed).chain(&survey.unattended);
    let updates: u64 = updates.map(|update| update.size).sum();
    // An ESD becomes a WIM of up to twice its size, and an ESD again.
    let times = if survey.form == Form::Solid { 7 } else { 3 };
    let install = if install { install::size(&survey.entries).saturating_mul(times) } else { 0 };
    let boot = if boot { size(survey.boot()).saturating_mul(3) } else { 0 };
    install.saturating_add(boot).saturating_add(updates.saturating_mul(2))
}
