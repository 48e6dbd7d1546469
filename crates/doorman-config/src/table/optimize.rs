//! Directives of `optimize` among the options.

use super::Kind::{Any, Choice, Name, Number, Size};
use super::Within::{Optimize, Preset};
use super::options::OPTIONS_WITHIN;
use super::{Argument, Directive, one, optional, some};

const QUALITY: &[Argument] = &[
    one("N|FORMAT", Any("1 to 100, or avif, webp or jpeg and then that")),
    optional("N", Number(1, 100)),
];

const PIXELS: &[Argument] = &[one("PIXELS", Number(1, 16_383))];

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "optimize",
        OPTIONS_WITHIN,
        &[some(
            "KIND|off",
            Choice(&["images", "html", "css", "js", "json", "svg", "off"], &[]),
        )],
        "Make answers smaller that show the same, in the background; until that is done, and where it cannot be, the original is served. All but html need `cache`. Of each kind the nearest line holds; off ends all that a site or a policy set.",
        "optimize html css js",
    )
    .block(Optimize)
    .often()
    .default("off"),
    Directive::new("formats", &[Optimize], &[some("avif|webp|jpeg|png", Choice(&["avif", "webp", "jpeg", "png"], &[]))], "Formats that images are made in, the best first, for clients that say in Accept that they read them. JPEG and PNG are made of their own kind only.", "formats webp")
        .default("avif webp jpeg png"),
    Directive::new("quality", &[Optimize, Preset], QUALITY, "How good images are, on the scale of each format: of one, or of all that have no line of their own. PNG loses nothing.", "quality avif 55")
        .often()
        .default("80, of avif 60; in a `preset` that of `optimize images`"),
    Directive::new("resize", &[Optimize], &[one("PARAMETER", Any("the name of a parameter of the query"))], "The parameter of the query by which clients ask for one of `widths`, or for a `preset` by its name. Images never become larger.", "resize w")
        .default("no image changes its size"),
    Directive::new("widths", &[Optimize], &[some("PIXELS", Number(1, 16_383))], "Widths that images are made in, ascending, at most 32. Who asks for another one gets the next larger one.", "widths 320 640 1280 1920"),
    Directive::new("preset", &[Optimize], &[one("NAME", Name)], "A size and a quality by a name; at most 32.", "preset thumb { width 160; quality 70 }")
        .block(Preset)
        .often(),
    Directive::new("width", &[Preset], PIXELS, "Images of this preset are no wider.", "width 160"),
    Directive::new("height", &[Preset], PIXELS, "Images of this preset are no higher.", "height 160"),
    Directive::new("max-pixels", &[Optimize], &[one("N", Number(10_000, 1_000_000_000))], "Pixels of the largest image that is read.", "max-pixels 40000000")
        .default("40000000"),
    Directive::new("max-size", &[Optimize], &[one("SIZE", Size)], "Bytes of the largest original that is read, 1KiB to 256MiB. HTML is worked on as it passes, whatever its size.", "max-size 10MiB")
        .default("20MiB for images, 8MiB for texts"),
    Directive::new("hints", &[Optimize], &[one("on|off", Choice(&["on", "off"], &[]))], "Ask browsers in Accept-CH how wide they show images and how fine their screens are, and choose of `widths` by that.", "hints on")
        .default("off"),
];
