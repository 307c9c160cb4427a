//! Reading files that a person names.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use zeroize::Zeroizing;

/// The most bytes that are read as a key.
const MAX_BYTES: usize = 64 * 1024;

/// Reads a PEM file, or standard input for `-`.
pub(super) fn read_pem(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES));
    let most = MAX_BYTES as u64;
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(most).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
