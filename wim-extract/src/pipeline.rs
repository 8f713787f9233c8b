//! (module pipeline)
