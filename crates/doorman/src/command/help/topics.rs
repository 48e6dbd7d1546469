//! Texts of `doorman help`: topics, and the codes that only compiling and checking can find.

/// A topic.
pub struct Topic {
    /// The word for it.
    pub name: &'static str,
    /// One line.
    pub title: &'static str,
    /// The rest.
    pub text: &'static str,
}

/// All topics.
pub const TOPICS: &[Topic] = &[
    Topic {
        name: "language",
        title: "How a configuration is written",
        text: "\
A line is a name and its values. A block is a folded line: `server 3000 weight 2` and
`server 3000 { weight 2 }` are the same.

    doorman 1                       the version of the language

    site example.com {
        tls  cert site.pem key site.key
        route /api/* { proxy 10.0.0.1:8080 }
        route *      { proxy 10.0.0.2:8080 }
    }

${env:NAME}, ${file:PATH} and ${secret:NAME} are filled in when the file is loaded, {host}, {path}
and the like when a request comes (see `doorman help placeholders`). `off` in front of a line
switches it off and keeps it checked. `policy NAME { ... }` and `use NAME` share lines between
sites and routes; `include GLOB` reads more files. `#` begins a comment.
",
    },
    Topic {
        name: "routes",
        title: "Which route answers a request",
        text: "\
The host selects a site: an exact name before a wildcard before `*`. In the site the first route
that matches wins, in the order of the file. A route that can never match is an error.

    route /exact              this path alone
    route /prefix/*           /prefix and everything below it
    route /a/*/b              one segment between
    route ~ '^/u/[0-9]+$'     an expression
    route GET POST /form      only these methods
    route /beta/* when header X-Beta 1

`doorman explain URL` shows every route that was tried and why it lost; `doorman test FILE` holds
such answers in a file.
",
    },
    Topic {
        name: "servers",
        title: "Changing servers while doorman runs, and finding them",
        text: "\
    doorman upstreams                                who is picked, and why the others are not
    doorman upstreams drain web/10.0.0.11:3000       no new clients; --within 10m ends the last
    doorman upstreams down|ready web/10.0.0.11:3000
    doorman upstreams weight 5 web/10.0.0.12:3000 --for 2h --reason 'bigger machine'
    doorman diff                                     the file against what runs, and such changes
    doorman explain URL --running                    the pick of this moment

A change stands over the file for a day, or --for TIME, or --forever, and over reloads and restarts.
When the file says something else about the same thing, the file wins.

    upstream app { discover dns app.internal 8080 }             each address is a server
    upstream app { discover srv _http._tcp.app.internal }       ports, weights and tiers of SRV records
    upstream app { discover file servers.json }                 a list, watched
    upstream app { server app.internal:80; resolve every 30s }  a name stands for its addresses

When looking up fails, the last good list counts on.
",
    },
    Topic {
        name: "placeholders",
        title: "What {name} stands for",
        text: "\
In `redirect`, `respond`, `rewrite`, `host` and in values of headers:

    {host} {port} {scheme} {method} {path} {query} {uri} {protocol}
    {client-ip} {client-port} {request-id}
    {client-cert-subject} {client-cert-issuer} {client-cert-serial} {client-cert-fingerprint}
    {header.NAME} {cookie.NAME} {query.NAME}      by name
    {1} {2} ...                                   what the route's path caught

`doorman help directives` lists all of them. What a placeholder yields is never read for
placeholders again, and is escaped for where it stands.
",
    },
    Topic {
        name: "tests",
        title: "How `doorman test` files are written",
        text: "\
A line with a method asks for a URL; lines with `expect` under it say what must come of it. The
language is that of configurations: quotes, comments and `\\` at the end of a line work.

    GET https://shop.example.com/static/app.js
    expect route /static/* upstream web

    GET http://www.example.com/x?y=1 from 203.0.113.9 header X-Beta 1
    expect status 308 location https://shop.example.com/x?y=1

Behind the URL: `from IP`, `header NAME VALUE`, `protocol h1|h2|h3`.
What can be expected: `site NAME`, `route NAME`, `upstream NAME`, `status CODE`, `location URL`,
`header NAME VALUE` (of the response), `request-header NAME VALUE` (as the origin gets it),
`path PATH` (with its query, as the origin is asked), `host HOST` (as the origin gets it),
`body TEXT`. A request that is passed on has no status: its origin decides.
",
    },
    Topic {
        name: "exit-codes",
        title: "What the exit codes mean",
        text: "\
    0   ok
    1   something failed
    2   the command line is wrong
    3   the configuration is faulty
    4   no running proxy answers
    5   not permitted
",
    },
    Topic {
        name: "signals",
        title: "What signals do to `doorman run`",
        text: "\
    TERM   stop accepting, let requests end (up to `drain` in `global`), then exit
    INT    exit now; so does a second TERM
    HUP    read the configuration again; a faulty one changes nothing
    USR1   open log files again
",
    },
    Topic {
        name: "secrets",
        title: "Where ${secret:NAME} comes from",
        text: "\
A secret is the content of a file of that name in the folder that $DOORMAN_SECRETS names, else in
$CREDENTIALS_DIRECTORY (LoadCredential= of systemd), else in /run/secrets. Diagnostics and
`doorman config show` print the line as written, never the secret.
",
    },
];

/// Codes whose faults show only when a plan is compiled or the world is asked.
const CODES: &[(&str, &str, &str)] = &[
    (
        "E0601",
        "a file that the configuration names cannot be read",
        "The file is opened when the configuration is loaded, so that a missing one is found now and\nnot by the first request. Check its path (it is taken from the folder of the configuration),\nwho may read it, and its size.",
    ),
    (
        "E0602",
        "an expression cannot be used",
        "It is valid, but too large when compiled. Shorten it, or take repetitions such as {1000} out.",
    ),
    (
        "E0603",
        "a certificate or its key cannot be used",
        "The message names the file and what is wrong with it: missing, damaged, of an unknown kind, or\na key that does not belong to the certificate.",
    ),
    (
        "E0604",
        "a certificate works, but hardly as meant",
        "It is expired or not valid yet, it does not hold a name of the site, or its chain is incomplete.\nClients will refuse it or warn.",
    ),
    (
        "E0605",
        "the local authority cannot be used",
        "`tls internal` signs with an authority in the folder that `data` in `global` names. Its files are\ndamaged, not ours to read, or others may read the key. Nothing that exists is ever changed;\nmove the folder `ca` away to get a new authority.",
    ),
    (
        "E0606",
        "TLS towards an upstream cannot be set up",
        "The CA file cannot be read, or the name to check the server by is not valid. An upstream whose\nCA cannot be read is not used at all, so that nothing is sent unchecked.",
    ),
    (
        "E0607",
        "a route cannot be put into the table",
        "Its path is none that a request can have, its expression is too large, or two sites claim one host\non one socket.",
    ),
    (
        "E0608",
        "an edit cannot be used",
        "A header that the proxy itself writes (framing, connection) cannot be edited, and a prefix to\nstrip must be a path.",
    ),
    (
        "E0701",
        "an upstream does not answer",
        "`check --deep` tried to connect and could not. The configuration is valid all the same: requests\nget 502 until the server is there.",
    ),
];

/// The text of such a code, in whatever case it is written.
pub fn code(word: &str) -> Option<String> {
    let found = CODES.iter().find(|(code, ..)| code.eq_ignore_ascii_case(word))?;
    Some(format!("{}: {}\n\n{}\n", found.0, found.1, found.2))
}
