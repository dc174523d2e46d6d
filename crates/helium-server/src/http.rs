//! The port for metrics: HTTP, as much of it as Prometheus and a browser need.
//!
//! Invariant: who does not ask properly, or does not read, is let go of. Nothing can be changed from here.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time,
};

use crate::{connection, metrics, shared::Shared, status};

/// Longest request.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most that are answered at once.
const ASKERS_MAX: usize = 16;

/// The page for a person: all of it, scripts too.
const PAGE: &str = include_str!("page.html");
/// It loads nothing from elsewhere, and what it shows is no script.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers who asks, until it is told to stop.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut asking = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if asking.len() < ASKERS_MAX => {
                let Ok((stream, from)) = accepted else {
                    // As a rule the process has no more files: some may be closed soon.
                    time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let shared = shared.clone();
                asking.spawn(async move {
                    match time::timeout(PATIENCE, answer(stream, &shared)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(why)) => tracing::debug!(%from, %why, "an answer was not sent"),
                        Err(_) => tracing::debug!(%from, "an answer took too long"),
                    }
                });
            }
            Some(_) = asking.join_next() => {}
            () = connection::told(&mut stop) => return,
        }
    }
}

/// What goes back: its status, its type, and itself.
type Answer = (&'static str, &'static str, String);

async fn answer(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read_buf(&mut request).await?;
        if read == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
    }
    let line = request.split(|&byte| byte == b'\r').next();
    let mut words = line.unwrap_or_default().split(|&byte| byte == b' ');
    let (status, kind, body) = find(words.next(), words.next(), shared);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: {POLICY}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn find(method: Option<&[u8]>, path: Option<&[u8]>, shared: &Shared) -> Answer {
    const OK: &str = "200 OK";
    const PLAIN: &str = "text/plain";
    if method != Some(b"GET") {
        let why = "Only GET is answered.\n".to_owned();
        return ("405 Method Not Allowed", PLAIN, why);
    }
    match path {
        Some(b"/") => (OK, "text/html", PAGE.to_owned()),
        Some(b"/metrics") => {
            let kind = "application/openmetrics-text; version=1.0.0";
            (OK, kind, metrics::text(shared))
        }
        Some(b"/status.json") => (OK, "application/json", status::json(shared)),
        _ => {
            let why = "A page for people is at /, metrics are at /metrics.\n";
            ("404 Not Found", PLAIN, why.to_owned())
        }
    }
}
