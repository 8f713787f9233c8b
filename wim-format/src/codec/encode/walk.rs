//! Finding cheapest ways with the nodes ahead in the widest registers that there are.

use super::nodes::{Ahead, InMemory};
#[cfg(target_arch = "x86_64")]
use super::{registers::InRegisters, wide::InWideRegisters};
use crate::codec::cpu::Stage;

/// Goes along nodes and finds the cheapest way to each.
pub(crate) trait Walk {
    /// What it gives back.
    type Output;

    /// Does it. Has to be `#[inline(always)]`, as the `run` of a [`Stage`].
    fn walk(self, ahead: impl Ahead) -> Self::Output;
}

/// A walk as a stage.
#[derive(Debug)]
pub(crate) struct Walking<W>(pub(crate) W);

#[allow(unsafe_code)]
impl<W: Walk> Stage for Walking<W> {
    type Output = W::Output;

    #[cfg(target_arch = "x86_64")]
    const IS_WIDE: bool = true;

    #[inline(always)]
    fn run<const MODERN: bool>(self) -> W::Output {
        #[cfg(target_arch = "x86_64")]
        if MODERN {
            // SAFETY: `MODERN` runs only where AVX2 is.
            return self.0.walk(unsafe { InRegisters::new() });
        }
        self.0.walk(InMemory)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn run_wide(self) -> W::Output {
        // SAFETY: this runs only where AVX-512 F is.
        self.0.walk(unsafe { InWideRegisters::new() })
    }
}
