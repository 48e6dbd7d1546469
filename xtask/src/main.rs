//! Chores of the repository: the benchmark against other proxies, and the profile of one load. The parts
//! of the benchmark that must run as processes of their own (origin, relay, generators, guard) are
//! subcommands of this same program, so that one build holds everything that a measurement needs.

#![expect(
    clippy::disallowed_methods,
    reason = "a measuring tool reads the clock, waits and opens sockets itself; the seam is what it measures"
)]

use std::process::ExitCode;

use crate::{
    abuse::attacks::{Attack, Doors, Manner},
    failure::Failure,
};

mod abuse;
mod bench;
mod crs;
mod failure;
mod guard;
mod h3load;
mod handshakes;
mod idle;
mod listen;
mod origin;
mod process;
mod profile;
mod relay;
mod responder;
mod text;
mod wire;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  bench [OPTIONS]           measure doorman against nginx, HAProxy and a byte relay; `bench --help` lists the options
  profile SCENARIO [PROXY] [OPTIONS]     system calls per request and hottest symbols of a proxy (doorman)
                            under one load; the benchmark's options say which binaries run
  abuse [OPTIONS]           attack doorman and measure what others feel of it; `abuse --help` lists the options
  crs DIR [OPTIONS]         run the Core Rule Set's own tests; `crs --help` lists the options

Parts of the benchmark, started by it:
  origin PORT               HTTP/1.1 origin on 127.0.0.1: GET /b/N answers N bytes, GET /c/N/ANY the same
                            for caches, with KIND (html, js, json) after N or for ANY a text, GET /asked how
                            often it was asked for them (port 0: any, printed)
  relay PORT TARGET-PORT    byte relay that parses nothing
  responder PORT BYTES      FastCGI responder on 127.0.0.1 that answers so many bytes to everything
  handshakes PORT SECONDS CONNECTIONS 1.2|1.3 full|resumed    a new TLS connection for each request
  h3load PORT SECONDS CONNECTIONS STREAMS BYTES    HTTP/3: GET /b/BYTES, so many at a time
  idle PORT CONNECTIONS plain|tls        one request on each connection, then hold them until stdin ends
  backend NICENESS          origin that is behind doorman while it is attacked; prints its port
  good-client PLAIN-PORT TLS-PORT SECONDS PER-SECOND    asks at a steady rate, and tells how long answers took
  attacker NAME PLAIN-PORT TLS-PORT SECONDS held|per-second COUNT    makes one of the attacks
  guard DIRECTORY           ends processes and removes files when the benchmark is gone
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<ExitCode, Failure> {
    match words {
        ["bench", options @ ..] => bench::run(options),
        ["profile", scenario, words @ ..] => profile::run(scenario, words),
        ["crs", options @ ..] => crs::run(options),
        ["abuse", options @ ..] => abuse::run(options),
        ["backend", niceness] => match abuse::backend::serve(number(niceness)?)? {},
        ["good-client", plain, tls, seconds, per_second] => {
            let doors = Doors::new(number(plain)?, number(tls)?);
            abuse::client::run(doors, number(seconds)?, number(per_second)?)?;
            Ok(ExitCode::SUCCESS)
        }
        ["attacker", name, plain, tls, seconds, manner, count] => {
            let unknown = || Failure::new(format!("no attack {name:?} by {manner:?}"));
            let attack = Attack::named(name).ok_or_else(unknown)?;
            let manner = Manner::from_words(manner, number(count)?).ok_or_else(unknown)?;
            let doors = Doors::new(number(plain)?, number(tls)?);
            abuse::attacks::run(doors, attack.kind, manner, number(seconds)?)?;
            Ok(ExitCode::SUCCESS)
        }
        ["origin", port] => match origin::serve(number(port)?)? {},
        ["relay", port, target] => match relay::serve(number(port)?, number(target)?)? {},
        ["responder", port, bytes] => match responder::serve(number(port)?, number(bytes)?)? {},
        ["h3load", port, seconds, connections, streams, bytes] => {
            h3load::run(h3load::Plan {
                port: number(port)?,
                seconds: number(seconds)?,
                connections: number(connections)?,
                streams: number(streams)?,
                body_bytes: number(bytes)?,
            })?;
            Ok(ExitCode::SUCCESS)
        }
        [
            "handshakes",
            port,
            seconds,
            connections,
            version @ ("1.2" | "1.3"),
            beginning @ ("full" | "resumed"),
        ] => {
            let shake = wire::Shake::from_words(version, beginning);
            handshakes::run(number(port)?, number(seconds)?, number(connections)?, shake)?;
            Ok(ExitCode::SUCCESS)
        }
        ["idle", port, connections, wire @ ("plain" | "tls")] => {
            idle::run(number(port)?, number(connections)?, wire::Wire::from_word(wire))?;
            Ok(ExitCode::SUCCESS)
        }
        ["guard", directory] => {
            guard::watch(directory.as_ref());
            Ok(ExitCode::SUCCESS)
        }
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprint!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, Failure> {
    word.parse().map_err(|_| Failure::new(format!("{word:?} is not a number in range")))
}
