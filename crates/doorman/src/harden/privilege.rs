//! As whom the process runs and what it may do that others may not: users, groups and capabilities.
//!
//! The system calls for them change one thread. That is enough as long as there is only one, which [`super::enter`]
//! makes sure of, and spares the C library's way of stopping all threads to change them in turn.

use rustix::fs::{Gid, Mode, Uid};
use rustix::io::{Errno, Result};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::account::Account;

/// The last capability that any kernel of the near future could have.
const CAPABILITIES_MAX: u32 = 63;

/// What a process that stays root keeps: files belong to whomever they like, and it is to read its own.
pub(super) const OF_ROOT: CapabilitySet =
    CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH);

/// Goes on as somebody else, for good. Of the capabilities only `keep` is left, as far as it was there.
///
/// # Errors
/// What the kernel says. The process may be somebody in between then, and must end.
pub(super) fn go_on_as(account: &Account, keep: CapabilitySet) -> std::result::Result<(), String> {
    let may_not = |error: Errno| {
        format!(
            "cannot go on as user {}: {error}\n  help: start as root; in a container, leave it the \
             capabilities SETUID and SETGID",
            account.name
        )
    };
    change(account, keep).map_err(may_not)?;
    let is = |user: Uid| user.as_raw() == account.user;
    // A kernel that says yes and does nothing has been seen; so has a setuid that could be taken back.
    let has_changed = is(rustix::process::getuid()) && is(rustix::process::geteuid());
    let is_for_good = account.user == 0 || rustix::thread::set_thread_uid(Uid::ROOT).is_err();
    if has_changed && is_for_good {
        Ok(())
    } else {
        Err(format!("the kernel did not make this process user {} for good", account.name))
    }
}

fn change(account: &Account, keep: CapabilitySet) -> Result<()> {
    bound(keep)?;
    let (user, group) = (Uid::from_raw(account.user), Gid::from_raw(account.group));
    let groups: Vec<Gid> = account.groups.iter().map(|id| Gid::from_raw(*id)).collect();
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    // Capabilities would go with the user; those that stay are chosen below.
    rustix::thread::set_keep_capabilities(true)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    rustix::thread::set_keep_capabilities(false)?;
    keep_only(keep)
}

/// Gives up all capabilities but these, for good.
///
/// # Errors
/// What the kernel says.
pub(super) fn keep_only(keep: CapabilitySet) -> Result<()> {
    bound(keep)?;
    let now = rustix::thread::capabilities(None)?;
    let left = now.permitted & keep;
    // What a unit or `setcap` gave to programs that are started is for nobody here.
    match rustix::thread::clear_ambient_capability_set() {
        // Before Linux 4.3 there was none.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error),
    }
    let sets =
        CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)
}

/// Takes all but these out of what can ever be had again. Only who has SETPCAP can do that; for others, that nothing
/// new is gained by starting a program has to do.
fn bound(keep: CapabilitySet) -> Result<()> {
    let now = rustix::thread::capabilities(None)?;
    if !now.effective.contains(CapabilitySet::SETPCAP) {
        return Ok(());
    }
    for bit in 0..=CAPABILITIES_MAX {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if keep.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // The kernel knows no more.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The capabilities that are left, by their names.
pub(super) fn left() -> Vec<&'static str> {
    let now = rustix::thread::capabilities(None).map(|sets| sets.permitted);
    let now = now.unwrap_or(CapabilitySet::empty());
    let named = [
        ("DAC_OVERRIDE", CapabilitySet::DAC_OVERRIDE),
        ("DAC_READ_SEARCH", CapabilitySet::DAC_READ_SEARCH),
        ("NET_BIND_SERVICE", CapabilitySet::NET_BIND_SERVICE),
    ];
    let mut names: Vec<_> =
        named.iter().filter(|(_, one)| now.contains(*one)).map(|(name, _)| *name).collect();
    if !(now - named.iter().fold(CapabilitySet::empty(), |all, (_, one)| all | *one)).is_empty() {
        names.push("others");
    }
    names
}

/// No program that is started from here gains anything, whatever bits its file has.
///
/// # Errors
/// What the kernel says.
pub(super) fn no_new_privileges() -> Result<()> {
    rustix::thread::set_no_new_privs(true)
}

/// The memory, with keys in it, is written to no file and shown to no other process of the same user.
///
/// # Errors
/// What the kernel says.
pub(super) fn no_dumps() -> Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Files that are made are the user's own, unless whoever makes them says otherwise.
pub(super) fn private_files() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}
