//! (module apply)
