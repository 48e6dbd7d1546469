//! The page: what its origin sends for each path.
//!
//! Texts are written as people write them, with indentation, comments and long names, and hold the
//! places where spaces, quotes, order or a line's end mean something.

use std::sync::LazyLock;

use crate::painting;

/// A resource of the page.
pub(crate) struct Resource {
    pub(crate) path: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Resource {
    /// Whether it is made of pixels.
    pub(crate) fn is_image(&self) -> bool {
        matches!(self.kind, "image/jpeg" | "image/png")
    }
}

/// The window in which the page is drawn; all of it is seen.
pub(crate) const WINDOW: (u32, u32) = (1000, 1700);

/// Where the images of pixels stand in the window: left, top, width, height.
pub(crate) const IMAGES: [(&str, [u32; 4]); 3] = [
    ("/photo.jpg", [20, 1000, 480, 320]),
    ("/chart.png", [520, 1000, 400, 320]),
    ("/logo.png", [20, 1340, 256, 256]),
];

/// All of the page, in the order in which a browser asks for it.
pub(crate) fn resources() -> &'static [Resource] {
    static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(made);
    &RESOURCES
}

/// The resource at a path.
pub(crate) fn resource(path: &str) -> Option<&'static Resource> {
    resources().iter().find(|resource| resource.path == path)
}

fn made() -> Vec<Resource> {
    let text = |path, kind, body: &str| Resource { path, kind, body: body.as_bytes().to_vec() };
    let image = |path, kind, body| Resource { path, kind, body };
    vec![
        text("/", "text/html; charset=utf-8", include_str!("page/index.html")),
        text("/style.css", "text/css", include_str!("page/style.css")),
        text("/script.js", "text/javascript", include_str!("page/script.js")),
        text("/data.json", "application/json", &data()),
        text("/drawing.svg", "image/svg+xml", include_str!("page/drawing.svg")),
        image("/photo.jpg", "image/jpeg", painting::photo(480, 320)),
        image("/chart.png", "image/png", painting::chart(400, 320)),
        image("/logo.png", "image/png", painting::logo(256)),
    ]
}

/// A table as an API gives it: indented, with escapes and numbers in every form.
fn data() -> String {
    let rows: Vec<String> = (0..60)
        .map(|n| {
            format!(
                "    {{\n      \"id\": {n},\n      \"name\": \"Item \\u2116 {n}  \\\"quoted\\\"\",\n      \
                 \"price\": {}.50,\n      \"weight\": {}e-1,\n      \"tags\": [ \"a b\", \"c\\td\", \"\\/\" ],\n      \
                 \"stock\": {}\n    }}",
                n * 37 % 211,
                n * 13 % 97,
                if n % 3 == 0 { "null" } else if n % 3 == 1 { "true" } else { "false" }
            )
        })
        .collect();
    format!(
        "{{\n  \"title\":  \"A   title with   spaces\",\n  \"rows\": [\n{}\n  ]\n}}\n",
        rows.join(",\n")
    )
}
