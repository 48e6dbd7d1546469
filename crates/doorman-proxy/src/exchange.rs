//! What truly travels with a request through the corridor.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;

use doorman_auth::Identity;
use doorman_balance::ServerId;
use doorman_http::{Body, BodyError, Conn, FieldId, Interim, Now, Request, RequestHead, Response};
use doorman_route::{AddressSet, Captures};
use doorman_store::{Object, Sibling};
use doorman_transform::{Asked, ForwardedMode, RequestId, Trust, client_ip, forward, trust};

use crate::form::Content;
use crate::gate::Marks;
use crate::hints::Hinting;
use crate::house::Books;
use crate::record::{End, Record};

/// A request on its way, and the record that is kept of it.
pub(crate) struct Exchange {
    pub(crate) head: Held,
    pub(crate) body: Option<Body>,
    pub(crate) interim: Option<Rc<dyn Interim>>,
    pub(crate) captures: Captures,
    /// What ties it to a server.
    pub(crate) tie: Tie,
    /// What its client said about the form of answers, where its route asks: before edits, and before
    /// the cache makes one question of many.
    pub(crate) coding: Option<Asked>,
    /// What it has to do with early hints; `None`: nothing.
    pub(crate) hinting: Option<Box<Hinting>>,
    /// The stored response that answers it whole, where its route asks: other forms of it are there, too.
    pub(crate) stored: Option<Arc<Object>>,
    /// The smaller form of it that is served in its place.
    pub(crate) formed: Option<(Content, Arc<Sibling>)>,
    /// What its answer carries because of the gates that it came through; `None`: nothing.
    marks: Option<Box<Marks>>,
    /// Who asks, where its route wants to know; `None`: nobody is known.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Whether a server was asked about it and let it pass.
    pub(crate) is_vouched: bool,
    /// Whether somebody asks where nobody may ask, too: what is kept for nobody is not for him.
    pub(crate) is_optional: bool,
    conn: Rc<Conn>,
    trust: Trust,
    record: Option<Box<Record>>,
}

/// What ties a request to a server of the upstream that it goes to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tie {
    /// The server that its client belongs to.
    pub(crate) server: Option<ServerId>,
    /// What happens when that one is down, and when it is full.
    pub(crate) otherwise: (Otherwise, Otherwise),
    /// What a method that looks at requests makes its choice by.
    pub(crate) key: Option<u64>,
}

/// What becomes of a request whose server cannot take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// Another one takes it.
    #[default]
    Choose,
    /// It is refused.
    Refuse,
}

impl Exchange {
    pub(crate) fn new(conn: &Rc<Conn>, request: Request, books: &Rc<Books>, started: Now) -> Self {
        let Request { head, mut body, interim } = request;
        let mut record = Record::open(Rc::clone(conn), Rc::clone(books), started);
        record.anomaly = head.anomaly;
        if !body.is_finished() {
            // A length may be missing, as a tunnel's is, and one that was declared may never come.
            body.watch(record.receiving());
        }
        Self {
            head: Held(Some(head)),
            body: Some(body),
            interim,
            captures: Captures::default(),
            tie: Tie::default(),
            coding: None,
            hinting: None,
            stored: None,
            formed: None,
            marks: None,
            identity: None,
            is_vouched: false,
            is_optional: false,
            conn: Rc::clone(conn),
            trust: Trust::Untrusted,
            record: Some(record),
        }
    }

    /// A request of the house beside this one, which may last longer.
    pub(crate) fn beside(&self, head: Box<RequestHead>, books: &Rc<Books>, started: Now) -> Self {
        let request = Request { head, body: Body::empty(), interim: None };
        let mut beside = Self::new(&self.conn, request, books, started);
        beside.captures = self.captures.clone();
        beside.trust = self.trust;
        let (id, client) = (self.id(), self.client());
        let record = beside.record();
        (record.request_id, record.client) = (id, client);
        beside
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

    /// Whether what its peer says of scheme and host is believed.
    pub(crate) fn is_trusted(&self) -> bool {
        self.trust == Trust::Trusted
    }

    /// The request's id.
    pub(crate) fn id(&self) -> [u8; 36] {
        self.record.as_ref().map_or([b'0'; 36], |record| record.request_id)
    }

    /// The client's connection.
    pub(crate) fn conn(&self) -> Rc<Conn> {
        Rc::clone(&self.conn)
    }

    /// The same, to look at.
    pub(crate) fn conn_ref(&self) -> &Conn {
        &self.conn
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

    /// Who asks, as far as that is known.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// The name of who asks, for what counts by users: the one that a gate found, or the subject of the certificate
    /// that the client has shown and that was checked.
    pub(crate) fn user(&self) -> Option<&str> {
        let certified = || Some(&*self.conn_ref().tls.as_ref()?.client.as_ref()?.subject);
        self.identity().map(|who| &*who.user).or_else(certified)
    }

    /// Whether what it is answered may depend on who asks.
    pub(crate) fn is_judged(&self) -> bool {
        self.identity.is_some() || self.is_vouched
    }

    /// What its answer carries, to be added to.
    pub(crate) fn marks(&mut self) -> &mut Marks {
        self.marks.get_or_insert_default()
    }

    /// Ends the exchange: the record rides on the response's body from here.
    pub(crate) fn close(mut self, mut response: Response) -> Response {
        if let Some(marks) = self.marks.take() {
            marks.write(&mut response);
        }
        if let Some(mut record) = self.record.take() {
            record.status = response.head.status;
            record.head = self.head.0.take();
            response.body.watch(record);
        }
        response
    }
}

/// The head of a request that is on its way. It moves into the record when the exchange ends, and
/// nobody asks for it afterwards.
pub(crate) struct Held(Option<Box<RequestHead>>);

impl Deref for Held {
    type Target = RequestHead;

    fn deref(&self) -> &RequestHead {
        self.0.as_ref().expect("the head is there until the exchange is closed")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut RequestHead {
        self.0.as_mut().expect("the head is there until the exchange is closed")
    }
}

/// An exchange that is dropped on its way was given up because the client is gone.
impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.end = End::of_body(BodyError::ClientClosed);
            record.head = self.head.0.take();
            record.finish();
        }
    }
}
