use super::*;
use crate::service::inventory::{InstalledPackage, PackageState};
use crate::service::update::Facts;
use crate::time::Moment;

const STACK: &str = "Package_for_ServicingStack_1738~31bf3856ad364e35~amd64~~26100.1738.1.0";

fn image(installed: &[&str]) -> ImageInventory {
    let packages = installed.iter().map(|identity| InstalledPackage {
        identity: identity.parse().unwrap(),
        state: PackageState::Installed,
    });
    ImageInventory {
        index: 1,
        architecture: "x64".into(),
        build: 26100,
        revision: 1,
        from_registry: true,
        packages: packages.collect(),
        ..ImageInventory::default()
    }
}

fn update(id: &str, kind: Kind, identity: &str) -> Update {
    let identity: Option<Identity> = identity.parse().ok();
    let version = identity.as_ref().map_or_else(Default::default, |identity| identity.version);
    Update {
        id: id.into(),
        facts: Facts {
            kb: format!("KB500000{}", id.len()),
            title: id.into(),
            kind,
            architecture: "x64".into(),
            language: String::new(),
            identity,
            contains: Vec::new(),
            version,
            builds: vec![26100],
            checkpoints: Vec::new(),
            servicing_stack: None,
            online_only: String::new(),
        },
        file: String::new(),
        size: 1,
        sha256: String::new(),
        files: 1,
        imported_at: Moment(0),
    }
}

fn rollup(id: &str, revision: u32) -> Update {
    let identity = format!("Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.{revision}.1.5");
    update(id, Kind::Cumulative, &identity)
}

#[test]
fn every_state_has_its_reason() {
    let image = image(&[STACK]);
    let state = |update: &Update, role| {
        let assessment = assess(&image, role, update);
        assert!(!assessment.reason.is_empty());
        (assessment.state, assessment.reason)
    };
    let new = rollup("new", 2033);
    assert_eq!(state(&new, Role::Install).0, State::Applicable);
    assert_eq!(state(&new, Role::Boot).0, State::Applicable);
    let (not, why) = state(&new, Role::Winre);
    assert!(not == State::NotRequired && why.contains("Safe OS"), "{why}");
    let mut arm = new.clone();
    arm.facts.architecture = "arm64".into();
    assert!(state(&arm, Role::Install).1.contains("it is for arm64, the image is x64"));
    let mut other = new.clone();
    other.facts.builds = vec![22621];
    assert!(state(&other, Role::Install).1.contains("build 22621"));
    let driver = update("driver", Kind::Driver, "");
    assert_eq!(state(&driver, Role::Install).0, State::InstalledCheckNotSupported);
    let mut vague = update("vague", Kind::Other, "Package_for_KB1~t~amd64~~1.0.0.0");
    vague.facts.builds.clear();
    assert_eq!(state(&vague, Role::Install).0, State::ApplicabilityNotSupported);
    let mut online = new.clone();
    online.facts.online_only = "it needs a running Windows".into();
    assert_eq!(
        state(&online, Role::Install),
        (State::NotRequired, online.facts.online_only.clone())
    );
    let nobody = ImageInventory::default();
    assert_eq!(assess(&nobody, Role::Install, &new).state, State::Unknown);
}

#[test]
fn what_is_installed_or_older_is_known() {
    let old = rollup("old", 2000);
    let new = rollup("new", 2033);
    let image = image(&[&new.facts.identity.as_ref().unwrap().to_string()]);
    assert_eq!(assess(&image, Role::Install, &new).state, State::Installed);
    let older = assess(&image, Role::Install, &old);
    assert!(older.state == State::NotRequired && older.reason.contains("newer"), "{older:?}");
    let all = [old.clone(), new.clone(), rollup("between", 2010)];
    assert_eq!(superseded_by(&old, &all).map(|update| update.id.as_str()), Some("new"));
    assert!(superseded_by(&new, &all).is_none());
}

#[test]
fn a_chain_of_checkpoints_is_completed_in_order() {
    let (first, mut second, mut last) = (rollup("a", 1742), rollup("b", 2033), rollup("c", 3000));
    second.facts.checkpoints = vec![first.facts.identity.clone().unwrap()];
    last.facts.checkpoints = vec![second.facts.identity.clone().unwrap()];
    let dotnet = update("net", Kind::Dotnet, "Package_for_DotNetRollup_481~t~amd64~~10.0.9277.2");
    let imported = [last.clone(), dotnet.clone(), second.clone(), first.clone()];
    let chosen = [dotnet.clone(), last.clone()];
    let ordered = order(&image(&[STACK]), &chosen, &imported);
    let ids: Vec<_> = ordered.updates.iter().map(|update| update.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "net"]);
    assert_eq!((ordered.added.len(), ordered.missing.len()), (2, 0));

    // The image has the first already, as a later version of the same package.
    let installed = image(&["Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.1800.1.5"]);
    let ordered = order(&installed, &[last.clone()], &imported);
    let ids: Vec<_> = ordered.updates.iter().map(|update| update.id.as_str()).collect();
    assert_eq!(ids, ["b", "c"]);

    let ordered = order(&image(&[]), &[last], &[]);
    assert_eq!(ordered.missing.len(), 1);
    assert!(ordered.missing[0].contains("Package_for_RollupFix 26100.2033.1.5"), "{ordered:?}");
}

#[test]
fn a_servicing_stack_is_brought_along() {
    let mut new = rollup("new", 2033);
    new.facts.servicing_stack = "10.0.26100.1738".parse().ok();
    let stack = update("stack", Kind::ServicingStack, STACK);
    let ordered = order(&image(&[]), std::slice::from_ref(&new), std::slice::from_ref(&stack));
    let ids: Vec<_> = ordered.updates.iter().map(|update| update.id.as_str()).collect();
    assert_eq!(ids, ["stack", "new"]);
    assert!(order(&image(&[STACK]), std::slice::from_ref(&new), &[]).missing.is_empty());
    assert_eq!(order(&image(&[]), std::slice::from_ref(&new), &[]).missing.len(), 1);
    // A .msu that holds both takes nothing else.
    new.facts.contains = vec![STACK.parse().unwrap()];
    assert!(order(&image(&[]), &[new], &[]).missing.is_empty());
}
