//! (module output)
