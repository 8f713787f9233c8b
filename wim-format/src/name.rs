//! (module name)
