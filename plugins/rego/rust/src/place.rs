//! Where in a text something is wrong, as people look it up.

/// What the interpreter says, without the lines of the text that it quotes: `authz.rego:3:7: unexpected token`.
///
/// It writes `--> authz.rego:3:7`, then the line with a mark below it, then `error: unexpected token`.
pub(crate) fn told(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let place = text.lines().find_map(|line| line.strip_prefix("--> "));
    let says = text.lines().rev().find_map(|line| line.strip_prefix("error: "));
    match (place, says) {
        (Some(place), Some(says)) => format!("{place}: {says}"),
        _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_comes_first() {
        let error = anyhow::anyhow!("\n--> a.rego:3:7\n  |\n3 | allow if foo(\n  |       ^\nerror: unexpected end");
        assert_eq!(told(&error), "a.rego:3:7: unexpected end");
        assert_eq!(told(&anyhow::anyhow!("data  must\nbe object")), "data must be object");
    }
}
