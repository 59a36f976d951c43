//! The receiver's memory, whatever is sent at once.

use std::io::{Read, Write};
use std::net::TcpStream;

use prost::Message;

use crate::helpers::eventually;
use crate::otlp::{Console, JSON, PROTOBUF, export};

/// Sends a body that others send as well, without a copy of it; the status, or nothing where the answer came
/// before all of it was read.
fn send_shared(port: u16, kind: &str, body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn sixty_four_large_exports_at_once_are_all_taken_within_the_memory_of_a_few() {
    let console = Console::start(&[]);
    let large = |trace| {
        let mut export = export(trace, 70);
        for span in &mut export.resource_spans[0].scope_spans[0].spans {
            span.name = "x".repeat(100_000);
        }
        export
    };
    let bodies = [
        (PROTOBUF, large(1).encode_to_vec()),
        (PROTOBUF, large(2).encode_to_vec()),
        (JSON, serde_json::to_vec(&large(3)).expect("JSON")),
        (JSON, serde_json::to_vec(&large(4)).expect("JSON")),
    ];
    std::thread::scope(|scope| {
        for (kind, body) in bodies.iter().cycle().take(64) {
            scope.spawn(|| {
                eventually("an export that is taken", || {
                    send_shared(console.base + 6, kind, body).filter(|status| *status == 200)
                });
            });
        }
    });
    let traces = console.overview()["traces"].clone();
    assert_eq!((&traces["received"], &traces["rejected"]), (&(64 * 70).into(), &0.into()), "{traces}");
    // 448 MiB were sent. What may stand here is the store's 64 MiB, the 32 MiB of bodies that are being read,
    // and twice 16 MiB for the one that is being decoded.
    eprintln!("64 exports of 7 MiB at once: {} MiB at most", console.peak_mib());
    assert!(console.peak_mib() < 224, "{} MiB", console.peak_mib());
}
