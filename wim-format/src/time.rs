//! (module time)
