//! `edgemint keys`, the real program, on an AWS of this machine and behind an edge that trusts what
//! its key group says.

mod killed;
mod life;
mod load;
mod tried;
mod unlucky;

pub(crate) mod world;
