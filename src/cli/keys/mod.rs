//! `edgemint keys`: the keys that sign, from the first to the last day of each.

mod change;
mod cookie;
mod import;
mod list;
mod options;
mod report;

use clap::Subcommand;

use self::options::Common;
use super::Done;
use crate::rotation::RotationError;
use crate::signing::KeyKind;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Replace the key that signs, from beginning to end, without losing a request.
    ///
    /// Looks at every side, makes a key, publishes it, tries it on a real object through the edge,
    /// lets it sign, waits until every instance follows, and says when the old key can be retired.
    /// What is due from an earlier rotation is retired first.
    ///
    /// It can be stopped at any moment, by Ctrl-C or kill -9, and be run again: it goes on where it
    /// was, and makes no second key. On a schedule, once a day:
    ///
    ///   edgemint keys rotate --if-older-than 30d
    #[command(verbatim_doc_comment)]
    Rotate(change::Rotate),
    /// Show every key: its state, its age, where each half is, and what should be seen to.
    List(list::Options),
    /// Take a stolen key out of use, now. Every cookie that it signed stops working.
    ///
    /// The key group loses it in the same call that adds the one that takes over. Says first for how
    /// many minutes of cookies that is the end, and asks.
    ///
    /// A new key takes over, never one that lay beside the stolen one. If the thief may have those too,
    /// it says which they are: revoke ID, or retire FINGERPRINT.
    Revoke(change::Revoke),
    /// Let a staged key sign; or a retiring one again, which undoes a rotation.
    Promote(change::Promote),
    /// Take an old key out of the key group and destroy it, once its last cookie has expired.
    Retire(change::Retire),
    /// Make a private key and store it. Nothing signs with it, and nobody trusts it yet.
    Generate(change::Generate),
    /// Give a stored key's public half to CloudFront, and put it into the ring as staged.
    Stage(change::Stage),
    /// Add a private key that was made elsewhere: a ring's first key signs, a further one waits.
    ///
    /// Make the key and give its public half to CloudFront first, which tells the ID:
    ///
    ///   openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem
    ///   openssl pkey -in key.pem -pubout
    #[command(verbatim_doc_comment)]
    Import(import::Options),
    /// Make or rotate the key that seals the login cookies of edgemint's own sign-in.
    ///
    /// It has nothing to do with the ring. The file holds two keys at most: the first one seals, and
    /// both open. Without --out a key is only printed.
    ///
    /// One instance:
    ///
    ///   edgemint keys cookie --out FILE            the new key is first, the former one second
    ///   systemctl reload edgemint
    ///
    /// Several instances have one and the same file. Make it once, and copy it:
    ///
    ///   edgemint keys cookie --out FILE --second   the new key is second: it opens
    ///   copy FILE to every instance, reload each, and wait until all have
    ///   edgemint keys cookie --out FILE --swap     the new key is first: it seals
    ///   copy FILE to every instance, and reload each
    ///
    /// The key that was second before is dropped by the first command, and with it the sessions that it
    /// sealed. Rotate no sooner than identity.login.lifetime after the last time, and there are none.
    #[command(verbatim_doc_comment)]
    Cookie(cookie::Options),
}

/// What `edgemint keys --help` ends with.
pub(super) const HELP: &str = "\
A key's life:

  generate       stage             promote                            retire
  ──────────► (stored) ──────► staged ──────► active ──────► retiring ──────► retired
                               trusted,       signs          trusted until    destroyed
                               signs nothing                 its last cookie
                                                             has expired

Look         edgemint keys list              every key, and what to see to
             edgemint keys list --check      the same; exit code 1 if there is anything
Routine      edgemint keys rotate            all of the above; waits for edge and instances
             edgemint keys rotate --wait     and for the old key's last cookie
             edgemint keys rotate --dry-run  only says what it would do
Schedule     edgemint keys rotate --if-older-than 30d
Interrupted  edgemint keys rotate            again: it goes on where it was
Roll back    edgemint keys promote OLD-ID    while the old key is retiring
Stolen       edgemint keys revoke ID         now; browsers get cookies of another key
By hand      edgemint keys rotate --manual   says what to paste into CloudFront's console

Exit codes: 0 done; 1 not yet, run it again (with list --check: something to see to);
2 usage, configuration, or something refused.

The configuration's [keys] and [rotation] say where keys are, which key group trusts them,
which object they are tried on, and which instances must follow. docs/ROTATION.md is the
runbook.";

pub(super) fn run(action: &Action) -> anyhow::Result<Done> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match action {
            Action::Rotate(options) => change::rotate(options).await,
            Action::List(options) => list::run(options).await,
            Action::Revoke(options) => change::revoke(options).await,
            Action::Promote(options) => change::promote(options).await,
            Action::Retire(options) => change::retire(options).await,
            Action::Generate(options) => change::generate(options).await,
            Action::Stage(options) => change::stage(options).await,
            Action::Import(options) => import::run(options).await,
            Action::Cookie(options) => cookie::run(options),
        }
    });
    match outcome {
        Ok(done) => Ok(done),
        Err(error) if error.downcast_ref::<RotationError>().is_some_and(report::is_not_yet) => {
            report::not_yet(&error, action.is_json());
            Ok(Done::No)
        }
        Err(error) => {
            if action.is_json() {
                report::failed(&error);
            }
            Err(error)
        }
    }
}

impl Action {
    const fn is_json(&self) -> bool {
        let common: &Common = match self {
            Self::Cookie(_) => return false,
            Self::Rotate(options) => &options.common,
            Self::List(options) => &options.common,
            Self::Revoke(options) => &options.common,
            Self::Promote(options) => &options.common,
            Self::Retire(options) => &options.common,
            Self::Generate(options) => &options.common,
            Self::Stage(options) => &options.common,
            Self::Import(options) => &options.common,
        };
        common.json
    }
}

/// The kind of a new key, as it is written on the command line.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Kind {
    /// RSA-2048.
    #[default]
    Rsa,
    /// ECDSA on P-256: shorter cookies, and far less work to sign.
    P256,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Rsa => Self::Rsa,
            Kind::P256 => Self::P256,
        }
    }
}
