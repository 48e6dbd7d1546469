//! What a look-up in long lists costs: sets of addresses, and a list of words for user agents.
//!
//! Run `cargo bench -p doorman-route --bench lists`. Each number is the median of several rounds. Addresses are
//! asked for at random, half of them in the set, so that neither caches nor the prediction of branches help more
//! than they would with clients; a look-up waits for the one before it.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant as Clock;

use doorman_route::{AddressSet, AgentList, list};

const ROUNDS: usize = 9;
const ASKED: usize = 1 << 16;

fn main() {
    println!("{:<28} {:>7} {:>9} {:>12} {:>10}", "set", "ranges", "KiB", "build ms", "look-up ns");
    for count in [1, 4, 16, 64, 256, 1_024, 10_000, 100_000] {
        addresses("IPv4, spread", count, |dice| IpAddr::V4(dice.next_u32().into()));
        addresses("IPv4, in clusters", count, |dice| {
            let (cluster, low) = (dice.next_u32() >> 24, dice.next_u32() & 0xFFFF);
            IpAddr::V4((cluster.wrapping_mul(0x0123_4567) & 0xFFF0_0000 | low).into())
        });
        addresses("IPv6, as it is given out", count, |dice| {
            const BLOCKS: [u128; 8] =
                [0x2001, 0x2400, 0x2404, 0x2600, 0x2604, 0x2A00, 0x2A02, 0x2A0F];
            let block = BLOCKS[(dice.next_u32() >> 29) as usize];
            let site = u128::from(dice.next_u32());
            IpAddr::V6((block << 112 | site << 80).into())
        });
    }
    file();
    words();
}

/// A set of so many ranges from `give`, and what a look-up costs.
fn addresses(name: &str, count: usize, give: impl Fn(&mut Dice) -> IpAddr) {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let length = |ip: &IpAddr| if ip.is_ipv4() { 32 } else { 48 };
    let prefixes: Vec<_> =
        (0..count).map(|_| give(&mut dice)).map(|ip| (ip, length(&ip))).collect();
    let begun = Clock::now();
    let set = AddressSet::new(prefixes.iter().copied()).expect("lengths are right");
    let build = begun.elapsed().as_secs_f64() * 1_000.0;
    let asked: Vec<IpAddr> = (0..ASKED)
        .map(|n| if n % 2 == 0 { give(&mut dice) } else { prefixes[dice.below(count)].0 })
        .collect();
    let cost = median(|| {
        let mut last = false;
        for n in 0..ASKED {
            // Which address is next depends on the answer before.
            last = set.contains(black_box(asked[n ^ usize::from(last)]));
        }
        black_box(last);
    });
    let kib = set.bytes() as f64 / 1024.0;
    println!("{name:<28} {:>7} {kib:>9.1} {build:>12.2} {cost:>10.1}", set.ranges());
}

/// Reading a file of a hundred thousand lines.
fn file() {
    let mut dice = Dice(1);
    let lines: String = (0..100_000)
        .map(|_| {
            let ip = std::net::Ipv4Addr::from_bits(dice.next_u32());
            format!("{ip}/24 ; a comment\n")
        })
        .collect();
    let begun = Clock::now();
    let set = list::addresses(lines.as_bytes()).expect("the list is right");
    let spent = begun.elapsed().as_secs_f64() * 1_000.0;
    println!("a file of 100,000 lines: {spent:.1} ms, {} ranges", set.ranges());
}

/// Words, over the user agent of a browser.
fn words() {
    const AGENT: &[u8] = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
    let many: String =
        (0..10_000_u32).map(|n| format!("bot-{:08x}\n", n.wrapping_mul(0x9E37_79B9))).collect();
    let lists = [
        ("bad-bots", AgentList::built_in("bad-bots").expect("it is built in")),
        ("10,000 words", AgentList::read(many.as_bytes()).expect("the list is right")),
    ];
    for (name, list) in lists {
        let cost = median(|| {
            for _ in 0..ASKED {
                let _ = black_box(list.find(black_box(AGENT)));
            }
        });
        println!("{name:<28} {:>17.1} KiB {cost:>20.1} ns", list.bytes() as f64 / 1024.0);
    }
}

/// The median of the rounds, in nanoseconds for each of [`ASKED`].
fn median(round: impl Fn()) -> f64 {
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = Clock::now();
            round();
            begun.elapsed().as_nanos() as f64 / ASKED as f64
        })
        .collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// Numbers that look random; always the same.
struct Dice(u64);

impl Dice {
    fn next_u32(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    fn below(&mut self, count: usize) -> usize {
        self.next_u32() as usize % count
    }
}
