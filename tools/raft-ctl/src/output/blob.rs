//! Keys and values in JSON: a string where they are UTF-8, else `{"b64":"..."}`.

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::base64;

/// Bytes to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blob<'a>(pub(crate) &'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("b64", &base64::encode(self.0))?;
                map.end()
            }
        }
    }
}

/// Bytes that were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OwnedBlob(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for OwnedBlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OwnedBlob, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a string or {\"b64\":\"...\"}")]
        enum Either {
            Text(String),
            Base64 { b64: String },
        }
        match Either::deserialize(deserializer)? {
            Either::Text(text) => Ok(OwnedBlob(text.into_bytes())),
            Either::Base64 { b64 } => base64::decode(&b64)
                .map(OwnedBlob)
                .ok_or_else(|| D::Error::custom("\"b64\" isn't base64 with padding")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_bytes_survive() {
        for bytes in [&b"ann"[..], b"", b"\"\\\n", "\u{e9}".as_bytes(), b"\xff\x00", b"{\"b64\":1}"]
        {
            let json = serde_json::to_string(&Blob(bytes)).unwrap();
            let read: OwnedBlob = serde_json::from_str(&json).unwrap();
            assert_eq!(read.0, bytes, "{json}");
        }
        assert_eq!(serde_json::to_string(&Blob(b"ann")).unwrap(), "\"ann\"");
        assert_eq!(serde_json::to_string(&Blob(b"\xff")).unwrap(), "{\"b64\":\"/w==\"}");
    }

    #[test]
    fn other_values_are_refused_with_what_is_expected() {
        for wrong in ["1", "null", "[]", "{}", "{\"b64\":1}"] {
            let error = serde_json::from_str::<OwnedBlob>(wrong).unwrap_err();
            assert!(error.to_string().contains("a string or"), "{wrong}: {error}");
        }
        let error = serde_json::from_str::<OwnedBlob>("{\"b64\":\"Z\"}").unwrap_err();
        assert!(error.to_string().contains("base64"), "{error}");
    }
}
