//! What a browser has drawn, and how two drawings differ.

use std::path::Path;

use image::RgbImage;

use crate::page::IMAGES;

/// A screenshot.
pub(crate) struct Picture(pub(crate) RgbImage);

impl Picture {
    /// Reads it; `said` is what the browser said while it drew.
    pub(crate) fn read(file: &Path, said: &str) -> Self {
        let image = image::open(file).unwrap_or_else(|error| panic!("{error}: {said}"));
        Self(image.to_rgb8())
    }

    /// Pixels of another colour, with the first of them.
    pub(crate) fn differing(&self, other: &Self) -> Option<(usize, (u32, u32))> {
        self.differing_where(other, |_, _| true)
    }

    /// As [`Self::differing`], without the places of the images.
    pub(crate) fn differing_beside_images(&self, other: &Self) -> Option<(usize, (u32, u32))> {
        let inside = |x: u32, y: u32| {
            IMAGES.iter().any(|(_, [left, top, width, height])| {
                (*left..left + width).contains(&x) && (*top..top + height).contains(&y)
            })
        };
        self.differing_where(other, |x, y| !inside(x, y))
    }

    fn differing_where(
        &self,
        other: &Self,
        counts: impl Fn(u32, u32) -> bool,
    ) -> Option<(usize, (u32, u32))> {
        assert_eq!(self.0.dimensions(), other.0.dimensions());
        let mut places = self
            .0
            .enumerate_pixels()
            .filter(|(x, y, pixel)| other.0.get_pixel(*x, *y) != *pixel && counts(*x, *y))
            .map(|(x, y, _)| (x, y));
        let first = places.next()?;
        Some((places.count() + 1, first))
    }

    /// How far the colours of an image are from those of the other one, on average, for each of red,
    /// green and blue, of 255.
    pub(crate) fn mean_difference(&self, other: &Self, path: &str) -> [f64; 3] {
        let (_, [left, top, width, height]) =
            IMAGES.iter().find(|(name, _)| *name == path).expect("an image of the page");
        let mut sums = [0_u64; 3];
        for x in *left..left + width {
            for y in *top..top + height {
                let (one, two) = (self.0.get_pixel(x, y).0, other.0.get_pixel(x, y).0);
                for n in 0..3 {
                    sums[n] += u64::from(one[n].abs_diff(two[n]));
                }
            }
        }
        sums.map(|sum| sum as f64 / f64::from(width * height))
    }

    /// How many colours it has: a page that was not drawn has few.
    pub(crate) fn colours(&self) -> usize {
        let colours: std::collections::HashSet<_> = self.0.pixels().map(|pixel| pixel.0).collect();
        colours.len()
    }
}
