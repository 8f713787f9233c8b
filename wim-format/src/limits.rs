//! (module limits)
