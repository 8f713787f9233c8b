//! (module testing)
