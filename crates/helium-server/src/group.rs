//! Group commit: one thread does what many connections have sent, makes all of it durable with one sync, and answers
//! them. Each volume has its group.
//!
//! Invariants: who is told that its writes are durable had written them before the sync began; there is one sync of a
//! volume at a time here; and who has to wait, for a device or for others, holds up nobody else: turns that have waited
//! for [`PATIENCE`] have another thread begin them, or sync them. Those whom a sync has let go mostly write again at
//! once: the next one waits for them, no longer than a third of what a sync takes, or else each sync would be for some
//! of them, and the others wait for two.

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use heliumdb::{Result, Volume};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::task;

/// How long a turn waits behind others before another thread is called.
pub const PATIENCE: Duration = Duration::from_millis(1);
/// Part of a sync's time that the next one waits at most for those who are expected.
const EXPECTED_PART: u32 = 3;
/// See [`Group::expected_most`].
const EXPECTED_MOST: Duration = Duration::from_millis(5);

/// What a connection has to be done.
pub trait Turn: Send {
    /// Does its commands.
    fn perform(&mut self);
    /// Whether it is to be told nothing before a sync of the group's volume has ended.
    fn owes_sync(&self) -> bool;
    /// That sync has ended.
    fn synced(&mut self, result: &Result<()>);
    /// Goes back to where it came from; `is_alone` if nobody else waits for that.
    fn end(self: Box<Self>, is_alone: bool);
}

/// The turns of all connections at a volume.
pub struct Group {
    state: Mutex<State>,
    /// Somebody has done its commands, for whom a sync waits.
    bell: Condvar,
    sync: Box<dyn Fn() -> Result<()> + Send + Sync>,
    /// As many as there may be threads.
    most: usize,
    /// However slow the device, a sync waits no longer for those who are expected.
    expected_most: Duration,
}

#[derive(Default)]
struct State {
    /// Those whose commands are not begun.
    todo: VecDeque<Box<dyn Turn>>,
    /// Those that wait for a sync.
    done: Vec<Box<dyn Turn>>,
    threads: usize,
    /// One of the threads was called and has not come yet.
    is_coming: bool,
    /// One of them syncs, or waits for those who are expected.
    is_syncing: bool,
    syncs: u64,
    /// How many the last sync has let go, and how many had come meanwhile.
    expected: usize,
    /// What a sync takes, lately.
    takes: Duration,
}

impl State {
    /// How long the next sync is to wait for others, if at all; no longer than `most`.
    fn patience(&self, most: Duration) -> Option<Duration> {
        let patience = (self.takes / EXPECTED_PART).min(most);
        (self.done.len() < self.expected).then_some(patience)
    }

    /// Whether there is something that no thread has in hand.
    fn is_left(&self) -> bool {
        !self.todo.is_empty() || !self.done.is_empty() && !self.is_syncing
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({} syncs)", self.syncs())
    }
}

impl Group {
    /// That of `volume`, with so many threads at most.
    pub fn new(volume: Volume, most: usize) -> Arc<Self> {
        Arc::new(Self::with(most, move || volume.flush()))
    }

    fn with(most: usize, sync: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        Self {
            state: Mutex::default(),
            bell: Condvar::new(),
            sync: Box::new(sync),
            most: most.max(1),
            expected_most: EXPECTED_MOST,
        }
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Has a turn's commands done.
    pub fn perform(self: &Arc<Self>, turn: Box<dyn Turn>) {
        let mut state = self.state.lock();
        state.todo.push_back(turn);
        self.wake(state);
    }

    /// Has what was done elsewhere made durable.
    pub fn make_durable(self: &Arc<Self>, turn: Box<dyn Turn>) {
        let mut state = self.state.lock();
        state.done.push(turn);
        self.wake(state);
    }

    fn wake(self: &Arc<Self>, state: MutexGuard<'_, State>) {
        match state.threads {
            0 => self.call(state),
            _ => {
                self.bell.notify_one();
            }
        }
    }

    /// Calls another thread, if something has waited for all there are.
    pub fn relieve(self: &Arc<Self>) {
        let state = self.state.lock();
        if state.is_left() && !state.is_coming && state.threads < self.most {
            self.call(state);
        }
    }

    fn call(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.threads += 1;
        state.is_coming = true;
        drop(state);
        let group = self.clone();
        task::spawn_blocking(move || group.serve());
    }

    /// A thread of the group, until there is nothing left that no other has in hand.
    fn serve(&self) {
        let mut thread = Thread {
            group: self,
            is_gone: false,
            syncs: false,
        };
        let mut state = self.state.lock();
        state.is_coming = false;
        let mut deadline = None;
        loop {
            self.perform_all(&mut state);
            if !state.is_left() {
                state.threads -= 1;
                thread.is_gone = true;
                return;
            }
            (state.is_syncing, thread.syncs) = (true, true);
            if self.has_gathered(&mut state, &mut deadline) {
                self.sync_all(&mut state);
                deadline = None;
            }
            (state.is_syncing, thread.syncs) = (false, false);
        }
    }

    fn perform_all(&self, state: &mut MutexGuard<'_, State>) {
        while let Some(mut turn) = state.todo.pop_front() {
            let is_last = state.todo.is_empty();
            let owed = MutexGuard::unlocked(state, || {
                turn.perform();
                if turn.owes_sync() {
                    return Some(turn);
                }
                turn.end(is_last);
                None
            });
            if let Some(turn) = owed {
                state.done.push(turn);
                self.bell.notify_one();
            }
        }
    }

    /// Whether all who are expected have come, or were waited for long enough. If not, somebody may have come whose
    /// commands are to be done first.
    fn has_gathered(
        &self,
        state: &mut MutexGuard<'_, State>,
        deadline: &mut Option<Instant>,
    ) -> bool {
        let Some(patience) = state.patience(self.expected_most) else {
            return true;
        };
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + patience);
        self.bell.wait_until(state, deadline).timed_out()
    }

    fn sync_all(&self, state: &mut MutexGuard<'_, State>) {
        let mut turns = std::mem::take(&mut state.done);
        state.syncs += 1;
        let began = Instant::now();
        let result = MutexGuard::unlocked(state, || (self.sync)());
        state.takes = (state.takes * 3 + began.elapsed()) / 4;
        state.expected = turns.len() + state.done.len() + state.todo.len();
        let is_alone = state.expected == 1;
        MutexGuard::unlocked(state, || {
            for mut turn in turns.drain(..) {
                turn.synced(&result);
                turn.end(is_alone);
            }
        });
    }
}

/// A thread of a group, which is one of its threads until it ends, however that is.
struct Thread<'a> {
    group: &'a Group,
    is_gone: bool,
    /// It is the one that syncs.
    syncs: bool,
}

impl Drop for Thread<'_> {
    fn drop(&mut self) {
        if !self.is_gone {
            // It panicked: whoever waits calls another.
            let mut state = self.group.state.lock();
            state.threads -= 1;
            state.is_syncing &= !self.syncs;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use heliumdb::{Error, ErrorKind};

    use super::*;

    /// Longer than anything takes here.
    const LONG: Duration = Duration::from_secs(60);

    /// How a turn ended: its number, and what its sync said.
    type Ended = (u32, Option<bool>);

    struct Fake {
        number: u32,
        /// It says that it has begun, and waits.
        waits: Option<mpsc::Receiver<()>>,
        panics: bool,
        synced: Option<bool>,
        begun: mpsc::Sender<u32>,
        ended: mpsc::Sender<Ended>,
    }

    impl Turn for Fake {
        fn perform(&mut self) {
            self.begun.send(self.number).unwrap();
            if let Some(waits) = self.waits.take() {
                waits.recv().unwrap();
            }
            assert!(!self.panics, "as it was told to");
        }

        fn owes_sync(&self) -> bool {
            true
        }

        fn synced(&mut self, result: &Result<()>) {
            self.synced = Some(result.is_ok());
        }

        fn end(self: Box<Self>, _: bool) {
            self.ended.send((self.number, self.synced)).unwrap();
        }
    }

    /// What comes next, which has to come.
    #[track_caller]
    fn next<T>(from: &mpsc::Receiver<T>) -> T {
        from.recv_timeout(LONG).unwrap()
    }

    /// A group whose syncs say that they have begun, and end as they are told.
    struct Stage {
        group: Arc<Group>,
        syncs: mpsc::Receiver<()>,
        let_go: mpsc::Sender<Result<()>>,
        begun: mpsc::Receiver<u32>,
        ended: mpsc::Receiver<Ended>,
        senders: (mpsc::Sender<u32>, mpsc::Sender<Ended>),
    }

    impl Stage {
        fn new() -> Self {
            let (syncing, syncs) = mpsc::channel();
            let (let_go, may_end) = mpsc::channel();
            let may_end = Mutex::new(may_end);
            let mut group = Group::with(8, move || {
                syncing.send(()).unwrap();
                may_end.lock().recv().unwrap()
            });
            group.expected_most = LONG;
            let (begun, begins) = mpsc::channel();
            let (ended, ends) = mpsc::channel();
            Self {
                group: Arc::new(group),
                syncs,
                let_go,
                begun: begins,
                ended: ends,
                senders: (begun, ended),
            }
        }

        fn turn(&self, number: u32) -> Box<Fake> {
            Box::new(Fake {
                number,
                waits: None,
                panics: false,
                synced: None,
                begun: self.senders.0.clone(),
                ended: self.senders.1.clone(),
            })
        }

        fn perform(&self, number: u32) {
            self.group.perform(self.turn(number));
        }

        /// One that waits until it is told to go on.
        fn perform_held(&self, number: u32) -> mpsc::Sender<()> {
            let (go_on, waits) = mpsc::channel();
            let mut turn = self.turn(number);
            turn.waits = Some(waits);
            self.group.perform(turn);
            go_on
        }

        fn assert_nobody_ended(&self) {
            assert!(self.ended.try_recv().is_err());
        }
    }

    /// Those who come during a sync share the next one, and nobody is told by one that had begun.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_comes_during_a_sync_shares_the_next_one() {
        let stage = Stage::new();
        stage.perform(0);
        next(&stage.syncs);
        for number in 1..20 {
            stage.perform(number);
        }
        stage.assert_nobody_ended();
        stage.let_go.send(Ok(())).unwrap();
        assert_eq!(next(&stage.ended), (0, Some(true)));
        next(&stage.syncs);
        stage.assert_nobody_ended();
        stage.let_go.send(Ok(())).unwrap();
        for number in 1..20 {
            assert_eq!(next(&stage.ended), (number, Some(true)));
        }
        assert_eq!(stage.group.syncs(), 2);
    }

    /// Who waits, in a sync or before, holds up nobody else.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_waits_holds_up_nobody_else() {
        let stage = Stage::new();
        stage.perform(0);
        assert_eq!(next(&stage.begun), 0);
        next(&stage.syncs);
        // While that is in a sync, others begin; what they have done waits for the next one.
        let go_on = stage.perform_held(1);
        stage.perform(2);
        stage.group.relieve();
        assert_eq!(next(&stage.begun), 1);
        stage.group.relieve();
        assert_eq!(next(&stage.begun), 2);
        stage.let_go.send(Ok(())).unwrap();
        assert_eq!(next(&stage.ended), (0, Some(true)));
        next(&stage.syncs);
        stage.let_go.send(Ok(())).unwrap();
        assert_eq!(next(&stage.ended), (2, Some(true)));
        stage.assert_nobody_ended();
        go_on.send(()).unwrap();
        stage.let_go.send(Ok(())).unwrap();
        assert_eq!(next(&stage.ended), (1, Some(true)));
    }

    /// What a thread has done is synced though it waits in what it does next.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_done_is_synced_though_its_thread_waits() {
        let stage = Stage::new();
        let first = stage.perform_held(0);
        assert_eq!(next(&stage.begun), 0);
        let second = stage.perform_held(1);
        first.send(()).unwrap();
        assert_eq!(next(&stage.begun), 1);
        stage.group.relieve();
        stage.let_go.send(Ok(())).unwrap();
        assert_eq!(next(&stage.ended), (0, Some(true)));
        second.send(()).unwrap();
        stage.let_go.send(Ok(())).unwrap();
        assert_eq!(next(&stage.ended), (1, Some(true)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sync_that_fails_is_no_ones_success() {
        let stage = Stage::new();
        stage.perform(0);
        next(&stage.syncs);
        stage.group.make_durable(stage.turn(1));
        let fails = || Err(Error::new(ErrorKind::Io, "no"));
        stage.let_go.send(fails()).unwrap();
        assert_eq!(next(&stage.ended), (0, Some(false)));
        stage.let_go.send(fails()).unwrap();
        assert_eq!(next(&stage.ended), (1, Some(false)));
    }

    /// Those whom the last sync has let go are waited for, a third of a sync: here until they come, at most.
    #[tokio::test(flavor = "multi_thread")]
    async fn those_who_were_let_go_are_waited_for() {
        let stage = Stage::new();
        {
            let mut state = stage.group.state.lock();
            state.takes = 3 * LONG;
            state.expected = 2;
        }
        stage.perform(0);
        assert_eq!(next(&stage.begun), 0);
        assert!(stage.syncs.try_recv().is_err());
        stage.perform(1);
        stage.let_go.send(Ok(())).unwrap();
        for number in 0..2 {
            assert_eq!(next(&stage.ended), (number, Some(true)));
        }
        assert_eq!(stage.group.syncs(), 1);
    }

    #[test]
    fn nobody_is_waited_for_longer_than_a_part_of_a_sync() {
        let mut state = State {
            expected: 1,
            takes: Duration::from_millis(3),
            ..State::default()
        };
        let patience = Duration::from_millis(1);
        assert_eq!(state.patience(EXPECTED_MOST), Some(patience));
        state.takes = LONG;
        assert_eq!(state.patience(EXPECTED_MOST), Some(EXPECTED_MOST));
        state.expected = 0;
        assert_eq!(state.patience(EXPECTED_MOST), None);
    }

    /// A turn that panics is lost, and no other is.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_thread_that_panicked_is_replaced() {
        let stage = Stage::new();
        let mut turn = stage.turn(0);
        turn.panics = true;
        let (go_on, waits) = mpsc::channel();
        turn.waits = Some(waits);
        stage.group.perform(turn);
        assert_eq!(next(&stage.begun), 0);
        stage.perform(1);
        go_on.send(()).unwrap();
        let started = Instant::now();
        while stage.group.state.lock().threads > 0 {
            assert!(started.elapsed() < LONG, "it is still counted");
            task::yield_now().await;
        }
        stage.group.relieve();
        stage.let_go.send(Ok(())).unwrap();
        assert_eq!(next(&stage.ended), (1, Some(true)));
    }
}
