//! JSON read strictly: objects are objects, and `null` is not absence.
//!
//! Serde also reads a list as a struct, and `null` as a missing field. Either would let two readers
//! of one token or policy disagree about what it says.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny,
    MapAccess, Visitor,
};

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

/// Reads a field whose name is known at run time only, or one of an object in it, by its path; `None`
/// where it, or an object on the way, is absent.
///
/// # Errors
/// As for a field of a struct: a wrong type, or two fields of a name that is on the path.
pub(crate) fn at<T: DeserializeOwned>(
    json: &[u8],
    path: &[impl AsRef<str>],
) -> serde_json::Result<Option<T>> {
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = At(&path, PhantomData).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

struct At<'p, T>(&'p [&'p str], PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for At<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        if self.0.is_empty() {
            return T::deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for At<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(None) };
        let mut value = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != *first {
                map.next_value::<IgnoredAny>()?;
            } else if value.replace(map.next_value_seed(At(rest, PhantomData))?).is_some() {
                return Err(A::Error::custom("a field stands twice"));
            }
        }
        Ok(value.flatten())
    }
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

    #[test]
    fn a_field_named_at_run_time_stands_once_and_has_its_type() {
        let read = |text: &str| at::<u8>(text.as_bytes(), &["a"]).map_err(|_| ());
        assert_eq!(read(r#"{"b":[],"a":1,"b":null}"#), Ok(Some(1)));
        assert_eq!(read(r#"{"b":{"a":1}}"#), Ok(None));
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"a":null}"#, "[1]", "{} {}"] {
            assert_eq!(read(text), Err(()), "{text}");
        }
    }

    #[test]
    fn a_path_leads_through_objects_that_stand_once() {
        let read = |text: &str| at::<u8>(text.as_bytes(), &["a", "b"]).map_err(|_| ());
        assert_eq!(read(r#"{"a":{"b":1,"c":2}}"#), Ok(Some(1)));
        for text in ["{}", r#"{"a":{}}"#, r#"{"b":1}"#] {
            assert_eq!(read(text), Ok(None), "{text}");
        }
        for text in
            [r#"{"a":1}"#, r#"{"a":{"b":1},"a":{}}"#, r#"{"a":{"b":1,"b":1}}"#, r#"{"a":[1]}"#]
        {
            assert_eq!(read(text), Err(()), "{text}");
        }
    }
}
