//! A dataset as people and viewers speak of it, for the list of what is open to somebody.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;
use url::Url;

use super::grant::Opened;

/// The longest title, source or kind of layer, in bytes.
const MAX_BYTES: usize = 1000;

/// The longest word in bytes: a format, or a kind of layer.
const MAX_WORD: usize = 32;

// What Neuroglancer 2.41 knows (its folders datasource/, kvstore/ and layer/).

/// Kinds of layers.
const LAYERS: &[&str] =
    &["image", "segmentation", "annotation", "mesh", "pointAnnotation", "auto", "new"];

/// Formats, and servers, that stand before a URL.
const FORMATS: &[&str] = &[
    "zarr",
    "zarr2",
    "zarr3",
    "n5",
    "precomputed",
    "graphene",
    "nifti",
    "deepzoom",
    "obj",
    "vtk",
    "boss",
    "dvid",
    "nggraph",
    "render",
];

/// Other ways of reading a URL.
const STORES: &[&str] = &["s3", "middleauth", "gs+ngauth"];

/// Formats, and archives, that stand behind a URL.
const STEPS: &[&str] = &[
    "zarr",
    "zarr2",
    "zarr3",
    "n5",
    "neuroglancer-precomputed",
    "nifti",
    "deepzoom",
    "obj",
    "vtk",
    "zip",
    "gzip",
    "ocdbt",
    "icechunk",
    "byte-range",
];

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
    /// An empty or endless title, or one with control characters.
    #[error("a title is 1 to {MAX_BYTES} bytes without control characters")]
    Title,
    /// An empty or endless source, or one with control characters.
    #[error("a source is 1 to {MAX_BYTES} bytes without control characters")]
    Text,
    /// Not the URL of data, with its format before or behind it.
    #[error(
        "a source is the https:// URL of the data, with its format before it or behind it: \
         \"zarr3://https://data.example.org/a\" or \"https://data.example.org/a/|zarr3:\""
    )]
    Source,
    /// Not a kind of layer.
    #[error("a layer is one word, such as \"image\" or \"segmentation\"")]
    Layer,
}

/// A word that stock Neuroglancer does not know where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfamiliar<'d> {
    /// The word.
    pub word: &'d str,
    /// Those that it knows there.
    pub known: &'static [&'static str],
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
        let is_text = |text: &str| {
            (1..=MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        if !is_text(&title) {
            return Err(DatasetError::Title);
        }
        if !is_text(&source) {
            return Err(DatasetError::Text);
        }
        if !layer.as_deref().is_none_or(is_word) {
            return Err(DatasetError::Layer);
        }
        let url = Parts::of(&source).and_then(|parts| parts.url()).ok_or(DatasetError::Source)?;
        Ok(Self { title, source, layer, url })
    }

    /// The words that Neuroglancer, as its project publishes it, does not know: misspelt, or those of another
    /// viewer.
    pub fn unfamiliar(&self) -> impl Iterator<Item = Unfamiliar<'_>> {
        let layer = self.layer.as_deref().map(|word| Unfamiliar { word, known: LAYERS });
        let words =
            layer.into_iter().chain(Parts::of(&self.source).into_iter().flat_map(Parts::words));
        words.filter(|one| !one.known.contains(&one.word))
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

/// A source, taken apart: `zarr3://https://…`, or `https://…|zip:a/|zarr3:`.
struct Parts<'s> {
    /// What stands before `://` and the URL.
    format: Option<&'s str>,
    /// How the URL is read, as in `middleauth+https://…`.
    store: Option<&'s str>,
    url: &'s str,
    /// What is done with it, without what stands behind colons.
    steps: Vec<&'s str>,
}

impl<'s> Parts<'s> {
    fn of(source: &'s str) -> Option<Self> {
        // Neuroglancer passes over bars at the end.
        let mut parts = source.trim_end_matches('|').split('|');
        let base = parts.next()?;
        let start = [base.find("https://"), base.find("http://")].into_iter().flatten().min()?;
        let (before, url) = base.split_at(start);
        let (format, store) = match before.split_once("://") {
            Some((format, store)) => (Some(format), store),
            None => (None, before),
        };
        let store = if store.is_empty() { None } else { Some(store.strip_suffix('+')?) };
        let word_of = |step: &'s str| step.split(':').next().unwrap_or(step);
        let steps: Vec<&str> = parts.map(word_of).collect();
        // One way of writing it or the other.
        let alone = format.is_none() || steps.is_empty();
        let words = format.iter().chain(&store).chain(&steps);
        (alone && words.copied().all(is_word)).then_some(Self { format, store, url, steps })
    }

    fn url(&self) -> Option<Url> {
        let url = Url::parse(self.url).ok()?;
        let nobody = url.username().is_empty() && url.password().is_none();
        (nobody && url.host_str().is_some()).then_some(url)
    }

    fn words(self) -> impl Iterator<Item = Unfamiliar<'s>> {
        let format = self.format.map(|word| Unfamiliar { word, known: FORMATS });
        let store = self.store.map(|word| Unfamiliar { word, known: STORES });
        let steps = self.steps.into_iter().map(|word| Unfamiliar { word, known: STEPS });
        format.into_iter().chain(store).chain(steps)
    }
}

fn is_word(word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
    word.len() <= MAX_WORD
        && word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.bytes().all(is_part)
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
            (
                "zarr://http://data.example.org/https://b.org/",
                "http://data.example.org/https://b.org/",
            ),
            ("graphene://middleauth+https://data.example.org/a", "https://data.example.org/a"),
            ("https://data.example.org/a/|", "https://data.example.org/a/"),
        ] {
            assert_eq!(parse(source).unwrap().url().as_str(), url, "{source}");
        }
    }

    #[test]
    fn what_is_no_dataset_is_refused() {
        for (source, error) in [
            ("", DatasetError::Text),
            ("a\nb", DatasetError::Text),
            ("s3://bucket/a", DatasetError::Source),
            ("zarr://https://me:pw@data.example.org/a", DatasetError::Source),
            ("zarr://https://", DatasetError::Source),
            ("see https://data.example.org/a", DatasetError::Source),
            (" zarr://https://data.example.org/a", DatasetError::Source),
            ("zarr:https://data.example.org/a", DatasetError::Source),
            ("://https://data.example.org/a", DatasetError::Source),
            ("zarr://n5://https://data.example.org/a", DatasetError::Source),
            ("zarr://https://data.example.org/a|zarr:", DatasetError::Source),
            ("https://data.example.org/a||zarr:", DatasetError::Source),
            ("https://data.example.org/a| zarr:", DatasetError::Source),
            ("zarr3://data.example.org/a", DatasetError::Source),
        ] {
            assert_eq!(parse(source), Err(error), "{source:?}");
        }
        let layer = |layer: &str| {
            let source = "https://data.example.org/a".to_owned();
            Dataset::parse("a".to_owned(), source, Some(layer.to_owned()))
        };
        assert!(layer("segmentation").is_ok() && layer("segmentation_with_graph").is_ok());
        for wrong in ["Image\",", "", "an image", &"a".repeat(33)] {
            assert_eq!(layer(wrong), Err(DatasetError::Layer), "{wrong:?}");
        }
    }

    #[test]
    fn words_that_neuroglancer_does_not_know_are_told_with_those_that_it_knows() {
        let told = |source: &str, layer: Option<&str>| -> Vec<String> {
            let layer = layer.map(str::to_owned);
            let dataset = Dataset::parse("a".to_owned(), source.to_owned(), layer).unwrap();
            dataset.unfamiliar().map(|one| one.word.to_owned()).collect()
        };
        for source in [
            "zarr2://https://data.example.org/a",
            "precomputed://middleauth+https://data.example.org/a",
            "https://data.example.org/a.zip|zip:b/|zarr3:",
            "https://data.example.org/a/|neuroglancer-precomputed:",
            "https://data.example.org/a.nii.gz|gzip|nifti:",
            "s3+https://data.example.org/bucket/a",
            "https://data.example.org/a",
        ] {
            assert!(told(source, Some("segmentation")).is_empty(), "{source}");
        }
        assert_eq!(told("zar3://https://data.example.org/a", Some("Image")), ["Image", "zar3"]);
        let bars = "me+https://data.example.org/a|zipp:b|precomputed:";
        assert_eq!(told(bars, None), ["me", "zipp", "precomputed"]);
        let dataset = parse("zarr4://https://data.example.org/a").unwrap();
        assert_eq!(dataset.unfamiliar().next().unwrap().known, FORMATS);
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
