//! Texts that compress as pages, scripts and records of real sites do, about four to seven times: a filler of
//! one byte would say nothing about a coder, and random bytes the opposite. They are made anew from a fixed
//! seed each time, so that the origin and whoever checks an answer have the same.

/// What a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A page with its head, links and paragraphs.
    Html,
    /// A script with functions as people write them.
    Script,
    /// Records of a shop.
    Json,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Html, Self::Script, Self::Json];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Script => "js",
            Self::Json => "json",
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html",
            Self::Script => "text/javascript",
            Self::Json => "application/json",
        }
    }

    /// So many bytes, all of them ASCII; where they end the text is cut.
    pub(crate) fn text(self, bytes: usize) -> Vec<u8> {
        let mut writer = Writer::new(self as u64 + 1);
        let (mut text, mut number) = (beginning(self).to_owned(), 1000);
        while text.len() < bytes {
            number += writer.next() % 5 + 1;
            text += &match self {
                Self::Html => article(&mut writer, number),
                Self::Script => function(&mut writer),
                Self::Json => record(&mut writer, number),
            };
        }
        text.truncate(bytes);
        text.into_bytes()
    }
}

/// Words that a text has to choose from; it takes the first ones much more often.
const WORDS: usize = 2000;
const ONSETS: [&str; 18] =
    ["b", "br", "c", "d", "f", "g", "gr", "h", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v"];
const MIDDLES: [&str; 9] = ["a", "e", "i", "o", "u", "ai", "ea", "ou", "ie"];
const ENDS: [&str; 14] = ["", "n", "r", "s", "t", "l", "nd", "st", "ck", "m", "ng", "x", "", "th"];
/// The small words that hold sentences together.
const GLUE: [&str; 16] = [
    "the", "of", "and", "to", "a", "in", "is", "that", "for", "it", "with", "as", "on", "by", "at",
    "from",
];
const CITIES: [&str; 8] =
    ["Lisbon", "Turin", "Ghent", "Bergen", "Porto", "Graz", "Leeds", "Malaga"];

struct Writer {
    words: Vec<String>,
    state: u64,
}

impl Writer {
    fn new(seed: u64) -> Self {
        let mut writer = Self { words: Vec::new(), state: seed };
        for _ in 0..WORDS {
            let mut word = String::new();
            for _ in 0..=writer.below(3) {
                word += ONSETS[writer.below(ONSETS.len())];
                word += MIDDLES[writer.below(MIDDLES.len())];
            }
            word += ENDS[writer.below(ENDS.len())];
            writer.words.push(word);
        }
        writer
    }

    /// The next number of the generator of Steele, Lea and Flood (`SplitMix`): all of the text follows from the seed.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }

    /// A word; the smallest of eight throws makes the first ones frequent, as in a language.
    fn word(&mut self) -> String {
        let index = (0..8).map(|_| self.below(WORDS)).min().unwrap_or_default();
        self.words[index].clone()
    }

    fn words(&mut self, count: usize, between: &str) -> String {
        let words: Vec<String> = (0..count).map(|_| self.word()).collect();
        words.join(between)
    }

    /// A name as programs have them, of two words.
    fn identifier(&mut self) -> String {
        let (first, second) = (self.word(), self.word());
        first + &capital(&second)
    }

    fn sentence(&mut self) -> String {
        let mut sentence = capital(&self.word());
        for _ in 0..6 + self.below(12) {
            sentence.push(' ');
            if self.below(5) < 2 {
                sentence += GLUE[self.below(GLUE.len())];
            } else {
                sentence += &self.word();
                if self.below(9) == 0 {
                    sentence.push(',');
                }
            }
        }
        sentence.trim_end_matches(',').to_owned() + "."
    }

    fn date(&mut self) -> String {
        let (month, day) = (1 + self.below(12), 1 + self.below(28));
        let (hour, minute) = (self.below(24), self.below(60));
        format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z")
    }
}

/// What stands before the first part.
fn beginning(kind: Kind) -> &'static str {
    match kind {
        Kind::Html => {
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
             name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Journal</title>\n<link rel=\"stylesheet\" href=\"/assets/site.css\">\n\
             <script src=\"/assets/site.js\" defer></script>\n</head>\n<body>\n<main>\n"
        }
        Kind::Script => "\"use strict\";\n\nimport { basket, format } from \"./shop.js\";\n\n",
        Kind::Json => "{\"total\":120000,\"items\":[\n",
    }
}

fn article(writer: &mut Writer, number: u64) -> String {
    let (title, date) = (writer.words(4, " "), writer.date());
    let author = format!("{} {}", capital(&writer.word()), capital(&writer.word()));
    let mut text = format!(
        "<article class=\"card\" id=\"post-{number}\">\n  <h2><a \
         href=\"/journal/{number}/{}\">{}</a></h2>\n  <p class=\"meta\">By <a rel=\"author\" \
         href=\"/people/{}\">{author}</a>, <time datetime=\"{date}\">{}</time></p>\n",
        title.replace(' ', "-"),
        capital(&title),
        author.replace(' ', ".").to_lowercase(),
        &date[..10],
    );
    for _ in 0..1 + writer.below(2) {
        let sentences: Vec<String> = (0..=writer.below(3)).map(|_| writer.sentence()).collect();
        text += &format!("  <p>{}</p>\n", sentences.join(" "));
    }
    text += "  <ul class=\"tags\">\n";
    for _ in 0..2 + writer.below(3) {
        let tag = writer.word();
        text += &format!("    <li><a href=\"/tags/{tag}\">{tag}</a></li>\n");
    }
    text + "  </ul>\n</article>\n"
}

fn function(writer: &mut Writer) -> String {
    let [name, item, limit] = [(); 3].map(|()| writer.identifier());
    let mut text = format!(
        "/**\n * {}\n */\nexport function {name}({item}, options = {{}}) {{\n  const {limit} = \
         options.{limit} ?? {};\n",
        writer.sentence(),
        writer.below(1000),
    );
    for _ in 0..=writer.below(4) {
        let (key, call) = (writer.word(), writer.identifier());
        text += &match writer.below(4) {
            0 => format!(
                "  if ({item}.{key} > {limit}) {{\n    throw new RangeError(`{} \
                 ${{{item}.{key}}}`);\n  }}\n",
                writer.words(3, " "),
            ),
            1 => format!(
                "  const {call} = {item}.{key}.map((entry) => entry.{} * {});\n",
                writer.word(),
                writer.below(100),
            ),
            2 => format!(
                "  for (const {key} of {item}.{call}) {{\n    basket.add({key}, {limit});\n  }}\n"
            ),
            _ => format!(
                "  document.querySelector(\".{key}\").addEventListener(\"click\", () => \
                 {call}({item}));\n"
            ),
        };
    }
    text + &format!("  return format(\"{}\", {item}, {limit});\n}}\n\n", writer.words(4, " "))
}

fn record(writer: &mut Writer, number: u64) -> String {
    let name = capital(&writer.words(3, " "));
    format!(
        "{{\"id\":{number},\"key\":\"{:012x}\",\"name\":\"{name}\",\"price\":{{\"amount\":{}.{:02},\
         \"currency\":\"EUR\"}},\"stock\":{},\"tags\":[\"{}\",\"{}\"],\"warehouse\":\"{}\",\
         \"updated_at\":\"{}\",\"available\":{},\"description\":\"{}\"}},\n",
        writer.next() >> 16,
        writer.below(900),
        writer.below(100),
        writer.below(400),
        writer.word(),
        writer.word(),
        CITIES[writer.below(CITIES.len())],
        writer.date(),
        writer.below(4) > 0,
        writer.sentence(),
    )
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_long_as_asked_for_and_always_the_same() {
        for kind in Kind::ALL {
            let text = kind.text(20_000);
            assert_eq!(text.len(), 20_000, "{kind:?}");
            assert_eq!(text, kind.text(20_000), "{kind:?}");
            assert!(text.is_ascii() && kind.text(30_000).starts_with(&text), "{kind:?}");
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        assert_eq!(Kind::named("png"), None);
    }
}
