//! Who runs: doorman, its peers, and the byte relay as a floor. Each gets the configuration that a
//! performance-minded operator would write for the load at hand, one worker, and no logging but for
//! doorman, which has its access log and metrics on in every figure.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    bench::scenario::{Buffers, Load, Scenario},
    failure::{During, Failure},
    guard::Guard,
    process::{Core, Running, own_part},
    wire::Wire,
};

/// Name of doorman's access log in the guard's folder.
pub(crate) const ACCESS_LOG: &str = "doorman-access.log";

/// A proxy that may be chosen on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Doorman,
    Nginx,
    Haproxy,
    Relay,
}

impl Choice {
    pub(crate) const ALL: [Self; 4] = [Self::Doorman, Self::Nginx, Self::Haproxy, Self::Relay];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Doorman => "doorman",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Relay => "relay",
        }
    }
}

/// A proxy with all that was decided about it for one scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Doorman,
    Nginx,
    Haproxy(Buffers),
    Relay,
}

impl Contender {
    /// Whom the chosen proxies send into a scenario.
    pub(crate) fn of(choices: &[Choice], scenario: &Scenario) -> Vec<Self> {
        choices
            .iter()
            .flat_map(|choice| match choice {
                Choice::Doorman => vec![Self::Doorman],
                Choice::Nginx => vec![Self::Nginx],
                Choice::Haproxy => scenario.haproxy.iter().copied().map(Self::Haproxy).collect(),
                // It can't speak TLS and keeps nothing for a connection, so it says nothing there.
                Choice::Relay if scenario.wire == Wire::Tls || scenario.load == Load::Idle => {
                    Vec::new()
                }
                Choice::Relay => vec![Self::Relay],
            })
            .collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Doorman => "doorman",
            Self::Nginx => "nginx",
            Self::Haproxy(Buffers::Small) => "haproxy",
            Self::Haproxy(Buffers::Large) => "haproxy-64k",
            Self::Relay => "relay",
        }
    }

    /// Peers are what doorman is compared with; the relay is no proxy.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::Nginx | Self::Haproxy(_))
    }
}

/// Where the contenders of one run live.
pub(crate) struct Ground {
    pub(crate) guard: Guard,
    pub(crate) doorman: PathBuf,
    pub(crate) origin_port: u16,
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
    fn file(&self, name: &str) -> PathBuf {
        self.guard.directory().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    /// A self-signed ECDSA P-256 certificate for localhost, as the file formats of all contenders.
    pub(crate) fn make_certificate(&self) -> Result<(), Failure> {
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
                     -subj /CN=localhost -addext subjectAltName=DNS:localhost";
        let output = Command::new("openssl")
            .args(words.split_ascii_whitespace())
            .args(["-keyout", &key, "-out", &certificate])
            .output()
            .during("starting openssl")?;
        if !output.status.success() {
            return Err(Failure::new(String::from_utf8_lossy(&output.stderr)));
        }
        let both = fs::read_to_string(&certificate)? + &fs::read_to_string(&key)?;
        Ok(fs::write(self.file("both.pem"), both)?)
    }

    /// Starts a contender on the proxy's core.
    pub(crate) fn start(&self, who: Contender, scenario: &Scenario) -> Result<Running, Failure> {
        let mut command = match who {
            Contender::Doorman => {
                // Every run would add tens of megabytes to the log of the one before.
                let _ = fs::remove_file(self.file(ACCESS_LOG));
                let file = self.write("doorman.conf", &self.doorman_configuration())?;
                let mut command = Command::new(&self.doorman);
                command.args(["run", "-c", &file]);
                command
            }
            Contender::Nginx => {
                let file = self.write("nginx.conf", &self.nginx_configuration(scenario))?;
                let mut command = Command::new(program("nginx"));
                command.args(["-p", &self.path(""), "-e", "stderr", "-c", &file]);
                command
            }
            Contender::Haproxy(buffers) => {
                let file = self.write("haproxy.cfg", &self.haproxy_configuration(buffers))?;
                let mut command = Command::new(program("haproxy"));
                command.args(["-db", "-f", &file]);
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

    fn doorman_configuration(&self) -> String {
        let (folder, log) = (self.path("doorman"), self.path(ACCESS_LOG));
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        let Ports { plain, tls, metrics } = self.ports;
        let origin = self.origin_port;
        format!(
            "doorman 1
global {{
    bind    127.0.0.1
    workers 1
    data    {folder}
    admin   unix:{folder}.sock
    metrics 127.0.0.1:{metrics}
    log     access json {log}
}}
upstream origin {{ server 127.0.0.1:{origin} }}
site http://*:{plain} {{
    route * {{ proxy origin }}
}}
site https://localhost:{tls} {{
    tls cert {certificate} key {key}
    route * {{ proxy origin }}
}}
"
        )
    }

    /// No log, upstream connections kept, no temporary files, and what suits the bodies.
    fn nginx_configuration(&self, scenario: &Scenario) -> String {
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        let Ports { plain, tls, .. } = self.ports;
        let (origin, files) = (self.origin_port, self.open_files);
        // Measured: passing bytes on as they come is much cheaper than collecting them for large bodies,
        // a little for uploads, and much dearer for small responses over TLS and HTTP/2.
        let buffers = match (scenario.load, scenario.body_bytes) {
            (Load::Post, _) => {
                "proxy_request_buffering off; proxy_buffer_size 4k; proxy_buffers 8 4k;"
            }
            (_, ..=4096) => "proxy_buffer_size 4k; proxy_buffers 8 4k;",
            (_, ..=65_536) => "proxy_buffer_size 32k; proxy_buffers 8 32k;",
            _ => "proxy_buffering off; proxy_buffer_size 256k; proxy_buffers 4 256k;",
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("    {kind}_temp_path {};\n", self.path(kind)))
            .collect();
        format!(
            "daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {pid};
error_log stderr crit;
events {{ worker_connections {connections}; multi_accept on; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    client_body_buffer_size 64k;
    client_max_body_size 0;
{temporary}
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 2048;
        keepalive_timeout 300s;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{plain} backlog=4096;
        listen 127.0.0.1:{tls} ssl http2 backlog=4096;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_max_temp_file_size 0;
            {buffers}
        }}
    }}
}}
",
            pid = self.path("nginx.pid"),
            // nginx counts upstream connections too, and keeps some descriptors for itself.
            connections = files.saturating_sub(200),
        )
    }

    fn haproxy_configuration(&self, buffers: Buffers) -> String {
        let both = self.path("both.pem");
        let Ports { plain, tls, .. } = self.ports;
        let origin = self.origin_port;
        // With the descriptors for twice as many it would start without the last line of `global`; idle
        // clients have no upstream connection of their own, and fewer descriptors do.
        let connections = 12_000;
        let buffer_bytes = match buffers {
            Buffers::Small => 16 * 1024,
            Buffers::Large => 64 * 1024,
        };
        format!(
            "global
    nbthread 1
    maxconn {connections}
    tune.bufsize {buffer_bytes}
    ssl-default-bind-options ssl-min-ver TLSv1.3
    no strict-limits
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
    option http-keep-alive
    option forwardfor
    http-reuse always
frontend front
    bind 127.0.0.1:{plain} backlog 4096
    bind 127.0.0.1:{tls} ssl crt {both} alpn h2,http/1.1 backlog 4096
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}
    default_backend back
backend back
    server origin 127.0.0.1:{origin}
"
        )
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
pub(crate) fn missing_packages(choices: &[Choice], scenarios: &[&Scenario]) -> Vec<&'static str> {
    let loads = |load: Load| scenarios.iter().any(|scenario| scenario.load == load);
    [
        ("nginx", "nginx", choices.contains(&Choice::Nginx)),
        ("haproxy", "haproxy", choices.contains(&Choice::Haproxy)),
        ("wrk", "wrk", loads(Load::Get) || loads(Load::Post)),
        ("h2load", "nghttp2-client", loads(Load::Streams)),
        ("openssl", "openssl", true),
    ]
    .into_iter()
    .filter(|(file, _, needed)| *needed && !program(file).is_file())
    .map(|(_, package, _)| package)
    .collect()
}
