//! Directives by which ill servers of an `upstream` are found.

use super::Kind::{Any, Choice, Duration, Field, Number};
use super::Within::{Health, Outlier, Passive, Upstream};
use super::{Directive, one, some};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "health",
        &[Upstream],
        &[some(
            "METHOD PATH|tcp|grpc",
            Any("a method and a path, tcp for no more than a connection, or grpc and the name of a service"),
        )],
        "Ask each server whether it is well; one that fails takes no requests. Of several checks all must pass.",
        "health GET /healthz { every 5s; timeout 2s; fall 3; rise 2 }",
    )
    .block(Health)
    .often(),
    Directive::new("every", &[Health], &[one("TIME", Duration)], "From one check of a server to the next, give or take a tenth; 100ms at least.", "every 5s")
        .default("5s"),
    Directive::new("while-healthy", &[Health], &[one("TIME", Duration)], "The same while the server is up and its last check passed.", "while-healthy 30s")
        .default("as `every` says"),
    Directive::new("timeout", &[Health], &[one("TIME", Duration)], "How long one check may take, from connecting to the end of the answer.", "timeout 2s")
        .default("2s"),
    Directive::new("fall", &[Health], &[one("N", Number(1, 1_000))], "Failures in a row that take a server out.", "fall 3")
        .default("3"),
    Directive::new("rise", &[Health], &[one("N", Number(1, 1_000))], "Passes in a row that bring it back.", "rise 2")
        .default("2"),
    Directive::new("port", &[Health], &[one("N", Number(1, 65_535))], "Ask another port of the server than requests go to.", "port 8081")
        .default("the server's own"),
    Directive::new("host", &[Health], &[one("NAME", Any("a host, with a port if it is not the usual one"))], "What the check's `Host` says.", "host app.internal")
        .default("the server's address"),
    Directive::new("header", &[Health], &[one("NAME", Field), one("VALUE", Any("text"))], "A field of the check's request.", "header X-Check doorman")
        .often(),
    Directive::new(
        "expect",
        &[Health],
        &[
            one("WHAT", Choice(&["status", "body", "header"], &[])),
            some("STATUS...|~ REGEX|NAME [~ REGEX]", Any("statuses and ranges such as 200-299; ~ and a regex; or a field's name, with ~ and a regex or without")),
        ],
        "What an answer must be; all of what is written. A regex is looked for anywhere.",
        "expect status 200-299",
    )
    .often()
    .default("status 200-399"),
    Directive::new("initial", &[Health], &[one("STATE", Choice(&["up", "down"], &[]))], "What a server counts as until its first check has been answered.", "initial down")
        .default("up"),
    // passive
    Directive::new(
        "passive",
        &[Upstream],
        &[],
        "Take a server out that fails requests. The only server of an upstream stays in.",
        "passive { fails 3 within 10s; eject 30s; on connect-error timeout reset 502-504 }",
    )
    .block(Passive),
    Directive::new(
        "fails",
        &[Passive],
        &[one("N", Number(1, 100_000)), one("within", Choice(&["within"], &[])), one("TIME", Duration)],
        "So many failures within a time take a server out; for the same time after it has come back, one does.",
        "fails 3 within 10s",
    )
    .default("3 within 10s"),
    Directive::new("eject", &[Passive, Outlier], &[one("TIME", Duration)], "How long a server is out; of an outlier the first time, the next times twice as long, three times, up to ten.", "eject 30s")
        .default("30s"),
    Directive::new(
        "on",
        &[Passive],
        &[some("connect-error|timeout|reset|STATUS", Any("connect-error, timeout, reset, and statuses of errors such as 503 and 502-504"))],
        "What a failure is: no connection, no answer in time, a connection that breaks before the answer or an answer that is none, and answers with these statuses.",
        "on connect-error timeout reset 502-504",
    )
    .default("connect-error timeout reset"),
    // outlier
    Directive::new(
        "outlier",
        &[Upstream],
        &[],
        "Take servers out that do worse than their peers.",
        "outlier { errors 50%; latency 3x; at-most 20% }",
    )
    .block(Outlier),
    Directive::new("errors", &[Outlier], &[one("SHARE", Any("a share such as 50%, or off"))], "The share of its requests that a server fails or answers with 5xx, if it is at least twice that of its peers.", "errors 50%")
        .default("50%"),
    Directive::new("latency", &[Outlier], &[one("TIMES", Any("so many times the median, such as 3x or 2.5x; or off"))], "How many times the median of three servers or more its mean time to an answer is.", "latency 3x")
        .default("off"),
    Directive::new("every", &[Outlier], &[one("TIME", Duration)], "How often servers are compared; 1s at least.", "every 10s")
        .default("10s"),
    Directive::new("at-most", &[Outlier], &[one("SHARE", Any("a share such as 10%"))], "The share of the servers that may be out; one of two or more always may.", "at-most 20%")
        .default("10%"),
    Directive::new("min-requests", &[Outlier], &[one("N", Number(1, 1_000_000))], "Requests between two comparisons without which nothing is said of a server.", "min-requests 50")
        .default("20"),
    // upstream
    Directive::new("slow-start", &[Upstream], &[one("TIME", Duration)], "A server that comes back begins with little of its part and has all of it after this time.", "slow-start 30s")
        .default("all of it at once"),
    Directive::new("fail-open", &[Upstream], &[], "Use ill servers when none is well.", "fail-open"),
];
