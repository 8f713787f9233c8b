//! What only the servicing stack of Windows can do, and the order in which it is asked to.
//!
//! ```text
//! discard stale mounts
//! for each image:   mount ─► packages in order ─► clean-up ─► what is installed now ─► commit
//!                     └────── an error ──────────────┴─► discard ◄──────────────────────┘
//! export to a new file
//! ```
//!
//! The file that comes in is a copy; nothing is changed but that copy, and nothing counts unless the
//! export has ended. [`Stack`] is the adapter: DISM on a Windows host ([`super::dism`]).

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::recipe::{OnError, Superseded};
use crate::error::{Error, Result};
use crate::progress::Watch;

/// Bytes that an excerpt of a log may have.
const MAX_EXCERPT: usize = 64 << 10;
/// Excerpts that a report may have.
const MAX_EXCERPTS: usize = 16;
/// Characters that a failure or reason may have.
const MAX_LINE: usize = 1000;
/// Packages that one image may have.
pub(super) const MAX_PACKAGES: usize = 100_000;

/// Work for a servicing stack: a WIM, and packages for its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What the WIM is called: `install.wim`, `boot.wim` or `winre.wim`.
    pub wim: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Its bytes.
    pub size: u64,
    /// The newest build in it: DISM must not be older.
    pub build: u32,
    /// The images to change.
    pub images: Vec<TaskImage>,
    /// What happens after an update has failed.
    pub on_error: OnError,
    /// What becomes of superseded updates.
    pub superseded: Superseded,
}

/// An image to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskImage {
    /// Its index.
    pub index: u32,
    /// The updates to put in, in this order.
    pub updates: Vec<TaskUpdate>,
}

/// An update to put in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskUpdate {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub called: String,
    /// Its SHA-256.
    pub sha256: String,
    /// The name of its file, or of its folder.
    pub file: String,
    /// Whether it is a driver.
    pub kind: super::update::Kind,
    /// Whether it goes in before or after the clean-up.
    pub when: When,
}

/// When an update goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Before superseded updates are removed.
    BeforeCleanUp,
    /// After: it leaves actions pending, with which a clean-up fails.
    AfterCleanUp,
}

/// What became of an update in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It is in.
    Installed,
    /// The servicing stack says that the image does not take it. That is no failure.
    NotApplicable,
    /// It could not be put in.
    Failed,
    /// Not tried: one before it failed.
    Skipped,
    /// It waits for a worker.
    Waiting,
}

impl Became {
    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::NotApplicable => "not applicable",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Waiting => "waiting",
        }
    }
}

/// An update in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateResult {
    /// The WIM.
    pub wim: String,
    /// The image.
    pub index: u32,
    /// The update's id.
    pub update: String,
    /// What it is called.
    pub called: String,
    /// What became of it.
    pub became: Became,
    /// The number that Windows gave, such as `0x800F0823`; empty for success.
    #[serde(default)]
    pub hresult: String,
    /// In plain words.
    pub reason: String,
}

/// An image as it is after the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageAfter {
    /// Its index.
    pub index: u32,
    /// Its build and revision, such as `26100.2033`.
    pub build: String,
    /// The packages that are installed.
    pub packages: Vec<Identity>,
}

/// An excerpt of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Excerpt {
    /// The log: `dism.log` or `CBS.log`.
    pub log: String,
    /// Its lines.
    pub text: String,
}

/// What a servicing stack has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// Each update in each image.
    pub updates: Vec<UpdateResult>,
    /// The images after it.
    pub images: Vec<ImageAfter>,
    /// Excerpts of logs.
    pub excerpts: Vec<Excerpt>,
    /// Why there is no new WIM; empty when there is one.
    pub failure: String,
}

impl Report {
    /// Keeps it within the bounds of what is kept: a worker may say anything.
    pub(super) fn bound(&mut self) {
        for image in &mut self.images {
            image.packages.truncate(MAX_PACKAGES);
            image.build = one_line(&image.build);
        }
        for update in &mut self.updates {
            update.reason = one_line(&update.reason);
            update.hresult = one_line(&update.hresult);
        }
        self.excerpts.truncate(MAX_EXCERPTS);
        for excerpt in &mut self.excerpts {
            excerpt.log = one_line(&excerpt.log);
            let keep = excerpt.text.len().saturating_sub(MAX_EXCERPT);
            let from = (keep..=excerpt.text.len()).find(|at| excerpt.text.is_char_boundary(*at));
            excerpt.text = excerpt.text.split_off(from.unwrap_or(0));
        }
        // It becomes the reason of the run.
        self.failure = one_line(&self.failure);
    }

    /// Keeps what is about a task, and calls its updates as the task does.
    pub(super) fn keep_to(&mut self, task: &Task) {
        let image = |index: u32| task.images.iter().find(|image| image.index == index);
        self.updates.retain_mut(|result| {
            let updates = image(result.index).map(|image| &image.updates[..]).unwrap_or_default();
            let known = updates.iter().find(|update| update.id == result.update);
            if let Some(known) = known {
                result.called.clone_from(&known.called);
                result.wim.clone_from(&task.wim);
            }
            known.is_some()
        });
        self.images.retain(|after| image(after.index).is_some());
        let mut seen = std::collections::HashSet::new();
        self.updates.retain(|result| seen.insert((result.index, result.update.clone())));
        let mut seen = std::collections::HashSet::new();
        self.images.retain(|after| seen.insert(after.index));
    }
}

/// What somebody said, as one line without control characters.
fn one_line(said: &str) -> String {
    let words = said.split(|c: char| c.is_control() || c.is_whitespace());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_LINE).collect()
}

/// What a servicing stack says when it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The number that Windows gave.
    pub hresult: u32,
    /// What it says about it; may be empty.
    pub said: String,
}

/// What came of putting a package in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is in.
    Installed,
    /// The image does not take it.
    NotApplicable,
}

/// The result of a servicing stack's step.
pub type Answer<T> = std::result::Result<T, Refusal>;

/// A servicing stack that can change one image at a time. It blocks the thread.
pub trait Stack: Send {
    /// What it calls itself.
    fn name(&self) -> String;
    /// The build of its DISM. It takes no images of a newer one.
    fn build(&self) -> u32;
    /// Discards whatever earlier work has left mounted.
    fn discard_stale(&mut self) -> Answer<()>;
    /// Mounts an image of a WIM.
    fn mount(&mut self, wim: &Path, index: u32) -> Answer<()>;
    /// Puts a package into the mounted image; a driver, if it is one.
    fn add(&mut self, update: &TaskUpdate, file: &Path) -> Answer<Added>;
    /// Removes superseded updates from the mounted image.
    fn clean_up(&mut self) -> Answer<()>;
    /// What is installed in the mounted image: its packages and its build.
    fn installed(&mut self) -> Answer<(Vec<Identity>, String)>;
    /// Writes the mounted image back and unmounts it.
    fn commit(&mut self) -> Answer<()>;
    /// Unmounts without writing back.
    fn discard(&mut self) -> Answer<()>;
    /// Writes all images of a WIM to a new file.
    fn export(&mut self, from: &Path, to: &Path) -> Answer<()>;
    /// What its logs say about the last work.
    fn excerpts(&mut self) -> Vec<Excerpt>;
}

/// Where the work happens.
pub(super) struct Place<'p> {
    /// The copy of the WIM that is changed.
    pub(super) wim: &'p Path,
    /// The new WIM, which does not exist yet.
    pub(super) output: &'p Path,
    /// The file or folder of each update, by its id.
    pub(super) updates: &'p dyn Fn(&str) -> Option<PathBuf>,
}

/// Does a task. Whatever the stack refuses is in the report; an error is our own.
///
/// # Errors
/// When the work was stopped.
pub(super) fn perform(
    stack: &mut dyn Stack,
    task: &Task,
    place: &Place<'_>,
    watch: Watch<'_>,
) -> Result<Report> {
    let mut report = Report::default();
    let done = all(stack, task, place, &mut report, watch);
    if let Err(stopped) = done {
        // Not to stay behind: a stale mount makes every later run fail.
        let _ = stack.discard();
        match stopped {
            Stopped::Refused(what, refusal) => report.failure = said(&what, &refusal),
            Stopped::Ours(error) => return Err(error),
        }
    }
    report.excerpts = stack.excerpts();
    report.bound();
    Ok(report)
}

enum Stopped {
    Refused(String, Refusal),
    Ours(Error),
}

fn refused(what: impl Into<String>) -> impl FnOnce(Refusal) -> Stopped {
    let what = what.into();
    move |refusal| Stopped::Refused(what, refusal)
}

fn said(what: &str, refusal: &Refusal) -> String {
    format!("{what}: {}", reason(refusal))
}

/// A refusal in plain words, with its number.
pub(super) fn reason(refusal: &Refusal) -> String {
    let plain = in_words(refusal.hresult);
    let said = refusal.said.trim();
    let words = match (plain, said) {
        (Some(plain), _) => plain.to_string(),
        (None, "") => "Windows gives no reason".to_string(),
        (None, said) => said.lines().last().unwrap_or_default().trim().to_string(),
    };
    format!("{words} (0x{:08X})", refusal.hresult)
}

/// What the numbers mean that servicing meets.
fn in_words(hresult: u32) -> Option<&'static str> {
    Some(match hresult {
        0x800F_0823 => "the image lacks a servicing stack that is new enough",
        0x800F_081E => "the package is not for this image",
        0x800F_0830 => "the image's store is broken by an earlier run; start from the base",
        0x800F_0806 => {
            "the image has pending actions; a clean-up has to wait for a start of Windows"
        }
        0x800F_081F => "files that the package needs are not in the image's store",
        0x800F_0922 => "the package could not be installed",
        0x800F_0838 => "the package is the difference to a checkpoint that the image lacks",
        0x8007_0002 => "a file was not found",
        0x8007_0005 => "access was denied: the worker must run as administrator",
        0x8007_000E => "there was not enough memory",
        0x8007_0070 => "the disk is full",
        0x8007_00A1 => "a path in the image is too new for this DISM",
        0x8007_000D => "the data is invalid",
        0x8000_4001 => "this DISM is too old for the image: use a newer Windows for the worker",
        0xC142_0127 => "the image is already mounted: a stale mount was not discarded",
        0xC142_0117 => "the folder could not be unmounted: something has a file open in it",
        _ => return None,
    })
}

fn all(
    stack: &mut dyn Stack,
    task: &Task,
    place: &Place<'_>,
    report: &mut Report,
    watch: Watch<'_>,
) -> std::result::Result<(), Stopped> {
    if stack.build() < task.build {
        return Err(Stopped::Refused(
            format!("DISM of build {} takes no images of build {}", stack.build(), task.build),
            Refusal { hresult: 0x8000_4001, said: String::new() },
        ));
    }
    stack.discard_stale().map_err(refused("discarding stale mounts"))?;
    for image in &task.images {
        let what = |doing: &str| format!("{doing} image {} of {}", image.index, task.wim);
        watch.check().map_err(Stopped::Ours)?;
        watch.progress.note(&what("mounting"));
        stack.mount(place.wim, image.index).map_err(refused(what("mounting")))?;
        let mut failed = None;
        for when in [When::BeforeCleanUp, When::AfterCleanUp] {
            for update in image.updates.iter().filter(|update| update.when == when) {
                watch.check().map_err(Stopped::Ours)?;
                if failed.is_some() && task.on_error == OnError::Stop {
                    let reason = "an update before it failed".to_string();
                    report.updates.push(result(task, image, update, Became::Skipped, reason, None));
                    continue;
                }
                if let Some(refusal) = add(stack, task, image, update, place, report, watch) {
                    failed.get_or_insert((update.called.clone(), refusal));
                }
            }
            let clean = when == When::BeforeCleanUp && task.superseded == Superseded::Remove;
            if clean && (failed.is_none() || task.on_error == OnError::Continue) {
                watch.progress.note(&what("removing superseded updates from"));
                stack.clean_up().map_err(refused(what("the clean-up of")))?;
            }
        }
        if let Some((called, refusal)) = failed
            && task.on_error == OnError::Stop
        {
            return Err(Stopped::Refused(what(&format!("{called} in")), refusal));
        }
        let (mut packages, build) =
            stack.installed().map_err(refused(what("listing the packages of")))?;
        packages.truncate(MAX_PACKAGES);
        report.images.push(ImageAfter { index: image.index, build, packages });
        watch.check().map_err(Stopped::Ours)?;
        watch.progress.note(&what("committing"));
        stack.commit().map_err(refused(what("committing")))?;
    }
    watch.check().map_err(Stopped::Ours)?;
    watch.progress.note(&format!("exporting {}", task.wim));
    stack.export(place.wim, place.output).map_err(refused(format!("exporting {}", task.wim)))
}

/// Puts one update in; what refused it, if anything did.
fn add(
    stack: &mut dyn Stack,
    task: &Task,
    image: &TaskImage,
    update: &TaskUpdate,
    place: &Place<'_>,
    report: &mut Report,
    watch: Watch<'_>,
) -> Option<Refusal> {
    let called = &update.called;
    watch.progress.note(&format!("putting {called} into image {} of {}", image.index, task.wim));
    let answer = match (place.updates)(&update.id) {
        Some(file) => stack.add(update, &file),
        None => Err(Refusal { hresult: 0x8007_0002, said: "the update's file is missing".into() }),
    };
    let (became, words, refusal) = match answer {
        Ok(Added::Installed) => (Became::Installed, "installed".to_string(), None),
        Ok(Added::NotApplicable) => (
            Became::NotApplicable,
            "the servicing stack says it is not for this image".into(),
            None,
        ),
        Err(refusal) => (Became::Failed, reason(&refusal), Some(refusal)),
    };
    report.updates.push(result(task, image, update, became, words, refusal.as_ref()));
    refusal
}

fn result(
    task: &Task,
    image: &TaskImage,
    update: &TaskUpdate,
    became: Became,
    reason: String,
    refusal: Option<&Refusal>,
) -> UpdateResult {
    UpdateResult {
        wim: task.wim.clone(),
        index: image.index,
        update: update.id.clone(),
        called: update.called.clone(),
        became,
        hresult: refusal.map_or_else(String::new, |r| format!("0x{:08X}", r.hresult)),
        reason,
    }
}
