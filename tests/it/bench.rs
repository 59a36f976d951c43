//! What `make bench` reads of its tools and computes of it: a benchmark has no test harness of its own.

#![allow(dead_code, reason = "the benchmark uses all of it")]

#[path = "../../benches/lab/measures.rs"]
mod measures;
#[path = "../../benches/lab/requests.rs"]
mod requests;
#[path = "../../benches/lab/running.rs"]
mod running;
#[path = "../../benches/lab/samples.rs"]
mod samples;
#[path = "../../benches/lab/strace.rs"]
mod strace;
#[path = "../../benches/lab/wrk.rs"]
mod wrk;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use measures::{Goal, Measure, ROWS};
use samples::{Ratio, Samples, median, ratio};

const WRK: &str = "\
Running 4s test @ http://127.0.0.1:21000/api/orders
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    83.48ms   29.38ms 504.91ms   91.90%
    Req/Sec   387.10     56.68   530.00     75.00%
  Latency Distribution
     50%   78.16ms
     75%   89.01ms
     90%  100.82ms
     99%    1.21s
  1543 requests in 4.01s, 546.33KB read
Requests/sec:    384.69
Transfer/sec:    136.21KB
";

const STRACE: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 59.96    0.274272         406       674        60 futex
 36.61    0.167452         241       692           epoll_wait
  0.88    0.004020        4020         1         1 restart_syscall
  0.00    0.000010          10         1           epoll_ctl
------ ----------- ----------- --------- --------- ----------------
100.00    0.457400         163      1368        61 total
";

#[test]
fn what_wrk_prints_is_read_in_every_unit_of_time() {
    let load = wrk::parse(WRK).unwrap();
    assert_eq!((load.requests, load.per_second), (1543, 384.69));
    assert_eq!((load.p50, load.p99), (Duration::from_micros(78_160), Duration::from_millis(1210)));
    let quick = wrk::parse(&WRK.replace("78.16ms", "640.00us")).unwrap();
    assert_eq!(quick.p50, Duration::from_micros(640));
}

#[test]
fn a_load_with_errors_is_no_measurement() {
    for line in ["  Non-2xx or 3xx responses: 5", "  Socket errors: connect 0, read 0, write 0, timeout 7"] {
        let said = WRK.replace("Requests/sec:", &format!("{line}\nRequests/sec:"));
        assert_eq!(wrk::parse(&said).unwrap_err().to_string(), line.trim());
    }
    assert!(wrk::parse("unable to connect to 127.0.0.1:9 Connection refused").is_err());
}

#[test]
fn calls_are_read_from_straces_summary_with_and_without_errors_and_never_its_sum() {
    let calls: Vec<_> = strace::parse(STRACE).into_iter().collect();
    let expected = [("epoll_ctl", 1), ("epoll_wait", 692), ("futex", 674), ("restart_syscall", 1)];
    assert_eq!(calls, expected.map(|(name, n)| (name.to_owned(), n)));
    assert!(strace::parse("").is_empty());
}

#[test]
fn a_ratio_is_the_median_of_the_rounds_that_both_have() {
    let series = |values: &[(usize, f64)]| values.iter().copied().collect();
    let base = series(&[(0, 10.0), (1, 20.0), (2, 0.0), (3, 10.0)]);
    let program = series(&[(0, 5.0), (1, 30.0), (2, 1.0), (3, 8.0), (4, 9.0)]);
    assert_eq!(ratio(&program, &base), Some(Ratio { median: 0.8, least: 0.5, most: 1.5 }));
    assert_eq!(ratio(&program, &series(&[])), None);
    assert_eq!((median([3.0, 1.0]), median([])), (Some(2.0), None));
}

#[test]
fn the_sum_of_a_measure_stands_beside_its_roles() {
    let mut samples = Samples::default();
    samples.round = 2;
    samples.add_sum(Measure::Pss, &[("up".to_owned(), 3.5), ("user".to_owned(), 7.0)].into());
    assert_eq!(samples.series(Measure::Pss, None).unwrap()[&2], 10.5);
    assert_eq!(samples.roles(Measure::Pss).into_iter().collect::<Vec<_>>(), ["up", "user"]);
    assert!(samples.roles(Measure::Rss).is_empty());
}

#[test]
fn a_goal_over_the_base_is_neither_met_nor_missed_without_one() {
    assert_eq!(Goal::AtMost(30.0).met(30.0, None), Some(true));
    assert_eq!(Goal::RatioAtMost(0.5).met(0.1, None), None);
    assert_eq!(Goal::RatioAtMost(0.5).met(9.0, Some(0.51)), Some(false));
    assert_eq!(Goal::RatioAtLeast(2.0).met(9.0, Some(2.0)), Some(true));
    let mut keys: Vec<_> = ROWS.iter().map(|row| row.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), ROWS.len());
}

#[test]
fn one_connection_carries_request_after_request_and_an_error_is_not_counted_as_one() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 1024];
        let mut asked = String::new();
        for status in ["201 Created", "201 Created", "503 Service Unavailable"] {
            let n = stream.read(&mut buffer).unwrap();
            asked.push_str(&String::from_utf8_lossy(&buffer[..n]));
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
        asked
    });
    let mut connection = requests::Connection::open(port, "/api/orders", Some("{\"total\":1}")).unwrap();
    connection.ask().unwrap();
    connection.ask().unwrap();
    assert!(connection.ask().unwrap_err().to_string().contains("503"));
    let asked = server.join().unwrap();
    assert_eq!(asked.matches("POST /api/orders HTTP/1.1\r\n").count(), 3);
    assert!(asked.ends_with("content-length: 11\r\n\r\n{\"total\":1}"), "{asked}");
}
