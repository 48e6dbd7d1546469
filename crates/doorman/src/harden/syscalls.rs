//! The system calls that the process can still make, by seccomp.
//!
//! **A list of what may be done**, not of what may not: there are some 350 system calls, every kernel has more, and on
//! x86-64 each has a second number, so that a list of the bad ones would be one step behind. Missing are above all
//! those that start programs and processes, look into other processes, mount, change users or load code into the
//! kernel, and the large interfaces in which most faults of kernels are found (`io_uring`, `bpf`, user namespaces,
//! rare families of sockets).
//!
//! **What is refused fails with `ENOSYS`**, as on a kernel that does not have it. The C library and others try new
//! system calls and fall back to old ones on this very error, so the list may be older than they are; and nothing
//! that is refused is done. Killing the process instead would turn one call that was forgotten here into an outage.
//!
//! The kernel works the list out once for each number whose arguments do not matter, and looks the result up from
//! then on (since Linux 5.11); so the calls of a request do not pay for its length.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::{Measure, Standing};

pub(super) const NAME: &str = "system-calls";

/// What a refused call says.
const REFUSED: SeccompAction = SeccompAction::Errno(libc::ENOSYS as u32);

/// Whether what is not in the list is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is.
    Refuse,
    /// It is done, and the kernel logs it.
    Log,
}

/// Bounds this thread and all that it starts.
pub(super) fn bound(refusal: Refusal) -> Measure {
    let done = filter(refusal).and_then(|program| {
        // There is one thread; the kernel makes sure that it is so.
        seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())
    });
    match (done, refusal) {
        (Ok(()), Refusal::Refuse) => Measure::new(NAME, Standing::On, "seccomp"),
        (Ok(()), Refusal::Log) => Measure::new(NAME, Standing::Report, "see the kernel's log"),
        (Err(why), _) => Measure::new(NAME, Standing::Missing, why),
    }
}

fn filter(refusal: Refusal) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let otherwise = match refusal {
        Refusal::Refuse => REFUSED,
        Refusal::Log => SeccompAction::Log,
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FREE.iter().chain(OLD).map(|call| (*call, Vec::new())).collect();
    for (call, argument, comparison, values) in conditional() {
        let rules_of_one = values.iter().map(|value| {
            let length = SeccompCmpArgLen::Dword;
            let condition = SeccompCondition::new(argument, length, comparison.clone(), *value)?;
            SeccompRule::new(vec![condition])
        });
        let all = rules_of_one.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        rules.insert(call, all);
    }
    let filter = SeccompFilter::new(rules, otherwise, SeccompAction::Allow, arch);
    filter.and_then(TryInto::try_into).map_err(|error| error.to_string())
}

/// To name a region of memory; the C library's crate has it for other systems only.
const PR_SET_VMA: libc::c_int = 0x5356_4d41;

/// A call that may be made with some values of an argument.
type Conditional = (i64, u8, SeccompCmpOp, Vec<u64>);

fn conditional() -> Vec<Conditional> {
    let thread = libc::CLONE_THREAD as u64;
    let own = u64::from(std::process::id());
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let controls = [libc::FIONBIO, libc::FIONREAD, libc::FIOCLEX, libc::TCGETS, libc::TIOCGWINSZ];
    let names = [libc::PR_SET_NAME, libc::PR_GET_NAME, PR_SET_VMA, libc::PR_SET_THP_DISABLE];
    let more_names = [libc::PR_GET_THP_DISABLE, libc::PR_GET_DUMPABLE, libc::PR_GET_NO_NEW_PRIVS];
    vec![
        // A thread, and never a process. What `clone3` is to do lies in memory, where it cannot be looked at: it is
        // refused, and the C library falls back to `clone`.
        (libc::SYS_clone, 0, SeccompCmpOp::MaskedEq(thread), vec![thread]),
        // To itself: that is how `abort` ends a process.
        (libc::SYS_tgkill, 0, SeccompCmpOp::Eq, vec![own]),
        (libc::SYS_socket, 0, SeccompCmpOp::Eq, families.map(|family| family as u64).to_vec()),
        // Not among them: to type into a terminal for whoever sits there.
        (libc::SYS_ioctl, 1, SeccompCmpOp::Eq, controls.to_vec()),
        (
            libc::SYS_prctl,
            0,
            SeccompCmpOp::Eq,
            names.iter().chain(&more_names).map(|name| *name as u64).collect(),
        ),
    ]
}

/// Calls that may be made with any argument, on every kind of machine.
const FREE: &[i64] = &[
    // Descriptors: to read, to write, to wait.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_pipe2,
    libc::SYS_splice,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_signalfd4,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    // Files.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_umask,
    libc::SYS_utimensat,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_sync_file_range,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_msync,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_mbind,
    libc::SYS_get_mempolicy,
    libc::SYS_membarrier,
    // Sockets.
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    // Threads, signals, time.
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_getcpu,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    // Who and where it is.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_capget,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_getrusage,
    libc::SYS_getrlimit,
    libc::SYS_prlimit64,
    libc::SYS_getrandom,
];

/// What libraries still call by older names on the oldest of the machines.
#[cfg(target_arch = "x86_64")]
const OLD: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_inotify_init,
    libc::SYS_getdents,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];

#[cfg(not(target_arch = "x86_64"))]
const OLD: &[i64] = &[];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_makes_a_program_and_names_nothing_twice() {
        for refusal in [Refusal::Refuse, Refusal::Log] {
            // The kernel takes no more than 4,096 instructions.
            let program = filter(refusal).unwrap();
            assert!((100..4096).contains(&program.len()), "{}", program.len());
        }
        let mut all: Vec<i64> = FREE.iter().chain(OLD).copied().collect();
        all.extend(conditional().iter().map(|one| one.0));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn what_takes_a_process_over_or_leaves_it_is_not_in_the_list() {
        let bad = [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_clone3,
            libc::SYS_kill,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_getfd,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_setuid,
            libc::SYS_setresuid,
            libc::SYS_setgid,
            libc::SYS_setgroups,
            libc::SYS_capset,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_io_uring_setup,
            libc::SYS_userfaultfd,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_kexec_load,
            libc::SYS_reboot,
            libc::SYS_mknodat,
            libc::SYS_fchownat,
            libc::SYS_memfd_create,
            libc::SYS_seccomp,
        ];
        let all: Vec<i64> =
            FREE.iter().chain(OLD).copied().chain(conditional().iter().map(|one| one.0)).collect();
        for call in bad {
            assert!(!all.contains(&call), "{call}");
        }
    }
}
