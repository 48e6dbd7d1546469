//! `doorman explain` over files.

use super::*;

/// A Unix socket serves every site of its transport, and its clients have no address.
#[test]
fn asks_by_a_unix_socket() {
    let text = "global { data ./data }
        listen unix:/tmp/front.sock
        listen unix:/tmp/tls.sock { tls }
        site http://a.test:8080 {
            route /near when client 127.0.0.0/8 { respond 200 near }
            respond 200 any
        }
        site https://b.test { tls internal; respond 200 b }\n";
    let folder = Folder::with(&[("doorman.conf", text)]);
    let ran = folder.run("explain http://a.test/near --unix /tmp/front.sock");
    assert_eq!(ran.code, 0, "{}", ran.err);
    for line in [
        "request   GET http://a.test/near  HTTP/1.1 from a process of this machine\n",
        "listener  unix:/tmp/front.sock\n",
        "site      http://a.test:8080 ",
    ] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    assert!(ran.out.contains("a.test:8080") && ran.out.contains("any"), "{}", ran.out);
    let tls = folder.run("explain https://b.test/ --unix /tmp/tls.sock --json");
    assert!(tls.out.contains("\"listener\": \"unix:/tmp/tls.sock\""), "{}", tls.out);
    for (url, door) in
        [("https://b.test/", "/tmp/front.sock"), ("http://a.test/", "/tmp/none.sock")]
    {
        let ran = folder.run(&format!("explain {url} --unix {door}"));
        assert_eq!(ran.code, 1);
        assert!(ran.out.contains(&format!("nothing listens on unix:{door}")), "{}", ran.out);
    }
    assert_eq!(folder.run("explain http://a.test/ --unix /x --from 10.0.0.1").code, 2);
}

#[test]
fn names_every_route() {
    let folder = Folder::with(&[("doorman.conf", SHOP)]);
    folder
        .run("explain https://shop.localhost/static/a.js?x=1 --from 10.1.2.3 -H X-Forwarded-For:9.9.9.9")
        .is(
            0,
            "\
request   GET https://shop.localhost/static/a.js?x=1  HTTP/2 from 9.9.9.9
listener  :443
tls       certificate shop.localhost of the local authority
site      shop.localhost               doorman.conf:13
route     /static/*                    doorman.conf:18  <- answers
route     POST /api/* when header X-Beta 1 doorman.conf:22  an earlier route took the request
route     /old                         doorman.conf:26  an earlier route took the request
route     *                            doorman.conf:27  an earlier route took the request
path      /static/a.js?x=1 -> /a.js?x=1
request   + x-request-id: a new id for every request
          + x-forwarded-for: 9.9.9.9, 10.1.2.3
          + x-forwarded-proto: https
          + x-forwarded-host: shop.localhost
          - X-Forwarded-For: 9.9.9.9
response  + x-shop: shop.localhost
          - server
proxy     web                          doorman.conf:8
          127.0.0.1:3000  Host: shop.localhost
          127.0.0.1:3001  Host: shop.localhost  weight 2
          round-robin
timeouts  connect 5s, response 1m, idle 1m
",
        );
    folder.run("explain http://shop.localhost/q").is(
        0,
        "\
request   GET http://shop.localhost/q  HTTP/1.1 from 127.0.0.1
listener  :80
site      shop.localhost               doorman.conf:13
route     made by doorman: HTTPS sites take plain requests over to HTTPS
answer    308 to https://shop.localhost/q
          location: https://shop.localhost/q
",
    );
    folder.run("explain https://other.localhost/").is(
        1,
        "\
request   GET https://other.localhost/  HTTP/1.1 from 127.0.0.1
listener  :443
tls       no certificate fits this name: the handshake is refused
",
    );
    assert!(!folder.path().join("data").exists(), "an explanation makes no local authority");
}

#[test]
fn names_the_script_of_an_application() {
    let text =
        "upstream php { server unix:/run/php.sock; protocol fastcgi; root /srv/app; index index.php
                split-path .php; source 127.0.0.2; proxy-protocol v2 }
                site http://php.localhost { proxy php }";
    let folder = Folder::with(&[("doorman.conf", text)]);
    let told = folder.run("explain http://php.localhost/a/b.php/c%20d").out;
    for line in ["/srv/app/a/b.php, PATH_INFO /c d", "127.0.0.2", "v2; a connection for each"] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let script = |path: &str| {
        let told = folder.run(&format!("explain http://php.localhost{path} --json")).json();
        told["outcome"]["upstreams"][0]["script"].as_str().map(str::to_owned)
    };
    assert_eq!(script("/").as_deref(), Some("/srv/app/index.php"));
    assert_eq!(script("/style.css").as_deref(), Some("none: answered by 404"));
}

/// What the cache would do, with no process that could have stored anything.
#[test]
fn tells_of_the_cache() {
    let text = r#"doorman 1
store web { memory 64MiB }
site http://a.test {
    route /static/* {
        cache web {
            ttl            1h
            ttl            1m 404 410
            stale          1d
            stale-if-error 90s
            key            header X-Lang
            key            cookie theme
            ignore-query   utm_*
            bypass when    header X-Preview
            purge from     192.0.2.0/24
            set-cookie     strip
            min-uses       2
            methods        GET
            vary ignore    User-Agent
            lock           off
            slice          1MiB
            client-control off
            cookies        ignore
        }
        proxy 127.0.0.1:3000
    }
    route * { proxy 127.0.0.1:3000 }
}
"#;
    let folder = Folder::with(&[("doorman.conf", text)]);
    let lines = |arguments: &[&str], from: &str, to: &str| {
        let ran = Ran::of(&folder.arguments(&[&["explain"], arguments].concat()).output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.err);
        let kept = ran.out.lines().skip_while(|line| !line.starts_with(from));
        kept.take_while(|line| !line.starts_with(to))
            .map(|line| line.to_owned() + "\n")
            .collect::<String>()
    };
    let url = "http://a.test/static/x?utm_source=b&a=1";
    let asked = [url, "-H", "Cookie: theme=dark; other=1", "-H", "X-Lang: de"];
    assert_eq!(
        lines(&asked, "cache", "proxy"),
        "\
cache     web                          doorman.conf:5  answered from the store if that may be
key       http://a.test/static/x?a=1
          and header x-lang: de
          and cookie theme: dark
          and what `Vary` of the response names
rules     ttl: as the response says, else 1h
          ttl: as the response says, else 1m for 404 410
          stale: 1d more, while it is fetched anew
          stale-if-error: 90s more, if the server fails
          cookies: ignore
          set-cookie: strip
          client-control: off
          min-uses: 2
          methods: GET
          vary ignore: user-agent
          lock: off
          slice: 1048576 bytes
          max-object: 8388608 bytes
"
    );
    for (arguments, expect) in [
        (&["-H", "X-Preview: 1"][..], "passed by: a `bypass when` holds"),
        (&["-X", "OPTIONS"], "passed by: its method is none that is answered from a store"),
        (&["-X", "POST"], "sent to the server; if it succeeds, what is stored for the URL goes"),
        (&["-X", "PURGE"], "403: this client may not purge"),
        (&["-X", "PURGE", "--from", "192.0.2.7"], "purges the URL"),
        (&["-H", "Upgrade: websocket"], "passed by: it asks for an upgrade"),
    ] {
        let told = lines(&[&[url], arguments].concat(), "cache", "proxy");
        assert!(told.lines().next().unwrap().ends_with(expect), "{arguments:?}: {told}");
    }
    assert_eq!(lines(&["http://a.test/x"], "cache", "proxy"), "");
    let told = folder.arguments(&["explain", url, "--json"]).output().unwrap();
    let told = Ran::of(&told).json();
    let cache = &told["outcome"]["cache"];
    assert_eq!((&cache["store"], &cache["decision"]), (&"web".into(), &"look".into()));
    assert_eq!(cache["key"], "http://a.test/static/x?a=1");
    assert_eq!(cache["differs"][0]["name"], "x-lang");
    assert_eq!(
        (&cache["differs"][0]["value"], &cache["ways"]),
        (&None::<u8>.into(), &None::<u8>.into())
    );
    assert_eq!(cache["rules"][0]["name"], "ttl");
}

#[test]
fn follows_relays() {
    let text = "relay :8443 {
    sni mail.test *.mail.test 10.0.0.6:443
    proxy 10.0.0.8:443
    deny 192.0.2.0/24
}
relay :53 { protocol udp; proxy 10.0.0.9:53; timeout idle 10s }
";
    let folder = Folder::with(&[("doorman.conf", text)]);
    folder.run("explain tls://a.Mail.test:8443").is(
        0,
        "\
request   tls://a.mail.test:8443  from 127.0.0.1
relay     :8443  doorman.conf:1
sni       a.mail.test  doorman.conf:2
proxy     10.0.0.6:443  doorman.conf:2
          10.0.0.6:443
timeouts  connect 5s, idle 5m
",
    );
    let json = |line: &str| folder.run(&format!("explain {line} --json")).json();
    assert_eq!(json("tls://other.test:8443")["servers"][0], "10.0.0.8:443");
    assert_eq!(json("tcp://x:8443 --from 192.0.2.7")["outcome"], "denied");
    assert_eq!(json("udp://x:53")["timeouts_ms"]["idle"], 10_000);
    assert_eq!(folder.run("explain tcp://x:53").code, 1);
    assert_eq!(folder.run("explain tcp://x").code, 2);
    let checked = folder.run("check");
    let said = checked.out + &checked.err;
    assert!(said.contains("2 relays"), "{said}");
}

#[test]
fn answers_programs() {
    let folder = Folder::with(&[("doorman.conf", SHOP)]);
    let told = folder.run("explain https://shop.localhost/api/x -X POST -H X-Beta:1 --json").json();
    assert_eq!(told["route"], "POST /api/* when header X-Beta 1");
    assert_eq!(told["routes"][0]["why_lost"], "path does not match");
    assert_eq!(told["routes"][0]["at"]["line"], 18);
    assert_eq!(told["outcome"]["kind"], "forward");
    assert_eq!(told["outcome"]["upstreams"][0]["servers"][0]["host"], "127.0.0.1:9000");
    let told = folder.run("explain https://shop.localhost/api/x -X POST --json").json();
    assert_eq!(told["routes"][1]["why_lost"], "header x-beta is absent");
    assert_eq!(told["outcome"]["status"], 404);
    assert_eq!(told["outcome"]["body"], "nothing at /api/x");
}

#[test]
fn refuses_what_no_client_can_ask() {
    let folder = Folder::with(&[("doorman.conf", SHOP)]);
    for line in [
        "explain ftp://shop.localhost/",
        "explain https:///x",
        "explain https://shop.localhost/ -X CONNECT",
        "explain https://shop.localhost/ -H nonsense",
        "explain https://shop.localhost/ -H Transfer-Encoding:chunked",
        "explain https://shop.localhost/%00",
        "explain https://shop.localhost/ --from nobody",
    ] {
        assert_eq!(folder.run(line).code, 2, "{line}");
    }
}
