//! What was measured, as a line of JSON or of a table.

use std::time::Instant;

use serde_json::{Map, Value};

/// Prints figures as they come.
pub(crate) struct Figures {
    json: bool,
}

impl Figures {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Print one figure; `raw` is what it was made of.
    pub(crate) fn add(&mut self, bench: &str, value: f64, unit: &str, raw: &Value) {
        let value = rounded(value);
        if self.json {
            let mut line = Map::new();
            line.insert("bench".into(), bench.into());
            line.insert("value".into(), value.into());
            line.insert("unit".into(), unit.into());
            line.extend(raw.as_object().cloned().unwrap_or_default());
            println!("{}", Value::Object(line));
        } else {
            let raw = raw
                .as_object()
                .map(|raw| raw.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "));
            println!("{bench:<36} {value:>12.3} {unit:<14} {}", raw.unwrap_or_default());
        }
    }
}

/// Microseconds of one call, over a batch of them.
pub(crate) fn timed(calls: usize, mut call: impl FnMut()) -> f64 {
    let (started, calls) = (Instant::now(), calls.max(1));
    for _ in 0..calls {
        call();
    }
    started.elapsed().as_secs_f64() * 1e6 / float(calls as u64)
}

/// To three digits after the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The median of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// What this share of some measurements does not exceed.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let count = float(values.len() as u64);
    let at = values.iter().enumerate().find(|(at, _)| float(*at as u64 + 1) >= count * share);
    at.map_or(f64::NAN, |(_, value)| *value)
}

/// As a number with a fraction. No count here comes near what that cannot hold.
#[expect(clippy::cast_precision_loss, reason = "counts and microseconds stay far below 2^53")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}
