//! The progress bar: bytes, rate and time left on a terminal, nothing anywhere else.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wim_extract::progress::{Amount, Note, Phase, Progress};

use crate::args::Global;
use crate::failure;

const BYTES: &str =
    "{prefix} {wide_bar} {bytes}/{total_bytes} {percent:>3}%  {bytes_per_sec}  {eta} left";
const ITEMS: &str = "{prefix} {wide_bar} {pos}/{len} {percent:>3}%  {eta} left";

/// Shows the progress of one command, prints its warnings and keeps them, and keeps its notes.
#[derive(Debug, Default)]
pub(crate) struct Bar {
    /// Whether a bar may be drawn at all; warnings are printed all the same.
    quiet: bool,
    current: Mutex<Option<Current>>,
    warnings: Mutex<Vec<String>>,
    notes: Mutex<Notes>,
}

/// What was left out or changed because that was asked for: files of which there may be many.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    /// Files and directories that were left out.
    pub(crate) excluded: Vec<String>,
    /// Links whose absolute targets were made relative to the image.
    pub(crate) moved_links: Vec<String>,
}

impl Notes {
    /// How many there are, in sentences.
    pub(crate) fn counts(&self) -> Vec<String> {
        let excluded = match self.excluded.len() {
            0 => None,
            1 => Some("1 file or directory was left out by the exclusion list.".to_owned()),
            many => {
                Some(format!("{many} files and directories were left out by the exclusion list."))
            }
        };
        let moved = match self.moved_links.len() {
            0 => None,
            1 => Some("1 absolute link now leads into the image; --norpfix keeps it.".to_owned()),
            many => Some(format!(
                "{many} absolute links now lead into the image; --norpfix keeps them."
            )),
        };
        excluded.into_iter().chain(moved).collect()
    }

    /// Each of them, in wimlib's words.
    pub(crate) fn list(&self) -> Vec<String> {
        let excluded =
            self.excluded.iter().map(|path| format!("Excluding \"{path}\" from capture"));
        let moved = self.moved_links.iter().map(|path| format!("Moving the target of \"{path}\""));
        excluded.chain(moved).collect()
    }
}

#[derive(Debug)]
struct Current {
    bar: ProgressBar,
    counts_bytes: bool,
}

impl Bar {
    /// A bar that shows nothing before the first phase begins.
    pub(crate) fn new(global: &Global) -> Self {
        Self { quiet: global.quiet, ..Self::default() }
    }

    /// The warnings so far, in the order given.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The notes so far, in the order of paths.
    pub(crate) fn notes(&self) -> Notes {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        notes.excluded.sort_unstable();
        notes.moved_links.sort_unstable();
        notes
    }

    fn with_current(&self, act: impl FnOnce(&mut Option<Current>)) {
        act(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress for Bar {
    fn begin(&self, phase: Phase, total: Amount) {
        if self.quiet {
            return;
        }
        let counts_bytes = total.bytes > 0;
        let (len, template) =
            if counts_bytes { (total.bytes, BYTES) } else { (total.items, ITEMS) };
        // A bar without a terminal behind it hides itself and costs next to nothing.
        let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(phase.to_string());
        bar.set_elapsed(Duration::ZERO);
        self.with_current(|current| *current = Some(Current { bar, counts_bytes }));
    }

    fn advance(&self, done: Amount) {
        self.with_current(|current| {
            if let Some(Current { bar, counts_bytes }) = current {
                bar.inc(if *counts_bytes { done.bytes } else { done.items });
            }
        });
    }

    fn end(&self, _phase: Phase) {
        self.with_current(|current| {
            if let Some(Current { bar, .. }) = current.take() {
                bar.finish_and_clear();
            }
        });
    }

    fn note(&self, note: Note<'_>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |path: &Path| path.display().to_string();
        match note {
            Note::Excluded(path) => notes.excluded.push(shown(path)),
            Note::LinkMoved(path) => notes.moved_links.push(shown(path)),
            _ => {}
        }
    }

    fn warning(&self, text: &str) {
        self.with_current(|current| match current {
            Some(Current { bar, .. }) => bar.suspend(|| failure::warning(text)),
            None => failure::warning(text),
        });
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }
}
