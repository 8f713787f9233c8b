//! (module beneath)
