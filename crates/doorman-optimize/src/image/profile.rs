//! What the numbers of an image mean as colours: sRGB, or what a profile says (ICC.1:2022).
//!
//! Browsers take an image without a profile for sRGB. So a profile that says sRGB is left out, told
//! by what it computes and not by its name, and any other one goes along or the image stays as it
//! is: colours are never converted, so they cannot change.

use super::Refusal;
use super::numbers::four;
use super::raster::Layout;

/// How colours are described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    Srgb,
    /// By this profile, which fits the layout of the pixels.
    Icc(Vec<u8>),
}

/// Bytes of a profile that is carried along. Those of displays have a few thousand; those of
/// printers more than this, and they do not belong to pixels that are shown on a screen.
pub(super) const PROFILE_BYTES_MAX: usize = 512 << 10;

const HEADER_BYTES: usize = 128;
const TAGS_MAX: u32 = 100;
/// The primaries of sRGB as profiles have them, relative to D50.
const PRIMARIES: [(&[u8; 4], [f64; 3]); 3] = [
    (b"rXYZ", [0.436_07, 0.222_49, 0.013_92]),
    (b"gXYZ", [0.385_15, 0.716_87, 0.097_08]),
    (b"bXYZ", [0.143_07, 0.060_61, 0.714_10]),
];
/// Profiles of sRGB that are about differ in the third digit.
const PRIMARY_ERROR_MAX: f64 = 0.002;
/// Less than a step of eight bits at the places that are looked at.
const CURVE_ERROR_MAX: f64 = 0.003;
const CURVE_PLACES: [f64; 8] = [0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95];

/// What is to be kept of a profile, for pixels of a layout.
pub(super) fn colours(profile: Option<Vec<u8>>, layout: Layout) -> Result<Colours, Refusal> {
    let Some(profile) = profile else { return Ok(Colours::Srgb) };
    if is_srgb(&profile) {
        return Ok(Colours::Srgb);
    }
    let space: &[u8] = if layout == Layout::Grey { b"GRAY" } else { b"RGB " };
    let fits = profile.get(16..20) == Some(space) && profile.len() <= PROFILE_BYTES_MAX;
    if fits { Ok(Colours::Icc(profile)) } else { Err(Refusal::Profile) }
}

fn is_srgb(profile: &[u8]) -> bool {
    profile.get(16..20) == Some(b"RGB ") && computes_srgb(profile).unwrap_or(false)
}

fn computes_srgb(profile: &[u8]) -> Option<bool> {
    // Tables, where there are any, count before primaries and curves.
    if [b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1", b"cicp"]
        .iter()
        .any(|name| tag(profile, name).is_some())
    {
        return Some(false);
    }
    for (name, expected) in PRIMARIES {
        let value = tag(profile, name)?;
        for (at, expected) in (8..).step_by(4).zip(expected) {
            if (fixed(value, at)? - expected).abs() > PRIMARY_ERROR_MAX {
                return Some(false);
            }
        }
    }
    for name in [b"rTRC", b"gTRC", b"bTRC"] {
        let curve = tag(profile, name)?;
        for place in CURVE_PLACES {
            if (curve_at(curve, place)? - srgb_curve(place)).abs() > CURVE_ERROR_MAX {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// The value of a tag, from its type on.
fn tag<'a>(profile: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let tags = four(profile, HEADER_BYTES)?.min(TAGS_MAX);
    let table = profile.get(HEADER_BYTES + 4..)?;
    let found = table.chunks_exact(12).take(tags as usize).find(|entry| entry.starts_with(name))?;
    let at = usize::try_from(four(found, 4)?).ok()?;
    profile.get(at..)?.get(..usize::try_from(four(found, 8)?).ok()?)
}

/// A number of 16 bits before the point and 16 behind it.
fn fixed(bytes: &[u8], at: usize) -> Option<f64> {
    Some(f64::from(four(bytes, at)?.cast_signed()) / 65536.0)
}

fn srgb_curve(value: f64) -> f64 {
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// A curve's value (ICC.1:2022 sections 10.6 and 10.18); `None` for kinds that sRGB is not
/// written as.
fn curve_at(curve: &[u8], place: f64) -> Option<f64> {
    match curve.first_chunk()? {
        b"curv" => table_at(curve, place),
        b"para" if curve.get(8..10)? == [0, 3] => {
            let parameter = |number: usize| fixed(curve, 12 + 4 * number);
            let (gamma, a, b) = (parameter(0)?, parameter(1)?, parameter(2)?);
            let (c, d) = (parameter(3)?, parameter(4)?);
            Some(if place >= d { (a * place + b).powf(gamma) } else { c * place })
        }
        _ => None,
    }
}

fn table_at(curve: &[u8], place: f64) -> Option<f64> {
    let last = four(curve, 8)?.checked_sub(1).filter(|&last| last > 0)?;
    let entry = |number: u32| {
        let at = 12 + 2 * usize::try_from(number).ok()?;
        super::numbers::two(curve, at).map(|value| f64::from(value) / 65535.0)
    };
    let at = place * f64::from(last);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below `last`")]
    let low = at as u32;
    let (left, right) = (entry(low)?, entry((low + 1).min(last))?);
    Some(left + (right - left) * (at - f64::from(low)))
}
