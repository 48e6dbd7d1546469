//! The health service of gRPC (`grpc.health.v1.Health/Check`), as much of it as a check needs.
//!
//! One message each way, and each has one field: written and read by hand. What a server sends is read
//! with the care that any bytes of the network get; a field that is not known is skipped.

/// The path of a call.
pub const PATH: &str = "/grpc.health.v1.Health/Check";

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// Bytes of the name of a service that is asked for. Lengths are written in one or two bytes then.
pub const SERVICE_BYTES_MAX: usize = 1024;

/// A `HealthCheckRequest` with its prefix.
#[must_use]
pub fn request(service: &str) -> Vec<u8> {
    let name = service.as_bytes();
    let mut message = Vec::with_capacity(PREFIX + 3 + name.len());
    // Field 1, a text; left out where it is empty, as the encoding wants it.
    if !name.is_empty() {
        message.push(0x0A);
        let mut left = name.len();
        while left >= 0x80 {
            message.push(u8::try_from(left & 0x7F).unwrap_or_default() | 0x80);
            left >>= 7;
        }
        message.push(u8::try_from(left).unwrap_or_default());
        message.extend_from_slice(name);
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.append(&mut message);
    framed
}

/// Judges an answer: its status of HTTP, the body, and `grpc-status`, which stands in the trailers, or in
/// the head of an answer that has no body.
///
/// # Errors
/// Why the server is not well.
pub fn judge(http_status: u16, body: &[u8], grpc_status: Option<&[u8]>) -> Result<(), String> {
    if http_status != 200 {
        return Err(format!("status {http_status}, wanted 200"));
    }
    let Some(status) = grpc_status else { return Err("no grpc-status".to_owned()) };
    let status = std::str::from_utf8(status).ok().and_then(|status| status.parse::<u32>().ok());
    match status {
        Some(0) => {}
        Some(5) => return Err("grpc-status 5: it does not know the service".to_owned()),
        Some(12) => return Err("grpc-status 12: it has no health service".to_owned()),
        Some(status) => return Err(format!("grpc-status {status}, wanted 0")),
        None => return Err("a grpc-status that is no number".to_owned()),
    }
    match serving(body) {
        Some(1) => Ok(()),
        Some(2) => Err("it says NOT_SERVING".to_owned()),
        Some(3) => Err("it does not know the service".to_owned()),
        Some(_) => Err("it says that it does not know how it is".to_owned()),
        None => Err("a malformed answer".to_owned()),
    }
}

/// Field 1 of the first message; 0 where it is left out.
fn serving(body: &[u8]) -> Option<u64> {
    let (prefix, rest) = body.split_first_chunk::<PREFIX>()?;
    let [0, a, b, c, d] = *prefix else { return None };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    let mut message = rest.get(..length)?;
    let mut status = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = varint(&mut message)?,
            (_, 0) => {
                varint(&mut message)?;
            }
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// A number in groups of seven bits, at most ten of them.
fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0A, 2, b'a', b'b']);
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0A, 0xAC, 2]);
        assert_eq!(long.len(), 5 + 3 + 300);
    }

    #[test]
    fn answers() {
        let check = |http, body: &[u8], status: Option<&str>, words: &str| {
            let found = judge(http, body, status.map(str::as_bytes));
            let expect = if words.is_empty() { Ok(()) } else { Err(words.to_owned()) };
            assert_eq!(found, expect, "{body:?}");
        };
        check(200, &[0, 0, 0, 0, 2, 8, 1], Some("0"), "");
        check(200, &[0, 0, 0, 0, 2, 8, 2], Some("0"), "it says NOT_SERVING");
        check(200, &[0, 0, 0, 0, 2, 8, 3], Some("0"), "it does not know the service");
        check(200, &[0, 0, 0, 0, 0], Some("0"), "it says that it does not know how it is");
        check(200, &[0, 0, 0, 0, 2, 8, 9], Some("0"), "it says that it does not know how it is");
        check(503, &[], None, "status 503, wanted 200");
        check(200, &[0, 0, 0, 0, 2, 8, 1], None, "no grpc-status");
        check(200, &[], Some("12"), "grpc-status 12: it has no health service");
        check(200, &[], Some("5"), "grpc-status 5: it does not know the service");
        check(200, &[], Some("14"), "grpc-status 14, wanted 0");
        check(200, &[], Some("x"), "a grpc-status that is no number");
        // Fields that are not known are skipped; the last of several counts.
        check(200, &[0, 0, 0, 0, 8, 0x12, 1, 7, 0x18, 0x80, 1, 8, 1], Some("0"), "");
        for malformed in [
            &[][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 3, 8, 1],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 0x12, 5],
            &[0, 0, 0, 0, 1, 0x0F],
            &[0, 0xFF, 0xFF, 0xFF, 0xFF, 8, 1],
        ] {
            check(200, malformed, Some("0"), "a malformed answer");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_harm(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = judge(200, &body, Some(b"0"));
            let mut framed = vec![0, 0, 0, 0, u8::try_from(body.len()).unwrap()];
            framed.extend(&body);
            let _ = judge(200, &framed, Some(b"0"));
        }
    }
}
