//! Media whose editions are in an ESD, or in parts.

use std::fs;
use std::path::Path;

use super::super::install::Form;
use super::*;

fn wimlib(arguments: &[&str]) {
    let done = Command::new("wimlib-imagex").args(arguments).output();
    let done = done.expect("wimlib-imagex is there");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What the current revision has in `sources`.
async fn sources(bench: &Bench) -> Vec<String> {
    let package = bench.home.db.package("OSU00001").await.unwrap();
    let entries = bench.home.db.entries(package.revision.key).await.unwrap();
    let paths = entries.iter().map(|entry| entry.path.as_str().to_string());
    paths.filter(|path| path.starts_with("sources/install")).collect()
}

async fn an_esd_is_serviced_as_a_wim_and_written_back_as_an_esd(database: Database) {
    let bench = Bench::new(database).await;
    let sources_folder = bench.media().join("sources");
    let (wim, esd) = (sources_folder.join("install.wim"), sources_folder.join("install.esd"));
    wimlib(&["export", text(&wim), "all", text(&esd), "--solid", "--compress=LZMS"]);
    fs::remove_file(&wim).unwrap();
    bench.add("Sample").await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let note = bench.file("note.txt", b"added by servicing");
    let add = json!([{"to": "install.wim", "path": "Windows/note.txt", "source": note}]);
    let recipe = json!({"updates": ["KB5044284"], "add": add});
    let request = json!({"package": "OSU00001", "recipe": recipe});
    let plan = bench.json::<plan::Request>(request).await.unwrap();
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    let titles: Vec<_> = plan.steps.iter().map(|step| step.title.as_str()).collect();
    assert!(titles.iter().any(|title| title.contains("make one WIM of install.esd")), "{titles:?}");
    assert!(titles.contains(&"write install.esd anew, in solid resources"), "{titles:?}");

    let waiting = run(&bench, recipe.clone()).await.unwrap();
    assert_eq!(
        (waiting.state, waiting.revision),
        (RunState::Waiting, Some(2)),
        "{}",
        waiting.reason
    );
    bench.work("win", &mut EditingStack::new(Fail::Never)).await;
    let done = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!((done.state, done.revision), (RunState::Succeeded, Some(3)), "{}", done.reason);
    assert_eq!(sources(&bench).await, ["sources/install.esd"]);
    let esd = bench.wim("OSU00001", "install.esd").await;
    wimlib_verifies(&esd);
    let open = inventory::open_file(&esd).unwrap();
    assert!(!open.wim.parts()[0].blobs.solid.is_empty() && open.wim.image_count() == 2);
    assert_eq!(file_in(&esd, 2, "Windows/note.txt").unwrap(), b"added by servicing");
    let found = bench.json::<inventory::Request>(json!({"package": "OSU00001"})).await.unwrap();
    let install = found.wims.iter().find(|wim| wim.path == "sources/install.esd").unwrap();
    assert!(install.images.iter().all(|image| image.version() == "26100.2033"), "{install:?}");

    // The same again gives the same bytes, and so no other revision.
    let again = run(&bench, recipe).await.unwrap();
    assert_eq!((again.state, again.revision), (RunState::Succeeded, None), "{}", again.reason);
    assert!(scratch_is_empty(&bench));
}

async fn parts_are_joined_serviced_and_split_again(database: Database) {
    let bench = Bench::new(database).await;
    let sources_folder = bench.media().join("sources");
    let (wim, swm) = (sources_folder.join("install.wim"), sources_folder.join("install.swm"));
    // What cannot be compressed, so that there are several parts.
    let noise: Vec<u8> = (0..50_000_u32)
        .flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes().first_chunk::<8>().unwrap())
        .collect();
    for (index, half) in ["1", "2"].into_iter().zip(noise.chunks(200_000)) {
        let file = bench.file(&format!("noise-{index}"), half);
        let add = format!("add '{}' /Windows/noise.bin", text(&file));
        wimlib(&["update", text(&wim), index, &format!("--command={add}")]);
    }
    wimlib(&["split", text(&wim), text(&swm), "0.1"]);
    fs::remove_file(&wim).unwrap();
    assert!(sources_folder.join("install2.swm").exists(), "there are several parts");
    bench.add("Sample").await;
    let lcu = bench.cabinet("lcu.cab", &manifest(ROLLUP, "KB5044284", &[]));
    bench.import(&[lcu]).await;
    let recipe = json!({"updates": ["KB5044284"], "keep": ["Professional"]});
    let request = json!({"package": "OSU00001", "recipe": recipe});
    let plan = bench.json::<plan::Request>(request).await.unwrap();
    let titles: Vec<_> = plan.steps.iter().map(|step| step.title.as_str()).collect();
    assert!(titles.contains(&"join the parts of install.swm"), "{titles:?}");
    assert!(titles.contains(&"split it into the parts of install.swm"), "{titles:?}");

    let waiting = run(&bench, recipe).await.unwrap();
    bench.work("win", &mut EditingStack::new(Fail::Never)).await;
    let done = bench.json::<history::ShowRequest>(json!({"run": waiting.id})).await.unwrap();
    assert_eq!(done.state, RunState::Succeeded, "{}", done.reason);
    let parts = sources(&bench).await;
    assert!(parts.len() > 1 && parts.iter().all(|part| part.ends_with(".swm")), "{parts:?}");
    let folder = bench.path("joined");
    fs::create_dir(&folder).unwrap();
    for part in &parts {
        let bytes = bench.media_file("OSU00001", part).await.unwrap();
        fs::write(folder.join(part.rsplit('/').next().unwrap()), bytes).unwrap();
    }
    let joined = folder.join("install.wim");
    let names: Vec<_> =
        parts.iter().map(|part| folder.join(part.rsplit('/').next().unwrap())).collect();
    let mut arguments = vec!["join", text(&joined)];
    arguments.extend(names.iter().map(|name| text(name)));
    wimlib(&arguments);
    wimlib_verifies(&joined);
    assert!(file_in(&joined, 1, "Windows/Professional.txt").is_some());
    assert!(file_in(&joined, 1, &format!("Windows/servicing/Packages/{ROLLUP}.mum")).is_some());
    let package = bench.home.db.package("OSU00001").await.unwrap();
    assert_eq!(package.revision.editions, "Professional");
    let entries = bench.home.db.entries(package.revision.key).await.unwrap();
    let first = entries.iter().find(|entry| entry.path.is("sources/install.swm")).unwrap();
    let form = tokio::task::block_in_place(|| Form::of(&bench.home, &entries, first)).unwrap();
    assert!(matches!(form, Form::Split(_)));

    // A set that is not whole is refused before anything runs.
    let remove = json!([{"from": "media", "path": "sources/install2.swm"}]);
    let broken = run(&bench, json!({"remove": remove})).await;
    let revision = match broken {
        Ok(run) => run.revision.unwrap(),
        Err(error) => panic!("{error}"),
    };
    let request = json!({"package": format!("OSU00001@{revision}"), "recipe": {"keep": ["Core"]}});
    let why = match bench.json::<plan::Request>(request).await {
        Ok(plan) => plan.problems.join("; "),
        Err(error) => error.to_string(),
    };
    assert!(why.contains("parts") && why.contains("install2.swm"), "{why}");
    assert!(scratch_is_empty(&bench));
}

async fn packages_for_clean_installations_are_named_and_not_put_in(database: Database) {
    let bench = Bench::new(database).await;
    bench.package().await;
    let driver = bench.path("driver");
    put(&driver.join("net.inf"), b"[Version]\r\nClass=Net\r\n");
    let files = [
        bench.cabinet("lcu & more.cab", &manifest(ROLLUP, "KB5044284", &[])),
        bench.cabinet("ndp.cab", &manifest(DOTNET, "KB5044030", &[])),
        driver,
    ];
    bench.import(&files).await;
    let recipe = json!({"unattended": ["KB5044030", "KB5044284"]});
    let request = json!({"package": "OSU00001", "recipe": recipe});
    let plan = bench.json::<plan::Request>(request).await.unwrap();
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    let step = plan.steps.iter().find(|step| step.title.contains("clean installations")).unwrap();
    assert_eq!((step.by, step.updates.len()), (By::Native, 2), "{step:?}");
    assert!(plan.steps.iter().all(|step| step.by != By::Dism), "nothing is put in");

    let done = run(&bench, recipe).await.unwrap();
    assert_eq!((done.state, done.revision), (RunState::Succeeded, Some(2)), "{}", done.reason);
    let answer = bench.media_file("OSU00001", "autounattend.xml").await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let lcu = answer.find(r"%configsetroot%\servicing\UPD00001\lcu &amp; more.cab").unwrap();
    let ndp = answer.find(r"%configsetroot%\servicing\UPD00002\ndp.cab").unwrap();
    assert!(lcu < ndp && answer.contains("<UseConfigurationSet>true<"), "{answer}");
    assert!(
        answer.contains("name=\"Package_for_RollupFix\" version=\"26100.2033.1.5\""),
        "{answer}"
    );
    let placed = bench.media_file("OSU00001", "servicing/UPD00001/lcu & more.cab").await.unwrap();
    assert_eq!(placed, fs::read(&files[0]).unwrap());
    let found = bench.json::<inventory::Request>(json!({"package": "OSU00001"})).await.unwrap();
    assert!(found.wims.iter().flat_map(|wim| &wim.images).all(|image| image.revision == 1742));
    // Another reader is the judge of its form.
    let place = bench.file("answer.xml", &answer);
    let script = "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])";
    let judged = Command::new("python3").args(["-c", script]).arg(&place).output();
    let judged = judged.expect("python3 is there");
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));

    for (recipe, why) in [
        (json!({"unattended": ["UPD00003"]}), "is no package in a .cab"),
        (json!({"unattended": ["UPD00001"], "updates": ["UPD00001"]}), "one of them is enough"),
        (json!({"unattended": ["UPD00001"], "place": ["UPD00001"]}), "one of them is enough"),
    ] {
        let error = run(&bench, recipe).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let given = bench.file(
        "given.xml",
        b"<unattend><settings pass='windowsPE'><component/></settings></unattend>",
    );
    let recipe = json!({"unattended": ["UPD00001"], "answer_file": given});
    let error = run(&bench, recipe).await.unwrap_err();
    assert!(error.to_string().contains("UseConfigurationSet"), "{error}");
    assert_eq!(revision(&bench).await, 2);
}

on_both!(
    an_esd_is_serviced_as_a_wim_and_written_back_as_an_esd,
    parts_are_joined_serviced_and_split_again,
    packages_for_clean_installations_are_named_and_not_put_in
);
