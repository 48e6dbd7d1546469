"""Which scripts of tlsfuzzer run, how, and which of their cases fail for a reason."""

from dataclasses import dataclass, field

SUITE = ["-C", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]
CLIENT = ["-k", "{folder}/client.key", "-c", "{folder}/client.pem"]


@dataclass
class Script:
    name: str
    arguments: list = field(default_factory=list)
    # Which site: `rsa` and `ecdsa` answer to every name, `named` to localhost alone, `asking` asks for
    # certificates of clients.
    site: str = "rsa"
    # Written for RSA key exchange or CBC: see `as_ecdhe`.
    as_ecdhe: bool = False
    # Patterns of failing cases, each with its reason.
    known: list = field(default_factory=list)
    # It plays some of its cases, chosen by chance: a reason may find none.
    sampled: bool = False


def old(name, *arguments, **more):
    return Script(name, list(arguments), as_ecdhe=True, **more)


# Reasons that come up again and again. Which alert it is that ends a connection is the library's choice (rustls)
# in these; RFC 8446 section 6.2 names them, and nobody goes by them.
OTHER_ALERT = "ends with another alert than the script wants"
# RFC 8446 section 6 asks for an alert only where there is something to say to a peer that keeps the rules.
NO_ALERT = "ends at once, without an alert"
NO_TICKET = "no ticket for a client that could not resume by it (RFC 8446 section 4.2.9)"
NO_RENEGOTIATION = "there is no renegotiation: a warning says so"
BY_TICKET = "sessions resume by tickets and not by ids"
NO_OLD_VERSION = "TLS 1.1 is not offered"
TOO_LONG = "a first message of more than 64 KiB is not read"
LONG_RECORD = "records before encryption may have 2 KiB more than RFC 8446 section 5.1 says"
OTHER_GROUPS = "these groups are not offered"
AFTER_HELLO = "the alert comes after the ServerHello, since the certificate is chosen then"
KNOWN_BODY = "the list runs over extensions that are known and whose bodies are then malformed"
PADDED_OUT = "played with ECDHE the fuzzed byte is that of another extension"


SCRIPTS = [
    # TLS 1.3.
    Script(
        "tls13-0rtt-garbage",
        ["--num-bytes", "8000"],
        known=[
            ("downgrade to TLS 1.2", "the suites that the script offers for TLS 1.2 need RSA key exchange"),
            ("with fragmented early data", "what is skipped is at most 16 KiB, and this is more"),
            ("undecryptable record later", "what is skipped may come at any place before Finished"),
        ],
    ),
    Script("tls13-ccs"),
    Script(
        "tls13-certificate-request",
        CLIENT,
        site="asking",
        known=[
            ("check sigalgs", "P-521 and Ed25519 are taken too"),
            ("verify extensions", "the authorities are named"),
        ],
    ),
    Script(
        "tls13-certificate-verify",
        CLIENT,
        site="asking",
        known=[("check sigalgs", "P-521 and Ed25519 are taken too")],
    ),
    Script("tls13-connection-abort", known=[("After NewSessionTicket", NO_TICKET)]),
    Script("tls13-conversation"),
    Script("tls13-count-tickets"),
    Script("tls13-crfg-curves", known=[("x448", OTHER_GROUPS), ("empty x25519", OTHER_ALERT)]),
    Script("tls13-ecdhe-curves", known=[("secp521r1|x448", OTHER_GROUPS)]),
    Script(
        "tls13-ecdsa-support",
        site="ecdsa",
        known=[("brainpool|384|521", "the certificate is on P-256"), ("sha1|sha224", AFTER_HELLO)],
    ),
    Script("tls13-empty-alert", known=[("empty alert", OTHER_ALERT)]),
    Script("tls13-finished", known=[("empty|padding|truncation", OTHER_ALERT)], sampled=True),
    Script("tls13-finished-plaintext", known=[("Unencrypted", OTHER_ALERT)]),
    Script("tls13-hrr"),
    Script("tls13-invalid-ciphers"),
    Script("tls13-keyshare-omitted", known=[("omitted", OTHER_ALERT)]),
    Script(
        "tls13-keyupdate",
        ["-n", "0"],
        known=[
            ("fragmented keyupdate msg, appdata between", NO_ALERT),
            (
                "app data split|multiple KeyUpdate",
                "the answer comes with the next data, one for all (RFC 8446 section 4.6.3)",
            ),
        ],
    ),
    Script("tls13-large-number-of-extensions", known=[("in range from", KNOWN_BODY)]),
    Script(
        "tls13-legacy-version",
        known=[("version", "`legacy_version` is not looked at, `supported_versions` is")],
    ),
    Script("tls13-mlkem", known=[("^secp", OTHER_GROUPS)]),
    Script(
        "tls13-multiple-ccs-messages", known=[("CCS", "up to two are passed over (RFC 8446 appendix D.4)")]
    ),
    Script(
        "tls13-no-unknown-groups",
        known=[("4356 and 4611", "X25519MLKEM768 (4588) is among these, and is offered")],
        sampled=True,
    ),
    Script("tls13-nociphers"),
    Script(
        "tls13-obsolete-curves",
        known=[
            (
                "supported_groups",
                "unknown groups are passed over, as RFC 8446 section 4.2.7 lets clients offer them",
            ),
        ],
    ),
    Script("tls13-pkcs-signature", known=[("pkcs1", AFTER_HELLO)]),
    Script(
        "tls13-record-layer-limits",
        known=[
            ("of left padding", OTHER_ALERT),
            ("too big ClientHello", LONG_RECORD),
            ("fuzzed tag", OTHER_ALERT),
        ],
    ),
    Script("tls13-record-padding"),
    Script("tls13-rsa-signatures", known=[("pss_pss", AFTER_HELLO)]),
    Script("tls13-serverhello-random", known=[("ffdhe|secp521|x448", OTHER_GROUPS)]),
    old(
        "tls13-session-resumption",
        "-d",
        known=[("PSK_ONLY", "sessions resume with a fresh key exchange only, for forward secrecy")],
    ),
    Script(
        "tls13-shuffled-extentions",
        known=[
            (
                "^HRR",
                "the second hello is taken also if extensions that nobody knows have changed their order",
            )
        ],
    ),
    Script(
        "tls13-signature-algorithms",
        known=[("tolerance|schemes", TOO_LONG), ("undefined|legacy", AFTER_HELLO)],
        sampled=True,
    ),
    Script("tls13-unencrypted-alert"),
    Script("tls13-unrecognised-groups", known=[("ffdhe2048", OTHER_GROUPS)]),
    Script("tls13-version-negotiation", ["-d", *SUITE], known=[("to 1.1", NO_OLD_VERSION)]),
    Script("tls13-zero-content-type", known=[("zero content type", NO_ALERT)]),
    Script("tls13-zero-length-data", known=[("interleaved in handshake", NO_ALERT)]),
    # TLS 1.2.
    old("alpn-negotiation", "-d", known=[("renegotiation", NO_RENEGOTIATION), ("resumption", BY_TICKET)]),
    old("ccs", "-d", *SUITE, known=[("two bytes", OTHER_ALERT)]),
    Script("certificate-verify", ["-d", *SUITE, *CLIENT], site="asking"),
    Script("certificate-verify-malformed", ["-d", *SUITE, *CLIENT], site="asking"),
    old("client-hello-max-size", "-d", known=[("max client hello", TOO_LONG)]),
    Script("connection-abort", ["-d", *SUITE]),
    Script("conversation", ["-d", *SUITE]),
    Script("cve-2016-6309", ["-d", *SUITE]),
    Script("cve-2016-7054", ["-C", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"]),
    old("downgrade-protection", "-d", known=[(r"\(3, [12]\)", NO_OLD_VERSION)]),
    Script("early-application-data", ["-d", *SUITE]),
    old("empty-extensions"),
    old(
        "extended-master-secret-extension",
        "-d",
        known=[
            ("TLSv1.1", NO_OLD_VERSION),
            ("session resume", BY_TICKET),
            ("renegot", NO_RENEGOTIATION),
        ],
    ),
    old(
        "extensions",
        known=[
            ("fuzz ext length", PADDED_OUT),
            ("^1638. extensions", "one extension too many when played with ECDHE"),
        ],
    ),
    old("fallback-scsv", "-d", known=[("1.1", NO_OLD_VERSION)]),
    Script("fuzzed-ciphertext", ["-d", *SUITE]),
    old("fuzzed-finished"),
    Script("hello-request-by-client", ["-d", *SUITE]),
    old("interleaved-CKE-with-CCS", *SUITE, known=[("interleaved", NO_ALERT)]),
    old(
        "interleaved-application-data-in-renegotiation",
        "-d",
        *SUITE,
        known=[("data before", NO_RENEGOTIATION)]
    ),
    old("invalid-cipher-suites"),
    old("invalid-client-hello", known=[("type fuzz", NO_ALERT)], sampled=True),
    Script(
        "invalid-client-hello-w-record-overflow",
        ["-d", *SUITE],
        known=[("type fuzz", NO_ALERT)],
        sampled=True,
    ),
    Script("invalid-compression-methods", ["-d", *SUITE]),
    Script("invalid-content-type", ["-d", *SUITE]),
    old(
        "invalid-server-name-extension",
        "-d",
        known=[
            ("incorrect SNI", "the site takes every name"),
            ("multiple", "a server name is one host name, and nothing else"),
        ],
    ),
    old("invalid-session-id"),
    old("invalid-version"),
    old(
        "large-hello",
        "-d",
        known=[("bytes|ciphers", TOO_LONG), ("multiple extensions", KNOWN_BODY)],
        sampled=True,
    ),
    old("large-number-of-extensions", "-d", known=[("163", TOO_LONG)], sampled=True),
    old(
        "legacy-renegotiation",
        "-d",
        known=[
            ("non-empty initial", "what it says is not looked at, since nothing is ever renegotiated"),
            ("renegotiat", NO_RENEGOTIATION),
        ],
    ),
    old("message-duplication", known=[("change cipher spec", OTHER_ALERT)]),
    old(
        "message-skipping",
        "-d",
        known=[("all but Finished", NO_ALERT), ("skip Client Hello", "the script cannot play it over ECDHE")],
    ),
    old(
        "no-heartbeat",
        "-d",
        known=[
            ("after handshake", OTHER_ALERT),
            ("in handshake", "no answer; the handshake's deadline ends it"),
        ],
    ),
    Script("no-mlkem-in-old-tls", ["-d", *SUITE]),
    old("openssl-3712", known=[("weaved", NO_RENEGOTIATION)]),
    Script(
        "record-layer-fragmentation",
        ["-d", *SUITE],
        known=[("maximum size", TOO_LONG), ("over fragmentation limit", LONG_RECORD)],
    ),
    Script("renegotiation-disabled", ["-d", *SUITE]),
    old("session-ticket-resumption", "-d", known=[("renegotiation", NO_RENEGOTIATION)]),
    old("sig-algs", known=[("pss_pss", "the certificate has another kind of RSA key")]),
    old(
        "signature-algorithms",
        known=[("schemes|methods", TOO_LONG), ("SHA-1", "nothing is signed with SHA-1")],
        sampled=True,
    ),
    old("ssl-death-alert", "-d", known=[("with getting alert", NO_ALERT)]),
    old(
        "sslv2hello-protocol",
        "-d",
        known=[("SSLv2 Client Hello", "hellos in the form of SSLv2 are not read")],
    ),
    Script("truncating-of-client-hello", ["-d", *SUITE], known=[("pad: ", TOO_LONG)]),
    old("truncating-of-finished"),
    Script("version-numbers", ["-d", *SUITE]),
    old(
        "x25519",
        known=[("x448", OTHER_GROUPS), ("fallback to DHE", "DHE is not offered"), ("empty x25519", NO_ALERT)],
    ),
    Script("zero-length-data", ["-d", *SUITE]),
]
