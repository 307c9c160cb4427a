//! From the start of the process to readiness.

use crate::report::Report;
use crate::samples::Samples;
use crate::service::{Kind, Service};
use crate::site::Site;

const STARTS: usize = 11;

pub(crate) const SECONDS: u64 = 4;

pub(crate) fn run(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    report.progress("starting, again and again");
    let [mut edgemint, mut node] = [Samples::default(), Samples::default()];
    for _ in 0..STARTS {
        for (kind, samples) in [(Kind::Edgemint, &mut edgemint), (Kind::Node, &mut node)] {
            let service = Service::start(kind, site, true)?;
            samples.add(service.ready_after.as_secs_f64() * 1e3);
        }
    }
    report.say("### From start to ready, milliseconds");
    let row = vec!["`/readyz` says 200".to_owned(), edgemint.show(), node.show()];
    report.table(&["", "edgemint", "Node.js"], &[row]);
    Ok(())
}
