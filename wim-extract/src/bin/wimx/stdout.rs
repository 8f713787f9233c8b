//! Standard output: locked once, buffered, and honest about a reader that goes away.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Large enough that listing an image takes few system calls, small enough to start without cost.
const BUFFER_LEN: usize = 64 * 1024;

/// Runs `print` on the buffered standard output and flushes it.
pub(crate) fn with<T>(
    print: impl FnOnce(&mut BufWriter<Screen>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut out = BufWriter::with_capacity(BUFFER_LEN, Screen::new());
    let result = print(&mut out);
    // What was printed before a failure belongs on the screen before its message.
    let flushed = out.flush();
    let value = result?;
    flushed.map_err(Failure::Stdout)?;
    Ok(value)
}

/// Prints a line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    with(|out| Ok(writeln!(out, "{text}")?))
}

/// Prints one JSON document and a line feed.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Failure> {
    with(|out| {
        serde_json::to_writer(&mut *out, document).map_err(io::Error::from)?;
        Ok(writeln!(out)?)
    })
}

/// Standard output for bytes as they are: data and documents that are not text for a screen. Not
/// buffered, since they come in large pieces.
pub(crate) fn bytes() -> Result<File, Failure> {
    #[cfg(unix)]
    let out = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let out = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
    Ok(out.map(File::from)?)
}

/// Standard output as text. On a terminal control characters become `?`: names come from files that
/// anyone may have made, and a terminal obeys escape sequences. Pipes and files get every byte.
pub(crate) struct Screen {
    out: StdoutLock<'static>,
    is_terminal: bool,
    /// The last byte written, for sequences that two writes share.
    last: u8,
}

impl Screen {
    fn new() -> Self {
        let out = io::stdout().lock();
        let is_terminal = out.is_terminal();
        Self { out, is_terminal, last: 0 }
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_terminal {
            let tamed = tamed(bytes, &mut self.last);
            self.out.write_all(&tamed)?;
        } else {
            self.out.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The bytes with `?` for each control character but line feed and tab. Terminals take C1 control
/// characters (two bytes in UTF-8, the second of them 80 to 9f) for escape sequences too.
fn tamed(bytes: &[u8], last: &mut u8) -> Vec<u8> {
    let tame = |&byte: &u8| {
        let c1 = *last == 0xc2 && matches!(byte, 0x80..=0x9f);
        *last = byte;
        let c0 = matches!(byte, 0..0x20 | 0x7f) && !matches!(byte, b'\n' | b'\t');
        if c0 || c1 { b'?' } else { byte }
    };
    bytes.iter().map(tame).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn escape_sequences_lose_their_power() {
        let tamed = |bytes: &[u8]| super::tamed(bytes, &mut 0);
        assert_eq!(tamed(b"a\tb\n\x1b[2J\x07\x7f"), b"a\tb\n?[2J??");
        assert_eq!(tamed("é\u{9b}2J".as_bytes()), b"\xc3\xa9\xc2?2J");
        assert_eq!(tamed("\u{e0}\u{100}".as_bytes()), "\u{e0}\u{100}".as_bytes());
        let mut last = 0;
        assert_eq!(super::tamed(b"\xc2", &mut last), b"\xc2");
        assert_eq!(super::tamed(b"\x9b2J", &mut last), b"?2J");
    }
}
