//! The names of processes that do jobs: machine, process number, and a mark of the running system.
//!
//! A name tells those on the same machine whether its process still lives, so that a job whose
//! command was killed need not be waited for.

use std::fs;
use std::sync::OnceLock;

/// The name of this process.
pub(super) fn name() -> String {
    let (host, mark) = system();
    format!("{host}/{}-{mark}", std::process::id())
}

/// Whether the process of this name is known to have ended: it ran on this system, and there is
/// no such process any more.
pub(super) fn has_ended(name: &str) -> bool {
    let (host, mark) = system();
    let number = name
        .rsplit_once('/')
        .filter(|(other, _)| other == host)
        .and_then(|(_, rest)| rest.split_once('-'))
        .filter(|(_, other)| other == mark)
        .and_then(|(number, _)| number.parse::<u32>().ok());
    number.is_some_and(|number| match fs::read_to_string(format!("/proc/{number}/stat")) {
        // Behind the name in brackets: a zombie has ended, only nobody has asked how.
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    })
}

/// The machine's name, and a mark of this boot and this space of process numbers: containers may
/// share a name and not their processes.
fn system() -> &'static (String, String) {
    static SYSTEM: OnceLock<(String, String)> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_string();
        let host = match read("/proc/sys/kernel/hostname") {
            host if host.is_empty() => "localhost".to_string(),
            host => host,
        };
        let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let boot = read("/proc/sys/kernel/random/boot_id");
        let mark = blake3::hash(format!("{boot} {}", space.display()).as_bytes());
        (host, mark.to_hex()[..6].to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_of_this_system_are_judged() {
        assert!(!has_ended(&name()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let (host, mark) = system();
        let childs = format!("{host}/{}-{mark}", child.id());
        child.wait().unwrap();
        assert!(has_ended(&childs));
        for strange in ["ghost/1", "", "/", &format!("other/{}-{mark}", child.id())] {
            assert!(!has_ended(strange), "{strange}");
        }
        assert!(!has_ended(&format!("{host}/{}-000000", child.id())));
    }
}
