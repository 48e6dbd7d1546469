//! The user that a process goes on as, by the files of the system.
//!
//! Users of other directories (LDAP and the like) are not looked for: that would load the C library's modules for
//! them into a process that is about to give up its rights. A number works for all of them.

use doorman_config::ProcessUser;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A user, and the groups whose rights are his.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// His name, or his number if he has none.
    pub(super) name: String,
    pub(super) user: u32,
    pub(super) group: u32,
    /// All his groups, this one too.
    pub(super) groups: Vec<u32>,
}

impl Account {
    /// Looks a user up.
    ///
    /// # Errors
    /// There is no such user or group.
    pub(super) fn find(written: &ProcessUser) -> Result<Self, String> {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        Self::of(written, &read(PASSWD), &read(GROUP))
    }

    fn of(written: &ProcessUser, passwd: &str, groups: &str) -> Result<Self, String> {
        let wanted = &written.name;
        let line = fields(passwd).find(|line| line[0] == *wanted || line[2] == *wanted);
        let user = number(line.as_ref().map_or(wanted, |line| line[2])).ok_or_else(|| {
            let make = format!("useradd --system --shell /usr/sbin/nologin {wanted}");
            format!("there is no user {wanted} in {PASSWD}\n  help: make it: {make}")
        })?;
        let group = match (&written.group, &line) {
            (Some(name), _) => {
                let found = fields(groups).find(|line| line[0] == *name || line[2] == *name);
                number(found.as_ref().map_or(name, |line| line[2]))
                    .ok_or_else(|| format!("there is no group {name} in {GROUP}"))?
            }
            (None, Some(line)) => number(line[3])
                .ok_or_else(|| format!("the line of user {wanted} in {PASSWD} has no group"))?,
            (None, None) => {
                return Err(format!(
                    "user {wanted} is not in {PASSWD}, so nobody knows its group\n  \
                     help: write `user {wanted} group {wanted}`"
                ));
            }
        };
        let name = line.map_or(wanted.as_str(), |line| line[0]).to_owned();
        let mut all = vec![group];
        for line in fields(groups) {
            let members = line.get(3).copied().unwrap_or_default();
            if members.split(',').any(|member| member == name) {
                all.extend(number(line[2]).filter(|id| *id != group));
            }
        }
        Ok(Self { name, user, group, groups: all })
    }
}

/// The fields of each line that has at least a name, a password, a number and one more.
fn fields(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|line| line.len() >= 4)
}

/// The number of a user or a group; the last one is none.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "\
root:x:0:0:root:/root:/bin/bash
# a comment
broken
door:x:101:102::/nonexistent:/usr/sbin/nologin
odd:x:103:none::/:/bin/sh
";
    const GROUPS: &str = "\
root:x:0:
door:x:102:
ssl-cert:x:110:other,door
logs:x:111:doors
web:x:112:door
";

    #[test]
    fn users_are_found_with_their_groups() {
        let check = |name: &str, group: Option<&str>, expect: Result<(&str, u32, &[u32]), &str>| {
            let written = ProcessUser { name: name.into(), group: group.map(str::to_owned) };
            let found = Account::of(&written, USERS, GROUPS);
            match (&found, expect) {
                (Ok(found), Ok((name, user, groups))) => {
                    assert_eq!((found.name.as_str(), found.user), (name, user));
                    assert_eq!((found.group, found.groups.as_slice()), (groups[0], groups));
                }
                (Err(why), Err(expect)) => assert!(why.contains(expect), "{why}"),
                _ => panic!("{name} {group:?}: {found:?}"),
            }
        };
        check("door", None, Ok(("door", 101, &[102, 110, 112])));
        check("101", None, Ok(("door", 101, &[102, 110, 112])));
        check("door", Some("web"), Ok(("door", 101, &[112, 110])));
        check("door", Some("7"), Ok(("door", 101, &[7, 110, 112])));
        check("500", Some("500"), Ok(("500", 500, &[500])));
        check("500", None, Err("write `user 500 group 500`"));
        check("nobody-here", None, Err("there is no user nobody-here"));
        check("door", Some("nothing"), Err("there is no group nothing"));
        check("odd", None, Err("has no group"));
        check("4294967295", Some("1"), Err("there is no user"));
    }
}
