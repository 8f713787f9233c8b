//! (codec lzms)

use crate::DecodeError;

/// Decoder state.
#[derive(Debug)]
pub struct Decoder;

impl Decoder {
    /// Makes a decoder.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// Decodes one chunk.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(&mut self, _src: &[u8], _dst: &mut [u8]) -> Result<(), DecodeError> {
        Err(DecodeError::BadBlock)
    }
}
