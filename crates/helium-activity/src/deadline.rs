//! Streams that end at a moment, however slowly the other side reads or writes.
//!
//! Invariant: one moment holds for everything that is done with a stream: who sends or takes a byte now and then
//! does not make it later.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
    sockopt::{Timeout, set_socket_timeout},
};

/// A stream with a deadline.
pub(crate) struct Until {
    stream: UnixStream,
    deadline: Instant,
}

impl Until {
    /// Of a stream that is open.
    pub(crate) fn new(stream: UnixStream, patience: Duration) -> Self {
        Self {
            stream,
            deadline: Instant::now() + patience,
        }
    }

    /// Connects to a socket, on which others may be waiting already.
    pub(crate) fn connect(socket: &Path, patience: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + patience;
        Ok(Self {
            stream: connect_within(socket, patience)?,
            deadline,
        })
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Connects to a socket; who listens may be busy for so long.
pub(crate) fn connect_within(socket: &Path, patience: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let stream = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // It holds for connecting, too.
    set_socket_timeout(&stream, Timeout::Send, Some(patience))?;
    connect(&stream, &address)?;
    Ok(stream.into())
}

/// Writes without the signal that would end a program which does not expect that its readers go away.
pub(crate) fn send(stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(stream, bytes, SendFlags::NOSIGNAL)?)
}

impl Read for Until {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Until {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        send(&self.stream, buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
