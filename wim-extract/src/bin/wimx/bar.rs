//! The progress bar: bytes, rate and time left on a terminal, nothing anywhere else.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wim_extract::progress::{Amount, Phase, Progress};

use crate::args::Global;
use crate::failure;

const BYTES: &str =
    "{prefix} {wide_bar} {bytes}/{total_bytes} {percent:>3}%  {bytes_per_sec}  {eta} left";
const ITEMS: &str = "{prefix} {wide_bar} {pos}/{len} {percent:>3}%  {eta} left";

/// Shows the progress of one command, prints its warnings and keeps them.
#[derive(Debug)]
pub(crate) struct Bar {
    /// Whether a bar may be drawn at all; warnings are printed all the same.
    quiet: bool,
    current: Mutex<Option<Current>>,
    warnings: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Current {
    bar: ProgressBar,
    counts_bytes: bool,
}

impl Bar {
    /// A bar that shows nothing before the first phase begins.
    pub(crate) fn new(global: &Global) -> Self {
        Self { quiet: global.quiet, current: Mutex::default(), warnings: Mutex::default() }
    }

    /// The warnings so far, in the order given.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    fn warning(&self, text: &str) {
        self.with_current(|current| match current {
            Some(Current { bar, .. }) => bar.suspend(|| failure::warning(text)),
            None => failure::warning(text),
        });
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }
}
