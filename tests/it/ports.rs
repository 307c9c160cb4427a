use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port below those that systems hand out to whoever asks for any, so that it is still free when a
/// program that is started binds it; and beyond those of the demo's tests.
pub(crate) fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = 28_000 + u16::try_from(std::process::id() % 1_000).unwrap() * 4;
    loop {
        let port = first + TRIED.fetch_add(1, Ordering::Relaxed) % 400;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
