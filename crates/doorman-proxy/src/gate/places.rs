//! How many at once: requests, and connections of one client.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use doorman_limit::{Entered, KeyMaker, KeyedPlaces, Places, PlacesBounds, Prefixes, Secret};
use doorman_net::{Clock, within_deadline};

use super::{KeyPart, key};
use crate::exchange::Exchange;
use crate::stop::Fault;

/// Requests at once.
pub(crate) struct PlanConcurrency {
    pub(crate) bounds: PlacesBounds,
    pub(crate) timeout: Duration,
    pub(crate) places: Crowded,
}

/// Whose places are counted.
pub(crate) enum Crowded {
    /// Those of all requests.
    All(Arc<Places>),
    /// Those of each key.
    Keyed(Arc<KeyedPlaces>, Secret, Box<[KeyPart]>),
}

/// When a request that found no place may come again, in seconds.
const RETRY_AFTER: u32 = 1;

impl PlanConcurrency {
    /// Takes a place, or waits for one. The record holds it until the answer is over.
    pub(super) async fn enter(&self, clock: Clock, exchange: &mut Exchange) -> Result<(), Fault> {
        let entered = match &self.places {
            Crowded::All(places) => places.enter(self.bounds),
            Crowded::Keyed(places, secret, parts) => {
                places.enter(key(*secret, parts, exchange), self.bounds)
            }
        };
        let place = match entered {
            Entered::Place(place) => place,
            Entered::Full => return Err(Fault::Crowded("no place is free", RETRY_AFTER)),
            Entered::Wait(mut waiting) => {
                let begun = clock.instant();
                let called = poll_fn(|cx| waiting.poll_place(cx));
                let place = within_deadline(clock, self.timeout, called).await;
                exchange.record().waited_micros += clock.instant().micros_since(begun);
                place.ok_or(Fault::Crowded("no place became free", RETRY_AFTER))?
            }
        };
        exchange.record().places.push(place);
        Ok(())
    }
}

/// Connections of one client that have asked for something here.
pub(crate) struct PlanConnections {
    pub(crate) most: u32,
    pub(crate) prefixes: Prefixes,
    pub(crate) secret: Secret,
    pub(crate) places: Arc<KeyedPlaces>,
}

impl PlanConnections {
    /// Counts the connection of a request in, unless it has been. It counts until it closes.
    pub(super) fn check(&self, exchange: &Exchange) -> Result<(), Fault> {
        let Some(client) = exchange.client() else { return Ok(()) };
        let held = &exchange.conn_ref().held;
        let mut maker = KeyMaker::new(self.secret);
        maker.client(client, self.prefixes);
        let key = maker.key();
        // A proxy in front has one connection for many clients, each of which counts on it.
        let id = (Arc::as_ptr(&self.places).addr() as u64, key.number());
        if held.has(id) {
            return Ok(());
        }
        match self.places.enter(key, PlacesBounds { places: self.most, queue: 0 }) {
            Entered::Place(place) => {
                held.keep(id, Box::new(place) as Box<dyn std::any::Any>);
                Ok(())
            }
            Entered::Wait(_) | Entered::Full => Err(Fault::TooManyConnections),
        }
    }
}
