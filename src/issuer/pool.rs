//! A bounded number of threads that sign, with a bounded queue.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::IssueError;

#[derive(Debug)]
pub(super) struct SigningPool {
    /// One permit per signature that is at work or waits.
    admitted: Arc<Semaphore>,
    /// One permit per thread.
    threads: Arc<Semaphore>,
}

impl SigningPool {
    pub(super) fn new(threads: usize, queue: usize) -> Self {
        Self {
            admitted: Arc::new(Semaphore::new(threads + queue)),
            threads: Arc::new(Semaphore::new(threads)),
        }
    }

    /// Runs a job off the async threads, or says at once that there is no room.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IssueError> {
        let admitted = self.admitted.clone().try_acquire_owned();
        let admitted = admitted.map_err(|_| IssueError::Overloaded)?;
        let thread = self.threads.clone().acquire_owned().await;
        let thread = thread.map_err(|_| IssueError::Overloaded)?;
        // The permits go with the job: it runs to its end also when nobody waits for it any more.
        let held = move || {
            let outcome = job();
            drop((admitted, thread));
            outcome
        };
        tokio::task::spawn_blocking(held).await.map_err(|_| IssueError::Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use tokio::task::JoinHandle;

    use super::*;

    /// Starts a job that runs until it is released.
    async fn occupy(pool: &Arc<SigningPool>) -> (Sender<()>, JoinHandle<bool>) {
        let (release, blocked) = channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
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
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| 1).await }
        });
        while pool.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.run(|| 2).await, Err(IssueError::Overloaded)));
        release.send(()).unwrap();
        assert!(busy.await.unwrap());
        assert!(matches!(waiting.await.unwrap(), Ok(1)));
        assert!(matches!(pool.run(|| 3).await, Ok(3)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_job_that_nobody_waits_for_keeps_its_place_until_it_ends() {
        let pool = Arc::new(SigningPool::new(1, 0));
        let (release, abandoned) = occupy(&pool).await;
        abandoned.abort();
        let _ = abandoned.await;
        assert!(matches!(pool.run(|| 1).await, Err(IssueError::Overloaded)));
        release.send(()).unwrap();
        while pool.admitted.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.run(|| 2).await, Ok(2)));
    }
}
