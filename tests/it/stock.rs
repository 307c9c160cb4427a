//! Viewers as their projects publish them, in stock browsers: over TLS, on host names of their own, with
//! nginx in front of everything.
//!
//! What happens is told in `tests/tools/stock_*.mjs`, one file for each test; here stands the world that
//! it happens in.

mod clock;
mod front;
mod world;

use self::world::{Topology, World};

#[tokio::test(flavor = "multi_thread")]
async fn private_and_public_data_load_together_in_every_build_of_neuroglancer() {
    World::start(Topology::Siblings).await.tells("stock_together.mjs").await;
}
