//! TensorStore and `zarr` read the demo's volumes, and find what was drawn.

use std::fs;
use std::path::Path;

use edgemint::demo::sample::{Content, Format, Grid, VOLUMES, Volume};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::tools::Tool;

#[test]
fn each_volume_holds_the_voxels_that_were_drawn() {
    let mut reader = Tool::python("volumes.py");
    let mut drawn_before: Vec<(Content, Grid)> = Vec::new();
    for volume in VOLUMES {
        let before = drawn_before.iter().find(|(content, _)| *content == volume.content);
        let finest = before.map_or_else(|| volume.content.draw(), |(_, grid)| grid.clone());
        drawn_before.push((volume.content, finest.clone()));
        let folder = tempfile::tempdir().unwrap();
        let objects = write(&volume, finest.clone(), folder.path());
        for (level, grid) in levels(&volume, finest) {
            let asked = json!({
                "folder": folder.path().join(&level),
                "scheme": volume.format.scheme(),
            });
            let found = &reader.ask_all::<Value>(&[asked])[0];
            let drawn = drawn(&grid);
            assert_eq!(found["tensorstore"], drawn, "{} {level}", volume.name);
            if volume.format.scheme() != "precomputed" {
                assert_eq!(found["zarr"], drawn, "{} {level}", volume.name);
            }
        }
        if volume.format == Format::Zarr3Sparse {
            assert!((2..30).contains(&objects), "{objects} of 49 objects: it is not sparse");
        }
    }
}

/// Writes the objects as files, and returns how many there are.
fn write(volume: &Volume, finest: Grid, folder: &Path) -> usize {
    let objects = volume.objects(finest);
    for (key, object) in &objects {
        let path = folder.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &object.bytes).unwrap();
    }
    objects.len()
}

/// Where each level lies in its volume, and what was drawn there.
fn levels(volume: &Volume, finest: Grid) -> Vec<(String, Grid)> {
    match volume.format {
        Format::Ome04 | Format::Ome05 => {
            let [half, quarter] = [finest.halved(), finest.halved().halved()];
            let levels = [finest, half, quarter].into_iter().enumerate();
            levels.map(|(level, grid)| (level.to_string(), grid)).collect()
        }
        _ => vec![(String::new(), finest)],
    }
}

fn drawn(grid: &Grid) -> Value {
    let digest = format!("{:x}", Sha256::digest(&grid.bytes));
    let [x, y, z] = grid.size;
    let data_type = if grid.width == 1 { "uint8" } else { "uint32" };
    json!({ "shape": [z, y, x], "type": data_type, "sha256": digest })
}
