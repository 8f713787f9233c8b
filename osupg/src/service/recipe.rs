//! What a run of servicing is to do: chosen once for a single run, or kept for a recurring one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::update::Kind;
use crate::error::{Error, Result};
use crate::media::path::MediaPath;
use crate::text;

/// Everything that a run does. What is left out is not done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Updates to put in, by id, article number or package name.
    pub updates: Vec<String>,
    /// Kinds of which the newest that was imported and fits is put in, whatever it is then.
    pub latest: Vec<Kind>,
    /// Updates and drivers that are not put in but placed on the media, for Setup to install.
    pub place: Vec<String>,
    /// Packages that are not put in either, but placed on the media and named in the section
    /// `<servicing>` of the answer file: Setup installs them when it installs Windows anew, not when it
    /// upgrades.
    pub unattended: Vec<String>,
    /// Images of install.wim to keep, by index or edition; all when empty.
    pub keep: Vec<String>,
    /// Files to add or replace.
    pub add: Vec<Addition>,
    /// Files to remove.
    pub remove: Vec<Removal>,
    /// A WIM that takes the place of the recovery environment in every image.
    pub winre: Option<PathBuf>,
    /// A WIM that takes the place of `sources/boot.wim`.
    pub boot: Option<PathBuf>,
    /// An answer file, which becomes `autounattend.xml` at the top of the media.
    pub answer_file: Option<PathBuf>,
    /// A script that Setup runs when it is done: `SetupComplete.cmd` in every image.
    pub setup_complete: Option<PathBuf>,
    /// Whether WIM files are compressed again as well as can be.
    pub compression: Compression,
    /// What happens after an update has failed.
    pub on_error: OnError,
    /// What becomes of updates that others have superseded.
    pub superseded: Superseded,
}

/// Whether WIM files are compressed again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Only what is new is compressed.
    #[default]
    Keep,
    /// All that changes is compressed again; slow, and a little smaller.
    Again,
}

/// What happens after an update has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The run fails, and nothing of it is kept.
    #[default]
    Stop,
    /// The next update is tried; what succeeded is kept.
    Continue,
}

/// What becomes of updates that others have superseded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Superseded {
    /// They stay, and can be gone back to.
    #[default]
    Keep,
    /// They are removed; only for an install.wim with one image.
    Remove,
}

/// A file to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    /// Where.
    pub to: Target,
    /// Its path there, such as `Windows/Setup/Scripts/SetupComplete.cmd`.
    pub path: String,
    /// The file or folder of the machine that does it.
    pub source: PathBuf,
}

/// A file to remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Where.
    pub from: Target,
    /// Its path there.
    pub path: String,
}

/// What files are added to or removed from: `install.wim`, `install.wim:2`, `boot.wim:1`,
/// `winre.wim` or `media`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Images of install.wim: one by its index in the base revision, or all.
    Install(Option<u32>),
    /// Images of boot.wim.
    Boot(Option<u32>),
    /// The recovery environment in every image.
    Winre,
    /// The media themselves.
    Media,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || {
            format!(
                "{:?} is no target: install.wim, install.wim:2, boot.wim, boot.wim:1, winre.wim or \
                 media",
                text::clean(text)
            )
        };
        let (wim, index) = match text.split_once(':') {
            None => (text, None),
            Some((wim, "*")) => (wim, None),
            Some((wim, index)) => {
                let index: u32 = index.parse().map_err(|_| wrong())?;
                (wim, Some(index).filter(|index| *index > 0).ok_or_else(wrong)?.into())
            }
        };
        match (wim.to_ascii_lowercase().as_str(), index) {
            ("install.wim" | "install", index) => Ok(Self::Install(index)),
            ("boot.wim" | "boot", index) => Ok(Self::Boot(index)),
            ("winre.wim" | "winre", None) => Ok(Self::Winre),
            ("media", None) => Ok(Self::Media),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Install(None) => f.write_str("install.wim"),
            Self::Install(Some(index)) => write!(f, "install.wim:{index}"),
            Self::Boot(None) => f.write_str("boot.wim"),
            Self::Boot(Some(index)) => write!(f, "boot.wim:{index}"),
            Self::Winre => f.write_str("winre.wim"),
            Self::Media => f.write_str("media"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "What files are added to or removed from: install.wim, install.wim:2, boot.wim:1, winre.wim or media." })
    }
}

impl Recipe {
    /// The files and folders of the machine that it reads.
    #[must_use]
    pub fn places(&self) -> Vec<&Path> {
        let given = [&self.winre, &self.boot, &self.answer_file, &self.setup_complete];
        let given = given.into_iter().flatten();
        given.chain(self.add.iter().map(|add| &add.source)).map(PathBuf::as_path).collect()
    }

    /// Checks what can be checked without looking at any media; gives its paths a common form.
    ///
    /// # Errors
    /// When it asks for nothing, or a path in it is none of Windows.
    pub(super) fn checked(&self) -> Result<Self> {
        if *self == Self::default() {
            return Err(Error::usage("this run would do nothing")
                .advise("say what it is to do: --update, --latest, --add, --remove, --keep, …"));
        }
        let mut checked = self.clone();
        for addition in &mut checked.add {
            addition.path = path(&addition.path)?;
        }
        for removal in &mut checked.remove {
            removal.path = path(&removal.path)?;
        }
        Ok(checked)
    }

    /// What it does, in a few words: the cause of the revision that it makes.
    #[must_use]
    pub fn summary(&self, updates: &[String]) -> String {
        let mut parts: Vec<String> = updates.to_vec();
        let files = self.add.len() + self.remove.len();
        if files > 0 {
            parts.push(format!("{files} file change{}", text::plural(files as u64)));
        }
        for (there, word) in [
            (self.winre.is_some(), "WinRE replaced"),
            (self.boot.is_some(), "boot.wim replaced"),
            (self.answer_file.is_some(), "answer file"),
            (self.setup_complete.is_some(), "SetupComplete"),
            (!self.place.is_empty(), "updates placed on the media"),
            (!self.unattended.is_empty(), "packages for clean installations"),
            (self.compression == Compression::Again, "compressed again"),
        ] {
            if there {
                parts.push(word.into());
            }
        }
        if !self.keep.is_empty() {
            parts.push(format!("kept {}", self.keep.join(", ")));
        }
        let all = parts.join(", ");
        if all.chars().count() <= 200 {
            return all;
        }
        let short: String = all.chars().take(199).collect();
        format!("{short}…")
    }
}

/// A path in an image or on the media: relative, its parts divided by `/` or `\`.
fn path(path: &str) -> Result<String> {
    let plain = path.replace('\\', "/");
    let plain = plain.trim_start_matches('/');
    MediaPath::new(plain).map(|path| path.as_str().to_string()).map_err(|bad| {
        Error::usage(format!("the path {:?} {bad}", text::clean(path)))
            .advise("write it as in Windows/System32/startnet.cmd")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_written_as_files() {
        for (text, target) in [
            ("install.wim", Target::Install(None)),
            ("install.wim:2", Target::Install(Some(2))),
            ("boot.wim:1", Target::Boot(Some(1))),
            ("winre.wim", Target::Winre),
            ("media", Target::Media),
        ] {
            assert_eq!(text.parse(), Ok(target));
            assert_eq!(target.to_string(), text);
        }
        assert_eq!("INSTALL.WIM:*".parse(), Ok(Target::Install(None)));
        for bad in ["", "install.wim:0", "install.wim:x", "winre.wim:1", "media:1", "other.wim"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_recipe_says_what_it_does_and_refuses_odd_paths() {
        assert!(Recipe::default().checked().unwrap_err().to_string().contains("nothing"));
        let add = |path: &str| Recipe {
            add: vec![Addition { to: Target::Media, path: path.into(), source: "/x".into() }],
            ..Recipe::default()
        };
        assert_eq!(add(r"\Windows\a.txt").checked().unwrap().add[0].path, "Windows/a.txt");
        for bad in ["..", "a/../b", "nul", "a:b", "a//b"] {
            assert!(add(bad).checked().is_err(), "{bad}");
        }
        assert_eq!(add("a").summary(&["KB1".into()]), "KB1, 1 file change");
    }
}
