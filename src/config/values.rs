//! How the text of a setting becomes its value; an error says what is expected.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;

use super::{BareUnit, duration};

/// The longest time that a setting may name.
pub(super) const LONGEST: Duration = Duration::from_secs(86_400);

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let read = duration(text, BareUnit::Seconds).filter(|d| !d.is_zero() && *d <= LONGEST);
    read.ok_or_else(|| "expected seconds, more than 0 and at most 86400".into())
}

pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    let read = duration(text, BareUnit::Milliseconds).filter(|d| d.as_millis() > 0 && *d <= LONGEST);
    read.ok_or_else(|| "expected milliseconds, 1 to 86400000".into())
}

pub(super) fn milliseconds_or_zero(text: &str) -> Result<Duration, String> {
    let read = duration(text, BareUnit::Milliseconds).filter(|d| *d <= LONGEST);
    read.ok_or_else(|| "expected milliseconds, 0 to 86400000".into())
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if n >= 1 => Ok(n),
        _ => Err("expected a whole number, at least 1".into()),
    }
}

pub(super) fn port_base(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if (1024..=65_000).contains(&port) => Ok(port),
        _ => Err("expected a port, 1024 to 65000".into()),
    }
}

/// Calls between our services stay inside one network: plain HTTP, TLS ends before the gateway.
pub(super) fn plain_http_url(text: &str) -> Result<String, String> {
    match http_url(text)? {
        url if url.starts_with("http://") => Ok(url),
        _ => Err("expected http://host:port (services call each other without TLS)".into()),
    }
}

pub(super) fn http_url(text: &str) -> Result<String, String> {
    let url: actix_web::http::Uri = text.parse().map_err(|e| format!("not a URL: {e}"))?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("expected http://host:port or https://host".into()),
    }
}

/// A URL as it may be shown: without the login that it may have, and without a slash at its end. What is no URL is not
/// shown at all.
pub fn without_login(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else { return String::new() };
    // Neither fails on a URL that has a host.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.as_str().trim_end_matches('/').to_owned()
}

/// User and password in a URL, as a header `Authorization` has them.
pub(crate) fn basic_login(url: &url::Url) -> Option<String> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
    let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let none = user.is_empty() && password.is_empty();
    (!none).then(|| format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

/// `key=value,key=value`, percent-decoded; none of it where a part is not in that form.
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',').map(str::trim).filter(|member| !member.is_empty()).map(pair).collect()
}

fn pair(member: &str) -> Option<(String, String)> {
    let (key, value) = member.split_once('=')?;
    let key = percent_decoded(key.trim())?;
    (!key.is_empty()).then_some((key, percent_decoded(value.trim())?))
}

/// Stricter than the decoder, which passes a stray percent sign through.
fn percent_decoded(text: &str) -> Option<String> {
    let is_escape =
        |rest: &[u8]| matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    let bytes = text.as_bytes();
    if bytes.iter().enumerate().any(|(i, b)| *b == b'%' && !is_escape(&bytes[i + 1..])) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(|t| t.into_owned())
}

pub(super) fn database_url(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some(("postgres" | "postgresql" | "sqlite", rest)) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err("expected postgres://user@host/database or sqlite:///path/to/file".into()),
    }
}

/// A setting that is on or off, in any of the usual words.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("expected true, 1, yes or on, or false, 0, no or off".into()),
    }
}

/// An address to listen on; one of IPv6 may stand in brackets, as a URL has it.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let read = match inside {
        Some(inside) => inside.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => text.parse(),
    };
    read.map_err(|_| "expected an address, such as 127.0.0.1, 0.0.0.0 or ::1".into())
}

/// A host as a URL writes it, without a port: a name, or an address.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let expected = "expected a name or an address without a port, such as lab.example or 192.168.0.7";
    let url = url::Url::parse(&format!("http://{text}/")).map_err(|_| expected)?;
    let whole = url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(text));
    if whole { Ok(text.to_owned()) } else { Err(expected.to_owned()) }
}

/// Whether a host, as a URL writes it, is this machine by its name alone.
pub fn is_loopback(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

/// `host:port`, as a URL writes it, by which a server that listens on `host` is reached from this machine.
pub fn reached_at(host: IpAddr, port: u16) -> String {
    let host = match host {
        IpAddr::V4(all) if all.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(all) if all.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        one => one,
    };
    SocketAddr::new(host, port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boolean_is_read_in_all_the_usual_words_and_in_no_other() {
        for on in ["true", "1", "yes", "on", "TRUE", "Yes"] {
            assert_eq!(boolean(on), Ok(true), "{on}");
        }
        for off in ["false", "0", "no", "off", "False"] {
            assert_eq!(boolean(off), Ok(false), "{off}");
        }
        for neither in ["", "2", "t", "enabled", "tru"] {
            assert!(boolean(neither).is_err(), "{neither}");
        }
    }

    #[test]
    fn an_address_may_stand_in_brackets_if_it_is_one_of_ipv6() {
        assert_eq!(address("[::1]"), Ok(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(address("::1"), address("[::1]"));
        assert_eq!(address("0.0.0.0"), Ok(Ipv4Addr::UNSPECIFIED.into()));
        for wrong in ["", "[]", "[127.0.0.1]", "[::1", "::1]", "[[::1]]", "localhost", "[::1]:3000"] {
            assert!(address(wrong).is_err_and(|said| said.contains("127.0.0.1")), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_else_of_a_url() {
        for host in ["lab.example", "LAB", "192.168.0.7", "[fd00::7]"] {
            assert_eq!(host_name(host).as_deref(), Ok(host), "{host}");
        }
        for wrong in ["", "lab:3005", "http://lab", "lab/x", "me@lab", "lab example", "fd00::7"] {
            assert!(host_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_on_the_loopback_of_its_family() {
        let at = |host: &str| host.parse().map(|host| reached_at(host, 3000)).unwrap_or_default();
        assert_eq!(
            ["127.0.0.1", "0.0.0.0", "::", "::1", "10.0.0.7"].map(at),
            ["127.0.0.1:3000", "127.0.0.1:3000", "[::1]:3000", "[::1]:3000", "10.0.0.7:3000"]
        );
    }
}
