//! What is given up is given up for good and by the whole process, so each test runs in a process of its own.

#![expect(clippy::disallowed_methods, reason = "what a proxy does has to go on, sockets too")]
#![expect(clippy::zombie_processes, reason = "to wait for others is what is given up")]

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Pid, Signal};

use super::*;

const ALONE: &str = "DOORMAN_HARDEN_ALONE";

/// Runs a test again, in a process in which it is the only one.
fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{name}"), "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
}

/// Whether a measure is in force. What a kernel cannot do cannot be shown on it.
fn in_force(measure: &Measure) -> bool {
    if measure.standing == Standing::Missing {
        eprintln!("not shown, since this kernel cannot do it: {measure}");
        return false;
    }
    assert!(matches!(measure.standing, Standing::On | Standing::Partial), "{measure}");
    true
}

#[test]
fn no_program_no_process_and_no_door_to_the_kernel() {
    alone("no_program_no_process_and_no_door_to_the_kernel", || {
        // It ends when its input does, which is with this process.
        let other = Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let other = other.unwrap();
        if !in_force(&syscalls::bound(Refusal::Refuse)) {
            return;
        }
        let refused = |what: &str, result: rustix::io::Result<()>| {
            assert_eq!(result, Err(Errno::NOSYS), "{what}");
        };
        let child = Command::new("/bin/true").spawn().map(drop);
        assert_eq!(child.unwrap_err().raw_os_error(), Some(Errno::NOSYS.raw_os_error()));
        let packets = socket(AddressFamily::PACKET, SocketType::RAW, None).map(drop);
        refused("a socket for raw packets", packets);
        let pid = Pid::from_child(&other);
        refused("a signal", rustix::process::kill_process(pid, Signal::KILL));
        refused("another root", rustix::process::chroot("/tmp"));
        refused("another session", rustix::process::setsid().map(drop));
        let root = rustix::process::getuid();
        refused("another user", rustix::thread::set_thread_uid(root));
        let memory = rustix::fs::memfd_create("code", rustix::fs::MemfdFlags::CLOEXEC).map(drop);
        refused("a file in memory that could be run", memory);
        // In threads that were there before, and in those that come, all that a proxy does goes on.
        std::thread::spawn(what_a_proxy_does).join().unwrap();
    });
}

/// Files, sockets, threads, time.
fn what_a_proxy_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "text").unwrap();
    std::fs::rename(&file, folder.path().join("other")).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::remove_file(folder.path().join("other")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let socket = folder.path().join("socket");
    let unix = UnixListener::bind(&socket).unwrap();
    drop(UnixStream::connect(&socket).unwrap());
    drop(unix);
    std::thread::Builder::new().name("another".to_owned()).spawn(|| ()).unwrap().join().unwrap();
    assert!(std::thread::available_parallelism().is_ok());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        tokio::time::timeout(std::time::Duration::from_millis(1), std::future::pending::<()>())
            .await
            .unwrap_err();
    });
}

#[test]
fn only_what_a_configuration_names_is_within_reach() {
    alone("only_what_a_configuration_names_is_within_reach", || {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| inside.path().join(name);
        std::fs::write(at("page.html"), "page").unwrap();
        std::fs::create_dir(at("logs")).unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        let text = |page: &Path| {
            format!(
                "doorman 1\nglobal {{ data {0}/data; log access json {0}/logs/access.log; admin unix:{0}/run/admin.sock }}\n\
                 site http://a.test {{ error-page 404 {1}; respond 200 }}\n",
                inside.path().display(),
                page.display()
            )
        };
        let load = |page: &Path| {
            let source = doorman_config::MemorySource::new().file("doorman.conf", text(page));
            let loaded = doorman_config::load(&source, "doorman.conf");
            (loaded.config.expect("a configuration"), loaded.sources)
        };
        let (config, sources) = load(&at("page.html"));
        let (measure, reach) = reach::keep_to(&config, &sources);
        if !in_force(&measure) {
            return;
        }
        let reach = reach.unwrap();
        assert_eq!(std::fs::read_to_string(at("page.html")).unwrap(), "page");
        // What is replaced stays within reach, and so does a file that comes.
        for name in ["data/kept", "logs/access.log", "run/file"] {
            std::fs::write(at(name), "text").unwrap();
            std::fs::rename(at(name), at(&format!("{name}.old"))).unwrap();
            std::fs::remove_file(at(&format!("{name}.old"))).unwrap();
        }
        drop(UnixListener::bind(at("run/admin.sock")).unwrap());
        assert!(std::fs::read_to_string("/etc/passwd").is_ok());
        let denied = |what: &str, result: std::io::Result<()>| {
            assert_eq!(
                result.map_err(|error| error.kind()),
                Err(ErrorKind::PermissionDenied),
                "{what}"
            );
        };
        denied("to read elsewhere", std::fs::read(outside.path().join("secret")).map(drop));
        denied("to write elsewhere", std::fs::write(outside.path().join("new"), ""));
        denied("to list elsewhere", std::fs::read_dir(outside.path()).map(drop));
        denied("to write where is only read", std::fs::write(at("page.html"), ""));
        denied("to remove where is only read", std::fs::remove_file(at("page.html")));
        denied("to run a program", Command::new("/bin/true").status().map(drop));
        // A later configuration is told what it lacks, with the path.
        assert_eq!(reach.lacks(&config, &sources), None);
        let (next, sources) = load(&outside.path().join("secret"));
        let why = reach.lacks(&next, &sources).unwrap();
        assert!(why.contains("secret: doorman can read only in the folders"), "{why}");
        assert!(why.contains("help: restart doorman"), "{why}");
    });
}
