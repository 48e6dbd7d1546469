//! Origins: a thread for each connection, which plays what the story says and keeps what it gets.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use doorman_testkit::h3::origin::QuicOrigin;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::wire::{Content, Framing, Head, framing};
use super::{Back, Lane, PATIENCE, Wire};

/// A request as an origin read it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) head: Head,
    pub(crate) content: Content,
}

impl Seen {
    pub(crate) fn method(&self) -> &str {
        self.head.line.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.head.line.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }
}

/// What an origin knows.
#[derive(Default)]
pub(crate) struct Book {
    /// For each connection: the bytes that arrived, up to a bound.
    pub(crate) received: Vec<Vec<u8>>,
    pub(crate) open: usize,
    pub(crate) seen: Vec<Seen>,
    /// How often scripts have marked their place.
    pub(crate) marks: usize,
    released: bool,
    /// How many steps the story has allowed.
    allowed: usize,
}

/// Bytes kept of each connection.
const KEPT_MAX: usize = 64 * 1024;

#[derive(Default)]
struct Ledger {
    book: Mutex<Book>,
    news: Condvar,
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        let output = act(&mut self.book());
        self.news.notify_all();
        output
    }

    #[track_caller]
    fn wait(&self, what: &str, ready: impl Fn(&Book) -> bool) {
        let waited = self.news.wait_timeout_while(self.book(), PATIENCE, |book| !ready(book));
        let (book, limit) = waited.unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> = book.seen.iter().map(|seen| &seen.head.line).collect();
        assert!(!limit.timed_out(), "no {what}: {} open, {lines:?}", book.open);
    }
}

/// An origin on a free port of the loopback.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    back: Back,
    ledger: Arc<Ledger>,
    /// HTTP/3 in front of it.
    quic: Option<QuicOrigin>,
}

/// One connection, as its script sees it.
pub(crate) struct Talk {
    pub(crate) wire: Wire,
    /// The how-manieth connection of this origin, from zero.
    pub(crate) index: usize,
    ledger: Arc<Ledger>,
}

impl Talk {
    /// Reads a request's head; `None` when the proxy has closed.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        let head = self.wire.head()?;
        if let Some(head) = &head {
            self.note(head.clone(), Content::default());
        }
        Ok(head)
    }

    /// Reads a whole request; `None` when the proxy has closed.
    pub(crate) fn request(&mut self) -> io::Result<Option<Seen>> {
        let Some(head) = self.wire.head()? else { return Ok(None) };
        if head.field("expect").is_some() {
            self.wire.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut content = Content::default();
        self.wire.body(framing(&head, Framing::Length(0))?, &mut content)?;
        Ok(Some(self.note(head, content)))
    }

    fn note(&self, head: Head, content: Content) -> Seen {
        let seen = Seen { connection: self.index, head, content };
        self.ledger.change(|book| book.seen.push(seen.clone()));
        seen
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.send(bytes)
    }

    /// Lets the story know that the script has come this far.
    pub(crate) fn mark(&self) {
        self.ledger.change(|book| book.marks += 1);
    }

    /// Waits until the story has allowed so many steps.
    pub(crate) fn wait_for_step(&self, n: usize) {
        self.ledger.wait("step", |book| book.allowed >= n);
    }

    /// Waits until the story releases its origins.
    pub(crate) fn hold(&self) {
        self.ledger.wait("release", |book| book.released);
    }
}

impl Origin {
    /// Plays `script` on every connection.
    pub(crate) fn start(
        back: Back,
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start_ending(back, move |mut talk| {
            let end = script(&mut talk);
            if end.is_ok() {
                talk.wire.finish();
            }
        })
    }

    /// Plays `script`, which ends the connection itself.
    pub(crate) fn start_ending(back: Back, script: impl Fn(Talk) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let ledger = Arc::new(Ledger::default());
        let (kept, script) = (Arc::clone(&ledger), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (ledger, script) = (Arc::clone(&kept), Arc::clone(&script));
                let index = ledger.change(|book| {
                    book.open += 1;
                    book.received.push(Vec::new());
                    book.received.len() - 1
                });
                thread::spawn(move || {
                    let talk = talk(back, stream, index, &ledger);
                    script(talk);
                    ledger.change(|book| book.open -= 1);
                });
            }
        });
        let speaking = |protocol: &str| {
            let mut config = ServerConfig::clone(&identity().server);
            config.alpn_protocols = vec![protocol.into()];
            Arc::new(config)
        };
        let mut quic = None;
        let address = match back {
            Back::H1 | Back::H1Tls => address,
            Back::H2c => super::bridge::before(address, None),
            Back::Cgi => super::cgi::before(address),
            Back::H2 => super::bridge::before(address, Some(speaking("h2"))),
            Back::H3 => quic.insert(super::quic::before(address, speaking("h3"))).address(),
        };
        Self { address, back, ledger, quic }
    }

    /// Answers every request with what `answer` makes of it.
    pub(crate) fn serving(
        back: Back,
        answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::start(back, move |talk| {
            while let Some(seen) = talk.request()? {
                talk.send(answer(&seen))?;
            }
            Ok(())
        })
    }

    /// An `upstream` block for the configuration.
    pub(crate) fn upstream(&self, name: &str) -> String {
        format!("upstream {name} {{ {} }}\n", self.servers())
    }

    /// The lines of the `upstream` block.
    pub(crate) fn servers(&self) -> String {
        let address = self.address;
        match self.back {
            Back::H1 => format!("server {address}"),
            Back::H2c => format!("server {address}; protocol h2c"),
            // Kept as connections over HTTP are.
            Back::Cgi => {
                format!(
                    "server {address}; protocol fastcgi; root /srv; index x; pool {{ idle 64 }}"
                )
            }
            Back::H1Tls | Back::H2 | Back::H3 => {
                let authority = identity().folder.path().join("ca.pem");
                let protocol = match self.back {
                    Back::H2 => "h2",
                    Back::H3 => "h3",
                    _ => "h1",
                };
                format!(
                    "server https://{address}; protocol {protocol}; tls ca {} name origin.test",
                    authority.display()
                )
            }
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.ledger.book()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.book().seen.clone()
    }

    /// Allows one more step.
    pub(crate) fn allow(&self) {
        self.ledger.change(|book| book.allowed += 1);
    }

    /// Lets those go on that hold.
    pub(crate) fn release(&self) {
        self.ledger.change(|book| book.released = true);
    }

    /// Lets so much time pass.
    pub(crate) fn pause(&self, time: Duration) {
        let _ = self.ledger.news.wait_timeout_while(self.book(), time, |_| true);
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, ready: impl Fn(&Book) -> bool) {
        self.ledger.wait(what, ready);
    }
}

fn talk(back: Back, stream: TcpStream, index: usize, ledger: &Arc<Ledger>) -> Talk {
    let lane = match back {
        // What else is spoken is the bridges'.
        Back::H1 | Back::H2 | Back::H2c | Back::H3 | Back::Cgi => Lane::Plain(stream),
        Back::H1Tls => {
            let tls =
                ServerConnection::new(Arc::clone(&identity().server)).expect("a configuration");
            Lane::Server(Box::new(StreamOwned::new(tls, stream)))
        }
    };
    let mut wire = Wire::new(lane);
    let book = Arc::clone(ledger);
    wire.tap(move |bytes| {
        book.change(|book| {
            let kept = &mut book.received[index];
            let room = KEPT_MAX - kept.len();
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        });
    });
    Talk { wire, index, ledger: Arc::clone(ledger) }
}

/// A whole response with a counted body.
pub(crate) fn reply(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Whom TLS origins are, and the authority that says so. One for the whole binary.
struct Identity {
    folder: TempDir,
    server: Arc<ServerConfig>,
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("entropy");
        let authority = params.self_signed(&key).expect("our own parameters");
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("entropy");
        let leaf = CertificateParams::new(vec!["origin.test".to_owned()])
            .and_then(|params| params.signed_by(&key, &issuer))
            .expect("our own parameters");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("our own folder");
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let server = ServerConfig::builder_with_provider(super::client::provider())
            .with_safe_default_protocol_versions()
            .expect("versions of the provider")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a key that fits");
        Identity { folder, server: Arc::new(server) }
    })
}

/// Whether an error is the peer's end rather than our impatience.
pub(crate) fn is_end(error: &io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
