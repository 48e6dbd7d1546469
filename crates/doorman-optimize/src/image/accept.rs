//! Which format a client is to be sent (RFC 9110 section 12.5.1).
//!
//! Formats that not every client reads must be named: browsers of all ages send `*/*` for images,
//! and mean by it what they can read.

use doorman_http::coding::{WEIGHT_MAX, weight};

use super::Format;

/// Elements of an `Accept` that are looked at. Browsers send ten.
const ELEMENTS_MAX: usize = 64;

/// The format to make of an image that is in the format `source`, for a client that sends `accept`
/// (the values of several fields joined by commas; empty if it sends none). `offered` is in order of
/// preference among those that the client likes equally. It is `source` if nothing else will do.
#[must_use]
pub fn choose(accept: &[u8], offered: &[Format], source: Format) -> Format {
    let wishes = Wishes::of(accept);
    let mut best = (source, wishes.of_source(source));
    let mut is_offer = false;
    for &format in offered {
        let weight = match format {
            Format::Avif | Format::WebP => wishes.named(format),
            // What is not a new format is made only of itself.
            _ if format == source => wishes.of_source(source),
            _ => 0,
        };
        // The first offer wins against the source as it is.
        if weight > best.1 || (weight > 0 && weight == best.1 && !is_offer) {
            best = (format, weight);
            is_offer = true;
        }
    }
    best.0
}

/// Weights in thousandths. Named twice, the lower one counts: a client gets nothing that it might
/// not read.
#[derive(Debug, Default)]
struct Wishes {
    named: [Option<u16>; Format::ALL.len()],
    images: Option<u16>,
    all: Option<u16>,
    is_silent: bool,
}

impl Wishes {
    fn of(accept: &[u8]) -> Self {
        let mut wishes = Self { is_silent: accept.trim_ascii().is_empty(), ..Self::default() };
        for element in accept.split(|&b| b == b',').take(ELEMENTS_MAX) {
            let mut parts = element.split(|&b| b == b';').map(<[u8]>::trim_ascii);
            let range = parts.next().unwrap_or_default();
            let Some(weight) = weight_of(parts) else { continue };
            let slot = if range == b"*/*" {
                &mut wishes.all
            } else if range.eq_ignore_ascii_case(b"image/*") {
                &mut wishes.images
            } else {
                let is_named =
                    |format: &Format| range.eq_ignore_ascii_case(format.media_type().as_bytes());
                match Format::ALL.iter().position(is_named).and_then(|at| wishes.named.get_mut(at))
                {
                    Some(slot) => slot,
                    None => continue,
                }
            };
            *slot = Some(slot.map_or(weight, |before| before.min(weight)));
        }
        wishes
    }

    fn exactly(&self, format: Format) -> Option<u16> {
        let at = Format::ALL.iter().position(|&one| one == format)?;
        self.named.get(at).copied().flatten()
    }

    fn named(&self, format: Format) -> u16 {
        self.exactly(format).unwrap_or(0)
    }

    /// The most precise range counts.
    fn of_source(&self, source: Format) -> u16 {
        let said = self.exactly(source).or(self.images).or(self.all);
        said.unwrap_or(if self.is_silent { 1000 } else { 0 })
    }
}

/// The weight among the parameters of an element, one if there is none; `None` if it is no weight
/// (section 12.4.2).
fn weight_of<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    for parameter in parameters {
        if let Some((b"q=" | b"Q=", value)) = parameter.split_at_checked(2) {
            return weight(value);
        }
    }
    Some(WEIGHT_MAX)
}

#[cfg(test)]
mod tests {
    use super::Format::{Avif, Gif, Jpeg, Png, WebP};
    use super::*;

    const ALL: &[Format] = &[Avif, WebP, Jpeg, Png];

    #[test]
    fn formats_are_chosen_by_their_names() {
        let browsers = [
            ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", Avif),
            ("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", Avif),
            (
                "image/webp,image/avif,image/jxl,image/heic,video/*;q=0.8,image/*;q=0.8,*/*;q=0.5",
                Avif,
            ),
            ("image/webp,*/*", WebP),
            ("image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", Jpeg),
            ("*/*", Jpeg),
            ("", Jpeg),
            ("image/*", Jpeg),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
                Avif,
            ),
        ];
        for (accept, expected) in browsers {
            check(accept, ALL, Jpeg, expected);
        }
    }

    #[test]
    fn weights_count_before_the_order() {
        for (accept, offered, source, expected) in [
            ("image/avif;q=0.5,image/webp", ALL, Jpeg, WebP),
            ("image/avif;q=0.5,image/webp;q=0.5", ALL, Jpeg, Avif),
            ("image/avif,image/webp", &[WebP, Avif], Jpeg, WebP),
            ("image/avif;q=0,image/webp", ALL, Jpeg, WebP),
            ("image/webp;q=0", ALL, Jpeg, Jpeg),
            ("image/webp;q=0,image/webp", ALL, Jpeg, Jpeg),
            ("image/webp;q=0.4,image/*", ALL, Jpeg, Jpeg),
            ("image/webp;q=0.4,image/jpeg;q=0.3", ALL, Jpeg, WebP),
            ("image/webp;q=0.4,*/*;q=0.9,image/*;q=0.1", ALL, Jpeg, WebP),
            ("IMAGE/WEBP;Q=1.000", ALL, Jpeg, WebP),
            (" image/webp ; q=0.9 , */* ; q=0.1", ALL, Jpeg, WebP),
            ("image/webp;v=2;q=0.9", ALL, Jpeg, WebP),
            // No weight at all is no element; half of one is none either.
            ("image/webp;q=2", ALL, Jpeg, Jpeg),
            ("image/webp;q=0.1234", ALL, Jpeg, Jpeg),
            ("image/webp;q=", ALL, Jpeg, Jpeg),
            ("image/webp;q=.5", ALL, Jpeg, Jpeg),
            ("image/webpx, ximage/webp, webp", ALL, Jpeg, Jpeg),
        ] {
            check(accept, offered, source, expected);
        }
    }

    #[test]
    fn what_is_not_offered_is_not_chosen() {
        let all = "image/avif,image/webp,*/*;q=0.8";
        for (accept, offered, source, expected) in [
            (all, &[][..], Jpeg, Jpeg),
            (all, &[Jpeg, Png], Jpeg, Jpeg),
            (all, &[WebP], Png, WebP),
            (all, ALL, Gif, Avif),
            ("*/*", ALL, Gif, Gif),
            ("*/*", ALL, Png, Png),
            // The source is the last resort, even of a client that does not want it.
            ("image/png", ALL, WebP, WebP),
            ("image/jpeg", ALL, Png, Png),
            ("text/html", ALL, Jpeg, Jpeg),
        ] {
            check(accept, offered, source, expected);
        }
    }

    #[test]
    fn a_long_field_is_read_in_part() {
        let long = "a/b,".repeat(100) + "image/webp";
        check(&long, ALL, Jpeg, Jpeg);
    }

    fn check(accept: &str, offered: &[Format], source: Format, expected: Format) {
        assert_eq!(choose(accept.as_bytes(), offered, source), expected, "{accept:?}");
    }
}
