//! What the XML says of the Windows in an image: architecture, edition, version, languages.
//!
//! The facts are in three files of its system root, and are entered as wimlib enters them: the same
//! properties, in the same order, from the same values. (It enters no BRANCH and no SERVICINGDATA.)
//!
//! | file | what it tells |
//! |---|---|
//! | `System32\kernel32.dll` | the architecture |
//! | `System32\config\SOFTWARE` | edition, product, version |
//! | `System32\config\SYSTEM` | service pack, product type, languages |

mod facts;
mod languages;
mod read;

use bytes::Bytes;
use wim_format::Sha1Hash;
use wim_format::hive::Hive;
use wim_format::metadata::{EntryId, ImageBuilder};
use wim_format::name::{CaseSensitivity, Utf16Name, Utf16NameBuf};
use wim_format::xml::{EditError, WimXml};

use self::facts::Facts;
pub(crate) use self::read::{Contents, require_len};
use crate::error::Error;
use crate::progress::Progress;
use crate::write::session::parameter;

/// The files of a system root that tell about it.
const KERNEL: &[&str] = &["System32", "kernel32.dll"];
const SOFTWARE: &[&str] = &["System32", "config", "SOFTWARE"];
const SYSTEM: &[&str] = &["System32", "config", "SYSTEM"];

/// A system root that was found in an image.
struct Root {
    /// Its name, such as `Windows`.
    name: Utf16NameBuf,
    kernel: Option<EntryId>,
    software: Option<EntryId>,
    system: Option<EntryId>,
}

impl Root {
    /// The directory right below the root of the image that has the most of the three files; of
    /// several the first, in the order of names.
    fn find(image: &ImageBuilder) -> Option<Self> {
        let mut directories: Vec<EntryId> = image.children(ImageBuilder::ROOT).collect();
        directories.sort_by(|&a, &b| image.name(a).cmp_ntfs(image.name(b)));
        let roots = directories.into_iter().map(|directory| Self {
            name: image.name(directory).to_owned(),
            kernel: entry(image, directory, KERNEL),
            software: entry(image, directory, SOFTWARE),
            system: entry(image, directory, SYSTEM),
        });
        // Of equals the last is taken by `max_by_key`, and so they come from behind.
        let best = roots.collect::<Vec<_>>().into_iter().rev().max_by_key(Self::count)?;
        (best.count() > 0).then_some(best)
    }

    fn count(&self) -> usize {
        [self.kernel, self.software, self.system].into_iter().flatten().count()
    }
}

fn entry(image: &ImageBuilder, directory: EntryId, path: &[&str]) -> Option<EntryId> {
    path.iter().try_fold(directory, |directory, part| {
        let name = Utf16NameBuf::from(*part);
        image.child(directory, name.as_name(), CaseSensitivity::Insensitive)
    })
}

/// Enters what there is to say of the Windows in `image`, if there is one. What cannot be read is
/// left out, with a warning.
///
/// # Errors
/// There is no image `index` in the XML, or [`Error::Cancelled`].
pub(crate) fn describe(
    xml: &mut WimXml,
    index: u32,
    image: &ImageBuilder,
    contents: &Contents<'_>,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let Some(root) = Root::find(image) else { return Ok(()) };
    let mut facts = Facts::default();
    facts.root(root.name.as_name());
    let read = |entry: Option<EntryId>, path: &[&str]| -> Result<Option<Bytes>, Error> {
        let hash = entry.map_or(Sha1Hash::ZERO, |entry| image.inode(entry).data);
        if hash.is_zero() {
            return Ok(None);
        }
        match contents.read(&hash) {
            Err(Error::Cancelled) => Err(Error::Cancelled),
            Err(error) => {
                warn(progress, &root.name, path, &error);
                Ok(None)
            }
            Ok(bytes) => Ok(Some(bytes)),
        }
    };
    if let Some(kernel) = read(root.kernel, KERNEL)? {
        facts.kernel(&kernel);
    }
    for (file, path, tell) in [
        (root.software, SOFTWARE, Facts::software as fn(&mut Facts, Hive<'_>) -> _),
        (root.system, SYSTEM, Facts::system),
    ] {
        let Some(bytes) = read(file, path)? else { continue };
        if let Err(error) = Hive::parse(&bytes).and_then(|hive| tell(&mut facts, hive)) {
            warn(progress, &root.name, path, &error);
        }
    }
    for (property, value) in facts.into_properties() {
        match xml.set_property(index, &property, &value) {
            Err(EditError::BadValue { found }) => progress.warning(&format!(
                "{property}: the registry gives a value with the character {found:?}, which XML \
                 cannot hold; it is left out"
            )),
            set => set.map_err(parameter)?,
        }
    }
    Ok(())
}

fn warn(progress: &dyn Progress, root: &Utf16NameBuf, path: &[&str], problem: &dyn ToString) {
    let (root, path) = (root.as_name(), path.join("/"));
    progress.warning(&format!(
        "/{root}/{path}: {}; what it says of this Windows is not entered in the XML",
        problem.to_string()
    ));
}

/// The name in capital letters.
fn upper(name: Utf16Name<'_>) -> String {
    Utf16NameBuf::from_units(name.units().map(wim_format::name::upcase)).as_name().to_string()
}
