//! The osupg command.

use std::process::ExitCode;

fn main() -> ExitCode {
    osupg::cli::main()
}
