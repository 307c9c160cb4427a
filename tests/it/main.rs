//! One test binary: what belongs where.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// The attacks that docs/THREATS.md lists, by number.
mod attacks;
/// An AWS that answers what it is told to, alone or in front of another.
mod aws_endpoint;
/// Behind a load balancer and a user pool that others wrote.
mod balancer;
/// Behind nginx and Apache httpd, as deploy/ sets them up.
mod beside;
/// The demo in a real browser.
mod browser;
/// The service follows its viewer bundles.
mod bundle_following;
/// Viewer bundles in a bucket.
mod bundle_s3;
/// The edge of the program: arguments, exit codes, what is printed.
mod cli;
/// Scripts of other origins, without a socket.
mod cors;
/// Every key of the configuration stands in its reference, and every example is right.
mod docs;
/// `deploy/eventbridge/`: the template, and the command that it schedules.
mod eventbridge;
/// The service follows its key ring, in a folder and in Parameter Store.
mod following;
/// Every signed front but the load balancer, without a socket.
mod fronts;
/// What the fuzz targets assert, over their corpus.
mod fuzz_corpus;
/// The fuzz targets themselves.
#[expect(unreachable_pub, reason = "in fuzz/ they are a library")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz_targets;
/// Data hosts that set their own cookies.
mod handoff;
/// What every answer says to a browser, on every route.
mod harden;
/// `deploy/iam/`: linted, as large as the code needs and no larger, and used as written.
mod iam;
/// The shim and the policy in pages, as a browser reads them.
mod injection;
/// Which instances of the service there are, and what they sign with.
mod instances;
/// A browser's cookie jar, as the standard has it.
mod jar;
/// Tokens with invented key IDs, at the program itself.
mod key_flood;
/// Public keys and the key group in CloudFront.
mod key_group;
/// Dependencies between modules, and what the core may not use.
mod layering;
/// Limits and timeouts, on real connections.
mod limits;
/// An AWS on this machine.
mod ministack;
/// Mints tokens in the dialect of any signed front.
mod minter;
/// AWS's own signers sign the same bytes, and verify ours.
mod oracle_signing;
/// AWS's own verifier accepts and refuses the tokens that we do.
mod oracle_tokens;
/// Foreign readers find in the demo's volumes what was drawn.
mod oracle_volumes;
/// A folder of keys that belongs to another user than who runs the program.
mod others_folder;
/// Floods of connections, bytes and frames.
mod overload;
/// Rings in Parameter Store.
mod parameter_store;
/// Ports for programs that tests start.
mod ports;
/// The program as a process, and what it needs around it.
mod process;
/// What holds for every set of rules, every person and every byte.
mod properties;
/// The life of keys, over the program.
mod rotation;
/// An AWS that answers as it is told.
mod scripted;
/// Cookies for scripts, and programs that use them.
mod scripts;
/// Where private keys are, and where they are not.
mod secrets;
/// The program as a process: its log, its signals, its metrics.
mod serve;
/// `/session` and everything under it, without a socket.
mod session;
/// The shim's own tests, in JavaScript and in a browser.
mod shim;
/// Our own sign-in, against a provider that we did not write.
mod sign_in;
/// Stock viewers in stock browsers.
mod stock;
/// A client and a site around the service.
mod support;
/// `deploy/systemd/`, by a real systemd.
mod systemd;
/// How often a person and an address may ask, without a socket.
mod throttle;
/// The foreign tools, and how to ask them.
mod tools;
/// What nginx asks before it lets a request pass, without a socket.
mod verify;
/// The viewer bundle and its cookies, without a socket.
mod viewer;
