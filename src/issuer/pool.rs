//! A bounded number of threads that sign, with a bounded queue.
//!
//! The threads are nobody else's, and take the next job themselves: where a job had to be started by
//! an async task, that task would wait behind every request that has arrived, and the more there are
//! the less would be signed.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::sync::oneshot;

use super::IssueError;

/// How much signing gives way to everything else, on a scale from 0 to 19 (`nice(2)`). A signature
/// takes a hundred times as long as turning somebody away; at the same priority both would have half
/// of a busy core, and those who are turned away, then those who were let in, would wait for seconds.
const NICENESS: i32 = 5;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that end when this value does and the queue is empty.
pub(super) struct SigningPool {
    queue: SyncSender<Job>,
}

impl fmt::Debug for SigningPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningPool").finish_non_exhaustive()
    }
}

impl SigningPool {
    /// Starts the threads.
    ///
    /// # Panics
    /// If the system gives no thread, as the runtime itself would.
    pub(super) fn new(threads: usize, queue: usize) -> Self {
        let (sender, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads {
            let receiver = receiver.clone();
            let thread = thread::Builder::new().name(format!("signing-{number}"));
            thread.spawn(move || work(&receiver)).expect("a thread that signs");
        }
        Self { queue: sender }
    }

    /// Runs a job off the async threads, or says at once that there is no room. A job that has begun runs
    /// to its end also when nobody waits for it any more; one that has not is dropped.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IssueError> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            if !answer.is_closed() {
                let _ = answer.send(job());
            }
        });
        self.queue.try_send(job).map_err(|_| IssueError::Overloaded)?;
        answered.await.map_err(|_| IssueError::Overloaded)
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    // Where the system refuses, signing goes on at everybody's priority.
    let _ = setpriority_process(Some(gettid()), NICENESS);
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A job that panics has dropped its answer, and the thread goes on with the next.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use tokio::task::JoinHandle;

    use super::*;

    /// Starts a job that runs until it is released.
    async fn occupy(pool: &Arc<SigningPool>) -> (Sender<()>, JoinHandle<bool>) {
        let (release, blocked) = channel::<()>();
        let (started, running) = oneshot::channel();
        let pool = pool.clone();
        let job = move || {
            let _ = started.send(());
            blocked.recv()
        };
        let busy = tokio::spawn(async move { pool.run(job).await.is_ok() });
        running.await.unwrap();
        (release, busy)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn past_the_bound_the_answer_is_overloaded_at_once() {
        let pool = Arc::new(SigningPool::new(1, 1));
        let (release, busy) = occupy(&pool).await;
        // On this very thread: whoever is polled first is in the queue.
        let (waiting, refused) = tokio::join!(pool.run(|| 1), async {
            let refused = pool.run(|| 2).await;
            release.send(()).unwrap();
            refused
        });
        assert!(matches!(waiting, Ok(1)));
        assert!(matches!(refused, Err(IssueError::Overloaded)));
        assert!(busy.await.unwrap());
        assert!(matches!(pool.run(|| 3).await, Ok(3)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_job_that_nobody_waits_for_keeps_its_place_until_it_ends() {
        let pool = Arc::new(SigningPool::new(1, 1));
        let (release, abandoned) = occupy(&pool).await;
        abandoned.abort();
        let _ = abandoned.await;
        let (waiting, refused) = tokio::join!(pool.run(|| 1), async {
            let refused = pool.run(|| 2).await;
            release.send(()).unwrap();
            refused
        });
        assert!(matches!(refused, Err(IssueError::Overloaded)));
        assert!(matches!(waiting, Ok(1)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_job_that_nobody_waits_for_is_not_begun() {
        let pool = Arc::new(SigningPool::new(1, 1));
        let (release, busy) = occupy(&pool).await;
        let (begun, asked) = channel();
        let abandoned = tokio::time::timeout(Duration::ZERO, pool.run(move || begun.send(())));
        assert!(abandoned.await.is_err());
        release.send(()).unwrap();
        assert!(busy.await.unwrap());
        while pool.run(|| ()).await.is_err() {}
        assert!(asked.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_job_that_panics_costs_no_thread() {
        let pool = SigningPool::new(1, 1);
        let failed = pool.run(|| panic!("on purpose")).await;
        let failed: Result<(), _> = failed;
        assert!(matches!(failed, Err(IssueError::Overloaded)));
        assert!(matches!(pool.run(|| 3).await, Ok(3)));
    }
}
