//! OME-Zarr: a group of arrays, each half the size of the one before.
//!
//! Source: the OME-NGFF specification, versions 0.4 (Zarr version 2) and 0.5 (version 3).

use serde_json::{Value, json};

use super::Files;
use super::grid::Grid;
use super::{zarr2, zarr3};

/// Levels of a pyramid.
const LEVELS: u8 = 3;

/// Writes a pyramid as OME-Zarr 0.4.
pub(super) fn version_0_4(files: &mut Files, name: &str, finest: Grid, nanometres: u32) {
    let mut multiscales = multiscales(name, nanometres);
    multiscales["version"] = json!("0.4");
    files.json(".zgroup", &json!({ "zarr_format": 2 }));
    files.json(".zattrs", &json!({ "multiscales": [multiscales] }));
    for (level, grid) in pyramid(finest) {
        zarr2::array(files, &format!("{level}/"), &grid, '/');
    }
}

/// Writes a pyramid as OME-Zarr 0.5.
pub(super) fn version_0_5(files: &mut Files, name: &str, finest: Grid, nanometres: u32) {
    let ome = json!({ "version": "0.5", "multiscales": [multiscales(name, nanometres)] });
    let group = json!({ "zarr_format": 3, "node_type": "group", "attributes": { "ome": ome } });
    files.json("zarr.json", &group);
    for (level, grid) in pyramid(finest) {
        zarr3::array(files, &format!("{level}/"), &grid, None, zarr3::Storage::Plain);
    }
}

fn pyramid(finest: Grid) -> impl Iterator<Item = (u8, Grid)> {
    let levels = std::iter::successors(Some(finest), |finer| Some(finer.halved()));
    (0..LEVELS).zip(levels)
}

/// A coarse voxel's centre lies between the centres that it covers.
fn multiscales(name: &str, nanometres: u32) -> Value {
    let micrometres = f64::from(nanometres) / 1000.0;
    let datasets: Vec<Value> = (0..LEVELS)
        .map(|level| {
            let step = f64::from(1_u16 << level);
            let (scale, shift) = (micrometres * step, micrometres * (step - 1.0) / 2.0);
            json!({ "path": level.to_string(), "coordinateTransformations": [
                { "type": "scale", "scale": vec![scale; 3] },
                { "type": "translation", "translation": vec![shift; 3] },
            ] })
        })
        .collect();
    let axes =
        ["z", "y", "x"].map(|axis| json!({ "name": axis, "type": "space", "unit": "micrometer" }));
    json!({ "name": name, "axes": axes, "datasets": datasets })
}
