//! `wimx mount`, `mountrw` and `unmount`: not to be had; scripts are told so as by a wimlib-imagex that
//! is built without FUSE.

use std::ffi::OsString;

use clap::Args;
use wim_extract::Error;

use crate::failure::Failure;

/// Mount an image (not supported; `apply` and `extract` bring files to a directory)
#[derive(Debug, Args)]
pub(crate) struct MountArgs {
    /// Whatever wimlib-imagex takes here
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _operands: Vec<OsString>,
}

/// Refuses the command.
pub(crate) fn run() -> Result<(), Failure> {
    let message = "mounting is not supported; `wimx apply` brings an image to a directory, `wimx \
                   extract` single files, and `wimx update` changes an image";
    Err(Error::Unsupported(message.into()).into())
}
