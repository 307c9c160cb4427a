use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink,
};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use edgemint::keystore::{Folder, KeystoreError};
use edgemint::signing::{KeyKind, generate_pem};
use tempfile::TempDir;

/// Whom the folder belongs to. Nobody has these IDs, and none is needed.
const SERVICE: u32 = 47_110;
const GROUP: u32 = 47_111;
const ANOTHER: u32 = 47_112;
const ROOT: u32 = 0;

/// The program where every user can run it, and a service's folder of keys.
struct Place {
    root: TempDir,
    keys: PathBuf,
}

impl Place {
    fn new(mode: u32) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_edgemint"), root.path().join("edgemint")).unwrap();
        let keys = root.path().join("keys");
        DirBuilder::new().mode(0o700).create(&keys).unwrap();
        fs::set_permissions(&keys, Permissions::from_mode(mode)).unwrap();
        chown(&keys, Some(SERVICE), Some(GROUP)).unwrap();
        Self { root, keys }
    }

    fn keys_as(&self, user: u32, arguments: &[&str]) -> Output {
        let source = format!("dir:{}", self.keys.display());
        let group = if user == SERVICE { GROUP } else { user };
        Command::new(self.root.path().join("edgemint"))
            .args(["keys", arguments[0], "--source", &source])
            .args(&arguments[1..])
            .current_dir(self.root.path())
            .env_clear()
            .uid(user)
            .gid(group)
            .output()
            .unwrap()
    }

    fn import_as(&self, user: u32, id: &str) -> Output {
        let pem = self.root.path().join(format!("{id}.pem"));
        fs::write(&pem, generate_pem(KeyKind::P256).unwrap().as_bytes()).unwrap();
        fs::set_permissions(&pem, Permissions::from_mode(0o644)).unwrap();
        self.keys_as(user, &["import", "--key-pair-id", id, &pem.display().to_string()])
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(&self.keys).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

fn owner(path: &Path) -> (u32, u32, u32) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
}

#[test]
#[ignore = "acts as several users, which needs root: make test runs it as root"]
fn what_root_writes_the_service_can_read_and_change() {
    let place = Place::new(0o700);
    done(&place.import_as(ROOT, "K1"));
    assert_eq!(place.files().len(), 3, "a lock, a manifest, a key");
    for file in place.files() {
        assert_eq!(owner(&file), (SERVICE, GROUP, 0o600), "{}", file.display());
    }
    assert_eq!(owner(&place.keys), (SERVICE, GROUP, 0o700));
    done(&place.import_as(SERVICE, "K2"));
    done(&place.import_as(ROOT, "K3"));
    let listed = done(&place.keys_as(SERVICE, &["list"]));
    assert!(["K1", "K2", "K3"].iter().all(|id| listed.contains(id)), "{listed}");
    for file in place.files() {
        assert_eq!(owner(&file), (SERVICE, GROUP, 0o600), "{}", file.display());
    }
}

#[test]
#[ignore = "acts as several users, which needs root: make test runs it as root"]
fn whoever_is_neither_owner_nor_root_is_refused_before_anything_is_written() {
    for mode in [0o700, 0o755] {
        let place = Place::new(mode);
        for imported in [false, true] {
            if imported {
                done(&place.import_as(SERVICE, "K1"));
            }
            let before = place.files();
            let refused = place.import_as(ANOTHER, "K2");
            assert!(!refused.status.success());
            let expected = format!("belongs to the user with the ID {SERVICE}");
            assert!(said(&refused).contains(&expected), "{mode:o}: {}", said(&refused));
            assert!(said(&refused).contains("or as root"), "{}", said(&refused));
            assert_eq!(place.files(), before);
        }
    }
}

#[test]
#[ignore = "acts as several users, which needs root: make test runs it as root"]
fn a_file_that_somebody_else_has_put_there_is_refused() {
    let place = Place::new(0o700);
    done(&place.import_as(SERVICE, "K1"));
    let folder = Folder::new(&place.keys);
    for file in place.files().into_iter().filter(|file| !file.ends_with("ring.lock")) {
        chown(&file, Some(ANOTHER), None).unwrap();
        let error = folder.load().unwrap_err();
        assert!(matches!(error, KeystoreError::Foreign { user: ANOTHER, .. }), "{error}");
        assert!(error.to_string().contains("chown --reference="), "{error}");
        for allowed in [ROOT, SERVICE] {
            chown(&file, Some(allowed), None).unwrap();
            assert!(folder.load().is_ok(), "{allowed}");
        }
    }
}

#[test]
#[ignore = "acts as several users, which needs root: make test runs it as root"]
fn root_gives_away_nothing_that_the_service_points_it_to() {
    let place = Place::new(0o700);
    let secret = place.root.path().join("secret");
    fs::write(&secret, "root's own").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    for name in ["ring.lock", "ring.new"] {
        let link = place.keys.join(name);
        symlink(&secret, &link).unwrap();
        let refused = place.import_as(ROOT, "K1");
        assert!(!refused.status.success() && said(&refused).contains(name), "{}", said(&refused));
        assert_eq!(owner(&secret), (ROOT, 0, 0o600));
        assert_eq!(fs::read_to_string(&secret).unwrap(), "root's own");
        fs::remove_file(&link).unwrap();
    }
    done(&place.import_as(ROOT, "K1"));
}
