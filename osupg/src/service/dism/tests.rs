use super::*;
use crate::service::stack::When;

#[test]
fn command_lines_are_those_of_dism() {
    let (wim, mount) = (Path::new("/w/input.wim"), Path::new("/w/mount"));
    let line = |arguments: Vec<String>| arguments.join(" ");
    assert_eq!(
        line(arguments::mount(wim, 2, mount)),
        "/Mount-Image /ImageFile:/w/input.wim /Index:2 /MountDir:/w/mount"
    );
    let package = Path::new("/w/kb.msu");
    assert_eq!(
        line(arguments::add(mount, Kind::Cumulative, package)),
        "/Image:/w/mount /Add-Package /PackagePath:/w/kb.msu"
    );
    assert_eq!(
        line(arguments::add(mount, Kind::Driver, Path::new("/w/net"))),
        "/Image:/w/mount /Add-Driver /Driver:/w/net /Recurse"
    );
    assert_eq!(
        line(arguments::clean_up(mount)),
        "/Image:/w/mount /Cleanup-Image /StartComponentCleanup /ResetBase"
    );
    assert_eq!(
        line(arguments::unmount(mount, End::Commit)),
        "/Unmount-Image /MountDir:/w/mount /Commit"
    );
    assert_eq!(
        line(arguments::unmount(mount, End::Discard)),
        "/Unmount-Image /MountDir:/w/mount /Discard"
    );
    assert_eq!(
        line(arguments::export(wim, 1, Path::new("/w/output.wim"))),
        "/Export-Image /SourceImageFile:/w/input.wim /SourceIndex:1 /DestinationImageFile:/w/output.wim"
    );
}

#[test]
fn errors_are_read_from_what_dism_prints() {
    assert_eq!(hresult("\nError: 0x800f081e\n\nThe specified package", Some(-1)), 0x800F_081E);
    assert_eq!(hresult("Error: 50\n", Some(50)), 0x8007_0032);
    assert_eq!(hresult("", Some(0x800F_0823_u32.cast_signed())), 0x800F_0823);
}

const LISTING: &str = "
Deployment Image Servicing and Management tool
Version: 10.0.26100.1

Image Version: 10.0.26100.2033

Packages listing:

Package Identity : Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.2033.1.5
State : Install Pending
Release Type : Update

Package Identity : Microsoft-Windows-Old~31bf3856ad364e35~amd64~~10.0.26100.1
State : Superseded
";

/// A program in place of DISM, so that all but Windows itself is real.
#[test]
fn a_program_that_answers_like_dism_is_driven_through_all_steps() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let listing = folder.path().join("listing");
    std::fs::write(&listing, LISTING).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {0}/calls\ncase \"$*\" in\n*'/?'*) echo 'Version: 10.0.26100.1';;\n\
         *Get-Packages*) cat {0}/listing;;\n*Get-ImageInfo*) printf 'Index : 1\\nIndex : 2\\n';;\n\
         *other.msu*) printf 'Error: 0x800f081e\\n'; exit 30;;\n\
         *broken.msu*) printf 'Error: 0x800f0823\\nIt needs more\\n'; exit 35;;\nesac\n",
        folder.path().display()
    );
    let source = folder.path().join("source");
    std::fs::write(&source, script).unwrap();
    osupg_tests::child::install(&source, &program);
    let mut dism = Dism::open(&program, folder.path()).unwrap();
    assert_eq!((dism.build(), dism.name().as_str()), (26100, "DISM 10.0.26100.1"));
    dism.discard_stale().unwrap();
    dism.mount(Path::new("/w.wim"), 1).unwrap();
    let update = |file: &str| TaskUpdate {
        id: "UPD00001".into(),
        called: "KB1".into(),
        sha256: String::new(),
        file: file.into(),
        kind: Kind::Cumulative,
        when: When::BeforeCleanUp,
    };
    let mut add = |file: &str| dism.add(&update(file), Path::new(file));
    assert_eq!(add("good.msu"), Ok(Added::Installed));
    assert_eq!(add("other.msu"), Ok(Added::NotApplicable));
    assert_eq!(add("broken.msu").unwrap_err().hresult, 0x800F_0823);
    let (packages, build) = dism.installed().unwrap();
    assert_eq!((packages.len(), build.as_str()), (1, "26100.2033"));
    dism.commit().unwrap();
    dism.export(Path::new("/w.wim"), Path::new("/new.wim")).unwrap();
    let calls = std::fs::read_to_string(folder.path().join("calls")).unwrap();
    assert_eq!(calls.matches("/Export-Image").count(), 2, "{calls}");
}
