//! A private PostgreSQL for tests. See tests/tools/postgres.py.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A running server. It ends when this is dropped, or when the tests end, because its standard input
/// does.
pub struct Postgres {
    _tool: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Of the administrator, without a database: `postgres://user:password@host:port`.
    server: String,
    pub port: u16,
    /// The authority that signed the server's certificate.
    pub ca_file: PathBuf,
    psql: PathBuf,
}

impl Postgres {
    /// A server of its own for one test, which may stop it.
    pub fn start() -> Self {
        let venv = Path::new(ROOT).join(".tools/venv/bin/python");
        let python = if venv.exists() { venv } else { "python3".into() };
        let mut command = Command::new(&python);
        command.arg(Path::new(ROOT).join("tests/tools/postgres.py"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tool =
            command.spawn().unwrap_or_else(|error| missing(&format!("{}: {error}", python.display())));
        let mut answers = BufReader::new(tool.stdout.take().expect("piped"));
        let mut line = String::new();
        let _ = answers.read_line(&mut line);
        if line.is_empty() {
            let mut said = String::new();
            let _ = tool.stderr.take().expect("piped").read_to_string(&mut said);
            missing(said.trim());
        }
        let places: Value = serde_json::from_str(&line).expect("one line of JSON");
        let text = |key: &str| places[key].as_str().unwrap_or_else(|| panic!("no {key}: {line}")).to_owned();
        Self {
            commands: tool.stdin.take().expect("piped"),
            _tool: tool,
            answers,
            server: text("url").strip_suffix("/lab").expect("the tool's database").to_owned(),
            port: places["port"].as_u64().expect("a port") as u16,
            ca_file: text("caFile").into(),
            psql: text("psql").into(),
        }
    }

    /// The server that tests share which only add to it, each in a database of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A new, empty database.
    pub fn database(&self) -> Database<'_> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::SeqCst));
        self.named("lab").sql(&format!("CREATE DATABASE {name}"));
        self.named(&name)
    }

    /// A database that is there, such as `lab`, which comes with the server.
    pub fn named(&self, name: &str) -> Database<'_> {
        Database { server: self, url: format!("{}/{name}", self.server), name: name.to_owned() }
    }

    /// Stops the server and keeps its data.
    pub fn stop(&mut self) {
        self.tell("stop", false);
    }

    /// Starts it again on the same port.
    pub fn start_again(&mut self) {
        self.tell("start", true);
    }

    fn tell(&mut self, command: &str, running: bool) {
        writeln!(self.commands, "{command}").expect("the tool takes a command");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the tool answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_default();
        assert_eq!(answer["running"], running, "{command}: {line}");
    }
}

#[track_caller]
fn missing(what: &str) -> ! {
    panic!("no PostgreSQL for this test: {what}\n`make test` gets what is missing (scripts/provision)")
}

/// A database on a server of ours, and who logs in to it.
pub struct Database<'a> {
    server: &'a Postgres,
    pub url: String,
    pub name: String,
}

impl Database<'_> {
    /// Runs statements; returns their rows, columns separated by `|`.
    #[track_caller]
    pub fn sql(&self, text: &str) -> Vec<String> {
        let done = self.psql().args(["-c", text]).stdin(Stdio::null()).output().expect("psql runs");
        assert!(done.status.success(), "{text}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect()
    }

    /// The same database for another login.
    pub fn login(&self, user: &str, password: &str) -> Self {
        let url = format!("postgres://{user}:{password}@127.0.0.1:{}/{}", self.server.port, self.name);
        Self { server: self.server, url, name: self.name.clone() }
    }

    /// The same database by another way, such as a pooler.
    pub fn at(&self, url: &str) -> Self {
        Self { server: self.server, url: url.to_owned(), name: self.name.clone() }
    }

    /// The URL with TLS required and the server checked against `ca_file`.
    pub fn verified_by(&self, ca_file: &Path) -> String {
        format!("{}?sslmode=verify-full&sslrootcert={}", self.url, ca_file.display())
    }

    /// Locks a table against everybody until the answer is dropped.
    pub fn lock(&self, table: &str) -> Lock {
        let mut psql = self.psql().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql runs");
        let stdin = psql.stdin.as_mut().expect("piped");
        writeln!(stdin, "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;\nSELECT 'locked';")
            .expect("psql listens");
        let mut rows = BufReader::new(psql.stdout.take().expect("piped")).lines();
        assert!(rows.any(|row| row.is_ok_and(|row| row == "locked")), "{table} cannot be locked");
        Lock(psql)
    }

    fn psql(&self) -> Command {
        let mut command = Command::new(&self.server.psql);
        command.env("PGCONNECT_TIMEOUT", "5");
        command.args([self.url.as_str(), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        command
    }
}

/// A lock that ends with its session.
pub struct Lock(Child);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
