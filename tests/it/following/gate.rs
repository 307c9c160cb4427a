//! A way to AWS that can be shut, and that counts who passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What stands in the head of a request that fetches and decrypts one parameter.
const FETCH: &[u8] = b"AmazonSSM.GetParameter\r";

/// What stands in the head of a request that lists parameters.
const LIST: &[u8] = b"AmazonSSM.GetParametersByPath\r";

/// Passes connections on while it is open; shutting it cuts them.
pub(crate) struct Gate {
    port: u16,
    open: watch::Sender<bool>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    fetches: AtomicUsize,
    lists: AtomicUsize,
}

impl Gate {
    pub(crate) async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, is_open) = watch::channel(true);
        let counts = Arc::new(Counts::default());
        let address = url.trim_start_matches("http://").to_owned();
        tokio::spawn(accept(listener, address, is_open, counts.clone()));
        Self { port, open, counts }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn shut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// How many parameters were fetched one by one, which is how private keys are.
    pub(crate) fn fetches(&self) -> usize {
        self.counts.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn lists(&self) -> usize {
        self.counts.lists.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    address: String,
    is_open: watch::Receiver<bool>,
    counts: Arc<Counts>,
) {
    while let Ok((from, _)) = listener.accept().await {
        let mut open = is_open.clone();
        if !*open.borrow_and_update() {
            continue;
        }
        let (to, counts) = (TcpStream::connect(&address).await.unwrap(), counts.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = pass(from, to, &counts) => {}
                _ = open.wait_for(|open| !open) => {}
            }
        });
    }
}

async fn pass(from: TcpStream, to: TcpStream, counts: &Counts) {
    let (mut asked, mut answer) = from.into_split();
    let (mut answered, mut ask) = to.into_split();
    let asking = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(length @ 1..) = asked.read(&mut buffer).await else { return };
            let holds = |mark: &[u8]| buffer[..length].windows(mark.len()).any(|part| part == mark);
            counts.fetches.fetch_add(usize::from(holds(FETCH)), Ordering::SeqCst);
            counts.lists.fetch_add(usize::from(holds(LIST)), Ordering::SeqCst);
            if ask.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        _ = copy(&mut answered, &mut answer) => {}
    }
}
