//! (module integrity)
