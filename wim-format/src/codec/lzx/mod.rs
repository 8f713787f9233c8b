//! (codec lzx)

use crate::DecodeError;

/// Decoder state.
#[derive(Debug)]
pub struct Decoder;

impl Decoder {
    /// Makes a decoder.
    #[must_use]
    pub fn new(_chunk_size: u32) -> Self {
        Self
    }

    /// Decodes one chunk.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(&mut self, _src: &[u8], _dst: &mut [u8]) -> Result<(), DecodeError> {
        Err(DecodeError::BadBlock)
    }

    /// Decodes two chunks at once.
    pub fn decode_two(
        &mut self,
        a: (&[u8], &mut [u8]),
        b: (&[u8], &mut [u8]),
    ) -> [Result<(), DecodeError>; 2] {
        [self.decode(a.0, a.1), self.decode(b.0, b.1)]
    }
}
