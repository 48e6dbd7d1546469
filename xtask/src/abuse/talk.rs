//! The little of HTTP/1.1 that all parties here need: a request goes out, its answer is read to the end.
//! Nothing is kept of a body but its length.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest head that is read.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// What is read of a body at once.
const PIECE_BYTES: usize = 16 * 1024;

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The server keeps the connection.
    pub(super) is_kept: bool,
}

/// A message's first line and fields, and what of its body came along with them.
pub(super) struct Head {
    pub(super) text: String,
    pub(super) body: Vec<u8>,
}

impl Head {
    /// The value of the first field of this name, which is written in lower case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.text.split("\r\n").skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(super) fn length(&self) -> u64 {
        self.field("content-length").and_then(|length| length.parse().ok()).unwrap_or_default()
    }

    /// A word of the first line.
    pub(super) fn word(&self, index: usize) -> &str {
        self.text.split("\r\n").next().and_then(|line| line.split(' ').nth(index)).unwrap_or("")
    }
}

/// Reads up to the end of a head; `None` when the peer closed in between messages.
pub(super) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Head>> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let searched = bytes.len().saturating_sub(3);
        if stream.read_buf(&mut bytes).await? == 0 {
            return if bytes.is_empty() { Ok(None) } else { Err(cut()) };
        }
        let end = bytes[searched..].windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let body = bytes.split_off(searched + end + 4);
            return Ok(Some(Head { text: String::from_utf8_lossy(&bytes).into_owned(), body }));
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a head without an end"));
        }
    }
}

/// Reads so many bytes of content and forgets them.
pub(super) async fn skip(stream: &mut (impl AsyncRead + Unpin), mut count: u64) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    while count > 0 {
        let most = usize::try_from(count).unwrap_or(usize::MAX).min(PIECE_BYTES);
        match stream.read(&mut piece[..most]).await? {
            0 => return Err(cut()),
            read => count -= read as u64,
        }
    }
    Ok(())
}

/// One request and its whole answer.
pub(super) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
) -> io::Result<Answer> {
    stream.write_all(request).await?;
    stream.flush().await?;
    answer(stream).await
}

/// The next answer on a connection.
pub(super) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let head = head(stream).await?.ok_or_else(cut)?;
    let status = head
        .word(1)
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "an answer without a status"))?;
    skip(stream, head.length().saturating_sub(head.body.len() as u64)).await?;
    Ok(Answer { status, is_kept: head.field("connection") != Some("close") })
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(bytes: &str, wanted: Option<(u16, bool)>) {
        let mut input = bytes.as_bytes();
        let read = answer(&mut input).await.ok();
        assert_eq!(read.map(|answer| (answer.status, answer.is_kept)), wanted, "{bytes:?}");
    }

    #[test]
    fn answers_are_read_to_their_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Some((200, true))).await;
            check("HTTP/1.1 408 No\r\nconnection: close\r\n\r\n", Some((408, false))).await;
            check("HTTP/1.1 200 OK\r\ncontent-length:4\r\n\r\nabc", None).await;
            check("HTTP/1.1 200 OK\r\n", None).await;
            check("hello\r\n\r\n", None).await;
            check("", None).await;
        });
    }
}
