//! The supervisor against stand-ins: a shell script for the roles, a socket of ours for `/ready`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::output::{Stream, Terminal};
use super::render::Style;
use super::*;
use crate::schema::Role;

/// Says that it runs, notes in `order` how it ended, drains on SIGTERM and on the end of its
/// standard input. The console notes the lines it is given.
const WELL_BEHAVED: &str = r#"
trap 'echo "$1 TERM" >> order; exit 0' TERM
echo "$1" >> trapped
echo "{\"level\":\"info\",\"message\":\"hello from $1\"}"
# A background job loses standard input unless it comes by another number.
exec 3<&0
if [ "$1" = console ]; then into=console; else into=/dev/null; fi
while read -r line; do echo "$line" >> $into; done <&3 &
wait $!
echo "$1 EOF" >> order
"#;

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    fn stream(&self) -> Stream {
        Stream::start(self.clone(), Terminal { style: Style { colour: false, width: 20 } }).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct TestStage {
    folder: tempfile::TempDir,
    out: Screen,
    err: Screen,
    plan: LabPlan,
    ready: String,
    grace: Duration,
}

impl TestStage {
    /// `ready` is the answer of every child's `/ready`.
    async fn new(ready: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = LabPlan {
            data_dir: folder.path().to_owned(),
            grace: Duration::from_secs(20),
            ..LabPlan::example(3000, &[Role::Gateway, Role::Order, Role::Notify])
        };
        let ready = answering(ready).await;
        let (out, err) = (Screen::default(), Screen::default());
        Self { folder, out, err, plan, ready, grace: Duration::from_secs(20) }
    }

    fn state(&self) -> StateFile {
        StateFile::new(self.folder.path(), LabState::of(&self.plan, None, self.grace))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, script: &str) -> RunningLab {
        let path = self.file("role.sh");
        std::fs::write(&path, format!("cd '{}'\n{script}", self.folder.path().display())).unwrap();
        let program = Program { exe: "/bin/sh".into(), args: vec![path.into()] };
        let mut children = spec::children(&self.plan, &|_| None);
        for child in &mut children {
            child.url = self.ready.clone();
        }
        let (stdout, stderr) = (self.out.stream(), Arc::new(self.err.stream()));
        let streams = Streams { stdout, stderr, file: None, awaited: false };
        RunningLab::start(program, children, streams, false, self.grace)
    }
}

/// A server that gives every request the same answer.
async fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    actix_web::rt::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    url
}

const READY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const NOT_READY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 95\r\nconnection: close\r\n\r\n\
    {\"status\":\"not ready\",\"checks\":[{\"name\":\"store\",\"required\":true,\"ok\":false,\"reason\":\"locked\"}]}";

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[actix_web::test]
async fn one_table_then_log_lines_and_a_drain_in_order() {
    let stage = TestStage::new(READY).await;
    let mut lab = stage.start(WELL_BEHAVED);
    let shutdown = Shutdown::new(stage.grace);
    let ends = async {
        eventually("a log line", || stage.out.text().contains("hello from")).await;
        eventually("lines at the console", || read(&stage.file("console")).lines().count() == 3).await;
        shutdown.begin();
    };
    let mut state = stage.state();
    let (ended, ()) = tokio::join!(lab.run(&stage.plan, &shutdown, &mut state, None), ends);
    ended.unwrap();
    lab.stop().await;

    let out = stage.out.text();
    assert!(out.starts_with("SERVICE "), "{out}");
    assert_eq!(out.matches(" ready\n").count(), 4, "{out}");
    let log = out.find("order-service        |  info  hello from order").expect(&out);
    assert!(log > out.find("Stop:  Ctrl-C").expect(&out));
    assert!(read(&stage.file("console")).contains(r#"{"level":"info","message":"hello from notify"}"#));
    assert_eq!(read(&stage.file("order")), "gateway TERM\norder TERM\nnotify TERM\nconsole TERM\n");
    assert!(stage.err.text().ends_with("stopped\n"), "{}", stage.err.text());
}

#[actix_web::test]
async fn a_killed_child_is_started_again_and_up_says_so() {
    let stage = TestStage::new(READY).await;
    let lab = stage.start(WELL_BEHAVED);
    let order = || lab.children.iter().find(|c| c.child.command == "order").unwrap().status();
    eventually("ready", || order().state == ChildState::Ready).await;
    let first = order().pid.unwrap();
    kill(Pid::from_raw(first as i32), Signal::SIGKILL).unwrap();
    eventually("a new process", || {
        let now = order();
        now.state == ChildState::Ready && now.pid.is_some_and(|pid| pid != first)
    })
    .await;
    lab.stop().await;
    let err = stage.err.text();
    let said = format!("order-service (pid {first}) was killed by SIGKILL; it is started again in 100 ms");
    assert!(err.contains(&said) && err.contains(") is ready again"), "{err}");
}

#[actix_web::test]
async fn a_console_that_dies_gets_the_later_lines_after_its_restart() {
    let stage = TestStage::new(READY).await;
    let lab = stage.start(WELL_BEHAVED);
    let console = || lab.children[0].status();
    eventually("lines", || read(&stage.file("console")).lines().count() == 3).await;
    let first = console().pid.unwrap();
    kill(Pid::from_raw(first as i32), Signal::SIGKILL).unwrap();
    eventually("restart", || console().pid.is_some_and(|pid| pid != first)).await;
    let child = &lab.children[1].child;
    lab.shared.outputs.log(1, child, "afterwards");
    eventually("the later line", || read(&stage.file("console")).contains("afterwards")).await;
    lab.stop().await;
}

#[actix_web::test]
async fn bad_settings_end_the_lab_with_what_the_child_said_last() {
    let stage = TestStage::new(READY).await;
    let mut lab = stage.start(&format!(
        "if [ \"$1\" = order ]; then until grep -q gateway trapped 2>/dev/null; do sleep 0.01; done; \
         echo 'DATABASE_URL is\x1bwrong' >&2; exit 2; fi\n{WELL_BEHAVED}"
    ));
    let shutdown = Shutdown::new(stage.grace);
    let error = lab.run(&stage.plan, &shutdown, &mut stage.state(), None).await.unwrap_err().to_string();
    lab.stop().await;
    assert!(error.starts_with("order-service ended with exit status 2"), "{error}");
    assert!(error.ends_with("\n    DATABASE_URL is\\u{1b}wrong"), "{error}");
    assert!(read(&stage.file("order")).contains("gateway TERM"));
}

#[actix_web::test]
async fn a_child_that_is_not_ready_in_time_is_in_the_table_with_its_reason() {
    let stage = TestStage::new(NOT_READY).await;
    let lab = stage.start(WELL_BEHAVED);
    let reason = || lab.children.iter().all(|c| c.status().reason.is_some_and(|r| r.contains("locked")));
    eventually("a reason", reason).await;
    announce(&lab.children, &lab.shared.outputs, &stage.plan, Duration::ZERO).await;
    lab.stop().await;
    let out = stage.out.text();
    assert!(out.contains("starting (store: locked)\n"), "{out}");
    assert!(stage.err.text().contains("not ready after 0 s: console, api-gateway"), "{}", stage.err.text());
}

#[actix_web::test]
async fn a_child_that_ignores_the_drain_is_killed_and_up_says_so() {
    let mut stage = TestStage::new(READY).await;
    stage.grace = Duration::from_millis(50);
    stage.plan.roles = vec![Role::User];
    let lab = stage.start("trap '' TERM\necho \"$1\" >> up\nwhile :; do sleep 1; done");
    eventually("running", || read(&stage.file("up")).lines().count() == 2).await;
    let pids: Vec<_> = lab.children.iter().filter_map(|c| c.status().pid).collect();
    lab.stop().await;
    assert!(stage.err.text().contains("did not stop within 5.05s and is killed"), "{}", stage.err.text());
    for pid in pids {
        assert!(kill(Pid::from_raw(pid as i32), None).is_err(), "pid {pid} is still there");
    }
}
