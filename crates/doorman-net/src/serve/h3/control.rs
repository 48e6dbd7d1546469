//! Unidirectional streams that the client opens (RFC 9114 section 6.2): one for control, two for
//! QPACK, and whatever kinds we do not know. A task each; they read little and seldom.

use std::cell::Cell;
use std::rc::Rc;

use doorman_h3::{
    Code, Control, ControlReader, DecoderReader, EncoderReader, Fault, StreamKind, stream_kind,
};
use quinn::{ReadError, RecvStream};

use super::halves::number;
use super::house::House;

/// Bytes that are taken of a stream at once.
const READ_MAX: usize = 4 * 1024;

/// Kinds of streams that a client opened and may open only once.
#[derive(Debug, Default)]
pub(super) struct Opened {
    control: Cell<bool>,
    encoder: Cell<bool>,
    decoder: Cell<bool>,
}

/// What reads a stream that the connection needs.
enum Critical {
    Control(ControlReader),
    Encoder(EncoderReader),
    Decoder(DecoderReader),
}

/// Serves a stream until it ends, which those that the connection needs must not.
pub(super) async fn serve(mut stream: RecvStream, opened: Rc<Opened>, house: Rc<House>) {
    match follow(&mut stream, &opened, &house).await {
        Ok(()) => {}
        Err(fault) => house.fault(fault),
    }
}

async fn follow(stream: &mut RecvStream, opened: &Opened, house: &House) -> Result<(), Fault> {
    let mut start = Vec::new();
    let (kind, length) = loop {
        if let Some(found) = stream_kind(&start) {
            break found;
        }
        // A stream may end before it says what it is for (section 6.2).
        let Ok(Some(chunk)) = stream.read_chunk(READ_MAX, true).await else { return Ok(()) };
        start.extend_from_slice(&chunk.bytes);
    };
    let (first, mut critical) = match kind {
        StreamKind::Control => (opened.control.replace(true), Critical::Control(<_>::default())),
        StreamKind::QpackEncoder => {
            (opened.encoder.replace(true), Critical::Encoder(<_>::default()))
        }
        StreamKind::QpackDecoder => {
            (opened.decoder.replace(true), Critical::Decoder(<_>::default()))
        }
        StreamKind::Push => return Err(creation("push stream of a client")),
        StreamKind::Unknown => {
            house.count_glitches(1);
            let _ = stream.stop(number(Code::StreamCreationError));
            return Ok(());
        }
    };
    if first {
        return Err(creation("second stream of a kind that there is once"));
    }
    critical.read(&start[length..], house)?;
    loop {
        match stream.read_chunk(READ_MAX, true).await {
            Ok(Some(chunk)) => critical.read(&chunk.bytes, house)?,
            Ok(None) | Err(ReadError::Reset(_)) => {
                let reason = "a stream that the connection needs was closed";
                return Err(Fault { code: Code::ClosedCriticalStream, reason });
            }
            // The connection is gone.
            Err(_) => return Ok(()),
        }
    }
}

const fn creation(reason: &'static str) -> Fault {
    Fault { code: Code::StreamCreationError, reason }
}

impl Critical {
    fn read(&mut self, mut bytes: &[u8], house: &House) -> Result<(), Fault> {
        match self {
            Self::Encoder(reader) => reader.read(bytes),
            Self::Decoder(reader) => reader.read(bytes),
            Self::Control(reader) => {
                while let Some(control) = reader.read(&mut bytes)? {
                    match control {
                        Control::Settings => {}
                        Control::GoAway => {
                            house.client_leaves.set(true);
                            house.ledger.wake_connection();
                        }
                        Control::MaxPushId | Control::Unknown => house.count_glitches(1),
                    }
                }
                Ok(())
            }
        }
    }
}
