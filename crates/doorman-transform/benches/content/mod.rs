//! Contents such as applications send: a page, a list of records, a script. They are made from one seed, so
//! that every run and every library sees the same bytes.

/// Words that texts and names are made of; the first are the most frequent.
const WORDS: [&str; 96] = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "for",
    "on",
    "with",
    "that",
    "by",
    "this",
    "from",
    "are",
    "at",
    "order",
    "price",
    "item",
    "user",
    "name",
    "value",
    "list",
    "page",
    "time",
    "state",
    "account",
    "product",
    "delivery",
    "address",
    "status",
    "shipping",
    "invoice",
    "category",
    "description",
    "quantity",
    "payment",
    "summer",
    "winter",
    "garden",
    "kitchen",
    "wooden",
    "chair",
    "table",
    "lamp",
    "bottle",
    "window",
    "door",
    "handle",
    "green",
    "yellow",
    "orange",
    "silver",
    "classic",
    "modern",
    "light",
    "heavy",
    "small",
    "large",
    "quality",
    "material",
    "cotton",
    "leather",
    "ceramic",
    "collection",
    "limited",
    "edition",
    "available",
    "tomorrow",
    "yesterday",
    "morning",
    "evening",
    "customer",
    "review",
    "rating",
    "excellent",
    "wonderful",
    "recommended",
    "disappointed",
    "replacement",
    "warranty",
    "instructions",
    "assembly",
    "measurement",
    "temperature",
    "resistant",
    "waterproof",
    "lightweight",
    "adjustable",
    "comfortable",
    "environment",
    "sustainable",
    "manufacturer",
    "international",
    "specification",
    "compatibility",
    "installation",
];

/// A small generator of numbers that look random (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    /// One for this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    /// A word; the front of the list is more frequent, about as in a language.
    fn word(&mut self) -> &'static str {
        let (a, b) = (self.below(1 << 16), self.below(1 << 16));
        let at = (((a * b) >> 16) * WORDS.len() as u64) >> 16;
        WORDS[usize::try_from(at).expect("a place in the list")]
    }

    fn words(&mut self, count: u64, out: &mut String) {
        for n in 0..count {
            if n > 0 {
                out.push(' ');
            }
            out.push_str(self.word());
        }
    }

    fn hex(&mut self, digits: usize) -> String {
        format!("{:016x}", self.next())[..digits].to_owned()
    }
}

/// A page of about `size` bytes.
pub(crate) fn html(size: usize) -> Vec<u8> {
    let mut dice = Dice::new(0x7067);
    let mut out = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Catalogue</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/site.css\">\n</head>\n<body>\n<main class=\"grid grid--wide\">\n",
    );
    while out.len() < size {
        let (id, word, picture) = (dice.below(100_000), dice.word(), dice.hex(12));
        out.push_str(&format!(
            "<article class=\"card card--{word}\" id=\"item-{id}\">\n  <a class=\"card__link\" href=\"/{word}/{id}\">\n    \
             <img src=\"/media/{picture}.jpg\" width=\"320\" height=\"240\" alt=\""
        ));
        let count = 3 + dice.below(4);
        dice.words(count, &mut out);
        out.push_str("\" loading=\"lazy\">\n  </a>\n  <h2 class=\"card__title\">");
        let count = 2 + dice.below(4);
        dice.words(count, &mut out);
        out.push_str("</h2>\n  <p class=\"card__text\">");
        let count = 12 + dice.below(40);
        dice.words(count, &mut out);
        let (whole, part) = (dice.below(500), dice.below(100));
        out.push_str(&format!(
            ".</p>\n  <span class=\"price\" data-currency=\"EUR\">{whole}.{part:02}</span>\n</article>\n"
        ));
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out.into_bytes()
}

/// A list of records of about `size` bytes.
pub(crate) fn json(size: usize) -> Vec<u8> {
    let mut dice = Dice::new(0x6a73);
    let mut out = String::from("{\"total\":1000,\"records\":[");
    while out.len() < size {
        let (id, key, at) = (dice.below(10_000_000), dice.hex(16), dice.below(86_400));
        let (first, last) = (dice.word(), dice.word());
        out.push_str(&format!(
            "{{\"id\":{id},\"key\":\"{key}\",\"created_at\":\"2026-0{}-{:02}T{:02}:{:02}:{:02}Z\",\"user\":{{\"name\":\
             \"{first} {last}\",\"email\":\"{first}.{last}{}@example.com\",\"is_active\":{}}},\"tags\":[\"{}\",\"{}\"],\
             \"amount\":{}.{:02},\"note\":",
            1 + dice.below(9),
            1 + dice.below(28),
            at / 3600,
            at / 60 % 60,
            at % 60,
            dice.below(1000),
            dice.below(2) == 0,
            dice.word(),
            dice.word(),
            dice.below(10_000),
            dice.below(100),
        ));
        if dice.below(3) == 0 {
            out.push_str("null},");
        } else {
            out.push('"');
            let count = 4 + dice.below(14);
            dice.words(count, &mut out);
            out.push_str("\"},");
        }
    }
    out.pop();
    out.push_str("]}\n");
    out.into_bytes()
}

/// A script of about `size` bytes.
pub(crate) fn script(size: usize) -> Vec<u8> {
    let mut dice = Dice::new(0x6a61);
    let mut out = String::from("\"use strict\";\n");
    while out.len() < size {
        let (one, two, three) = (dice.word(), dice.word(), dice.word());
        let (number, limit) = (dice.below(10_000), dice.below(100));
        let text = match dice.below(5) {
            0 => format!(
                "function {one}{two}{limit}(event, {three}) {{\n  if (!{three} || {three}.length < {limit}) return null;\n  \
                 const {one} = document.querySelector(\".{two}-{three}\");\n  {one}.classList.toggle(\"is-{two}\");\n  \
                 return {one}.getBoundingClientRect();\n}}\n"
            ),
            1 => format!(
                "export const {one}_{two} = ({three}, options = {{}}) => {three}.filter((entry) => entry.{two} > {number})\
                 .map((entry) => ({{ ...entry, {one}: options.{two} ?? {limit} }}));\n"
            ),
            2 => format!(
                "// The {one} of {two} {three}.\nconst {two}{number} = new Map([[\"{one}\", {number}], [\"{three}\", {limit}]]);\n"
            ),
            3 => format!(
                "for (let index = 0; index < {one}.{two}.length; index += 1) {{\n  const current = {one}.{two}[index];\n  \
                 if (current.{three} === undefined) continue;\n  results.push(Math.max(current.{three}, {limit}));\n}}\n"
            ),
            _ => format!(
                "async function load_{one}_{number}() {{\n  const response = await fetch(`/api/{two}/${{id}}?{three}={limit}`, \
                 {{ headers: {{ Accept: \"application/json\" }} }});\n  if (!response.ok) throw new Error(\"{one} {two} failed\");\n  \
                 return response.json();\n}}\n"
            ),
        };
        out.push_str(&text);
    }
    out.into_bytes()
}
