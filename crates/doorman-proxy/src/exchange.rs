//! What truly travels with a request through the corridor.

use std::net::IpAddr;
use std::rc::Rc;

use doorman_http::{
    Body, BodyError, Conn, FieldId, Interim, Length, Now, Request, RequestHead, Response,
};
use doorman_route::{AddressSet, Captures};
use doorman_transform::{ForwardedMode, RequestId, Trust, client_ip, forward, trust};

use crate::house::Books;
use crate::record::{End, Record};

/// A request on its way, and the record that is kept of it.
pub(crate) struct Exchange {
    pub(crate) head: Box<RequestHead>,
    pub(crate) body: Option<Body>,
    pub(crate) interim: Option<Rc<dyn Interim>>,
    pub(crate) captures: Captures,
    conn: Rc<Conn>,
    trust: Trust,
    record: Option<Box<Record>>,
}

impl Exchange {
    pub(crate) fn new(conn: &Rc<Conn>, request: Request, books: &Rc<Books>, started: Now) -> Self {
        let Request { head, body, interim } = request;
        let mut record = Record::open(Rc::clone(conn), Rc::clone(books), started);
        if let Length::Known(n) = body.length() {
            record.bytes_in = n;
        }
        Self {
            head,
            body: Some(body),
            interim,
            captures: Captures::default(),
            conn: Rc::clone(conn),
            trust: Trust::Untrusted,
            record: Some(record),
        }
    }

    /// Works out who asks and under which id. An id and the word about the client are taken over
    /// only from a trusted peer.
    pub(crate) fn identify(&mut self, trusted: &AddressSet, mut dice: impl FnMut() -> u64) {
        let conn = self.conn();
        let is_trusted = |ip: IpAddr| trusted.contains(ip);
        self.trust =
            if trusted.is_empty() { Trust::Untrusted } else { trust(&conn.peer, is_trusted) };
        let client = match self.trust {
            Trust::Untrusted => conn.peer.ip(),
            Trust::Trusted => client_ip(&self.head.fields, &conn.peer, is_trusted),
        };
        let random = u128::from(dice()) << 64 | u128::from(dice());
        let record = self.record();
        record.client = client;
        record.request_id =
            *RequestId::new(record.started.unix_nanos / 1_000_000, random).as_bytes();
        if self.trust == Trust::Trusted {
            self.take_over_id();
        }
        let id = self.id();
        self.head.fields.remove_id(FieldId::XRequestId);
        self.head.fields.push_id(FieldId::XRequestId, &id);
    }

    /// A trusted peer's id is taken over if it looks like one of ours: its length bounds what
    /// logs and headers carry on.
    fn take_over_id(&mut self) {
        let given = self.head.fields.first(FieldId::XRequestId);
        let fits = |id: &&[u8]| id.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
        let given: Option<[u8; 36]> = given.filter(fits).and_then(|id| id.try_into().ok());
        if let Some(id) = given {
            self.record().request_id = id;
        }
    }

    /// Writes the fields that tell the origin who asked.
    pub(crate) fn forward(&mut self, mode: ForwardedMode) {
        let conn = self.conn();
        forward(mode, &mut self.head, &conn.peer, self.trust);
    }

    /// The request's id.
    pub(crate) fn id(&self) -> [u8; 36] {
        self.record.as_ref().map_or([b'0'; 36], |record| record.request_id)
    }

    /// The client's connection.
    pub(crate) fn conn(&self) -> Rc<Conn> {
        Rc::clone(&self.conn)
    }

    /// Who asks.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.record.as_ref().and_then(|record| record.client)
    }

    /// When the head had been read.
    pub(crate) fn started(&self) -> Now {
        self.record.as_ref().map_or_else(Now::default, |record| record.started)
    }

    /// The record. It leaves only with the exchange itself.
    pub(crate) fn record(&mut self) -> &mut Record {
        self.record.as_mut().expect("the record is there until the exchange is closed")
    }

    /// Ends the exchange: the record rides on the response's body from here.
    pub(crate) fn close(mut self, mut response: Response) -> Response {
        if let Some(mut record) = self.record.take() {
            record.status = response.head.status;
            record.head = Some(std::mem::take(&mut self.head));
            response.body.watch(record);
        }
        response
    }
}

/// An exchange that is dropped on its way was given up because the client is gone.
impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.end = End::of_body(BodyError::ClientClosed);
            record.head = Some(std::mem::take(&mut self.head));
            record.finish();
        }
    }
}
