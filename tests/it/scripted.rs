//! An AWS that answers as it is told: for what MiniStack does not model.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An answer to one call.
#[derive(Clone)]
pub(crate) enum Answer {
    /// With a status, an `ETag` and a body.
    With(u16, &'static str, String),
    /// None: the connection ends.
    Nothing,
}

/// A call as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Such as `GET /2020-05-31/public-key`, without a query.
    pub(crate) what: String,
    /// What follows the question mark.
    pub(crate) query: String,
    /// The value of `If-Match`.
    pub(crate) if_match: Option<String>,
    pub(crate) body: String,
}

/// What to answer to which call, in this order; the last answer is given for ever.
type Script = HashMap<String, VecDeque<Answer>>;

/// A server on this machine.
pub(crate) struct Scripted {
    port: u16,
    script: Arc<Mutex<Script>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scripted = Self { port, script: Arc::default(), calls: Arc::default() };
        let (script, calls) = (scripted.script.clone(), scripted.calls.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), calls.clone()));
            }
        });
        scripted
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn answers(&self, what: &str, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().insert(what.to_owned(), answers.into_iter().collect());
    }

    /// All calls of one kind.
    pub(crate) fn calls(&self, what: &str) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.what == what).cloned().collect()
    }
}

/// Answers one request, and ends the connection.
async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>, calls: Arc<Mutex<Vec<Call>>>) {
    let mut stream = BufReader::new(stream);
    let Some(call) = read(&mut stream).await else { return };
    let answer = {
        let mut script = script.lock().unwrap();
        let answers = script.get_mut(&call.what).unwrap_or_else(|| panic!("{}", call.what));
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    };
    calls.lock().unwrap().push(call);
    let Answer::With(status, etag, body) = answer else { return };
    let text = format!(
        "HTTP/1.1 {status} As-Told\r\nETag: {etag}\r\nContent-Type: text/xml\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut first = lines[0].split(' ');
    let (method, target) = (first.next()?, first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &str| {
        let mut pairs = lines[1..].iter().filter_map(|line| line.split_once(": "));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let mut body = vec![0; header("content-length").map_or(0, |text| text.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Call {
        what: format!("{method} {path}"),
        query: query.to_owned(),
        if_match: header("if-match"),
        body: String::from_utf8(body).unwrap(),
    })
}
