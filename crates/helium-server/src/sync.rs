//! Syncs that connections share: while one is under way, those who have written wait for the next one together.
//!
//! Invariants: who is told that its writes are durable had written them before the sync began; and there is one sync at
//! a time, in the thread for that or, where nobody else writes, in the one that has written. Those whom a sync has let go
//! mostly write again at once: the next one waits for them, no longer than a third of what a sync takes, or else each
//! sync would be for some of them, and the others wait for two.

use std::{
    fmt,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use heliumdb::{Result, Volume};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Part of a sync's time that the next one waits at most for those who are expected.
const PATIENCE_PART: u32 = 3;
/// However slow the device.
const MOST_PATIENCE: Duration = Duration::from_millis(5);

/// Those who wait for the next sync of a volume.
struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
    sync: Box<dyn Fn() -> Result<()> + Send + Sync>,
}

#[derive(Default)]
struct Waiting {
    callers: Vec<oneshot::Sender<Result<()>>>,
    /// A sync is under way.
    is_busy: bool,
    is_over: bool,
    syncs: u64,
    /// How many the last sync has let go, and how many had come meanwhile.
    expected: usize,
    /// What a sync takes, lately.
    takes: Duration,
}

impl Waiting {
    /// How long the next sync is to wait for others, if at all.
    fn patience(&self) -> Option<Duration> {
        let patience = (self.takes / PATIENCE_PART).min(MOST_PATIENCE);
        (self.callers.len() < self.expected && !self.is_over).then_some(patience)
    }
}

/// Syncs a volume for whoever asks. Dropping it serves those who have asked, and ends the thread.
pub struct Syncer {
    queue: Arc<Queue>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for Syncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Syncer({} syncs)", self.syncs())
    }
}

impl Syncer {
    /// Starts its thread.
    pub fn start(volume: Volume) -> std::io::Result<Self> {
        Self::start_with(move || volume.flush())
    }

    fn start_with(sync: impl Fn() -> Result<()> + Send + Sync + 'static) -> std::io::Result<Self> {
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            bell: Condvar::new(),
            sync: Box::new(sync),
        });
        let its = queue.clone();
        let thread = thread::Builder::new().name("helium-sync".to_owned());
        let thread = thread.spawn(move || its.serve())?;
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

    /// The same in this thread, which may wait for the device; `None` if others write, too.
    pub fn sync_here(&self) -> Option<Result<()>> {
        let mut waiting = self.queue.waiting.lock();
        if waiting.is_busy || !waiting.callers.is_empty() || waiting.expected > 1 {
            return None;
        }
        let busy = self.queue.begin(&mut waiting, 1);
        drop(waiting);
        let synced = (self.queue.sync)();
        drop(busy);
        Some(synced)
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.queue.waiting.lock().syncs
    }
}

/// A sync is under way; at its end it is the turn of those who have come meanwhile.
struct Busy<'a> {
    queue: &'a Queue,
    crowd: usize,
    began: Instant,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock();
        waiting.is_busy = false;
        waiting.expected = self.crowd + waiting.callers.len();
        waiting.takes = (waiting.takes * 3 + self.began.elapsed()) / 4;
        if !waiting.callers.is_empty() || waiting.is_over {
            self.queue.bell.notify_one();
        }
    }
}

impl Queue {
    /// A sync for so many.
    fn begin(&self, waiting: &mut Waiting, crowd: usize) -> Busy<'_> {
        waiting.is_busy = true;
        waiting.syncs += 1;
        Busy {
            queue: self,
            crowd,
            began: Instant::now(),
        }
    }

    /// Waits until all who are expected have come, or long enough.
    fn gather(&self, waiting: &mut MutexGuard<'_, Waiting>) {
        let Some(patience) = waiting.patience() else {
            return;
        };
        let deadline = Instant::now() + patience;
        while waiting.patience().is_some() {
            if self.bell.wait_until(waiting, deadline).timed_out() {
                return;
            }
        }
    }

    fn serve(&self) {
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.callers.is_empty() || waiting.is_busy {
                if waiting.is_over && waiting.callers.is_empty() {
                    return;
                }
                self.bell.wait(&mut waiting);
            }
            self.gather(&mut waiting);
            let callers = std::mem::take(&mut waiting.callers);
            let busy = self.begin(&mut waiting, callers.len());
            drop(waiting);
            let synced = (self.sync)();
            drop(busy);
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
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
            mpsc,
        },
        thread,
        time::Duration,
    };

    use heliumdb::{Error, ErrorKind};
    use parking_lot::Mutex;

    use super::{MOST_PATIENCE, Syncer, Waiting};

    /// Whose syncs say that they have begun, and end when they are let go.
    struct Held {
        syncer: Arc<Syncer>,
        begins: mpsc::Receiver<()>,
        let_go: mpsc::Sender<()>,
        /// How many have ended.
        count: Arc<AtomicU64>,
    }

    fn held() -> Held {
        let (begun, begins) = mpsc::channel();
        let (let_go, may_end) = mpsc::channel();
        let may_end = Mutex::new(may_end);
        let count = Arc::new(AtomicU64::new(0));
        let its = count.clone();
        let syncer = Syncer::start_with(move || {
            begun.send(()).unwrap();
            may_end.lock().recv().unwrap();
            its.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        Held {
            syncer: Arc::new(syncer.unwrap()),
            begins,
            let_go,
            count,
        }
    }

    /// Those who ask during a sync share the next one, and nobody is told by one that had begun.
    #[tokio::test(flavor = "current_thread")]
    async fn who_asks_during_a_sync_shares_the_next_one() {
        let Held {
            syncer,
            begins,
            let_go,
            count,
        } = held();
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

    /// Who writes alone syncs in its own thread; who comes meanwhile waits for the next sync, in the thread for that.
    #[tokio::test(flavor = "current_thread")]
    async fn who_comes_while_somebody_syncs_alone_has_the_next_one() {
        let Held {
            syncer,
            begins,
            let_go,
            count,
        } = held();
        let its = syncer.clone();
        let alone = thread::spawn(move || its.sync_here().unwrap().unwrap());
        begins.recv().unwrap();
        assert!(syncer.sync_here().is_none());
        let its = syncer.clone();
        let later = tokio::spawn(async move { its.sync().await.unwrap() });
        tokio::task::yield_now().await;
        let_go.send(()).unwrap();
        alone.join().unwrap();
        begins.recv().unwrap();
        assert!(!later.is_finished() && count.load(Ordering::SeqCst) == 1);
        let_go.send(()).unwrap();
        later.await.unwrap();
        assert_eq!((syncer.syncs(), count.load(Ordering::SeqCst)), (2, 2));
    }

    /// And not longer than a third of a sync, nor at all where all are there.
    #[test]
    fn those_who_were_let_go_are_waited_for() {
        let mut waiting = Waiting {
            expected: 2,
            takes: Duration::from_millis(3),
            ..Waiting::default()
        };
        assert_eq!(waiting.patience(), Some(Duration::from_millis(1)));
        waiting.callers.push(tokio::sync::oneshot::channel().0);
        waiting.takes = Duration::from_secs(60);
        assert_eq!(waiting.patience(), Some(MOST_PATIENCE));
        waiting.callers.push(tokio::sync::oneshot::channel().0);
        assert_eq!(waiting.patience(), None);
    }

    /// Where several write, nobody syncs alone, until one is left.
    #[tokio::test(flavor = "current_thread")]
    async fn one_of_several_leaves_the_sync_to_the_thread() {
        let syncer = Syncer::start_with(|| Ok(())).unwrap();
        syncer.queue.waiting.lock().expected = 2;
        assert!(syncer.sync_here().is_none());
        syncer.sync().await.unwrap();
        syncer.sync_here().unwrap().unwrap();
        assert_eq!(syncer.syncs(), 2);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_sync_that_fails_is_no_ones_success() {
        let syncer = Syncer::start_with(|| Err(Error::new(ErrorKind::Io, "no"))).unwrap();
        assert_eq!(syncer.sync().await.unwrap_err().kind(), ErrorKind::Io);
    }
}
