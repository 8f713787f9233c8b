//! Which kernels this processor has, and from how many streams on each one pays.

use super::BLOCK;
#[cfg(target_arch = "x86_64")]
use super::lanes::Kernel;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx512, ShaNi};
use std::sync::OnceLock;

/// The five words of SHA-1's state.
pub(super) type State = [u32; 5];

/// State of an empty stream, FIPS 180-4 §5.3.1.
pub(super) const START: State = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];

/// Compresses blocks of one stream.
#[inline]
pub(super) fn compress(state: &mut State, blocks: &[[u8; BLOCK]]) {
    if !blocks.is_empty() {
        sha1::block_api::compress(state, blocks);
    }
}

/// A multi-buffer kernel and the least number of busy lanes that it pays for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wide<K> {
    pub(super) kernel: K,
    pub(super) worth: usize,
}

/// The kernels in use, besides plain hashing of one stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Kernels {
    #[cfg(target_arch = "x86_64")]
    pub(super) avx512: Option<Wide<Avx512>>,
    #[cfg(target_arch = "x86_64")]
    pub(super) sha_ni_4: Option<Wide<ShaNi>>,
    #[cfg(target_arch = "x86_64")]
    pub(super) sha_ni_2: Option<Wide<ShaNi>>,
}

/// The widest instruction set that `WIM_EXTRACT_CPU` allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    Scalar,
    ShaNi,
    Avx512,
}

impl Limit {
    fn from_environment() -> Self {
        match std::env::var("WIM_EXTRACT_CPU").as_deref() {
            Ok("scalar") => Self::Scalar,
            Ok("sha-ni") => Self::ShaNi,
            _ => Self::Avx512,
        }
    }
}

impl Kernels {
    /// The kernels of this process, chosen on first use.
    pub(super) fn get() -> &'static Self {
        static KERNELS: OnceLock<Kernels> = OnceLock::new();
        KERNELS.get_or_init(|| Self::choose(Limit::from_environment()))
    }

    /// Streams that the widest kernel takes.
    pub(super) fn lanes(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        {
            if self.avx512.is_some() {
                return 16;
            } else if self.sha_ni_4.is_some() {
                return 4;
            } else if self.sha_ni_2.is_some() {
                return 2;
            }
        }
        1
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn choose(_: Limit) -> Self {
        Self {}
    }

    /// Times every kernel for some microseconds. How far SHA instructions of several streams
    /// overlap differs widely: four streams give 2.4 times the speed of one on Zen 4, but less
    /// than one on Ice Lake.
    #[cfg(target_arch = "x86_64")]
    fn choose(limit: Limit) -> Self {
        let mut kernels = Self::default();
        if limit == Limit::Scalar {
            return kernels;
        }
        let mut lane_cost = cost(|blocks| compress(&mut START.clone(), blocks));
        if let Some(kernel) = ShaNi::detect() {
            kernels.sha_ni_2 = Self::wide::<2, _>(kernel, &mut lane_cost);
            kernels.sha_ni_4 = Self::wide::<4, _>(kernel, &mut lane_cost);
        }
        if limit >= Limit::Avx512
            && let Some(kernel) = Avx512::detect()
        {
            kernels.avx512 = Self::wide::<16, _>(kernel, &mut lane_cost);
        }
        kernels
    }

    /// Keeps `kernel` if it beats the cost of a lane in narrower kernels, which it then lowers.
    #[cfg(target_arch = "x86_64")]
    fn wide<const W: usize, K: Kernel<W>>(kernel: K, lane_cost: &mut f64) -> Option<Wide<K>> {
        let cost = cost(|blocks| kernel.advance(&mut [[0; W]; 5], [blocks; W]));
        let worth = (cost / *lane_cost) as usize + 1;
        *lane_cost = lane_cost.min(cost / W as f64);
        (worth <= W).then_some(Wide { kernel, worth })
    }
}

/// Time that `hash` takes for some blocks, without disturbances.
#[cfg(target_arch = "x86_64")]
fn cost(mut hash: impl FnMut(&[[u8; BLOCK]])) -> f64 {
    let blocks = std::hint::black_box([[0x5A; BLOCK]; 32]);
    let time = |_| {
        let start = std::time::Instant::now();
        hash(&blocks);
        start.elapsed()
    };
    (0..8).map(time).min().unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
impl Kernels {
    /// Each kernel of this machine by itself, and all together, however many lanes are busy.
    pub(super) fn every_choice() -> Vec<Self> {
        let sha_ni_2 = ShaNi::detect().map(|kernel| Wide { kernel, worth: 1 });
        let sha_ni_4 = ShaNi::detect().map(|kernel| Wide { kernel, worth: 1 });
        let avx512 = Avx512::detect().map(|kernel| Wide { kernel, worth: 1 });
        let plain = Self::default();
        let cascade = Self {
            sha_ni_2: sha_ni_2.map(|wide| Wide { worth: 2, ..wide }),
            sha_ni_4: sha_ni_4.map(|wide| Wide { worth: 3, ..wide }),
            avx512: avx512.map(|wide| Wide { worth: 5, ..wide }),
        };
        vec![
            plain.clone(),
            Self { sha_ni_2, ..plain.clone() },
            Self { sha_ni_4, ..plain.clone() },
            Self { avx512, ..plain },
            cascade,
        ]
    }
}
