//! The instances: two gateways, two users, three orders, four notifies, two validators, each role behind its balancer.

use std::net::SocketAddr;
use std::time::Duration;

use o11y_lab::schema::Role;

use crate::helpers::balancer::Balancer;
use crate::helpers::brokers::Settings;
use crate::helpers::postgres::Database;
use crate::helpers::process::bin;
use crate::helpers::{Postgres, Process, eventually_within, free_port, http, metric};
use crate::registry::receiver::{Export, Receiver};

/// In the order in which they are started and replaced.
const INSTANCES: [(Role, usize); 5] =
    [(Role::Lambda, 2), (Role::User, 2), (Role::Order, 3), (Role::Notify, 4), (Role::Gateway, 2)];
const CREATED: &str = "http_server_request_duration_seconds_count{http_request_method=\"POST\",\
    http_route=\"/api/orders\",http_response_status_code=\"201\"}";
const READY_WITHIN: Duration = Duration::from_secs(30);

struct Instance {
    role: Role,
    port: u16,
    process: Process,
}

/// All of them, with one database and one receiver of telemetry.
pub struct Cluster {
    instances: Vec<Instance>,
    balancers: Vec<(Role, Balancer)>,
    env: Vec<(&'static str, String)>,
    database: Database<'static>,
    receiver: Receiver,
    _folder: tempfile::TempDir,
}

impl Cluster {
    pub fn start(queue: &Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Postgres::shared().database();
        let (receiver, otlp) = Receiver::start();
        let ports: Vec<_> = INSTANCES
            .iter()
            .flat_map(|(role, many)| std::iter::repeat_n(*role, *many))
            .map(|role| (role, free_port()))
            .collect();
        let of = |role| {
            ports.iter().filter(|(other, _)| *other == role).map(|(_, port)| *port).collect::<Vec<_>>()
        };
        let balancers: Vec<_> =
            INSTANCES.iter().map(|(role, _)| (*role, Balancer::start(&of(*role)))).collect();
        let url = |role| balancers.iter().find(|(other, _)| *other == role).unwrap().1.url();
        let mut env = vec![
            ("DATABASE_URL", database.url.clone()),
            ("DATA_DIR", folder.path().display().to_string()),
            ("USER_SERVICE_URL", url(Role::User)),
            ("ORDER_SERVICE_URL", url(Role::Order)),
            ("AWS_ENDPOINT_URL_LAMBDA", url(Role::Lambda)),
            ("LAMBDA_FUNCTION_NAME", "order-validator".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp),
            ("OTEL_METRICS_EXPORTER", "otlp,prometheus".to_owned()),
            ("RATE_LIMIT", "0".to_owned()),
        ];
        env.extend(queue.iter().cloned());
        let mut cluster = Self { instances: Vec::new(), balancers, env, database, receiver, _folder: folder };
        for (role, port) in ports {
            let process = cluster.spawn(role, port);
            cluster.instances.push(Instance { role, port, process });
        }
        for instance in &cluster.instances {
            instance.wait_ready();
        }
        for (role, balancer) in &cluster.balancers {
            let many = INSTANCES.iter().find(|(other, _)| other == role).unwrap().1;
            eventually_within(READY_WITHIN, "the balancer knows all", || {
                (balancer.ready() == many).then_some(())
            });
        }
        cluster
    }

    fn spawn(&self, role: Role, port: u16) -> Process {
        let mut command = bin();
        command.arg(role.as_str()).env("PORT", port.to_string());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        Process::spawn(command)
    }

    /// Where clients connect.
    pub fn gateway(&self) -> SocketAddr {
        self.balancers.iter().find(|(role, _)| *role == Role::Gateway).unwrap().1.address()
    }

    /// Ends each instance as an orchestrator does, waits for its end, starts another in its place and waits for that.
    pub fn replace_all(&mut self) {
        for at in 0..self.instances.len() {
            let (role, port) = (self.instances[at].role, self.instances[at].port);
            let ended = self.instances[at].process.stop();
            let said = self.instances[at].process.stdout();
            assert!(ended.success(), "{role}: {ended}\n{said}{}", self.instances[at].process.stderr());
            self.instances[at].process = self.spawn(role, port);
            self.instances[at].wait_ready();
            let (_, balancer) = self.balancers.iter().find(|(other, _)| *other == role).unwrap();
            let many = INSTANCES.iter().find(|(other, _)| *other == role).unwrap().1;
            eventually_within(READY_WITHIN, "the balancer knows it", || {
                (balancer.ready() == many).then_some(())
            });
        }
    }

    /// Waits until the gateways that are there now have all served, which ends the round for the clients.
    pub fn wait_served(&self) {
        for gateway in self.instances.iter().filter(|instance| instance.role == Role::Gateway) {
            let url = format!("http://127.0.0.1:{}/metrics", gateway.port);
            eventually_within(READY_WITHIN, "it has served", || {
                let page = http::try_send("GET", &url, &[], None)?;
                metric(&page.text, CREATED).filter(|many| *many > 0.0)
            });
        }
    }

    fn numbers(&self, query: &str) -> Vec<i64> {
        self.database.sql(query).iter().map(|row| row.parse().unwrap()).collect()
    }

    /// Ids of the orders, in order.
    pub fn stored(&self) -> Vec<i64> {
        self.numbers("SELECT id FROM order_service.orders ORDER BY id")
    }

    /// Orders that notifications of their creation are about, one for each, in order.
    pub fn notified(&self) -> Vec<i64> {
        self.numbers(
            "SELECT order_id FROM notification_service.notifications WHERE kind = 'order_created' ORDER BY order_id",
        )
    }

    /// Rows that wait to be published.
    pub fn outbox(&self) -> i64 {
        self.numbers("SELECT count(*) FROM order_service.outbox")[0]
    }

    /// Stops all, gateways first, and returns what they have exported in their lives.
    pub fn stop(mut self) -> Vec<Export> {
        while let Some(mut instance) = self.instances.pop() {
            assert!(instance.process.stop().success(), "{}", instance.process.stderr());
        }
        self.receiver.take()
    }
}

impl Instance {
    #[track_caller]
    fn wait_ready(&self) {
        let url = format!("http://127.0.0.1:{}/ready", self.port);
        eventually_within(
            READY_WITHIN,
            &format!("{} is ready: {}", self.role, self.process.stdout()),
            || http::try_send("GET", &url, &[], None).filter(|answer| answer.status == 200),
        );
    }
}
