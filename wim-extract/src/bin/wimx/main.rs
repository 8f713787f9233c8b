//! The command wimx.
fn main() {}
