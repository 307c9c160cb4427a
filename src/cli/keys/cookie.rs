//! `edgemint keys cookie`: the keys that seal login cookies, or handoff tokens.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use clap::Args;

use crate::cli::Done;
use crate::cli::output::{note, say};
use crate::cookies::sealed::{CookieKey, CookieKeyError, CookieKeys, KEY_BYTES};
use crate::keystore::{KeystoreError, read_secret, write_secret};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The file that identity.login.cookie_keys_file or handoff.keys_file names; it is made if it is not
    /// there.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Put the new key second: it opens cookies, and seals none yet.
    #[arg(long, requires = "out", conflicts_with = "swap")]
    second: bool,
    /// Make no key: let the second one seal, and the first one only open.
    #[arg(long, requires = "out")]
    swap: bool,
}

/// What becomes of a file's keys.
struct Change {
    keys: CookieKeys,
    /// The key that opens nothing any more.
    dropped: Option<CookieKey>,
    /// What that does to sessions, and what comes next.
    said: String,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Done> {
    let Some(file) = &options.out else {
        say(&new_key()?.to_text());
        return Ok(Done::Yes);
    };
    let name = file.display();
    let former = former(file).map_err(|error| match error.downcast_ref() {
        // It says itself what is to be written there.
        Some(KeystoreError::NoFolder { .. }) => error,
        _ => error.context(format!("cannot read {name}")),
    })?;
    let change = match former {
        None if options.second || options.swap => {
            bail!("{name} holds no key yet; make the first: edgemint keys cookie --out {name}")
        }
        None => first(new_key()?)?,
        Some(former) if options.swap => swap(file, &former)?,
        Some(former) if options.second => put_second(file, &former, new_key()?)?,
        Some(former) => put_first(&former, new_key()?)?,
    };
    write_secret(file, change.keys.to_text().as_bytes())?;
    note(&format!("{name}: {}", change.said));
    if let Some(dropped) = &change.dropped {
        note(&format!(
            "The key {} is dropped: a session that it sealed and that is still open has to sign in \
             again. None is, where it has sealed nothing for as long as identity.login.lifetime",
            dropped.id()
        ));
    }
    Ok(Done::Yes)
}

fn new_key() -> anyhow::Result<CookieKey> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).ok().context("the machine gives no random numbers")?;
    Ok(CookieKey::new(bytes))
}

/// The keys that are there already. An empty file holds none.
fn former(file: &Path) -> anyhow::Result<Option<CookieKeys>> {
    let text = match read_secret(file) {
        Err(KeystoreError::NoSecret(_) | KeystoreError::EmptySecret(_)) => return Ok(None),
        read => read?,
    };
    match CookieKeys::parse(text.expose()) {
        Err(CookieKeyError::None) => Ok(None),
        parsed => Ok(Some(parsed?)),
    }
}

fn first(key: CookieKey) -> anyhow::Result<Change> {
    let said = format!("the key {} seals", key.id());
    Ok(Change { keys: CookieKeys::new(vec![key])?, dropped: None, said })
}

fn put_first(former: &CookieKeys, key: CookieKey) -> anyhow::Result<Change> {
    let said = format!(
        "the new key {} seals, and {} still opens what it sealed: its sessions stay open. The service \
         takes it when it reloads: systemctl reload edgemint\n\
         Where several instances have this file, one that has not got the new key yet signs people \
         out; there use --second and --swap",
        key.id(),
        former.first().id()
    );
    let keys = CookieKeys::new(vec![key, former.first().clone()])?;
    Ok(Change { keys, dropped: former.second().cloned(), said })
}

fn put_second(file: &Path, former: &CookieKeys, key: CookieKey) -> anyhow::Result<Change> {
    let said = format!(
        "the new key {} opens, and {} seals as before: its sessions stay open\n\
         Copy the file to every instance, and reload each: systemctl reload edgemint\n\
         Once all have: edgemint keys cookie --out {} --swap",
        key.id(),
        former.first().id(),
        file.display()
    );
    let keys = CookieKeys::new(vec![former.first().clone(), key])?;
    Ok(Change { keys, dropped: former.second().cloned(), said })
}

fn swap(file: &Path, former: &CookieKeys) -> anyhow::Result<Change> {
    let (name, first) = (file.display(), former.first());
    let Some(second) = former.second() else {
        bail!(
            "{name} has no second key to let seal; make one, and give it to every instance: edgemint \
             keys cookie --out {name} --second"
        )
    };
    let said = format!(
        "the key {} seals, and {} still opens what it sealed: its sessions stay open\n\
         Copy the file to every instance, and reload each: systemctl reload edgemint\n\
         Make the next key when identity.login.lifetime has passed from then",
        second.id(),
        first.id()
    );
    let keys = CookieKeys::new(vec![second.clone(), first.clone()])?;
    Ok(Change { keys, dropped: None, said })
}
