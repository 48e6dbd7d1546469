//! The same page, drawn again and again: whatever doorman does to it, nobody sees it.

use crate::page::{resource, resources};
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

/// Kinds of text that are made smaller, by their paths.
const TEXTS: [(&str, &str); 5] = [
    ("/", "html"),
    ("/style.css", "css"),
    ("/script.js", "js"),
    ("/data.json", "json"),
    ("/drawing.svg", "svg"),
];

/// Asks until the smaller form of every text is there, as it is and coded.
fn settle_texts(house: &House, site: &str, coding: &str) {
    for (path, _) in TEXTS {
        let original = resource(path).expect("a resource of the page").body.len();
        house.settle(site, path, "identity", |reply| reply.body.len() < original);
        house.settle(site, path, coding, |reply| reply.field("content-encoding") == Some(coding));
    }
}

#[test]
fn smaller_texts_look_the_same() {
    let house = House::with(&[
        ("plain", ""),
        ("passing", "optimize html"),
        ("small", "cache main; optimize html css js json svg; compress br"),
    ]);
    let original = original(&house);
    let passing = house.visit("passing");
    assert_eq!(passing.word("/", "optimized"), Some("html"), "{}", passing.line("/"));
    assert_eq!(passing.picture.differing(&original.picture), None);
    settle_texts(&house, "small", "br");
    let small = house.visit("small");
    for (path, kind) in TEXTS {
        assert_eq!(small.word(path, "optimized"), Some(kind), "{}", small.line(path));
        assert_eq!(small.word(path, "coding"), Some("br"), "{}", small.line(path));
    }
    assert_eq!(small.picture.differing(&original.picture), None);
}

/// How far a colour of a photo may be from that of its original on average, of 255: what nobody sees
/// beside it at quality 80.
const DIFFERENCE_MAX: f64 = 6.0;

#[test]
fn smaller_images_look_the_same_or_nearly() {
    let house = House::with(&[
        ("plain", ""),
        ("png", "cache main; optimize images { formats png }"),
        ("webp", "cache main; optimize images { formats webp }"),
        ("avif", "cache main; optimize images { formats avif webp }"),
    ]);
    let original = original(&house);
    let images: Vec<_> = resources().iter().filter(|resource| resource.is_image()).collect();
    for (site, kinds) in [("png", &["png"][..]), ("webp", &["webp"]), ("avif", &["avif", "webp"])] {
        for image in images.iter().filter(|image| site != "png" || image.kind == "image/png") {
            house.settle(site, image.path, "identity", |reply| reply.body.len() < image.body.len());
        }
        let visit = house.visit(site);
        for image in &images {
            let kind = visit.word(image.path, "optimized");
            if site == "png" && image.kind != "image/png" {
                assert_eq!(kind, None, "{}", visit.line(image.path));
                continue;
            }
            assert!(kind.is_some_and(|kind| kinds.contains(&kind)), "{}", visit.line(image.path));
        }
        assert_eq!(visit.picture.differing_beside_images(&original.picture), None, "{site}");
        if site == "png" {
            assert_eq!(visit.picture.differing(&original.picture), None, "nothing is lost");
        }
        for image in &images {
            let far = visit.picture.mean_difference(&original.picture, image.path);
            let is_near = far.iter().all(|far| *far <= DIFFERENCE_MAX);
            assert!(is_near, "{site} {} {far:?}", image.path);
        }
    }
}

/// What a page weighs in each form. The table is in docs/optimisation.md.
#[test]
fn the_page_gets_lighter_with_every_step() {
    let house = House::with(&[
        ("coded", "cache main; compress br"),
        (
            "small",
            "cache main; optimize html css js json svg; optimize images { formats avif webp }; compress br",
        ),
    ]);
    println!("| resource | as it is | brotli | smaller | smaller, brotli |\n|---|---|---|---|---|");
    let mut sums = [0; 4];
    for resource in resources() {
        let original = resource.body.len();
        let is_smaller = |reply: &doorman_testkit::reply::Reply| reply.body.len() < original;
        let small = house.settle("small", resource.path, "identity", is_smaller).body.len();
        let is_coded = |reply: &doorman_testkit::reply::Reply| {
            resource.is_image() || reply.field("content-encoding") == Some("br")
        };
        // Twice asked for, and then made at the level for what is kept.
        let coded = |site: &str| {
            let mut least = house.settle(site, resource.path, "br", is_coded).body.len();
            for _ in 0..3 {
                least = least.min(house.get(site, resource.path, "br").body.len());
            }
            least
        };
        let sizes = [original, coded("coded"), small, coded("small")];
        assert!(sizes[3] <= sizes[2] && sizes[2] < sizes[0], "{} {sizes:?}", resource.path);
        sums.iter_mut().zip(sizes).for_each(|(sum, size)| *sum += size);
        println!(
            "| {} | {} | {} | {} | {} |",
            resource.path, sizes[0], sizes[1], sizes[2], sizes[3]
        );
    }
    println!("| all | {} | {} | {} | {} |", sums[0], sums[1], sums[2], sums[3]);
    assert!(sums[1] < sums[0] && sums[2] < sums[0] && sums[3] < sums[1].min(sums[2]));
}
