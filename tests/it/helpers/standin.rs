//! An HTTP server for what stands in for somebody else's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Serves HTTP/1.1 on a free port, whose address it returns; `answer` gets method, path and body, `None`
/// holds the request.
pub fn serve(answer: impl Fn(&str, &str, &[u8]) -> Option<String> + Send + Sync + 'static) -> String {
    serve_on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
}

/// The same on a port of one's own.
pub fn serve_on(
    listener: TcpListener,
    answer: impl Fn(&str, &str, &[u8]) -> Option<String> + Send + Sync + 'static,
) -> String {
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || connection(stream, &*answer));
        }
    });
    address
}

fn connection(stream: TcpStream, answer: &impl Fn(&str, &str, &[u8]) -> Option<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).unwrap();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        match answer(method, path, &body) {
            Some(response) => stream.write_all(response.as_bytes()).unwrap(),
            None => std::thread::park(),
        }
    }
}

/// An answer; each line of `headers` ends with CR LF.
pub fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
