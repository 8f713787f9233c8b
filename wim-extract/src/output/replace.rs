//! Putting a finished file into the place of an old one.

use std::{fs, io, path::Path};

/// How the name of an old file ends while it stands aside.
const ASIDE: &str = ".wimx-old";

/// Gives the file `from` the name `to`, in one step for whoever looks: the old file or the new one is
/// there.
///
/// Windows before 10, and file systems without its newer call, replace no file that somebody has open,
/// as an archive is from which the new one was made. There the old one steps aside first, for a moment
/// without a file of that name, and comes back if the new one cannot take its place.
///
/// # Errors
/// Those of `rename(2)`; the old file is then in its place.
pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied => {
            step_aside(from, to, error)
        }
        result => result,
    }
}

/// Brings back an old file whose process was killed while it stood aside, or removes it if there is a
/// new one.
pub(super) fn bring_back(target: &Path) {
    let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else { return };
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let own = entry.file_name();
        let random = own
            .as_encoded_bytes()
            .strip_prefix(name.as_encoded_bytes())
            .and_then(|rest| rest.strip_prefix(b"."))
            .and_then(|rest| rest.strip_suffix(ASIDE.as_bytes()));
        if !random.is_some_and(|hex| hex.len() == 32 && hex.iter().all(u8::is_ascii_hexdigit)) {
            continue;
        }
        // The writer that is in between the two steps at this moment has no file to lose by it: its
        // second step replaces this one.
        let _ = match target.exists() {
            true => fs::remove_file(entry.path()),
            false => fs::rename(entry.path(), target),
        };
    }
}

fn step_aside(from: &Path, to: &Path, refused: io::Error) -> io::Result<()> {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{}{ASIDE}", uuid::Uuid::new_v4().simple()));
    let aside = Path::new(&name);
    if fs::rename(to, aside).is_err() {
        return Err(refused);
    }
    if let Err(error) = fs::rename(from, to) {
        fs::rename(aside, to)?;
        return Err(error);
    }
    // Gone when the last who has it open closes it.
    let _ = fs::remove_file(aside);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_file_that_stood_aside_comes_back_unless_there_is_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.wim");
        let aside = folder.path().join(format!("a.wim.{}{ASIDE}", "0".repeat(32)));
        let other = folder.path().join(format!("b.wim.{}{ASIDE}", "0".repeat(32)));
        fs::write(&aside, "old").unwrap();
        fs::write(&other, "other").unwrap();
        bring_back(&target);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        fs::write(&aside, "older").unwrap();
        bring_back(&target);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert!(!aside.exists() && other.exists());
    }

    #[test]
    fn an_old_file_that_is_open_is_replaced_either_way() {
        type Way = fn(&Path, &Path) -> io::Result<()>;
        let ways: [Way; 2] =
            [replace, |from, to| step_aside(from, to, io::Error::other("refused"))];
        for way in ways {
            let folder = tempfile::tempdir().unwrap();
            let (old, new) = (folder.path().join("old"), folder.path().join("new"));
            fs::write(&old, "old").unwrap();
            fs::write(&new, "new").unwrap();
            let open = fs::File::open(&old).unwrap();
            way(&new, &old).unwrap();
            assert_eq!(fs::read(&old).unwrap(), b"new");
            drop(open);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            // What cannot take its place leaves it as it was.
            assert!(way(&new, &old).is_err());
            assert_eq!(fs::read(&old).unwrap(), b"new");
        }
    }
}
