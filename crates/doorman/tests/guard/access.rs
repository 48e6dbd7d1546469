//! Who may come.

use crate::rig::{FRONTS, House};

#[test]
fn who_is_denied_reaches_no_origin_by_any_wire() {
    let house = House::with("deny 127.0.0.0/8");
    for front in FRONTS {
        assert_eq!(house.ask(front, "GET", "/", &[], b"").status, 403, "{front:?}");
    }
    assert_eq!(house.asked(), 0);
    let line = house.line("/");
    assert!(line.contains("\"end\":\"denied\"") && line.contains("127.0.0.0/8"), "{line}");
}

#[test]
fn where_somebody_is_allowed_everybody_else_stays_out_and_deny_goes_first() {
    let site = "route /in { allow 127.0.0.1; proxy web }\n\
                route /out { allow 192.0.2.0/24 status 404; proxy web }\n\
                route /both { allow 127.0.0.0/8; deny 127.0.0.0/30; proxy web }\n\
                route * { proxy web }";
    let house = House::with(site);
    for (path, status) in [("/in", 200), ("/out", 404), ("/both", 403), ("/any", 200)] {
        assert_eq!(house.get(path, &[]).status, status, "{path}");
    }
    assert_eq!(house.asked(), 2);
}

#[test]
fn a_list_is_read_again_and_a_bad_one_changes_nothing() {
    let house = House::with("allow 127.0.0.1");
    house.write("bad.txt", "# nobody\n192.0.2.1\n");
    house.configure("deny file bad.txt");
    house.reload(" is in force");
    assert_eq!(house.get("/", &[]).status, 200);
    house.write("bad.txt", "# here\n192.0.2.1\n127.0.0.0/8\n");
    house.reload(" is in force");
    assert_eq!(house.get("/", &[]).status, 403);
    house.write("bad.txt", "127.0.0.0/8\nnot an address\n10.0.0.0/99\n");
    house.reload("E0616");
    assert_eq!(house.get("/", &[]).status, 403);
}

#[test]
fn what_names_itself_as_a_tool_stays_out() {
    let house = House::with("deny list bad-bots");
    let ask = |agent| house.get("/", &[("user-agent", agent)]).status;
    assert_eq!(ask("Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"), 200);
    assert_eq!(ask("sqlmap/1.7#stable (https://sqlmap.org)"), 403);
}

#[test]
fn files_of_guards_are_taken_over_as_they_change_and_a_broken_one_stops_no_other() {
    let site =
        "deny file bad.txt\nroute /own { basic-auth file users; proxy web }\nroute * { proxy web }";
    let house = House::with("allow 127.0.0.1");
    house.write("bad.txt", "192.0.2.1\n");
    // `open sesame`.
    let hash = "$6$doorman1$kZKTo0wSzFSbdl/wOUxUumYgDW7TGlh5piSlEvgpnRFiGusVctkN9Pk9IBp8ZUxx3Daqy/9oj7I2vN5Zl.7D9.";
    house.write("users", &format!("alice:{hash}\n"));
    house.configure(site);
    house.reload(" is in force");
    let own = || house.get("/own", &[("authorization", "Basic YWxpY2U6b3BlbiBzZXNhbWU=")]).status;
    assert_eq!([house.get("/", &[]).status, own()], [200, 200]);
    house.write("users", "alice:no hash at all\n");
    let said = house.process.wait_for_words("what was there before stays in force");
    assert!(said.contains("users"), "{said}");
    assert_eq!(own(), 200);
    house.write("bad.txt", "127.0.0.0/8\n");
    house.process.wait_for_times("changed files were taken over", 2);
    assert_eq!(house.get("/", &[]).status, 403);
    house.write("bad.txt", "192.0.2.1\n");
    house.process.wait_for_times("changed files were taken over", 3);
    assert_eq!([house.get("/", &[]).status, own()], [200, 200]);
    house.write("users", &format!("bob:{hash}\n"));
    let _ = house.process.wait_for_words("mended: ");
    assert_eq!([house.get("/", &[]).status, own()], [200, 401]);
}
