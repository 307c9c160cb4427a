use super::*;

fn text(data: &SampleData, path: &str) -> String {
    let object = data.get(Bucket::Data, path).expect(path);
    assert_eq!(object.content_type, "application/json");
    String::from_utf8(object.bytes.to_vec()).expect("metadata is text")
}

fn chunk(data: &SampleData, path: &str, level: u8, row: u8, column: u8) -> Vec<f32> {
    let object =
        data.get(Bucket::Data, &format!("{path}/{level}/{row}/{column}")).expect("a chunk");
    assert_eq!(object.content_type, "application/octet-stream");
    assert_eq!(object.bytes.len(), usize::from(CHUNK) * usize::from(CHUNK));
    object.bytes.iter().copied().map(f32::from).collect()
}

/// A chunk as the means of four pixels each of the four finer chunks under it.
fn mean_of_finer(data: &SampleData, path: &str, level: u8, row: u8, column: u8) -> Vec<f32> {
    let side = usize::from(CHUNK);
    let mut means = vec![0.0; side * side];
    for (down, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let finer = chunk(data, path, level - 1, 2 * row + down, 2 * column + right);
        for (at, value) in finer.iter().enumerate() {
            let y = usize::from(down) * side / 2 + at / side / 2;
            let x = usize::from(right) * side / 2 + at % side / 2;
            means[y * side + x] += value / 4.0;
        }
    }
    means
}

#[test]
fn the_group_says_what_it_is() {
    let data = SampleData::generate();
    for dataset in DATASETS {
        let group = text(&data, &format!("{}/.zgroup", dataset.path));
        assert_eq!(group, r#"{"zarr_format":2}"#);
        let attributes = text(&data, &format!("{}/.zattrs", dataset.path));
        let start = format!(
            r#"{{"multiscales":[{{"version":"0.4","name":"{}","axes":[{{"name":"y""#,
            dataset.name
        );
        assert!(attributes.starts_with(&start), "{attributes}");
        let coarsest = concat!(
            r#"{"path":"3","coordinateTransformations":[{"type":"scale","scale":[4,4]},"#,
            r#"{"type":"translation","translation":[1.75,1.75]}]}]}]}"#
        );
        assert!(attributes.ends_with(coarsest), "{attributes}");
    }
}

#[test]
fn an_array_says_how_it_is_cut() {
    let data = SampleData::generate();
    assert_eq!(
        text(&data, "/lab-b/cells.zarr/1/.zarray"),
        concat!(
            r#"{"zarr_format":2,"shape":[512,512],"chunks":[128,128],"dtype":"|u1","#,
            r#""compressor":null,"filters":null,"fill_value":0,"order":"C","#,
            r#""dimension_separator":"/"}"#
        )
    );
}

#[test]
fn every_chunk_has_a_slot_of_its_own() {
    let all = (0..LEVELS).flat_map(|level| (0..across(level)).map(move |row| (level, row)));
    let slots = all.flat_map(|(level, row)| (0..across(level)).map(move |c| slot(level, row, c)));
    assert_eq!(slots.collect::<Vec<_>>(), (0..CHUNKS).collect::<Vec<_>>());
}

#[test]
fn what_is_not_there_is_none() {
    let data = SampleData::generate();
    let paths = "/ /lab-a /lab-a/neurons.zarr /lab-a/neurons.zarr/ /lab-a/cells.zarr/.zattrs \
         /lab-a/neurons.zarr/4/.zarray /lab-a/neurons.zarr/0/8/0 /lab-a/neurons.zarr/3/0/1 \
         /lab-a/neurons.zarr/0/0 /lab-a/neurons.zarr/0/0/0/0 /lab-a/neurons.zarr/0/00/0 \
         /lab-a/neurons.zarr/0/+1/0 /lab-a/neurons.zarr/0/-1/0 lab-a/neurons.zarr/.zattrs";
    for path in paths.split(' ') {
        assert_eq!(data.get(Bucket::Data, path), None, "{path}");
    }
}

#[test]
fn a_path_is_taken_literally() {
    let data = SampleData::generate();
    for path in [
        "/lab-b/../lab-a/neurons.zarr/.zattrs",
        "/lab-a/neurons.zarr/../neurons.zarr/.zattrs",
        "/lab-a/neurons.zarr/./.zattrs",
        "/lab-a/neurons.zarr//.zattrs",
        "//lab-a/neurons.zarr/.zattrs",
        "/lab-a/neurons.zarr/%2e%2e/.zattrs",
        "/lab-a/neurons.zarr/0/../.zattrs",
        "/lab-a/neurons.zarr\\.zattrs",
    ] {
        assert_eq!(data.get(Bucket::Data, path), None, "{path}");
    }
}

#[test]
fn runs_agree_and_images_differ() {
    let (one, other) = (SampleData::generate(), SampleData::generate());
    let thumbs = DATASETS.map(|dataset| one.get(Bucket::Data, &format!("{}/3/0/0", dataset.path)));
    assert_eq!(
        thumbs,
        DATASETS.map(|dataset| other.get(Bucket::Data, &format!("{}/3/0/0", dataset.path)))
    );
    assert!(thumbs[0] != thumbs[1] && thumbs[1] != thumbs[2] && thumbs[0] != thumbs[2]);
}

#[test]
fn a_level_resembles_the_mean_of_the_finer_one() {
    let data = SampleData::generate();
    for dataset in DATASETS {
        for (level, row, column) in [(3, 0, 0), (2, 1, 0), (1, 1, 2)] {
            let coarse = chunk(&data, dataset.path, level, row, column);
            let means = mean_of_finer(&data, dataset.path, level, row, column);
            let apart = coarse.iter().zip(&means).map(|(one, other)| (one - other).abs());
            let apart = apart.sum::<f32>() / f32::from(CHUNK * CHUNK);
            assert!(apart < 10.0, "{} level {level}: {apart} of 255 apart", dataset.name);
        }
    }
}

#[test]
fn a_volume_is_in_its_own_bucket_and_nowhere_else() {
    let data = SampleData::generate();
    let about = data.get(Bucket::Archive, "/shared/specks.zarr/zarr.json").unwrap();
    assert_eq!(about.content_type, "application/json");
    for bucket in [Bucket::Data, Bucket::Public] {
        assert_eq!(data.get(bucket, "/shared/specks.zarr/zarr.json"), None, "{bucket:?}");
    }
    for path in ["/shared/specks.zarr", "/shared/specks.zarr/", "/shared/specks.zarr/c/9/9/9"] {
        assert_eq!(data.get(Bucket::Archive, path), None, "{path}");
    }
    let named = |volume: &Volume| VOLUMES.iter().filter(|one| one.name == volume.name).count();
    assert!(VOLUMES.iter().all(|volume| named(volume) == 1));
}
