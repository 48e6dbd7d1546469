//! The door: command line, run, reload, admin API, logs.

mod command;
mod engine;
mod files;
mod log;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    command::main()
}
