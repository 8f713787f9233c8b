//! How much memory this process may still take.

use std::fs;
use std::path::Path;

/// Bytes that can be had without pushing others out: what the kernel says of the machine, or of the
/// control group of this process where that is less. `None` where nobody says.
pub(crate) fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_machine(&text));
    let group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| of_groups(&text));
    [machine, group].into_iter().flatten().min()
}

/// Bytes of addresses that are left where they are limited (`ulimit -v`); `None` where they are not.
pub(crate) fn addresses_left() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let taken = fs::read_to_string("/proc/self/status").ok()?;
    let limit = number_in(&limits, "Max address space")?;
    Some(limit.saturating_sub(number_in(&taken, "VmSize:")?.saturating_mul(1024)))
}

/// The first number of the line that begins so.
fn number_in(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The line `MemAvailable` of `/proc/meminfo`, which counts KiB.
fn of_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// The least that is left in the group of this process and in those above it.
fn of_groups(cgroup: &str) -> Option<u64> {
    let group = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = Path::new("/sys/fs/cgroup").join(group);
    group.ancestors().take_while(|path| path.starts_with("/sys/fs/cgroup")).filter_map(left).min()
}

/// What is left in one group; `None` where it has no limit.
fn left(group: &Path) -> Option<u64> {
    let number = |name| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo() {
        let text = "MemTotal:  100 kB\nMemFree:   1 kB\nMemAvailable:    8146 kB\nBuffers: 1 kB\n";
        assert_eq!(of_machine(text), Some(8146 << 10));
        for text in ["", "MemAvailable:", "MemAvailable: x kB", "MemAvailable: 12", "MemFree: 1 kB"]
        {
            assert_eq!(of_machine(text), None, "{text:?}");
        }
    }

    #[test]
    fn limits_and_what_is_taken() {
        let limits =
            "Limit  Soft  Hard  Units\nMax address space    2097152000   unlimited  bytes\n";
        assert_eq!(number_in(limits, "Max address space"), Some(2_097_152_000));
        assert_eq!(number_in("Max address space  unlimited unlimited", "Max address space"), None);
        assert_eq!(number_in("Name:\twimx\nVmSize:\t    3004 kB\n", "VmSize:"), Some(3004));
        assert_eq!(number_in("", "VmSize:"), None);
    }

    #[test]
    fn this_machine_has_some() {
        assert!(available().is_some_and(|bytes| bytes > 0));
    }
}
