//! What the tasks of one connection share.

use std::cell::Cell;
use std::rc::Rc;

use doorman_h3::{Code, Fault};
use doorman_http::Conn;
use quinn::Connection;

use super::budget::Budget;
use super::halves::number;
use crate::Clock;
use crate::core::ServeSettings;
use crate::serve::early::Shaking;
use crate::serve::ledger::Ledger;

pub(super) struct House {
    pub(super) clock: Clock,
    pub(super) conn: Rc<Conn>,
    pub(super) settings: Rc<ServeSettings>,
    pub(super) connection: Connection,
    /// A handshake that was under way when requests came.
    pub(super) shaking: Option<Rc<Shaking>>,
    pub(super) ledger: Rc<Ledger>,
    pub(super) budget: Budget,
    /// Whether we closed the connection for what the client did.
    pub(super) is_at_fault: Cell<bool>,
    /// Whether we closed it because the time for a drain is over.
    pub(super) is_cut_off: Cell<bool>,
    /// Whether the client said that it sends no more requests.
    pub(super) client_leaves: Cell<bool>,
}

impl House {
    /// Closes the connection for a fault of the client.
    pub(super) fn fault(&self, fault: Fault) {
        self.is_at_fault.set(true);
        self.connection.close(number(fault.code), fault.reason.as_bytes());
    }

    /// Counts `n` things that cost work and bring no request.
    pub(super) fn count_glitches(&self, n: u32) {
        if n > 0 && !self.budget.spend(n, self.clock.instant()) {
            let reason = "too much work without a request";
            self.fault(Fault { code: Code::ExcessiveLoad, reason });
        }
    }
}
