//! A writer of small files (MaxMind DB File Format 2.0).

use std::net::IpAddr;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Text(String),
    Number(u64),
    Map(Vec<(String, Self)>),
    Array(Vec<Self>),
    Double(f64),
    Float(f32),
    Bytes(Vec<u8>),
    Boolean(bool),
    Signed(i32),
    Wide(u128),
    /// To the value that is shared.
    Pointer,
}

pub(crate) fn map(pairs: Vec<(&str, Data)>) -> Data {
    Data::Map(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(crate) fn number(number: u64) -> Data {
    Data::Number(number)
}

/// A map of texts; maps with the one name "" are that text.
pub(crate) fn text(pairs: &[(&str, &[(&str, &str)])]) -> Data {
    let value = |pairs: &[(&str, &str)]| match pairs {
        [("", text)] => Data::Text((*text).to_owned()),
        _ => {
            map(pairs.iter().map(|(name, text)| (*name, Data::Text((*text).to_owned()))).collect())
        }
    };
    map(pairs.iter().map(|(name, pairs)| (*name, value(pairs))).collect())
}

/// A whole file.
pub(crate) fn database(family: u16, size: u16, networks: &[(&str, Data)]) -> Vec<u8> {
    Database::new(family, networks).write(size)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Nothing,
    Node(usize),
    /// Which of the values.
    Data(usize),
}

pub(crate) struct Database {
    family: u16,
    pub(crate) nodes: Vec<[Record; 2]>,
    values: Vec<Data>,
    /// A value that pointers lead to, behind so many bytes.
    pub(crate) shared: Option<(usize, Data)>,
    /// A number in the metadata that is not so.
    pub(crate) claim: Option<(&'static str, u64)>,
}

impl Database {
    /// Networks that lie within others come behind them.
    pub(crate) fn new(family: u16, networks: &[(&str, Data)]) -> Self {
        let nodes = vec![[Record::Nothing; 2]];
        let mut new = Self { family, nodes, values: Vec::new(), shared: None, claim: None };
        for (network, data) in networks {
            let (address, length) = network.split_once('/').unwrap();
            new.insert(address.parse().unwrap(), length.parse().unwrap(), data.clone());
        }
        new
    }

    pub(crate) fn insert(&mut self, address: IpAddr, length: u8, data: Data) {
        let value = self.values.iter().position(|value| *value == data).unwrap_or_else(|| {
            self.values.push(data);
            self.values.len() - 1
        });
        let (bits, length) = self.place(address, length);
        self.set(bits, length, Record::Data(value));
    }

    /// The bits of an address, highest first, and how many count.
    fn place(&self, address: IpAddr, length: u8) -> (u128, u32) {
        let length = u32::from(length);
        match address {
            IpAddr::V4(ip) if self.family == 4 => (u128::from(ip.to_bits()) << 96, length),
            IpAddr::V4(ip) => (u128::from(ip.to_bits()), length + 96),
            IpAddr::V6(ip) => (ip.to_bits(), length),
        }
    }

    fn set(&mut self, bits: u128, length: u32, record: Record) {
        let mut node = 0;
        for depth in 0..length {
            let side = (bits >> (127 - depth) & 1) as usize;
            if depth + 1 == length {
                self.nodes[node][side] = record;
                return;
            }
            node = match self.nodes[node][side] {
                Record::Node(next) => next,
                // What was known of all is known of both halves.
                other => {
                    self.nodes.push([other; 2]);
                    self.nodes[node][side] = Record::Node(self.nodes.len() - 1);
                    self.nodes.len() - 1
                }
            };
        }
    }

    /// Lets a prefix of IPv6 lead to where IPv4 begins.
    pub(crate) fn alias(&mut self, prefix: &str) {
        let root = (0..96).fold(0, |node: usize, _| match self.nodes[node][0] {
            Record::Node(next) => next,
            other => panic!("{other:?}"),
        });
        let (address, length) = prefix.split_once('/').unwrap();
        let address: std::net::Ipv6Addr = address.parse().unwrap();
        self.set(address.to_bits(), length.parse().unwrap(), Record::Node(root));
    }

    pub(crate) fn write(&self, size: u16) -> Vec<u8> {
        let mut data = Vec::new();
        let mut target = 0;
        if let Some((before, shared)) = &self.shared {
            // Bytes that nothing leads to.
            data.resize(*before, 0xEE);
            target = data.len();
            write(shared, target, &mut data);
        }
        let mut places = Vec::new();
        for value in &self.values {
            places.push(data.len());
            write(value, target, &mut data);
        }
        let count = self.nodes.len();
        let record = |record: Record| match record {
            Record::Node(node) => node as u32,
            Record::Nothing => count as u32,
            Record::Data(value) => (count + 16 + places[value]) as u32,
        };
        let mut file = Vec::new();
        for node in &self.nodes {
            let [left, right] = node.map(record);
            let ([a, b, c, d], [w, x, y, z]) = (left.to_be_bytes(), right.to_be_bytes());
            match size {
                24 => file.extend([b, c, d, x, y, z]),
                28 => file.extend([b, c, d, a << 4 | w, x, y, z]),
                _ => file.extend([a, b, c, d, w, x, y, z]),
            }
        }
        file.extend([0; 16]);
        file.extend(data);
        file.extend(b"\xAB\xCD\xEFMaxMind.com");
        write(&self.metadata(size), 0, &mut file);
        file
    }

    fn metadata(&self, size: u16) -> Data {
        let claim = |name: &str, is: u64| match self.claim {
            Some((other, value)) if other == name => number(value),
            _ => number(is),
        };
        let numbers = [
            ("node_count", self.nodes.len() as u64),
            ("record_size", u64::from(size)),
            ("ip_version", u64::from(self.family)),
            ("binary_format_major_version", 2),
            ("binary_format_minor_version", 0),
            ("build_epoch", 1_700_000_000),
        ];
        let mut pairs: Vec<_> = numbers.map(|(name, is)| (name, claim(name, is))).into();
        pairs.push(("database_type", Data::Text("Test".into())));
        pairs.push(("languages", Data::Array(vec![Data::Text("en".into())])));
        pairs.push(("description", text(&[("en", &[("", "a test")])])));
        map(pairs)
    }
}

fn write(data: &Data, target: usize, to: &mut Vec<u8>) {
    match data {
        Data::Pointer => pointer(target, to),
        Data::Text(text) => {
            control(2, text.len(), to);
            to.extend(text.as_bytes());
        }
        Data::Double(number) => {
            control(3, 8, to);
            to.extend(number.to_be_bytes());
        }
        Data::Bytes(bytes) => {
            control(4, bytes.len(), to);
            to.extend(bytes);
        }
        Data::Number(number) => {
            let kind = if *number < 1 << 16 {
                5
            } else if *number < 1 << 32 {
                6
            } else {
                9
            };
            let bytes = number.to_be_bytes();
            let bytes = &bytes[number.leading_zeros() as usize / 8..];
            control(kind, bytes.len(), to);
            to.extend(bytes);
        }
        Data::Map(pairs) => {
            control(7, pairs.len(), to);
            for (name, value) in pairs {
                write(&Data::Text(name.clone()), target, to);
                write(value, target, to);
            }
        }
        Data::Signed(number) => {
            control(8, 4, to);
            to.extend(number.to_be_bytes());
        }
        Data::Wide(number) => {
            control(10, 16, to);
            to.extend(number.to_be_bytes());
        }
        Data::Array(items) => {
            control(11, items.len(), to);
            items.iter().for_each(|item| write(item, target, to));
        }
        Data::Boolean(is) => control(14, usize::from(*is), to),
        Data::Float(number) => {
            control(15, 4, to);
            to.extend(number.to_be_bytes());
        }
    }
}

fn control(kind: u8, size: usize, to: &mut Vec<u8>) {
    let (low, more): (u8, Vec<u8>) = match size {
        0..29 => (size as u8, vec![]),
        29..285 => (29, vec![(size - 29) as u8]),
        285..65_821 => (30, ((size - 285) as u16).to_be_bytes().into()),
        _ => (31, ((size - 65_821) as u32).to_be_bytes()[1..].into()),
    };
    if kind < 8 {
        to.push(kind << 5 | low);
    } else {
        to.extend([low, kind - 7]);
    }
    to.extend(more);
}

fn pointer(target: usize, to: &mut Vec<u8>) {
    let short = |size: u8, number: usize| {
        let bytes = (number as u32).to_be_bytes();
        let bytes = &bytes[2 - usize::from(size)..];
        let mut bytes = bytes.to_vec();
        bytes[0] |= 1 << 5 | size << 3;
        bytes
    };
    match target {
        0..2_048 => to.extend(short(0, target)),
        2_048..526_336 => to.extend(short(1, target - 2_048)),
        _ => to.extend(short(2, target - 526_336)),
    }
}
