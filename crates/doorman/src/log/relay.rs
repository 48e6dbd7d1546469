//! The line of a relayed connection. It is no request: it has no place in the `combined` format, which
//! is made of request lines, and is left out there.

use doorman_http::{IpText, Peer};
use doorman_proxy::{RelayEnd, RelayRecord};

use super::line::{Look, field, number, plain_text, timestamp};

/// What a line tells.
pub(super) struct RelayLine<'a> {
    record: &'a RelayRecord,
}

impl<'a> RelayLine<'a> {
    /// The line of a record.
    pub(super) const fn of(record: &'a RelayRecord) -> Self {
        Self { record }
    }

    /// Appends the line.
    pub(super) fn write(&self, look: Look, out: &mut Vec<u8>) {
        match look {
            Look::Json => self.json(out),
            Look::Combined => {}
            Look::Pretty | Look::Colourful => self.pretty(out),
        }
    }

    fn total_micros(&self) -> u64 {
        let total = self.record.ended.since(self.record.started.instant);
        u64::try_from(total.as_micros()).unwrap_or(u64::MAX)
    }

    fn json(&self, out: &mut Vec<u8>) {
        let record = self.record;
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(&timestamp(record.started.unix_nanos));
        out.push(b'"');
        field(out, b",\"relay\":\"", record.place.relay.as_bytes());
        if let Peer::Inet(client) = record.client {
            let ip = IpText::new(client.ip().to_canonical());
            field(out, b",\"client\":\"", ip.as_bytes());
            number(out, b",\"client_port\":", u64::from(client.port()));
        }
        if let Some(name) = &record.server_name {
            field(out, b",\"server_name\":\"", name.as_bytes());
        }
        number(out, b",\"bytes_in\":", record.bytes_in);
        number(out, b",\"bytes_out\":", record.bytes_out);
        if let Some(connected) = record.connected {
            let connect = connected.since(record.started.instant).as_micros();
            number(out, b",\"connect_us\":", u64::try_from(connect).unwrap_or(u64::MAX));
        }
        number(out, b",\"total_us\":", self.total_micros());
        field(out, b",\"end\":\"", record.end.as_str().as_bytes());
        if let Some(detail) = &record.detail {
            field(out, b",\"detail\":\"", detail.as_bytes());
        }
        if let Some(server) = &record.server {
            field(out, b",\"upstream\":\"", server.upstream.as_bytes());
            field(out, b",\"server\":\"", server.server.as_bytes());
            number(out, b",\"attempts\":", u64::from(record.attempts));
        }
        out.extend_from_slice(b"}\n");
    }

    fn pretty(&self, out: &mut Vec<u8>) {
        let record = self.record;
        out.extend_from_slice(&timestamp(record.started.unix_nanos)[11..23]);
        out.extend_from_slice(b" relay ");
        plain_text(out, record.place.relay.as_bytes());
        if let Some(name) = &record.server_name {
            out.push(b' ');
            plain_text(out, name.as_bytes());
        }
        number(out, b"  ", self.total_micros() / 1000);
        number(out, b" ms  ", record.bytes_in);
        number(out, b" B in  ", record.bytes_out);
        out.extend_from_slice(b" B out");
        if let Some(server) = &record.server {
            out.extend_from_slice(b"  -> ");
            plain_text(out, server.upstream.as_bytes());
            if server.upstream != server.server {
                out.push(b'/');
                plain_text(out, server.server.as_bytes());
            }
        }
        if record.end != RelayEnd::Ok {
            out.extend_from_slice(b"  ");
            out.extend_from_slice(record.end.as_str().as_bytes());
            if let Some(detail) = &record.detail {
                out.extend_from_slice(b" (");
                plain_text(out, detail.as_bytes());
                out.push(b')');
            }
        }
        out.push(b'\n');
    }
}
