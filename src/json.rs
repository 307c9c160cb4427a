//! JSON read strictly: objects are objects, and `null` is not absence.
//!
//! Serde also reads a list as a struct, and `null` as a missing field. Either would let two readers
//! of one token or policy disagree about what it says.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A value that was written as a JSON object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Reads an optional field that, where it stands, has a value. Use with `#[serde(default)]`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Pair {
        a: u8,
        #[serde(default, deserialize_with = "present")]
        b: Option<u8>,
    }

    #[test]
    fn lists_are_no_objects_and_null_is_no_absence() {
        let read = |text| serde_json::from_str::<Object<Pair>>(text).map(|Object(p)| (p.a, p.b));
        assert_eq!(read(r#"{"a":1,"b":2}"#).unwrap(), (1, Some(2)));
        assert_eq!(read(r#"{"a":1}"#).unwrap(), (1, None));
        for text in ["[1,2]", "[1]", r#"{"a":1,"b":null}"#, "null", r#"{"a":1,"a":1}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
