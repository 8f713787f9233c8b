//! (module archive)
