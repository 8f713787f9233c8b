//! The names of processes that do jobs: machine, process number, and a mark of the running system.
//!
//! A name tells those on the same machine whether its process still lives, so that a job whose
//! command was killed need not be waited for.

use std::sync::OnceLock;

use crate::system;

/// The name of this process.
pub(super) fn name() -> String {
    let (host, mark) = machine();
    format!("{host}/{}-{mark}", std::process::id())
}

/// Whether the process of this name is known to have ended: it ran on this system, and there is
/// no such process any more.
pub(super) fn has_ended(name: &str) -> bool {
    let (host, mark) = machine();
    let number = name
        .rsplit_once('/')
        .filter(|(other, _)| other == host)
        .and_then(|(_, rest)| rest.split_once('-'))
        .filter(|(_, other)| other == mark)
        .and_then(|(number, _)| number.parse::<u32>().ok());
    number.is_some_and(system::process_has_ended)
}

/// The machine's name, and a mark of this boot and this space of process numbers: containers may
/// share a name and not their processes.
fn machine() -> &'static (String, String) {
    static SYSTEM: OnceLock<(String, String)> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let boot = system::boot().unwrap_or_default();
        let mark = blake3::hash(format!("{boot} {}", system::process_space()).as_bytes());
        (system::host().unwrap_or_else(|| "localhost".into()), mark.to_hex()[..6].to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_of_this_system_are_judged() {
        assert!(!has_ended(&name()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let (host, mark) = machine();
        let childs = format!("{host}/{}-{mark}", child.id());
        child.wait().unwrap();
        assert!(has_ended(&childs));
        for strange in ["ghost/1", "", "/", &format!("other/{}-{mark}", child.id())] {
            assert!(!has_ended(strange), "{strange}");
        }
        assert!(!has_ended(&format!("{host}/{}-000000", child.id())));
    }
}
