//! `verify` reads backends that want more than a URL: headers, a login, TLS with an authority of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use super::{Verified, verify};
use crate::helpers::brokers::tls::Proxy;
use crate::helpers::{Lab, bin};

/// In front of a server on this machine: lets a request pass that has this line in its head, answers 401 to others.
fn guarded(inner: u16, line: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || pass(stream, inner, line));
        }
    });
    port
}

fn pass(stream: TcpStream, inner: u16, line: &str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    if !head.lines().any(|have| have.eq_ignore_ascii_case(line)) {
        let refusal = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return stream.write_all(refusal.as_bytes()).ok();
    }
    let mut server = TcpStream::connect(("127.0.0.1", inner)).ok()?;
    // One request for each connection, so that every one of them is looked at.
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    server.write_all(head.as_bytes()).ok()?;
    std::io::copy(&mut server, &mut stream).ok().map(drop)
}

#[test]
fn backends_behind_tls_and_a_login_are_read_with_what_the_settings_say_and_no_secret_is_told() {
    let lab = Lab::start();
    let page: u16 = lab.console("").rsplit(':').next().unwrap().trim_matches('/').parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let token = guarded(page, "authorization: Bearer s3cret,token");
    let secure = Proxy::before(token, folder.path());
    let console = format!("console=https://localhost:{}", secure.port);
    // me:s3cret
    let login = guarded(page, "authorization: Basic bWU6czNjcmV0");
    let with_login = format!("console=http://me:s3cret@127.0.0.1:{login}");
    let all = |within: &str, more: &[&str]| {
        let mut command = verify(&lab, "1", within);
        command.args(["--traces", &console, "--logs", &with_login, "--metrics", "roles"]).args(more);
        command
    };
    let authority = secure.authority.to_str().unwrap();
    let mut green = all("20s", &["--certificate", authority]);
    // The login in a URL is that backend's own, and weighs more than the headers for all.
    let verified = Verified::run(green.env("VERIFY_HEADERS", "authorization=Bearer%20s3cret%2Ctoken"));
    verified.assert_green();
    for (more, why) in [
        (&["--certificate", authority][..], "answered 401"),
        (&["--headers", "authorization=s3cret"], "invalid peer certificate"),
    ] {
        let verified = Verified::run(&mut all("1s", more));
        let rows: Vec<_> = verified.not("pass").iter().map(|claim| claim["id"].clone()).collect();
        assert!(rows.contains(&"traces.readable".into()) && verified.code == Some(3), "{rows:?}");
        let said = format!("{} {}", verified.report, verified.stderr);
        assert!(said.contains(why) && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn a_setting_without_effect_in_its_company_is_said_and_a_gateway_behind_https_is_refused_at_once() {
    let lab = Lab::shared();
    let mut command = verify(lab, "1", "20s");
    let verified = Verified::run(command.args(["--logs-headers", "a=b", "--certificate", "Cargo.toml"]));
    verified.assert_green();
    let notes = verified.report["notes"].to_string();
    for said in ["--logs-headers has no effect", "--certificate has no effect"] {
        assert!(notes.contains(said), "{notes}");
    }
    let output = bin().args(["verify", "--url", "https://127.0.0.1:9"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("a gateway behind https cannot be asked"), "{said}");
}

#[test]
fn two_variables_that_exclude_each_other_are_refused_as_two_flags_are_and_a_flag_outweighs_a_variable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = bin();
    let command = command.args(["verify", "--port-base", "4990"]).env("VERIFY_WATCH", "true");
    let output = command.env("VERIFY_JUNIT", file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("'--watch") && said.contains("'--junit"), "{said}");
    let mut command = bin();
    let output = command
        .args(["verify", "--diff", "none.json", "none.json"])
        .env("VERIFY_JUNIT", file.path())
        .output();
    let said = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
    assert!(said.contains("--diff 'none.json'"), "{said}");
}

#[test]
fn headers_and_certificates_that_cannot_be_used_are_refused_before_anything_is_sent() {
    let lab = Lab::shared();
    for (setting, value, why) in [
        ("--headers", "authorization: Bearer s3cret", "is not key=value"),
        ("--logs-headers", "a b=s3cret", "has a header that cannot be sent"),
        ("--certificate", "/nowhere/s3.pem", "No such file"),
    ] {
        let mut command = bin();
        command.args([
            "verify",
            "--port-base",
            &lab.base.to_string(),
            "--traces",
            "jaeger=https://127.0.0.1:9",
        ]);
        let output = command.args([setting, value]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(setting) && said.contains(why) && !said.contains("s3cret"), "{said}");
    }
}
