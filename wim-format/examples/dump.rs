use wim_format::{
    FormatError, blob_table::BlobTable, header::Header, metadata::Metadata, resource::SolidHeader,
};
fn main() {
    for path in std::env::args().skip(1) {
        let data = std::fs::read(&path).unwrap();
        let h = Header::parse(&data).unwrap();
        let s =
            |r: wim_format::resource::ResourceHeader| &data[r.offset as usize..r.end() as usize];
        let table = BlobTable::parse(s(h.blob_table), &h, |r| {
            SolidHeader::parse(&data[r.offset as usize..]) as Result<_, FormatError>
        })
        .unwrap();
        println!("{h:#x?}\n{table:#x?}");
        for m in &table.metadata {
            let md = Metadata::parse(s(m.resource)).unwrap();
            println!("sec {} {:?}", md.security().len(), md.warnings());
            for id in md.ids() {
                let d = md.dentry(id);
                println!(
                    "{:?} {} attr {:#x?} sec {} subdir {:#x} link {:#x} tag {:x?} {:x?} short {} unk {:x}",
                    id,
                    String::from_utf8_lossy(&md.path(id)),
                    d.attributes(),
                    d.security_id(),
                    d.subdir_offset(),
                    d.hard_link_group(),
                    d.reparse_tag(),
                    d.reparse_flags(),
                    d.short_name(),
                    d.unknown_field()
                );
                println!(
                    "     {} streams {:?} tagged {:?} {:?}",
                    d.write_time().0,
                    d.streams().collect::<Vec<_>>(),
                    d.tagged_items().collect::<Vec<_>>(),
                    d.unix_data()
                );
            }
        }
    }
}
