//! The progress bar: on a terminal, on standard error, and nowhere else.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::{Phase, Progress};

/// Shows the phase at hand with bytes, rate and time left.
#[derive(Debug, Default)]
pub(super) struct Bar {
    current: Mutex<Option<ProgressBar>>,
}

impl Bar {
    /// A bar, or something silent where nobody is watching.
    pub(super) fn or_silence(quiet: bool) -> Box<dyn Progress> {
        if quiet || !stderr().is_terminal() {
            Box::new(crate::progress::Silent)
        } else {
            Box::new(Self::default())
        }
    }

    fn with(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        act(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress for Bar {
    fn begin(&self, phase: Phase, bytes: u64) {
        self.with(|current| {
            let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(
                "{msg:16} {wide_bar} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(phase.to_string());
            if let Some(before) = current.replace(bar) {
                before.finish_and_clear();
            }
        });
    }

    fn advance(&self, bytes: u64) {
        self.with(|current| {
            if let Some(bar) = current {
                bar.inc(bytes);
            }
        });
    }

    fn end(&self) {
        self.with(|current| {
            if let Some(bar) = current.take() {
                bar.finish_and_clear();
            }
        });
    }

    fn note(&self, words: &str) {
        let words = crate::text::clean(words);
        self.with(|current| match current {
            Some(bar) => bar.println(words),
            None => eprintln!("{words}"),
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}
