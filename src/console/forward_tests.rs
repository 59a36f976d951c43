//! One lane without a network: what leaves, what is lost, what has no room.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc;

use super::*;

fn export(body: &'static [u8], kind: &'static str, items: u64) -> ForwardedExport {
    let head = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
    ForwardedExport { body: Bytes::from_static(body), head, items }
}

const PROTOBUF: &str = "application/x-protobuf";

/// A lane whose exports arrive at the second value, each answered by the first.
fn lane() -> (Arc<ForwardLane>, mpsc::Sender<Result<PartialSuccess, String>>, mpsc::Receiver<Bytes>) {
    let lane = Arc::new(ForwardLane::new(Signal::Traces));
    let ((answers, answer), (arrivals, arrived)) = (mpsc::channel(), mpsc::channel());
    let running = lane.clone();
    std::thread::spawn(move || {
        running.run(move |body, _| {
            arrivals.send(body).unwrap();
            answer.recv().unwrap()
        });
    });
    (lane, answers, arrived)
}

const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn what_left_was_lost_and_was_dropped_adds_up_to_what_came_in() {
    let (lane, answers, arrived) = lane();
    lane.push(export(b"a", "application/json", 3));
    assert_eq!(arrived.recv_timeout(DEADLINE).unwrap(), "a");
    lane.push(export(b"b", "application/json", 5));
    lane.push(export(&[0; MOST_WAITING], "application/json", 7));
    answers.send(Err("refused".into())).unwrap();
    assert_eq!(arrived.recv_timeout(DEADLINE).unwrap(), "b");
    {
        let state = lane.lock();
        assert_eq!((state.items, state.cause.as_deref()), (5, Some("refused")));
    }
    answers.send(Ok(PartialSuccess { rejected: 1, message: "quota".into() })).unwrap();
    lane.stop();
    assert_eq!(lane.wait(DEADLINE), 0);
    assert_eq!(lane.lock().counts, ForwardCounts { forwarded: 4, lost: 4, dropped: 7 });
    assert_eq!(lane.lock().bytes, 0);
    lane.push(export(b"c", PROTOBUF, 1));
    assert_eq!(lane.lock().counts.dropped, 8, "after the end");
}

#[test]
fn plain_protobuf_that_waited_leaves_as_one_message_and_nothing_else_does() {
    let (lane, answers, arrived) = lane();
    lane.push(export(b"first", "application/json", 1));
    assert_eq!(arrived.recv_timeout(DEADLINE).unwrap(), "first");
    for (body, kind) in
        [(&b"a"[..], PROTOBUF), (b"b", PROTOBUF), (b"{}", "application/json"), (b"c", PROTOBUF)]
    {
        lane.push(export(body, kind, 1));
    }
    let mut packed = export(b"zip", PROTOBUF, 1);
    packed.head.insert(http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    lane.push(packed);
    (0..5).for_each(|_| answers.send(Ok(PartialSuccess::default())).unwrap());
    let bodies: Vec<_> = (0..4).map(|_| arrived.recv_timeout(DEADLINE).unwrap()).collect();
    assert_eq!(bodies, ["ab", "{}", "c", "zip"]);
    lane.stop();
    assert_eq!((lane.wait(DEADLINE), lane.lock().counts.forwarded), (0, 6));
}
