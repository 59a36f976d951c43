//! An authority and a certificate for localhost that it signed, for brokers that speak TLS, and a proxy
//! that speaks it for one that cannot.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::server::Server;
use crate::helpers::free_port;

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/venv/bin/python");
const PROXY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/tls_proxy.py");

/// PEM files in one folder.
pub struct Certificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    pub fn make(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        // A name of its own: a certificate whose issuer has its subject's name counts as self-signed.
        params.distinguished_name.push(DnType::CommonName, "o11y-lab test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("parameters");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            std::fs::write(&file, text).expect("a file");
            file
        };
        Self {
            authority: write("ca.pem", authority.pem()),
            certificate: write("server.pem", certificate.pem()),
            key: write("server.key", key.serialize_pem()),
        }
    }
}

/// TLS on a port of its own, in front of a server on this machine that does not speak it.
pub struct Proxy {
    _server: Server,
    pub port: u16,
    pub authority: PathBuf,
}

impl Proxy {
    /// The certificates are made in `folder`.
    pub fn before(inner: u16, folder: &Path) -> Self {
        let port = free_port();
        let Certificates { authority, certificate, key } = Certificates::make(folder);
        let command = move || {
            let mut command = Command::new(PYTHON);
            command.arg(PROXY).args([port.to_string(), inner.to_string()]).arg(&certificate).arg(&key);
            command
        };
        let reached = move || TcpStream::connect(("127.0.0.1", port)).is_ok();
        Self { _server: Server::start("tls-proxy", folder, command, reached), port, authority }
    }
}
