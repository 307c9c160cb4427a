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
async fn private_and_public_volumes_load_together_in_every_build_of_neuroglancer() {
    World::start(Topology::Siblings).await.tells("stock_together.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn private_and_public_images_load_together_in_other_viewers() {
    World::start(Topology::Siblings).await.tells("stock_others.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_that_end_amid_a_hundred_reads_are_renewed_once_and_nothing_is_lost() {
    World::start(Topology::Siblings).await.tells("stock_expiry.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_again_in_another_tab_sees_the_view_complete_itself() {
    World::start(Topology::Siblings).await.tells("stock_refused.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sleep_and_wrong_clocks_cost_one_renewal() {
    World::start(Topology::Siblings).await.tells("stock_clocks.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absence_that_looks_like_refusal_starts_no_storm_of_renewals() {
    World::start(Topology::Siblings).await.tells("stock_sparse.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_view_survives_sign_in() {
    World::start(Topology::Siblings).await.tells("stock_shared_link.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_script_reads_the_cookies_and_no_other_host_gets_them() {
    World::start(Topology::Siblings).await.tells("stock_hidden.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_and_data_share_one_host() {
    World::start(Topology::OneHost).await.tells("stock_one_host.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_takes_handoffs_opens_beside_those_that_share_cookies() {
    World::start(Topology::Handoff).await.tells("stock_handoff.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_worker_reads_for_workers_that_have_no_shim() {
    let world = World::start_with(Topology::Siblings, "service-worker").await;
    world.tells("stock_service_worker.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_loads_renews_and_completes_views_as_well() {
    World::start(Topology::Siblings).await.tells("stock_firefox.mjs").await;
}
