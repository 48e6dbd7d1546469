//! The configurations of all contenders: each gets the one that a performance-minded operator would write
//! for the load at hand, one worker, and no logging but for doorman, which has its access log and metrics
//! on in every figure.

use crate::{
    bench::{
        cache::CACHE,
        coded::STATIC,
        contender::{ACCESS_LOG, Ground, Ports, certificate_files},
        gates::{self, nginx_limit, nginx_probe},
        scenario::{Buffers, Coded, Coding, Load, Scenario, Tier, Way},
        waf::{Rules, doorman_routes},
    },
    failure::Failure,
    wire::{KeyKind, Version},
};

/// How nginx passes requests on to an origin.
const PROXY_PASS: &str = "proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_max_temp_file_size 0;
            ";

/// How nginx passes requests on to a FastCGI application: the variables of the file that Debian ships.
const FASTCGI_PASS: &str = "fastcgi_pass origin;
            fastcgi_keep_conn on;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param SCRIPT_FILENAME /srv$fastcgi_script_name;
            fastcgi_param SCRIPT_NAME $fastcgi_script_name;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param DOCUMENT_URI $document_uri;
            fastcgi_param DOCUMENT_ROOT /srv;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
            fastcgi_param REQUEST_SCHEME $scheme;
            fastcgi_param GATEWAY_INTERFACE CGI/1.1;
            fastcgi_param SERVER_SOFTWARE nginx/$nginx_version;
            fastcgi_param REMOTE_ADDR $remote_addr;
            fastcgi_param REMOTE_PORT $remote_port;
            fastcgi_param SERVER_ADDR $server_addr;
            fastcgi_param SERVER_PORT $server_port;
            fastcgi_param SERVER_NAME $server_name;
            fastcgi_param REDIRECT_STATUS 200;
            fastcgi_buffer_size 4k; fastcgi_buffers 8 4k;";

/// Where Debian has Apache's modules.
const APACHE_MODULES: &str = "/usr/lib/apache2/modules";

/// What Varnish writes to its log for each hit.
const VARNISH_LOG: [&str; 22] = [
    "Begin",
    "End",
    "Hit",
    "Link",
    "ReqAcct",
    "ReqHeader",
    "ReqMethod",
    "ReqProtocol",
    "ReqStart",
    "ReqURL",
    "ReqUnset",
    "RespHeader",
    "RespProtocol",
    "RespReason",
    "RespStatus",
    "RespUnset",
    "SessClose",
    "SessOpen",
    "Timestamp",
    "VCL_call",
    "VCL_return",
    "VCL_use",
];

/// One coding, at the level that all have. What the cache keeps is not improved later.
fn doorman_compress(Coded { coding, level, .. }: Coded) -> String {
    let token = coding.token();
    format!("compress {token} {{ level {token} {level}; kept-level {token} {level} }}")
}

/// nginx codes everything that it is told to, and its buffers take an answer as it comes.
fn nginx_gzip(coded: Coded) -> String {
    format!(
        "    gzip on;
    gzip_comp_level {};
    gzip_min_length 512;
    gzip_types text/javascript application/json;
    gzip_proxied any;
    gzip_vary on;
    gzip_buffers 16 64k;
",
        coded.level
    )
}

/// What a proxy answers by itself.
fn own_body(scenario: &Scenario) -> String {
    "x".repeat(usize::try_from(scenario.body_bytes).unwrap_or_default())
}

/// Files stay open between requests.
fn nginx_files() -> String {
    "    open_file_cache max=32768 inactive=24h;\n    open_file_cache_valid 24h;\n".to_owned()
}

impl Ground {
    /// The files of the certificate and the key that a scenario wants.
    fn certificate(&self, scenario: &Scenario) -> [String; 2] {
        let kind = match scenario.load {
            Load::Handshakes(shake) => shake.key,
            _ => KeyKind::Ecdsa,
        };
        certificate_files(kind).map(|name| self.path(name))
    }

    pub(super) fn doorman_configuration(&self, scenario: &Scenario) -> String {
        let (folder, log) = (self.path("doorman"), self.path(ACCESS_LOG));
        let [certificate, key] = self.certificate(scenario);
        let Ports { plain, tls, metrics } = self.ports;
        let upstream = match scenario.way {
            Way::FastCgi => {
                let port = self.responder_port;
                format!("server 127.0.0.1:{port}; protocol fastcgi; root /srv; pool {{ idle 256 }}")
            }
            _ => format!("server 127.0.0.1:{}", self.origin_port),
        };
        let answer = match scenario.way {
            Way::Own => format!("respond 200 {}", own_body(scenario)),
            Way::Origin | Way::Relay | Way::FastCgi | Way::Watched(_) | Way::Gated(_) => {
                "proxy origin".to_owned()
            }
            Way::Cache(_) => "cache bench; proxy origin".to_owned(),
            Way::Coded(coded) => format!("{}; proxy origin", doorman_compress(coded)),
            Way::CodedHit(coded) => {
                format!("{}; cache bench; proxy origin", doorman_compress(coded))
            }
        };
        let cache = self.path(CACHE);
        let store = match scenario.way {
            Way::Cache(Tier::Memory) | Way::CodedHit(_) => {
                "store bench { memory 256MiB }\n".to_owned()
            }
            Way::Cache(Tier::Disk) => {
                format!("store bench {{ memory 1MiB; disk 1GiB {cache}/doorman }}\n")
            }
            _ => String::new(),
        };
        let plain = match scenario.way {
            Way::Relay => format!("relay 127.0.0.1:{plain} {{ proxy origin }}"),
            Way::Watched(watch) => {
                format!("site http://*:{plain} {{ {} }}", doorman_routes(watch.rules))
            }
            Way::Gated(gate) => {
                format!("site http://*:{plain} {{ {} }}", gates::doorman_routes(gate))
            }
            _ => format!("site http://*:{plain} {{ route * {{ {answer} }} }}"),
        };
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
{store}upstream origin {{ {upstream} }}
{plain}
site https://localhost:{tls} {{
    tls cert {certificate} key {key}
    route * {{ {answer} }}
}}
"
        )
    }

    /// No log, upstream connections kept, no temporary files, and what suits the bodies.
    pub(super) fn nginx_configuration(&self, scenario: &Scenario) -> Result<String, Failure> {
        let [certificate, key] = self.certificate(scenario);
        let Ports { plain, tls, .. } = self.ports;
        // Tickets are on in nginx as it comes, and a cache of sessions beside them costs it more.
        let versions = match scenario.load {
            Load::Handshakes(shake) if shake.version == Version::Tls12 => "TLSv1.2 TLSv1.3",
            _ => "TLSv1.3",
        };
        let files = self.open_files;
        let origin = match scenario.way {
            Way::FastCgi => self.responder_port,
            _ => self.origin_port,
        };
        // Measured: passing bytes on as they come is much cheaper than collecting them for large bodies,
        // a little for uploads, and much dearer for small responses over TLS and HTTP/2.
        let is_cached = matches!(scenario.way, Way::Cache(_));
        let is_coded = matches!(scenario.way, Way::Coded(_));
        let buffers = match (scenario.load, scenario.body_bytes) {
            // Without buffers it keeps nothing.
            _ if is_cached => "proxy_buffer_size 4k; proxy_buffers 16 64k; proxy_cache bench;",
            // Its module reads the whole of a body before it goes on.
            _ if scenario.watch().is_some() => "proxy_buffer_size 4k; proxy_buffers 8 4k;",
            // Without them each read of the origin would be a flush of the coder.
            _ if is_coded => "proxy_buffer_size 32k; proxy_buffers 16 64k;",
            (Load::Post, _) => {
                "proxy_request_buffering off; proxy_buffer_size 4k; proxy_buffers 8 4k;"
            }
            (_, ..=4096) => "proxy_buffer_size 4k; proxy_buffers 8 4k;",
            (_, ..=65_536) => "proxy_buffer_size 32k; proxy_buffers 8 32k;",
            _ => "proxy_buffering off; proxy_buffer_size 256k; proxy_buffers 4 256k;",
        };
        let pass = match scenario.way {
            Way::FastCgi => FASTCGI_PASS.to_owned(),
            Way::Origin
            | Way::Relay
            | Way::Cache(_)
            | Way::Coded(_)
            | Way::Watched(_)
            | Way::Gated(_) => {
                format!("{PROXY_PASS}{buffers}")
            }
            Way::CodedHit(_) => {
                let folder = self.path(STATIC);
                format!("root {folder}; gzip_static on; default_type text/plain;")
            }
            Way::Own => format!("return 200 {};", own_body(scenario)),
        };
        let listen = if scenario.is_http3() {
            // The newest nginx, which wants `http2` as a word of its own.
            format!(
                "listen 127.0.0.1:{tls} quic reuseport;
        listen 127.0.0.1:{tls} ssl backlog=4096;
        quic_gso on;
        http3_max_concurrent_streams 256;"
            )
        } else {
            format!("listen 127.0.0.1:{tls} ssl http2 backlog=4096;")
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("    {kind}_temp_path {};\n", self.path(kind)))
            .collect();
        let rules = scenario.watch().map_or(Rules::None, |watch| watch.rules);
        let [module, watch] = self.nginx_watch(rules)?;
        let [zones, limit] = scenario.gate().map(nginx_limit).unwrap_or_default();
        let probe = scenario.gate().map(|gate| nginx_probe(gate, &pass)).unwrap_or_default();
        let more = match scenario.way {
            Way::Watched(_) => watch,
            Way::Gated(_) => zones,
            Way::Cache(_) => self.nginx_cache(scenario),
            Way::Coded(coded) => nginx_gzip(coded),
            Way::CodedHit(_) => nginx_files(),
            _ => String::new(),
        };
        Ok(format!(
            "{module}daemon off;
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
{temporary}{more}
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 2048;
        keepalive_timeout 300s;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{plain} backlog=4096;
        {listen}
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols {versions};
        {probe}
        location / {{
            {limit}
            {pass}
        }}
    }}
}}
",
            pid = self.path("nginx.pid"),
            // nginx counts upstream connections too, and keeps some descriptors for itself.
            connections = files.saturating_sub(200),
        ))
    }

    /// Measured: for a small body one write of head and body is cheaper than
    /// a write and a `sendfile`, which saves a copy of a large one.
    fn nginx_cache(&self, scenario: &Scenario) -> String {
        let sendfile = if scenario.body_bytes <= 1024 { "off" } else { "on" };
        format!(
            "    proxy_cache_path {cache}/nginx levels=1:2 keys_zone=bench:32m max_size=4g inactive=24h
        use_temp_path=off;
{files}    sendfile {sendfile};
",
            cache = self.path(CACHE),
            files = nginx_files(),
        )
    }

    pub(super) fn varnish_configuration(&self, scenario: &Scenario) -> String {
        let port = self.origin_port;
        let gzip = match scenario.way {
            Way::CodedHit(_) => "sub vcl_backend_response { set beresp.do_gzip = true; }\n",
            _ => "",
        };
        format!("vcl 4.1;\nbackend origin {{ .host = \"127.0.0.1\"; .port = \"{port}\"; }}\n{gzip}")
    }

    /// One pool, since it has one core; threads for all clients from the start; and of its log in shared
    /// memory, which nobody reads here, only what can't be switched off.
    pub(super) fn varnish_words(&self, scenario: &Scenario) -> Vec<String> {
        let cache = self.path(CACHE);
        let storage = match scenario.way {
            Way::Cache(Tier::Disk) => format!("file,{cache}/varnish.storage,1g"),
            _ => "malloc,256m".to_owned(),
        };
        let silence = VARNISH_LOG.map(|tag| format!("-{tag}")).join(",");
        let mut words = vec![
            "-n".into(),
            format!("{cache}/varnish"),
            "-a".into(),
            format!("127.0.0.1:{}", self.ports.plain),
            "-s".into(),
            storage,
        ];
        for setting in ["thread_pools=1", "thread_pool_min=200", "thread_pool_max=1000"] {
            words.extend(["-p".into(), setting.into()]);
        }
        words.extend(["-p".into(), format!("vsl_mask={silence}")]);
        if let Some(coded) = scenario.coded() {
            words.extend(["-p".into(), format!("gzip_level={}", coded.level)]);
        }
        words
    }

    /// One process beside the one that watches it, with a thread for each connection and upstream connections
    /// that are kept. Debian has all of these modules in one package.
    pub(super) fn apache_configuration(&self, scenario: &Scenario) -> String {
        let (folder, plain, origin) = (self.path(""), self.ports.plain, self.origin_port);
        let threads = scenario.connections + 8;
        let coder = match scenario.coded() {
            Some(Coded { coding: Coding::Gzip, level, .. }) => format!(
                "LoadModule deflate_module {APACHE_MODULES}/mod_deflate.so
DeflateCompressionLevel {level}
DeflateMemLevel 8
DeflateBufferSize 65536
SetOutputFilter DEFLATE
"
            ),
            Some(Coded { coding: Coding::Brotli, level, .. }) => format!(
                "LoadModule brotli_module {APACHE_MODULES}/mod_brotli.so
BrotliCompressionQuality {level}
SetOutputFilter BROTLI_COMPRESS
"
            ),
            None => String::new(),
        };
        let modules: String = ["mpm_event", "authz_core", "headers", "proxy", "proxy_http"]
            .iter()
            .map(|name| format!("LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n"))
            .collect();
        format!(
            "ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}apache.pid
ServerName localhost
User www-data
Group www-data
ErrorLog /dev/stderr
LogLevel error
{modules}ListenBacklog 4096
Listen 127.0.0.1:{plain}
AcceptFilter http none
ServerLimit 1
StartServers 1
ThreadLimit {threads}
ThreadsPerChild {threads}
MaxRequestWorkers {threads}
MinSpareThreads 1
MaxSpareThreads {threads}
MaxConnectionsPerChild 0
EnableSendfile off
KeepAlive On
KeepAliveTimeout 300
MaxKeepAliveRequests 0
RequestHeader set X-Forwarded-Proto http
ProxyIOBufferSize 65536
ProxyPass / http://127.0.0.1:{origin}/ keepalive=On enablereuse=On min={threads} smax={threads} max={threads} ttl=300
{coder}"
        )
    }

    pub(super) fn haproxy_configuration(&self, buffers: Buffers) -> String {
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
