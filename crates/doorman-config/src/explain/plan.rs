//! Codes of what only compiling a plan can find: files, certificates, the size of expressions.

use super::Explanation;

pub(super) const CODES: &[Explanation] = &[
    Explanation::new(
        "E0601",
        "a file cannot be read",
        "Files that a configuration names are read when it is taken into force, not when a request comes, so that a missing one is noticed at once and a running proxy keeps its old plan. Check the path (relative ones are seen from the file that names them) and that the user doorman runs as may read it.",
        "site http://a.test { error-page 502 /nowhere/sorry.html; respond 200 }",
        "site http://a.test { error-page 502 respond 503 \"back soon\"; respond 200 }",
    ),
    Explanation::new(
        "E0602",
        "an expression cannot be compiled",
        "Expressions run in time proportional to their input, whatever they are given; the price is a bound on their size. Large counted repetitions are the usual reason: write `+` or a smaller count.",
        "site http://a.test { rewrite '^/((a{900}){900}){900}' /b; respond 200 }",
        "site http://a.test { rewrite '^/a+' /b; respond 200 }",
    ),
    Explanation::new(
        "E0603",
        "a certificate cannot be used",
        "Chain and key must be readable, be PEM, and belong together. The chain begins with the site's own certificate; the key is not encrypted.",
        "site https://a.test { tls cert /nowhere/a.pem key /nowhere/a.key; respond 200 }",
        "site https://a.test { tls internal; respond 200 }",
    ),
    Explanation::new(
        "E0605",
        "the local certificate authority cannot be used",
        "`tls internal` keeps its authority under the `data` folder, in `ca`. It is made at the first start and never overwritten: if it is damaged, readable by others, or expired, nothing is guessed. Mend the permissions (0700 for the folder, 0600 for the key), or move the folder away to get a new authority.",
        "global { data /dev/null }\nsite https://a.test { tls internal; respond 200 }",
        "site http://a.test { respond 200 }",
    ),
    Explanation::new(
        "E0606",
        "TLS towards an upstream cannot be set up",
        "Servers are verified, and nothing is sent to one that cannot be. An unreadable CA file therefore stops the configuration instead of trusting everybody.",
        "upstream u { server https://10.0.0.1:443; tls ca /nowhere/ca.pem }\nsite http://a.test { proxy u }",
        "upstream u { server https://10.0.0.1:443; tls name api.internal }\nsite http://a.test { proxy u }",
    ),
    Explanation::new(
        "E0607",
        "a route cannot be",
        "A route's path must be one that a request can have after its normal form is made: dot segments are resolved and doubled slashes merged before routes are tried. Its expressions are bounded in size.",
        "site http://a.test { route ~ '^/((a{900}){900}){900}' { respond 200 } }",
        "site http://a.test { route ~ '^/a+' { respond 200 } }",
    ),
    Explanation::new(
        "E0608",
        "an edit cannot be made",
        "What an edit looks for must be something that a request can have. A prefix to strip is compared with the path in its normal form, so it needs valid escapes: `%` and two hexadecimal digits.",
        "site http://a.test { strip-prefix /a%zz; respond 200 }",
        "site http://a.test { strip-prefix /b; respond 200 }",
    ),
    Explanation::new(
        "E0609",
        "authorities for clients cannot be used",
        "A site with `client-auth` lets in whom its authorities vouch for. If their file or that of the revocation lists cannot be read, is damaged or holds anything else, the configuration is refused: half of a list would let the wrong ones in.",
        "site https://a.test { tls internal { client-auth require ca /nowhere/ca.pem }; respond 200 }",
        "site https://a.test { tls internal; respond 200 }",
    ),
    Explanation::new(
        "W0604",
        "a certificate looks wrong",
        "The certificate is used, but clients may refuse it: it has expired, is not valid yet, ends within seven days, or does not hold a name of its site.",
        "site https://a.test { tls cert expired.pem key expired.key; respond 200 }",
        "site https://a.test { tls internal; respond 200 }",
    ),
    Explanation::new(
        "W0610",
        "authorities for clients end soon",
        "The life of an authority for certificates of clients, or the time for which a revocation list counts, ends within seven days or has ended. From then on it lets nobody in. Put the new file in the place of the old one; it is taken over by itself.",
        "site https://a.test { tls internal { client-auth require ca old.pem }; respond 200 }",
        "site https://a.test { tls internal; respond 200 }",
    ),
    Explanation::new(
        "W0611",
        "others can get at a key",
        "Whoever can read the key of a certificate can pretend to be its site. Only its owner, and the group that the system gives keys to, should read it, and only its owner should write it: `chmod 600`, or 640 with such a group.",
        "site https://a.test { tls cert a.pem key open.key; respond 200 }",
        "site https://a.test { tls internal; respond 200 }",
    ),
    Explanation::new(
        "E0612",
        "the key of sticky cookies",
        "What doorman writes into cookies is sealed with a key in the data folder, made at the first need. It cannot be read or made, is no key, or others can read it. Whoever has it can send clients to any server; remove the file for a new one, and all clients get a server anew.",
        "global { data /dev/null }\nupstream app { server 127.0.0.1:3000; sticky cookie dm }\nsite http://a.test { proxy app }",
        "upstream app { server 127.0.0.1:3000 }\nsite http://a.test { proxy app }",
    ),
    Explanation::new(
        "E0613",
        "the disk of a store cannot be used",
        "A store with a disk has a folder of its own, which doorman makes if it is missing. It must be writable, nobody else may have to do with it, no part of its path may be a link, and one process has it at a time. The text says what the system refused, or which process has the folder.",
        "store s { disk 1GiB /proc/doorman }\nupstream app { server 127.0.0.1:3000 }\nsite http://a.test { cache s; proxy app }",
        "store s { disk 1GiB /var/cache/doorman }\nupstream app { server 127.0.0.1:3000 }\nsite http://a.test { cache s; proxy app }",
    ),
];
