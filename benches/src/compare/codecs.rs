//! Rows about decoding on one core, within this process.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wim_format::Codec;

use super::measure::{Sample, Spread};
use super::rows::Goal;
use super::{Figures, Measured, verdict};
use crate::libwim;
use crate::paired::{self, Chunks, Contender};

/// Uncompressed bytes of the sample: as many as the largest usual chunk.
const SAMPLE: usize = 64 << 20;

/// Files smaller than a chunk are left out: their chunks would be those of their neighbours.
const SMALLEST: u64 = 1 << 15;

/// Row, what it says, codec, chunk size, and how many times faster than libwim we want to be.
const ROWS: [(&str, &str, Codec, u32, f64); 5] = [
    ("decode-lzx", "decode LZX, 32 KiB chunks", Codec::Lzx, 1 << 15, 1.4),
    ("decode-lzx-2m", "decode LZX, 2 MiB chunks", Codec::Lzx, 1 << 21, 1.0),
    ("decode-xpress", "decode XPRESS, 32 KiB chunks", Codec::Xpress, 1 << 15, 1.2),
    ("decode-lzms", "decode LZMS, 128 KiB chunks", Codec::Lzms, 1 << 17, 1.3),
    ("decode-lzms-solid", "decode LZMS, one chunk of 64 MiB", Codec::Lzms, 1 << 26, 1.3),
];

/// Measures the chosen rows over files of the corpus's image A.
pub(super) fn measure(
    corpus: &Path,
    is_chosen: &dyn Fn(&str) -> bool,
    runs: u32,
) -> Result<Vec<Measured>> {
    let mut sample = Vec::new();
    let mut measured = Vec::new();
    for (name, title, codec, chunk_size, goal) in ROWS {
        if !is_chosen(name) {
            continue;
        }
        eprintln!("measuring {name}");
        if sample.is_empty() {
            sample = files_from(&corpus.join("A"))?;
        }
        let chunks = Chunks::new(codec, chunk_size, 50, &sample)?;
        let contenders = [Contender::Two, Contender::One, Contender::Libwim];
        let times = paired::run(&chunks, &contenders, runs as usize)?;
        let figures: Vec<Figures> = contenders
            .iter()
            .zip(&times)
            .map(|(contender, own)| Figures {
                name: contender.name(),
                command: command(*contender, title),
                wall: Spread::of(own.rounds.iter().copied()),
                cpu: Spread::of(own.rounds.iter().copied()),
                peak_anonymous: None,
                output: None,
                times_ours: Spread::of(
                    own.rounds.iter().zip(&times[0].rounds).map(|(own, ours)| own / ours),
                ),
                samples: own
                    .rounds
                    .iter()
                    .map(|&wall| Sample { wall, user: wall, system: 0.0 })
                    .collect(),
            })
            .collect();
        measured.push(Measured {
            name: name.to_owned(),
            title: format!("{title}, one core"),
            bytes: Some(chunks.uncompressed() as u64),
            charted: false,
            goals: vec![verdict(Goal::Faster(Contender::Libwim.name(), goal), &figures)],
            contenders: figures,
        });
    }
    Ok(measured)
}

fn command(contender: Contender, title: &str) -> String {
    match contender {
        Contender::Libwim => format!("{title}: libwim {}", libwim::version()),
        Contender::One => format!("{title}: our decoder, chunk by chunk"),
        Contender::Two => format!("{title}: our decoder, two chunks at a time"),
    }
}

/// Files from all over `folder`, one after the other, [`SAMPLE`] bytes in all.
fn files_from(folder: &Path) -> Result<Vec<u8>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let total: u64 = files.iter().map(|(_, size)| size).sum();
    ensure!(total >= SAMPLE as u64, "{} is too small for rows about decoding", folder.display());
    let mut sample = Vec::with_capacity(SAMPLE);
    let (mut seen, mut taken) = (0, 0);
    for (path, size) in &files {
        // Every file whose turn it is by size; a large one only in part, so that none is the sample.
        seen += size;
        let due = (seen as u128 * SAMPLE as u128 / u128::from(total)) as u64;
        let part = due.saturating_sub(taken).min(*size);
        if part < SMALLEST {
            continue;
        }
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        sample.extend_from_slice(&bytes[..part as usize]);
        taken += part;
    }
    Ok(sample)
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, u64)>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push((entry.path(), entry.metadata()?.len()));
        }
    }
    Ok(())
}
