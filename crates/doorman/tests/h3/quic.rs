//! QUIC as clients meet it that are no clients: floods of first packets, forged tokens, datagrams that
//! belong to nobody.

use std::time::Duration;

use doorman_testkit::h3::datagrams::{
    Datagrams, destination_id, first_flight, is_retry, source_id,
};
use doorman_testkit::h3::{Ended, RawH3, frames, garbled, may_be_early};
use doorman_testkit::origin::{Origin, answering};
use doorman_testkit::sums::Dice;

use crate::rig::{House, by_path, house, house_with};

/// How long the program may take to answer a datagram.
const PATIENCE: Duration = Duration::from_secs(20);
/// After this long without a datagram there is none: the program answers at once or not at all.
const SILENCE: Duration = Duration::from_millis(700);

fn flight(house: &House) -> Vec<Vec<u8>> {
    first_flight(house.address, &House::tls()).expect("a first flight")
}

/// Begins a handshake that is never finished; the first answer.
fn begin(house: &House, line: &Datagrams) -> Vec<u8> {
    let flight = flight(house);
    flight.iter().for_each(|datagram| line.send(datagram).expect("a socket"));
    let id = source_id(&flight[0]).expect("a long header");
    loop {
        let answer = line.receive(PATIENCE).expect("a socket").expect("an answer");
        if destination_id(&answer) == Some(id) {
            return answer;
        }
    }
}

#[test]
fn under_load_a_client_must_prove_its_address_h3q_03() {
    let house = house();
    let line = Datagrams::to(house.address).unwrap();
    for n in 0..64 {
        assert!(!is_retry(&begin(&house, &line)), "handshake {n}");
    }
    for _ in 0..8 {
        assert!(is_retry(&begin(&house, &line)));
    }
    // A real one proves it and is served.
    house.still_serves();
    assert!(house.metric("doorman_quic_screened_total{result=\"retry\"}") >= 9);
}

#[test]
fn handshakes_have_to_come_to_their_end_h3q_17() {
    let timeout = "workers 1; timeouts { tls-handshake 10s }";
    let house = house_with(timeout, Origin::start(answering(by_path())));
    let line = Datagrams::to(house.address).unwrap();
    for _ in 0..64 {
        begin(&house, &line);
    }
    assert!(is_retry(&begin(&house, &line)));
    // They are given up, and then nobody has to prove anything.
    let pause = Duration::from_millis(50);
    let given_up = (0..PATIENCE.as_millis() / pause.as_millis()).any(|_| {
        // A pause is one without datagrams: what was not answered is sent again for a while.
        while line.receive(pause).unwrap().is_some() {}
        !is_retry(&begin(&house, &line))
    });
    assert!(given_up);
}

#[test]
fn nobody_is_flooded_in_the_name_of_another_h3q_01() {
    let house =
        house_with("workers 1; timeouts { tls-handshake 2s }", Origin::start(answering(by_path())));
    let line = Datagrams::to(house.address).unwrap();
    let flight = flight(&house);
    let sent: usize = flight.iter().map(Vec::len).sum();
    flight.iter().for_each(|datagram| line.send(datagram).unwrap());
    let mut received = 0;
    // What was lost is repeated, up to three times what was received, and no more.
    while let Some(datagram) = line.receive(Duration::from_secs(3)).unwrap() {
        received += datagram.len();
    }
    assert!(received > 0 && received <= 3 * sent, "{received} for {sent}");
}

#[test]
fn what_is_no_first_packet_gets_no_answer_h3q_02_14_15_16() {
    let house = house();
    let line = Datagrams::to(house.address).unwrap();
    let whole = flight(&house);
    let silent: [Vec<u8>; 6] = [
        whole[0][..1199].to_vec(),
        Vec::new(),
        vec![0],
        vec![0xC0, 0, 0, 0, 1],
        vec![0x40; 20],
        vec![0x40; 1200],
    ];
    for datagram in &silent {
        line.send(datagram).unwrap();
    }
    assert_eq!(line.receive(SILENCE).unwrap(), None);
    // An unknown version is answered with a list of ours, which is smaller.
    let mut strange = whole[0].clone();
    strange[1..5].copy_from_slice(&[0x1a, 0x2a, 0x3a, 0x4a]);
    line.send(&strange).unwrap();
    let answer = line.receive(PATIENCE).unwrap().expect("version negotiation");
    assert_eq!(answer[1..5], [0; 4]);
    assert!(answer.len() < 100, "{} bytes", answer.len());
    house.still_serves();
}

#[test]
fn tokens_that_were_never_given_out_h3q_04_05() {
    let house = house();
    for length in [1_u8, 15, 16, 17, 64, 100, 250] {
        let token = (0..length).map(|n| n ^ 0x5A).collect();
        // Refused or ignored; nobody is hurt.
        let _ = RawH3::with_token(house.address, &House::tls(), token);
    }
    house.still_serves();
}

/// What is sent before the handshake has ended could have been sent before, by somebody else, and from
/// an address that nobody has proved.
#[test]
fn nothing_is_taken_before_the_handshake_h3q_30_31_32() {
    let house = house();
    assert!(!may_be_early(house.address, &House::tls()).expect("two connections"));
}

#[test]
fn every_core_ends_connections_that_none_knows_h3q_15() {
    let house = house_with(
        "workers 2; timeouts { tls-handshake 300ms }",
        Origin::start(answering(by_path())),
    );
    let begun = begin(&house, &Datagrams::to(house.address).unwrap());
    // The client never answers, so the connection is given up. A packet for it, whichever socket it
    // arrives at, is then answered with a reset.
    let mut straggler = vec![0x40];
    straggler.extend_from_slice(source_id(&begun).unwrap());
    straggler.extend_from_slice(&[7; 60]);
    for _ in 0..8 {
        let line = Datagrams::to(house.address).unwrap();
        let reset = (0..200).find_map(|_| {
            line.send(&straggler).unwrap();
            line.receive(Duration::from_millis(50)).unwrap()
        });
        let reset = reset.expect("a reset");
        assert!(reset.len() < straggler.len(), "smaller than what it answers");
        assert_eq!(reset[0] & 0xC0, 0x40, "it looks like any packet");
    }
    assert!(house.metric("doorman_quic_datagrams_total{result=\"passed\"}") > 0);
}

#[test]
fn transport_parameters_are_checked_h3q_13() {
    const TRANSPORT_PARAMETER_ERROR: u64 = 8;
    let house = house();
    let parameter = |id: u64, value: &[u8]| {
        [frames::varint(id), frames::varint(value.len() as u64), value.to_vec()].concat()
    };
    let number = |id: u64, value: u64| parameter(id, &frames::varint(value));
    let check = |id: &str, parameters: Vec<u8>| {
        let ended = garbled::greet(house.address, &House::tls(), parameters).expect(id);
        assert_eq!(ended, Ended::Transport(TRANSPORT_PARAMETER_ERROR), "{id}");
    };
    check("none", Vec::new());
    check("cut", vec![0x40]);
    check("value cut", vec![0x04, 0x08, 0x40]);
    check("huge length", [frames::varint(4), frames::varint(1 << 60)].concat());
    check("twice", [number(4, 9), number(4, 9)].concat());
    check("datagrams too small", number(0x03, 1199));
    check("delay exponent", number(0x0A, 21));
    check("delay", number(0x0B, 1 << 14));
    check("too few ids", number(0x0E, 1));
    check("too many streams", number(0x08, (1 << 60) + 1));
    check("of a server: reset token", parameter(0x02, &[7; 16]));
    check("of a server: address", parameter(0x0D, &[7; 41]));
    check("of a server: first id", parameter(0x00, &[7; 8]));
    let mut dice = Dice::new(5);
    for _ in 0..40 {
        let length = dice.length(60);
        let bytes = (0..length).map(|_| dice.roll().to_le_bytes()[0]).collect();
        let ended = garbled::greet(house.address, &House::tls(), bytes).unwrap();
        assert!(matches!(ended, Ended::Transport(_)), "{ended:?}");
    }
    house.still_serves();
}
