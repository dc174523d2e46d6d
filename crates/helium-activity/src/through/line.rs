//! The server's end of a connection: frames in and out, each until a moment, and none when the volume is being closed.
//!
//! Invariant: nothing here waits past its deadline, or past the end of the publisher.

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::deadline;

pub(crate) struct Line {
    stream: UnixStream,
    /// Readable when the publisher ends.
    stopped: Arc<UnixStream>,
}

impl Line {
    pub(crate) fn new(stream: UnixStream, stopped: Arc<UnixStream>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, stopped })
    }

    /// Waits until there is something to read; `TimedOut` at the deadline.
    pub(crate) fn await_request(&self, deadline: Instant) -> io::Result<()> {
        self.poll(PollFlags::IN, deadline)
    }

    /// `ConnectionAborted` where the publisher ends.
    fn poll(&self, wanted: PollFlags, deadline: Instant) -> io::Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut waiting = [
                PollFd::new(&self.stream, wanted),
                PollFd::new(&*self.stopped, PollFlags::IN),
            ];
            match poll(&mut waiting, Some(&timeout)) {
                Err(Errno::INTR) => continue,
                Err(why) => return Err(why.into()),
                Ok(_) => {}
            }
            if !waiting[1].revents().is_empty() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if !waiting[0].revents().is_empty() {
                return Ok(());
            }
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// What is behind the length of the next frame; `None` where the other side has ended instead.
    pub(crate) fn receive(
        &mut self,
        most: usize,
        patience: Duration,
    ) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + patience;
        let mut len = [0; 4];
        if !self.fill(&mut len, deadline)? {
            return Ok(None);
        }
        let len = u32::from_le_bytes(len) as usize;
        if len == 0 || len > most {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a request of {len} bytes"),
            ));
        }
        let mut bytes = vec![0; len];
        match self.fill(&mut bytes, deadline)? {
            true => Ok(Some(bytes)),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// False if the other side has ended before the first byte.
    fn fill(&mut self, bytes: &mut [u8], deadline: Instant) -> io::Result<bool> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => filled += more,
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    self.poll(PollFlags::IN, deadline)?;
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(true)
    }

    /// Sends a frame, all of it by the deadline.
    pub(crate) fn send(&mut self, frame: &[u8], patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        let mut rest = frame;
        while !rest.is_empty() {
            match deadline::send(&self.stream, rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => rest = &rest[sent..],
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    self.poll(PollFlags::OUT, deadline)?;
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }
}
