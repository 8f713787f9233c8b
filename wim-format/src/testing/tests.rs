use super::*;
use crate::blob_table::{BlobPlace, BlobTable};
use crate::header::{HEADER_LEN, Header, Layout};
use crate::integrity::IntegrityTable;
use crate::metadata::{ImageBuilder, Inode, Metadata};
use crate::resource::{ChunkTable, ResourceHeader, SolidHeader};
use crate::xml::WimXml;
use crate::{Codec, FormatError};

fn at<'f>(file: &'f [u8], resource: &ResourceHeader) -> &'f [u8] {
    &file[resource.offset as usize..resource.end() as usize]
}

fn image(blobs: &[Sha1Hash]) -> Vec<u8> {
    let mut image = ImageBuilder::new(Inode::directory());
    for (hash, index) in blobs.iter().zip(0..) {
        image.add(ImageBuilder::ROOT, format!("{index}").as_str(), Inode::file(*hash)).unwrap();
    }
    image.to_bytes().unwrap()
}

/// The blob's bytes, if its chunks are raw.
fn read_raw(file: &[u8], header: &Header, resource: &ResourceHeader) -> Vec<u8> {
    let stored = at(file, resource);
    if !resource.is_compressed() {
        return stored.to_vec();
    }
    let range = ChunkTable::table_range(resource, header.chunk_size, header.layout).unwrap();
    let table = &stored[range.start as usize..range.end as usize];
    let table = ChunkTable::parse(table, resource, header.chunk_size, header.layout).unwrap();
    let chunk = |span: Result<crate::resource::ChunkSpan, FormatError>| {
        let span = span.unwrap();
        assert!(span.is_raw());
        stored[span.offset as usize..][..span.compressed as usize].to_vec()
    };
    table.iter().flat_map(chunk).collect()
}

#[test]
fn every_layout_is_readable() {
    let data: Vec<u8> = (0..10_000u32).flat_map(u32::to_le_bytes).collect();
    for layout in [Layout::Normal, Layout::Pipable] {
        for chunks in [Chunks::Stored, Chunks::Raw] {
            let mut wim = TinyWim::new(Some(Codec::Xpress), 4096).with_integrity(4096);
            if layout == Layout::Pipable {
                wim = wim.pipable();
            }
            let blob = wim.blob(&data, chunks.clone());
            wim.image("one", image(&[blob, blob]), Chunks::Stored);
            let file = wim.build();
            let start = if layout == Layout::Normal { 0 } else { file.len() - HEADER_LEN };
            let header = Header::parse(&file[start..]).unwrap();
            assert_eq!((header.layout, header.image_count), (layout, 1));
            header.check_file_len(file.len() as u64).unwrap();
            let no_solid = |_: &ResourceHeader| -> Result<SolidHeader, FormatError> {
                unreachable!("there are none")
            };
            let table = BlobTable::parse(at(&file, &header.blob_table), &header, no_solid).unwrap();
            assert_eq!((table.blobs[0].refcount, table.blobs[0].size), (2, 40_000));
            let BlobPlace::Resource(resource) = table.blobs[0].place else { unreachable!() };
            assert_eq!(read_raw(&file, &header, &resource), data);
            let metadata = at(&file, &table.metadata[0].resource);
            assert_eq!(Metadata::parse(metadata).unwrap().len(), 3);
            let xml = WimXml::parse(at(&file, &header.xml)).unwrap();
            assert_eq!(xml.image(1).unwrap().total_bytes, Some(80_000));
            assert_eq!(xml.image(1).unwrap().name.as_deref(), Some("one"));
            let integrity = IntegrityTable::parse(at(&file, &header.integrity)).unwrap();
            for (piece, hash) in integrity.ranges(header.blob_table.end()).unwrap() {
                assert_eq!(sha1(&file[piece.start as usize..piece.end as usize]), hash);
            }
        }
    }
}

#[test]
fn drafts_can_be_spoiled() {
    let mut wim = TinyWim::default();
    wim.blob(b"x", Chunks::Stored);
    let file = wim.build_with(|draft| {
        draft.header.boot_index = 9;
        draft.xml.truncate(7);
        draft.blob_table.extend([0; 49]);
    });
    let header = Header::parse(&file).unwrap();
    assert_eq!((header.boot_index, header.xml.size, header.blob_table.size), (9, 7, 99));
}
