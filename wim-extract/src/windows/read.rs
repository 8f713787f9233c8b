//! Reading the few files that tell about a Windows.

use bytes::Bytes;
use wim_format::Sha1Hash;

use crate::archive::{BlobId, Wim};
use crate::capture::Packed;
use crate::error::{Damage, Error};
use crate::pipeline::lock::Lock;
use crate::pipeline::{self, Order, Plan, Sink};
use crate::progress::Silent;
use crate::write::session::Context;

/// Largest file that is read: far above the hives of any Windows.
const MAX_LEN: u64 = 512 << 20;

/// Where the contents of an image's files are.
pub(crate) struct Contents<'a> {
    /// The files that were read for it.
    pub(crate) packed: &'a Packed,
    /// Archives that hold what was not.
    pub(crate) wims: Vec<&'a Wim>,
    pub(crate) context: Context<'a>,
}

impl Contents<'_> {
    /// All bytes of the data with this hash.
    ///
    /// # Errors
    /// It is too large, cannot be read, or is not what it was.
    pub(super) fn read(&self, hash: &Sha1Hash) -> Result<Bytes, Error> {
        if let Some(read) = self.packed.read(hash, MAX_LEN) {
            return read.map(Bytes::from);
        }
        let mut places = self.wims.iter().filter_map(|wim| Some((*wim, wim.find(hash)?)));
        match places.next() {
            Some((wim, id)) => self.blob(wim, id),
            None => Err(Error::Unsupported("its data is in no archive at hand".to_owned())),
        }
    }

    fn blob(&self, wim: &Wim, id: BlobId) -> Result<Bytes, Error> {
        require_len(wim.blob(id).size, MAX_LEN)?;
        let Context { threads, cancel, .. } = self.context;
        let options = pipeline::Options { threads, order: Order::File, ..Default::default() };
        let sink = Whole { wim, bytes: Lock::new(Vec::new()) };
        pipeline::run(&Plan::new(wim, [id]), &sink, &options, &Silent, cancel)?;
        Ok(sink.bytes.into_inner().into())
    }
}

/// # Errors
/// It is more than `max` bytes.
pub(crate) fn require_len(len: u64, max: u64) -> Result<(), Error> {
    if len <= max {
        return Ok(());
    }
    Err(Error::Unsupported(format!("{len} bytes are more than any Windows has in such a file")))
}

/// Keeps the one blob that is read, whose pieces come in order.
struct Whole<'w> {
    wim: &'w Wim,
    bytes: Lock<Vec<u8>>,
}

impl Sink for Whole<'_> {
    fn piece(&self, _: BlobId, _: u64, data: &[u8]) -> Result<(), Error> {
        self.bytes.lock().extend_from_slice(data);
        Ok(())
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), Error> {
        result.map_err(|damage| self.wim.damaged(blob, damage))
    }
}
