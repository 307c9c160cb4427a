//! Zarr version 2: one array, each chunk an object named by its place, such as `0.3.2`.
//!
//! Source: the Zarr storage specification, version 2. `_ARRAY_DIMENSIONS` is xarray's.

use serde_json::json;

use super::Files;
use super::grid::{Grid, corner, places};

/// Writes an array under `prefix`, its axes in the order z, y, x; `between` separates the numbers
/// of a chunk's name.
pub(super) fn array(files: &mut Files, prefix: &str, grid: &Grid, between: char) {
    let chunk = super::chunk_of(grid);
    let [x, y, z] = grid.size;
    let about = json!({
        "zarr_format": 2,
        "shape": [z, y, x],
        "chunks": [chunk[2], chunk[1], chunk[0]],
        "dtype": if grid.width == 1 { "|u1" } else { "<u4" },
        "compressor": null,
        "filters": null,
        "fill_value": 0,
        "order": "C",
        "dimension_separator": between.to_string(),
    });
    files.json(&format!("{prefix}.zarray"), &about);
    files.json(&format!("{prefix}.zattrs"), &json!({ "_ARRAY_DIMENSIONS": ["z", "y", "x"] }));
    for place in places(grid.size, chunk) {
        let [x, y, z] = place;
        let voxels = grid.cut(corner(place, chunk), chunk);
        files.bytes(&format!("{prefix}{z}{between}{y}{between}{x}"), voxels);
    }
}
