//! A bounded number of threads that sign, with a bounded queue.

use tokio::sync::{Semaphore, TryAcquireError};

use super::IssueError;

#[derive(Debug)]
pub(super) struct SigningPool {
    /// One permit per signature that is at work or waits.
    admitted: Semaphore,
    /// One permit per thread.
    threads: Semaphore,
}

impl SigningPool {
    pub(super) fn new(threads: usize, queue: usize) -> Self {
        Self { admitted: Semaphore::new(threads + queue), threads: Semaphore::new(threads) }
    }

    /// Runs a job off the async threads, or says at once that there is no room.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IssueError> {
        let _admitted = self.admitted.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits | TryAcquireError::Closed => IssueError::Overloaded,
        })?;
        let _thread = self.threads.acquire().await.map_err(|_| IssueError::Overloaded)?;
        tokio::task::spawn_blocking(job).await.map_err(|_| IssueError::Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn past_the_bound_the_answer_is_overloaded_at_once() {
        let pool = Arc::new(SigningPool::new(1, 1));
        let (release, blocked) = channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let busy = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move || {
                    let _ = started.send(());
                    blocked.recv()
                })
                .await
            }
        });
        running.await.unwrap();
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| 1).await }
        });
        while pool.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.run(|| 2).await, Err(IssueError::Overloaded)));
        release.send(()).unwrap();
        assert!(busy.await.unwrap().is_ok());
        assert!(matches!(waiting.await.unwrap(), Ok(1)));
        assert!(matches!(pool.run(|| 3).await, Ok(3)));
    }
}
