use std::time::Instant;
use wim_format::{
    FormatError,
    blob_table::BlobTable,
    header::Header,
    metadata::{DentryId, Metadata},
    resource::SolidHeader,
    xml::WimXml,
};
fn main() {
    for path in std::env::args().skip(1).flat_map(|p| std::iter::repeat_n(p, 8)) {
        let data = std::fs::read(&path).unwrap();
        let h = Header::parse(&data).unwrap();
        h.check_file_len(data.len() as u64).unwrap();
        let s =
            |r: wim_format::resource::ResourceHeader| &data[r.offset as usize..r.end() as usize];
        let t0 = Instant::now();
        let table = BlobTable::parse(s(h.blob_table), &h, |r| {
            SolidHeader::parse(&data[r.offset as usize..]) as Result<_, FormatError>
        })
        .unwrap();
        let t1 = Instant::now();
        let x = WimXml::parse(s(h.xml)).unwrap();
        assert_eq!(x.to_bytes(), s(h.xml));
        println!(
            "{path}: table {:?}, {} blobs, {} ignored; xml {:?}",
            t1 - t0,
            table.blobs.len(),
            table.ignored.len(),
            t1.elapsed()
        );
        for m in &table.metadata {
            let bytes = s(m.resource);
            let t = Instant::now();
            let md = Metadata::parse(bytes).unwrap();
            let parse = t.elapsed();
            let t = Instant::now();
            let out = md.to_bytes();
            let write = t.elapsed();
            assert!(out == bytes, "not identical: {} {}", out.len(), bytes.len());
            let t = Instant::now();
            let mut n = 0;
            md.walk(DentryId::ROOT, |e| n += e.path.len());
            let walk = t.elapsed();
            for d in md.ids() {
                let mut last = 0;
                for c in md.children(d) {
                    let at = md.dentry(c).name().as_bytes().as_ptr() as usize;
                    assert!(at > last, "{:?}", md.dentry(c).name());
                    last = at;
                }
            }
            let t = Instant::now();
            let hl = md.hard_links();
            let links = t.elapsed();
            let nl = md.ids().filter(|i| hl.first(*i) != *i).count();
            println!(
                "  {} dentries, {} bytes, parse {parse:?} write {write:?} walk {walk:?} ({n}) links {links:?} ({nl}) warnings {:?}",
                md.len(),
                bytes.len(),
                &md.warnings()[..md.warnings().len().min(5)]
            );
        }
    }
}
