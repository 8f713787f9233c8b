//! (module resource)
