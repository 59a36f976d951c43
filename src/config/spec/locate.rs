//! Where in a YAML file a path stands: the reader tells places only of what it refuses, so it is made to refuse.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step from a node to one below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathStep {
    Key(String),
    Item(usize),
}

/// A path as it is read: `spans[0].count`; of the file itself, `the file`.
pub(super) fn shown(path: &[PathStep]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            PathStep::Key(key) if text.is_empty() => text.push_str(key),
            PathStep::Key(key) => text = format!("{text}.{key}"),
            PathStep::Item(index) => text = format!("{text}[{index}]"),
        }
    }
    if text.is_empty() { "the file".to_owned() } else { text }
}

/// Line and column, from 1, of the key or item that the path ends at; of the last one that is there.
pub(super) fn place(text: &str, path: &[PathStep]) -> (usize, usize) {
    let mut path = path;
    loop {
        let refused = Walk(path).deserialize(serde_yaml_ng::Deserializer::from_str(text)).err();
        match (refused.and_then(|error| error.location()), path.split_last()) {
            (Some(location), _) => return (location.line(), location.column()),
            (None, Some((_, above))) => path = above,
            (None, None) => return (1, 1),
        }
    }
}

/// Goes down a path and refuses what stands at its end.
struct Walk<'a>(&'a [PathStep]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            // Nothing is what this asks for.
            [] => deserializer.deserialize_bool(Refuse),
            [PathStep::Key(_), ..] => deserializer.deserialize_map(self),
            [PathStep::Item(_), ..] => deserializer.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the path goes through")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let [PathStep::Key(wanted), below @ ..] = self.0 else { return Ok(()) };
        while let Some(found) = map.next_key_seed(WantedKey { wanted, refuse: below.is_empty() })? {
            match found {
                true => map.next_value_seed(Walk(below))?,
                false => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let [PathStep::Item(wanted), below @ ..] = self.0 else { return Ok(()) };
        for _ in 0..*wanted {
            seq.next_element::<IgnoredAny>()?;
        }
        seq.next_element_seed(Walk(below))?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Takes nothing, so that the place of what is there is told.
struct Refuse;

impl Visitor<'_> for Refuse {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

/// Whether a key is the one that is looked for.
struct WantedKey<'a> {
    wanted: &'a str,
    refuse: bool,
}

impl<'de> DeserializeSeed<'de> for WantedKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for WantedKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.refuse => Err(E::custom("found")),
            found => Ok(found),
        }
    }
}
