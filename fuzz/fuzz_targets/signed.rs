//! Any bytes as a signed statement, and as the document of a revision that is signed in one.
#![cfg_attr(fuzzing, no_main)]

use osupg::package::document::Document;
use osupg::trust::Envelope;

/// A document that is read is safe to lay out, and its canonical form is read as the same.
fn read_document(bytes: &[u8]) {
    let Ok(document) = Document::read(bytes) else { return };
    for entry in &document.entries {
        let path = entry.path.as_str();
        assert!(!path.starts_with('/') && !path.contains('\\'), "{path:?}");
        assert!(path.split('/').all(|name| !matches!(name, "" | "." | "..")), "{path:?}");
    }
    for (_, content) in document.files() {
        let sum: u64 = content.pieces.iter().map(|piece| piece.size).sum();
        assert_eq!(sum, content.size, "pieces make up their file");
    }
    let written = document.to_bytes().expect("what was read can be written");
    assert_eq!(Document::read(&written).expect("what was written can be read"), document);
}

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    read_document(input);
    let Ok(envelope) = Envelope::from_json(input) else { return };
    let again = Envelope::from_json(envelope.to_json().as_bytes());
    assert_eq!(again.expect("what was written can be read"), envelope);
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
