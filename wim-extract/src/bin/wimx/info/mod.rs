//! `wimx info`: shows a file and its images, or changes what is said of them.

mod change;
mod header;
mod print;
mod view;

use std::fs;
use std::io::Write;

use serde::Serialize;
use serde_json::Value;
use wim_extract::archive::{ImageIndex, Wim};
use wim_extract::error::Action;
use wim_extract::{Cancel, Error};
use wim_format::xml::WimXml;

use self::view::{ImageView, WimView};
use crate::args::{Global, InfoArgs};
use crate::bar::Bar;
use crate::blobs::BlobView;
use crate::failure::{self, Failure};
use crate::{interrupt, open, stdout};

/// Runs the command.
pub(crate) fn run(args: &InfoArgs, global: &Global) -> Result<(), Failure> {
    let bar = Bar::new(global);
    let changes = change::is_wanted(args);
    let cancel = if args.check || changes { interrupt::obey() } else { Cancel::new() };
    if args.check {
        open::check(&args.wim, &[], global, &bar, &cancel)?;
    }
    let wim = open::archive(&args.wim, &[], global, &bar)?;
    if changes {
        return change::run(wim, args, global, &bar, &cancel);
    }
    let images = match &args.image {
        Some(operand) => wim.resolve(operand)?,
        None => wim.images().collect(),
    };
    if let Some(path) = &args.extract_xml {
        let written = fs::write(path, wim.xml().to_bytes());
        let written = written.map_err(Error::io(Action::Create, path));
        written.map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let what = Show { wim: &wim, args, images };
    match global.json {
        true => what.json(),
        false => what.text(),
    }
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    wim: WimView,
    images: Vec<ImageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blobs: Option<Vec<BlobView>>,
    /// The XML document as a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    xml: Option<String>,
    warnings: &'a [String],
}

/// What is to be shown.
struct Show<'a> {
    wim: &'a Wim,
    args: &'a InfoArgs,
    images: Vec<ImageIndex>,
}

impl Show<'_> {
    fn text(&self) -> Result<(), Failure> {
        let args = self.args;
        if args.blobs && self.wim.header().total_parts > 1 {
            let header = self.wim.header();
            failure::warning(&format!(
                "{}: these are the blobs of part {} of {} only",
                self.wim.name(),
                header.part_number,
                header.total_parts
            ));
        }
        stdout::with(|out| {
            if args.header {
                header::print(out, self.wim.header())?;
            }
            if args.blobs {
                self.blobs().try_for_each(|blob| blob.print(out))?;
            }
            if !(args.header || args.blobs || args.xml || args.extract_xml.is_some()) {
                self.summary(out)?;
            }
            Ok(())
        })?;
        if args.xml {
            stdout::bytes()?.write_all(&self.wim.xml().to_bytes())?;
        }
        Ok(())
    }

    fn summary(&self, out: &mut impl Write) -> Result<(), Failure> {
        let xml = self.wim.xml();
        let views = self.image_views(xml);
        let one = self.args.image.is_some().then_some(views.as_slice());
        if let Some([view]) = one {
            return Ok(print::single_image(out, view)?);
        }
        print::wim(out, &self.wim_view(xml))?;
        Ok(print::images(out, &views)?)
    }

    fn json(&self) -> Result<(), Failure> {
        let xml = self.wim.xml();
        let args = self.args;
        stdout::json(&Document {
            wim: self.wim_view(xml),
            images: self.image_views(xml),
            header: args.header.then(|| header::json(self.wim.header())),
            blobs: args.blobs.then(|| self.blobs().collect()),
            xml: args.xml.then(|| xml.to_text()),
            warnings: self.wim.warnings(),
        })
    }

    fn wim_view(&self, xml: &WimXml) -> WimView {
        WimView::new(self.wim, xml, self.args.wim.display().to_string())
    }

    fn image_views(&self, xml: &WimXml) -> Vec<ImageView> {
        let described = |image: &ImageIndex| xml.image(image.get()).unwrap_or_default();
        self.images.iter().map(described).map(ImageView::from).collect()
    }

    /// The blobs of the file itself, metadata first, each in the order of its table.
    fn blobs(&self) -> impl Iterator<Item = BlobView> {
        let metadata = self.wim.images().filter_map(|image| self.wim.metadata_entry(image).ok());
        let metadata = metadata.map(|entry| BlobView::of_metadata(self.wim, entry));
        metadata.chain(self.wim.blobs().map(|(id, _)| BlobView::of(self.wim, id)))
    }
}
