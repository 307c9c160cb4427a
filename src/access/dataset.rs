//! A dataset as people and viewers speak of it, for the list of what is open to somebody.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;
use url::Url;

use super::grant::Opened;

/// The longest title, source or kind of layer, in bytes.
const MAX_BYTES: usize = 1000;

/// What browsers encode in a fragment (WHATWG URL, "fragment percent-encode set"), and what people's
/// mail programs and chats take for the end of a link.
const FRAGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'\'')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'%')
    .add(b'\\')
    .add(b'{')
    .add(b'}')
    .add(b'|');

/// A dataset that a rule opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// What people call it.
    pub title: String,
    /// Where the viewer finds it, in the viewer's own words: `zarr3://https://data.example.org/lab-a/em`.
    pub source: String,
    /// As which kind of layer the viewer shows it; the viewer finds out by itself where none is named.
    pub layer: Option<String>,
    url: Url,
}

/// Why something cannot be offered as a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// An empty or endless text, or one with control characters.
    #[error("a title and a source are 1 to 1000 bytes without control characters")]
    Text,
    /// No URL in the source.
    #[error(
        "a source holds the https:// URL of the data, as in \"zarr3://https://data.example.org/a\" or \
         \"https://data.example.org/a/|zarr3:\""
    )]
    Url,
    /// Not a kind of layer.
    #[error("a layer is one lower-case word, such as \"image\" or \"segmentation\"")]
    Layer,
}

impl Dataset {
    /// Checks what a rule says of its dataset.
    ///
    /// # Errors
    /// [`DatasetError`] says what is wrong.
    pub fn parse(
        title: String,
        source: String,
        layer: Option<String>,
    ) -> Result<Self, DatasetError> {
        for text in [&title, &source] {
            if text.is_empty() || text.len() > MAX_BYTES || text.chars().any(char::is_control) {
                return Err(DatasetError::Text);
            }
        }
        let is_word = |word: &String| {
            (1..=32).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
        };
        if !layer.as_ref().is_none_or(is_word) {
            return Err(DatasetError::Layer);
        }
        let url = url_in(&source).ok_or(DatasetError::Url)?;
        Ok(Self { title, source, layer, url })
    }

    /// The URL of the data.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it lies under what is open to somebody.
    #[must_use]
    pub fn is_under(&self, opened: &Opened) -> bool {
        opened.covers(&self.url)
    }

    /// The fragment of a URL at which Neuroglancer shows it: `#!` and its state as JSON.
    #[must_use]
    pub fn fragment(&self) -> String {
        let mut layer = json!({"source": self.source, "name": self.title});
        if let Some(kind) = &self.layer {
            layer["type"] = json!(kind);
        }
        let state = json!({ "layers": [layer] }).to_string();
        format!("#!{}", utf8_percent_encode(&state, FRAGMENT))
    }
}

/// The URL in a source: behind a format's name (`zarr3://https://…`), or before one (`https://…/|zarr3:`).
fn url_in(source: &str) -> Option<Url> {
    let start = source.find("https://").or_else(|| source.find("http://"))?;
    let text = source[start..].split('|').next()?;
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.host_str().is_some();
    plain.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::super::testing::opened;
    use super::*;

    fn parse(source: &str) -> Result<Dataset, DatasetError> {
        Dataset::parse("Mouse cortex".to_owned(), source.to_owned(), None)
    }

    #[test]
    fn the_url_is_found_in_both_ways_of_writing_a_source() {
        for (source, url) in [
            ("zarr3://https://data.example.org/lab-a/em", "https://data.example.org/lab-a/em"),
            ("https://data.example.org/lab-a/em/|zarr3:", "https://data.example.org/lab-a/em/"),
            ("https://data.example.org/a.zip|zip:b/|zarr2:", "https://data.example.org/a.zip"),
            ("precomputed://http://data.e.localhost:81/a", "http://data.e.localhost:81/a"),
        ] {
            assert_eq!(parse(source).unwrap().url().as_str(), url, "{source}");
        }
    }

    #[test]
    fn what_is_no_dataset_is_refused() {
        for (source, error) in [
            ("", DatasetError::Text),
            ("a\nb", DatasetError::Text),
            ("s3://bucket/a", DatasetError::Url),
            ("zarr://https://me:pw@data.example.org/a", DatasetError::Url),
            ("zarr://https://", DatasetError::Url),
        ] {
            assert_eq!(parse(source), Err(error), "{source:?}");
        }
        let layer = |layer: &str| {
            let source = "https://data.example.org/a".to_owned();
            Dataset::parse("a".to_owned(), source, Some(layer.to_owned()))
        };
        assert!(layer("segmentation").is_ok());
        assert_eq!(layer("Image\","), Err(DatasetError::Layer));
    }

    #[test]
    fn the_fragment_is_the_viewers_state() {
        let mut dataset = parse("zarr3://https://data.example.org/lab-a/em").unwrap();
        assert_eq!(
            dataset.fragment(),
            "#!%7B%22layers%22:[%7B%22name%22:%22Mouse%20cortex%22,%22source%22:\
             %22zarr3://https://data.example.org/lab-a/em%22%7D]%7D"
        );
        dataset.layer = Some("segmentation".to_owned());
        assert!(dataset.fragment().ends_with("%22,%22type%22:%22segmentation%22%7D]%7D"));
        dataset.title = "100 % \"<script>\" | ü".to_owned();
        let fragment = dataset.fragment();
        assert!(
            fragment.contains("100%20%25%20%5C%22%3Cscript%3E%5C%22%20%7C%20%C3%BC"),
            "{fragment}"
        );
    }

    #[test]
    fn a_dataset_lies_under_what_is_open_or_does_not() {
        let dataset = parse("zarr://https://data.example.org/lab-a/em").unwrap();
        assert!(dataset.is_under(&opened("/lab-a/", 1)));
        assert!(!dataset.is_under(&opened("/lab-b/", 1)));
    }
}
