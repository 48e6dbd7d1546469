use doorman_http::mix;

use super::*;

/// A core that gets one request done in a millisecond, and clients that ask in a steady stream.
struct Core {
    shed: Shed,
    now: u64,
    /// When the core is through with all that it has taken on.
    through: u64,
    dice: u64,
}

/// What became of a span of time.
#[derive(Debug, Default)]
struct Span {
    asked: [u32; 3],
    refused: [u32; 3],
    done: u32,
    /// The longest wait in each second, in milliseconds.
    worst: Vec<u64>,
    /// Requests refused in each second.
    by_second: Vec<u32>,
}

impl Span {
    fn share(&self, priority: Priority) -> f64 {
        let at = priority as usize;
        f64::from(self.refused[at]) / f64::from(self.asked[at].max(1))
    }
}

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;

impl Core {
    fn new() -> Self {
        Self { shed: Shed::new(ShedRules::default(), Instant(0)), now: 0, through: 0, dice: 1 }
    }

    /// So many requests a second, of these priorities in turn.
    fn run(&mut self, seconds: u64, rate: u64, priorities: &[Priority]) -> Span {
        let mut span = Span::default();
        let start = self.now;
        for (n, priority) in (0..seconds * rate).zip(priorities.iter().cycle()) {
            self.now = start + n * SECOND / rate;
            let second = usize::try_from((self.now - start) / SECOND).unwrap();
            span.worst.resize(second + 1, 0);
            span.by_second.resize(second + 1, 0);
            self.dice = mix(self.dice + 1);
            let dice = u32::try_from(self.dice >> 32).unwrap();
            span.asked[*priority as usize] += 1;
            // A request that waited is judged when the core comes to it, and refusing it costs a twentieth.
            let begins = self.through.max(self.now);
            let wait = begins - self.now;
            if self.shed.admits(*priority, dice, Instant(begins)) {
                self.shed.observe(Duration::from_nanos(wait), Instant(begins));
                self.through = begins + MILLI;
                span.done += 1;
                span.worst[second] = span.worst[second].max(wait / MILLI);
            } else {
                self.through = begins + MILLI / 20;
                span.refused[*priority as usize] += 1;
                span.by_second[second] += 1;
            }
        }
        span
    }
}

use Priority::{High, Low, Normal};

#[test]
fn a_core_with_time_refuses_nothing() {
    let mut core = Core::new();
    let span = core.run(20, 950, &[Low, Normal]);
    assert_eq!(span.refused, [0; 3]);
    // A burst of 40 ms, again and again, stands for no longer than an interval.
    for _ in 0..20 {
        core.through = core.now.max(core.through) + 40 * MILLI;
        assert_eq!(core.run(1, 500, &[Normal]).refused, [0; 3]);
    }
}

#[test]
fn overload_is_refused_and_what_is_taken_on_is_done_in_time() {
    for (rate, priorities) in [
        (1_200, [Normal].as_slice()),
        (2_000, &[Normal]),
        (2_000, &[Low]),
        (3_000, &[High]),
        (4_000, &[Low, Normal, High]),
    ] {
        let mut core = Core::new();
        let onset = core.run(5, rate, priorities);
        assert!(onset.worst.iter().all(|&worst| worst < 1_000), "too late: {onset:?}");
        let span = core.run(20, rate, priorities);
        let worst = span.worst.iter().max().unwrap();
        let most = f64::from(span.done) / 20_000.0;
        let report = format!("{rate} {priorities:?}: {span:?}");
        // The work of refusing takes time, too.
        let rest = 1.0 - (rate as f64 - 1_000.0) / 1_000.0 / 20.0;
        assert!(most > rest * 0.9, "too little done, {most}: {report}");
        assert!(*worst < 250, "too long a wait: {report}");
        // It does not swing: no second refuses 30 % of all requests more than another.
        let (least, most) =
            (span.by_second.iter().min().unwrap(), span.by_second.iter().max().unwrap());
        assert!(most - least < u32::try_from(rate * 3 / 10).unwrap(), "it swings: {report}");
    }
}

#[test]
fn what_matters_less_goes_first() {
    let mut core = Core::new();
    core.run(5, 1_600, &[Low, Normal]);
    let span = core.run(20, 1_600, &[Low, Normal]);
    assert!(span.share(Low) > 0.7 && span.share(Normal) < 0.01, "{span:?}");
    core.run(5, 2_400, &[Low, Normal, High]);
    let span = core.run(20, 2_400, &[Low, Normal, High]);
    assert!(
        span.share(Low) > 0.95 && span.share(Normal) > 0.7 && span.share(High) < 0.05,
        "{span:?}"
    );
}

#[test]
fn when_it_is_over_it_is_over() {
    let mut core = Core::new();
    core.run(10, 2_500, &[Normal]);
    assert!(core.shed.level > 400, "{:?}", core.shed);
    let span = core.run(10, 500, &[Normal]);
    let last = span.by_second.iter().rposition(|&refused| refused > 0).unwrap_or(0);
    assert!(last < 6, "{span:?}");
    assert_eq!(core.shed.level, 0, "{span:?}");
}

#[test]
fn idle_time_and_a_clock_that_goes_back() {
    let mut core = Core::new();
    core.run(10, 2_500, &[Normal]);
    let mut shed = core.shed.clone();
    assert_eq!(shed.level(Instant(core.now + 3_600 * SECOND)), 0);
    assert!(shed.admits(Low, 0, Instant(core.now + 3_600 * SECOND)));
    // Back by ten seconds: intervals go on from there.
    let mut shed = core.shed.clone();
    let before = shed.level;
    assert!(before > 0);
    assert_eq!(shed.level(Instant(SECOND)), before);
    assert!(shed.level(Instant(20 * SECOND)) < before);
    // At the very top a high priority has a chance left, and a low one has none.
    shed.level = LEVEL_MAX;
    let now = shed.begun;
    let admitted = |shed: &mut Shed, priority| {
        (0..1_000).filter(|&dice| shed.admits(priority, dice, now)).count()
    };
    let all = [Low, Normal, High].map(|priority| admitted(&mut shed, priority));
    assert_eq!(all, [0, 0, 10]);
}

/// A core that only looks at a clock of its own, every so many nanoseconds, and always finds it so late.
fn late(shed: &mut Shed, now: &mut u64, every: u64, delay: u64, times: u32) {
    for _ in 0..times {
        *now += every + delay;
        shed.observe(Duration::from_nanos(delay), Instant(*now));
    }
}

#[test]
fn delays_longer_than_an_interval_count_for_all_that_passed_meanwhile() {
    for delay in [60, 110, 250, 1_000] {
        let (mut shed, mut now) = (Shed::new(ShedRules::default(), Instant(0)), 0);
        let times = u32::try_from(5_000 / (delay + 12)).unwrap();
        late(&mut shed, &mut now, 12 * MILLI, delay * MILLI, times);
        assert!(shed.level > 333, "after five seconds of {delay} ms: {shed:?}");
        late(&mut shed, &mut now, 12 * MILLI, MILLI, 300);
        assert_eq!(shed.level, 0, "after four good seconds: {shed:?}");
    }
}

#[test]
fn one_stop_of_the_process_is_no_overload() {
    let (mut shed, mut now) = (Shed::new(ShedRules::default(), Instant(0)), 0);
    late(&mut shed, &mut now, 12 * MILLI, MILLI, 100);
    late(&mut shed, &mut now, 12 * MILLI, 30 * SECOND, 1);
    assert!(shed.level <= u16::try_from(STOOD_MAX).unwrap() * RISE, "{shed:?}");
    assert_eq!(refused(shed.level, Normal), 0);
    late(&mut shed, &mut now, 12 * MILLI, MILLI, 300);
    assert_eq!(shed.level, 0, "{shed:?}");
}

#[test]
fn a_core_that_is_late_now_and_then_refuses_nothing() {
    // Each interval has a sample that is good: nothing stands.
    let (mut shed, mut now) = (Shed::new(ShedRules::default(), Instant(0)), 0);
    for _ in 0..100 {
        late(&mut shed, &mut now, 12 * MILLI, 70 * MILLI, 1);
        late(&mut shed, &mut now, 12 * MILLI, MILLI, 1);
        assert_eq!(shed.level, 0, "{shed:?}");
    }
}
