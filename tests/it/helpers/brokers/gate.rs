//! A TCP proxy that can be shut: a broker that keeps its memory and yet goes away.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes connections on while it is open; while it is shut they are refused.
pub struct Gate {
    address: SocketAddr,
    target: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Counts openings; the thread of an earlier one ends.
    open: Option<u64>,
    openings: u64,
    streams: Vec<TcpStream>,
}

impl Gate {
    pub fn to(target: u16) -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let address = local(crate::helpers::free_port());
        let gate = Self { address, target: local(target), state: Arc::default() };
        gate.open();
        gate
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn open(&self) {
        let listener =
            crate::helpers::eventually("the gate's port is free", || TcpListener::bind(self.address).ok());
        let (state, target) = (self.state.clone(), self.target);
        let mine = {
            let mut state = state.lock().expect("no poison");
            state.openings += 1;
            state.open = Some(state.openings);
            state.openings
        };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(target) else { continue };
                let mut state = state.lock().expect("no poison");
                if state.open != Some(mine) {
                    return;
                }
                pass(&client, &server);
                state.streams.extend([client, server]);
            }
        });
    }

    pub fn shut(&self) {
        let streams = {
            let mut state = self.state.lock().expect("no poison");
            state.open = None;
            std::mem::take(&mut state.streams)
        };
        for stream in streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts, which then gives the port up.
        let _ = TcpStream::connect(self.address);
        crate::helpers::eventually("connections are refused", || {
            TcpStream::connect(self.address).is_err().then_some(())
        });
    }
}

fn pass(one: &TcpStream, two: &TcpStream) {
    for (from, to) in [(one, two), (two, one)] {
        let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
        std::thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}
