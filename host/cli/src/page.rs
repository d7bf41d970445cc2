//! Pages of lists.

use clap::Args;

use crate::output::Output;

/// Which page of a list.
#[derive(Debug, Args)]
pub(crate) struct Page {
    /// How many at most, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=200))]
    limit: u8,
    /// Only those after this one
    #[arg(long, value_name = "ID", value_parser = after)]
    after: Option<String>,
}

impl Page {
    /// The path with its query.
    pub(crate) fn of(&self, path: &str) -> String {
        // A path that has a query of its own goes on with it.
        let sign = if path.contains('?') { '&' } else { '?' };
        match &self.after {
            Some(after) => format!("{path}{sign}limit={}&after={after}", self.limit),
            None => format!("{path}{sign}limit={}", self.limit),
        }
    }
}

/// Say where the next page begins.
pub(crate) fn note_next(output: &Output, next: Option<&String>) {
    if let Some(next) = next {
        output.note(format!("there is more: `--after {next}`"));
    }
}

/// It goes into a URL, and only ids belong there.
fn after(text: &str) -> Result<String, String> {
    let id = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if id { Ok(text.to_owned()) } else { Err("it is no id".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_get_into_the_query() {
        for text in ["", "a&limit=9", "a b", "a#", "%41", "\u{e9}"] {
            assert!(after(text).is_err(), "{text}");
        }
        let page = Page { limit: 7, after: Some(after("support-bot").unwrap()) };
        assert_eq!(page.of("/v1/agents"), "/v1/agents?limit=7&after=support-bot");
        assert_eq!(Page { limit: 50, after: None }.of("/v1/agents"), "/v1/agents?limit=50");
        assert_eq!(page.of("/v1/x?agent=bot"), "/v1/x?agent=bot&limit=7&after=support-bot");
    }
}
