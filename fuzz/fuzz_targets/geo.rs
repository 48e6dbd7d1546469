//! Files of countries and networks: no panic when one is opened, nor at any look-up after that; what is told is a code
//! or a number.
#![no_main]

use std::net::IpAddr;

use doorman_route::{Countries, Networks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let asked = [
        IpAddr::from([0; 4]),
        IpAddr::from([255; 4]),
        IpAddr::from([192, 0, 2, 1]),
        IpAddr::from([0; 16]),
        IpAddr::from([255; 16]),
        IpAddr::from([0x2001, 0xDB8, 0, 0, 0, 0, 0, 1]),
    ];
    if let Ok(countries) = Countries::open(input) {
        for country in asked.iter().filter_map(|ip| countries.country(*ip)) {
            assert!(country.iter().all(u8::is_ascii_uppercase));
        }
    }
    if let Ok(networks) = Networks::open(input) {
        for asn in asked.iter().filter_map(|ip| networks.asn(*ip)) {
            assert_ne!(asn, 0);
        }
    }
});
