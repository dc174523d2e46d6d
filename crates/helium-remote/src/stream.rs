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
    pub(crate) fn is_over(&mut self) -> bool {
        let is_open = self.socket.set_nonblocking(true).is_ok() && self.is_silent();
        self.socket.set_nonblocking(false).is_err() || !is_open
    }

    /// Whether nothing has come, as nobody was asked anything. Only words about the encryption may, but not its end.
    fn is_silent(&mut self) -> bool {
        let nothing = |why: io::Error| why.kind() == io::ErrorKind::WouldBlock;
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            loop {
                match tls.read_tls(&mut self.socket) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(why) => return nothing(why),
                }
                let understood = tls.process_new_packets();
                let is_silent = understood.is_ok_and(|state| {
                    !state.peer_has_closed() && state.plaintext_bytes_to_read() == 0
                });
                if !is_silent {
                    return false;
                }
            }
        }
        self.socket.peek(&mut [0]).is_err_and(nothing)
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
