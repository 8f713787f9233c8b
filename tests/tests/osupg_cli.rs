//! What `osupg` prints, word for word.

use std::fs;

use osupg_tests::bins;

/// The cases of `cmd/osupg/*.trycmd`: help texts, and the commands of a small site one after the
/// other, in a scratch folder. Times and digests are left open there (`[..]`). After a change that is
/// meant, `TRYCMD=overwrite cargo test -p osupg-tests --test osupg_cli` writes the new output into
/// them; what differs from run to run has to be left open again.
#[test]
fn commands_print_what_their_cases_say() {
    // Cases inherit what is set here, and nothing takes it from them.
    for name in bins::OF_A_SERVICE {
        assert!(std::env::var_os(name).is_none(), "unset {name}: these cases use no service");
    }
    let scratch = tempfile::TempDir::new().expect("a scratch folder");
    let home = scratch.path().join("home");
    // Where it is decides nothing: no configuration of this machine is read.
    let config = scratch.path().join("osupg.toml");
    fs::write(&config, "").expect("a file can be written");
    let text = |path: &std::path::Path| path.to_str().expect("scratch paths are text").to_string();
    let cases = trycmd::TestCases::new();
    cases.register_bin("osupg", bins::osupg_path());
    cases.env("NO_COLOR", "1").env("COLUMNS", "100").env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    cases.env("OSUPG_HOME", text(&home)).env("OSUPG_CONFIG", text(&config));
    cases.env("OSUPG_SITE_CODE", "OSU");
    cases.case(concat!(env!("CARGO_MANIFEST_DIR"), "/cmd/osupg/*.trycmd"));
    // Commands run where this process is; it has no other test.
    std::env::set_current_dir(scratch.path()).expect("the folder is there");
    cases.run();
}
