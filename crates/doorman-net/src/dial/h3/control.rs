//! Unidirectional streams that the origin opens (RFC 9114 section 6.2): one for control, two for
//! QPACK, and whatever kinds we do not know. A task each; they read little and seldom.

use std::cell::Cell;
use std::rc::Rc;

use doorman_h3::{
    Code, Control, ControlReader, DecoderReader, EncoderReader, Fault, Sender, StreamKind,
    stream_kind,
};
use quinn::{Connection, ReadError, RecvStream};

use super::session::State;
use crate::Clock;
use crate::http3::halves::number;

/// Bytes that are taken of a stream at once.
const READ_MAX: usize = 4 * 1024;

/// Kinds of streams that an origin opened and may open only once.
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
pub(super) async fn serve(
    stream: RecvStream,
    state: Rc<State>,
    connection: Connection,
    clock: Clock,
) {
    let mut line = Line { stream, state, connection, clock };
    if let Err(fault) = line.follow().await {
        line.state.close_for(&line.connection, fault);
    }
}

struct Line {
    stream: RecvStream,
    state: Rc<State>,
    connection: Connection,
    clock: Clock,
}

impl Line {
    async fn follow(&mut self) -> Result<(), Fault> {
        let mut start = Vec::new();
        let (kind, length) = loop {
            if let Some(found) = stream_kind(&start) {
                break found;
            }
            // A stream may end before it says what it is for (section 6.2).
            let Ok(Some(chunk)) = self.stream.read_chunk(READ_MAX, true).await else {
                return Ok(());
            };
            start.extend_from_slice(&chunk.bytes);
        };
        let opened = &self.state.opened;
        let (was_there, mut critical) = match kind {
            StreamKind::Control => {
                let reader = ControlReader::of(Sender::Server);
                (opened.control.replace(true), Critical::Control(reader))
            }
            StreamKind::QpackEncoder => {
                (opened.encoder.replace(true), Critical::Encoder(<_>::default()))
            }
            StreamKind::QpackDecoder => {
                (opened.decoder.replace(true), Critical::Decoder(<_>::default()))
            }
            StreamKind::Push => {
                // No MAX_PUSH_ID was sent, so no push may begin (section 4.6).
                let reason = "a push that was never allowed";
                return Err(Fault { code: Code::IdError, reason });
            }
            StreamKind::Unknown => {
                self.glitch();
                let _ = self.stream.stop(number(Code::StreamCreationError));
                return Ok(());
            }
        };
        if was_there {
            let reason = "second stream of a kind that there is once";
            return Err(Fault { code: Code::StreamCreationError, reason });
        }
        self.read(&mut critical, start.get(length..).unwrap_or_default())?;
        loop {
            match self.stream.read_chunk(READ_MAX, true).await {
                Ok(Some(chunk)) => self.read(&mut critical, &chunk.bytes)?,
                Ok(None) | Err(ReadError::Reset(_)) => {
                    let reason = "a stream that the connection needs was closed";
                    return Err(Fault { code: Code::ClosedCriticalStream, reason });
                }
                // The connection is gone.
                Err(_) => return Ok(()),
            }
        }
    }

    fn read(&self, critical: &mut Critical, mut bytes: &[u8]) -> Result<(), Fault> {
        let reader = match critical {
            Critical::Encoder(reader) => return reader.read(bytes),
            Critical::Decoder(reader) => return reader.read(bytes),
            Critical::Control(reader) => reader,
        };
        while let Some(control) = reader.read(&mut bytes)? {
            match (control, reader.goaway()) {
                (Control::GoAway, Some(first)) => self.state.goes_away(first),
                (Control::Settings | Control::GoAway, _) => {}
                (Control::MaxPushId | Control::Unknown, _) => self.glitch(),
            }
        }
        Ok(())
    }

    fn glitch(&self) {
        self.state.count_glitches(&self.connection, 1, self.clock.recent());
    }
}
