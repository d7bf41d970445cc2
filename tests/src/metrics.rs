//! What `GET /metrics` says, read as a monitoring system reads it: the `OpenMetrics` text format.

use std::collections::{BTreeMap, BTreeSet};

use crate::people::Operator;

/// All metrics at one moment.
pub struct Metrics {
    /// The text itself.
    pub text: String,
    /// The type of each family, by its name.
    pub types: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Ask for them.
    pub async fn of(auditor: &Operator) -> Self {
        let answer = auditor.get("/metrics").await.expect(200);
        let media_type = answer.header("content-type");
        assert_eq!(media_type, Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
        Self::parse(answer.text())
    }

    /// Read the text; what is not in the format fails.
    #[track_caller]
    pub fn parse(text: String) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), Vec::new());
        let lines = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("it does not end with `# EOF`: {text}"));
        for line in lines.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                assert_eq!(types.insert(name.into(), kind.into()), None, "`{name}` stands twice");
            } else if !line.starts_with('#') {
                samples.push(Sample::parse(line));
            }
        }
        Self { text, types, samples }
    }

    /// The value of the one sample of this name with these labels; none if there is none.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut found = self.samples.iter().filter(|sample| sample.name == name && sample.labels == labels);
        let value = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "`{name}` with {labels:?} stands twice");
        value
    }

    /// The same for what is counted in whole numbers.
    #[track_caller]
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> Option<usize> {
        self.value(name, labels).map(whole)
    }

    /// All samples of a name together, for what is counted in whole numbers.
    #[track_caller]
    pub fn sum(&self, name: &str) -> usize {
        self.samples.iter().filter(|sample| sample.name == name).map(|sample| whole(sample.value)).sum()
    }

    /// The names of all samples with the names of their labels, beside the bound of a bucket.
    pub fn names(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for sample in &self.samples {
            let labels = sample.labels.keys().filter(|name| *name != "le").cloned();
            names.entry(sample.name.clone()).or_default().extend(labels);
        }
        names
    }
}

#[track_caller]
fn whole(value: f64) -> usize {
    value.to_string().parse().unwrap_or_else(|_| panic!("{value} is no count"))
}

impl Sample {
    #[track_caller]
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("`{line}` is no sample"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("`{line}` is no sample"));
        let label = |label: &str| {
            let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("`{line}` has a bad label"));
            (name.to_owned(), value.strip_suffix('"').unwrap().to_owned())
        };
        // No value of a label holds a comma.
        let labels = labels.split(',').filter(|text| !text.is_empty()).map(label).collect();
        Self { name: name.into(), labels, value: value.parse().unwrap() }
    }
}
