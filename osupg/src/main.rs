//! The osupg command.
fn main() {}
