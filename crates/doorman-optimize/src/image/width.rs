//! How wide an image is wanted: by the request's query, or by what a browser says of its screen.
//!
//! Only widths of a list are made, so that nobody can have the same image computed and stored in a
//! thousand widths by counting up.

/// The widths that are made, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Widths(Box<[u32]>);

impl Widths {
    /// Of a list in any order; zero is no width.
    #[must_use]
    pub fn new(mut widths: Vec<u32>) -> Self {
        widths.retain(|&width| width > 0);
        widths.sort_unstable();
        widths.dedup();
        Self(widths.into_boxed_slice())
    }

    /// The widths, ascending.
    #[must_use]
    pub fn all(&self) -> &[u32] {
        &self.0
    }

    /// The smallest one that is at least as wide, or else the largest; `None` if there are none.
    #[must_use]
    pub fn at_least(&self, width: u32) -> Option<u32> {
        let enough = self.0.iter().find(|&&one| one >= width);
        enough.or(self.0.last()).copied()
    }
}

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One of the widths of the list.
    Width(u32),
    /// A preset, by its place among the names.
    Preset(usize),
}

/// What the value of the query's parameter for resizing asks for: a number of pixels, or the name of
/// a preset. `None` for zero, for what is neither, and for a name that nobody has given.
#[must_use]
pub fn asked(value: &[u8], widths: &Widths, presets: &[impl AsRef<[u8]>]) -> Option<Asked> {
    if value.iter().all(u8::is_ascii_digit) {
        let width = whole(value).filter(|&width| width > 0)?;
        return widths.at_least(width).map(Asked::Width);
    }
    presets.iter().position(|name| name.as_ref() == value).map(Asked::Preset)
}

/// The fields by which a browser tells what it is going to do with an image: the values of
/// `Sec-CH-Width` (else `Width`), `Sec-CH-DPR` (else `DPR`), `Sec-CH-Viewport-Width` (else
/// `Viewport-Width`) and `Save-Data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    /// The width of the image in pixels of the screen.
    pub width: Option<&'a [u8]>,
    /// Pixels of the screen for one of the page.
    pub dpr: Option<&'a [u8]>,
    /// The width of the window in pixels of the page.
    pub viewport_width: Option<&'a [u8]>,
    /// Whether the client pays for every byte.
    pub save_data: Option<&'a [u8]>,
}

impl Hints<'_> {
    /// The width of the list that serves them best. An image is never wider than the window, as far
    /// as anybody knows; where bytes are to be saved, a pixel of the page gets one pixel and no
    /// more. `None` if nothing is known.
    #[must_use]
    pub fn width(&self, widths: &Widths) -> Option<u32> {
        let dpr = self.dpr.and_then(thousandths).filter(|&dpr| dpr > 0);
        let pixels = match (self.width.and_then(whole), self.viewport_width.and_then(whole)) {
            (Some(width), _) if self.saves_data() => {
                u64::from(width) * 1000 / dpr.map_or(1000, |dpr| u64::from(dpr.max(1000)))
            }
            (Some(width), _) => u64::from(width),
            (None, Some(viewport)) if self.saves_data() => u64::from(viewport),
            (None, Some(viewport)) => u64::from(viewport) * u64::from(dpr.unwrap_or(1000)) / 1000,
            (None, None) => return None,
        };
        let pixels = u32::try_from(pixels).unwrap_or(u32::MAX);
        if pixels == 0 { None } else { widths.at_least(pixels) }
    }

    /// Whether `Save-Data` is on.
    #[must_use]
    pub fn saves_data(&self) -> bool {
        self.save_data.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"on"))
    }
}

/// A number without sign and fraction (RFC 9651 section 3.3.1); what is too large is as large as can
/// be.
fn whole(value: &[u8]) -> Option<u32> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u32, digit: &u8| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

/// A number with at most three digits behind its point (RFC 9651 section 3.3.2), in thousandths.
fn thousandths(value: &[u8]) -> Option<u32> {
    let value = value.trim_ascii();
    let Some(point) = value.iter().position(|&b| b == b'.') else {
        return Some(whole(value)?.saturating_mul(1000));
    };
    let (before, fraction) = (value.get(..point)?, value.get(point + 1..)?);
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| (1..=3).contains(digits))?;
    let fraction = whole(fraction)? * 10_u32.pow(3 - digits);
    Some(whole(before)?.saturating_mul(1000).saturating_add(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widths() -> Widths {
        Widths::new(vec![1280, 320, 640, 0, 640, 1920])
    }

    #[test]
    fn a_list_is_put_in_order() {
        assert_eq!(widths().all(), [320, 640, 1280, 1920]);
        assert_eq!(Widths::new(Vec::new()).at_least(1), None);
    }

    #[test]
    fn queries_ask_for_what_there_is() {
        for (value, expected) in [
            ("640", Some(Asked::Width(640))),
            ("1", Some(Asked::Width(320))),
            ("641", Some(Asked::Width(1280))),
            ("1920", Some(Asked::Width(1920))),
            ("1921", Some(Asked::Width(1920))),
            ("99999999999999999999", Some(Asked::Width(1920))),
            ("0", None),
            ("", None),
            ("-5", None),
            ("640px", None),
            ("6.4", None),
            ("thumb", Some(Asked::Preset(0))),
            ("2x", Some(Asked::Preset(1))),
            ("Thumb", None),
            ("large", None),
        ] {
            assert_eq!(asked(value.as_bytes(), &widths(), &["thumb", "2x"]), expected, "{value}");
        }
        assert_eq!(asked(b"640", &Widths::default(), &["thumb"]), None);
    }

    #[test]
    fn hints_ask_for_what_there_is() {
        for (width, dpr, viewport, save_data, expected) in [
            ("", "", "", "", None),
            ("600", "", "", "", Some(640)),
            ("600", "2.0", "", "", Some(640)),
            ("600", "2.0", "", "on", Some(320)),
            ("600", "", "", "on", Some(640)),
            ("600", "0.5", "", "on", Some(640)),
            ("", "", "1000", "", Some(1280)),
            ("", "2", "400", "", Some(1280)),
            ("", "2.5", "400", "", Some(1280)),
            ("", "2", "400", "on", Some(640)),
            ("600", "", "1500", "", Some(640)),
            ("99999999999", "99999999999", "99999999999", "", Some(1920)),
            ("99999999999", "0.001", "1", "ON", Some(1920)),
            ("0", "", "", "", None),
            ("", "0", "400", "", Some(640)),
            ("x", "", "", "", None),
            ("-600", "", "", "", None),
            ("", "1.2345", "600", "", Some(640)),
            ("", "1.", "600", "", Some(640)),
            ("", ".5", "600", "", Some(640)),
        ] {
            let field = |text: &'static str| Some(text.as_bytes()).filter(|text| !text.is_empty());
            let hints = Hints {
                width: field(width),
                dpr: field(dpr),
                viewport_width: field(viewport),
                save_data: field(save_data),
            };
            assert_eq!(
                hints.width(&widths()),
                expected,
                "{width:?} {dpr:?} {viewport:?} {save_data:?}"
            );
        }
    }
}
