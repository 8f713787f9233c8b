//! The same chunks in another arrangement.

use bytes::Bytes;
use wim_format::header::Layout;
use wim_format::resource::{ChunkTable, ResourceFlags, SOLID_HEADER_LEN, SolidHeader};

use crate::blob::{Form, Resource};
use crate::error::Damage;
use crate::pipeline::SolidPlan;
use crate::write::layout::{Draft, Segment};

/// A compressed resource in another layout. The entries of the chunk table are the same in both; the
/// pipable one has the table behind the chunks, and before each chunk its length.
pub(super) fn to_layout(
    resource: &Resource<'_>,
    source: usize,
    layout: Layout,
) -> Result<(ResourceFlags, Vec<Segment>), Damage> {
    let compressed = ResourceFlags::COMPRESSED;
    let start = resource.place.offset;
    let copy = |offset, len| Segment::Copy { source, offset: start + offset, len };
    let Some(table) = resource.table()? else {
        return Ok((ResourceFlags::empty(), vec![copy(0, resource.place.size)]));
    };
    let range = resource.table_range()?;
    let mut segments = Vec::new();
    let whole_table = copy(range.start, range.end - range.start);
    // Only a pipable resource may be called compressed when none of its chunks is.
    let all_raw = layout == Layout::Normal && is_all_raw(&table)?;
    if layout == Layout::Normal && !all_raw {
        segments.push(whole_table.clone());
    }
    for span in table.iter() {
        let span = span.map_err(Damage::Layout)?;
        if layout == Layout::Pipable {
            let len = span.compressed.to_le_bytes();
            segments.push(Segment::Literal(Bytes::copy_from_slice(&len)));
        }
        segments.push(copy(span.offset, span.compressed.into()));
    }
    if layout == Layout::Pipable {
        segments.push(whole_table);
    }
    Ok((if all_raw { ResourceFlags::empty() } else { compressed }, segments))
}

fn is_all_raw(table: &ChunkTable<'_>) -> Result<bool, Damage> {
    for span in table.iter() {
        if !span.map_err(Damage::Layout)?.is_raw() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Adds a solid resource of those chunks that hold something wanted. Gives its header and, for each
/// wanted blob, its offset in it.
///
/// Every chunk is a stream of its own and all but the last have the same size, so leaving some out
/// moves what is behind them by whole chunks and changes nothing else.
pub(super) fn solid_chunks(
    resource: &Resource<'_>,
    plan: &SolidPlan,
    source: usize,
    draft: &mut Draft,
) -> Result<(SolidHeader, Vec<u64>), Damage> {
    let Form::Solid(mut header) = resource.form else { return Err(Damage::Overlap) };
    let Some(table) = resource.table()? else { return Err(Damage::Overlap) };
    let chunk_size = u64::from(header.chunk_size);
    let mut sizes = Vec::new();
    let mut copies = Vec::new();
    header.uncompressed_size = 0;
    for chunks in &plan.chunks {
        let mut range: Option<std::ops::Range<u64>> = None;
        for chunk in chunks.clone() {
            let span = table.get(chunk).map_err(Damage::Layout)?;
            header.uncompressed_size += u64::from(span.uncompressed);
            sizes.extend(span.compressed.to_le_bytes());
            let start = range.map_or(span.offset, |range| range.start);
            range = Some(start..span.offset + u64::from(span.compressed));
        }
        copies.extend(range);
    }
    for range in &copies {
        resource.check_range(range.start, range.end - range.start)?;
    }
    let mut head = Vec::with_capacity(SOLID_HEADER_LEN + sizes.len());
    head.extend(header.to_bytes());
    head.extend(sizes);
    draft.push(Segment::Literal(head.into()));
    for range in copies {
        let offset = resource.place.offset + range.start;
        draft.push(Segment::Copy { source, offset, len: range.end - range.start });
    }
    Ok((header, moved_offsets(plan, chunk_size)))
}

/// Where the blobs of `plan` are when only its chunks are left.
fn moved_offsets(plan: &SolidPlan, chunk_size: u64) -> Vec<u64> {
    let mut ranges = plan.chunks.iter();
    let mut range = ranges.next().cloned().unwrap_or(0..0);
    // Chunks taken before the current range.
    let mut before = 0;
    let mut offsets = Vec::with_capacity(plan.blobs.len());
    for blob in &plan.blobs {
        let chunk = blob.offset / chunk_size;
        while chunk >= range.end {
            before += range.end - range.start;
            let Some(next) = ranges.next() else { break };
            range = next.clone();
        }
        let moved = before + chunk.saturating_sub(range.start);
        offsets.push(moved * chunk_size + blob.offset % chunk_size);
    }
    offsets
}
