//! JSON that a parser takes whole, without its tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value that was parsed and thrown away: it refuses what [`serde_json::Value`] refuses, which
/// [`IgnoredAny`](serde::de::IgnoredAny) does not (numbers out of range, text that is no UTF-8,
/// nesting without an end), and allocates nothing for it.
pub(super) struct Parsable;

impl<'de> Deserialize<'de> for Parsable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Parsable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_refused_here_is_what_a_parser_of_values_refuses() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        let texts: [&[u8]; 19] = [
            b"",
            b"{",
            b"null",
            b"[1,2.5,-3,true,null]",
            b"{\"a\":{\"b\":[\"\\u00e9\"]}}",
            b"1e400",
            b"01",
            b"nul",
            b"{\"a\":1,\"a\":2}",
            b"\"\\ud800\"",
            b"\"\xff\"",
            b"{\"\xff\":1}",
            b"[1,]",
            b"1 2",
            b" 1 ",
            b"18446744073709551616",
            b"{1:2}",
            b"\xef\xbb\xbf1",
            deep.as_bytes(),
        ];
        for text in texts {
            let (ours, theirs) =
                (serde_json::from_slice::<Parsable>(text), serde_json::from_slice::<Value>(text));
            let place = |error: serde_json::Error| (error.line(), error.column());
            let shown = String::from_utf8_lossy(text);
            assert_eq!(ours.map(|_| ()).map_err(place), theirs.map(|_| ()).map_err(place), "{shown}");
        }
    }
}
