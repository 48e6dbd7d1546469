//! Why an image is left as it is.

/// Why there is no optimised form of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It moves; a still of it would be something else.
    Animated,
    /// It has more bytes than are looked at.
    TooLarge,
    /// It has more pixels than are decoded.
    TooManyPixels,
    /// Decoding or encoding it would take more memory or more steps than it may.
    TooCostly,
    /// Its bytes do not keep to its format, or are cut short.
    Corrupt,
    /// No image, or one of a kind that is not read (CMYK, 12 bits, arithmetic coding, ...), or
    /// one that cannot be had in the format that was asked for.
    Unsupported,
    /// Its colours are described in a way that the format asked for could not say again.
    Profile,
    /// It came out no smaller than it is.
    NotSmaller,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Animated,
        Self::TooLarge,
        Self::TooManyPixels,
        Self::TooCostly,
        Self::Corrupt,
        Self::Unsupported,
        Self::Profile,
        Self::NotSmaller,
    ];

    /// Its word in logs and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Animated => "animated",
            Self::TooLarge => "too-large",
            Self::TooManyPixels => "too-many-pixels",
            Self::TooCostly => "too-costly",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Profile => "profile",
            Self::NotSmaller => "not-smaller",
        }
    }

    /// Whether the same image may be had in another format nevertheless.
    #[must_use]
    pub fn is_of_format(self) -> bool {
        match self {
            Self::TooCostly | Self::Unsupported | Self::Profile | Self::NotSmaller => true,
            Self::Animated | Self::TooLarge | Self::TooManyPixels | Self::Corrupt => false,
        }
    }
}
