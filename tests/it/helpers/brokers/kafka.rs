//! librdkafka's mock cluster: it speaks the protocol over real sockets, so other processes can use
//! it too.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use rdkafka::mocking::MockCluster;

use super::{Broker, Settings};

/// One mock broker.
pub struct KafkaMock {
    servers: String,
    /// To the thread that owns the cluster, which cannot be shared: whether it is up, and an answer.
    switch: Mutex<Sender<(bool, Sender<()>)>>,
}

impl KafkaMock {
    pub fn boxed() -> Box<dyn Broker> {
        let (switch, switches) = channel();
        let (tell, told) = channel();
        std::thread::spawn(move || own(&tell, &switches));
        let servers = told.recv().expect("a mock cluster");
        Box::new(Self { servers, switch: Mutex::new(switch) })
    }

    fn turn(&self, up: bool) {
        let (done, wait) = channel();
        self.switch.lock().expect("no poison").send((up, done)).expect("the cluster's thread");
        wait.recv().expect("the cluster's thread");
    }
}

fn own(tell: &Sender<String>, switches: &Receiver<(bool, Sender<()>)>) {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let _ = tell.send(cluster.bootstrap_servers());
    for (up, done) in switches {
        let turned = if up { cluster.broker_up(1) } else { cluster.broker_down(1) };
        turned.expect("the mock broker turns");
        let _ = done.send(());
    }
}

impl Broker for KafkaMock {
    fn settings(&self, queue: &str) -> Settings {
        vec![
            ("QUEUE_TRANSPORT", "kafka".into()),
            ("QUEUE_NAME", queue.into()),
            ("KAFKA_BROKERS", self.servers.clone()),
        ]
    }

    fn stop(&self) {
        self.turn(false);
    }

    fn start(&self) {
        self.turn(true);
    }
}
