//! Asks for passwords: on the terminal without showing them, or from a file or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;

use crate::accounts::password::Secret;
use crate::error::{Error, Result};
use crate::system::{self, Hidden};

/// Bytes that are read at most: a password is short.
const LONGEST: u64 = 4096;

/// Reads a password: the first line of `file`, or else of standard input where that is no
/// terminal, or else what is typed. It is typed `times` times, which must agree.
pub(super) fn read(file: Option<PathBuf>, prompt: &str, times: u32) -> Result<Secret> {
    let line = match file {
        Some(path) => {
            let failed = |error| Error::file("read the password in", &path, &error);
            first_line(File::open(&path).map_err(failed)?).map_err(failed)?
        }
        None if io::stdin().is_terminal() => return typed(prompt, times),
        None => first_line(io::stdin().lock())
            .map_err(|error| Error::io(format!("cannot read the password: {error}")))?,
    };
    given(line)
}

fn given(line: String) -> Result<Secret> {
    if line.is_empty() {
        return Err(Error::usage("the password is empty"));
    }
    Ok(Secret(line))
}

fn first_line(source: impl Read) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(source.take(LONGEST)).read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

fn typed(prompt: &str, times: u32) -> Result<Secret> {
    let failed = |error: io::Error| Error::io(format!("cannot use the terminal: {error}"));
    let terminal = system::terminal().map_err(failed)?;
    let first = ask(&terminal, prompt).map_err(failed)?;
    for _ in 1..times {
        if ask(&terminal, "The same again").map_err(failed)? != first {
            return Err(Error::usage("the two passwords are not the same"));
        }
    }
    given(first)
}

fn ask((keyboard, screen): &(File, File), prompt: &str) -> io::Result<String> {
    let mut screen = screen;
    write!(screen, "{prompt}: ")?;
    screen.flush()?;
    let _hidden = Hidden::begin(keyboard)?;
    let line = first_line(keyboard)?;
    writeln!(screen)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for (text, password) in [("a b \n", "a b "), ("x\r\ny", "x"), ("ä", "ä"), ("\n", "")] {
            assert_eq!(first_line(text.as_bytes()).unwrap(), password);
        }
        assert!(first_line(&b"\xff"[..]).is_err());
        let endless = io::repeat(b'a');
        assert_eq!(first_line(endless).unwrap().len() as u64, LONGEST);
        assert!(given(String::new()).is_err());
    }
}
