//! A TCP balancer between the instances of a role: it knows ports and bytes, and asks each instance on `/ready`
//! whether it takes new connections. What an instance has of connections stays with it, as behind any balancer of this
//! kind: to end them is the instance's part.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Time between two questions to an instance; far less than it goes on serving after its `/ready` has turned.
const ASK_INTERVAL: Duration = Duration::from_millis(25);
/// The longest that an instance may take for an answer, or for a connection.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest that a new connection waits for an instance that is ready.
const WAIT: Duration = Duration::from_secs(10);
/// Connections at once; more are closed at once.
const MOST: usize = 512;

/// A running balancer; it ends when this is dropped, and its connections end with their ends.
pub struct Balancer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    targets: Vec<Target>,
    next: AtomicUsize,
    open: AtomicUsize,
    over: AtomicBool,
}

struct Target {
    address: SocketAddr,
    ready: AtomicBool,
}

impl Balancer {
    /// Starts one on a free port, for instances on these ports of this machine.
    pub fn start(ports: &[u16]) -> Self {
        let target = |port: &u16| Target {
            address: SocketAddr::from(([127, 0, 0, 1], *port)),
            ready: AtomicBool::new(false),
        };
        let shared = Arc::new(Shared {
            targets: ports.iter().map(target).collect(),
            next: AtomicUsize::default(),
            open: AtomicUsize::default(),
            over: AtomicBool::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        for place in 0..shared.targets.len() {
            let shared = shared.clone();
            std::thread::spawn(move || ask(&shared, place));
        }
        let accepting = shared.clone();
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared }
    }

    /// The base URL that callers use.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many instances get new connections.
    pub fn ready(&self) -> usize {
        self.shared.targets.iter().filter(|target| target.ready.load(Ordering::SeqCst)).count()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // It waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

/// Asks one instance again and again.
fn ask(shared: &Shared, place: usize) {
    let target = &shared.targets[place];
    while !shared.over.load(Ordering::SeqCst) {
        target.ready.store(is_ready(target.address), Ordering::SeqCst);
        std::thread::sleep(ASK_INTERVAL);
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nhost: balancer\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        if shared.open.fetch_add(1, Ordering::SeqCst) >= MOST {
            shared.open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let shared = shared.clone();
        std::thread::spawn(move || {
            if let Some(instance) = connect(&shared) {
                let _ = carry(stream, instance);
            }
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// A connection to the next instance that is ready. Where that one refuses, nothing has been sent, and another is as
/// good.
fn connect(shared: &Shared) -> Option<TcpStream> {
    let until = Instant::now() + WAIT;
    while Instant::now() < until && !shared.over.load(Ordering::SeqCst) {
        let first = shared.next.fetch_add(1, Ordering::SeqCst);
        let many = shared.targets.len();
        let ready = (0..many).map(|step| &shared.targets[(first + step) % many]);
        for target in ready.filter(|target| target.ready.load(Ordering::SeqCst)) {
            if let Ok(stream) = TcpStream::connect_timeout(&target.address, PATIENCE) {
                return Some(stream);
            }
        }
        std::thread::sleep(ASK_INTERVAL);
    }
    None
}

/// Copies both ways until both have ended.
fn carry(client: TcpStream, instance: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    instance.set_nodelay(true)?;
    let (from, to) = (client.try_clone()?, instance.try_clone()?);
    let there = std::thread::spawn(move || copy(from, to));
    copy(instance, client);
    let _ = there.join();
    Ok(())
}

/// Copies one way. An end is passed on as an end; a connection that broke breaks the other.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break drop(to.shutdown(Shutdown::Write)),
            Ok(many) if to.write_all(&buffer[..many]).is_ok() => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => {
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                break;
            }
        }
    }
}
