//! (module error)
