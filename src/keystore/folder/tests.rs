use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::files::BESIDE;
use super::*;
use crate::signing::{KeyKind, KeyState, generate_pem};

const NOW: EpochSeconds = EpochSeconds(1_800_000_000);

fn fresh_pem() -> String {
    generate_pem(KeyKind::P256).unwrap().to_string()
}

fn fingerprint(pem: &str) -> Fingerprint {
    PrivateKey::from_pem(pem).unwrap().fingerprint().clone()
}

fn id(text: &str) -> KeyPairId {
    text.parse().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_import_is_active_and_the_next_is_staged() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().join("edgemint/keys"));
    let pem = fresh_pem();
    assert_eq!(folder.import(&id("K1"), &pem, NOW).unwrap().state, KeyState::Active);
    assert_eq!(folder.import(&id("K2"), &fresh_pem(), NOW).unwrap().state, KeyState::Staged);
    let loaded = folder.load().unwrap();
    assert_eq!(loaded.active.id, id("K1"));
    assert_eq!(loaded.ring.members().len(), 2);
    for file in [folder.key_file(&fingerprint(&pem)), folder.manifest(), folder.path().join(LOCK)] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(folder.path()), 0o700);
    // As the system makes folders, whatever its mask.
    fs::create_dir(root.path().join("another")).unwrap();
    assert_eq!(mode(folder.path().parent().unwrap()), mode(&root.path().join("another")));
}

#[test]
fn keys_are_never_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path());
    let (pem, other) = (fresh_pem(), fresh_pem());
    folder.import(&id("K1"), &pem, NOW).unwrap();
    assert!(folder.import(&id("K1"), &other, NOW).is_err());
    assert!(folder.import(&id("K2"), &pem, NOW).is_err());
    assert_eq!(fs::read_to_string(folder.key_file(&fingerprint(&pem))).unwrap(), pem);
    let foreign = folder.key_file(&fingerprint(&other));
    fs::write(&foreign, fresh_pem()).unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o600)).unwrap();
    let before = fs::read_to_string(&foreign).unwrap();
    let error = folder.import(&id("K2"), &other, NOW).unwrap_err();
    assert!(matches!(error, KeystoreError::OtherKey { .. }), "{error}");
    assert_eq!(fs::read_to_string(&foreign).unwrap(), before);
}

#[test]
fn of_two_changes_to_one_revision_exactly_one_is_made() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path());
    folder.import(&id("K1"), &fresh_pem(), NOW).unwrap();
    let seen = folder.read().unwrap();
    let made = std::thread::scope(|scope| {
        let change = |digit: &str| {
            let (folder, seen) = (&folder, &seen);
            let key: Fingerprint = digit.repeat(64).parse().unwrap();
            scope.spawn(move || folder.write(&seen.ring.begin(&key, NOW).unwrap(), seen.revision))
        };
        let changes: Vec<_> = ["1", "2", "3", "4"].map(change).into_iter().collect();
        changes.into_iter().map(|change| change.join().unwrap()).collect::<Vec<_>>()
    });
    let won: Vec<_> = made.iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert_eq!(folder.read().unwrap(), *won[0]);
    for lost in made.iter().filter_map(|made| made.as_ref().err()) {
        assert!(matches!(lost, KeystoreError::Conflict(_)), "{lost}");
    }
}

#[test]
fn an_import_that_was_killed_between_its_two_writes_can_be_run_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path());
    let pem = fresh_pem();
    folder.put_key(&fingerprint(&pem), &pem).unwrap();
    assert_eq!(folder.import(&id("K1"), &pem, NOW).unwrap().state, KeyState::Active);
}

#[test]
fn what_was_half_written_is_removed_by_the_next_change() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path());
    let pem = fresh_pem();
    let half = folder.key_file(&fingerprint(&pem)).with_extension(BESIDE);
    fs::write(&half, &pem[..100]).unwrap();
    folder.import(&id("K1"), &pem, NOW).unwrap();
    assert!(!half.exists());
    assert_eq!(folder.keys().unwrap().len(), 1);
}

#[test]
fn nothing_but_what_was_half_written_here_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path());
    let other = "0123456789abcdef".repeat(4);
    let others = ["notes.new", "ring.json.new", "0123.new", "key.pem"].map(|n| root.path().join(n));
    for path in &others {
        fs::write(path, "somebody's own").unwrap();
    }
    let half = root.path().join("ring.new");
    fs::write(&half, "{").unwrap();
    let named_alike = root.path().join(other).with_extension(BESIDE);
    fs::create_dir(&named_alike).unwrap();
    folder.import(&id("K1"), &fresh_pem(), NOW).unwrap();
    assert!(!half.exists() && named_alike.is_dir());
    for path in &others {
        assert!(path.exists(), "{}", path.display());
    }
}

#[test]
fn a_folder_that_others_may_change_is_refused_before_anything_is_read_or_written() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().join("keys"));
    let pem = fresh_pem();
    folder.import(&id("K1"), &pem, NOW).unwrap();
    let names = || fs::read_dir(folder.path()).unwrap().count();
    let before = names();
    for bits in [0o770, 0o720, 0o702, 0o777, 0o1777] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(bits)).unwrap();
        for error in [
            folder.load().unwrap_err(),
            folder.read().unwrap_err(),
            folder.key(&fingerprint(&pem)).unwrap_err(),
            folder.keys().unwrap_err(),
            folder.import(&id("K2"), &fresh_pem(), NOW).unwrap_err(),
            folder.put_key(&fingerprint(&pem), &pem).unwrap_err(),
            folder.write(&KeyRing::default(), 1).unwrap_err(),
            folder.destroy_key(&fingerprint(&pem)).unwrap_err(),
        ] {
            let mend = format!("run: chmod go-w {}", folder.path().display());
            assert!(error.to_string().contains(&mend), "{bits:o}: {error}");
        }
        assert_eq!(names(), before);
    }
    for bits in [0o750, 0o755, 0o700, 0o500] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(bits)).unwrap();
        assert_eq!(folder.load().unwrap().active.id, id("K1"), "{bits:o}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn files_that_others_may_change_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().join("keys"));
    let pem = fresh_pem();
    folder.import(&id("K1"), &pem, NOW).unwrap();
    let refused = |path: &Path, bits: u32, expected: &str| {
        fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
        let error = folder.load().unwrap_err().to_string();
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(error.contains(expected), "{bits:o}: {error}");
        assert!(folder.load().is_ok(), "a group may read it");
    };
    for bits in [0o660, 0o620, 0o604, 0o602, 0o601] {
        refused(&folder.key_file(&fingerprint(&pem)), bits, "chmod 600");
    }
    for bits in [0o660, 0o620, 0o602, 0o666] {
        refused(&folder.manifest(), bits, "chmod go-w");
    }
}

#[test]
fn only_regular_files_and_links_to_them_are_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().join("keys"));
    let pem = fresh_pem();
    folder.import(&id("K1"), &pem, NOW).unwrap();
    for path in [folder.manifest(), folder.key_file(&fingerprint(&pem))] {
        let aside = root.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        let refused = || {
            let error = folder.load().unwrap_err().to_string();
            assert!(error.contains("not a regular file"), "{error}");
        };
        // It would be waited for until somebody writes.
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        refused();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused();
        fs::remove_dir(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        refused();
        fs::remove_file(&path).unwrap();
        symlink(&aside, &path).unwrap();
        assert_eq!(folder.load().unwrap().active.id, id("K1"));
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
}

#[test]
fn a_change_is_never_begun_through_a_link() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().join("keys"));
    fs::DirBuilder::new().mode(0o700).create(folder.path()).unwrap();
    let target = root.path().join("not-made");
    symlink(&target, folder.path().join(LOCK)).unwrap();
    let error = folder.import(&id("K1"), &fresh_pem(), NOW).unwrap_err().to_string();
    assert!(error.contains(LOCK), "{error}");
    assert!(!target.exists());
    assert!(folder.read().unwrap().ring.members().is_empty());
}

#[test]
fn the_greatest_revision_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path());
    folder.import(&id("K1"), &fresh_pem(), NOW).unwrap();
    let error = folder.write(&KeyRing::default(), u64::MAX).unwrap_err();
    assert!(matches!(error, KeystoreError::Conflict(_)), "{error}");
    let text = fs::read_to_string(folder.manifest()).unwrap();
    let greatest = format!("\"revision\": {}", u64::MAX);
    let damaged = text.replace("\"revision\": 1", &greatest);
    assert!(damaged.contains(&greatest));
    fs::write(folder.manifest(), damaged).unwrap();
    let error = folder.write(&KeyRing::default(), u64::MAX).unwrap_err().to_string();
    assert!(error.contains("is no count of changes"), "{error}");
}

#[test]
fn a_destroyed_key_is_gone_and_may_be_destroyed_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path());
    let pem = fresh_pem();
    let key = fingerprint(&pem);
    folder.put_key(&key, &pem).unwrap();
    assert_eq!(folder.keys().unwrap()[0].fingerprint, key);
    folder.destroy_key(&key).unwrap();
    folder.destroy_key(&key).unwrap();
    assert!(folder.keys().unwrap().is_empty());
}

#[test]
fn the_published_keys_are_refused_on_the_way_in_and_out() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path());
    let pem = include_str!("../../../keys-example/rsa-2048.private.pem");
    let error = folder.import(&id("K1"), pem, NOW).unwrap_err().to_string();
    assert!(error.contains("keys-example"), "{error}");
    let key = fingerprint(pem);
    folder.put_key(&key, pem).unwrap();
    let ring = KeyRing::default().stage(&id("K1"), &key, NOW, NOW).unwrap();
    folder.write(&ring.promote(&id("K1"), NOW).unwrap(), 0).unwrap();
    let error = folder.load().unwrap_err().to_string();
    assert!(error.contains("keys-example"), "{error}");
}

#[test]
fn what_cannot_sign_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path());
    let error = || folder.load().unwrap_err().to_string();
    assert!(error().contains("edgemint keys import"), "{}", error());
    folder.write(&KeyRing::default(), 0).unwrap();
    fs::write(folder.manifest(), r#"{"version":9,"keys":[]}"#).unwrap();
    assert!(error().contains("version 9"), "{}", error());
    fs::write(folder.manifest(), r#"{"version":2,"revision":1,"keys":[]}"#).unwrap();
    assert!(error().contains("edgemint keys rotate"), "{}", error());
    fs::remove_file(folder.manifest()).unwrap();
    let pem = fresh_pem();
    folder.import(&id("K1"), &pem, NOW).unwrap();
    let file = folder.key_file(&fingerprint(&pem));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(error().contains("chmod 600"), "{}", error());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "nonsense").unwrap();
    assert!(error().contains("no PEM block"), "{}", error());
    fs::write(&file, fresh_pem()).unwrap();
    assert!(error().contains("another key"), "{}", error());
    fs::remove_file(&file).unwrap();
    assert!(error().contains(&format!("{}.pem", fingerprint(&pem))), "{}", error());
}

#[test]
fn a_ring_is_read_from_the_credentials_of_a_unit() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().join("keys"));
    let pem = fresh_pem();
    folder.import(&id("K1"), &pem, NOW).unwrap();
    let credentials = root.path().join("credentials");
    fs::DirBuilder::new().mode(0o700).create(&credentials).unwrap();
    let load =
        |name: &str| Credential { folder: credentials.clone(), name: name.to_owned() }.load();
    let error = |name: &str| load(name).unwrap_err().to_string();
    assert!(error("keys").contains("LoadCredential=keys:"), "{}", error("keys"));
    let copy = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        fs::copy(path, credentials.join(format!("keys_{name}"))).unwrap();
    };
    copy(folder.manifest());
    assert!(error("keys").contains("keys_"), "{}", error("keys"));
    copy(folder.key_file(&fingerprint(&pem)));
    // As systemd makes them, with or without access lists.
    for (bits, file_bits) in [(0o500, 0o400), (0o550, 0o440)] {
        for entry in fs::read_dir(&credentials).unwrap() {
            let mode = fs::Permissions::from_mode(file_bits);
            fs::set_permissions(entry.unwrap().path(), mode).unwrap();
        }
        fs::set_permissions(&credentials, fs::Permissions::from_mode(bits)).unwrap();
        assert_eq!(load("keys").unwrap().active.id, id("K1"));
    }
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(load("keys").unwrap().active.id, id("K1"));
    assert!(error("other").contains("other_ring.json"), "{}", error("other"));
}
