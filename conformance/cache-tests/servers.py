"""Doorman and its peers, each with the configuration that it is judged by.

For the peers that is the one that the suite's own `docker/` folder gives them, with ports and folders of this
run; where a peer has switches that make it pass more, a second one has them on.
"""

import os
import re
import shutil
import subprocess

import suite

# As for the peers, what is off without a word is on where the suite has tests of it: stale answers for
# errors, errors kept if they say for how long, and what has to do with cookies kept.
DOORMAN = """doorman 1
global {{ data data; bind 127.0.0.1; admin unix:admin.sock; workers 1 }}
store main {{ memory 64MiB }}
upstream suite {{ server 127.0.0.1:{origin} }}
site http://*:{port} {{
    cache main {{
        ttl 10s 404 405 410 414 501
        ttl 0s 400 499 500 502 503 504 599
        stale-if-error 1h
        cookies ignore
        set-cookie strip
        targeted CDN-Cache-Control Surrogate-Control
    }}
    proxy suite
}}
"""

NGINX = """daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path temporary;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    proxy_cache_path cache levels=1:2 keys_zone=suite:8m max_size=1000m inactive=600m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{origin};
            proxy_cache suite;
            proxy_cache_revalidate on;
            proxy_http_version 1.1;
            {more}
        }}
    }}
}}
"""

NGINX_MORE = """proxy_cache_use_stale error timeout http_500 http_502 http_503 http_504;
            set $anew "";
            if ($http_cache_control ~* "no-cache|max-age=0") { set $anew yes; }
            proxy_cache_bypass $anew;"""

VARNISH = """vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{origin}"; }}
{more}
"""

# What the request says of freshness, invalidation by unsafe methods, and stale answers for errors, of
# which the built-in rules have none.
VARNISH_MORE = """
sub vcl_recv {
    if (req.http.Cache-Control ~ "(?i)no-cache|max-age=0") { set req.hash_always_miss = true; }
    if (req.method != "GET" && req.method != "HEAD" && req.method != "PUT"
        || req.method == "PUT" && req.url ~ "^/test/") {
        ban("obj.http.x-url == " + req.url);
    }
}
sub vcl_backend_response {
    set beresp.http.x-url = bereq.url;
    if (beresp.http.Cache-Control ~ "(?i)stale-while-revalidate=[0-9]+") {
        set beresp.grace = std.duration(
            regsub(beresp.http.Cache-Control, "(?i).*stale-while-revalidate=([0-9]+).*", "\\1s"), 0s);
    }
}
sub vcl_deliver { unset resp.http.x-url; }
"""

APACHE = """ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile apache.pid
ErrorLog {folder}/error.log
Mutex sem
DefaultRuntimeDir {folder}
{modules}
StartServers 1
ThreadsPerChild 50
MaxRequestWorkers 100
KeepAlive On
<VirtualHost *:{port}>
    ProxyPass "/" "http://127.0.0.1:{origin}/"
    {enable}
    CacheDefaultExpire 0
    CacheIgnoreNoLastMod On
    CacheStoreExpired On
    UseCanonicalName On
    CacheHeader On
    CacheDetailHeader on
</VirtualHost>
"""

APACHE_MODULES = """mpm_event mpm_event
authz_core authz_core
proxy proxy
proxy_http proxy_http
cache cache
cache_disk cache_disk
socache_shmcb socache_shmcb
cache_socache cache_socache"""

APACHE_DISK = """CacheEnable disk /
    CacheRoot {folder}/cache
    CacheDirLevels 5
    CacheDirLength 3"""

APACHE_MEMORY = """CacheEnable socache /
    CacheSocache shmcb:{folder}/shmcb(16777216)
    CacheSocacheMaxSize 102400"""

TRAFFIC_SERVER = """CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 2
CONFIG proxy.config.accept_threads INT 1
CONFIG proxy.config.task_threads INT 2
CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1
CONFIG proxy.config.http.insert_request_via_str INT 1
CONFIG proxy.config.http.insert_response_via_str INT 0
CONFIG proxy.config.http.negative_caching_enabled INT 0
CONFIG proxy.config.http.push_method_enabled INT 0
CONFIG proxy.config.http.cache.http INT 1
CONFIG proxy.config.http.cache.ignore_client_cc_max_age INT {ignore}
CONFIG proxy.config.http.normalize_ae INT 1
CONFIG proxy.config.http.cache.cache_responses_to_cookies INT 1
CONFIG proxy.config.http.cache.cache_urls_that_look_dynamic INT 1
CONFIG proxy.config.http.cache.when_to_revalidate INT 0
CONFIG proxy.config.http.cache.required_headers INT {required}
CONFIG proxy.config.http.cache.heuristic_min_lifetime INT 3600
CONFIG proxy.config.http.cache.heuristic_max_lifetime INT 86400
CONFIG proxy.config.http.cache.heuristic_lm_factor FLOAT 0.10
CONFIG proxy.config.cache.ram_cache.size INT -1
CONFIG proxy.config.cache.limits.http.max_alts INT 5
CONFIG proxy.config.cache.min_average_object_size INT 8000
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.url_remap.pristine_host_hdr INT 1
CONFIG proxy.config.reverse_proxy.enabled INT 1
CONFIG proxy.config.admin.user_id STRING {user}
"""

TRAFFIC_SERVER_ALLOW = """ip_allow:
  - apply: in
    ip_addrs: 0/0
    action: allow
    methods: ALL
"""


def doorman(program):
    def prepare(folder, port, origin):
        (folder / "doorman.conf").write_text(DOORMAN.format(port=port, origin=origin))
        return [program, "run", "-c", "doorman.conf"], {}

    return prepare


def nginx(more):
    def prepare(folder, port, origin):
        (folder / "nginx.conf").write_text(NGINX.format(port=port, origin=origin, more=more))
        return ["/usr/sbin/nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"], {}

    return prepare


def varnish(more):
    def prepare(folder, port, origin):
        text = VARNISH.format(origin=origin, more=more)
        if more:
            text = text.replace("vcl 4.1;", "vcl 4.1;\nimport std;")
        (folder / "suite.vcl").write_text(text)
        words = ["/usr/sbin/varnishd", "-F", "-j", "none", "-n", str(folder / "varnish")]
        words += ["-a", f"127.0.0.1:{port}", "-f", str(folder / "suite.vcl"), "-s", "malloc,64M"]
        for setting in ("default_ttl=0", "default_grace=0", "default_keep=3600"):
            words += ["-p", setting]
        return words, {}

    return prepare


def apache(enable):
    def prepare(folder, port, origin):
        lines = (line.split() for line in APACHE_MODULES.splitlines())
        modules = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{file}.so" for name, file in lines
        )
        (folder / "cache").mkdir()
        text = APACHE.format(
            folder=folder, port=port, origin=origin, modules=modules, enable=enable.format(folder=folder)
        )
        (folder / "apache.conf").write_text(text)
        return ["/usr/sbin/apache2", "-f", str(folder / "apache.conf"), "-X"], {}

    return prepare


def traffic_server(ignore, required):
    def prepare(folder, port, origin):
        # It does not run as root, and what it is given must be its user's.
        user = "trafficserver" if os.getuid() == 0 else "#-1"
        root = folder / "ats"
        words = ["/usr/bin/traffic_layout", "init", "--path", str(root), "--copy-style", "soft", "--force"]
        subprocess.run(words, check=True, capture_output=True)
        layout = (root / "runroot.yaml").read_text()
        place = {key: value for key, value in re.findall(r"^(\w+): *(\S+)", layout, re.M)}
        configuration = place["sysconfdir"]
        records = TRAFFIC_SERVER.format(port=port, ignore=ignore, required=required, user=user)
        for name, text in (
            ("records.config", records),
            ("remap.config", f"map http://127.0.0.1:{port}/ http://127.0.0.1:{origin}/\n"),
            ("storage.config", f"{place['cachedir']} 64M\n"),
            ("ip_allow.yaml", TRAFFIC_SERVER_ALLOW),
        ):
            with open(os.path.join(configuration, name), "w") as file:
                file.write(text)
        if os.getuid() == 0:
            for above in (folder, folder.parent):
                above.chmod(0o755)
            for path in (root, *root.rglob("*")):
                if not path.is_symlink():
                    shutil.chown(path, user)
        return ["/usr/bin/traffic_server", f"--run-root={root}"], {}

    return prepare


PEERS = {
    "nginx": (nginx(""), ["/usr/sbin/nginx", "-v"]),
    "nginx-tuned": (nginx(NGINX_MORE), ["/usr/sbin/nginx", "-v"]),
    "varnish": (varnish(""), ["/usr/sbin/varnishd", "-V"]),
    "varnish-tuned": (varnish(VARNISH_MORE), ["/usr/sbin/varnishd", "-V"]),
    "apache": (apache(APACHE_DISK), ["/usr/sbin/apache2", "-v"]),
    "apache-memory": (apache(APACHE_MEMORY), ["/usr/sbin/apache2", "-v"]),
    "ats": (traffic_server(1, 2), ["/usr/bin/traffic_server", "-V"]),
    "ats-tuned": (traffic_server(0, 1), ["/usr/bin/traffic_server", "-V"]),
}


def version(words):
    done = subprocess.run(words, capture_output=True, text=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def start(prepare, folder, port, origin):
    """Starts a server in a folder of its own, and waits until it listens."""
    words, more = prepare(folder, port, origin)
    log = folder / "server.log"
    process = subprocess.Popen(
        words,
        cwd=folder,
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    suite.await_port(port, process, log)
    return process
