//! Who gives a worker its tasks: a store that it can open, or a service that it reaches.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use wim_extract::Cancel;

use super::super::run::{self, RunState};
use super::super::work::{self, RenewRequest, WorkFile};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::jobs;
use crate::operation::Operation;
use crate::progress::{Silent, Watch, pause};
use crate::remote::Client;
use crate::store::layout::Piece;
use crate::store::source::PieceSource;
use crate::text;
use crate::time::Moment;

/// Tries to reach a service that is away; with the waits between them some ten minutes.
const TRIES: u32 = 25;
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Who gives a worker its tasks.
#[derive(Debug, Clone)]
pub enum Coordinator {
    /// A store of this machine.
    Beside(Home),
    /// A service, over HTTPS.
    Remote(Client),
}

impl Coordinator {
    /// Has an operation done. A service that is away is waited for.
    pub(super) async fn ask<O: Operation>(
        &self,
        request: &O,
        watch: Watch<'_>,
    ) -> Result<O::Outcome> {
        match self {
            Self::Beside(_) => self.ask_once(request, watch).await,
            Self::Remote(_) => patiently(watch, async || self.ask_once(request, watch).await).await,
        }
    }

    /// Has an operation done, if that can be had at once.
    pub(super) async fn ask_once<O: Operation>(
        &self,
        request: &O,
        watch: Watch<'_>,
    ) -> Result<O::Outcome> {
        match self {
            Self::Beside(home) => request.run(home, watch).await,
            Self::Remote(client) => client.call(request, watch).await,
        }
    }

    /// Says that the worker is at its task.
    pub(super) async fn renew(&self, claim: &str) -> Result<Moment> {
        let request = RenewRequest { claim: claim.to_string() };
        match self {
            Self::Beside(home) => request.renew(home).await,
            Self::Remote(client) => {
                let cancel = Cancel::new();
                client.call(&request, Watch { progress: &Silent, cancel: &cancel }).await
            }
        }
    }

    /// Fetches a file to `place`, from where an earlier try has ended. What is there and right stays.
    pub(super) async fn fetch(
        &self,
        claim: &str,
        file: &WorkFile,
        place: &Path,
        watch: Watch<'_>,
    ) -> Result<()> {
        if let Some(above) = place.parent() {
            std::fs::create_dir_all(above).map_err(|error| Error::file("make", above, &error))?;
        }
        if place.exists() && tokio::task::block_in_place(|| is_right(place, file, watch))? {
            return Ok(());
        }
        let mut part = place.as_os_str().to_owned();
        part.push(".part");
        let part = Path::new(&part);
        for _ in 0..2 {
            match self {
                Self::Beside(home) => {
                    let content = home.db.work_file(claim, home.by(), &sha256(file)?).await?;
                    let name = text::path(place);
                    let source = PieceSource::new(home.library.clone(), &content.pieces, name);
                    let _ = std::fs::remove_file(part);
                    tokio::task::block_in_place(|| run::write_file(&source, part, watch))?;
                    watch.progress.advance(file.size);
                }
                Self::Remote(client) => {
                    patiently(watch, async || download(client, claim, file, part, watch).await)
                        .await?;
                }
            }
            if tokio::task::block_in_place(|| is_right(part, file, watch))? {
                return std::fs::rename(part, place)
                    .map_err(|error| Error::file("write", place, &error));
            }
            std::fs::remove_file(part).map_err(|error| Error::file("remove", part, &error))?;
        }
        Err(Error::damaged(format!(
            "{} comes with other bytes than SHA-256 {} has",
            text::path(place),
            file.sha256
        )))
    }

    /// Brings a piece of the new WIM.
    pub(super) async fn send(
        &self,
        claim: &str,
        piece: &Piece,
        bytes: Bytes,
        watch: Watch<'_>,
    ) -> Result<()> {
        match self {
            Self::Beside(home) => work::take_piece(home, claim, &piece.id, &bytes).await,
            Self::Remote(client) => {
                patiently(watch, async || client.put_piece(claim, piece, bytes.clone()).await).await
            }
        }
    }

    /// Goes on with a run that waited. A service does that by itself, as a job.
    pub(super) async fn go_on(&self, run: &str, watch: Watch<'_>) -> Result<()> {
        let Self::Beside(home) = self else { return Ok(()) };
        let waiting = home.db.servicing_run(run).await?;
        if waiting.state != RunState::Waiting {
            return Ok(());
        }
        let request = run::Request { run: Some(run.to_string()), ..waiting.request };
        // Boxed: a run is large.
        match Box::pin(jobs::foreground(home, &request, watch)).await {
            Ok(_) => Ok(()),
            // The history has it; the worker has done its part.
            Err(error) if error.kind() != Kind::Cancelled => {
                watch.progress.note(&format!("run {run}: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn sha256(file: &WorkFile) -> Result<[u8; 32]> {
    text::unhex(&file.sha256)
        .ok_or_else(|| Error::damaged(format!("{:?} is no SHA-256", text::clean(&file.sha256))))
}

/// Goes on with a file that has come in part.
async fn download(
    client: &Client,
    claim: &str,
    file: &WorkFile,
    part: &Path,
    watch: Watch<'_>,
) -> Result<()> {
    let open = File::options().append(true).create(true).open(part);
    let mut open = open.map_err(|error| Error::file("write", part, &error))?;
    let failed = |error: std::io::Error| Error::file("write", part, &error);
    let mut len = open.metadata().map_err(failed)?.len();
    if len > file.size {
        open.set_len(0).map_err(failed)?;
        len = 0;
    }
    if len == file.size {
        return Ok(());
    }
    let mut body = client.work_file(claim, &file.sha256, file.size, len).await?;
    while let Some(chunk) = body.chunk().await? {
        watch.check()?;
        open.write_all(&chunk).map_err(failed)?;
        watch.progress.advance(chunk.len() as u64);
    }
    Ok(())
}

/// Whether a file has the size and the hash that it should have.
fn is_right(path: &Path, file: &WorkFile, watch: Watch<'_>) -> Result<bool> {
    let failed = |error: std::io::Error| Error::file("read", path, &error);
    let mut open = File::open(path).map_err(failed)?;
    if open.metadata().map_err(failed)?.len() != file.size {
        return Ok(false);
    }
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        watch.check()?;
        match open.read(&mut buffer).map_err(failed)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(<[u8; 32]>::from(hasher.finalize()) == sha256(file)?)
}

/// Tries again while the other side is away or busy. What it refuses is final.
async fn patiently<T>(watch: Watch<'_>, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match attempt().await {
            Err(error) if matches!(error.kind(), Kind::Io | Kind::Busy) => {
                watch.progress.note(&format!("tried again in {} s: {error}", wait.as_secs_f32()));
            }
            other => return other,
        }
        pause(watch.cancel, wait).await;
        watch.check()?;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    attempt().await
}
