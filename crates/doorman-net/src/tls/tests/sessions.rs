//! Which sessions resume: over reloads, rotations and realms, with TLS 1.3 and 1.2.

use super::super::ticket::REALM_BYTES;
use super::*;

struct Site {
    clock: Arc<TestClock>,
    table: Arc<Certificates>,
    tickets: Arc<TicketKeys>,
}

impl Site {
    fn new() -> Self {
        let clock = clock();
        let table = table(vec![loaded(&certificate(&["a.example", "b.example"]))], vec![], &clock);
        let tickets = TicketKeys::new(clock.clone()).unwrap();
        Self { clock, table, tickets }
    }

    /// As a reload would make it: another table, the same keys.
    fn server(&self, change: fn(&mut ServerTlsOptions)) -> ServerTls {
        let mut options = options("listener", &self.clock);
        change(&mut options);
        ServerTls::new(options, Arc::clone(&self.table), &self.tickets).unwrap()
    }

    fn clients(&self) -> [Arc<ClientConfig>; 2] {
        [client(&self.clock), client_tls12(&self.clock)]
    }
}

#[track_caller]
fn check(client: &Arc<ClientConfig>, server: &ServerTls, resumed: bool) {
    let pair = handshake(client, "a.example", server.config()).unwrap();
    assert_eq!(pair.resumed(), resumed);
}

#[test]
fn sessions_resume_at_the_same_server_and_after_a_reload() {
    let site = Site::new();
    for client in site.clients() {
        let before = site.server(|_| {});
        check(&client, &before, false);
        for _ in 0..3 {
            check(&client, &before, true);
        }
        let renewed = table(vec![loaded(&certificate(&["a.example"]))], vec![], &site.clock);
        let after = ServerTls::new(options("listener", &site.clock), renewed, &site.tickets);
        check(&client, &after.unwrap(), true);
    }
}

#[test]
fn a_name_that_a_reload_removed_does_not_resume() {
    let site = Site::new();
    for client in site.clients() {
        check(&client, &site.server(|_| {}), false);
        let without = table(vec![loaded(&certificate(&["b.example"]))], vec![], &site.clock);
        let after = ServerTls::new(options("listener", &site.clock), without, &site.tickets);
        assert!(handshake(&client, "a.example", after.unwrap().config()).is_err());
    }
}

#[test]
fn sessions_do_not_pass_between_realms() {
    let changes: [fn(&mut ServerTlsOptions); 4] = [
        |options| options.realm = "other listener".to_owned(),
        |options| options.realm = String::new(),
        |options| options.alpn.truncate(1),
        |options| options.alpn.clear(),
    ];
    for change in changes {
        let site = Site::new();
        for client in site.clients() {
            check(&client, &site.server(|_| {}), false);
            check(&client, &site.server(change), false);
        }
    }
    // A stricter minimum is a realm of its own too.
    let site = Site::new();
    let client = client(&site.clock);
    check(&client, &site.server(|_| {}), false);
    check(&client, &site.server(|options| options.minimum = MinimumVersion::Tls13), false);
    // A record size changes nothing that a session could slip past.
    let site = Site::new();
    let client = super::client(&site.clock);
    check(&client, &site.server(|_| {}), false);
    check(&client, &site.server(|options| options.record_bytes_max = Some(4096)), true);
}

#[test]
fn sessions_do_not_pass_between_names() {
    let site = Site::new();
    let server = site.server(|_| {});
    for client in site.clients() {
        check(&client, &server, false);
        assert!(!handshake(&client, "b.example", server.config()).unwrap().resumed());
    }
}

#[test]
fn keys_of_another_process_open_nothing() {
    let site = Site::new();
    for client in site.clients() {
        check(&client, &site.server(|_| {}), false);
        let other = Site { tickets: TicketKeys::new(site.clock.clone()).unwrap(), ..Site::new() };
        check(&client, &other.server(|_| {}), false);
    }
}

#[test]
fn a_ticket_lives_through_one_rotation_and_not_through_two() {
    // Seconds between the ticket and its use; whether something was sealed half way, which rotates in passing.
    let cases = [
        (0, false, true),
        (TICKET_KEY_SECONDS - 1, false, true),
        (TICKET_KEY_SECONDS, false, true),
        (TICKET_KEY_SECONDS + 1, true, true),
        (2 * TICKET_KEY_SECONDS - 1, false, true),
        (2 * TICKET_KEY_SECONDS - 1, true, true),
        (2 * TICKET_KEY_SECONDS, false, false),
        (2 * TICKET_KEY_SECONDS, true, false),
        (20 * TICKET_KEY_SECONDS, true, false),
    ];
    for (wait, rotate_half_way, accepted) in cases {
        let site = Site::new();
        let ticketer = site.tickets.realm([7; REALM_BYTES]);
        let ticket = ticketer.encrypt(b"session").unwrap();
        site.clock.advance(wait / 2);
        if rotate_half_way {
            site.tickets.rotate().unwrap();
        }
        site.clock.advance(wait - wait / 2);
        let opened = ticketer.decrypt(&ticket);
        assert_eq!(opened.as_deref() == Some(b"session"), accepted, "{wait} {rotate_half_way}");
        site.tickets.rotate().unwrap();
        assert_eq!(ticketer.decrypt(&ticket).is_some(), accepted, "{wait} {rotate_half_way}");
    }
}

#[test]
fn handshakes_rotate_by_themselves() {
    let site = Site::new();
    let server = site.server(|_| {});
    for make in [client, client_tls12] {
        let kept = make(&site.clock);
        check(&kept, &server, false);
        site.clock.advance(TICKET_KEY_SECONDS + 1);
        // A resumption with the previous key brings a ticket of the current key.
        check(&kept, &server, true);
        site.clock.advance(TICKET_KEY_SECONDS + 1);
        check(&kept, &server, true);
        site.clock.advance(2 * TICKET_KEY_SECONDS + 1);
        check(&kept, &server, false);
    }
}

#[test]
fn a_clock_set_back_neither_rotates_nor_panics() {
    let site = Site::new();
    let ticketer = site.tickets.realm([0; REALM_BYTES]);
    let ticket = ticketer.encrypt(b"x").unwrap();
    site.clock.set(5);
    site.tickets.rotate().unwrap();
    assert_eq!(ticketer.decrypt(&ticket).as_deref(), Some(b"x".as_slice()));
}

#[test]
fn damaged_tickets_are_refused() {
    let site = Site::new();
    let ticketer = site.tickets.realm([1; REALM_BYTES]);
    let ticket = ticketer.encrypt(b"a session's secrets").unwrap();
    assert!(!ticket.windows(7).any(|window| window == b"session"));
    for at in 0..ticket.len() {
        let mut damaged = ticket.clone();
        damaged[at] ^= 1;
        assert_eq!(ticketer.decrypt(&damaged), None, "byte {at}");
        assert_eq!(ticketer.decrypt(&ticket[..at]), None, "length {at}");
    }
    let mut longer = ticket.clone();
    longer.push(0);
    assert_eq!(ticketer.decrypt(&longer), None);
    assert_eq!(ticketer.decrypt(&vec![0; 1 << 20]), None);
    assert_eq!(ticketer.encrypt(&vec![0; 1 << 20]), None);
    let other = site.tickets.realm([2; REALM_BYTES]);
    assert_eq!(other.decrypt(&ticket), None);
    assert!(site.tickets.realm([1; REALM_BYTES]).decrypt(&ticket).is_some());
    assert_ne!(ticketer.encrypt(b"same"), ticketer.encrypt(b"same"));
}

#[test]
fn one_ticket_follows_a_handshake() {
    let site = Site::new();
    let server = site.server(|_| {});
    let client = client(&site.clock);
    for _ in 0..2 {
        let pair = handshake(&client, "a.example", server.config()).unwrap();
        assert_eq!(pair.client.tls13_tickets_received(), 1);
    }
}

#[test]
fn without_time_there_are_no_keys_and_no_tickets() {
    #[derive(Debug)]
    struct Stopped;
    impl TimeProvider for Stopped {
        fn current_time(&self) -> Option<UnixTime> {
            None
        }
    }
    assert_eq!(TicketKeys::new(Arc::new(Stopped)).err(), Some(TicketKeysError::Time));
}

fn early(streams: u32, head_bytes: usize) -> Option<EarlyData> {
    Some(EarlyData { streams, head_bytes })
}

/// The settings for QUIC of a listener that offers HTTP/3 too.
fn quic(site: &Site, change: impl FnOnce(&mut ServerTlsOptions)) -> Arc<ServerConfig> {
    let mut options = options("listener", &site.clock);
    options.alpn.push(b"h3".to_vec());
    change(&mut options);
    let tls = ServerTls::new(options, Arc::clone(&site.table), &site.tickets).unwrap();
    Arc::clone(tls.quic_config().unwrap())
}

#[test]
fn early_data_is_taken_over_tcp_where_it_is_asked_for() {
    let site = Site::new();
    assert_eq!(site.server(|_| {}).config().max_early_data_size, 0);
    let safe = site.server(|options| options.early_data = early(100, 4096));
    let safe = safe.config();
    assert_eq!(safe.max_early_data_size, 16 * 1024);
    assert!(safe.send_half_rtt_data, "answers do not wait for the client");
    assert!(!safe.ticketer.enabled(), "a ticket that can be shown twice must not bring early data");
    // What only QUIC goes by may change.
    safe.session_storage.put(vec![1], vec![10]);
    let other = site.server(|options| options.early_data = early(99, 1));
    assert_eq!(other.config().session_storage.take(&[1]), Some(vec![10]));
    assert_eq!(safe.session_storage.take(&[1]), None, "a second time");
}

#[test]
fn sessions_of_tls_1_2_resume_where_early_data_is_taken() {
    let site = Site::new();
    let server = site.server(|options| options.early_data = early(100, 4096));
    let kept = client_tls12(&site.clock);
    for expect in [false, true, true] {
        check(&kept, &server, expect);
    }
}

#[test]
fn early_data_is_taken_over_quic_where_it_is_asked_for() {
    let site = Site::new();
    assert_eq!(quic(&site, |_| {}).max_early_data_size, 0);
    let safe = quic(&site, |options| options.early_data = early(100, 4096));
    assert_eq!(safe.max_early_data_size, u32::MAX);
    assert!(!safe.ticketer.enabled(), "a ticket that can be shown twice must not bring early data");
}

#[test]
fn sessions_with_early_data_resume_once_and_under_the_limits_that_the_client_knows() {
    let site = Site::new();
    let with = |streams, head_bytes| {
        quic(&site, |options| options.early_data = early(streams, head_bytes))
            .session_storage
            .clone()
    };
    let before = with(100, 4096);
    before.put(vec![1], vec![10]);
    for (streams, head_bytes) in [(99, 4096), (100, 4095), (101, 4096)] {
        assert_eq!(with(streams, head_bytes).take(&[1]), None, "{streams} {head_bytes}");
    }
    let other = quic(&site, |options| {
        options.early_data = early(100, 4096);
        options.realm = "other listener".to_owned();
    });
    assert_eq!(other.session_storage.take(&[1]), None);
    assert_eq!(with(100, 4096).take(&[1]), Some(vec![10]), "after a reload");
    assert_eq!(before.take(&[1]), None, "a second time");
}
