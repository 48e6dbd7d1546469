//! A WebSocket (RFC 6455) that sends back what it gets, and a page to try it with.
//!
//! It speaks through our own proxy to browsers, so it is strict where that is simple, and closes where
//! a frame is not what a client may send.

use std::io;

use doorman_net::dial::websocket_accept;
use doorman_net::os::OsStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes of one frame: what is typed is short.
const FRAME_MAX: u64 = 64 * 1024;

/// A page that opens the WebSocket of its own address.
pub const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>doorman: a WebSocket</title>
<style>body { font: 16px sans-serif; max-width: 40em; margin: 3em auto }</style>
<h1>A WebSocket through doorman</h1>
<p>What you type goes to an origin and comes back.</p>
<form><input autofocus size="40"> <button>Send</button></form>
<pre></pre>
<script>
  const socket = new WebSocket(location.href.replace(/^http/, "ws"));
  const page = document.querySelector("pre"), line = document.querySelector("input");
  const show = text => page.prepend(text + "\n");
  socket.onmessage = event => show(event.data);
  socket.onclose = () => show("(closed)");
  document.querySelector("form").onsubmit = event => {
    event.preventDefault();
    socket.send(line.value);
    line.value = "";
  };
</script>
"#;

/// Switches protocols and echoes until the end. `waiting` holds what was read behind the head.
pub async fn serve(
    name: &str,
    key: &[u8],
    stream: &mut OsStream,
    mut waiting: Vec<u8>,
) -> io::Result<()> {
    let accept = websocket_accept(key);
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Origin: {name}\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        String::from_utf8_lossy(&accept)
    );
    stream.write_all(head.as_bytes()).await?;
    let hello = format!("I am {name}. I send back what you say.");
    stream.write_all(&frame(TEXT, hello.as_bytes())).await?;
    loop {
        match Frame::read(&waiting) {
            Read::More => {
                if stream.read_buf(&mut waiting).await? == 0 {
                    return Ok(());
                }
            }
            Read::Frame(heard, length) => {
                stream.write_all(&frame(heard.answer(), &heard.payload)).await?;
                waiting.drain(..length);
                if heard.first & OPCODE == CLOSE {
                    return Ok(());
                }
            }
            // 1002: protocol error (section 7.4.1).
            Read::Broken => return stream.write_all(&frame(FIN | CLOSE, &[0x03, 0xea])).await,
        }
    }
}

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const TEXT: u8 = FIN | 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// A frame of a client, unmasked.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    /// FIN, reserved bits and opcode.
    first: u8,
    payload: Vec<u8>,
}

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// Not yet a whole frame.
    More,
    /// A frame and its bytes on the wire.
    Frame(Frame, usize),
    /// Nothing that a client may send.
    Broken,
}

impl Frame {
    /// RFC 6455 section 5.2. A client masks, and nobody has agreed on extensions.
    fn read(input: &[u8]) -> Read {
        let &[first, second, ref rest @ ..] = input else { return Read::More };
        let is_control = first & 0x8 != 0;
        let (length, rest) = match (second & 0x7f, rest) {
            (126, [a, b, rest @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), rest),
            (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), rest)
            }
            (126 | 127, _) => return Read::More,
            (length, rest) => (u64::from(length), rest),
        };
        let opcode = first & OPCODE;
        let known = matches!(opcode, 0..=2 | CLOSE..=PONG);
        let long = length > FRAME_MAX || is_control && (length > 125 || first & FIN == 0);
        if first & 0x70 != 0 || second & 0x80 == 0 || !known || long {
            return Read::Broken;
        }
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Read::More };
        let Some(masked) = usize::try_from(length).ok().and_then(|n| rest.get(..n)) else {
            return Read::More;
        };
        let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let used = input.len() - rest.len() + masked.len();
        Read::Frame(Self { first, payload: payload.collect() }, used)
    }

    /// The first byte of what goes back: the same, but a pong for a ping.
    const fn answer(&self) -> u8 {
        if self.first & OPCODE == PING { FIN | PONG } else { self.first }
    }
}

/// A frame of a server, which masks nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let whole =
            [0x81, 0x85, 1, 2, 3, 4, b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1, 0x81];
        let heard = Frame { first: TEXT, payload: b"hello".to_vec() };
        assert_eq!(Frame::read(&whole), Read::Frame(heard, 11), "the next one is left");
        for cut in 0..11 {
            assert_eq!(Frame::read(&whole[..cut]), Read::More, "{cut}");
        }
        let long = [&[0x82, 0xfe, 1, 0, 0, 0, 0, 0][..], &[b'x'; 256]].concat();
        let heard = Frame { first: 0x82, payload: vec![b'x'; 256] };
        assert_eq!(Frame::read(&long), Read::Frame(heard, 264));
        for broken in [
            &[0x81, 0x05][..],
            &[0xc1, 0x80],
            &[0x83, 0x80],
            &[0x09, 0x80],
            &[0x89, 0xfe, 0, 126],
            &[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1],
            &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(Frame::read(broken), Read::Broken, "{broken:x?}");
        }
        for length in [0, 125, 126, 65_535, 65_536] {
            let sent = frame(TEXT, &vec![b'x'; length]);
            let head = match length {
                0..126 => 2,
                126..65_536 => 4,
                _ => 10,
            };
            assert_eq!(sent.len(), head + length);
        }
        assert_eq!(Frame { first: 0x89, payload: Vec::new() }.answer(), 0x8a);
    }
}
