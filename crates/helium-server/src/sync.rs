//! Syncs that connections share: while one is under way, those who have written wait for the next one together.
//!
//! Invariant: who is told that its writes are durable had written them before the sync began.

use std::{sync::Arc, thread};

use heliumdb::{Result, Volume};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// Those who wait for the next sync of a volume.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    callers: Vec<oneshot::Sender<Result<()>>>,
    is_over: bool,
    syncs: u64,
}

/// Syncs a volume for whoever asks. Dropping it serves those who have asked, and ends the thread.
#[derive(Debug)]
pub struct Syncer {
    queue: Arc<Queue>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Syncer {
    /// Starts its thread.
    pub fn start(volume: Volume) -> std::io::Result<Self> {
        Self::start_with(move || volume.flush())
    }

    fn start_with(sync: impl Fn() -> Result<()> + Send + 'static) -> std::io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let its = queue.clone();
        let thread = thread::Builder::new().name("helium-sync".to_owned());
        let thread = thread.spawn(move || its.serve(&sync))?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Returns when all that was written before is durable.
    pub async fn sync(&self) -> Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.queue.waiting.lock().callers.push(sender);
        self.queue.bell.notify_one();
        let lost = "the thread that syncs the volume has ended";
        receiver
            .await
            .unwrap_or_else(|_| Err(heliumdb::Error::new(heliumdb::ErrorKind::Closed, lost)))
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.queue.waiting.lock().syncs
    }
}

impl Queue {
    fn serve(&self, sync: &dyn Fn() -> Result<()>) {
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.callers.is_empty() {
                if waiting.is_over {
                    return;
                }
                self.bell.wait(&mut waiting);
            }
            let callers = std::mem::take(&mut waiting.callers);
            waiting.syncs += 1;
            drop(waiting);
            let synced = sync();
            for caller in callers {
                // Its connection may be gone.
                let _ = caller.send(synced.clone());
            }
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.queue.waiting.lock().is_over = true;
        self.queue.bell.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; there is nobody to tell if it did.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    };

    use heliumdb::{Error, ErrorKind};

    use super::Syncer;

    /// Those who ask during a sync share the next one, and nobody is told by one that had begun.
    #[tokio::test(flavor = "current_thread")]
    async fn who_asks_during_a_sync_shares_the_next_one() {
        let (begun, begins) = mpsc::channel();
        let (let_go, may_end) = mpsc::channel();
        let count = Arc::new(AtomicU64::new(0));
        let its = count.clone();
        let syncer = Syncer::start_with(move || {
            begun.send(()).unwrap();
            may_end.recv().unwrap();
            its.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
        let syncer = Arc::new(syncer);
        let ask = || {
            let syncer = syncer.clone();
            let count = count.clone();
            tokio::spawn(async move {
                syncer.sync().await.unwrap();
                count.load(Ordering::SeqCst)
            })
        };
        let first = ask();
        tokio::task::yield_now().await;
        begins.recv().unwrap();
        let later: Vec<_> = (0..20).map(|_| ask()).collect();
        tokio::task::yield_now().await;
        let_go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), 1);
        let_go.send(()).unwrap();
        for asked in later {
            assert_eq!(asked.await.unwrap(), 2);
        }
        assert_eq!(syncer.syncs(), 2);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_sync_that_fails_is_no_ones_success() {
        let syncer = Syncer::start_with(|| Err(Error::new(ErrorKind::Io, "no"))).unwrap();
        assert_eq!(syncer.sync().await.unwrap_err().kind(), ErrorKind::Io);
    }
}
