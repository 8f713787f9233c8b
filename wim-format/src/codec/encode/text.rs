//! The chunk being encoded, in a buffer whose size the compiler knows.
//!
//! Positions are masked into the buffer, so that reading it takes neither a bounds check nor
//! `unsafe`. Behind the chunk lie zeros, so that what is read beyond its end is always the same.
//! Before it lies one byte: what a link stores, a position plus one, is its place in the buffer.

use std::fmt::Debug;

/// Where the chunk starts in the buffer.
const START: usize = 1;
/// Bytes behind the largest chunk that may be read.
const PAD: usize = MAX_AHEAD + 64;
/// The furthest behind a link that is read.
const MAX_AHEAD: usize = 511;

/// A position as the finders store it, plus one; zero says that there is none.
pub(crate) trait Link: Copy + Debug + Default + Send + Sync + 'static {
    /// Stores `position`. The last position of the largest chunk becomes none: no match starts so
    /// close to the end.
    fn to(position: usize) -> Self;
    /// The position stored.
    fn get(self) -> Option<usize>;
    /// The position stored, plus one, or zero.
    fn place(self) -> usize;
}

macro_rules! link {
    ($integer:ty) => {
        impl Link for $integer {
            #[inline(always)]
            fn to(position: usize) -> Self {
                (position as $integer).wrapping_add(1)
            }

            #[inline(always)]
            fn get(self) -> Option<usize> {
                self.checked_sub(1).map(|position| position as usize)
            }

            #[inline(always)]
            fn place(self) -> usize {
                self as usize
            }
        }
    };
}
link!(u16);
link!(u32);

/// The largest chunk that an encoder is compiled for.
pub(crate) trait Reach: Debug + Send + 'static {
    /// Bytes of that chunk, a power of two.
    const SIZE: usize;
    /// What positions are stored in.
    type Link: Link;
    /// Log2 of the hashes of four bytes: positions that share a hash by chance are looked at for
    /// nothing, but tables have to be read and written, too, and the cache is small.
    const HASHES: u32;
    /// One for each of these.
    type Roots: AsRef<[Self::Link]> + AsMut<[Self::Link]> + Debug + Send;
    /// One for each position.
    type Links: AsRef<[Self::Link]> + AsMut<[Self::Link]> + Debug + Send;
    /// Two for each position.
    type Pairs: AsRef<[[Self::Link; 2]]> + AsMut<[[Self::Link; 2]]> + Debug + Send;
    /// Bytes of the chunk and what may be read behind it.
    type Bytes: AsRef<[u8]> + AsMut<[u8]> + Debug + Send;

    /// No roots.
    fn roots() -> Box<Self::Roots>;
    /// No links.
    fn links() -> Box<Self::Links>;
    /// No pairs of links.
    fn pairs() -> Box<Self::Pairs>;
    /// Zeros.
    fn bytes() -> Box<Self::Bytes>;
}

/// `N` default values on the heap, never on the stack.
pub(crate) fn boxed<T: Copy + Debug + Default, const N: usize>() -> Box<[T; N]> {
    match vec![T::default(); N].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("the vector has N elements"),
    }
}

macro_rules! reach {
    ($(#[$doc:meta])* $name:ident, $link:ty, $size:expr, $hashes:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Reach for $name {
            const SIZE: usize = $size;
            const HASHES: u32 = $hashes;
            type Link = $link;
            type Roots = [$link; 1 << $hashes];
            type Links = [$link; $size];
            type Pairs = [[$link; 2]; $size];
            type Bytes = [u8; START + $size + PAD];

            fn roots() -> Box<Self::Roots> {
                boxed()
            }

            fn links() -> Box<Self::Links> {
                boxed()
            }

            fn pairs() -> Box<Self::Pairs> {
                boxed()
            }

            fn bytes() -> Box<Self::Bytes> {
                boxed()
            }
        }
    };
}
reach!(
    /// Chunks of up to 64 KiB.
    Near,
    u16,
    1 << 16,
    15
);
reach!(
    /// Chunks of up to 2 MiB.
    Far,
    u32,
    1 << 21,
    18
);

/// One chunk.
#[derive(Debug)]
pub(crate) struct Text<R: Reach> {
    bytes: Box<R::Bytes>,
    len: usize,
}

impl<R: Reach> Text<R> {
    pub(crate) fn new() -> Self {
        Self { bytes: R::bytes(), len: 0 }
    }

    /// Takes a chunk of up to `R::SIZE` bytes.
    pub(crate) fn set(&mut self, chunk: &[u8]) {
        let bytes = self.bytes.as_mut().as_mut();
        let (_, bytes) = bytes.split_at_mut(START);
        bytes[..chunk.len()].copy_from_slice(chunk);
        bytes[chunk.len()..chunk.len() + PAD].fill(0);
        self.len = chunk.len();
    }

    /// Bytes of the chunk.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The chunk.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.bytes.as_ref().as_ref()[START..START + self.len]
    }

    /// The chunk, to be changed in place.
    pub(crate) fn chunk_mut(&mut self) -> &mut [u8] {
        &mut self.bytes.as_mut().as_mut()[START..START + self.len]
    }

    /// The chunk, to be read from.
    #[inline(always)]
    pub(crate) fn view(&self) -> View<'_, R> {
        View { bytes: &self.bytes }
    }
}

/// Of so many bytes of a chunk, those there are show what it is.
const SAMPLES: usize = 2048;
/// Text has fewer different bytes than this.
const BYTES_OF_TEXT: usize = 100;

/// Whether few of the bytes there are occur in the chunk of `len` bytes, so that literals cost less.
#[inline(always)]
pub(crate) fn is_text<R: Reach>(text: View<'_, R>, len: usize) -> bool {
    let mut occurs = [false; 256];
    for at in (0..len).step_by(len / SAMPLES + 1) {
        occurs[usize::from(text.byte(at))] = true;
    }
    occurs.iter().filter(|&&occurs| occurs).count() < BYTES_OF_TEXT
}

/// One chunk to be read from, in a single pointer.
#[derive(Debug)]
pub(crate) struct View<'a, R: Reach> {
    bytes: &'a R::Bytes,
}

impl<R: Reach> Clone for View<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Reach> Copy for View<'_, R> {}

impl<R: Reach> View<'_, R> {
    /// The byte at `at`.
    #[inline(always)]
    pub(crate) fn byte(self, at: usize) -> u8 {
        self.bytes.as_ref()[START + (at & (R::SIZE - 1))]
    }

    /// The two bytes from `at`.
    #[inline(always)]
    pub(crate) fn pair(self, at: usize) -> u16 {
        u16::from_le_bytes(self.load(START + (at & (R::SIZE - 1))))
    }

    /// The four bytes from `at`.
    #[inline(always)]
    pub(crate) fn word(self, at: usize) -> u32 {
        u32::from_le_bytes(self.load(START + (at & (R::SIZE - 1))))
    }

    /// The four bytes `ahead` of the position at `place`, its number plus one; at most [`MAX_AHEAD`].
    #[inline(always)]
    pub(crate) fn word_ahead(self, place: usize, ahead: usize) -> u32 {
        u32::from_le_bytes(self.load((place & (R::SIZE - 1)) + (ahead & MAX_AHEAD)))
    }

    /// The eight bytes from `at`.
    #[inline(always)]
    pub(crate) fn long(self, at: usize) -> u64 {
        u64::from_le_bytes(self.load(START + (at & (R::SIZE - 1))))
    }

    /// What is in the buffer from `index` on, loaded at once: of bytes taken one by one LLVM loads those that
    /// are used, in pieces.
    #[inline(always)]
    fn load<const N: usize>(self, index: usize) -> [u8; N] {
        let bytes = self.bytes.as_ref()[index..index + N].first_chunk();
        *bytes.unwrap_or(&[0; N])
    }

    /// How many bytes from `a` and from `b` are the same, `known` of which are known to be; at most
    /// `max`, which does not reach beyond the chunk's end.
    #[inline(always)]
    pub(crate) fn common(self, a: usize, b: usize, known: usize, max: usize) -> usize {
        self.compare(a, b, known, max).0
    }

    /// Like [`common`](Self::common), and whether, if these are fewer than `max`, the bytes from `a`
    /// sort before those from `b`.
    #[inline(always)]
    pub(crate) fn compare(self, a: usize, b: usize, known: usize, max: usize) -> (usize, bool) {
        let mut length = known;
        while length < max {
            let (from_a, from_b) = (self.long(a + length), self.long(b + length));
            if from_a != from_b {
                let same = (from_a ^ from_b).trailing_zeros() as usize / 8;
                return ((length + same).min(max), from_a.swap_bytes() < from_b.swap_bytes());
            }
            length += 8;
        }
        (max, false)
    }
}
