//! A relay for e-mail that writes down what it is given: real SMTP over TCP, and no more of it than a client needs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One e-mail.
#[derive(Debug, Clone)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// Headers and body, as they came.
    pub text: String,
}

#[derive(Debug, Default)]
struct Inner {
    /// How many are turned away for the moment.
    busy: usize,
    mails: Vec<Mail>,
}

/// A running relay. Dropping it closes the port.
#[derive(Debug)]
pub struct MailRelay {
    address: SocketAddr,
    state: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

impl MailRelay {
    /// Starts one that turns away the first `busy` e-mails, as one that is busy does.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(busy: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(Mutex::new(Inner {
            busy,
            mails: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                // A client that goes away in the middle is its own affair.
                tokio::spawn(async move { drop(converse(stream, &state).await) });
            }
        });
        Self {
            address,
            state,
            server,
        }
    }

    /// As `SMTP_URL`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// What it took, in its order.
    pub fn mails(&self) -> Vec<Mail> {
        let inner = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        inner.mails.clone()
    }
}

impl Drop for MailRelay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn converse(stream: TcpStream, state: &Mutex<Inner>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sandbox\r\n").await?;
    let mut mail = Mail {
        from: String::new(),
        to: Vec::new(),
        text: String::new(),
    };
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        let answer = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" | "HELO" | "RSET" | "NOOP" => "250 sandbox",
            "MAIL" => {
                mail.from = command;
                "250 ok"
            }
            "RCPT" => {
                mail.to.push(command);
                "250 ok"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                loop {
                    line.clear();
                    stream.read_line(&mut line).await?;
                    if line == ".\r\n" || line.is_empty() {
                        break;
                    }
                    mail.text.push_str(&line);
                }
                let mut inner = state.lock().unwrap_or_else(PoisonError::into_inner);
                let taken = std::mem::replace(
                    &mut mail,
                    Mail {
                        from: String::new(),
                        to: Vec::new(),
                        text: String::new(),
                    },
                );
                if inner.busy == 0 {
                    inner.mails.push(taken);
                    "250 taken"
                } else {
                    inner.busy -= 1;
                    "451 busy"
                }
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 unknown",
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(b"\r\n").await?;
    }
}
