//! How a camera was held, as Exif tells it (Exif 2.32 section 4.6.4 A, tag 274).
//!
//! Only the first directory is read, and of it only this one number: nothing else of the metadata
//! has a say in how an image looks.

use super::numbers::{four, four_low, two, two_low};

/// What has to be done to the stored pixels before they are shown: first mirrored from left to
/// right, then turned clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Left and right are to be swapped.
    pub mirrored: bool,
    /// Quarter turns clockwise, at most three.
    pub turns: u8,
}

/// Entries of the first directory that are looked at. Cameras write a dozen or two.
const ENTRIES_MAX: u16 = 200;
const TAG_ORIENTATION: u16 = 274;
const TYPE_SHORT: u16 = 3;

impl Orientation {
    /// Whether pixels are shown as they are stored.
    #[must_use]
    pub fn is_upright(self) -> bool {
        self == Self::default()
    }

    /// Whether width and height change places.
    #[must_use]
    pub fn is_sideways(self) -> bool {
        self.turns % 2 == 1
    }

    /// By the number that Exif has for it; a number that it has not is upright, as browsers take it.
    fn of(number: u16) -> Self {
        let (mirrored, turns) = match number {
            2 => (true, 0),
            3 => (false, 2),
            4 => (true, 2),
            5 => (true, 3),
            6 => (false, 1),
            7 => (true, 1),
            8 => (false, 3),
            _ => (false, 0),
        };
        Self { mirrored, turns }
    }
}

/// What a block of Exif says, which begins with the header of TIFF. What cannot be read is upright.
pub(super) fn read(exif: &[u8]) -> Orientation {
    let number = match exif.first_chunk() {
        Some(b"MM\0*") => find(exif, two, four),
        Some(b"II*\0") => find(exif, two_low, four_low),
        _ => None,
    };
    number.map_or_else(Orientation::default, Orientation::of)
}

fn find(
    exif: &[u8],
    two: fn(&[u8], usize) -> Option<u16>,
    four: fn(&[u8], usize) -> Option<u32>,
) -> Option<u16> {
    let directory = exif.get(usize::try_from(four(exif, 4)?).ok()?..)?;
    let entries = two(directory, 0)?.min(ENTRIES_MAX);
    let starts = (0..usize::from(entries)).map(|entry| 2 + 12 * entry);
    for at in starts {
        if two(directory, at)? == TAG_ORIENTATION {
            let is_one_short =
                two(directory, at + 2)? == TYPE_SHORT && four(directory, at + 4)? == 1;
            return if is_one_short { two(directory, at + 8) } else { None };
        }
    }
    None
}
