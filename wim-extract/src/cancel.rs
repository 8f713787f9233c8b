//! (module cancel)
