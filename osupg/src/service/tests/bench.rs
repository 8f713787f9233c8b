//! Small media of real shape, updates of every kind, and a servicing stack that edits WIM files.

use std::fs;
use std::path::{Path, PathBuf};

use wim_extract::capture::{self, Into, SourceTree};
use wim_extract::{Cancel, Silent, update as engine};

use crate::db::jobs::Ending;
use crate::db::tests::Database;
use crate::home::Home;
use crate::home::tests::open;
use crate::jobs::model::{Failure, Lane};
use crate::operation::Operation;
use crate::package::add;
use crate::package::model::Package;
use crate::package::select::Selection;
use crate::progress::{Silent as Unwatched, Watch};
use crate::service::cabinet::tests::written;
use crate::service::file_version::tests::program;
use crate::service::identity::Identity;
use crate::service::stack::{Added, Answer, Excerpt, Refusal, Stack, TaskUpdate};
use crate::service::update::container::{Opened, open_file};
use crate::service::worker::{Coordinator, Worker};
use crate::time::Moment;

pub(super) const ROLLUP: &str = "Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.2033.1.5";
pub(super) const CHECKPOINT: &str = "Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.1800.1.1";
pub(super) const SAFE_OS: &str = "Package_for_SafeOSDU~31bf3856ad364e35~amd64~~26100.2022.1.0";
pub(super) const DOTNET: &str = "Package_for_DotNetRollup_481~31bf3856ad364e35~amd64~~10.0.9277.2";

/// A store, media and a folder for updates.
pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) home: Home,
    pub(super) cancel: Cancel,
}

impl Bench {
    /// A store with nothing in it.
    pub(super) async fn new(database: Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = open(&folder.path().join("home"), database).await;
        Self { folder, home, cancel: Cancel::new() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn watch(&self) -> Watch<'_> {
        Watch { progress: &Unwatched, cancel: &self.cancel }
    }

    /// Does an operation.
    pub(super) async fn call<O: Operation>(&self, request: &O) -> crate::Result<O::Outcome> {
        request.run(&self.home, self.watch()).await
    }

    /// Does an operation from its JSON.
    pub(super) async fn json<O: Operation>(
        &self,
        request: serde_json::Value,
    ) -> crate::Result<O::Outcome> {
        self.call(&serde_json::from_value::<O>(request).unwrap()).await
    }

    /// Media with two editions, a boot.wim of two images and a recovery environment, as a package.
    pub(super) async fn package(&self) -> Package {
        self.media();
        self.add("Sample").await
    }

    /// The media of [`package`](Self::package), in the folder `media`.
    pub(super) fn media(&self) -> PathBuf {
        let media = self.path("media");
        make_media(&media);
        media
    }

    /// Does the jobs that may run at this moment, as a worker with that clock would; their operations.
    pub(super) async fn do_jobs(&self, now: Moment) -> Vec<String> {
        let mut done = Vec::new();
        loop {
            let mut held = None;
            for lane in [Lane::Work, Lane::Transfer] {
                if held.is_none() {
                    held = self.home.db.take_job(lane, "test/1", now).await.unwrap();
                }
            }
            let Some(held) = held else { return done };
            let known = crate::operation::find(&held.operation).unwrap();
            let request = serde_json::from_str(&held.request).unwrap();
            let home = self.home.acting_for(&held.by);
            let result =
                known.run(request, home, std::sync::Arc::new(Unwatched), self.cancel.clone()).await;
            let (ending, words) = match result {
                Ok(outcome) => (Ending::Succeeded(outcome.to_string()), "succeeded".to_string()),
                Err(error) => {
                    let words = error.to_string();
                    (Ending::Failed(Failure::of(&error), words.clone()), words)
                }
            };
            assert!(self.home.db.end_job(&held, &ending, &words, now).await.unwrap());
            done.push(held.operation);
        }
    }

    /// Another package of the same media.
    pub(super) async fn add(&self, name: &str) -> Package {
        let request = add::Request {
            source: self.path("media"),
            selection: Selection::All,
            name: name.into(),
            ..serde_json::from_value(serde_json::json!({"source": "/", "name": "x"})).unwrap()
        };
        self.call(&request).await.unwrap().package
    }

    /// A worker of this name beside the store.
    pub(super) fn worker(&self, name: &str) -> Worker {
        Worker {
            coordinator: Coordinator::Beside(self.home.clone()),
            name: name.into(),
            folder: self.path(&format!("worker-{name}")),
        }
    }

    /// Has a worker do everything that waits; says how many tasks that were.
    pub(super) async fn work(&self, name: &str, stack: &mut EditingStack) -> u64 {
        let worker = self.worker(name);
        let mut done = 0;
        while worker.work_once(stack, self.watch()).await.unwrap() {
            done += 1;
        }
        done
    }

    /// Writes a file below the bench's folder.
    pub(super) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        put(&path, bytes.as_ref());
        path
    }

    /// The cabinet of a package of the servicing stack.
    pub(super) fn cabinet(&self, name: &str, manifest: &str) -> PathBuf {
        let bytes = written(
            cab::CompressionType::MsZip,
            &[&[("update.mum", manifest.as_bytes()), ("payload.dll", b"what it brings")]],
        );
        self.file(name, bytes)
    }

    /// Imports files; gives the ids of the updates.
    pub(super) async fn import(&self, files: &[PathBuf]) -> Vec<String> {
        let request = crate::service::update::import::Request { files: files.to_vec() };
        let imported = self.call(&request).await.unwrap();
        assert!(imported.refused.is_empty(), "{:?}", imported.refused);
        imported.updates.into_iter().map(|new| new.update.id).collect()
    }

    /// The bytes of a file of the current revision.
    pub(super) async fn media_file(&self, id: &str, path: &str) -> Option<Vec<u8>> {
        let package = self.home.db.package(id).await.unwrap();
        let entries = self.home.db.entries(package.revision.key).await.unwrap();
        let entry = entries.iter().find(|entry| entry.path.is(path))?;
        let mut bytes = Vec::new();
        for piece in &entry.content.as_ref()?.pieces {
            bytes.extend(self.home.library.get(piece).await.unwrap());
        }
        Some(bytes)
    }

    /// A WIM of the current revision, as a file.
    pub(super) async fn wim(&self, id: &str, name: &str) -> PathBuf {
        let bytes = self.media_file(id, &format!("sources/{name}")).await.unwrap();
        self.file(&format!("out/{}-{name}", uuid::Uuid::now_v7()), bytes)
    }
}

/// The manifest of a package, with parents.
pub(super) fn manifest(identity: &str, kb: &str, parents: &[&str]) -> String {
    let element = |identity: &str| {
        let Identity { name, token, architecture, version, .. } = identity.parse().unwrap();
        format!(
            "<assemblyIdentity name=\"{name}\" version=\"{version}\" language=\"neutral\" \
             processorArchitecture=\"{architecture}\" publicKeyToken=\"{token}\"/>"
        )
    };
    let parents: String = parents.iter().map(|parent| element(parent)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <assembly xmlns=\"urn:schemas-microsoft-com:asm.v3\" manifestVersion=\"1.0\" \
         displayName=\"default\" description=\"Fix for {kb}\">{}<package identifier=\"{kb}\" \
         releaseType=\"Update\"><parent buildCompare=\"EQ\">{}{parents}</parent></package></assembly>",
        element(identity),
        element("Microsoft-Windows-CoreEdition~31bf3856ad364e35~amd64~~10.0.26100.1"),
    )
}

/// The hive SOFTWARE of an edition at this revision of its build.
pub(super) fn software(edition: &str, revision: u32) -> Vec<u8> {
    let mut hive = regf::HiveBuilder::new().unwrap();
    let version = r"Microsoft\Windows NT\CurrentVersion";
    hive.create_key(version).unwrap();
    for (name, value) in
        [("CurrentBuildNumber", "26100"), ("CurrentBuild", "26100"), ("EditionID", edition)]
    {
        hive.add_value_string(version, Some(name), value).unwrap();
    }
    for (name, value) in
        [("UBR", revision), ("CurrentMajorVersionNumber", 10), ("CurrentMinorVersionNumber", 0)]
    {
        hive.add_value_dword(version, Some(name), value).unwrap();
    }
    let packages = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";
    let foundation = format!(r"{packages}\Microsoft-Windows-Foundation~t~amd64~~10.0.26100.1");
    hive.create_key(&foundation).unwrap();
    hive.add_value_dword(&foundation, Some("CurrentState"), 112).unwrap();
    hive.build().unwrap()
}

pub(super) fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A tree like that of an image; two files are names of one.
fn tree(root: &Path, edition: &str, extra: &str) {
    let at = |path: &str| root.join(path);
    put(&at("Windows/System32/config/SOFTWARE"), &software(edition, 1742));
    put(&at("Windows/System32/kernel32.dll"), &program("10.0.26100.1742", b"kernel"));
    put(&at("Windows/System32/shell.dll"), &program("10.0.26100.1742", &[7; 50_000]));
    fs::create_dir_all(at("Windows/WinSxS/amd64_shell")).unwrap();
    fs::hard_link(at("Windows/System32/shell.dll"), at("Windows/WinSxS/amd64_shell/shell.dll"))
        .unwrap();
    let packages = "Windows/servicing/Packages";
    put(
        &at(&format!("{packages}/Microsoft-Windows-Foundation~t~amd64~~10.0.26100.1.mum")),
        b"<a/>",
    );
    put(&at(&format!("{packages}/odd name.mum")), b"<a/>");
    put(&at(&format!("Windows/{extra}.txt")), extra.as_bytes());
}

fn captured(root: &Path, wim: &Path, name: &str) {
    let into = if wim.exists() { Into::Existing } else { Into::New };
    let properties = [
        ("WINDOWS/ARCH", "9"),
        ("WINDOWS/LANGUAGES/LANGUAGE", "en-US"),
        ("WINDOWS/LANGUAGES/DEFAULT", "en-US"),
    ];
    let options = capture::Options {
        name: name.into(),
        into,
        properties: properties.map(|(path, value)| (path.into(), value.into())).into(),
        ..capture::Options::default()
    };
    capture::run(&[SourceTree::root(root.to_path_buf())], wim, &options, &Silent, &Cancel::new())
        .unwrap();
}

/// A WIM with one small image.
pub(super) fn small_wim(folder: &Path, wim: &Path, edition: &str, extra: &str) {
    let root = folder.join(format!("tree-{edition}-{extra}"));
    tree(&root, edition, extra);
    fs::create_dir_all(wim.parent().unwrap()).unwrap();
    captured(&root, wim, extra);
}

fn make_media(media: &Path) {
    let trees = media.with_extension("trees");
    let winre = trees.join("winre.wim");
    small_wim(&trees, &winre, "WindowsPE", "recovery");
    for edition in ["Core", "Professional"] {
        let root = trees.join(edition);
        tree(&root, edition, edition);
        fs::create_dir_all(root.join("Windows/System32/Recovery")).unwrap();
        fs::copy(&winre, root.join("Windows/System32/Recovery/Winre.wim")).unwrap();
        fs::create_dir_all(media.join("sources")).unwrap();
        captured(&root, &media.join("sources/install.wim"), edition);
    }
    put(
        &trees.join("tree-WindowsPE-setup/sources/setuphost.exe"),
        &program("10.0.26100.1742", b"host"),
    );
    for name in ["pe", "setup"] {
        small_wim(&trees, &media.join("sources/boot.wim"), "WindowsPE", name);
    }
    put(&media.join("setup.exe"), &program("10.0.26100.1742", b"media setup"));
    put(&media.join("sources/setuphost.exe"), &program("10.0.26100.1742", b"host"));
    put(
        &media.join("sources/setupcore.dll"),
        &program("10.0.26100.5000", b"newer than any update"),
    );
    put(&media.join("sources/lang.ini"), b"[x]\r\n");
    put(&media.join("sources/same.dll"), &program("10.0.26100.1742", b"same"));
}

/// A cabinet of Setup files: one new, one newer, one older and one the same.
pub(super) fn setup_update(bench: &Bench) -> PathBuf {
    let [host, core, new, same] = [
        program("10.0.26100.2100", b"newer host"),
        program("10.0.26100.2100", b"older core"),
        program("10.0.26100.2100", b"added"),
        program("10.0.26100.1742", b"same"),
    ];
    let bytes = written(
        cab::CompressionType::MsZip,
        &[
            &[("SetupHost.exe", &host), ("setupcore.dll", &core)],
            &[("en-us\\new.dll", &new), ("same.dll", &same)],
        ],
    );
    bench.file("windows11.0-kb5045000-x64.cab", bytes)
}

/// Where a [`EditingStack`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fail {
    Never,
    Stale,
    Mount,
    Update,
    NotApplicable,
    /// One kind of update is refused.
    Dotnet,
    CleanUp,
    Commit,
    Export,
    /// It says that it made a build which the image does not have.
    WrongBuild,
    /// It loses a file on the way.
    LosesFiles,
    /// What it exports is no WIM.
    Garbage,
}

/// A servicing stack that puts the manifest of each package into the image, a file, and the revision
/// of a cumulative update into the registry.
pub(super) struct EditingStack {
    pub(super) fail: Fail,
    pub(super) build: u32,
    mounted: Option<(PathBuf, u32)>,
    folder: tempfile::TempDir,
    edition: String,
    added: Vec<Identity>,
    revision: u32,
    pub(super) calls: Vec<String>,
}

impl EditingStack {
    pub(super) fn new(fail: Fail) -> Self {
        Self {
            fail,
            build: 26100,
            mounted: None,
            folder: tempfile::tempdir().unwrap(),
            edition: String::new(),
            added: Vec::new(),
            revision: 1742,
            calls: Vec::new(),
        }
    }

    fn fails(&self, fail: Fail, hresult: u32) -> Answer<()> {
        if self.fail == fail {
            return Err(Refusal { hresult, said: "as the test wants".into() });
        }
        Ok(())
    }

    fn overlay(&self) -> PathBuf {
        self.folder.path().join("overlay")
    }
}

impl Stack for EditingStack {
    fn name(&self) -> String {
        "the test's own".into()
    }

    fn build(&self) -> u32 {
        self.build
    }

    fn discard_stale(&mut self) -> Answer<()> {
        self.calls.push("discard stale".into());
        self.mounted = None;
        self.fails(Fail::Stale, 0xC142_0117)
    }

    fn mount(&mut self, wim: &Path, index: u32) -> Answer<()> {
        self.calls.push(format!("mount {index}"));
        assert!(self.mounted.is_none(), "something is mounted already");
        self.fails(Fail::Mount, 0xC142_0127)?;
        let open = crate::service::inventory::open_file(wim).unwrap();
        self.edition = open.facts()[index as usize - 1].edition.clone();
        let _ = fs::remove_dir_all(self.overlay());
        (self.added, self.revision) = (Vec::new(), 1742);
        self.mounted = Some((wim.to_path_buf(), index));
        Ok(())
    }

    fn add(&mut self, update: &TaskUpdate, file: &Path) -> Answer<Added> {
        self.calls.push(format!("add {}", update.called));
        self.fails(Fail::Update, 0x800F_0823)?;
        if update.kind == crate::service::update::Kind::Dotnet {
            self.fails(Fail::Dotnet, 0x800F_081F)?;
        }
        if self.fail == Fail::NotApplicable {
            return Ok(Added::NotApplicable);
        }
        if update.kind == crate::service::update::Kind::Driver {
            assert!(file.is_dir(), "a driver that was a folder comes as one: {}", file.display());
            let inf = fs::read_dir(file).unwrap().next().unwrap().unwrap().path();
            put(&self.overlay().join("Windows/INF/oem0.inf"), &fs::read(inf).unwrap());
            return Ok(Added::Installed);
        }
        let Opened::Container(container) = open_file(file).unwrap() else { panic!("no cabinet") };
        let members = container.members().unwrap();
        let mum = members.iter().find(|member| member.path == "update.mum").unwrap();
        let cancel = Cancel::new();
        let watch = Watch { progress: &Unwatched, cancel: &cancel };
        let bytes = container.read(mum, 1 << 20, watch).unwrap();
        let identity = crate::service::manifest::parse(&bytes).unwrap().identity;
        let host = crate::service::file_version::tests::program("10.0.26100.2033", b"serviced");
        put(&self.overlay().join("sources/setuphost.exe"), &host);
        let packages = self.overlay().join("Windows/servicing/Packages");
        put(&packages.join(format!("{identity}.mum")), &bytes);
        put(&self.overlay().join(format!("Windows/System32/{}.dll", update.id)), b"new");
        if identity.name == "Package_for_RollupFix" {
            self.revision = identity.version.build().unwrap().1;
        }
        self.added.push(identity);
        Ok(Added::Installed)
    }

    fn clean_up(&mut self) -> Answer<()> {
        self.calls.push("clean up".into());
        self.fails(Fail::CleanUp, 0x800F_0806)
    }

    fn installed(&mut self) -> Answer<(Vec<Identity>, String)> {
        let revision = if self.fail == Fail::WrongBuild { 9999 } else { self.revision };
        Ok((self.added.clone(), format!("26100.{revision}")))
    }

    fn commit(&mut self) -> Answer<()> {
        self.calls.push("commit".into());
        self.fails(Fail::Commit, 0x8007_00A1)?;
        let (wim, index) = self.mounted.take().expect("something is mounted");
        let hive = software(&self.edition, self.revision);
        put(&self.overlay().join("Windows/System32/config/SOFTWARE"), &hive);
        let mut commands = vec![engine::Command::Add {
            source: self.overlay(),
            destination: Vec::new(),
            options: engine::AddOptions::default(),
        }];
        if self.fail == Fail::LosesFiles {
            commands.push(engine::Command::Delete {
                path: b"Windows/System32/shell.dll".to_vec(),
                missing: engine::Missing::Ignore,
                directories: engine::Directories::Refuse,
            });
        }
        let open = crate::service::inventory::open_file(&wim).unwrap();
        let image = open.wim.image(index).unwrap();
        drop(open);
        engine::run(&wim, image, &commands, &Default::default(), &Silent, &Cancel::new()).unwrap();
        Ok(())
    }

    fn discard(&mut self) -> Answer<()> {
        self.calls.push("discard".into());
        self.mounted = None;
        Ok(())
    }

    fn export(&mut self, from: &Path, to: &Path) -> Answer<()> {
        self.calls.push("export".into());
        self.fails(Fail::Export, 0x8007_0070)?;
        if self.fail == Fail::Garbage {
            fs::write(to, "no WIM at all").unwrap();
            return Ok(());
        }
        fs::copy(from, to).unwrap();
        Ok(())
    }

    fn excerpts(&mut self) -> Vec<Excerpt> {
        vec![Excerpt { log: "dism.log".into(), text: self.calls.join("\n") }]
    }
}
