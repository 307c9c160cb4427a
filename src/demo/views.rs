//! What Neuroglancer is asked to show: states for the sample volumes, as links carry them.
//!
//! Source: the Neuroglancer documentation, "JSON state"; the state stands percent-encoded after `#!`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::sample::{Bucket, Content, Format, VOLUMES, Volume};

/// What stands as it is in a fragment; everything else is percent-encoded.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b':').remove(b'/').remove(b',');

/// A view of some volumes together.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// What people read on the link.
    pub title: &'static str,
    /// What there is to see, and how it is stored.
    pub about: &'static str,
    /// The volumes by their names, the first at the bottom.
    volumes: &'static [&'static str],
}

/// The views, in the order in which the built-in page offers them.
pub const VIEWS: [View; 6] = [
    View {
        title: "Neuropil and its neurons",
        about: "Lab A. Zarr 3, sharded; precomputed, compressed segmentation.",
        volumes: &["Neuropil", "Neurons"],
    },
    View {
        title: "A public image under private neurons",
        about: "Lab A, over a public bucket. Precomputed.",
        volumes: &["Public neuropil", "Neurons"],
    },
    View {
        title: "Tissue and its nuclei",
        about: "Lab B. OME-Zarr 0.4; Zarr 2.",
        volumes: &["Tissue", "Nuclei"],
    },
    View {
        title: "Tissue of both labs",
        about: "Lab A and lab B, from a second bucket. OME-Zarr 0.5; Zarr 3, sparse.",
        volumes: &["Shared tissue", "Specks"],
    },
    View {
        title: "Neuropil of both labs",
        about: "Lab A and lab B, from a second bucket. Precomputed, sharded.",
        volumes: &["Shared neuropil"],
    },
    View { title: "A brain", about: "Readers of the atlas. Zarr 3.", volumes: &["Atlas"] },
];

impl View {
    /// Its volumes, the first at the bottom.
    pub fn volumes(&self) -> impl Iterator<Item = &'static Volume> {
        self.volumes.iter().filter_map(|name| VOLUMES.iter().find(|volume| volume.name == *name))
    }

    /// The fragment of a link that shows it; `base` says where a bucket is, with no slash at the end.
    #[must_use]
    pub fn fragment(&self, base: &impl Fn(Bucket) -> String) -> String {
        format!("#!{}", utf8_percent_encode(&self.state(base), ENCODED))
    }

    fn state(&self, base: &impl Fn(Bucket) -> String) -> String {
        let layers: Vec<String> = self.volumes().map(|volume| layer(volume, base)).collect();
        let edge = self.volumes().next().map_or(1, |volume| volume.content.voxel_nanometres());
        format!(
            r#"{{"dimensions":{},"position":[64.5,64.5,48.5],"crossSectionScale":0.3,"#,
            dimensions(["x", "y", "z"], edge)
        ) + r##""crossSectionBackgroundColor":"#000000","projectionScale":170,"##
            + r#""projectionOrientation":[-0.45,-0.36,-0.1,0.81],"layout":"4panel","#
            + r#""showDefaultAnnotations":false,"showAxisLines":false,"#
            + &format!(r#""layers":[{}]}}"#, layers.join(","))
    }
}

fn layer(volume: &Volume, base: &impl Fn(Bucket) -> String) -> String {
    let mut source = json!({ "url": source(volume, base) }).to_string();
    if volume.format == Format::Zarr2 {
        // Zarr 2 has no units: the state says how large a voxel is.
        let voxel = dimensions(["z", "y", "x"], volume.content.voxel_nanometres());
        source.pop();
        let transform = format!(r#"{{"inputDimensions":{voxel},"outputDimensions":{voxel}}}"#);
        source.extend([r#","transform":"#, &transform, "}"]);
    }
    let shown = if volume.content.is_labels() {
        r#""type":"segmentation","selectedAlpha":0.35"#.to_owned()
    } else {
        format!(r#""type":"image","shader":{}"#, json!(shader(volume.content)))
    };
    format!(r#"{{"name":{},"source":{source},{shown}}}"#, json!(volume.name))
}

/// As text, since the order of the axes counts.
fn dimensions(axes: [&str; 3], nanometres: u32) -> String {
    format!("{{{}}}", axes.map(|axis| format!(r#""{axis}":[{nanometres}e-9,"m"]"#)).join(","))
}

/// The URL by which Neuroglancer opens a volume, such as `zarr3://http://…/lab-a/neuropil`.
#[must_use]
pub fn source(volume: &Volume, base: &impl Fn(Bucket) -> String) -> String {
    format!("{}://{}{}", volume.format.scheme(), base(volume.bucket), volume.path)
}

fn shader(content: Content) -> String {
    let colour = match content {
        Content::Tissue => "emitRGB(vec3(v * v * 0.9, v, 0.25 * sqrt(v) + 0.75 * v));",
        Content::Brain => "emitRGB(colormapCubehelix(v));",
        Content::Specks => "emitRGBA(vec4(1.0, 0.35, 0.7, v));",
        Content::Neuropil | Content::Neurons | Content::Nuclei => "emitGrayscale(v);",
    };
    format!(
        "void main() {{\n  float v = toNormalized(getInterpolatedDataValue(0));\n  {colour}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(bucket: Bucket) -> String {
        format!("http://{bucket:?}.example")
    }

    #[test]
    fn every_volume_is_in_some_view_and_every_name_is_a_volumes() {
        for view in VIEWS {
            assert_eq!(view.volumes().count(), view.volumes.len(), "{}", view.title);
        }
        for volume in VOLUMES {
            let shown = |view: &View| view.volumes.contains(&volume.name);
            assert!(VIEWS.iter().any(shown), "{}", volume.name);
        }
    }

    #[test]
    fn every_state_is_json() {
        for view in VIEWS {
            let state: serde_json::Value = serde_json::from_str(&view.state(&base)).unwrap();
            assert_eq!(state["layers"].as_array().unwrap().len(), view.volumes.len());
        }
    }

    #[test]
    fn a_fragment_is_the_state_percent_encoded() {
        let fragment = VIEWS[0].fragment(&base);
        let state = fragment.strip_prefix("#!").unwrap();
        assert!(
            state.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/,%".contains(&byte))
        );
        let state = percent_encoding::percent_decode_str(state).decode_utf8().unwrap();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        let layers = &state["layers"];
        assert_eq!(layers[0]["source"]["url"], "zarr3://http://Data.example/lab-a/neuropil");
        assert_eq!(layers[1]["source"]["url"], "precomputed://http://Data.example/lab-a/neurons");
        assert_eq!([&layers[0]["type"], &layers[1]["type"]], ["image", "segmentation"]);
    }
}
