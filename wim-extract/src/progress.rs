//! (module progress)
