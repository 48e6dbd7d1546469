//! The parts of a MaxMind DB: a tree of bits, data that its leaves point to, and metadata at the end (MaxMind DB
//! File Format 2.0).

use super::error::looks;
use super::value::{Section, Value};
use super::{About, GEO_BYTES_MAX, GeoError};

/// What the metadata stands behind, in the last 128 KiB of a file.
const MARK: &[u8] = b"\xAB\xCD\xEFMaxMind.com";
const METADATA_BYTES_MAX: usize = 128 << 10;

/// Zeros between tree and data.
const GAP: usize = 16;

/// How much of a name is kept.
const KIND_BYTES_MAX: usize = 80;

/// A file whose parts are where they should be.
pub(super) struct File<'a> {
    pub(super) tree: Tree<'a>,
    pub(super) data: &'a [u8],
    /// Where the data begins.
    pub(super) data_at: usize,
    pub(super) family: Family,
    pub(super) about: About,
}

/// Which addresses the tree holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4 alone, 32 bits deep.
    V4,
    /// IPv6, with IPv4 at `::/96`.
    Both,
}

/// Nodes of two records each.
pub(super) struct Tree<'a> {
    bytes: &'a [u8],
    pub(super) nodes: u32,
    size: RecordSize,
}

#[derive(Clone, Copy)]
enum RecordSize {
    Bits24,
    Bits28,
    Bits32,
}

/// What a record of the tree says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Go on at this node.
    Node(u32),
    /// Nothing is known.
    Nothing,
    /// The data at this place.
    Data(u32),
}

impl<'a> File<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, GeoError> {
        if bytes.is_empty() {
            return Err(GeoError::Empty);
        }
        if bytes.len() > GEO_BYTES_MAX {
            return Err(GeoError::Large);
        }
        let tail = bytes.len().saturating_sub(METADATA_BYTES_MAX);
        let mark = bytes[tail..].windows(MARK.len()).rposition(|window| window == MARK);
        let mark = tail + mark.ok_or_else(|| GeoError::Other(looks(bytes)))?;
        let metadata = Metadata::read(&bytes[mark + MARK.len()..], mark + MARK.len())?;

        let node_bytes = match metadata.size {
            RecordSize::Bits24 => 6,
            RecordSize::Bits28 => 7,
            RecordSize::Bits32 => 8,
        };
        let tree_bytes = u64::from(metadata.nodes) * node_bytes;
        let cut = || GeoError::Cut(tree_bytes);
        let end = usize::try_from(tree_bytes).map_err(|_| cut())?;
        let tree = bytes.get(..end).ok_or_else(cut)?;
        let data_at = end + GAP;
        let gap = bytes.get(end..data_at).ok_or_else(cut)?;
        let data = bytes.get(data_at..mark).ok_or_else(cut)?;
        if gap.iter().any(|byte| *byte != 0) {
            return Err(GeoError::Broken("no zeros between tree and data", end));
        }
        let tree = Tree { bytes: tree, nodes: metadata.nodes, size: metadata.size };
        Ok(Self { tree, data, data_at, family: metadata.family, about: metadata.about })
    }
}

struct Metadata {
    nodes: u32,
    size: RecordSize,
    family: Family,
    about: About,
}

impl Metadata {
    fn read(bytes: &[u8], at: usize) -> Result<Self, GeoError> {
        let mut section = Section::new(bytes, at);
        // To its end, so that a file which lost its last bytes is noticed.
        section.skip(0)?;
        let Value::Map(map) = section.value(0)? else {
            return Err(GeoError::Metadata("it is no map"));
        };
        let mut number = |name: &str| match section.field(map, name)? {
            Some(Value::Number(number)) => Ok(Some(number)),
            _ => Ok(None),
        };
        match number("binary_format_major_version")? {
            Some(2) => {}
            Some(other) => return Err(GeoError::Version(other)),
            None => return Err(GeoError::Metadata("it has no version")),
        }
        let size = match number("record_size")? {
            Some(24) => RecordSize::Bits24,
            Some(28) => RecordSize::Bits28,
            Some(32) => RecordSize::Bits32,
            _ => return Err(GeoError::Metadata("records are not of 24, 28 or 32 bits")),
        };
        let family = match number("ip_version")? {
            Some(4) => Family::V4,
            Some(6) => Family::Both,
            _ => return Err(GeoError::Metadata("it is neither of IPv4 nor of IPv6")),
        };
        let nodes = number("node_count")?.and_then(|nodes| u32::try_from(nodes).ok());
        let nodes = nodes.filter(|nodes| *nodes > 0);
        let nodes = nodes.ok_or(GeoError::Metadata("it has no number of nodes"))?;
        let built = number("build_epoch")?.unwrap_or(0);
        let kind = match section.field(map, "database_type")? {
            Some(Value::Text(text)) => &text[..text.len().min(KIND_BYTES_MAX)],
            _ => return Err(GeoError::Metadata("it has no type")),
        };
        let kind = String::from_utf8_lossy(kind).into();
        Ok(Self { nodes, size, family, about: About { kind, built } })
    }
}

impl Tree<'_> {
    /// Where the record of `node` for the next bit, 0 or 1, leads. Data is not yet known to be there.
    pub(super) fn step(&self, node: u32, bit: bool) -> Result<Step, GeoError> {
        let broken = |what| GeoError::Broken(what, (node as usize).saturating_mul(6));
        let record =
            self.record(node as usize, bit).ok_or_else(|| broken("a node behind the end"))?;
        Ok(match record.checked_sub(self.nodes) {
            None => Step::Node(record),
            Some(0) => Step::Nothing,
            // Pointers count from the end of the tree, and the zeros behind it are no data.
            Some(beyond) => Step::Data(
                beyond
                    .checked_sub(16)
                    .ok_or_else(|| broken("a record that points before the data"))?,
            ),
        })
    }

    fn record(&self, node: usize, bit: bool) -> Option<u32> {
        let side = usize::from(bit);
        match self.size {
            RecordSize::Bits24 => {
                let at = node.checked_mul(6)? + side * 3;
                let &[a, b, c] = self.bytes.get(at..at + 3)?.as_array()?;
                Some(u32::from_be_bytes([0, a, b, c]))
            }
            RecordSize::Bits28 => {
                let at = node.checked_mul(7)?;
                let &[a, b, c, middle, x, y, z] = self.bytes.get(at..at + 7)?.as_array()?;
                // The four highest bits of both records share the byte in the middle.
                Some(u32::from_be_bytes(if bit {
                    [middle & 15, x, y, z]
                } else {
                    [middle >> 4, a, b, c]
                }))
            }
            RecordSize::Bits32 => {
                let at = node.checked_mul(8)? + side * 4;
                Some(u32::from_be_bytes(*self.bytes.get(at..at + 4)?.as_array()?))
            }
        }
    }
}
