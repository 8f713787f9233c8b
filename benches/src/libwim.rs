//! The codecs of libwim, for comparison in the same process.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr::NonNull;

use anyhow::{Context, Result, ensure};
use wim_format::Codec;

/// What the functions below take and give is declared in `wimlib.h`, "Compression and
/// decompression functions".
#[allow(unsafe_code)]
mod ffi {
    use super::{c_char, c_int, c_uint, c_void};

    #[repr(C)]
    pub(super) struct Compressor {
        _private: [u8; 0],
    }

    #[repr(C)]
    pub(super) struct Decompressor {
        _private: [u8; 0],
    }

    unsafe extern "C" {
        pub(super) fn wimlib_global_init(flags: c_int) -> c_int;
        pub(super) fn wimlib_get_version_string() -> *const c_char;
        pub(super) fn wimlib_create_compressor(
            ctype: c_int,
            max_block_size: usize,
            level: c_uint,
            out: *mut *mut Compressor,
        ) -> c_int;
        pub(super) fn wimlib_compress(
            src: *const c_void,
            src_len: usize,
            dst: *mut c_void,
            dst_len: usize,
            compressor: *mut Compressor,
        ) -> usize;
        pub(super) fn wimlib_free_compressor(compressor: *mut Compressor);
        pub(super) fn wimlib_create_decompressor(
            ctype: c_int,
            max_block_size: usize,
            out: *mut *mut Decompressor,
        ) -> c_int;
        pub(super) fn wimlib_decompress(
            src: *const c_void,
            src_len: usize,
            dst: *mut c_void,
            dst_len: usize,
            decompressor: *mut Decompressor,
        ) -> c_int;
        pub(super) fn wimlib_free_decompressor(decompressor: *mut Decompressor);
    }
}

fn compression_type(codec: Codec) -> c_int {
    match codec {
        Codec::Xpress => 1,
        Codec::Lzx => 2,
        Codec::Lzms => 3,
    }
}

/// Lets libwim look at the CPU; without it, it would use its portable paths.
fn init() -> Result<()> {
    // SAFETY: may be called at any time and any number of times.
    let code = unsafe { ffi::wimlib_global_init(0) };
    ensure!(code == 0, "libwim does not start (code {code})");
    Ok(())
}

/// The version of the libwim that is linked, such as `1.14.5`.
#[must_use]
pub fn version() -> String {
    // SAFETY: the function gives a static string.
    let text = unsafe { std::ffi::CStr::from_ptr(ffi::wimlib_get_version_string()) };
    text.to_string_lossy().into_owned()
}

/// A compressor of libwim.
#[derive(Debug)]
pub struct Compressor(NonNull<ffi::Compressor>);

impl Compressor {
    /// Makes a compressor for chunks of up to `chunk_size` bytes; `level` is wimlib's, 50 its usual.
    ///
    /// # Errors
    /// libwim refuses the chunk size, or memory is short.
    pub fn new(codec: Codec, chunk_size: u32, level: u32) -> Result<Self> {
        init()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is a place for one pointer, written only on success.
        let code = unsafe {
            ffi::wimlib_create_compressor(
                compression_type(codec),
                chunk_size as usize,
                level,
                &raw mut raw,
            )
        };
        ensure!(code == 0, "libwim makes no compressor (code {code})");
        NonNull::new(raw).map(Self).context("libwim gave no compressor")
    }

    /// Compresses one chunk; `None` where it would not get smaller.
    pub fn compress(&mut self, src: &[u8]) -> Option<Vec<u8>> {
        let mut dst = vec![0u8; src.len().saturating_sub(1)];
        // SAFETY: both buffers are as long as said, and the compressor is live.
        let len = unsafe {
            ffi::wimlib_compress(
                src.as_ptr().cast(),
                src.len(),
                dst.as_mut_ptr().cast(),
                dst.len(),
                self.0.as_ptr(),
            )
        };
        dst.truncate(len);
        (len != 0).then_some(dst)
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: made by `wimlib_create_compressor`, and freed once.
        unsafe { ffi::wimlib_free_compressor(self.0.as_ptr()) }
    }
}

/// A decompressor of libwim.
#[derive(Debug)]
pub struct Decompressor(NonNull<ffi::Decompressor>);

impl Decompressor {
    /// Makes a decompressor for chunks of up to `chunk_size` bytes.
    ///
    /// # Errors
    /// libwim refuses the chunk size, or memory is short.
    pub fn new(codec: Codec, chunk_size: u32) -> Result<Self> {
        init()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is a place for one pointer, written only on success.
        let code = unsafe {
            ffi::wimlib_create_decompressor(
                compression_type(codec),
                chunk_size as usize,
                &raw mut raw,
            )
        };
        ensure!(code == 0, "libwim makes no decompressor (code {code})");
        NonNull::new(raw).map(Self).context("libwim gave no decompressor")
    }

    /// Decodes one chunk into exactly `dst`.
    ///
    /// # Errors
    /// libwim finds the stream invalid.
    pub fn decode(&mut self, src: &[u8], dst: &mut [u8]) -> Result<()> {
        // SAFETY: both buffers are as long as said, and the decompressor is live.
        let code = unsafe {
            ffi::wimlib_decompress(
                src.as_ptr().cast(),
                src.len(),
                dst.as_mut_ptr().cast(),
                dst.len(),
                self.0.as_ptr(),
            )
        };
        ensure!(code == 0, "libwim cannot decode the chunk (code {code})");
        Ok(())
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: made by `wimlib_create_decompressor`, and freed once.
        unsafe { ffi::wimlib_free_decompressor(self.0.as_ptr()) }
    }
}
