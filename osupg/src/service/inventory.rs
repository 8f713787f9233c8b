//! What the images of a revision hold: builds, editions and installed packages, read where they lie.
//!
//! | read | what it tells |
//! |---|---|
//! | `Windows/servicing/Packages/*.mum`, the names | packages of the servicing stack |
//! | hive `SOFTWARE`, `Windows NT\CurrentVersion` | build and revision (UBR), edition |
//! | hive `SOFTWARE`, `Component Based Servicing\Packages` | the state of each package |
//! | hive `COMPONENTS`, its root | actions that are pending, a store known to be corrupt |
//! | `Windows/System32/Recovery/Winre.wim` | the recovery environment: a WIM in the WIM |
//!
//! Nothing is extracted but the WIM in the WIM, to a scratch file. What cannot be read is said in
//! `notes`; an inventory is never refused for it. It is remembered by the SHA-256 of the WIM.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wim_extract::source::{Access, FileSource, Source};
use wim_format::hive::{Hive, Key};

use super::identity::Identity;
use super::image;
use super::install;
use super::scratch::Scratch;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::package::images::OpenWim;
use crate::package::model::{Entry, ImageFacts};
use crate::package::reference::Reference;
use crate::progress::Watch;
use crate::store::source::PieceSource;
use crate::text;

/// The rules by which images are read; another number reads them anew.
const RULES: i64 = 1;
/// Largest hive that is read: SOFTWARE has some 100 MiB.
const MAX_HIVE: u64 = 512 << 20;
/// Largest WIM inside an image; recovery environments have some 700 MiB.
const MAX_INNER: u64 = 8 << 30;
/// Where the recovery environment lies.
pub(super) const WINRE: &str = "Windows/System32/Recovery/Winre.wim";

/// Reads what the images of a revision hold.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package, and which revision of it.
    pub package: Reference,
}

/// The WIM files of a revision.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// The package.
    pub id: String,
    /// The revision.
    pub revision: i64,
    /// Its WIM files, by path.
    pub wims: Vec<WimInventory>,
}

/// A WIM file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WimInventory {
    /// Where it is in the media.
    pub path: String,
    /// Its images.
    pub images: Vec<ImageInventory>,
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageInventory {
    /// 1 for the first.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its edition, such as `Professional`.
    pub edition: String,
    /// Its architecture, such as `x64`.
    pub architecture: String,
    /// Its languages.
    pub languages: Vec<String>,
    /// The build of Windows in it; 0 when nobody knows.
    pub build: u32,
    /// The revision of the build; 0 when nobody knows.
    pub revision: u32,
    /// Whether build and revision come from its registry, and not from what the WIM says of it.
    pub from_registry: bool,
    /// The packages of the servicing stack, by identity.
    pub packages: Vec<InstalledPackage>,
    /// Whether actions wait for the next start of Windows.
    pub pending: bool,
    /// The recovery environment inside.
    pub winre: Option<Box<Winre>>,
    /// What could not be read.
    pub notes: Vec<String>,
}

impl ImageInventory {
    /// Build and revision, such as `26100.1742`.
    #[must_use]
    pub fn version(&self) -> String {
        if self.build == 0 { String::new() } else { format!("{}.{}", self.build, self.revision) }
    }

    /// Its packages that are installed.
    pub(super) fn installed(&self) -> impl Iterator<Item = &Identity> {
        self.packages.iter().filter(|package| package.state.is_installed()).map(|p| &p.identity)
    }
}

/// A recovery environment inside an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Winre {
    /// The SHA-1 of the WIM.
    pub sha1: String,
    /// Its bytes.
    pub size: u64,
    /// Its images; mostly one.
    pub images: Vec<ImageInventory>,
}

/// A package of the servicing stack in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstalledPackage {
    /// Which.
    pub identity: Identity,
    /// How far it is installed.
    pub state: PackageState,
}

/// How far a package is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackageState {
    /// It is.
    Installed,
    /// It will be at the next start.
    InstallPending,
    /// A newer one has taken its place.
    Superseded,
    /// Its files are there, and it is off.
    Staged,
    /// Its manifest is there; the registry does not say more.
    Present,
    /// Something else.
    Other,
}

impl PackageState {
    /// The state of this number in the registry, as servicing writes it.
    const fn of(number: u32) -> Self {
        match number {
            0x70 | 0x80 => Self::Installed,
            0x60 | 0x65 => Self::InstallPending,
            0x50 => Self::Superseded,
            0x20..0x50 => Self::Staged,
            _ => Self::Other,
        }
    }

    /// Whether what it brings is there, or will be.
    const fn is_installed(self) -> bool {
        matches!(self, Self::Installed | Self::InstallPending | Self::Present)
    }
}

impl Operation for Request {
    type Outcome = Inventory;
    const NAME: &'static str = "service.inventory";
    const RIGHT: Right = Right::Read;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Inventory> {
        let package = home.db.package_at(&self.package).await?;
        let _lease = home.lease().await?;
        let entries = home.db.entries(package.revision.key).await?;
        let wims = of_entries(home, &entries, watch).await?;
        Ok(Inventory { id: package.id, revision: package.revision.number, wims })
    }
}

/// The inventory of every WIM of a manifest; from memory where it was read before. The caller holds
/// the library's lease.
pub(super) async fn of_entries(
    home: &Home,
    entries: &[Entry],
    watch: Watch<'_>,
) -> Result<Vec<WimInventory>> {
    let mut wims = Vec::new();
    for entry in entries {
        let Some(content) = entry.content.as_ref().filter(|_| is_wim(entries, entry)) else {
            continue;
        };
        watch.check()?;
        let known = home.db.inventory(&content.sha256, RULES).await?;
        let images = match known.and_then(|json| serde_json::from_str(&json).ok()) {
            Some(images) => images,
            None => {
                watch.progress.note(&format!("reading what is in {}", entry.path));
                let images = tokio::task::block_in_place(|| {
                    let scratch = Scratch::begin(home)?;
                    of_wim(&open(home, entries, entry)?, &scratch, Depth::Media, watch)
                })
                .map_err(|error: Error| error.context(&entry.path))?;
                let json = serde_json::to_string(&images)
                    .map_err(|error| Error::io(format!("an inventory has no JSON: {error}")))?;
                home.db.remember_inventory(&content.sha256, RULES, &json).await?;
                images
            }
        };
        wims.push(WimInventory { path: entry.path.as_str().to_string(), images });
    }
    Ok(wims)
}

/// Whether an entry is named as a WIM that stands by itself, or as the first part of a split one.
pub(super) fn is_wim(entries: &[Entry], entry: &Entry) -> bool {
    let name = entry.path.name().to_ascii_lowercase();
    let first = install::is_part(entry) && !install::is_later_part(entries, entry);
    name.ends_with(".wim") || name.ends_with(".esd") || first
}

/// Opens a WIM of a manifest from the library, with its later parts.
pub(super) fn open(home: &Home, entries: &[Entry], entry: &Entry) -> Result<OpenWim> {
    let mut parts = install::parts(entries, entry).into_iter().map(|part| source(home, part));
    let first = parts.next().unwrap_or_else(|| source(home, entry));
    OpenWim::open(first, parts.collect())
}

/// The bytes of a file of a manifest.
pub(super) fn source(home: &Home, entry: &Entry) -> Arc<dyn Source> {
    let pieces = entry.content.as_ref().map_or(&[][..], |content| &content.pieces);
    Arc::new(PieceSource::new(home.library.clone(), pieces, entry.path.to_string()))
}

/// Whether a WIM inside is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// This WIM is a file of the media: what is in it is looked at.
    Media,
    /// This WIM is inside another.
    Inside,
}

/// The inventory of the images of a WIM. Blocks the thread.
pub(super) fn of_wim(
    open: &OpenWim,
    scratch: &Scratch,
    depth: Depth,
    watch: Watch<'_>,
) -> Result<Vec<ImageInventory>> {
    let mut inner: HashMap<String, Vec<ImageInventory>> = HashMap::new();
    let mut images = Vec::new();
    for facts in open.facts() {
        watch.check()?;
        let mut image = of_image(open, &facts, watch)?;
        if depth == Depth::Media
            && let Some(found) = image::find(&open.wim, facts.index, WINRE)?
        {
            let sha1 = text::hex(&found.hash.0);
            if !inner.contains_key(&sha1) {
                let read = winre(open, facts.index, found.size, scratch, watch);
                let read = read.or_else(|error| {
                    watch.check()?;
                    image.notes.push(format!("Winre.wim: {error}"));
                    Ok::<_, Error>(Vec::new())
                })?;
                inner.insert(sha1.clone(), read);
            }
            let images = inner.get(&sha1).cloned().unwrap_or_default();
            image.winre = Some(Box::new(Winre { sha1, size: found.size, images }));
        }
        images.push(image);
    }
    Ok(images)
}

/// The WIM inside an image, which comes out to a scratch file to be read.
fn winre(
    open: &OpenWim,
    index: u32,
    size: u64,
    scratch: &Scratch,
    watch: Watch<'_>,
) -> Result<Vec<ImageInventory>> {
    if size > MAX_INNER {
        return Err(Error::damaged(format!("it has {size} bytes, more than can be")));
    }
    crate::space::require(scratch.place(), scratch.place(), size)?;
    let place = scratch.place().join(format!("winre-{index}.wim"));
    image::extract(&open.wim, index, WINRE, &place, watch.cancel)?;
    let inside = open_file(&place)?;
    let images = of_wim(&inside, scratch, Depth::Inside, watch);
    std::fs::remove_file(&place).map_err(|error| Error::file("remove", &place, &error))?;
    images
}

/// Opens a WIM in a file of this machine.
pub(super) fn open_file(path: &std::path::Path) -> Result<OpenWim> {
    let source =
        FileSource::open(path, Access::default()).map_err(|error| Error::io(error.to_string()))?;
    OpenWim::open(Arc::new(source), Vec::new())
}

fn of_image(open: &OpenWim, facts: &ImageFacts, watch: Watch<'_>) -> Result<ImageInventory> {
    let mut image = ImageInventory {
        index: facts.index,
        name: facts.name.clone(),
        edition: facts.edition.clone(),
        architecture: facts.architecture.clone(),
        languages: facts.languages.clone(),
        ..ImageInventory::default()
    };
    (image.build, image.revision) = dotted(&facts.build);
    let mut states = HashMap::new();
    match hive(open, facts.index, "SOFTWARE", watch)? {
        None => {
            image.notes.push("it has no hive SOFTWARE: build and edition are the WIM's word".into())
        }
        Some(bytes) => {
            if let Err(error) = software(&bytes, &mut image, &mut states) {
                image.notes.push(format!("hive SOFTWARE: {error}"));
            }
        }
    }
    if let Some(bytes) = hive(open, facts.index, "COMPONENTS", watch)? {
        match components(&bytes) {
            Ok((pending, corrupt)) => {
                image.pending = pending;
                if corrupt {
                    image.notes.push("its component store is marked as corrupt".into());
                }
            }
            Err(error) => image.notes.push(format!("hive COMPONENTS: {error}")),
        }
    }
    packages(open, facts.index, states, &mut image)?;
    Ok(image)
}

/// The numbers of `26100.1742`.
fn dotted(build: &str) -> (u32, u32) {
    let (build, revision) = build.split_once('.').unwrap_or((build, ""));
    (build.parse().unwrap_or(0), revision.parse().unwrap_or(0))
}

fn hive(open: &OpenWim, index: u32, name: &str, watch: Watch<'_>) -> Result<Option<bytes::Bytes>> {
    let path = format!("Windows/System32/config/{name}");
    image::read(&open.wim, index, &path, MAX_HIVE, watch.cancel)
}

type HiveResult<T> = std::result::Result<T, wim_format::FormatError>;

/// Build and edition, and the states of packages.
fn software(
    bytes: &[u8],
    image: &mut ImageInventory,
    states: &mut HashMap<String, PackageState>,
) -> HiveResult<()> {
    let hive = Hive::parse(bytes)?;
    if let Some(version) = hive.key(r"Microsoft\Windows NT\CurrentVersion")? {
        let text = |name: &str| -> HiveResult<String> {
            Ok(version.value(name)?.and_then(|value| value.text()).unwrap_or_default())
        };
        let mut build = text("CurrentBuildNumber")?;
        if build.is_empty() {
            build = text("CurrentBuild")?;
        }
        if let Ok(build) = build.parse() {
            let revision = version.value("UBR")?.and_then(|value| value.number());
            (image.build, image.from_registry) = (build, true);
            image.revision = revision.unwrap_or(image.revision);
        }
        let edition = text("EditionID")?;
        if !edition.is_empty() {
            image.edition = edition;
        }
    }
    let servicing = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";
    if let Some(packages) = hive.key(servicing)? {
        for package in packages.subkeys()? {
            let package: Key<'_> = package?;
            let number = package.value("CurrentState")?.and_then(|value| value.number());
            let name = package.name().as_name().to_string().to_ascii_lowercase();
            states.insert(name, number.map_or(PackageState::Present, PackageState::of));
        }
    }
    Ok(())
}

/// Whether actions are pending, and whether the store is known to be corrupt.
fn components(bytes: &[u8]) -> HiveResult<(bool, bool)> {
    let root = Hive::parse(bytes)?.root()?;
    let there = |name: &str| -> HiveResult<bool> { Ok(root.value(name)?.is_some()) };
    Ok((there("PendingXmlIdentifier")?, there("StoreCorruptTimeStamp")?))
}

fn packages(
    open: &OpenWim,
    index: u32,
    states: HashMap<String, PackageState>,
    image: &mut ImageInventory,
) -> Result<()> {
    let mut names = image::names(&open.wim, index, "Windows/servicing/Packages")?;
    names.sort();
    let mut unknown = 0_u64;
    for name in names {
        let lower = name.to_ascii_lowercase();
        let Some(stem) = lower.strip_suffix(".mum") else { continue };
        let Ok(identity) = name[..stem.len()].parse::<Identity>() else {
            unknown += 1;
            continue;
        };
        let state = states.get(stem).copied().unwrap_or(PackageState::Present);
        image.packages.push(InstalledPackage { identity, state });
    }
    if unknown > 0 {
        image.notes.push(format!(
            "{unknown} manifest{} in Windows/servicing/Packages with names of no package",
            text::plural(unknown)
        ));
    }
    Ok(())
}
