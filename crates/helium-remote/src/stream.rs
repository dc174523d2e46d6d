//! A socket, with encryption over it if that is wanted.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

pub(crate) struct Stream {
    socket: TcpStream,
    #[cfg(feature = "tls")]
    tls: Option<Box<rustls::ClientConnection>>,
}

impl Stream {
    pub(crate) fn plain(socket: TcpStream) -> Self {
        Self {
            socket,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn encrypted(socket: TcpStream, tls: rustls::ClientConnection) -> Self {
        Self {
            socket,
            tls: Some(Box::new(tls)),
        }
    }

    /// How long a part of an answer may take from here on.
    pub(crate) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(patience))
    }

    /// Whether the other end has closed it, which is seen without waiting.
    pub(crate) fn is_over(&self) -> bool {
        let mut byte = [0];
        let peeked = self
            .socket
            .set_nonblocking(true)
            .and_then(|()| self.socket.peek(&mut byte));
        let is_open = match peeked {
            Ok(0) => false,
            // Nobody was asked anything: only words about the encryption may come.
            Ok(_) => self.is_encrypted(),
            Err(why) => why.kind() == io::ErrorKind::WouldBlock,
        };
        self.socket.set_nonblocking(false).is_err() || !is_open
    }

    fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return rustls::Stream::new(&mut **tls, &mut self.socket).read(bytes);
        }
        self.socket.read(bytes)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return rustls::Stream::new(&mut **tls, &mut self.socket).write(bytes);
        }
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return rustls::Stream::new(&mut **tls, &mut self.socket).flush();
        }
        self.socket.flush()
    }
}
