//! A ring in a folder: a manifest, `ring.json`, and one `<key pair ID>.pem` per key.
//!
//! PEM files are written once, for their owner only. The manifest is replaced atomically, so that a
//! reader, or a machine that loses power, sees the old ring or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeystoreError;
use crate::signing::{KeyPairId, KeyRing, KeyState, PrivateKey, RingError, RingMember, SigningKey};

/// The manifest's file name.
pub const MANIFEST: &str = "ring.json";

/// Held while a ring is changed; never read.
const LOCK: &str = "ring.lock";

/// The extension of a file that is being written.
const BESIDE: &str = "new";

const VERSION: u32 = 1;

/// The most bytes of a file that is read here.
const MAX_FILE_BYTES: u64 = 64 * 1024;

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    keys: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    state: String,
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The key's ID.
    pub id: KeyPairId,
    /// `active` for the first key of a ring, `staged` for every further one.
    pub state: KeyState,
    /// The fingerprint of the public half.
    pub fingerprint: String,
}

/// Reads the ring in `folder`.
///
/// # Errors
/// [`KeystoreError`] names the file and what to do about it.
pub fn load(folder: &Path) -> Result<KeyRing, KeystoreError> {
    let ring = read_ring(|file| folder.join(file))?;
    ring.ok_or_else(|| KeystoreError::NoRing(folder.to_owned()))
}

/// Reads a ring among the credentials of a systemd unit: copies of the files of a folder that
/// `LoadCredential=<name>:<folder>` names, each called `<name>_<file>` (systemd.exec(5)).
///
/// # Errors
/// [`KeystoreError`] names the file and what to do about it.
pub fn load_credential(credentials: &Path, name: &str) -> Result<KeyRing, KeystoreError> {
    let ring = read_ring(|file| credentials.join(format!("{name}_{file}")))?;
    ring.ok_or_else(|| KeystoreError::NoCredential {
        name: name.to_owned(),
        folder: credentials.to_owned(),
    })
}

/// Reads a ring, unless there is no manifest; `path_of` tells where the file of a name is.
fn read_ring(path_of: impl Fn(&str) -> PathBuf) -> Result<Option<KeyRing>, KeystoreError> {
    let manifest = path_of(MANIFEST);
    let Some(members) = read_manifest(&manifest)? else { return Ok(None) };
    let ring_error = |source| KeystoreError::Ring { path: manifest.clone(), source };
    let id = KeyRing::active_id(&members).map_err(ring_error)?.clone();
    let key = Arc::new(read_key(&path_of(&format!("{id}.pem")))?);
    KeyRing::new(members, SigningKey { id, key }).map(Some).map_err(ring_error)
}

/// Adds a private key to the ring in `folder`, making the folder if it is not there.
///
/// # Errors
/// [`KeystoreError`] when the key is none, is published, or is already there.
pub fn import(folder: &Path, id: &KeyPairId, pem: &str) -> Result<Imported, KeystoreError> {
    let target = folder.join(format!("{id}.pem"));
    let key = PrivateKey::from_pem(pem)?;
    if key.public().is_published() {
        let source = RingError::Published(id.clone());
        return Err(KeystoreError::Ring { path: folder.join(MANIFEST), source });
    }
    // For the owner only is the folder of the keys; those above it are as the system makes them.
    folder.parent().map_or(Ok(()), fs::create_dir_all).map_err(at("cannot make", folder))?;
    let make = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    make.map_err(at("cannot make the folder", folder))?;
    // Two imports at once take turns, or one would forget the other's key.
    let lock = File::create(folder.join(LOCK)).map_err(at("cannot write", folder))?;
    lock.lock().map_err(at("cannot lock", folder))?;
    remove_leftovers(folder).map_err(at("cannot clean", folder))?;
    let mut members = read_manifest(&folder.join(MANIFEST))?.unwrap_or_default();
    if members.iter().any(|member| member.id == *id) {
        return Err(KeystoreError::Exists(id.to_string()));
    }
    let state = if members.is_empty() { KeyState::Active } else { KeyState::Staged };
    write_once(&target, pem.as_bytes())?;
    members.push(RingMember { id: id.clone(), state });
    write_manifest(folder, &members)?;
    Ok(Imported { id: id.clone(), state, fingerprint: key.public().fingerprint() })
}

fn read_manifest(path: &Path) -> Result<Option<Vec<RingMember>>, KeystoreError> {
    let text = match read_bounded(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(at("cannot read", path)(source)),
    };
    let wrong = |message: String| KeystoreError::Manifest { path: path.to_owned(), message };
    let manifest: Manifest = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    if manifest.version != VERSION {
        return Err(wrong(format!("version {} is not known, {VERSION} is", manifest.version)));
    }
    let member = |entry: Entry| -> Result<RingMember, KeystoreError> {
        let id = entry.id.parse().map_err(|e| wrong(format!("{:?}: {e}", entry.id)))?;
        let state = entry.state.parse().map_err(|e: RingError| wrong(e.to_string()))?;
        Ok(RingMember { id, state })
    };
    manifest.keys.into_iter().map(member).collect::<Result<_, _>>().map(Some)
}

fn read_key(path: &Path) -> Result<PrivateKey, KeystoreError> {
    let metadata = fs::metadata(path).map_err(at("cannot read", path))?;
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(KeystoreError::Exposed(path.to_owned()));
    }
    let pem = Zeroizing::new(read_bounded(path).map_err(at("cannot read", path))?);
    PrivateKey::from_pem(&pem)
        .map_err(|source| KeystoreError::Key { path: path.to_owned(), source })
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let size = fs::metadata(path)?.len();
    if size > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("{size} bytes, more than the {MAX_FILE_BYTES} read")));
    }
    fs::read_to_string(path)
}

/// Writes a file for its owner only, unless it is there: whole or not at all. A file with the same
/// content is what an import that was killed left behind, and is taken as written.
fn write_once(path: &Path, content: &[u8]) -> Result<(), KeystoreError> {
    let beside = write_beside(path, content).map_err(at("cannot write", path))?;
    let linked = fs::hard_link(&beside, path);
    let folder = path.parent().unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(at("cannot write", folder))?;
    let _ = fs::remove_file(&beside);
    match linked {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let existing = Zeroizing::new(fs::read(path).map_err(at("cannot read", path))?);
            let same = existing.as_slice() == content;
            if same { Ok(()) } else { Err(KeystoreError::Stray(path.to_owned())) }
        }
        Err(source) => Err(at("cannot write", path)(source)),
    }
}

fn write_manifest(folder: &Path, members: &[RingMember]) -> Result<(), KeystoreError> {
    let keys = members
        .iter()
        .map(|member| Entry { id: member.id.to_string(), state: member.state.to_string() })
        .collect();
    let path = folder.join(MANIFEST);
    let wrong = |e: serde_json::Error| KeystoreError::Manifest {
        path: path.clone(),
        message: e.to_string(),
    };
    let mut text =
        serde_json::to_string_pretty(&Manifest { version: VERSION, keys }).map_err(wrong)?;
    text.push('\n');
    replace(&path, text.as_bytes()).map_err(at("cannot write", &path))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(at("cannot write", folder))
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::rename(write_beside(path, content)?, path)
}

/// Removes what an import that was killed left half-written: it may hold a private key.
fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == BESIDE) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Writes a new file for its owner only, beside the one that it is to become.
fn write_beside(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let beside = path.with_extension(BESIDE);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(beside)
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeystoreError {
    let path: PathBuf = path.to_owned();
    move |source| KeystoreError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh_pem() -> String {
        let group =
            openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
        let key = openssl::pkey::PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap());
        String::from_utf8(key.unwrap().private_key_to_pem_pkcs8().unwrap()).unwrap()
    }

    fn id(text: &str) -> KeyPairId {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_import_is_active_and_the_next_is_staged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edgemint/keys");
        assert_eq!(import(&path, &id("K1"), &fresh_pem()).unwrap().state, KeyState::Active);
        assert_eq!(import(&path, &id("K2"), &fresh_pem()).unwrap().state, KeyState::Staged);
        let ring = load(&path).unwrap();
        assert_eq!(ring.active().id, id("K1"));
        assert_eq!(ring.members().len(), 2);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path.join("K1.pem")), 0o600);
        assert_eq!(mode(&path), 0o700);
        // As the system makes folders, whatever its mask.
        fs::create_dir(folder.path().join("another")).unwrap();
        assert_eq!(mode(path.parent().unwrap()), mode(&folder.path().join("another")));
    }

    #[test]
    fn keys_are_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let pem = fresh_pem();
        import(folder.path(), &id("K1"), &pem).unwrap();
        let again = import(folder.path(), &id("K1"), &fresh_pem());
        assert!(matches!(again, Err(KeystoreError::Exists(_))));
        assert_eq!(fs::read_to_string(folder.path().join("K1.pem")).unwrap(), pem);
        fs::write(folder.path().join("K2.pem"), "somebody else's").unwrap();
        assert!(matches!(
            import(folder.path(), &id("K2"), &fresh_pem()),
            Err(KeystoreError::Stray(_))
        ));
        let left = fs::read_to_string(folder.path().join("K2.pem")).unwrap();
        assert_eq!(left, "somebody else's");
    }

    #[test]
    fn imports_at_once_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::thread::scope(|scope| {
            for number in 0..6 {
                let path = &path;
                scope.spawn(move || {
                    import(path, &id(&format!("K{number}")), &fresh_pem()).unwrap();
                });
            }
        });
        let ring = load(&path).unwrap();
        assert_eq!(ring.members().len(), 6);
    }

    #[test]
    fn an_import_that_was_killed_between_its_two_writes_can_be_run_again() {
        let folder = tempfile::tempdir().unwrap();
        let pem = fresh_pem();
        write_once(&folder.path().join("K1.pem"), pem.as_bytes()).unwrap();
        assert_eq!(import(folder.path(), &id("K1"), &pem).unwrap().state, KeyState::Active);
    }

    #[test]
    fn the_published_keys_are_refused_on_the_way_in_and_out() {
        let folder = tempfile::tempdir().unwrap();
        let pem = include_str!("../../keys-example/rsa-2048.private.pem");
        let error = import(folder.path(), &id("K1"), pem).unwrap_err().to_string();
        assert!(error.contains("keys-example"), "{error}");
        write_once(&folder.path().join("K1.pem"), pem.as_bytes()).unwrap();
        write_manifest(folder.path(), &[RingMember { id: id("K1"), state: KeyState::Active }])
            .unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("keys-example"), "{error}");
    }

    #[test]
    fn what_cannot_sign_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = |path: &Path| load(path).unwrap_err().to_string();
        assert!(error(folder.path()).contains("edgemint keys import"));
        fs::write(folder.path().join(MANIFEST), r#"{"version":9,"keys":[]}"#).unwrap();
        assert!(error(folder.path()).contains("version 9"));
        fs::write(folder.path().join(MANIFEST), r#"{"version":1,"keys":[]}"#).unwrap();
        assert!(error(folder.path()).contains("exactly one key"));
        let one = r#"{"version":1,"keys":[{"id":"../../etc/passwd","state":"active"}]}"#;
        fs::write(folder.path().join(MANIFEST), one).unwrap();
        assert!(error(folder.path()).contains("letters and digits"));
        let one = r#"{"version":1,"keys":[{"id":"K1","state":"active"}]}"#;
        fs::write(folder.path().join(MANIFEST), one).unwrap();
        assert!(error(folder.path()).contains("K1.pem"));
        write_once(&folder.path().join("K1.pem"), b"nonsense").unwrap();
        assert!(error(folder.path()).contains("no PEM block"));
        fs::set_permissions(folder.path().join("K1.pem"), fs::Permissions::from_mode(0o644))
            .unwrap();
        assert!(error(folder.path()).contains("chmod 600"));
    }

    #[test]
    fn a_ring_is_read_from_the_credentials_of_a_unit() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        import(&path("keys"), &id("K1"), &fresh_pem()).unwrap();
        let credentials = path("credentials");
        fs::create_dir(&credentials).unwrap();
        let error = |name: &str| load_credential(&credentials, name).unwrap_err().to_string();
        assert!(error("keys").contains("LoadCredential=keys:"), "{}", error("keys"));
        let copy = |file: &str| {
            fs::copy(path("keys").join(file), credentials.join(format!("keys_{file}")))
        };
        copy(MANIFEST).unwrap();
        assert!(error("keys").contains("keys_K1.pem"), "{}", error("keys"));
        copy("K1.pem").unwrap();
        assert_eq!(load_credential(&credentials, "keys").unwrap().active().id, id("K1"));
        assert!(error("other").contains("other_ring.json"), "{}", error("other"));
    }
}
