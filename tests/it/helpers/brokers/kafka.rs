//! librdkafka's mock cluster: it speaks the protocol over real sockets, so other processes can use
//! it too.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use rdkafka::mocking::MockCluster;

use super::{Broker, Settings};

/// One mock broker.
pub struct KafkaMock {
    servers: String,
    /// Of each queue's topic.
    partitions: i32,
    /// To the thread that owns the cluster, which cannot be shared, with the way back.
    wishes: Mutex<Sender<(Wish, Sender<()>)>>,
}

enum Wish {
    Up,
    Down,
    Topic(String, i32),
}

impl KafkaMock {
    /// As many as the program makes.
    pub fn boxed() -> Box<dyn Broker> {
        Self::with_partitions(6)
    }

    pub fn with_partitions(partitions: i32) -> Box<dyn Broker> {
        let (wish, wishes) = channel();
        let (tell, told) = channel();
        std::thread::spawn(move || own(&tell, &wishes));
        let servers = told.recv().expect("a mock cluster");
        Box::new(Self { servers, partitions, wishes: Mutex::new(wish) })
    }

    fn wish(&self, wish: Wish) {
        let (done, wait) = channel();
        self.wishes.lock().expect("no poison").send((wish, done)).expect("the cluster's thread");
        wait.recv().expect("the cluster's thread");
    }
}

fn own(tell: &Sender<String>, wishes: &Receiver<(Wish, Sender<()>)>) {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let _ = tell.send(cluster.bootstrap_servers());
    for (wish, done) in wishes {
        let granted = match wish {
            Wish::Up => cluster.broker_up(1),
            Wish::Down => cluster.broker_down(1),
            Wish::Topic(name, partitions) => cluster.create_topic(&name, partitions, 1),
        };
        granted.expect("the mock cluster does it");
        let _ = done.send(());
    }
}

impl Broker for KafkaMock {
    /// The mock does not know the call by which the program makes its topics.
    fn settings(&self, queue: &str) -> Settings {
        self.wish(Wish::Topic(queue.to_owned(), self.partitions));
        self.wish(Wish::Topic(format!("{queue}.dead"), 1));
        vec![
            ("QUEUE_TRANSPORT", "kafka".into()),
            ("QUEUE_NAME", queue.into()),
            ("KAFKA_BROKERS", self.servers.clone()),
        ]
    }

    fn stop(&self) {
        self.wish(Wish::Down);
    }

    fn start(&self) {
        self.wish(Wish::Up);
    }
}
