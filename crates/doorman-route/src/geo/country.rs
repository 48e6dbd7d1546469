//! Sets of countries.

use std::fmt;

/// Countries, by their codes of two letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CountrySet([u64; 11]);

/// A text that is no code of a country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountryError(Box<str>);

impl fmt::Display for CountryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(found) = self;
        match found.to_ascii_uppercase().as_str() {
            "UK" => write!(f, "\"{found}\" is no code of a country; write GB"),
            "EN" => write!(f, "\"{found}\" is no code of a country; write GB, US or another"),
            "EU" => write!(f, "\"{found}\" is no code of a country; write those of its members"),
            _ => write!(
                f,
                "\"{found}\" is no code of a country; write two letters of ISO 3166-1, such as DE"
            ),
        }
    }
}

impl std::error::Error for CountryError {}

impl CountrySet {
    /// The set of these countries: codes of ISO 3166-1 in any case, and `XK`, which is in use for Kosovo.
    ///
    /// # Errors
    /// The first text that is no such code.
    pub fn new<'a>(codes: impl IntoIterator<Item = &'a str>) -> Result<Self, CountryError> {
        let mut set = Self::default();
        for code in codes {
            let upper = code.to_ascii_uppercase();
            let known = CODES.split_ascii_whitespace().any(|known| known == upper);
            let place = upper.as_bytes().try_into().ok().filter(|_| known).and_then(place);
            let (word, bit) = place.ok_or_else(|| CountryError(code.chars().take(40).collect()))?;
            set.0[word] |= bit;
        }
        Ok(set)
    }

    /// Whether this country, in capital letters, is in the set.
    #[must_use]
    pub fn contains(&self, code: [u8; 2]) -> bool {
        place(code).is_some_and(|(word, bit)| self.0[word] & bit != 0)
    }
}

/// Which bit stands for a code of two capital letters: 26 * 26 are fewer than 11 * 64.
fn place([a, b]: [u8; 2]) -> Option<(usize, u64)> {
    let letter = |byte: u8| byte.is_ascii_uppercase().then(|| usize::from(byte - b'A'));
    let at = letter(a)? * 26 + letter(b)?;
    Some((at / 64, 1 << (at % 64)))
}

/// The codes that ISO 3166-1 assigns, and `XK`.
const CODES: &str = "
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR
GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT
JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY
MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM
PA PE PF PG PH PK PL PM PN PR PS PT PW PY
QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ
TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        assert_eq!(CODES.split_ascii_whitespace().count(), 249 + 1);
        let set = CountrySet::new(["de", "FR", "ZW", "AD"]).unwrap();
        for (code, expect) in [
            (*b"DE", true),
            (*b"FR", true),
            (*b"ZW", true),
            (*b"AD", true),
            (*b"AE", false),
            (*b"de", false),
            ([0, 0], false),
            ([0xFF, b'A'], false),
        ] {
            assert_eq!(set.contains(code), expect, "{code:?}");
        }
        for code in CODES.split_ascii_whitespace() {
            let set = CountrySet::new([code]).unwrap();
            let others = CODES
                .split_ascii_whitespace()
                .filter(|other| set.contains(other.as_bytes().try_into().unwrap()));
            assert_eq!(others.collect::<Vec<_>>(), [code]);
        }
    }

    #[test]
    fn texts_that_are_no_country() {
        for (text, expect) in [
            ("UK", "\"UK\" is no code of a country; write GB"),
            ("", "\"\" is no code of a country; write two letters of ISO 3166-1, such as DE"),
            ("DEU", "\"DEU\" is no code of a country; write two letters of ISO 3166-1, such as DE"),
            (
                "D\u{e9}",
                "\"D\u{e9}\" is no code of a country; write two letters of ISO 3166-1, such as DE",
            ),
        ] {
            assert_eq!(CountrySet::new(["DE", text]).unwrap_err().to_string(), expect);
        }
    }
}
