//! A PostgreSQL server of the tests' own, thrown away when they end.
//!
//! One server serves a whole test process, over a Unix socket in a temporary folder, as an
//! unprivileged user (PostgreSQL refuses to run as root). A shell holds it: when the test process
//! ends, however it ends, the shell's standard input closes, and it stops the server and removes
//! the folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to come up on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Nothing here needs to survive a power cut.
const FAST: [&str; 5] = [
    "-cfsync=off",
    "-csynchronous_commit=off",
    "-cfull_page_writes=off",
    "-cmax_connections=300",
    "-cshared_buffers=64MB",
];

/// Stops the server when the test process is gone.
const HOLD: &str = r#"
"$@" >"$LOG" 2>&1 & server=$!
read -r _
kill -INT "$server"
wait "$server"
rm -rf "$FOLDER"
"#;

/// A running server.
#[derive(Debug)]
pub struct Server {
    socket: PathBuf,
    bin: PathBuf,
    /// Its standard input keeps the server alive.
    _shell: Child,
}

/// The server of this test process; the first call starts it.
///
/// # Panics
/// When PostgreSQL is not installed or does not start.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    fn start() -> Self {
        let bin = find();
        let folder = tempfile::Builder::new()
            .prefix("osupg-pg-")
            .tempdir_in("/tmp")
            .expect("a temporary folder can be made")
            .keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("its mode is set");
        let data = folder.join("data");
        let log = folder.join("log");
        let mut initdb = unprivileged(&bin.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--no-locale"]);
        initdb.args(["--encoding=UTF8", "-D"]).arg(&data).current_dir(&folder);
        crate::child::run(&mut initdb).ok();
        let server = unprivileged(&bin.join("postgres"));
        let mut shell = Command::new("sh");
        shell.args(["-c", HOLD, "hold"]).arg(server.get_program()).args(server.get_args());
        shell.arg("-D").arg(&data).args(FAST);
        shell
            .arg("-clisten_addresses=")
            .arg(format!("-cunix_socket_directories={}", show(&folder)));
        shell.env("LOG", &log).env("FOLDER", &folder).current_dir("/tmp");
        let shell = shell.stdin(Stdio::piped()).spawn().expect("sh starts");
        let server = Self { socket: folder, bin, _shell: shell };
        let start = Instant::now();
        while !server.psql("postgres", "SELECT 1").0 {
            assert!(
                start.elapsed() < START_LIMIT,
                "PostgreSQL does not start: {}",
                fs::read_to_string(&log).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// A database that nobody has used yet; its connection URL.
    ///
    /// # Panics
    /// When the server does not make it.
    #[must_use]
    pub fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        // Making databases at the same moment fails: they copy one template.
        static ONE_BY_ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let one = ONE_BY_ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (made, said) = self.psql("postgres", &format!("CREATE DATABASE {name}"));
        drop(one);
        assert!(made, "no database: {said}");
        self.url(&name)
    }

    /// The connection URL of the database `name`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@localhost/{name}?host={}", show(&self.socket))
    }

    /// Runs one SQL text as the superuser in the database of `url`, and returns what psql printed.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn sql(&self, url: &str, sql: &str) -> String {
        let name = url.rsplit_once('/').map_or(url, |_| {
            let path = url.split('?').next().unwrap_or(url);
            path.rsplit('/').next().unwrap_or(path)
        });
        let (done, said) = self.psql(name, sql);
        assert!(done, "{sql}: {said}");
        said
    }

    fn psql(&self, database: &str, sql: &str) -> (bool, String) {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-t", "-A", "-U", "postgres", "-v", "ON_ERROR_STOP=1"]);
        psql.arg("-h").arg(&self.socket).args(["-d", database, "-c", sql]);
        let done = psql.stdin(Stdio::null()).output().expect("psql starts");
        let text = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&text).trim().to_string())
    }
}

/// A command that does not run as root.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| {
            let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
            let mut ids = line.split(':').skip(2);
            Some((ids.next()?.to_string(), ids.next()?.to_string()))
        })
        .expect("there is a user postgres or nobody");
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={}", user.0), format!("--regid={}", user.1)]);
    command.arg("--clear-groups").arg("--").arg(program);
    command
}

/// The folder with PostgreSQL's programs: Debian keeps them off the search path.
fn find() -> PathBuf {
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    folders
        .into_iter()
        .find(|folder| ["initdb", "postgres", "psql"].iter().all(|p| folder.join(p).is_file()))
        .unwrap_or_else(|| {
            panic!("PostgreSQL is not installed (package postgresql): run tests/setup")
        })
}

fn show(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
