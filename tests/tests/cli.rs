//! What `wimx` prints, word for word: the cases of `cmd/*.trycmd`, run over the vectors.
//!
//! After a change that is meant, `TRYCMD=overwrite cargo test -p osupg-tests --test cli` writes the
//! new output into the cases.

use osupg_tests::bins;

#[test]
fn commands_print_what_their_cases_say() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("wimx", bins::wimx_path());
    cases.env("NO_COLOR", "1").env("COLUMNS", "100").env("LC_ALL", "C.UTF-8");
    cases.case("cmd/*.trycmd");
}
