//! DISM as a servicing stack: the command lines that a Windows host is asked with, and their answers.
//!
//! The program is started once for each step, never through a shell. Its exit code is the HRESULT; its
//! output is read for the packages of an image and its version.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::identity::Identity;
use super::stack::{Added, Answer, Excerpt, Refusal, Stack, TaskUpdate};
use super::update::Kind;
use crate::error::{Error, Result};

/// The package is not for this image.
const NOT_APPLICABLE: u32 = 0x800F_081E;
/// Success; a restart is needed, which an image does not do.
const RESTART: u32 = 3010;
/// Lines of a log that an excerpt has.
const LOG_LINES: usize = 200;

/// DISM of this host.
#[derive(Debug)]
pub struct Dism {
    program: PathBuf,
    /// The folder for its mount, its log and its own scratch.
    folder: PathBuf,
    build: u32,
    version: String,
}

impl Dism {
    /// Finds out what the program at `program` is; `folder` exists and is for nothing else.
    ///
    /// # Errors
    /// When it cannot be started, or says no version.
    pub fn open(program: &Path, folder: &Path) -> Result<Self> {
        let output = Command::new(program)
            .args(["/English", "/?"])
            .output()
            .map_err(|error| Error::file("start", program, &error))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = value(&said, "Version").unwrap_or_default();
        let build = version.split('.').nth(2).and_then(|build| build.parse().ok());
        let Some(build) = build else {
            return Err(Error::usage(format!(
                "{} does not say which version of DISM it is",
                crate::text::path(program)
            )));
        };
        Ok(Self { program: program.into(), folder: folder.into(), build, version })
    }

    fn mount_folder(&self) -> PathBuf {
        self.folder.join("mount")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("dism.log")
    }

    fn run(&self, arguments: &[String]) -> Answer<String> {
        let common = [
            "/English".to_string(),
            format!("/LogPath:{}", self.log().display()),
            format!("/ScratchDir:{}", self.folder.join("dism").display()),
        ];
        let output = Command::new(&self.program).args(arguments).args(common).output();
        let output = output.map_err(|error| Refusal {
            hresult: 0x8007_0000 | (error.raw_os_error().unwrap_or(2).unsigned_abs() & 0xffff),
            said: error.to_string(),
        })?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.code() {
            Some(0) => Ok(said),
            Some(code) if code.cast_unsigned() == RESTART => Ok(said),
            code => Err(Refusal { hresult: hresult(&said, code), said: said.trim().to_string() }),
        }
    }
}

/// The number of an error: what DISM prints, or else its exit code.
fn hresult(said: &str, code: Option<i32>) -> u32 {
    let printed = said.lines().find_map(|line| {
        let number = line.trim().strip_prefix("Error:")?.trim();
        match number.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits.trim(), 16).ok(),
            // Small numbers are those of Win32.
            None => {
                number.parse::<u32>().ok().map(|n| if n < 0x1_0000 { 0x8007_0000 | n } else { n })
            }
        }
    });
    printed.unwrap_or_else(|| code.unwrap_or(-1).cast_unsigned())
}

/// The value of a line such as `Version: 10.0.26100.1`.
fn value(said: &str, name: &str) -> Option<String> {
    said.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_string())
    })
}

/// The arguments of each step.
pub(super) mod arguments {
    use super::{Kind, Path};

    /// Discards mounts that have lost their folder or process.
    pub(in crate::service) fn clean_mounts() -> Vec<String> {
        vec!["/Cleanup-Mountpoints".into()]
    }

    /// Mounts an image to be changed.
    pub(in crate::service) fn mount(wim: &Path, index: u32, folder: &Path) -> Vec<String> {
        vec![
            "/Mount-Image".into(),
            format!("/ImageFile:{}", wim.display()),
            format!("/Index:{index}"),
            format!("/MountDir:{}", folder.display()),
        ]
    }

    /// Puts in a package, or a driver.
    pub(in crate::service) fn add(folder: &Path, kind: Kind, file: &Path) -> Vec<String> {
        let image = format!("/Image:{}", folder.display());
        match kind {
            Kind::Driver => vec![
                image,
                "/Add-Driver".into(),
                format!("/Driver:{}", file.display()),
                "/Recurse".into(),
            ],
            _ => vec![image, "/Add-Package".into(), format!("/PackagePath:{}", file.display())],
        }
    }

    /// Removes superseded updates.
    pub(in crate::service) fn clean_up(folder: &Path) -> Vec<String> {
        vec![
            format!("/Image:{}", folder.display()),
            "/Cleanup-Image".into(),
            "/StartComponentCleanup".into(),
            "/ResetBase".into(),
        ]
    }

    /// Lists packages.
    pub(in crate::service) fn packages(folder: &Path) -> Vec<String> {
        vec![format!("/Image:{}", folder.display()), "/Get-Packages".into()]
    }

    /// Unmounts, with what was changed or without.
    pub(in crate::service) fn unmount(folder: &Path, end: super::End) -> Vec<String> {
        let end = match end {
            super::End::Commit => "/Commit",
            super::End::Discard => "/Discard",
        };
        vec!["/Unmount-Image".into(), format!("/MountDir:{}", folder.display()), end.into()]
    }

    /// Copies an image to the end of another file.
    pub(in crate::service) fn export(from: &Path, index: u32, to: &Path) -> Vec<String> {
        vec![
            "/Export-Image".into(),
            format!("/SourceImageFile:{}", from.display()),
            format!("/SourceIndex:{index}"),
            format!("/DestinationImageFile:{}", to.display()),
        ]
    }
}

/// How an image is unmounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Commit,
    Discard,
}

impl Stack for Dism {
    fn name(&self) -> String {
        format!("DISM {}", self.version)
    }

    fn build(&self) -> u32 {
        self.build
    }

    fn discard_stale(&mut self) -> Answer<()> {
        let mount = self.mount_folder();
        // The mount of a process that was killed is still known; that it is not is no error.
        let _ = self.run(&arguments::unmount(&mount, End::Discard));
        self.run(&arguments::clean_mounts())?;
        for folder in [mount, self.folder.join("dism")] {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).map_err(|error| Refusal {
                hresult: 0x8007_0005,
                said: format!("{}: {error}", folder.display()),
            })?;
        }
        let _ = std::fs::remove_file(self.log());
        Ok(())
    }

    fn mount(&mut self, wim: &Path, index: u32) -> Answer<()> {
        self.run(&arguments::mount(wim, index, &self.mount_folder())).map(drop)
    }

    fn add(&mut self, update: &TaskUpdate, file: &Path) -> Answer<Added> {
        match self.run(&arguments::add(&self.mount_folder(), update.kind, file)) {
            Ok(_) => Ok(Added::Installed),
            Err(refusal) if refusal.hresult == NOT_APPLICABLE => Ok(Added::NotApplicable),
            Err(refusal) => Err(refusal),
        }
    }

    fn clean_up(&mut self) -> Answer<()> {
        self.run(&arguments::clean_up(&self.mount_folder())).map(drop)
    }

    fn installed(&mut self) -> Answer<(Vec<Identity>, String)> {
        let said = self.run(&arguments::packages(&self.mount_folder()))?;
        // `Image Version: 10.0.26100.2033`.
        let build = value(&said, "Image Version").unwrap_or_default();
        let build = build.splitn(3, '.').nth(2).unwrap_or_default().to_string();
        Ok((packages(&said), build))
    }

    fn commit(&mut self) -> Answer<()> {
        self.run(&arguments::unmount(&self.mount_folder(), End::Commit)).map(drop)
    }

    fn discard(&mut self) -> Answer<()> {
        self.run(&arguments::unmount(&self.mount_folder(), End::Discard)).map(drop)
    }

    fn export(&mut self, from: &Path, to: &Path) -> Answer<()> {
        let info =
            self.run(&["/Get-ImageInfo".into(), format!("/ImageFile:{}", from.display())])?;
        let images = info.lines().filter(|line| line.trim_start().starts_with("Index :")).count();
        if images == 0 {
            return Err(Refusal { hresult: 0x8007_000D, said: "the WIM has no images".into() });
        }
        for index in 1..=u32::try_from(images).unwrap_or(u32::MAX) {
            self.run(&arguments::export(from, index, to))?;
        }
        Ok(())
    }

    fn excerpts(&mut self) -> Vec<Excerpt> {
        [("dism.log", self.log()), ("CBS.log", PathBuf::from(r"C:\Windows\Logs\CBS\CBS.log"))]
            .into_iter()
            .filter_map(|(log, path)| {
                let text = String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned();
                let telling = |line: &&str| {
                    ["Error", "Warning", "HRESULT", "Failed"].iter().any(|mark| line.contains(mark))
                };
                let lines: Vec<&str> = text.lines().filter(telling).collect();
                let from = lines.len().saturating_sub(LOG_LINES);
                Some(Excerpt { log: log.into(), text: lines[from..].join("\n") })
            })
            .collect()
    }
}

/// The packages of a listing that are installed.
fn packages(said: &str) -> Vec<Identity> {
    let mut found = Vec::new();
    let mut open = None;
    for line in said.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim() {
            "Package Identity" => open = value.trim().parse().ok(),
            "State" if matches!(value.trim(), "Installed" | "Install Pending") => {
                found.extend(open.take());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
