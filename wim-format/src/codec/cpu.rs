//! Which instructions the codecs may use.
//!
//! Their stages are written once, as plain Rust, and compiled twice: for any processor, and for
//! those with AVX2 and BMI, where shifts by variable counts and population counts are one instruction
//! and loops over records become vectors. Those that gain by AVX-512 have a third form. Nothing but speed
//! depends on the choice.

/// The instructions that a codec may use. A value is proof that the processor has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu(Level);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Modern,
    /// And AVX-512, for the stages that have a use for it.
    #[cfg(target_arch = "x86_64")]
    Wide,
}

/// One stage of decoding or encoding, to be compiled for a level. `run` has to be `#[inline(always)]`, or it
/// is compiled for any processor only.
pub(crate) trait Stage {
    /// What the stage gives back.
    type Output;

    /// Does the work; `MODERN` says that it is compiled for AVX2 and BMI, and runs where they are.
    fn run<const MODERN: bool>(self) -> Self::Output;

    /// Whether there is another way to do it with AVX-512.
    #[cfg(target_arch = "x86_64")]
    const IS_WIDE: bool = false;

    /// Does the work where AVX-512 F is, and all that `MODERN` says.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn run_wide(self) -> Self::Output
    where
        Self: Sized,
    {
        self.run::<true>()
    }
}

impl Cpu {
    /// Whatever every processor has that the program was compiled for.
    pub const PORTABLE: Self = Self(Level::Portable);

    /// The best that this processor has, unless the environment variable `WIM_EXTRACT_CPU` is
    /// `scalar`: then [`PORTABLE`](Self::PORTABLE).
    #[must_use]
    pub fn detect() -> Self {
        static CHOICE: std::sync::OnceLock<Cpu> = std::sync::OnceLock::new();
        *CHOICE.get_or_init(|| {
            let scalar = std::env::var_os("WIM_EXTRACT_CPU").is_some_and(|limit| limit == "scalar");
            if scalar { Self::PORTABLE } else { Self::best() }
        })
    }

    /// Every choice that this processor has, the portable one first and the best one last.
    #[must_use]
    pub fn choices() -> Vec<Self> {
        let mut choices = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
        {
            choices.push(Self(Level::Modern));
            if is_x86_feature_detected!("avx512f") {
                choices.push(Self(Level::Wide));
            }
        }
        choices
    }

    fn best() -> Self {
        Self::choices().pop().unwrap_or(Self::PORTABLE)
    }

    /// Runs a stage as it is compiled for this choice.
    #[allow(unsafe_code)]
    pub(crate) fn run<S: Stage>(self, stage: S) -> S::Output {
        match self.0 {
            Level::Portable => portable(stage),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `choices` alone makes this level, having found all features of the function.
            Level::Wide if S::IS_WIDE => unsafe { wide(stage) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Level::Modern | Level::Wide => unsafe { modern(stage) },
        }
    }
}

// Each stage stays a function of its own, with the registers to itself.

#[inline(never)]
fn portable<S: Stage>(stage: S) -> S::Output {
    stage.run::<false>()
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn modern<S: Stage>(stage: S) -> S::Output {
    stage.run::<true>()
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx512f,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn wide<S: Stage>(stage: S) -> S::Output {
    stage.run_wide()
}

/// Asks for the cache line of item `at` to be loaded; nothing more happens, wherever that is.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(items: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and any address may be prefetched.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(items.as_ptr().wrapping_add(at).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, at);
}
