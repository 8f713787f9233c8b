//! The same commands on the store of this machine and through a service.

#[path = "osupg_support/media.rs"]
mod media;
mod osupg_support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use osupg_support::{Bench, text};
use osupg_tests::child::{self, Finished};

/// `osupg serve` on the store of a bench.
struct Served<'b> {
    bench: &'b Bench,
    process: Child,
    url: String,
    token: String,
}

impl<'b> Served<'b> {
    /// Starts it with a configuration that lets requests use files in the bench's folder.
    fn start(bench: &'b Bench) -> Self {
        let config = bench.path("osupg.toml");
        let sources = bench.path("");
        std::fs::write(&config, format!("[serve]\nsources = [{:?}]\n", text(&sources)))
            .expect("a file can be written");
        let mut command = bench.osupg();
        command.args(["serve", "--listen", "127.0.0.1:0", "--config", text(&config)]);
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("osupg can be started");
        let stdout = process.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("it says where it serves");
        let url = line.trim().strip_prefix("osupg serves at ").expect("an address").to_string();
        let create = ["token", "create", "tests", "--right", "administer", "--quiet"];
        let token = bench.run(&create).ok().text().trim().to_string();
        Self { bench, process, url, token }
    }

    /// osupg through the service, ready for arguments. Its own store would be somewhere else.
    fn osupg(&self) -> Command {
        let mut command = osupg_tests::bins::osupg();
        command.env("OSUPG_SERVER", &self.url).env("OSUPG_TOKEN", &self.token);
        command.env("OSUPG_HOME", self.bench.path("nowhere")).env_remove("OSUPG_SITE_CODE");
        command
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        child::run(self.osupg().args(arguments).current_dir(self.bench.path("")))
    }

    /// Ends it as systemd does; it must end well.
    fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
        let ended = self.process.wait().expect("it ends");
        assert!(ended.success(), "{ended}");
        assert!(!Path::new(&self.bench.path("nowhere")).exists(), "a client has no store");
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Times go on between two runs: every digit in what looks like one becomes a nought. And here and
/// there the commands are given by different people.
fn timeless(shown: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for line in shown.lines() {
        let words_of_line = line.split(' ').map(|word| {
            let time = word.contains(':') || word.matches('-').count() == 2;
            if word.contains("local:") || word.contains("token:") {
                "somebody".to_string()
            } else if time && word.chars().filter(char::is_ascii_digit).count() >= 4 {
                word.replace(|c: char| c.is_ascii_digit(), "0")
            } else {
                word.to_string()
            }
        });
        words.push(words_of_line.collect::<Vec<_>>().join(" "));
    }
    words.join("\n")
}

#[test]
fn every_command_is_the_same_through_a_service() {
    let (here, there) = (Bench::new(), Bench::new());
    let source = here.media("media");
    let served = Served::start(&there);
    // The media lie on the machine of the service too.
    let copied = child::run(Command::new("cp").arg("-a").arg(&source).arg(there.path("media")));
    let _ = copied.ok();
    let other_source = there.path("media");

    let both = |arguments: &[&str]| {
        let theirs: Vec<String> = arguments
            .iter()
            .map(|argument| argument.replace(text(&source), text(&other_source)))
            .collect();
        let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
        let (local, remote) = (here.run(arguments), served.run(&theirs));
        assert_eq!(
            local.code(),
            remote.code(),
            "{arguments:?}: {} / {}",
            local.stderr,
            remote.stderr
        );
        let place =
            |shown: &str| timeless(shown).replace(text(&there.path("")), text(&here.path("")));
        assert_eq!(timeless(&local.text()), place(&remote.text()), "{arguments:?}");
        assert_eq!(timeless(&local.stderr), place(&remote.stderr), "{arguments:?}");
        (local, remote)
    };
    let add = ["package", "add", text(&source), "--index", "2", "--name", "Pro"];
    for arguments in [
        &["package", "list"][..],
        &add,
        &add,
        &["package", "add", text(&source), "--index", "9", "--name", "None"],
        &["package", "list"],
        &["package", "list", "--json"],
        &["package", "show", "Pro"],
        &["package", "show", "OSU00001", "--json"],
        &["package", "show", "OSU00009"],
        &["package", "images", "OSU00001"],
        &["package", "files", "OSU00001"],
        &["package", "verify", "OSU00001"],
        &["package", "verify", "OSU00001", "--json"],
        &["package", "verify", "OSU00009", "--json"],
        &["account", "list"],
        &["account", "edit", "nobody", "--right", "read"],
    ] {
        both(arguments);
    }
    let out = |bench: &Bench| bench.path("out");
    let exported = here.run(&["package", "export", "Pro", text(&out(&here))]).ok();
    let through = served.run(&["package", "export", "Pro", text(&out(&there))]).ok();
    assert_eq!(
        exported.text().replace(text(&here.path("")), text(&there.path(""))),
        through.text()
    );
    let same = child::run(Command::new("diff").arg("-r").arg(out(&here)).arg(out(&there)));
    assert!(same.ok().text().is_empty());
    assert_eq!(here.objects(), there.objects(), "both libraries hold the same");
    both(&["package", "remove", "OSU00001"]);
    both(&["package", "list"]);
    served.stop();
}

#[test]
fn a_person_logs_in_and_out() {
    let bench = Bench::new();
    let password = bench.path("password");
    std::fs::write(&password, "correct horse battery\n").expect("a file can be written");
    let file = ["--password-file", text(&password)];
    let add = ["account", "add", "anna", "--right", "read"];
    let _ = bench.run(&[&add[..], &file].concat()).ok();
    let served = Served::start(&bench);
    let settings = bench.path("config");
    let osupg = |arguments: &[&str]| {
        let mut command = served.osupg();
        command.env_remove("OSUPG_TOKEN").env("XDG_CONFIG_HOME", &settings);
        child::run(command.args(arguments))
    };
    let refused = osupg(&["package", "list"]);
    assert_eq!(refused.code(), 2);
    assert!(refused.stderr.contains("a token is needed"), "{}", refused.stderr);
    let wrong = osupg(&["login", "bert", file[0], file[1]]);
    assert_eq!(wrong.code(), 2, "{}", wrong.stderr);

    let _ = osupg(&["login", "anna", file[0], file[1]]).ok();
    assert!(osupg(&["package", "list"]).ok().text().contains("no packages yet"));
    let forbidden = osupg(&["account", "list"]);
    assert_eq!(forbidden.code(), 2);
    assert!(forbidden.stderr.contains("right to administer"), "{}", forbidden.stderr);
    let _ = osupg(&["logout"]).ok();
    assert_eq!(osupg(&["package", "list"]).code(), 2);

    let log = bench.json(&["audit", "list", "--outcome", "refused"]);
    let refused =
        |line: &serde_json::Value| line["who"] == "anna" && line["operation"] == "account.list";
    assert!(log.as_array().is_some_and(|lines| lines.iter().any(refused)), "{log}");
    let short = bench.path("short");
    std::fs::write(&short, "too short\n").expect("a file can be written");
    let add = ["account", "add", "bert", "--right", "read", "--password-file", text(&short)];
    assert!(bench.refused(2, &add).contains("12 is the least"));
    served.stop();
    let gone = osupg_tests::bins::osupg()
        .args(["--server", "http://127.0.0.1:9", "package", "list"])
        .output()
        .expect("osupg runs");
    assert_eq!(gone.status.code(), Some(4));
}
