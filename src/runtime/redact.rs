//! What a URL may hold that gives access: signed requests carry it in their query.

use std::borrow::Cow;

/// The parameters that the HTTP conventions name, and Signature Version 4's. In this spelling.
const SIGNED: [&str; 7] = [
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Goog-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
];

/// A query, or a URL with one, in which each value that gives access has become `REDACTED`: what spans may
/// record.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let (before, query) = match text.split_once('?') {
        Some((before, query)) => (Some(before), query),
        None => (None, text),
    };
    let is_signed = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| SIGNED.contains(&name));
    if !query.split('&').any(is_signed) {
        return Cow::Borrowed(text);
    }
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if SIGNED.contains(&name) => format!("{name}=REDACTED"),
        _ => pair.to_owned(),
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    Cow::Owned(before.map_or(query.clone(), |before| format!("{before}?{query}")))
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn values_that_give_access_are_not_recorded_and_the_rest_is_as_it_was() {
        for (given, expected) in [
            ("limit=5&after=3", "limit=5&after=3"),
            ("sig=hunter2&limit=5", "sig=REDACTED&limit=5"),
            ("http://h/p?a=1&X-Amz-Signature=hunter2", "http://h/p?a=1&X-Amz-Signature=REDACTED"),
            ("AWSAccessKeyId=hunter2&Signature=hunter2", "AWSAccessKeyId=REDACTED&Signature=REDACTED"),
            ("signature=mine&sig", "signature=mine&sig"),
            ("http://h/sig=1", "http://h/sig=1"),
            ("", ""),
        ] {
            assert_eq!(redacted(given), expected);
        }
    }
}
