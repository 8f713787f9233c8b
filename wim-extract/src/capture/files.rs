//! Reading the files of a tree, each once, for [`pack`](crate::write::pack).
//!
//! Files that fit a batch are read and hashed before anything is done with them, so that data which
//! is there already costs no more than that. Of a larger file the hash is known only at its end: it
//! is packed while it is read. Only where something before it has the very same length is it hashed
//! first, side by side with others like it, and read again if it is new. Data that is not compressed
//! goes to the file as fast as it is hashed, and several files side by side are hashed faster than
//! one after the other: then large ones come before all others, and are read in step
//! ([`Files::weave`]).
//!
//! A pipable archive has the hashes before the data. For it everything is read twice: to be hashed
//! ([`Files::hash`]), and again what is new ([`Files::again`]).

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use wim_format::Sha1Hash;

use crate::cancel::Cancel;
use crate::error::{Action, Error};
use crate::hash::{Sha1, lanes, sha1_many, update_many};
use crate::progress::{Amount, Progress};
use crate::status::{Stamp, Status};
use crate::write::pack::{Batch, Begin, Piece, Supply, Woven};

/// Bytes of files that a thread reads at a time, and hashes together while they are in its cache.
const SHARE: usize = 1 << 20;
/// So many are hashed together even where they are longer.
const FEW: usize = 4;
/// Bytes of a large file read at a time, while those before are hashed.
const READ: usize = 1 << 20;
/// Larger files are read side by side, where several are: so large that no batch of few threads holds them.
const WOVEN: u64 = 8 << 20;
/// Bytes of each of several large files that are read before all are hashed in step.
const STEP: usize = 64 << 10;

/// Data that an image needs.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// Of a file, which was like this when it was found.
    File(PathBuf, Stamp),
    /// This.
    Bytes(Vec<u8>),
}

impl Data {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::File(_, stamp) => stamp.size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// The file cannot be read, or is not as it was.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path, stamp) => {
                let mut file = open_file(path)?;
                let mut bytes = Vec::new();
                let read = file.by_ref().take(stamp.size).read_to_end(&mut bytes);
                read.map_err(Error::io(Action::Read, path))?;
                check_stamp(&file, path, *stamp)?;
                Ok(bytes)
            }
        }
    }
}

/// Reads data in order.
pub(crate) struct Files<'a> {
    data: &'a [Data],
    /// The hash of each, as they become known.
    pub(crate) hashes: Vec<Sha1Hash>,
    /// Whether they are known already, since this has been read before.
    pass: Pass,
    /// The hashes of everything that is packed or need not be.
    known: HashSet<Sha1Hash>,
    /// The lengths of these, of files only if they are too large for a batch.
    known_lengths: HashSet<u64>,
    /// The hashes of large files that are neither packed nor passed over yet.
    hashed_ahead: HashMap<usize, Sha1Hash>,
    next: usize,
    open: Option<Open>,
    /// What is read side by side, not yet begun, and not yet ended in the order of places.
    waiting: VecDeque<usize>,
    strands: VecDeque<Strand>,
    /// All that is or was.
    woven: HashSet<usize>,
    /// Pieces that do not end a blob are a multiple of this long.
    grain: usize,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

/// How often data has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    First,
    Second,
}

/// A large file that is being read.
struct Open {
    file: File,
    sha1: Sha1,
    done: u64,
}

/// A large file that is read beside others.
struct Strand {
    index: usize,
    open: Open,
    /// Its hash, when it is known.
    ended: Option<Sha1Hash>,
}

/// A stretch of data that goes to a batch.
struct Job<'b> {
    index: usize,
    out: &'b mut [u8],
}

impl<'a> Files<'a> {
    /// `known` is what is there already, hash and length of each.
    pub(crate) fn new(
        data: &'a [Data],
        known: impl IntoIterator<Item = (Sha1Hash, u64)>,
        grain: usize,
        progress: &'a dyn Progress,
        cancel: &'a Cancel,
    ) -> Self {
        let (known, known_lengths) = known.into_iter().unzip();
        let hashes = vec![Sha1Hash::ZERO; data.len()];
        let pass = Pass::First;
        Self {
            data,
            hashes,
            pass,
            known,
            known_lengths,
            hashed_ahead: HashMap::new(),
            next: 0,
            open: None,
            waiting: VecDeque::new(),
            strands: VecDeque::new(),
            woven: HashSet::new(),
            grain,
            progress,
            cancel,
        }
    }

    /// Reads large files side by side and before all others, the largest first. Those that something else
    /// has the length of are read by themselves. Which these are depends on nothing but the data.
    pub(crate) fn weave(mut self) -> Self {
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for data in self.data {
            *counts.entry(data.len()).or_default() += 1;
        }
        let is_alone = |size| counts[&size] == 1 && !self.known_lengths.contains(&size);
        let is_woven = |index: &usize| match &self.data[*index] {
            Data::File(_, stamp) => stamp.size > WOVEN && is_alone(stamp.size),
            Data::Bytes(_) => false,
        };
        let mut woven: Vec<usize> = (0..self.data.len()).filter(is_woven).collect();
        woven.sort_by_key(|&index| Reverse(self.data[index].len()));
        self.woven = woven.iter().copied().collect();
        self.waiting = woven.into();
        self
    }

    /// Reads data again that has these hashes, each another.
    pub(crate) fn again(
        data: &'a [Data],
        hashes: Vec<Sha1Hash>,
        grain: usize,
        progress: &'a dyn Progress,
        cancel: &'a Cancel,
    ) -> Self {
        Self { hashes, pass: Pass::Second, ..Self::new(data, [], grain, progress, cancel) }
    }

    /// Reads everything, only to know the hashes.
    ///
    /// # Errors
    /// As of [`fill`](Supply::fill).
    pub(crate) fn hash(mut self, mut batch: Batch) -> Result<Vec<Sha1Hash>, Error> {
        while let Some(data) = self.data.get(self.next) {
            self.cancel.check()?;
            if let (Data::File(_, stamp), (0, _)) = (data, self.whole(batch.data.len())) {
                let room = batch.data.len() as u64;
                self.hashes[self.next] = self.hash_large(|_, size| size > room)?;
                self.next += 1;
                self.progress.advance(Amount::new(stamp.size, 1));
                continue;
            }
            self.fill_whole(&mut batch)?;
            let bytes = batch.pieces.iter().map(|piece| piece.range.len() as u64).sum();
            self.progress.advance(Amount::new(bytes, batch.pieces.len() as u64));
            batch.pieces.clear();
        }
        Ok(self.hashes)
    }

    /// Takes the hash of what has been read.
    fn learn(&mut self, index: usize, hash: Sha1Hash) -> Result<(), Error> {
        match (self.pass, &self.data[index]) {
            (Pass::Second, Data::File(path, _)) if self.hashes[index] != hash => {
                Err(Error::Changed { path: path.clone() })
            }
            _ => {
                self.hashes[index] = hash;
                Ok(())
            }
        }
    }

    /// The hash of what is read next, if that is known.
    fn known_hash(&self) -> Option<Sha1Hash> {
        match self.pass {
            Pass::First => None,
            Pass::Second => Some(self.hashes[self.next]),
        }
    }

    /// Passes over large files that are there already.
    fn skip_known(&mut self, batch_len: usize) -> Result<(), Error> {
        while let Some(Data::File(_, stamp)) = self.data.get(self.next) {
            let may_be_known =
                |files: &Self, size| size > batch_len as u64 && files.known_lengths.contains(&size);
            let again = self.pass == Pass::Second;
            if self.open.is_some() || again || !may_be_known(self, stamp.size) {
                return Ok(());
            }
            let hash = self.hash_large(may_be_known)?;
            if !self.known.contains(&hash) {
                return Ok(());
            }
            self.hashes[self.next] = hash;
            self.next += 1;
            self.progress.advance(Amount::new(stamp.size, 1));
        }
        Ok(())
    }

    /// The hash of the large file that comes next. Others that follow, of which `is_wanted` says from their
    /// length that theirs will be asked for, too, are hashed with it.
    fn hash_large(&mut self, is_wanted: impl Fn(&Self, u64) -> bool) -> Result<Sha1Hash, Error> {
        if let Some(hash) = self.hashed_ahead.remove(&self.next) {
            return Ok(hash);
        }
        let is_wanted = |index: &usize| match &self.data[*index] {
            Data::File(_, stamp) => {
                is_wanted(self, stamp.size) && !self.hashed_ahead.contains_key(index)
            }
            Data::Bytes(_) => false,
        };
        let following = (self.next + 1..self.data.len()).filter(is_wanted);
        let following = following.take(FEW * rayon::current_num_threads() - 1);
        let mut wanted: Vec<usize> = std::iter::once(self.next).chain(following).collect();
        wanted.sort_by_key(|&index| Reverse(self.data[index].len()));
        let (data, cancel) = (self.data, self.cancel);
        let hashes = wanted.par_chunks(FEW).map(|group| hash_in_step(data, group, cancel));
        for group in hashes.collect::<Result<Vec<_>, _>>()? {
            self.hashed_ahead.extend(group);
        }
        let Some(hash) = self.hashed_ahead.remove(&self.next) else {
            unreachable!("the next file is the first that was wanted")
        };
        Ok(hash)
    }

    /// The files that are read whole next: how many, and their length together.
    fn whole(&self, room: usize) -> (usize, usize) {
        let (mut count, mut len) = (0, 0);
        for (index, data) in self.data.iter().enumerate().skip(self.next) {
            match usize::try_from(data.len()) {
                Ok(next) if next <= room - len && !self.woven.contains(&index) => len += next,
                _ => break,
            }
            count += 1;
        }
        (count, len)
    }

    /// Reads whole files to the batch.
    fn fill_whole(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let (count, _) = self.whole(batch.data.len());
        let mut jobs = Vec::with_capacity(count);
        let mut rest = &mut batch.data[..];
        for index in self.next..self.next + count {
            let (out, behind) = rest.split_at_mut(self.data[index].len() as usize);
            jobs.push(Job { index, out });
            rest = behind;
        }
        let (data, cancel) = (self.data, self.cancel);
        let groups: Vec<Vec<Job<'_>>> = grouped(jobs);
        let hashes: Result<Vec<Vec<(usize, Sha1Hash)>>, Error> =
            groups.into_par_iter().map(|group| read_and_hash(data, group, cancel)).collect();
        let mut hashes: Vec<(usize, Sha1Hash)> = hashes?.into_iter().flatten().collect();
        hashes.sort_unstable_by_key(|&(index, _)| index);
        let mut start = 0;
        for (index, hash) in hashes {
            let size = self.data[index].len();
            let range = start..start + size as usize;
            start = range.end;
            self.learn(index, hash)?;
            if self.known.insert(hash) {
                let begins = Some(Begin { size, references: 0, hash: Some(hash) });
                batch.pieces.push(Piece { range, begins, ends: Some(hash) });
            } else {
                self.progress.advance(Amount::new(size, 1));
            }
        }
        self.next += count;
        Ok(())
    }

    /// Reads the next pieces of several large files to the batch.
    fn fill_woven(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let open = |strands: &VecDeque<Strand>| {
            strands.iter().filter(|strand| strand.ended.is_none()).count()
        };
        while open(&self.strands) < lanes()
            && let Some(index) = self.waiting.pop_front()
        {
            self.strands.extend(Strand::open(self.data, index)?);
        }
        // Of each as much, from the start of a page on.
        let count = open(&self.strands).max(1);
        let share = (batch.data.len() / count / STEP).max(1) * STEP;
        let mut parts = batch.data.chunks_mut(share);
        let (mut jobs, mut start, mut ahead) = (Vec::with_capacity(count), 0, 0);
        for strand in &mut self.strands {
            let size = self.data[strand.index].len();
            let from = ahead + strand.open.done;
            ahead += size;
            if let (None, Some(part)) = (strand.ended, parts.next()) {
                let len = (size - strand.open.done).min(part.len() as u64) as usize;
                batch.woven.push(Woven { range: start..start + len, ahead: from });
                jobs.push((strand, &mut part[..len]));
                start += share;
            }
        }
        read_and_hash_in_step(self.data, &mut jobs, self.cancel)?;
        let ended: Result<Vec<_>, Error> =
            jobs.into_iter().filter_map(|(strand, _)| strand.end(self.data).transpose()).collect();
        for (index, hash) in ended? {
            self.learn(index, hash)?;
            self.known.insert(hash);
        }
        while let Some(Strand { index, ended: Some(hash), .. }) = self.strands.front() {
            let size = self.data[*index].len();
            batch.ended.push((Begin { size, references: 0, hash: Some(*hash) }, *hash));
            self.strands.pop_front();
        }
        Ok(())
    }

    /// Reads the next piece of a large file to the batch.
    fn fill_piece(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let Some(Data::File(path, stamp)) = self.data.get(self.next) else { return Ok(()) };
        let hash = self.known_hash();
        let begins = Begin { size: stamp.size, references: 0, hash };
        let begins = self.open.is_none().then_some(begins);
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open { file: open_file(path)?, sha1: Sha1::new(), done: 0 },
        };
        let room = batch.data.len() / self.grain * self.grain;
        let len = (stamp.size - open.done).min(room as u64) as usize;
        let out = &mut batch.data[..len];
        read_and_hash_piece(&mut open, out).map_err(|error| changed_or(error, path))?;
        let mut ends = None;
        if open.done == stamp.size {
            check_stamp(&open.file, path, *stamp)?;
            let hash = open.sha1.finish();
            self.learn(self.next, hash)?;
            self.known.insert(hash);
            self.known_lengths.insert(stamp.size);
            self.next += 1;
            ends = Some(hash);
        } else {
            self.open = Some(open);
        }
        batch.pieces.push(Piece { range: 0..len, begins, ends });
        Ok(())
    }
}

impl Supply for Files<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if !self.waiting.is_empty() || !self.strands.is_empty() {
            return self.fill_woven(batch);
        }
        while batch.pieces.is_empty() && self.next < self.data.len() {
            self.cancel.check()?;
            if self.woven.contains(&self.next) {
                self.next += 1;
                continue;
            }
            self.skip_known(batch.data.len())?;
            match self.whole(batch.data.len()) {
                (0, _) => self.fill_piece(batch)?,
                _ => self.fill_whole(batch)?,
            }
        }
        Ok(())
    }
}

/// Files of about the same length together, since they are hashed together: a share of them, or a few.
fn grouped(mut jobs: Vec<Job<'_>>) -> Vec<Vec<Job<'_>>> {
    jobs.sort_by_key(|job| Reverse(job.out.len()));
    let mut groups: Vec<Vec<Job<'_>>> = Vec::new();
    let mut len = 0;
    for job in jobs {
        let next = len + job.out.len();
        match groups.last_mut() {
            Some(group) if next <= SHARE || group.len() < FEW => {
                group.push(job);
                len = next;
            }
            _ => {
                len = job.out.len();
                groups.push(vec![job]);
            }
        }
    }
    groups
}

/// Reads all of some data, and hashes it together. Gives the hash of each.
fn read_and_hash(
    data: &[Data],
    mut group: Vec<Job<'_>>,
    cancel: &Cancel,
) -> Result<Vec<(usize, Sha1Hash)>, Error> {
    cancel.check()?;
    for job in &mut group {
        match &data[job.index] {
            Data::Bytes(bytes) => job.out.copy_from_slice(bytes),
            Data::File(path, stamp) => {
                let mut file = open_file(path)?;
                file.read_exact(job.out).map_err(|error| changed_or(error, path))?;
                check_stamp(&file, path, *stamp)?;
            }
        }
    }
    let messages: Vec<&[u8]> = group.iter().map(|job| &*job.out).collect();
    let mut hashes = Vec::new();
    sha1_many(&messages, &mut hashes);
    Ok(group.iter().map(|job| job.index).zip(hashes).collect())
}

/// Reads the next bytes of a large file, and hashes what is read while more of it is being read.
fn read_and_hash_piece(open: &mut Open, out: &mut [u8]) -> io::Result<()> {
    open.done += out.len() as u64;
    let Open { file, sha1, .. } = open;
    let mut read: &[u8] = &[];
    for step in out.chunks_mut(READ) {
        let (result, ()) = rayon::join(|| file.read_exact(step), || sha1.update(read));
        result?;
        read = step;
    }
    sha1.update(read);
    Ok(())
}

impl Strand {
    /// `None` for what is no file.
    fn open(data: &[Data], index: usize) -> Result<Option<Self>, Error> {
        let Data::File(path, _) = &data[index] else { return Ok(None) };
        let open = Open { file: open_file(path)?, sha1: Sha1::new(), done: 0 };
        Ok(Some(Self { index, open, ended: None }))
    }

    /// If all of it has been read: which it is, and its hash.
    fn end(&mut self, data: &[Data]) -> Result<Option<(usize, Sha1Hash)>, Error> {
        let Data::File(path, stamp) = &data[self.index] else { return Ok(None) };
        if self.open.done < stamp.size {
            return Ok(None);
        }
        check_stamp(&self.open.file, path, *stamp)?;
        self.ended = Some(std::mem::take(&mut self.open.sha1).finish());
        Ok(self.ended.map(|hash| (self.index, hash)))
    }
}

/// Reads the next bytes of several large files, some of each at a time, and hashes those together.
fn read_and_hash_in_step(
    data: &[Data],
    jobs: &mut [(&mut Strand, &mut [u8])],
    cancel: &Cancel,
) -> Result<(), Error> {
    let longest = jobs.iter().map(|(_, out)| out.len()).max().unwrap_or(0);
    for at in (0..longest).step_by(STEP) {
        cancel.check()?;
        let mut pairs = Vec::with_capacity(jobs.len());
        for (Strand { index, open, .. }, out) in jobs.iter_mut() {
            let end = out.len().min(at + STEP);
            let (Some(step), Data::File(path, _)) = (out.get_mut(at..end), &data[*index]) else {
                continue;
            };
            open.file.read_exact(step).map_err(|error| changed_or(error, path))?;
            open.done += step.len() as u64;
            pairs.push((&mut open.sha1, &*step));
        }
        update_many(&mut pairs);
    }
    Ok(())
}

/// Reads several large files, some of each at a time, only to know their hashes.
fn hash_in_step(
    data: &[Data],
    group: &[usize],
    cancel: &Cancel,
) -> Result<Vec<(usize, Sha1Hash)>, Error> {
    let mut strands = Vec::with_capacity(group.len());
    for &index in group {
        strands.extend(Strand::open(data, index)?);
    }
    let mut buffer = vec![0; STEP * strands.len()];
    let mut hashes = Vec::with_capacity(group.len());
    while !strands.is_empty() {
        let parts = strands.iter_mut().zip(buffer.chunks_mut(STEP));
        let mut jobs: Vec<(&mut Strand, &mut [u8])> = parts
            .map(|(strand, part)| {
                let left = data[strand.index].len() - strand.open.done;
                (strand, &mut part[..left.min(STEP as u64) as usize])
            })
            .collect();
        read_and_hash_in_step(data, &mut jobs, cancel)?;
        for strand in &mut strands {
            hashes.extend(strand.end(data)?);
        }
        strands.retain(|strand| strand.ended.is_none());
    }
    Ok(hashes)
}

/// Opens a file that was one when it was found. If it has become a pipe, nobody's writing is waited
/// for; that it is another file is seen when its stamp is checked.
fn open_file(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    options.open(path).map_err(Error::io(Action::Open, path))
}

/// The error of a file that could not be read as far as it should.
fn changed_or(error: io::Error, path: &Path) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Changed { path: path.to_owned() },
        _ => Error::io(Action::Read, path)(error),
    }
}

/// A file that was written to while it was read is not stored: who knows what of it was read when.
fn check_stamp(file: &File, path: &Path, stamp: Stamp) -> Result<(), Error> {
    let status = Status::of(file).map_err(Error::io(Action::Stat, path))?;
    if Stamp::from(&status) == stamp {
        Ok(())
    } else {
        Err(Error::Changed { path: path.to_owned() })
    }
}
