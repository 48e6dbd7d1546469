//! FastCGI in front of an origin whose script speaks HTTP/1.1, as [`super::bridge`] is for HTTP/2: a
//! responder that asks the script and tells what it says. Of what CGI has no words for, trailers and
//! interim responses, nothing passes.
//!
//! Each connection of FastCGI has one to the script, for as long as it is kept.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use doorman_testkit::fastcgi::{Request, end, read_head, read_record, record, stdout};

use super::wire::bad;

/// Puts FastCGI in front of the origin at `script`; where it listens.
pub(crate) fn before(script: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            thread::spawn(move || serve(&stream, script));
        }
    });
    address
}

fn serve(proxy: &TcpStream, script: SocketAddr) {
    let _ = proxy.set_nodelay(true);
    let Ok(lane) = TcpStream::connect(script) else { return };
    let _ = lane.set_nodelay(true);
    let (begun, asked) = channel();
    let halves = proxy.try_clone().and_then(|proxy| Ok((proxy, lane.try_clone()?)));
    let Ok((mut records, mut writer)) = halves else { return };
    thread::spawn(move || {
        let _ = ask(&mut records, &mut writer, &begun);
        // Nobody waits for the script any more.
        let _ = writer.shutdown(Shutdown::Both);
    });
    let _ = answer(proxy, &mut BufReader::new(lane), &asked);
    let _ = proxy.shutdown(Shutdown::Both);
}

/// Passes requests on, until the proxy ends the connection.
fn ask(records: &mut TcpStream, script: &mut TcpStream, begun: &Sender<Request>) -> io::Result<()> {
    while let Some(request) = read_head(records)? {
        script.write_all(&head_of(&request))?;
        let keeps = request.keep;
        let _ = begun.send(request);
        loop {
            match read_record(records)? {
                Some((5, part)) if part.is_empty() => break,
                Some((5, part)) => script.write_all(&part)?,
                _ => return Err(bad("a body that is cut")),
            }
        }
        if !keeps {
            // Its end says that nobody waits.
            while read_record(records)?.is_some() {}
        }
    }
    Ok(())
}

fn head_of(request: &Request) -> Vec<u8> {
    let mut head = format!(
        "{} {} HTTP/1.1\r\n",
        request.param("REQUEST_METHOD"),
        request.param("REQUEST_URI")
    );
    for (name, value) in &request.params {
        let name = match (name.as_str(), name.strip_prefix("HTTP_")) {
            ("CONTENT_LENGTH" | "CONTENT_TYPE", _) if !value.is_empty() => name,
            (_, Some(name)) => name,
            _ => continue,
        };
        let name = name.to_ascii_lowercase().replace('_', "-");
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    head.into_bytes()
}

/// Passes answers on, as long as the proxy keeps the connection.
fn answer(
    mut proxy: &TcpStream,
    script: &mut BufReader<TcpStream>,
    asked: &Receiver<Request>,
) -> io::Result<()> {
    while let Ok(request) = asked.recv() {
        let response = loop {
            let response = read_response(script)?;
            if response.status >= 200 {
                break response;
            }
        };
        proxy.write_all(&stdout(&response.head, 65_535))?;
        let is_head = request.param("REQUEST_METHOD") == "HEAD";
        if !is_head && !matches!(response.status, 204 | 304) {
            pass(proxy, script, &response)?;
        }
        proxy.write_all(&[record(6, b"", 0), end(0)].concat())?;
        if !request.keep {
            break;
        }
    }
    Ok(())
}

struct Response {
    status: u16,
    /// As CGI wants it.
    head: Vec<u8>,
    chunked: bool,
    length: Option<u64>,
}

fn line(script: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    script.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_response(script: &mut BufReader<TcpStream>) -> io::Result<Response> {
    let first = line(script)?;
    let status = first.get(9..12).and_then(|status| status.parse().ok());
    let mut response = Response {
        status: status.ok_or_else(|| bad(&first))?,
        head: format!("Status: {}\r\n", &first[9..]).into_bytes(),
        chunked: false,
        length: None,
    };
    loop {
        let field = line(script)?;
        response.chunked |= field.to_ascii_lowercase().starts_with("transfer-encoding:");
        let of_hop = ["transfer-encoding:", "connection:", "keep-alive:", "trailer:"];
        if let Some(length) = field.to_ascii_lowercase().strip_prefix("content-length:") {
            response.length = length.trim().parse().ok();
        }
        if !of_hop.iter().any(|name| field.to_ascii_lowercase().starts_with(name)) {
            response.head.extend_from_slice(field.as_bytes());
            response.head.extend_from_slice(b"\r\n");
        }
        if field.is_empty() {
            return Ok(response);
        }
    }
}

fn pass(
    proxy: &TcpStream,
    script: &mut BufReader<TcpStream>,
    response: &Response,
) -> io::Result<()> {
    if !response.chunked {
        let length = response.length.ok_or_else(|| bad("a body until the end"))?;
        return copy(proxy, script, length);
    }
    loop {
        let size = line(script)?;
        let size = u64::from_str_radix(&size, 16).map_err(|_| bad("a chunk's size"))?;
        if size == 0 {
            while !line(script)?.is_empty() {}
            return Ok(());
        }
        copy(proxy, script, size)?;
        line(script)?;
    }
}

fn copy(mut proxy: &TcpStream, script: &mut BufReader<TcpStream>, mut left: u64) -> io::Result<()> {
    let mut room = vec![0; 32 * 1024];
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
        let n = script.read(&mut room[..n])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= n as u64;
        proxy.write_all(&stdout(&room[..n], 65_535))?;
    }
    Ok(())
}
