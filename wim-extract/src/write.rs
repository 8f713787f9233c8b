//! (module write)
