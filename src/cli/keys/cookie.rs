//! `edgemint keys cookie`: a key that seals login cookies.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use clap::Args;
use zeroize::Zeroizing;

use crate::cli::Done;
use crate::cli::output::{note, say};
use crate::cookies::sealed::{CookieKey, CookieKeys, KEY_BYTES};
use crate::keystore::{KeystoreError, read_secret, write_secret};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The file that identity.login.cookie_keys_file names; it is made if it is not there.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Done> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).ok().context("the machine gives no random numbers")?;
    let key = CookieKey::new(bytes);
    let Some(file) = &options.out else {
        say(&key.to_text());
        return Ok(Done::Yes);
    };
    let former = former(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut text = Zeroizing::new(format!("{}\n", *key.to_text()));
    if let Some(former) = &former {
        text.push_str(&former.first().to_text());
        text.push('\n');
    }
    write_secret(file, text.as_bytes())?;
    note(&match former {
        Some(_) => format!(
            "{}: a new key seals, and what the former one sealed is still opened. Running services take \
             it when they reload: systemctl reload edgemint",
            file.display()
        ),
        None => format!("{}: a key that seals login cookies", file.display()),
    });
    Ok(Done::Yes)
}

/// The keys that are there already.
fn former(file: &Path) -> anyhow::Result<Option<CookieKeys>> {
    match read_secret(file) {
        Ok(text) => Ok(Some(CookieKeys::parse(text.expose())?)),
        Err(KeystoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
