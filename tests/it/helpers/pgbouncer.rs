//! A private PgBouncer before a database of a private PostgreSQL.

use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use super::brokers::server::{Server, on_path, program};
use super::{Database, free_port_base};

/// Where the package puts it, which is not on everybody's PATH.
const DEBIAN: &str = "/usr/sbin/pgbouncer";
/// PgBouncer refuses to run as root; PostgreSQL's package brings this account.
const UNPRIVILEGED: [&str; 6] = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"];

/// A running PgBouncer, which ends when this is dropped.
pub struct PgBouncer {
    /// The database through it.
    pub url: String,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    /// With one session for all, so that whatever a client leaves in it meets the next one. `settings`
    /// are lines of its file.
    pub fn before(database: &Database<'_>, settings: &str) -> Self {
        let found = on_path("pgbouncer").or_else(|| Some(PathBuf::from(DEBIAN)).filter(|file| file.exists()));
        let pgbouncer = program("pgbouncer", found);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port_base();
        let (login, place) = database.url["postgres://".len()..].split_once('@').expect("a login");
        let (user, password) = login.split_once(':').expect("a password");
        let (address, name) = place.split_once('/').expect("a database");
        let (host, server_port) = address.split_once(':').expect("a port");
        let file = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{name} = host={host} port={server_port} user={user} password={password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\ndefault_pool_size = 1\n{settings}\n"
        );
        std::fs::write(&file, text).expect("a file");
        let root = std::fs::metadata(folder.path()).expect("our own folder").uid() == 0;
        if root {
            // Its folder is ours alone, and the other account has to get in.
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(folder.path(), open).expect("our own folder");
        }
        let command = move || {
            let mut words = if root { UNPRIVILEGED.map(PathBuf::from).to_vec() } else { Vec::new() };
            words.extend([pgbouncer.clone(), file.clone()]);
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            command
        };
        let answers = move || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let server = Server::start("pgbouncer", folder.path(), command, answers);
        let url = format!("postgres://anybody:anything@127.0.0.1:{port}/{name}");
        Self { url, _server: server, _folder: folder }
    }
}
