//! The same page, drawn again and again: whatever doorman does to it, nobody sees it.

use crate::page::resources;
use crate::rig::{House, Visit};

/// A page that has been drawn has text, a photo and shades.
const COLOURS_MIN: usize = 5_000;

/// The page as its origin sends it.
fn original(house: &House) -> Visit {
    let visit = house.visit("plain");
    assert!(visit.picture.colours() > COLOURS_MIN, "it is not drawn: {}", visit.picture.colours());
    for resource in resources() {
        assert_eq!(visit.word(resource.path, "coding"), None, "{}", resource.path);
    }
    visit
}

#[test]
fn coded_pages_look_the_same() {
    let house = House::with(&[
        ("plain", ""),
        ("zstd", "compress zstd"),
        ("br", "compress br"),
        ("gzip", "compress gzip"),
    ]);
    let original = original(&house);
    // If the browser drew one page in two ways, a difference would say nothing.
    assert_eq!(house.visit("plain").picture.differing(&original.picture), None);
    for coding in ["zstd", "br", "gzip"] {
        let visit = house.visit(coding);
        assert_eq!(visit.picture.differing(&original.picture), None, "{coding}");
        for resource in resources() {
            let expected = (!resource.is_image()).then_some(coding);
            assert_eq!(
                visit.word(resource.path, "coding"),
                expected,
                "{}",
                visit.line(resource.path)
            );
        }
    }
}
