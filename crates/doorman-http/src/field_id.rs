//! The field names that the proxy knows, as numbers.
//!
//! A name gets its number once, when a field is read, so that no later step compares names. One look
//! into a table finds the only name that it can be, and a few words of eight bytes tell whether it is.

macro_rules! field_ids {
    ($($(#[$doc:meta])* $id:ident = $name:literal,)*) => {
        /// A field name that the proxy knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum FieldId {
            /// Any other name.
            Other,
            $($(#[$doc])* #[doc = $name] $id,)*
        }

        impl FieldId {
            /// The name in lower case; empty for [`FieldId::Other`].
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Other => "",
                    $(Self::$id => $name,)*
                }
            }

            /// Every known name; as a number, each is its place here plus one.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];
        }
    };
}

field_ids! {
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    Age = "age",
    AltSvc = "alt-svc",
    Authorization = "authorization",
    CacheControl = "cache-control",
    Connection = "connection",
    ContentEncoding = "content-encoding",
    ContentLength = "content-length",
    ContentLocation = "content-location",
    ContentRange = "content-range",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    Etag = "etag",
    Expect = "expect",
    Expires = "expires",
    Forwarded = "forwarded",
    Host = "host",
    Http2Settings = "http2-settings",
    IfMatch = "if-match",
    IfModifiedSince = "if-modified-since",
    IfNoneMatch = "if-none-match",
    IfRange = "if-range",
    IfUnmodifiedSince = "if-unmodified-since",
    KeepAlive = "keep-alive",
    LastModified = "last-modified",
    Link = "link",
    Location = "location",
    MaxForwards = "max-forwards",
    Origin = "origin",
    Pragma = "pragma",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    Range = "range",
    Referer = "referer",
    Refresh = "refresh",
    RetryAfter = "retry-after",
    SecWebSocketAccept = "sec-websocket-accept",
    SecWebSocketKey = "sec-websocket-key",
    SecWebSocketVersion = "sec-websocket-version",
    Server = "server",
    SetCookie = "set-cookie",
    StrictTransportSecurity = "strict-transport-security",
    Te = "te",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Vary = "vary",
    Via = "via",
    WwwAuthenticate = "www-authenticate",
    XAccelBuffering = "x-accel-buffering",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XForwardedProto = "x-forwarded-proto",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
}

/// Slots of the name table, a power of two. No two known names share one: a collision fails the
/// build, and then another odd multiplier is chosen.
const SLOTS: usize = 256;
const MULTIPLIER: u32 = 0x9549_D8D9;

#[expect(clippy::cast_possible_truncation, reason = "masked to 16 bits")]
const fn hash(name: &[u8]) -> usize {
    let n = name.len();
    if n == 0 {
        return 0;
    }
    // Four bytes and the length tell all known names apart; case is folded away.
    let (a, b) = ((name[0] | 0x20) as u32, (name[n - 1] | 0x20) as u32);
    let (c, d) = ((name[n / 2] | 0x20) as u32, (name[n * 7 / 8] | 0x20) as u32);
    let length = ((n & 0xFFFF) as u32).wrapping_mul(0x9E37_79B1);
    let mix = (a | b << 8 | c << 16 | d << 24) ^ length;
    (mix.wrapping_mul(MULTIPLIER) >> 24) as usize & (SLOTS - 1)
}

const TABLE: [FieldId; SLOTS] = {
    let mut table = [FieldId::Other; SLOTS];
    let mut i = 0;
    while i < FieldId::ALL.len() {
        let id = FieldId::ALL[i];
        let slot = hash(id.name().as_bytes());
        assert!(matches!(table[slot], FieldId::Other), "two known field names share a slot");
        table[slot] = id;
        i += 1;
    }
    table
};

/// Bytes of the longest known name.
const NAME_MAX: usize = {
    let mut longest = 0;
    let mut i = 0;
    while i < FieldId::ALL.len() {
        let len = FieldId::ALL[i].name().len();
        longest = if len > longest { len } else { longest };
        i += 1;
    }
    longest
};

/// The names by id: a look-up instead of a jump.
const NAMES: [&str; FieldId::ALL.len() + 1] = {
    let mut names = [""; FieldId::ALL.len() + 1];
    let mut i = 0;
    while i < FieldId::ALL.len() {
        let id = FieldId::ALL[i];
        names[id as usize] = id.name();
        i += 1;
    }
    names
};

/// A known name in words of eight bytes, and the bits that count: none behind its end, and all of a
/// letter's but the one in which its cases differ. So eight bytes compare at once, whatever their
/// case and whatever follows the name.
#[derive(Clone, Copy)]
struct Folded {
    words: [u64; WORDS],
    mask: [u64; WORDS],
}

/// Words that hold the longest name.
const WORDS: usize = NAME_MAX.div_ceil(8);

const FOLDED: [Folded; FieldId::ALL.len() + 1] = {
    let mut all = [Folded { words: [0; WORDS], mask: [0; WORDS] }; FieldId::ALL.len() + 1];
    let mut i = 0;
    while i < NAMES.len() {
        let name = NAMES[i].as_bytes();
        let mut at = 0;
        while at < name.len() {
            let shift = at % 8 * 8;
            let counts = if name[at].is_ascii_lowercase() { 0xDF } else { 0xFF };
            all[i].words[at / 8] |= (name[at] as u64 & counts) << shift;
            all[i].mask[at / 8] |= counts << shift;
            at += 1;
        }
        i += 1;
    }
    all
};

impl FieldId {
    /// The id of `name`, whatever its case.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        Self::at_front(name, name.len())
    }

    /// The id of the name that the first `len` bytes of `text` are. What stands behind it lets the
    /// words of the name be compared where they lie. An empty name if `text` is shorter.
    #[must_use]
    #[inline]
    pub fn at_front(text: &[u8], len: usize) -> Self {
        let name = text.get(..len).unwrap_or_default();
        let id = TABLE[hash(name)];
        if NAMES[id as usize].len() != name.len() {
            return Self::Other;
        }
        match text.first_chunk() {
            Some(words) => id.confirmed(words),
            None => {
                let mut padded = [0; WORDS * 8];
                padded[..name.len()].copy_from_slice(name);
                id.confirmed(&padded)
            }
        }
    }

    /// The id itself if the front of `text` is its name.
    #[inline]
    fn confirmed(self, text: &[u8; WORDS * 8]) -> Self {
        let known = &FOLDED[self as usize];
        let mut differs = 0;
        for (n, word) in text.as_chunks::<8>().0.iter().enumerate() {
            differs |= (u64::from_le_bytes(*word) & known.mask[n]) ^ known.words[n];
        }
        if differs == 0 { self } else { Self::Other }
    }

    const fn bit(self) -> u128 {
        BITS[self as usize]
    }

    /// Whether `name` is not a known name, but becomes one for a reader that takes other marks for
    /// hyphens, as CGI does: `Transfer_Encoding`, `X_Forwarded_For`, `content.length`. The origin
    /// would then believe a field that the proxy never judged.
    #[must_use]
    pub fn is_imitated_by(name: &[u8]) -> bool {
        Self::imitated_by(name).is_some()
    }

    /// The field for which such a reader takes that name, as [`FieldId::is_imitated_by`].
    #[must_use]
    pub fn imitated_by(name: &[u8]) -> Option<Self> {
        let mut folded = [0; NAME_MAX];
        let folded = folded.get_mut(..name.len())?;
        let mut is_plain = true;
        for (to, &byte) in folded.iter_mut().zip(name) {
            let fits = byte.is_ascii_alphanumeric() || byte == b'-';
            is_plain &= fits;
            *to = if fits { byte } else { b'-' };
        }
        let id = Self::of(folded);
        (!is_plain && id != Self::Other).then_some(id)
    }

    /// Fields that belong to one connection and never cross the proxy (RFC 9110 section 7.6.1),
    /// and framing, which codecs turn into values and make anew (invariant 4).
    #[must_use]
    #[inline]
    pub const fn is_hop_by_hop(self) -> bool {
        HOP_BY_HOP[self as usize]
    }
}

const HOP_BY_HOP: [bool; FieldId::ALL.len() + 1] = {
    let ids = [
        FieldId::Connection,
        FieldId::ContentLength,
        FieldId::Http2Settings,
        FieldId::KeepAlive,
        FieldId::ProxyAuthenticate,
        FieldId::ProxyAuthorization,
        FieldId::ProxyConnection,
        FieldId::Te,
        FieldId::Trailer,
        FieldId::TransferEncoding,
        FieldId::Upgrade,
    ];
    let mut table = [false; FieldId::ALL.len() + 1];
    let mut i = 0;
    while i < ids.len() {
        table[ids[i] as usize] = true;
        i += 1;
    }
    table
};

/// Ids are bits of a set, too; a table, because a shift of so many bits costs more than a look-up.
const BITS: [u128; FieldId::ALL.len() + 1] = {
    let mut bits = [0; FieldId::ALL.len() + 1];
    let mut id = 0;
    while id < bits.len() {
        bits[id] = 1 << id;
        id += 1;
    }
    bits
};

/// A set of field names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(u128);

impl FieldSet {
    /// No name.
    pub(crate) const NONE: Self = Self(0);

    /// Adds a name.
    #[inline]
    pub(crate) const fn add(&mut self, id: FieldId) {
        self.0 |= id.bit();
    }

    /// Takes a name out.
    pub(crate) const fn remove(&mut self, id: FieldId) {
        self.0 &= !id.bit();
    }

    /// The set of these.
    #[must_use]
    pub const fn of(ids: &[FieldId]) -> Self {
        let mut set = 0;
        let mut i = 0;
        while i < ids.len() {
            set |= ids[i].bit();
            i += 1;
        }
        Self(set)
    }

    /// Whether `id` is in it.
    #[must_use]
    #[inline]
    pub const fn has(self, id: FieldId) -> bool {
        self.0 & id.bit() != 0
    }

    /// Whether the two have a name in common.
    #[must_use]
    #[inline]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_finds_its_id_in_any_case() {
        for id in FieldId::ALL {
            assert_eq!(FieldId::of(id.name().as_bytes()), *id);
            assert_eq!(FieldId::of(id.name().to_ascii_uppercase().as_bytes()), *id);
            let line = format!("{}: and more than a name has bytes", id.name());
            assert_eq!(FieldId::at_front(line.as_bytes(), id.name().len()), *id);
            assert_eq!(FieldId::at_front(line.as_bytes(), id.name().len() + 1), FieldId::Other);
        }
        assert_eq!(FieldId::at_front(b"host", 5), FieldId::Other);
        for other in ["", "x", "hosts", "hos", "content-lengthx", "transfer_encoding"] {
            assert_eq!(FieldId::of(other.as_bytes()), FieldId::Other, "{other}");
        }
    }
}
