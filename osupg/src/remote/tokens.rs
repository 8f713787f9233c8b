//! The tokens of a person: `~/.config/osupg/token`, one line a service: its address and the token.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::accounts::password::Secret;
use crate::config;
use crate::error::{Error, Result};
use crate::system;

/// The file. `None` where a person has no home.
#[must_use]
pub fn file() -> Option<PathBuf> {
    config::user_folder().map(|folder| folder.join("token"))
}

/// The token for the service at `url`, if there is one.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read(file: &Path, url: &str) -> Result<Option<Secret>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read the token in", file, &error)),
    };
    let found = text.lines().filter_map(|line| line.split_once(' '));
    Ok(found
        .filter(|(address, _)| same(address, url))
        .map(|(_, token)| Secret(token.trim().to_string()))
        .next_back())
}

/// Keeps the token for the service at `url`, instead of any before it; `None` forgets that.
///
/// # Errors
/// When the file cannot be written. It is then as it was.
pub fn write(file: &Path, url: &str, token: Option<&Secret>) -> Result<()> {
    let failed = |error: std::io::Error| Error::file("keep the token in", file, &error);
    let folder = file.parent().unwrap_or(Path::new("/"));
    system::make_private_folder(folder).map_err(failed)?;
    let before = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let mut kept: String = before
        .lines()
        .filter(|line| !line.split_once(' ').is_some_and(|(address, _)| same(address, url)))
        .flat_map(|line| [line, "\n"])
        .collect();
    if let Some(token) = token {
        kept.push_str(&format!("{} {}\n", url.trim_end_matches('/'), token.0));
    }
    let part = folder.join(format!(".token-{}", uuid::Uuid::new_v4().simple()));
    let written = system::create_private_file(&part)
        .and_then(|mut new| new.write_all(kept.as_bytes()).and_then(|()| new.sync_all()))
        .and_then(|()| fs::rename(&part, file));
    written.map_err(|error| {
        let _ = fs::remove_file(&part);
        failed(error)
    })
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_service_has_its_own_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/token");
        let secret = |text: &str| Secret(text.into());
        assert_eq!(read(&file, "https://a").unwrap(), None);
        write(&file, "https://a", Some(&secret("one"))).unwrap();
        write(&file, "https://b/", Some(&secret("two"))).unwrap();
        write(&file, "https://a/", Some(&secret("three"))).unwrap();
        assert_eq!(read(&file, "https://a").unwrap(), Some(secret("three")));
        assert_eq!(read(&file, "https://b").unwrap(), Some(secret("two")));
        assert_eq!(read(&file, "https://a.example").unwrap(), None);
        write(&file, "https://a", None).unwrap();
        assert_eq!(read(&file, "https://a").unwrap(), None);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
