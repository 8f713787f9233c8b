//! A TCP proxy that makes a network bad: slow, cut in mid-transfer, or silent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread waits before it looks again whether the rule has changed.
const LOOK: Duration = Duration::from_millis(20);
/// How long what has passed has to be read before the line is cut: who only then looks finds the end of
/// the connection, and may have left bytes of others unread.
const SETTLE: Duration = Duration::from_millis(300);
/// Bytes that pass at a time.
const CHUNK: usize = 16 << 10;

/// What the network does to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Nothing.
    Pass,
    /// Lets so many bytes a second pass in each direction of each connection.
    Slow(u64),
    /// Cuts every connection once so many bytes have passed, both directions together.
    CutAfter(u64),
    /// Keeps connections open and lets nothing pass once so many bytes have.
    SilentAfter(u64),
    /// The same, once so many bytes have gone to the server.
    SilentAfterSent(u64),
}

/// The rule, and what has passed since it was set.
#[derive(Debug)]
struct State {
    rule: Rule,
    /// Grows with every rule, at which the connections of the one before are cut.
    era: u64,
    passed: u64,
    /// What of it went to the server.
    sent: u64,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    state: Mutex<State>,
    /// Bytes from clients to the server.
    up: AtomicU64,
    /// Bytes from the server to clients.
    down: AtomicU64,
    closed: AtomicBool,
}

/// A proxy on a port of its own.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Passes on to `to`, and does nothing to it yet.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        listener.set_nonblocking(true).expect("a listener need not block");
        let state = Mutex::new(State { rule: Rule::Pass, era: 0, passed: 0, sent: 0 });
        let shared = Arc::new(Shared {
            to,
            state,
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || serve(&listener, &serving));
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does this to connections from now on, cuts those that there are, and counts from nothing.
    pub fn set(&self, rule: Rule) {
        let mut state = self.shared.state();
        *state = State { rule, era: state.era + 1, passed: 0, sent: 0 };
        self.shared.up.store(0, Ordering::Relaxed);
        self.shared.down.store(0, Ordering::Relaxed);
    }

    /// Bytes that clients have sent to the server since the rule was set.
    #[must_use]
    pub fn up(&self) -> u64 {
        self.shared.up.load(Ordering::Relaxed)
    }

    /// Bytes that the server has sent to clients since the rule was set.
    #[must_use]
    pub fn down(&self) -> u64 {
        self.shared.down.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
    }
}

/// What may be done with bytes that have come.
enum Leave {
    /// So many may pass, and then so long a pause.
    Pass(usize, Duration),
    /// Not now.
    Wait,
    /// The connection ends.
    Cut,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// How many of `len` bytes may pass in a connection of this era.
    fn leave(&self, len: usize, way: Way, era: u64) -> Leave {
        let mut state = self.state();
        // It was silent, or cut, and what comes now belongs to a connection that is over.
        if era != state.era {
            return Leave::Cut;
        }
        let (limit, passed, beyond) = match state.rule {
            Rule::Pass => return Leave::Pass(len, Duration::ZERO),
            Rule::Slow(rate) => {
                return Leave::Pass(len, Duration::from_secs_f64(len as f64 / rate.max(1) as f64));
            }
            Rule::CutAfter(limit) => (limit, state.passed, Leave::Cut),
            Rule::SilentAfter(limit) => (limit, state.passed, Leave::Wait),
            Rule::SilentAfterSent(limit) if way == Way::Down && state.sent < limit => {
                return Leave::Pass(len, Duration::ZERO);
            }
            Rule::SilentAfterSent(limit) => (limit, state.sent, Leave::Wait),
        };
        let left = usize::try_from(limit - passed.min(limit)).unwrap_or(usize::MAX);
        match len.min(left) {
            0 => beyond,
            fits => {
                state.passed += fits as u64;
                state.sent += if way == Way::Up { fits as u64 } else { 0 };
                Leave::Pass(fits, Duration::ZERO)
            }
        }
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.is_closed() {
        match listener.accept() {
            Ok((client, _)) => {
                let shared = Arc::clone(shared);
                thread::spawn(move || connect(&client, &shared));
            }
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// Passes on in both directions until one of them ends.
fn connect(client: &TcpStream, shared: &Shared) {
    let Ok(server) = TcpStream::connect(shared.to) else { return };
    let _ = client.set_nonblocking(false);
    for stream in [client, &server] {
        let _ = stream.set_read_timeout(Some(LOOK));
        let _ = stream.set_nodelay(true);
    }
    thread::scope(|scope| {
        scope.spawn(|| pass(client, &server, Way::Up, shared));
        pass(&server, client, Way::Down, shared);
    });
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, way: Way, shared: &Shared) {
    let count = match way {
        Way::Up => &shared.up,
        Way::Down => &shared.down,
    };
    let mut buffer = vec![0; CHUNK];
    let era = shared.state().era;
    while let Some(len) = read(&mut from, &mut buffer, shared) {
        let mut bytes = &buffer[..len];
        while !bytes.is_empty() {
            match shared.leave(bytes.len(), way, era) {
                Leave::Pass(fits, pause) => {
                    let (now, later) = bytes.split_at(fits);
                    if to.write_all(now).is_err() {
                        return cut(from, to);
                    }
                    count.fetch_add(fits as u64, Ordering::Relaxed);
                    bytes = later;
                    thread::sleep(pause);
                }
                Leave::Wait if !shared.is_closed() => thread::sleep(LOOK),
                Leave::Wait => return cut(from, to),
                Leave::Cut => {
                    thread::sleep(SETTLE);
                    return cut(from, to);
                }
            }
        }
    }
    cut(from, to);
}

/// The next bytes; `None` at the end.
fn read(from: &mut &TcpStream, buffer: &mut [u8], shared: &Shared) -> Option<usize> {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    loop {
        match from.read(buffer) {
            Ok(0) => return None,
            Ok(len) => return Some(len),
            Err(error) if matches!(error.kind(), Interrupted | TimedOut | WouldBlock) => {
                if shared.is_closed() {
                    return None;
                }
            }
            Err(_) => return None,
        }
    }
}

fn cut(one: &TcpStream, other: &TcpStream) {
    for stream in [one, other] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
