//! No core dumps: they would hold private keys.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Keeps the system from writing this process's memory to a file when it crashes, and its user's other
/// processes from reading it.
///
/// # Errors
/// When the system does not let it.
pub(super) fn rule_out() -> io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Heeded where cores are files; where a program takes them (core(5), "Piping core dumps to a
    // program"), only the other is.
    setrlimit(Resource::Core, none)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
