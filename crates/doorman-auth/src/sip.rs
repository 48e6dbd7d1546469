//! SipHash-2-4 with 128 bits (J.-P. Aumasson, D. J. Bernstein: "SipHash: a fast short-input PRF", 2012, and the 128-bit
//! variant of its authors): a keyed hash that nobody can foresee who doesn't have the key.
//!
//! It stands for a whole token where one is remembered. It isn't the shorter and faster 1-3: here a hash that were
//! forged would be a token that were forged. HMAC-SHA-256 is as good a choice and takes several times as long.

/// The key: 128 bits that are as good as random.
#[derive(Clone, Copy)]
pub(crate) struct SipKey(pub(crate) u64, pub(crate) u64);

struct State([u64; 4]);

impl State {
    fn round(&mut self) {
        let [a, b, c, d] = &mut self.0;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }

    fn word(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    fn output(&mut self) -> u64 {
        (0..4).for_each(|_| self.round());
        let [a, b, c, d] = self.0;
        a ^ b ^ c ^ d
    }
}

impl SipKey {
    /// The hash of these bytes.
    pub(crate) fn hash(self, bytes: &[u8]) -> u128 {
        let mut state = State([
            self.0 ^ 0x736F_6D65_7073_6575,
            self.1 ^ 0x646F_7261_6E64_6F6D ^ 0xEE,
            self.0 ^ 0x6C79_6765_6E65_7261,
            self.1 ^ 0x7465_6462_7974_6573,
        ]);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // Only the lowest byte of the length counts.
        last[7] = bytes.len().to_le_bytes()[0];
        state.word(u64::from_le_bytes(last));
        state.0[2] ^= 0xEE;
        let low = state.output();
        state.0[1] ^= 0xDD;
        u128::from(low) | u128::from(state.output()) << 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        let key = SipKey(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908);
        for (length, expect) in [
            (0, 0x9302_55C7_1472_F66D_E6A8_25BA_047F_81A3),
            (1, 0x45FC_229B_1159_7634_44AF_996B_D8C1_87DA),
        ] {
            let bytes: Vec<u8> = (0..length).collect();
            assert_eq!(key.hash(&bytes), expect, "{length}");
        }
        let bytes: Vec<u8> = (0..200).collect();
        let hashes: std::collections::BTreeSet<u128> =
            (0..=200).map(|length| key.hash(&bytes[..length])).collect();
        assert_eq!(hashes.len(), 201);
        assert_ne!(SipKey(1, 2).hash(b"a"), SipKey(2, 1).hash(b"a"));
    }
}
