//! Looks after the content library as a whole: checks it, repairs it, and takes away what nobody
//! uses.

pub mod check;
pub mod gc;
pub mod repair;
