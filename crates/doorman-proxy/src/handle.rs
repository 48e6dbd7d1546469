//! The corridor: the whole life of a request on one screen.

use std::rc::Rc;

use doorman_http::{Body, Conn, FieldId, Request, RequestHead, Response};
use doorman_net::serve::{Handler, Lost, Refused};
use doorman_net::{Net, within_deadline};
use doorman_route::{Found, Query};

use crate::crowd::Admitted;
use crate::exchange::Exchange;
use crate::house::{CorePlan, Proxy};
use crate::plan::{PlanEnding, PlanRoute};
use crate::record::End;
use crate::stage::{
    admit, answer, clients, deadline, early, edit, fetch, grpc, mirror, share, stick,
};
use crate::stop::{Fault, Stop};

impl<N: Net> Proxy<N> {
    /// The life of a request, in order.
    async fn run(
        &self,
        plan: &Rc<CorePlan<N>>,
        exchange: &mut Exchange,
        found: &mut Option<usize>,
    ) -> Result<Response, Stop> {
        if let Some(proofs) = &plan.plan.proofs
            && let Some(answer) = answer::proof(proofs, exchange)
        {
            exchange.record().place = plan.proofs.clone();
            return Err(answer);
        }
        let (site, index) = self.find(plan, exchange)?;
        let site_plan = &plan.plan.sites[site];
        let route = &site_plan.routes[index];
        *found = Some(site << 32 | index);
        clients::check(site_plan.clients.as_ref(), route, exchange)?;
        early::check(site_plan, exchange)?;
        admit::check(route, exchange).await?;
        let mut ways = match &route.ending {
            PlanEnding::Redirect(to, status) => {
                return Err(answer::redirect(route, exchange, to, *status));
            }
            PlanEnding::Respond(status, text) => {
                return Err(answer::respond(route, exchange, *status, text.as_ref()));
            }
            PlanEnding::Proxy(targets) => {
                let dice = || self.net.dice();
                share::ways(route, targets, plan.splits[site][index].as_ref(), exchange, dice)
            }
        };
        // Clients are known by what they sent, not by what edits make of it.
        let mut tie = stick::tie(plan, ways.first, exchange);
        edit::request(route, exchange)?;
        early::mark(&mut exchange.head);
        if let Some(mirror) = &route.mirror {
            let at = mirror::At { site, route: index };
            mirror::begin(mirror, self, plan, at, exchange, self.net.dice());
        }
        let whole = route.whole(&plan.plan.upstreams[ways.first]);
        let whole = whole.into_iter().chain(grpc::timeout(&exchange.head)).min();
        let asked = async {
            loop {
                match fetch::send(self, plan, route, ways.first, exchange).await {
                    Err(fault) if fault.is_unsent() && ways.another() => {
                        tie = stick::tie(plan, ways.first, exchange);
                    }
                    asked => break asked,
                }
            }
        };
        let clock = self.core.clock;
        let reply = match whole {
            None => asked.await?,
            Some(limit) => {
                let end = clock.instant() + limit;
                let asked = within_deadline(clock, limit, asked).await;
                let mut reply = asked.unwrap_or(Err(Fault::DeadlinePassed))?;
                // A tunnel has no end to wait for.
                if reply.answer.head.status != 101 {
                    reply.answer.body = deadline::bound(reply.answer.body, clock, end);
                }
                reply
            }
        };
        let mut reply = fetch::settle(route, reply).await?;
        if !route.pages.is_empty()
            && let Some(page) = answer::page(exchange, route, reply.answer.head.status)
        {
            return Ok(page);
        }
        if exchange.head.takes_trailers {
            grpc::watch(exchange, &mut reply.answer);
        }
        let date = self.books.date(exchange.started().unix_seconds());
        let mut response = edit::response(route, exchange, reply, date);
        stick::mark(tie.as_ref(), exchange, &mut response);
        share::mark(route, &ways, exchange, &mut response);
        Ok(response)
    }

    /// Finds site and route, and writes down where the request belongs.
    fn find(&self, plan: &CorePlan<N>, exchange: &mut Exchange) -> Result<(usize, usize), Fault> {
        let query = Query {
            listener: exchange.conn().listener,
            head: &exchange.head,
            client: exchange.client(),
        };
        match plan.plan.table.find(&query) {
            Found::Route(site, route, captures) => {
                exchange.captures = captures;
                exchange.record().place = Some(Rc::clone(&plan.places[site.0][route.0]));
                Ok((site.0, route.0))
            }
            Found::NoRoute(site) => {
                clients::connection(plan.plan.sites[site.0].clients.as_ref(), exchange)?;
                exchange.record().place = Some(Rc::clone(&plan.no_route[site.0]));
                Err(Fault::NoRoute)
            }
            Found::NoSite => {
                exchange.record().place = Some(Rc::clone(&plan.no_site));
                Err(Fault::NoSite)
            }
        }
    }
}

/// The route that [`Proxy::run`] had found when it stopped.
fn route_at<N: Net>(plan: &CorePlan<N>, found: Option<usize>) -> Option<&PlanRoute> {
    let found = found?;
    plan.plan.sites.get(found >> 32)?.routes.get(found & 0xFFFF_FFFF)
}

impl<N: Net> Handler for Proxy<N> {
    type Place = Admitted;

    /// Infallible: whatever happens inside, the wire gets a response to write.
    async fn handle(&self, conn: &Rc<Conn>, request: Request) -> Response {
        let plan = self.plan();
        let mut exchange = self.open(&plan, conn, request);
        let mut found = None;
        let mut response = match self.run(&plan, &mut exchange, &mut found).await {
            Ok(response) => response,
            Err(Stop::Answer(response)) => *response,
            Err(Stop::Fault(fault)) => {
                let record = exchange.record();
                record.end = fault.end();
                record.detail = fault.detail();
                if grpc::is_call(&exchange.head) {
                    grpc::fault(&fault, &exchange.id())
                } else {
                    let route = route_at(&plan, found);
                    let mut response = answer::fault(&mut exchange, route, fault.status());
                    if let Some(seconds) = fault.retry_after() {
                        let seconds = seconds.to_string();
                        response.head.fields.push(b"retry-after", seconds.as_bytes());
                    }
                    response
                }
            }
        };
        self.date(&exchange, &mut response);
        exchange.close(response)
    }

    fn refuse(&self, conn: &Rc<Conn>, head: Box<RequestHead>, refused: Refused) -> Response {
        let plan = self.plan();
        let request = Request { head, body: Body::empty(), interim: None };
        let mut exchange = self.open(&plan, conn, request);
        let record = exchange.record();
        record.end = if refused.status == 408 { End::ClientTimeout } else { End::ClientMalformed };
        record.detail = Some(refused.reason.to_owned());
        record.place = Some(Rc::clone(&plan.no_site));
        let mut response = answer::fault(&mut exchange, None, refused.status);
        self.date(&exchange, &mut response);
        exchange.close(response)
    }

    fn admit(&self, conn: &Conn) -> Option<Admitted> {
        let plan = self.plan();
        let counters = plan.listener(conn.listener).cloned();
        let entry = plan.plan.crowd.enter(conn.peer.ip(), plan.plan.crowd_limits);
        match (entry, counters) {
            (Some(entry), counters) => Some(Admitted::new(counters, entry)),
            (None, Some(counters)) => {
                counters.refused.add(1);
                None
            }
            (None, None) => None,
        }
    }

    fn settled(&self, conn: &Conn, place: &mut Admitted) {
        place.settle(conn.wire);
    }

    fn announced(&self, conn: &Conn, mut place: Admitted) -> Option<Admitted> {
        let limits = self.plan().plan.crowd_limits;
        if place.entry.name(conn.peer.ip(), limits) {
            return Some(place);
        }
        place.refuse();
        None
    }

    fn dice(&self) -> u64 {
        self.net.dice()
    }

    fn lost(&self, conn: &Conn, why: Lost) {
        let plan = self.plan();
        let Some(counters) = plan.listener(conn.listener) else { return };
        match why {
            Lost::Handshake | Lost::HandshakeTimeout => counters.handshakes_failed.add(1),
            Lost::ClientCertificate => counters.clients_refused.add(1),
            Lost::Protocol => counters.protocol_errors.add(1),
            Lost::Preface => counters.prefaces_failed.add(1),
            Lost::Limit => {}
        }
    }
}

impl<N: Net> Proxy<N> {
    fn open(&self, plan: &CorePlan<N>, conn: &Rc<Conn>, request: Request) -> Exchange {
        let started = self.core.clock.now();
        let mut exchange = Exchange::new(conn, request, &self.books, started);
        exchange.identify(&plan.plan.trusted, || self.net.dice());
        exchange
    }

    /// Every response of ours says when it was made (RFC 9110 section 6.6.1).
    fn date(&self, exchange: &Exchange, response: &mut Response) {
        if !response.head.fields.has(FieldId::Date) {
            let date = self.books.date(exchange.started().unix_seconds());
            response.head.fields.push_id(FieldId::Date, &date);
        }
    }
}
