//! Every kind of update, as a cabinet of either compression; and what images say of themselves.

use super::*;
use crate::service::cabinet::tests::lzx_cabinet;

const SSU: &str = "Package_for_ServicingStack_1738~31bf3856ad364e35~amd64~~26100.1738.1.0";
const FEATURE: &str = "OpenSSH-Server-Package~31bf3856ad364e35~amd64~~10.0.26100.1";
const LANGUAGE: &str =
    "Microsoft-Windows-Client-LanguagePack-Package~31bf3856ad364e35~amd64~~10.0.26100.1";
const FONTS: &str = "WinPE-FontSupport-JA-JP-Package~31bf3856ad364e35~amd64~~10.0.26100.1";
const NET35: &str =
    "Microsoft-Windows-NetFx3-OnDemand-Package~31bf3856ad364e35~amd64~~10.0.26100.1";
const OTHER: &str = "Package_for_KB5012345~31bf3856ad364e35~amd64~~26100.1.1.0";

/// The kind of an update, the files of its cabinet, and what it goes into.
type Sample = (Kind, Vec<(&'static str, Vec<u8>)>, &'static [&'static str]);

/// One of each kind.
fn kinds() -> Vec<Sample> {
    let package = |identity: &str, kb: &str, release: &str, language: &str| {
        let said = manifest(identity, kb, &[])
            .replace("releaseType=\"Update\"", &format!("releaseType=\"{release}\""))
            .replacen("language=\"neutral\"", &format!("language=\"{language}\""), 1);
        vec![("update.mum", said.into_bytes()), ("payload.dll", vec![7; 4_000])]
    };
    let setup = crate::service::file_version::tests::program("10.0.26100.2100", &[0; 8_000]);
    let inf =
        "[Version]\r\nClass=Net\r\nDriverVer=06/21/2006,10.0.26100.1\r\n[M]\r\n%x%=y,NTamd64\r\n";
    let inf = format!("{inf}{}", "; a comment of a driver\r\n".repeat(50)).into_bytes();
    vec![
        (Kind::Cumulative, package(ROLLUP, "KB5044284", "Update", "neutral"), &["boot", "install"]),
        (
            Kind::ServicingStack,
            package(SSU, "KB5043113", "Update", "neutral"),
            &["winre", "boot", "install"],
        ),
        (Kind::Dotnet, package(DOTNET, "KB5044030", "Update", "neutral"), &["install"]),
        (Kind::SafeOs, package(SAFE_OS, "KB5044615", "Update", "neutral"), &["winre"]),
        (Kind::Setup, vec![("SetupHost.exe", setup)], &[]),
        (
            Kind::Driver,
            vec![("net.inf", inf), ("net.sys", vec![1; 9_000])],
            &["winre", "boot", "install"],
        ),
        (Kind::Feature, package(FEATURE, "KB5000001", "OnDemand Pack", "neutral"), &["install"]),
        (
            Kind::Language,
            package(LANGUAGE, "KB5000002", "Language Pack", "de-DE"),
            &["winre", "boot", "install"],
        ),
        (
            Kind::Language,
            package(FONTS, "KB5000003", "Feature Pack", "neutral"),
            &["winre", "boot"],
        ),
        (Kind::Dotnet, package(NET35, "KB5000004", "OnDemand Pack", "neutral"), &["install"]),
        (
            Kind::Other,
            package(OTHER, "KB5012345", "Hotfix", "neutral"),
            &["winre", "boot", "install"],
        ),
    ]
}

async fn each_kind_is_read_from_either_compression_and_goes_where_it_belongs(database: Database) {
    for lzx in [false, true] {
        let bench = Bench::new(database).await;
        bench.package().await;
        for (kind, files, targets) in kinds() {
            let files: Vec<(&str, &[u8])> =
                files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
            let number = bench.home.db.updates().await.unwrap().len();
            let bytes = match lzx {
                true => lzx_cabinet(&files),
                false => written(cab::CompressionType::MsZip, &[&files]),
            };
            let cabinet = bench.file(&format!("{number}.cab"), &bytes);
            // What another tool makes of it.
            let tested = Command::new("cabextract").arg("-t").arg(&cabinet).output();
            assert!(tested.expect("cabextract is there").status.success(), "{kind} {lzx}");
            let ids = bench.import(&[cabinet]).await;
            let update = bench.home.db.update(&ids[0]).await.unwrap();
            assert_eq!((update.facts.kind, lzx), (kind, lzx), "{update:?}");
            assert_eq!(update.facts.architecture, "x64", "{kind}");
            let language = if update.facts.kb == "KB5000002" { "de-DE" } else { "" };
            assert_eq!(update.facts.language, language, "{kind}");
            let request = json!({"package": "OSU00001", "recipe": {"updates": ids}});
            let plan = bench.json::<plan::Request>(request).await.unwrap();
            assert!(plan.problems.is_empty(), "{kind}: {:?}", plan.problems);
            let mut into: Vec<_> = plan
                .images
                .iter()
                .filter(|image| image.updates.iter().any(|update| update.state.is_to_run()))
                .map(|image| match image.role {
                    Role::Winre => "winre",
                    Role::Boot => "boot",
                    Role::Install => "install",
                })
                .collect();
            into.dedup();
            assert_eq!(into, targets, "{kind}");
            let overlaid = plan.steps.iter().any(|s| s.task == Some(26) && s.by == By::Native);
            assert_eq!(overlaid, kind == Kind::Setup, "{kind}");
        }
        // All at once, in Microsoft's order, each in the image at the end.
        let ids: Vec<String> =
            bench.home.db.updates().await.unwrap().into_iter().map(|update| update.id).collect();
        let request = json!({"package": "OSU00001", "recipe": {"updates": ids}});
        let plan = bench.json::<plan::Request>(request).await.unwrap();
        let install = plan.steps.iter().filter(|step| step.target == "install.wim");
        let tasks: Vec<_> = install.filter(|s| s.by == By::Dism).filter_map(|s| s.task).collect();
        assert_eq!(tasks, [18, 19, 20, 21, 23, 24]);
        let done = |target: &str| -> Vec<u8> {
            let of = plan.steps.iter().filter(|s| s.target == target && s.by == By::Dism);
            of.filter_map(|step| step.task).collect()
        };
        assert_eq!((done("winre.wim"), done("boot.wim")), (vec![1, 2, 4, 6], vec![9, 10, 12, 15]));
        assert!(plan.notes.iter().any(|note| note.contains("lang.ini stays as it is")));
        let mut all: Vec<_> = plan.steps.iter().filter_map(|step| step.task).collect();
        all.sort_unstable();
        assert_eq!(all, (1..=26).collect::<Vec<u8>>(), "Microsoft's tasks, each once");
    }
}

async fn actions_that_wait_keep_superseded_updates_from_being_removed(database: Database) {
    let bench = Bench::new(database).await;
    let wim = bench.media().join("sources/install.wim");
    let mut hive = regf::HiveBuilder::new().unwrap();
    hive.add_value_string("", Some("PendingXmlIdentifier"), "x").unwrap();
    let components = bench.file("COMPONENTS", hive.build().unwrap());
    let add = wim_extract::update::Command::Add {
        source: components,
        destination: b"Windows/System32/config/COMPONENTS".to_vec(),
        options: wim_extract::update::AddOptions::default(),
    };
    let open = inventory::open_file(&wim).unwrap();
    let image = open.wim.image(1).unwrap();
    drop(open);
    let options = wim_extract::update::Options::default();
    wim_extract::update::run(&wim, image, &[add], &options, &wim_extract::Silent, &bench.cancel)
        .unwrap();
    bench.add("Sample").await;
    let found = bench.json::<inventory::Request>(json!({"package": "OSU00001"})).await.unwrap();
    let install = found.wims.iter().find(|wim| wim.path == "sources/install.wim").unwrap();
    assert_eq!(install.images.iter().map(|image| image.pending).collect::<Vec<_>>(), [true, false]);
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let plan = async |keep: serde_json::Value| {
        let recipe = json!({"updates": ["KB5044284"], "superseded": "remove", "keep": keep});
        let request = json!({"package": "OSU00001", "recipe": recipe});
        bench.json::<plan::Request>(request).await.unwrap().problems
    };
    let problems = plan(json!(["Core"])).await;
    assert!(problems.iter().any(|why| why.contains("a clean-up would fail")), "{problems:?}");
    assert!(plan(json!(["Professional"])).await.is_empty());
    // With several images the choice is not there, and what to do about it is said.
    let problems = plan(json!([])).await;
    assert!(
        problems.iter().any(|why| why.contains("with one image") && why.contains("--keep")),
        "{problems:?}"
    );
}

async fn the_plan_says_what_stands_against_a_run(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let old = manifest(&ROLLUP.replace("2033", "1900"), "KB5041111", &[]);
    let files = [
        bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[])),
        bench.cabinet("old.cab", &old),
    ];
    bench.import(&files).await;
    let plan = async || {
        let recipe = json!({"updates": ["KB5044284", "KB5041111"]});
        let request = json!({"package": "OSU00001", "recipe": recipe});
        bench.json::<plan::Request>(request).await.unwrap()
    };
    let first = plan().await;
    assert!(first.problems.is_empty() && first.scratch > 0);
    assert!(first.notes.iter().any(|note| note.contains("no worker has ever asked")), "{first:?}");
    let install = first.images.iter().find(|image| image.role == Role::Install).unwrap();
    let older = install.updates.iter().find(|update| update.called.contains("KB5041111")).unwrap();
    assert_eq!(older.state, State::NotRequired);
    assert!(older.reason.contains("superseded by KB5044284"), "{}", older.reason);
    let mut stack = EditingStack::new(Fail::Never);
    stack.build = 22621;
    bench.work("old", &mut stack).await;
    let noted = plan().await.notes;
    assert!(noted.iter().any(|note| note.contains("DISM of build 26100 or later")), "{noted:?}");
    stack.build = 26100;
    bench.work("new", &mut stack).await;
    let noted = plan().await.notes;
    assert!(!noted.iter().any(|note| note.contains("DISM")), "{noted:?}");
    // Terms that nobody has accepted, with what to do about it.
    let edit = json!({"package": "OSU00001", "set": {"licence-required": true}});
    bench.json::<crate::package::edit::Request>(edit).await.unwrap();
    let problems = plan().await.problems;
    assert!(
        problems.iter().any(|why| why.contains("osupg package accept-licence")),
        "{problems:?}"
    );
    let error = run(&bench, json!({"updates": ["KB5044284"]})).await.unwrap_err();
    assert!(error.to_string().contains("licence of OSU00001 is not accepted"), "{error}");
    let accept = json!({"package": "OSU00001"});
    bench.json::<crate::package::edit::AcceptLicence>(accept).await.unwrap();
    assert!(plan().await.problems.is_empty());
}

async fn a_driver_of_one_file_comes_to_the_worker_as_a_folder(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let driver = bench.path("driver");
    put(&driver.join("net.inf"), b"[Version]\r\nClass=Net\r\n[M]\r\n%x%=y,NTamd64\r\n");
    let ids = bench.import(&[driver]).await;
    let waiting = run(&bench, json!({"updates": ids})).await.unwrap();
    bench.work("win", &mut EditingStack::new(Fail::Never)).await;
    let done = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!(done.state, RunState::Succeeded, "{}", done.reason);
    let wim = bench.wim("OSU00001", "install.wim").await;
    assert!(file_in(&wim, 2, "Windows/INF/oem0.inf").unwrap().starts_with(b"[Version]"));
}

async fn a_base_that_has_lost_something_is_refused_before_anything_runs(database: Database) {
    let bench = Bench::new(database).await;
    let package = bench.package().await;
    let entries = bench.home.db.entries(package.revision.key).await.unwrap();
    let lost = entries.iter().find(|entry| entry.path.is("setup.exe")).unwrap();
    let piece = lost.content.as_ref().unwrap().pieces[0];
    let file = bench.home.root().join("library").join(piece.id.location().as_ref());
    std::fs::remove_file(file).unwrap();
    let error = run(&bench, json!({"keep": ["Core"]})).await.unwrap_err();
    assert!(error.to_string().contains("setup.exe of the base revision 1 has lost"), "{error}");
    assert_eq!(history(&bench).await[0].state, RunState::Failed);
    assert_eq!(revision(&bench).await, 1);
    assert!(scratch_is_empty(&bench));
}

on_both!(
    each_kind_is_read_from_either_compression_and_goes_where_it_belongs,
    actions_that_wait_keep_superseded_updates_from_being_removed,
    the_plan_says_what_stands_against_a_run,
    a_driver_of_one_file_comes_to_the_worker_as_a_folder,
    a_base_that_has_lost_something_is_refused_before_anything_runs
);
