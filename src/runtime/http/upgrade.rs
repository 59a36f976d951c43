//! Offers to speak another protocol, such as `Upgrade: h2c` of clients that would rather speak HTTP/2. A
//! server may ignore them (RFC 9110, section 7.8). actix-http answers them and closes the connection
//! without a word, which costs the client its next request; so the offer is taken out before it is read.

/// Takes the offer out of a head at the beginning of `read`: in `Connection`, the word `upgrade` becomes
/// another one of the same length, so that nothing moves. What is no head, or makes no offer, stays.
pub(super) fn ignore(read: &mut [u8]) {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(read.len());
    let head = &mut read[..end];
    let mut lines = head.split(|byte| *byte == b'\n');
    let is_request = lines.next().is_some_and(|line| line.trim_ascii_end().ends_with(b" HTTP/1.1"));
    if !is_request || !lines.any(|line| is_field(line, b"upgrade")) {
        return;
    }
    for line in head.split_mut(|byte| *byte == b'\n').filter(|line| is_field(line, b"connection")) {
        for word in line[b"connection:".len()..].split_mut(|byte| matches!(byte, b',' | b' ' | b'\t' | b'\r'))
        {
            if word.eq_ignore_ascii_case(b"upgrade") {
                word.copy_from_slice(b"ignored");
            }
        }
    }
}

fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && line.get(name.len()) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_taken_out_of_a_head_and_of_nothing_else() {
        let after = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            ignore(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let offer = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                     Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
        assert_eq!(after(offer), offer.replace("Connection: Upgrade,", "Connection: ignored,"));
        let lower = "POST / HTTP/1.1\r\nconnection:keep-alive,upgrade\r\nupgrade:h2c\r\n\r\n\
                     connection: upgrade\r\n";
        assert_eq!(after(lower), lower.replacen("alive,upgrade", "alive,ignored", 1));
        for same in [
            "GET / HTTP/1.1\r\nConnection: close\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n",
            "GET /upgrade HTTP/1.1\r\nX-Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            "{\"text\":\"\"}\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            "",
            "\r\n\r\n",
        ] {
            assert_eq!(after(same), same);
        }
    }
}
