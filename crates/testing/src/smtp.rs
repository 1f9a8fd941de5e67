//! A mail server for tests: it takes mails on loopback, or refuses them for a while.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// After which a mail that is waited for will not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    /// Header fields and body, as they were sent.
    pub data: String,
}

impl Received {
    /// The parts' text, with quoted-printable undone.
    pub fn text(&self) -> String {
        let joined = self.data.replace("=\r\n", "");
        let mut bytes = Vec::with_capacity(joined.len());
        let mut rest = joined.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            let code = (*first == b'=').then(|| tail.get(..2)).flatten();
            let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
            match code {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &tail[2..];
                }
                None => {
                    bytes.push(*first);
                    rest = tail;
                }
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    /// The lines of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.data.split_once("\r\n\r\n")?;
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The server. Dropping it ends it.
pub struct MailServer {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    /// Mails that are refused before one is taken.
    refusals: AtomicUsize,
    refused: AtomicUsize,
    came: Notify,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                tokio::spawn(async move {
                    let _ = serve(stream, &state).await;
                });
            }
        });
        MailServer { address, state, task }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Refuses as many mails with 451, "try again later", before it takes one.
    pub fn refuse(&self, count: usize) {
        self.state.refusals.store(count, Ordering::SeqCst);
    }

    /// How many were refused.
    pub fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// Waits until so many mails have come, or were refused.
    pub async fn wait(&self, done: impl Fn(&Self) -> bool) {
        let waited = async {
            loop {
                let came = self.state.came.notified();
                if done(self) {
                    return;
                }
                came.await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.expect("no mail came");
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, state: &State) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 mail.test\r\n").await?;
    let (mut from, mut to) = (String::new(), Vec::new());
    while let Some(line) = lines.next_line().await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let address = || {
            line.split_once('<')
                .and_then(|(_, rest)| rest.split('>').next())
                .unwrap_or_default()
                .to_owned()
        };
        let answer = match verb.as_str() {
            "EHLO" => "250-mail.test\r\n250 AUTH PLAIN LOGIN",
            "AUTH" => "235 yes",
            "MAIL" => {
                (from, to) = (address(), Vec::new());
                let refusals = &state.refusals;
                let left = refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                match left {
                    Ok(_) => {
                        state.refused.fetch_add(1, Ordering::SeqCst);
                        state.came.notify_waiters();
                        "451 later"
                    }
                    Err(_) => "250 yes",
                }
            }
            "RCPT" => {
                to.push(address());
                "250 yes"
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut data = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    data.push_str(line.strip_prefix('.').unwrap_or(&line));
                    data.push_str("\r\n");
                }
                let mail = Received {
                    from: from.clone(),
                    to: to.clone(),
                    data,
                };
                state.received.lock().unwrap().push(mail);
                state.came.notify_waiters();
                "250 taken"
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 yes",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}
