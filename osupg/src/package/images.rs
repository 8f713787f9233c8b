//! What the WIM files of media say about their images, and where such files are cut.

use std::sync::Arc;

use wim_extract::archive::Wim;
use wim_extract::source::Source;
use wim_extract::verify;
use wim_extract::{Cancel, export, progress as engine};
use wim_format::Codec;
use wim_format::blob_table::BlobPlace;
use wim_format::xml::{Architecture, ImageXml, WimXml};

use super::model::ImageFacts;
use super::select;
use crate::error::{Error, Result};
use crate::progress::{FromEngine, Phase, Watch};
use crate::store::cut::{self, Span};
use crate::text;
use crate::time::FileTime;

/// Problems that one error lists.
const MAX_LISTED: usize = 20;

/// An open WIM with its XML.
pub(crate) struct OpenWim {
    pub wim: Wim,
    xml: WimXml,
}

impl OpenWim {
    /// Opens the WIM in `source`; `parts` are the other parts of a split set.
    pub(crate) fn open(source: Arc<dyn Source>, parts: Vec<Arc<dyn Source>>) -> Result<Self> {
        let wim = Wim::from_source(source, parts).map_err(|error| from_engine(&error))?;
        Self::of(wim)
    }

    /// Reads the XML of an open WIM.
    pub(crate) fn of(wim: Wim) -> Result<Self> {
        let xml = WimXml::parse(wim.xml_bytes()).map_err(|error| {
            Error::damaged(format!("{}: XML data: {error}", text::clean(&wim.name())))
        })?;
        Ok(Self { wim, xml })
    }

    /// What it says about its images.
    pub(crate) fn facts(&self) -> Vec<ImageFacts> {
        self.xml.images().iter().map(facts_of).collect()
    }

    /// The XML of one image, as a document of its own.
    pub(crate) fn image_xml(&self, index: u32) -> Result<String> {
        let mut alone = WimXml::new();
        alone.copy_image(&self.xml, index).map_err(|error| {
            Error::damaged(format!("{}: XML data: {error}", text::clean(&self.wim.name())))
        })?;
        Ok(alone.to_text())
    }

    /// Where the file is cut: between its resources.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let Some(part) = self.wim.parts().first() else { return Vec::new() };
        let blobs = part.blobs.blobs.iter().filter_map(|blob| match blob.place {
            BlobPlace::Resource(place) => Some((place, mark(&blob.hash.0))),
            BlobPlace::Solid { .. } => None,
        });
        // A solid resource is always far larger than a piece, so its mark does not matter.
        let solid = part.blobs.solid.iter().map(|solid| (solid.resource, u32::MAX));
        let metadata =
            part.blobs.metadata.iter().map(|entry| (entry.resource, mark(&entry.hash.0)));
        let resources = blobs
            .chain(solid)
            .chain(metadata)
            .map(|(place, mark)| cut::Resource { offset: place.offset, len: place.size, mark })
            .collect();
        cut::wim(part.source.len(), resources)
    }

    /// A WIM that holds some of its images and nothing else, made as it is read.
    pub(crate) fn images(&self, indexes: &[u32]) -> Result<Arc<dyn Source>> {
        let image = |index: &u32| {
            self.wim.image(*index).ok_or_else(|| {
                Error::usage(format!("{} has no image {index}", text::clean(&self.wim.name())))
            })
        };
        let images = indexes.iter().map(image).collect::<Result<Vec<_>>>()?;
        let options = export::Options { guid: Some(self.guid_of(indexes)), ..Default::default() };
        let cancel = Cancel::new();
        let name = format!("{} ({})", self.wim.name(), select::kept_words(Some(indexes)));
        export::plan(&self.wim, &images, &options, &cancel)
            .and_then(|plan| plan.source(name, &cancel))
            .map_err(|error| from_engine(&error))
    }

    /// The GUID of the WIM with some images: always the same for the same images of the same WIM,
    /// so that taking them out twice gives the same bytes. It has the form of a random one
    /// (RFC 9562).
    fn guid_of(&self, indexes: &[u32]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"osupg: one image").update(&self.wim.header().guid);
        for index in indexes {
            hasher.update(&index.to_le_bytes());
        }
        hasher.update(self.wim.xml_bytes());
        let digest = hasher.finalize();
        let mut guid: [u8; 16] = std::array::from_fn(|at| digest.as_bytes()[at]);
        // In a WIM the first three fields are little-endian: the version is in byte 7.
        guid[7] = guid[7] & 0x0f | 0x80;
        guid[8] = guid[8] & 0x3f | 0x80;
        guid
    }

    /// How its resources are compressed, in a word or two.
    pub(crate) fn compression(&self) -> String {
        let part = self.wim.parts().first();
        let solid = part.is_some_and(|part| !part.blobs.solid.is_empty());
        let codec = match self.wim.codec() {
            None => "none",
            Some(Codec::Xpress) => "XPRESS",
            Some(Codec::Lzx) => "LZX",
            Some(Codec::Lzms) => "LZMS",
        };
        if solid { format!("{codec}, solid") } else { codec.to_string() }
    }

    /// Decodes every blob and checks it against its SHA-1, and every image's metadata. Returns how
    /// many images that were.
    ///
    /// # Errors
    /// When anything is damaged or missing: the error lists the files.
    pub(crate) fn verify(&self, watch: Watch<'_>) -> Result<u32> {
        let watched = engine::Phase::Verify;
        let watcher = FromEngine { to: watch.progress, phase: Phase::VerifyImages, watched };
        let outcome = verify::run(&self.wim, &verify::Options::default(), &watcher, watch.cancel)
            .map_err(|error| from_engine(&error))?;
        if outcome.is_sound() {
            return Ok(outcome.images);
        }
        let mut message = format!("{} is damaged:", text::clean(&self.wim.name()));
        for problem in outcome.problems.iter().take(MAX_LISTED) {
            message.push_str(&format!("\n  {}", text::clean(&problem.to_string())));
        }
        if outcome.problems.len() > MAX_LISTED {
            message.push_str(&format!("\n  and {} more", outcome.problems.len() - MAX_LISTED));
        }
        Err(Error::damaged(message).advise("get the media again from where they came from"))
    }
}

/// The first bits of a SHA-1.
fn mark(hash: &[u8; 20]) -> u32 {
    u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn facts_of(image: &ImageXml) -> ImageFacts {
    let say = |text: &Option<String>| text.clone().unwrap_or_default();
    let time = |time: &Option<wim_format::time::FileTime>| {
        time.map_or_else(String::new, |time| {
            let (seconds, nanos) = time.to_unix();
            FileTime { seconds, nanos }.rfc3339()
        })
    };
    let windows = image.windows.clone().unwrap_or_default();
    let version = windows.version.unwrap_or_default();
    let dotted = |numbers: &[Option<u64>]| {
        let known: Vec<_> = numbers.iter().map_while(|n| n.map(|n| n.to_string())).collect();
        known.join(".")
    };
    ImageFacts {
        index: image.index,
        name: say(&image.name),
        description: say(&image.description),
        display_name: say(&image.display_name),
        edition: say(&windows.edition_id.or_else(|| image.flags.clone())),
        architecture: windows.architecture.map(architecture_word).unwrap_or_default(),
        version: dotted(&[version.major, version.minor, version.build, version.spbuild]),
        build: dotted(&[version.build, version.spbuild]),
        installation_type: say(&windows.installation_type),
        languages: windows.languages,
        default_language: say(&windows.default_language),
        folders: image.dir_count.unwrap_or_default(),
        files: image.file_count.unwrap_or_default(),
        size: image.total_bytes.unwrap_or_default(),
        created: time(&image.creation_time),
        modified: time(&image.modification_time),
    }
}

fn architecture_word(architecture: Architecture) -> String {
    match architecture {
        Architecture::X86 => "x86".into(),
        Architecture::Arm => "arm".into(),
        Architecture::Ia64 => "ia64".into(),
        Architecture::Amd64 => "x64".into(),
        Architecture::Arm64 => "arm64".into(),
        Architecture::Other(number) => format!("architecture {number}"),
    }
}

/// An error of the engine as one of ours.
pub(crate) fn from_engine(error: &wim_extract::Error) -> Error {
    use wim_extract::Error as Engine;
    let shown = error.to_string();
    let message = text::clean(&shown);
    match error {
        Engine::Cancelled => Error::cancelled(),
        Engine::Unsupported(_) | Engine::Usage(_) | Engine::NoSuchImage { .. } => {
            Error::usage(message)
        }
        Engine::Encrypted { .. } | Engine::NotFirstPart { .. } | Engine::SplitSet { .. } => {
            Error::usage(message)
        }
        Engine::Malformed { .. }
        | Engine::Damaged { .. }
        | Engine::MissingBlob { .. }
        | Engine::Integrity { .. } => Error::damaged(message),
        _ => Error::io(message),
    }
}
