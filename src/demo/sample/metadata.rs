//! The metadata of OME-Zarr 0.4, as a viewer reads it.

use std::fmt::Write as _;

use super::{CHUNK, LEVELS, SIDE};

/// Width of a pixel of the finest level, in micrometres.
const PIXEL: f32 = 0.5;

/// The group's `.zattrs`; a coarse pixel's centre lies between the centres that it covers.
pub(super) fn attributes(name: &str) -> String {
    let mut levels = String::new();
    for level in 0..LEVELS {
        let step = f32::from(1_u16 << level);
        let (scale, shift) = (PIXEL * step, PIXEL * (step - 1.0) / 2.0);
        let comma = if level == 0 { "" } else { "," };
        let _ = write!(
            levels,
            "{comma}{{\"path\":\"{level}\",\"coordinateTransformations\":[\
             {{\"type\":\"scale\",\"scale\":[{scale},{scale}]}},\
             {{\"type\":\"translation\",\"translation\":[{shift},{shift}]}}]}}"
        );
    }
    format!(
        "{{\"multiscales\":[{{\"version\":\"0.4\",\"name\":\"{name}\",\"axes\":[\
         {{\"name\":\"y\",\"type\":\"space\",\"unit\":\"micrometer\"}},\
         {{\"name\":\"x\",\"type\":\"space\",\"unit\":\"micrometer\"}}],\
         \"datasets\":[{levels}]}}]}}"
    )
}

/// A level's `.zarray`.
pub(super) fn array(level: u8) -> String {
    let side = SIDE >> level;
    format!(
        "{{\"zarr_format\":2,\"shape\":[{side},{side}],\"chunks\":[{CHUNK},{CHUNK}],\
         \"dtype\":\"|u1\",\"compressor\":null,\"filters\":null,\"fill_value\":0,\
         \"order\":\"C\",\"dimension_separator\":\"/\"}}"
    )
}
