//! One line of the Prometheus text format.

/// A sample's name, labels and value.
pub(super) type Sample<'a> = (&'a str, Vec<(&'a str, String)>, f64);

/// `name{label="value",…} number`, or nothing for comments and whatever else is no sample.
pub(super) fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, tail) = rest.split_once("=\"")?;
            let (value, tail) = quoted(tail)?;
            labels.push((key.trim(), value));
            rest = tail.trim_start_matches([',', ' ']);
        }
        rest = &rest[1..];
    }
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    value.is_finite().then_some((name, labels, value))
}

/// The text up to the closing quote, unescaped, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn escapes_in_labels_are_undone_and_nonsense_is_no_sample() {
        let (name, labels, value) = sample(r#"m{a="x\"y\\z\n", b="2"} 1.5 123"#).unwrap();
        assert_eq!((name, value), ("m", 1.5));
        assert_eq!(labels, [("a", "x\"y\\z\n".to_owned()), ("b", "2".to_owned())]);
        for wrong in ["", "m", "m{", "m{a", "m{a=\"b", "m{a=\"b\"", "m x", "# TYPE m counter", "m NaN"] {
            assert!(sample(wrong).is_none(), "{wrong}");
        }
    }
}
