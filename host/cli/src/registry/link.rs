//! Where a list goes on: the `Link` of an answer whose relation is `next` (RFC 8288).

use reqwest::header::HeaderValue;

/// The target of the first link to what is next, as it is written.
pub(super) fn next<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Option<String> {
    values.into_iter().filter_map(|value| value.to_str().ok()).find_map(of_value)
}

fn of_value(mut rest: &str) -> Option<String> {
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        // Until the comma before the next link; none stands in what follows `next` here.
        let (parameters, others) = after.split_once(',').unwrap_or((after, ""));
        if parameters.split(';').any(is_next) {
            return Some(target.to_owned());
        }
        rest = others;
    }
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        next([&HeaderValue::from_str(text).unwrap()])
    }

    #[test]
    fn only_what_is_next_is_followed() {
        for text in [
            "",
            "<",
            "/v2/x; rel=\"next\"",
            "</v2/x>",
            "</v2/x>; rel=\"prev\"",
            "</v2/x>; rel=nextish",
            "</v2/x>; title=\"next\"",
            "</v2/x; rel=next",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        for text in [
            "</v2/x?n=1,2>; rel=\"next\"",
            "</v2/x?n=1,2>;rel=next",
            "</v2/x?n=1,2>; type=\"a\"; REL=\"last Next\"",
            "</other>; rel=\"prev\", </v2/x?n=1,2>; rel=\"next\"",
        ] {
            assert_eq!(of(text).as_deref(), Some("/v2/x?n=1,2"), "{text}");
        }
    }
}
