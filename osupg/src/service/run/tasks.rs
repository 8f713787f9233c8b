//! What needs the servicing stack of Windows: tasks are made, found, or found done.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wim_extract::source::Source;

use super::super::applicable::Role;
use super::super::image;
use super::super::install::{self, Form};
use super::super::inventory::{self, WINRE};
use super::super::recipe::Superseded;
use super::super::stack::{
    Became, ImageAfter, Report, Task, TaskImage, TaskUpdate, UpdateResult, When,
};
use super::super::survey::Surveyed;
use super::super::task::{self, KeptTask, TaskState, Wait};
use super::super::update::Kind;
use super::{Run, Work};
use crate::db::contents::ContentWriter;
use crate::db::waits::insert_wait;
use crate::db::work as db_work;
use crate::error::{Error, Result};
use crate::package::model::Content;
use crate::store::ingest::Ingested;
use crate::store::source::PieceSource;
use crate::text;
use crate::time::Moment;

/// What workers have done, and what they have yet to do.
#[derive(Default)]
pub(super) struct Done {
    /// The new WIM of each task: by role, and by SHA-1 for recovery environments.
    pub(super) outputs: BTreeMap<Key, Output>,
    /// The WIM files of recovery environments that were taken out, by SHA-1.
    pub(super) winres: BTreeMap<String, PathBuf>,
    /// Why something waits.
    pub(super) waiting: Vec<String>,
}

/// Which WIM a task is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Winre(String),
    Boot,
    Install,
}

/// A WIM that a worker has made.
pub(super) struct Output {
    /// The id of its task.
    pub(super) task: String,
    pub(super) content: Content,
    /// What the worker says of its images.
    pub(super) images: Vec<ImageAfter>,
    /// What it says of the updates.
    pub(super) updates: Vec<UpdateResult>,
}

/// Makes the tasks of a run, or finds them. A task that failed fails the run.
pub(super) async fn settle(work: &Work<'_>, run: &mut Run) -> Result<Done> {
    let mut done = Done::default();
    let since = Moment::now();
    let surveyed = work.survey.surveyed();
    let mut groups: BTreeMap<Key, Vec<&Surveyed<'_>>> = BTreeMap::new();
    for image in surveyed.iter().filter(|image| !image.ordered.updates.is_empty()) {
        let key = match image.role {
            Role::Winre if work.recipe.winre.is_some() => continue,
            Role::Boot if work.recipe.boot.is_some() => continue,
            Role::Winre => Key::Winre(image.sha1.to_string()),
            Role::Boot => Key::Boot,
            Role::Install => Key::Install,
        };
        groups.entry(key).or_default().push(image);
    }
    for (key, images) in groups {
        work.watch.check()?;
        let input = input(work, &key, &mut done).await?;
        let task = make(work, &key, &images, &input).await?;
        settle_one(work, run, key, (task, input), since, &mut done).await?;
    }
    work.home.db.forget_waits(&run.id, since).await?;
    Ok(done)
}

/// The WIM that a task begins with.
async fn input(work: &Work<'_>, key: &Key, done: &mut Done) -> Result<Content> {
    let content = |entry: Option<&crate::package::model::Entry>| {
        entry
            .and_then(|entry| entry.content.clone())
            .ok_or_else(|| Error::usage("there is no such WIM"))
    };
    match key {
        Key::Install if work.survey.form == Form::Plain => content(work.survey.install()),
        // DISM takes neither solid resources nor parts.
        Key::Install => {
            let place = tokio::task::block_in_place(|| {
                let place = work.scratch.folder("whole")?.join("install.wim");
                let Some(first) = work.survey.install() else {
                    return Err(Error::usage("there is no such WIM"));
                };
                let open = inventory::open(work.home, &work.survey.entries, first)?;
                let all: Vec<u32> = (1..=open.wim.image_count()).collect();
                install::take_images(&open, &all, &place, work.watch.cancel)?;
                Ok(place)
            })?;
            first_of(super::commit::keep(work, vec![place]).await?)
        }
        Key::Boot => content(work.survey.boot()),
        Key::Winre(sha1) => {
            let place = tokio::task::block_in_place(|| take_out(work, sha1, done))?;
            first_of(super::commit::keep(work, vec![place]).await?)
        }
    }
}

fn first_of(ingested: Ingested) -> Result<Content> {
    let first = ingested.contents.into_iter().next();
    first.ok_or_else(|| Error::io("internal: the WIM of a task was not stored"))
}

/// Takes a recovery environment out of its image, once.
pub(super) fn take_out(work: &Work<'_>, sha1: &str, done: &mut Done) -> Result<PathBuf> {
    if let Some(place) = done.winres.get(sha1) {
        return Ok(place.clone());
    }
    let holds = |image: &&inventory::ImageInventory| {
        image.winre.as_ref().is_some_and(|winre| winre.sha1 == sha1)
    };
    let (Some(entry), Some(image)) =
        (work.survey.install(), work.survey.install_images().iter().find(holds))
    else {
        return Err(Error::usage("no image has this recovery environment"));
    };
    let place = work.scratch.folder("taken")?.join(format!("{sha1}.wim"));
    let open = inventory::open(work.home, &work.survey.entries, entry)?;
    image::extract(&open.wim, image.index, WINRE, &place, work.watch.cancel)?;
    done.winres.insert(sha1.to_string(), place.clone());
    Ok(place)
}

async fn make(
    work: &Work<'_>,
    key: &Key,
    images: &[&Surveyed<'_>],
    input: &Content,
) -> Result<Task> {
    let task_images = images
        .iter()
        .map(|image| TaskImage {
            index: image.image.index,
            updates: image
                .ordered
                .updates
                .iter()
                .map(|update| TaskUpdate {
                    id: update.id.clone(),
                    called: update.called(),
                    sha256: update.sha256.clone(),
                    file: update.file.clone(),
                    kind: update.facts.kind,
                    when: match update.facts.kind {
                        Kind::Dotnet => When::AfterCleanUp,
                        _ => When::BeforeCleanUp,
                    },
                })
                .collect(),
        })
        .collect();
    let wim = match key {
        Key::Install => "install.wim",
        Key::Boot => "boot.wim",
        Key::Winre(_) => "winre.wim",
    };
    Ok(Task {
        wim: wim.into(),
        sha256: text::hex(&input.sha256),
        size: input.size,
        build: images.iter().map(|image| image.image.build).max().unwrap_or(0),
        images: task_images,
        on_error: work.recipe.on_error,
        superseded: if *key == Key::Install { work.recipe.superseded } else { Superseded::Keep },
    })
}

async fn settle_one(
    work: &Work<'_>,
    run: &mut Run,
    key: Key,
    (task, input): (Task, Content),
    since: Moment,
    done: &mut Done,
) -> Result<()> {
    let id = task::id_of(&task)?;
    let db = &work.home.db;
    let waited = db.run_waits_for(&run.id, &id).await?;
    let mut kept = db.servicing_task(&id).await?;
    if let Some(reported) = kept.as_ref().filter(|kept| kept.state == TaskState::Reported) {
        take_in(work, reported).await?;
        kept = db.servicing_task(&id).await?;
    }
    if let Some(failed) = kept.as_ref().filter(|kept| kept.state == TaskState::Failed) {
        if waited {
            run.report.updates.extend(failed.report.updates.clone());
            run.report.excerpts.extend(failed.report.excerpts.clone());
            return Err(Error::usage(format!(
                "the worker {} could not service {}: {}",
                failed.worker, task.wim, failed.report.failure
            ))
            .advise("nothing was changed; the history holds the worker's report"));
        }
        // Other runs have seen it fail; this one wants it tried again.
        db.reopen_task(&id, &run.id).await?;
        kept = db.servicing_task(&id).await?;
    }
    if let Some(KeptTask { state: TaskState::Done, output: Some(content), report, .. }) = kept {
        run.report.updates.extend(report.updates.clone());
        run.report.excerpts.extend(report.excerpts);
        let (images, updates) = (report.images, report.updates);
        done.outputs.insert(key, Output { task: id, content, images, updates });
        return Ok(());
    }
    // Together, and whatever was there a moment ago: another run may have taken it back meanwhile.
    let mut tx = db.begin().await?;
    let mut contents = ContentWriter::default();
    db_work::insert_task(&mut tx, &mut contents, &id, &run.id, &task, &input, since).await?;
    insert_wait(&mut tx, &Wait { run: run.id.clone(), task: id, since }).await?;
    tx.commit().await?;
    let at_work = kept.filter(|kept| kept.state == TaskState::Claimed).map(|kept| {
        format!(
            "{} is at work on it, and counts as lost if nothing is heard of it until {}",
            kept.worker,
            kept.lease_until.local()
        )
    });
    wait(work, run, &task, done, at_work).await
}

/// Reads the new WIM that a worker has brought: it is what the worker says, or the task has failed.
async fn take_in(work: &Work<'_>, kept: &KeptTask) -> Result<()> {
    let pieces = work.home.db.brought_pieces(&kept.id).await?;
    let (size, sha256) = kept.reported.unwrap_or_default();
    let mut hasher = Sha256::new();
    for piece in &pieces {
        work.watch.check()?;
        hasher.update(&work.home.library.get(piece).await?);
    }
    let total: u64 = pieces.iter().map(|piece| piece.size).sum();
    if total == size && <[u8; 32]>::from(hasher.finalize()) == sha256 {
        return work.home.db.accept_output(&kept.id, &Content { size, sha256, pieces }).await;
    }
    let failure = "the new WIM that came is not the one that it made".to_string();
    work.home.db.refuse_output(&kept.id, &Report { failure, ..kept.report.clone() }).await
}

/// Says what a task waits for.
async fn wait(
    work: &Work<'_>,
    run: &mut Run,
    task: &Task,
    done: &mut Done,
    reason: Option<String>,
) -> Result<()> {
    let reason = match reason {
        Some(reason) => reason,
        None => super::super::work::why_none(work.home, task.build)
            .await?
            .unwrap_or_else(|| "no worker has taken it yet".into()),
    };
    for image in &task.images {
        for update in &image.updates {
            run.report.updates.push(UpdateResult {
                wim: task.wim.clone(),
                index: image.index,
                update: update.id.clone(),
                called: update.called.clone(),
                became: Became::Waiting,
                hresult: String::new(),
                reason: reason.clone(),
            });
        }
    }
    let count = task.images.iter().map(|image| image.updates.len()).sum::<usize>();
    let count = super::super::counted(count as u64, "update");
    done.waiting.push(format!("{count} for {} wait: {reason}", task.wim));
    Ok(())
}

/// The bytes of a content of the library.
pub(super) fn source(work: &Work<'_>, content: &Content, name: &str) -> Arc<dyn Source> {
    Arc::new(PieceSource::new(work.home.library.clone(), &content.pieces, name))
}
