//! The names by which a role on this machine may be called (DNS rebinding).

use o11y_lab::schema::{Endpoint, Ports, Role, SERVICES};

use crate::helpers::process::bin;
use crate::helpers::{Lab, Process, eventually, free_port_base, get, send, single};

#[test]
fn a_role_on_loopback_refuses_names_that_a_foreign_page_can_have_on_every_route() {
    let lab = Lab::shared();
    for service in SERVICES.iter() {
        for path in ["/health", "/ready", "/metrics", "/faults", "/", "/users", "/orders", "/notifications"] {
            let url = lab.url(service.role, path);
            let named = |host: &str| send("GET", &url, &[("host", host)], None).status;
            let usual = get(&url).status;
            assert_eq!(named("rebound.example:3000"), 421, "{url}");
            for host in ["localhost:3000", "[::1]:3000", "order", "host.docker.internal:3000"] {
                assert_eq!(named(host), usual, "{url} as {host}");
            }
        }
    }
    let refused = send("GET", &lab.api("/api/users"), &[("host", "rebound.example")], None);
    assert_eq!(refused.header("content-type"), "application/problem+json", "{refused:?}");
}

#[test]
fn a_setting_names_further_hosts_and_a_role_on_all_addresses_has_any_name() {
    let env = [("ALLOWED_HOSTS", "lab.example,o.example")];
    let (_process, url, _temp) = single(Role::Lambda, &env);
    let named = |url: &str, host: &str| send("GET", &format!("{url}/health"), &[("host", host)], None).status;
    assert_eq!(named(&url, "lab.example"), 200);
    assert_eq!(named(&url, "O.example:80"), 200);
    assert_eq!(named(&url, "host.docker.internal"), 421);
    let (_process, url, _temp) = single(Role::Lambda, &[("HOST", "0.0.0.0")]);
    let url = url.replace("0.0.0.0", "127.0.0.1");
    eventually("it answers", || (named(&url, "rebound.example") == 200).then_some(()));
}

#[test]
fn a_lab_with_a_public_name_listens_for_others_prints_their_urls_and_answers_to_that_name() {
    let (temp, base) = (tempfile::tempdir().unwrap(), free_port_base());
    let mut command = bin();
    // As the container image has it: 0.0.0.0 is said by a variable.
    command.args(["up", "--quiet", "--port-base", &base.to_string(), "--data-dir"]).arg(temp.path());
    command.env("UP_HOST", "0.0.0.0").env("UP_PUBLIC_HOST", "lab.example");
    let mut up = Process::spawn(command);
    let table = eventually("the table", || Some(up.stdout()).filter(|out| out.contains("Stop:  Ctrl-C")));
    let ports = Ports::from_base(base);
    let (gateway, console) = (ports.of(Role::Gateway), ports.at(Endpoint::Console));
    for shown in
        [format!("http://lab.example:{console}\n"), format!("http://lab.example:{gateway}/api/orders")]
    {
        assert!(table.contains(&shown), "{shown}: {table}");
    }
    assert!(!table.contains("127.0.0.1") && !table.contains("0.0.0.0"), "{table}");
    for port in [gateway, console] {
        let named =
            |host: &str| send("GET", &format!("http://127.0.0.1:{port}/"), &[("host", host)], None).status;
        assert_eq!(named(&format!("lab.example:{port}")), 200, "{port}");
        assert_eq!(named(&format!("localhost:{port}")), 200, "{port}");
    }
    let foreign = [("host", "rebound.example")];
    assert_eq!(send("GET", &format!("http://127.0.0.1:{console}/"), &foreign, None).status, 421);
    assert!(up.stderr().contains("whoever reaches this machine"), "{}", up.stderr());
    assert!(up.stop().success());
}
