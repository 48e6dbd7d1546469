//! Who runs: doorman, its peers, and the byte relay as a floor; what they need to start, and the start.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    bench::{
        gates,
        scenario::{Buffers, Coding, Load, Scenario, Way},
        waf::{CORE_RULES, NGINX_MODULE, Rules, Watch},
    },
    failure::{During, Failure},
    guard::Guard,
    process::{Core, Running, own_part},
    wire::{KeyKind, Wire},
};

/// Name of doorman's access log in the guard's folder.
pub(crate) const ACCESS_LOG: &str = "log/doorman-access.log";

/// A proxy that may be chosen on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Doorman,
    Nginx,
    Haproxy,
    Varnish,
    Apache,
    Relay,
}

impl Choice {
    pub(crate) const ALL: [Self; 6] =
        [Self::Doorman, Self::Nginx, Self::Haproxy, Self::Varnish, Self::Apache, Self::Relay];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Doorman => "doorman",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Varnish => "varnish",
            Self::Apache => "apache",
            Self::Relay => "relay",
        }
    }
}

/// A proxy with all that was decided about it for one scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Doorman,
    /// Another build of doorman, to see what a change did.
    Before,
    /// doorman, with a hit of as many bytes that were never coded, or without a firewall.
    Plain,
    Nginx,
    Haproxy(Buffers),
    Varnish,
    Apache,
    Relay,
}

/// Whom a benchmark has to send out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineup {
    pub(crate) choices: Vec<Choice>,
    /// doorman's binary.
    pub(crate) doorman: PathBuf,
    /// Another build of doorman to run beside it.
    pub(crate) before: Option<PathBuf>,
    /// An nginx that speaks HTTP/3, which Debian's does not.
    pub(crate) nginx_h3: Option<PathBuf>,
}

impl Lineup {
    /// Whom it sends into a scenario.
    pub(crate) fn of(&self, scenario: &Scenario) -> Vec<Contender> {
        let before = self.before.as_ref().map(|_| Contender::Before);
        let chosen = self.choices.iter().flat_map(|choice| match choice {
            Choice::Doorman => match scenario.way {
                Way::CodedHit(_) => vec![Contender::Doorman, Contender::Plain],
                Way::Watched(watch) if is_held_against_plain(scenario.load, watch) => {
                    vec![Contender::Doorman, Contender::Plain]
                }
                Way::Gated(_) => gates::BESIDE.to_vec(),
                _ => vec![Contender::Doorman],
            },
            Choice::Nginx if self.nginx_takes(scenario) => vec![Contender::Nginx],
            Choice::Nginx => Vec::new(),
            Choice::Haproxy => scenario.haproxy.iter().copied().map(Contender::Haproxy).collect(),
            Choice::Varnish if scenario.is_cached() => vec![Contender::Varnish],
            Choice::Varnish => Vec::new(),
            Choice::Apache if apache_takes(scenario) => vec![Contender::Apache],
            Choice::Apache => Vec::new(),
            Choice::Relay if relay_takes(scenario) => vec![Contender::Relay],
            Choice::Relay => Vec::new(),
        });
        chosen.chain(before).collect()
    }

    /// There is no peer for a relay: what it is held against is the floor. Debian's nginx has no brotli,
    /// and nobody else has doorman's own rules.
    fn nginx_takes(&self, scenario: &Scenario) -> bool {
        scenario.way != Way::Relay
            && scenario.coded().is_none_or(|coded| coded.coding == Coding::Gzip)
            && (!scenario.is_http3() || self.nginx_h3.is_some())
            && scenario.watch().is_none_or(|watch| watch.rules != Rules::Starter)
            && scenario.gate().is_none_or(gates::nginx_takes)
    }
}

/// What rules cost beside none; under load, those of the Core Rule Set are held against nginx alone.
fn is_held_against_plain(load: Load, watch: Watch) -> bool {
    load == Load::Start || watch.rules != Rules::Core
}

/// The byte relay can't speak TLS or FastCGI and keeps nothing for a connection.
fn relay_takes(scenario: &Scenario) -> bool {
    scenario.wire == Wire::Plain
        && matches!(scenario.way, Way::Origin | Way::Relay)
        && scenario.load != Load::Idle
}

fn apache_takes(scenario: &Scenario) -> bool {
    matches!(scenario.way, Way::Coded(_))
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Doorman => "doorman",
            Self::Before => "before",
            Self::Plain => "plain",
            Self::Nginx => "nginx",
            Self::Haproxy(Buffers::Small) => "haproxy",
            Self::Haproxy(Buffers::Large) => "haproxy-64k",
            Self::Varnish => "varnish",
            Self::Apache => "apache",
            Self::Relay => "relay",
        }
    }

    pub(crate) fn is_doorman(self) -> bool {
        matches!(self, Self::Doorman | Self::Before | Self::Plain)
    }

    /// Peers are what doorman is compared with; the relay is no proxy.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::Nginx | Self::Haproxy(_) | Self::Varnish | Self::Apache)
    }
}

/// Where the contenders of one run live.
pub(crate) struct Ground {
    pub(crate) guard: Guard,
    pub(crate) lineup: Lineup,
    pub(crate) origin_port: u16,
    /// Where the FastCGI application listens.
    pub(crate) responder_port: u16,
    pub(crate) ports: Ports,
    /// Descriptors that each process may open.
    pub(crate) open_files: u64,
}

/// Loopback ports of the contender that runs at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    pub(crate) metrics: u16,
}

impl Ports {
    /// Free ports below the range from which the kernel takes client ports: within it, a connection of
    /// an earlier run could hold a port that a contender has to listen on.
    pub(crate) fn choose() -> Result<Self, Failure> {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let first_client_port = range
            .ok()
            .and_then(|range| range.split_ascii_whitespace().next()?.parse::<u16>().ok())
            .unwrap_or(32_768);
        let mut free = (10_240..first_client_port.max(10_241))
            .rev()
            .filter(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
        let mut next = || free.next().ok_or_else(|| Failure::new("no free loopback port"));
        Ok(Self { plain: next()?, tls: next()?, metrics: next()? })
    }

    pub(crate) fn of(self, wire: Wire) -> u16 {
        match wire {
            Wire::Plain => self.plain,
            Wire::Tls => self.tls,
        }
    }
}

impl Ground {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.guard.directory().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    /// Self-signed certificates for localhost with a key of each kind, as the file formats of all contenders.
    pub(crate) fn make_certificates(&self) -> Result<(), Failure> {
        self.make_certificate(KeyKind::Ecdsa, "ec -pkeyopt ec_paramgen_curve:prime256v1")?;
        self.make_certificate(KeyKind::Rsa, "rsa:2048")?;
        let [certificate, key] = certificate_files(KeyKind::Ecdsa).map(|name| self.file(name));
        let both = fs::read_to_string(certificate)? + &fs::read_to_string(key)?;
        Ok(fs::write(self.file("both.pem"), both)?)
    }

    fn make_certificate(&self, kind: KeyKind, key_words: &str) -> Result<(), Failure> {
        let [certificate, key] = certificate_files(kind).map(|name| self.path(name));
        let words = format!(
            "req -x509 -newkey {key_words} -nodes -days 30 -subj /CN=localhost -addext \
             subjectAltName=DNS:localhost"
        );
        let output = Command::new("openssl")
            .args(words.split_ascii_whitespace())
            .args(["-keyout", &key, "-out", &certificate])
            .output()
            .during("starting openssl")?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::new(String::from_utf8_lossy(&output.stderr)))
    }

    /// Starts a contender on the proxy's core.
    pub(crate) fn start(&self, who: Contender, scenario: &Scenario) -> Result<Running, Failure> {
        // Logs, the generator's too, are in a folder of their own, as in production: doorman watches the
        // one with the certificates, and a line for each request there would wake it each time.
        fs::create_dir_all(self.file("log"))?;
        if scenario.is_cached() {
            self.empty_cache()?;
        }
        let mut command = match who {
            Contender::Doorman | Contender::Before | Contender::Plain => {
                // Every run would add tens of megabytes to the log of the one before.
                let _ = fs::remove_file(self.file(ACCESS_LOG));
                let file = self.write("doorman.conf", &self.doorman_configuration(scenario))?;
                let before = self.lineup.before.as_ref().filter(|_| who == Contender::Before);
                let mut command = Command::new(before.unwrap_or(&self.lineup.doorman));
                command.args(["run", "-c", &file]);
                command
            }
            Contender::Nginx => {
                if matches!(scenario.way, Way::CodedHit(_)) {
                    self.coded_file(scenario)?;
                }
                let file = self.write("nginx.conf", &self.nginx_configuration(scenario)?)?;
                let own = self.lineup.nginx_h3.clone().filter(|_| scenario.is_http3());
                let mut command = Command::new(own.unwrap_or_else(|| program("nginx")));
                command.args(["-p", &self.path(""), "-e", "stderr", "-c", &file]);
                command
            }
            Contender::Haproxy(buffers) => {
                let file = self.write("haproxy.cfg", &self.haproxy_configuration(buffers))?;
                let mut command = Command::new(program("haproxy"));
                command.args(["-db", "-f", &file]);
                command
            }
            Contender::Varnish => {
                let file = self.write("varnish.vcl", &self.varnish_configuration(scenario))?;
                let mut command = Command::new(program("varnishd"));
                command.args(["-F", "-f", &file]).args(self.varnish_words(scenario));
                command
            }
            Contender::Apache => {
                let file = self.write("apache.conf", &self.apache_configuration(scenario))?;
                let mut command = Command::new(program("apache2"));
                command.args(["-D", "FOREGROUND", "-f", &file]);
                command
            }
            Contender::Relay => {
                own_part(&["relay", &self.ports.plain.to_string(), &self.origin_port.to_string()])?
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Running::start(&mut command, Core::PROXY, &self.guard)
    }

    fn write(&self, name: &str, text: &str) -> Result<String, Failure> {
        fs::write(self.file(name), text).during(format!("writing {name}"))?;
        Ok(self.path(name))
    }
}

/// The names of a certificate's file and of its key's.
pub(crate) const fn certificate_files(kind: KeyKind) -> [&'static str; 2] {
    match kind {
        KeyKind::Ecdsa => ["cert.pem", "key.pem"],
        KeyKind::Rsa => ["cert-rsa.pem", "key-rsa.pem"],
    }
}

/// Debian puts servers where an ordinary user's PATH does not look.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}

/// The Debian packages that a set of scenarios and proxies needs and that are not here.
pub(crate) fn missing_packages(lineup: &Lineup, scenarios: &[&Scenario]) -> Vec<&'static str> {
    let wants = |choice: Choice| lineup.choices.contains(&choice);
    let nginx =
        scenarios.iter().any(|scenario| !scenario.is_http3() && lineup.nginx_takes(scenario));
    let haproxy = scenarios.iter().any(|scenario| !scenario.haproxy.is_empty());
    let cached = scenarios.iter().any(|scenario| scenario.is_cached());
    let apache = scenarios.iter().any(|scenario| apache_takes(scenario));
    let core = scenarios
        .iter()
        .filter_map(|scenario| scenario.watch())
        .any(|watch| watch.rules == Rules::Core);
    let loads = |load: Load| scenarios.iter().any(|scenario| scenario.load == load);
    [
        ("nginx", "nginx", nginx && wants(Choice::Nginx)),
        ("haproxy", "haproxy", haproxy && wants(Choice::Haproxy)),
        ("varnishd", "varnish", cached && wants(Choice::Varnish)),
        ("apache2", "apache2", apache && wants(Choice::Apache)),
        ("wrk", "wrk", loads(Load::Get) || loads(Load::Post)),
        ("h2load", "nghttp2-client", loads(Load::Streams)),
        ("openssl", "openssl", true),
        (CORE_RULES, "modsecurity-crs", core),
        (NGINX_MODULE, "libnginx-mod-http-modsecurity", core && wants(Choice::Nginx)),
    ]
    .into_iter()
    .filter(|(file, _, needed)| *needed && !program(file).is_file())
    .map(|(_, package, _)| package)
    .collect()
}
