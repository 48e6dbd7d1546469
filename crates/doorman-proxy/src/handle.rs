//! The corridor: the whole life of a request on one screen.

mod slices;

use std::rc::Rc;

use doorman_http::{Body, Conn, FieldId, Request, RequestHead, Response};
use doorman_net::dial::{Answer, DialError};
use doorman_net::serve::{Handler, Lost, Refused};
use doorman_net::{Net, within_deadline};
use doorman_route::{Found, Query};
use doorman_store::Refresh;
use doorman_transform::Asked;

use crate::crowd::Admitted;
use crate::exchange::Exchange;
use crate::gate;
use crate::house::{CorePlan, Proxy};
use crate::plan::{PlanEnding, PlanRoute, PlanWaf};
use crate::record::End;
use crate::stage::cache::{Change, Looked, Recalled, Seek, Sought, Taken};
use crate::stage::code::Desk;
use crate::stage::forward::Messenger;
use crate::stage::inspect::{Ends, Post};
use crate::stage::mirror::At;
use crate::stage::share::Ways;
use crate::stage::stick::Stuck;
use crate::stage::{
    admit, answer, cache, clients, code, deadline, deliver, early, edit, fetch, grpc, hint,
    inspect, mirror, optimize, share, stick,
};
use crate::stop::{Fault, Stop};

/// Questions that one request may put to origins on behalf of the store: whether what is stored still
/// holds, and for the whole.
const QUESTIONS_MAX: u32 = 3;

/// Where a request goes, and what ties it to a server there.
struct Going<'p> {
    ways: Ways,
    tie: Option<Stuck<'p>>,
}

/// How a request is answered.
enum First<'p> {
    /// So.
    Answer(Answer),
    /// By the store, which takes longer.
    Recall(Box<Sought<'p>>),
    /// By an origin.
    Ask,
    /// By an origin, and what is stored may not hold any more.
    Change(Change<'p>),
}

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
        self.shed(plan.plan.overload.as_ref(), route)?;
        clients::check(site_plan.clients.as_ref(), route, exchange)?;
        early::check(site_plan, exchange)?;
        if route.code.is_some() {
            exchange.coding = Some(Asked::of(&exchange.head));
        }
        if let Some(guard) = &route.guard {
            // In a box: who is not guarded must not be larger for it.
            let dice = || self.net.dice();
            let asker = Messenger { proxy: self, plan };
            let (tokens, clock, busy) = (&self.tokens, self.core.clock, self.meter.is_busy());
            Box::pin(gate::check(guard, tokens, clock, dice, &asker, busy, exchange)).await?;
        }
        admit::check(route, exchange).await?;
        if let Some(waf) = &route.waf {
            // In a box: who is not inspected must not be larger for it.
            Box::pin(self.inspect(plan, route, waf, exchange)).await?;
        }
        let ways = match &route.ending {
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
        let date = self.books.date(exchange.started().unix_seconds());
        // Clients are known by what they sent, not by what edits make of it.
        let tie = stick::tie(plan, ways.first, exchange);
        let at = At { site, route: index };
        let first = self.first(plan, at, ways.first, exchange)?;
        let mut going = Going { ways, tie };
        let answer = match first {
            First::Answer(answer) => answer,
            // In a box: who does not use the cache must not be larger for it.
            First::Recall(sought) => {
                Box::pin(self.recall(plan, at, sought, &mut going, exchange)).await?
            }
            First::Ask => {
                let mut answer = self.ask(plan, route, &mut going, exchange).await?;
                cache::past(route.cache.as_ref(), &exchange.head.method, &mut answer.head);
                answer
            }
            First::Change(change) => {
                let mut answer = Box::pin(self.ask(plan, route, &mut going, exchange)).await?;
                change.answered(exchange, &answer);
                cache::past(route.cache.as_ref(), &exchange.head.method, &mut answer.head);
                answer
            }
        };
        if !route.pages.is_empty()
            && let Some(page) = answer::page(exchange, route, answer.head.status)
        {
            return Ok(page);
        }
        let answer = if route.html { optimize::passing(exchange, answer) } else { answer };
        let answer = match &route.code {
            None => answer,
            Some(code) => {
                let desk = Desk {
                    coders: &self.coders,
                    clock: self.core.clock,
                    books: &self.books,
                    workshop: &plan.plan.workshop,
                    store: route.cache.as_ref().map(|cache| &cache.store),
                };
                code::answer(&desk, code, exchange, answer, || self.net.dice())
            }
        };
        let mut response = edit::response(route, exchange, answer, date);
        stick::mark(going.tie.as_ref(), exchange, &mut response);
        share::mark(route, &going.ways, exchange, &mut response);
        if let Some(throttle) = route.guard.as_ref().and_then(|guard| guard.throttle) {
            response.body = gate::throttle(throttle, response.body, self.core.clock);
        }
        if let Some(delivery) = &route.delivery {
            deliver::finish(delivery, exchange, &mut response, self.core.clock.instant());
        }
        Ok(response)
    }

    /// Shows a request to the rules of its route.
    async fn inspect(
        &self,
        plan: &CorePlan<N>,
        route: &PlanRoute,
        waf: &PlanWaf,
        exchange: &mut Exchange,
    ) -> Result<(), Stop> {
        let post = self.post(plan, waf);
        match inspect::request(&post, exchange).await {
            Ok(()) => Ok(()),
            Err(Ends::Fault(fault)) => Err(fault.into()),
            Err(Ends::Redirect((status, to))) => {
                exchange.record().end = End::WafBlock;
                Err(answer::elsewhere(route, exchange, &to, status))
            }
        }
    }

    /// What this core inspects with.
    fn post<'a>(&self, plan: &'a CorePlan<N>, waf: &'a PlanWaf) -> Post<'a> {
        Post { waf, desk: &plan.desks[waf.index], clock: self.core.clock }
    }

    /// All that is done to a request before anybody waits: what is sought is not what is sent. What is
    /// found at once costs no memory of its own.
    fn first<'p>(
        &self,
        plan: &'p Rc<CorePlan<N>>,
        at: At,
        upstream: usize,
        exchange: &mut Exchange,
    ) -> Result<First<'p>, Stop> {
        let route = &plan.plan.sites[at.site].routes[at.route];
        if let Some(hints) = route.hints() {
            hint::begin(hints, exchange);
        }
        let seek = match &route.cache {
            None => Seek::Bypass,
            Some(cache) => cache::seek(cache, route.code.as_ref(), upstream, exchange)?,
        };
        edit::request(route, exchange)?;
        early::mark(&mut exchange.head);
        if let Some(mirror) = &route.mirror {
            mirror::begin(mirror, self, plan, at, exchange, self.net.dice());
        }
        Ok(match seek {
            Seek::Bypass => First::Ask,
            Seek::Change(change) => First::Change(change),
            Seek::Look(sought) => {
                let answer = match cache::look(&sought, exchange) {
                    Looked::Answer(answer) => answer,
                    Looked::Stale(answer, refresh) => {
                        self.refresh(plan, at, &sought, refresh, exchange);
                        answer
                    }
                    Looked::Ask => return Ok(First::Recall(Box::new(sought))),
                };
                sought.end();
                First::Answer(answer)
            }
        })
    }

    /// Asks origins, by the ways that the request has, and takes their marks off the answer.
    async fn ask<'p>(
        &self,
        plan: &'p Rc<CorePlan<N>>,
        route: &PlanRoute,
        going: &mut Going<'p>,
        exchange: &mut Exchange,
    ) -> Result<Answer, Fault> {
        hint::send(exchange);
        let whole = route.whole(&plan.plan.upstreams[going.ways.first]);
        let whole = whole.into_iter().chain(grpc::timeout(&exchange.head)).min();
        let asked = async {
            loop {
                match fetch::send(self, plan, route, going.ways.first, exchange).await {
                    Err(fault) if fault.is_unsent() && going.ways.another() => {
                        going.tie = stick::tie(plan, going.ways.first, exchange);
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
        if exchange.head.takes_trailers {
            grpc::watch(exchange, &mut reply.answer);
        }
        let answer = edit::unmark(route, exchange, reply);
        match &route.waf {
            None => Ok(answer),
            Some(waf) => Box::pin(inspect::answer(&self.post(plan, waf), exchange, answer)).await,
        }
    }

    /// Answers a request for which the first look at the store was not enough.
    async fn recall<'p>(
        &self,
        plan: &'p Rc<CorePlan<N>>,
        at: At,
        mut sought: Box<Sought<'p>>,
        going: &mut Going<'p>,
        exchange: &mut Exchange,
    ) -> Result<Answer, Stop> {
        let route = &plan.plan.sites[at.site].routes[at.route];
        // An origin that says that something still holds which it does not have is asked for the whole.
        for _ in 0..QUESTIONS_MAX {
            let slot = match cache::recall(self, &mut sought, exchange).await {
                Recalled::Answer(answer) => return Ok(answer),
                Recalled::Stale(answer, refresh) => {
                    self.refresh(plan, at, &sought, refresh, exchange);
                    return Ok(answer);
                }
                Recalled::Ask(slot) => slot,
                Recalled::Slices(size) => {
                    let sliced = self.sliced(plan, at, size, &mut sought, going, exchange).await?;
                    match sliced {
                        Some(answer) => return Ok(answer),
                        None => continue,
                    }
                }
            };
            let asked = self.ask(plan, route, going, exchange).await;
            let taken = slot.take(self, &mut sought, going.ways.first, asked, exchange)?;
            if let Taken::Answer(answer) = taken {
                return Ok(answer);
            }
        }
        Err(Stop::Fault(Fault::Upstream(DialError::Malformed("304 to an unconditional request"))))
    }

    /// Fetches something anew that is past its time and has just been served. Nobody waits for it: it
    /// is a request of its own, with nothing of the client's but what it asked for.
    fn refresh(
        &self,
        plan: &Rc<CorePlan<N>>,
        at: At,
        sought: &Sought<'_>,
        refresh: Refresh,
        exchange: &Exchange,
    ) {
        if self.core.is_draining() {
            return;
        }
        let (shadow, plan) = (self.shadow(plan), Rc::clone(plan));
        let now = self.core.clock.now();
        let beside = cache::beside(sought, refresh.object(), exchange, shadow.books(), now);
        let Some(mut exchange) = beside else { return };
        let again = sought.again();
        tokio::task::spawn_local(async move {
            let route = &plan.plan.sites[at.site].routes[at.route];
            let Some(cache) = &route.cache else { return };
            let mut sought = again.sought(cache);
            let tie = stick::tie(&plan, sought.upstream, &mut exchange);
            if edit::request(route, &mut exchange).is_err() {
                return;
            }
            let mut going = Going { ways: Ways::only(sought.upstream), tie };
            let slot = cache::refresh(&shadow, &mut sought, &refresh, &mut exchange);
            let asked = shadow.ask(&plan, route, &mut going, &mut exchange).await;
            // What comes of it is in the store, or nothing is.
            let _ = slot.take(&shadow, &mut sought, going.ways.first, asked, &mut exchange);
        });
    }

    /// Finds site and route, and writes down where the request belongs.
    fn find(&self, plan: &CorePlan<N>, exchange: &mut Exchange) -> Result<(usize, usize), Fault> {
        let query = Query {
            listener: exchange.conn().listener,
            head: &exchange.head,
            client: exchange.client(),
        };
        match plan.plan.find(&query) {
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
                exchange.record().fault(&fault);
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
        record.anomaly = refused.anomaly.or(record.anomaly);
        record.detail = Some(refused.reason.to_owned());
        record.place = Some(Rc::clone(&plan.no_site));
        let mut response = answer::fault(&mut exchange, None, refused.status);
        self.date(&exchange, &mut response);
        exchange.close(response)
    }

    fn admit(&self, conn: &Conn) -> Option<Admitted> {
        let plan = self.plan();
        let counters = plan.listener(conn.listener).cloned();
        let entry = if self.may_connect() {
            plan.plan.crowd.enter(conn.peer.ip(), plan.plan.crowd_limits)
        } else {
            None
        };
        match (entry, counters) {
            (Some(entry), counters) => Some(Admitted::new(counters, entry, conn.held.clone())),
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
            Lost::Exhausted => self.books.counters().overload().unplaced.add(1),
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
