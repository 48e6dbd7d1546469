//! A client's SETTINGS (RFC 9113 section 6.5), judged.

use crate::code::{Code, Fault, protocol};

/// Settings that we announce or heed.
pub(crate) mod id {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(crate) const ENABLE_PUSH: u16 = 0x2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    pub(crate) const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
}

/// The largest window (section 6.9.1).
pub(crate) const WINDOW_MAX: u32 = 0x7FFF_FFFF;

/// What concerns a server that does not push: two settings. Frames are never longer than what every
/// peer takes, and heads are as long as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The least that the table was set to, and what it is set to last: both have to be followed.
    pub(crate) table: Option<(u32, u32)>,
    pub(crate) window: Option<u32>,
}

/// Reads a frame's payload.
pub(crate) fn read(payload: &[u8]) -> Result<Changes, Fault> {
    let (settings, rest) = payload.as_chunks::<6>();
    if !rest.is_empty() {
        return Err(Fault::new(Code::FrameSizeError, "SETTINGS ends within a setting"));
    }
    let mut changes = Changes::default();
    for &[a, b, w, x, y, z] in settings {
        let value = u32::from_be_bytes([w, x, y, z]);
        match u16::from_be_bytes([a, b]) {
            id::HEADER_TABLE_SIZE => {
                let least = changes.table.map_or(value, |(least, _)| least.min(value));
                changes.table = Some((least, value));
            }
            id::ENABLE_PUSH | id::ENABLE_CONNECT_PROTOCOL if value > 1 => {
                return Err(protocol("setting neither 0 nor 1"));
            }
            id::INITIAL_WINDOW_SIZE if value > WINDOW_MAX => {
                return Err(Fault::new(Code::FlowControlError, "initial window too large"));
            }
            id::INITIAL_WINDOW_SIZE => changes.window = Some(value),
            id::MAX_FRAME_SIZE if !(0x4000..=0x00FF_FFFF).contains(&value) => {
                return Err(protocol("SETTINGS_MAX_FRAME_SIZE out of its range"));
            }
            _ => {}
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(settings: &[(u16, u32)]) -> Vec<u8> {
        let pair =
            |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
        settings.iter().flat_map(pair).collect()
    }

    #[test]
    fn settings_have_their_ranges() {
        let code = |settings: &[(u16, u32)]| read(&payload(settings)).err().map(|fault| fault.code);
        let check =
            |id, value, expected| assert_eq!(code(&[(id, value)]), expected, "{id} {value}");
        check(2, 1, None);
        check(2, 2, Some(Code::ProtocolError));
        check(4, WINDOW_MAX, None);
        check(4, WINDOW_MAX + 1, Some(Code::FlowControlError));
        check(5, 0x3FFF, Some(Code::ProtocolError));
        check(5, 0x4000, None);
        check(5, 0x00FF_FFFF, None);
        check(5, 0x0100_0000, Some(Code::ProtocolError));
        check(8, 2, Some(Code::ProtocolError));
        check(0x99, u32::MAX, None);
        let cut = read(&payload(&[(4, 1)])[..5]).unwrap_err();
        assert_eq!(cut.code, Code::FrameSizeError);
        let changes = read(&payload(&[(1, 100), (4, 1), (1, 0), (4, 7), (1, 50)])).unwrap();
        assert_eq!(changes, Changes { table: Some((0, 50)), window: Some(7) });
    }
}
