//! Putting a finished file into the place of an old one.

use std::{fs, io, path::Path};

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

fn step_aside(from: &Path, to: &Path, refused: io::Error) -> io::Result<()> {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{}.wimx-old", uuid::Uuid::new_v4().simple()));
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
