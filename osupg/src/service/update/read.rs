//! Finds out what an update is.

use std::path::{Path, PathBuf};

use super::container::{Container, Member, Opened, open_file};
use super::{Facts, Kind};
use crate::error::{Error, Result};
use crate::progress::Watch;
use crate::service::file_version;
use crate::service::identity::{Identity, Version, architecture_word};
use crate::service::manifest::{self, Manifest, kb_in};
use crate::text;

/// Packages inside packages that are opened.
const MAX_INSIDE: usize = 16;
/// A `.msu` holds a `.cab`, which may hold cabinets of its own.
const MAX_DEPTH: usize = 3;
/// Largest program whose version is read.
const MAX_PROGRAM: u64 = 128 << 20;
/// Largest `.inf` that is read.
const MAX_INF: u64 = 4 << 20;
/// What a `.msu` has beside its packages: data for Windows Update and its own installer.
const BESIDE: [&str; 4] = [
    "wsusscan.cab",
    "desktopdeployment.cab",
    "desktopdeployment_x86.cab",
    "onepackage.aggregatedmetadata.cab",
];
/// Programs by which a cabinet of Setup files is known, the most telling first.
const SETUP_FILES: [&str; 6] = [
    "setuphost.exe",
    "setupcore.dll",
    "setupplatform.dll",
    "setupprep.exe",
    "setup.exe",
    "appraiser.dll",
];

/// What an examination found.
pub(super) enum Examined {
    /// An update.
    Update(Box<Facts>),
    /// Nothing that an image takes, and why.
    Unfit(String),
    /// A folder that holds updates, and nothing else to go by.
    Several(Vec<PathBuf>),
}

/// Examines the file or folder at `path`. `scratch` is an empty folder for packages inside others.
pub(super) fn examine(path: &Path, scratch: &Path, watch: Watch<'_>) -> Result<Examined> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let container = if path.is_dir() {
        Container::folder(path)?
    } else {
        match open_file(path)? {
            Opened::Container(container) => container,
            Opened::Unfit(why) => return Ok(Examined::Unfit(why.into())),
        }
    };
    let members = container.members()?;
    let mut manifests = Vec::new();
    collect(&container, &members, scratch, 0, &mut manifests, watch)
        .map_err(|error| error.context(text::clean(&name)))?;
    // What the whole is called after; the servicing stack only comes with it.
    if let Some(main) = manifests.iter().min_by_key(|manifest| kind_of(manifest, &name)) {
        return Ok(Examined::Update(Box::new(of_manifests(main, &manifests, &name))));
    }
    if let Some(facts) = driver(&container, &members, &name, watch)? {
        return Ok(Examined::Update(Box::new(facts)));
    }
    if let Some(facts) = setup(&container, &members, &name, watch)? {
        return Ok(Examined::Update(Box::new(facts)));
    }
    if path.is_dir() {
        let inside = |member: &&Member| is_package(&member.name());
        let files: Vec<_> =
            members.iter().filter(inside).map(|member| path.join(&member.path)).collect();
        if !files.is_empty() {
            return Ok(Examined::Several(files));
        }
    }
    Ok(Examined::Unfit(
        "it holds no package manifest (update.mum), no driver (.inf) and no files of Windows Setup"
            .into(),
    ))
}

fn is_package(name: &str) -> bool {
    name.ends_with(".cab") || name.ends_with(".msu")
}

/// The manifests of a package and of those inside it.
fn collect(
    container: &Container,
    members: &[Member],
    scratch: &Path,
    depth: usize,
    found: &mut Vec<Manifest>,
    watch: Watch<'_>,
) -> Result<()> {
    watch.check()?;
    // At the top: those of components lie in folders of their own.
    if let Some(member) = members.iter().find(|m| m.path.eq_ignore_ascii_case("update.mum")) {
        let bytes = container.read(member, manifest::MAX_LEN, watch)?;
        let manifest = manifest::parse(&bytes)
            .map_err(|why| Error::damaged(format!("its manifest update.mum {why}")))?;
        found.push(manifest);
        return Ok(());
    }
    let inner = |member: &&Member| {
        let name = member.name();
        let package = name.ends_with(".cab") || name.ends_with(".wim") || name.ends_with(".msu");
        package && !BESIDE.contains(&name.as_str())
    };
    // A folder of packages is several updates, not one.
    if depth == MAX_DEPTH || matches!(container, Container::Folder { .. }) {
        return Ok(());
    }
    let inside: Vec<Member> = members.iter().filter(inner).cloned().collect();
    if inside.len() > MAX_INSIDE {
        return Err(Error::usage(format!(
            "it holds {} packages; at most {MAX_INSIDE} are opened",
            inside.len()
        )));
    }
    let folder = scratch.join(format!("{depth}-{}", found.len()));
    if inside.is_empty() {
        return Ok(());
    }
    std::fs::create_dir(&folder).map_err(|error| Error::file("make", &folder, &error))?;
    for (member, place) in inside.iter().zip(container.extract(&inside, &folder, watch)?) {
        if let Opened::Container(container) = open_file(&place)? {
            let members = container.members()?;
            collect(&container, &members, &folder, depth + 1, found, watch)
                .map_err(|error| error.context(text::clean(&member.path)))?;
        }
        std::fs::remove_file(&place).map_err(|error| Error::file("remove", &place, &error))?;
    }
    Ok(())
}

fn of_manifests(main: &Manifest, manifests: &[Manifest], file: &str) -> Facts {
    let kind = kind_of(main, file);
    let checkpoints: Vec<Identity> = main
        .parents
        .iter()
        .filter(|parent| parent.name.to_ascii_lowercase().starts_with("package_for_"))
        .cloned()
        .collect();
    let mut builds: Vec<u32> = main
        .parents
        .iter()
        .chain([&main.identity])
        .filter_map(|identity| Some(identity.version.build()?.0))
        .collect();
    builds.sort_unstable();
    builds.dedup();
    let kb = if main.kb.is_empty() { kb_in(file).unwrap_or_default() } else { main.kb.clone() };
    let title = match main.title.trim() {
        "" => format!("{} {}", main.identity.name, main.identity.version),
        title => title.to_string(),
    };
    let online_only = if main.online_only {
        "its manifest says that it cannot be installed into an image that does not run".to_string()
    } else {
        String::new()
    };
    Facts {
        kb,
        title,
        kind,
        architecture: architecture_word(&main.identity.architecture),
        language: main.identity.language.clone(),
        contains: manifests
            .iter()
            .filter(|other| other.identity != main.identity)
            .map(|other| other.identity.clone())
            .collect(),
        version: main.identity.version,
        identity: Some(main.identity.clone()),
        builds,
        checkpoints,
        servicing_stack: main.servicing_stack,
        online_only,
    }
}

/// The order of [`Kind`] puts the one that names the whole first.
fn kind_of(manifest: &Manifest, file: &str) -> Kind {
    let name = manifest.identity.name.to_ascii_lowercase();
    let release = manifest.release_type.to_ascii_lowercase();
    let said = format!("{} {file}", manifest.title).to_ascii_lowercase();
    let dotnet = name.starts_with("package_for_dotnet") || name.contains("netfx");
    if name.starts_with("winpe-") {
        Kind::Language
    } else if dotnet {
        Kind::Dotnet
    } else if name.starts_with("package_for_servicingstack") {
        Kind::ServicingStack
    } else if name.starts_with("package_for_safeos") || said.contains("safe os") {
        Kind::SafeOs
    } else if name.starts_with("package_for_rollup") {
        Kind::Cumulative
    } else if release.contains("language pack")
        || name.contains("languagepack")
        || name.contains("languagefeatures")
    {
        Kind::Language
    } else if release.contains("demand")
        || release.contains("feature")
        || name.contains("fod-package")
    {
        Kind::Feature
    } else if release.contains("driver") {
        Kind::Driver
    } else {
        Kind::Other
    }
}

/// A driver: what has `.inf` files.
fn driver(
    container: &Container,
    members: &[Member],
    file: &str,
    watch: Watch<'_>,
) -> Result<Option<Facts>> {
    let Some(inf) = members.iter().find(|member| member.name().ends_with(".inf")) else {
        return Ok(None);
    };
    let bytes = container.read(inf, MAX_INF, watch)?;
    let said = inf_text(&bytes);
    let value = |key: &str| {
        said.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            let value = value.split(';').next()?.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case(key).then(|| value.to_string())
        })
    };
    let class = value("Class").unwrap_or_else(|| "unknown class".into());
    let version: Version = value("DriverVer")
        .and_then(|value| value.rsplit(',').next()?.parse().ok())
        .unwrap_or_default();
    let lower = said.to_ascii_lowercase();
    let made_for: Vec<_> = [("ntamd64", "x64"), ("ntarm64", "arm64"), ("ntx86", "x86")]
        .into_iter()
        .filter(|(mark, _)| lower.contains(mark))
        .map(|(_, word)| word.to_string())
        .collect();
    let architecture = if let [one] = made_for.as_slice() { one.clone() } else { String::new() };
    let title = format!("Driver {} ({class}) {version}", text::clean(&inf.name()));
    Ok(Some(plain(Kind::Driver, file, title, architecture, version)))
}

/// `.inf` files are UTF-16 or in some code page; what is looked for is ASCII.
fn inf_text(bytes: &[u8]) -> String {
    match bytes {
        [0xff, 0xfe, rest @ ..] => {
            let units: Vec<u16> =
                rest.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
            String::from_utf16_lossy(&units)
        }
        other => String::from_utf8_lossy(other).into_owned(),
    }
}

/// A Setup Dynamic Update: files of Windows Setup without a manifest.
fn setup(
    container: &Container,
    members: &[Member],
    file: &str,
    watch: Watch<'_>,
) -> Result<Option<Facts>> {
    let telling = |name: &str| members.iter().find(|member| member.name() == name);
    let Some(program) = SETUP_FILES.iter().find_map(|name| telling(name)) else {
        return Ok(None);
    };
    let bytes = container.read(program, MAX_PROGRAM, watch)?;
    let version = file_version::of(&bytes).unwrap_or_default();
    let architecture = file_version::architecture(&bytes).unwrap_or_default().to_string();
    let title = format!("Setup Dynamic Update {version}");
    let mut facts = plain(Kind::Setup, file, title, architecture, version);
    facts.builds = version.build().into_iter().map(|(build, _)| build).collect();
    Ok(Some(facts))
}

fn plain(kind: Kind, file: &str, title: String, architecture: String, version: Version) -> Facts {
    Facts {
        kb: kb_in(file).unwrap_or_default(),
        title,
        kind,
        architecture,
        language: String::new(),
        identity: None,
        contains: Vec::new(),
        version,
        builds: Vec::new(),
        checkpoints: Vec::new(),
        servicing_stack: None,
        online_only: String::new(),
    }
}
