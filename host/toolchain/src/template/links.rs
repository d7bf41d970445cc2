//! Links in the documents of an SDK. Some lead to what lies beside it in Attorn's sources, and a new project has none of that:
//! there the path of the file, from the top of those sources, stands in the place of the link.

/// A document at this place in a project, and at this one in Attorn's sources, without the links that lead to no file of
/// the project.
pub(super) fn within(document: &str, place: &str, in_sources: &str, is_there: impl Fn(&str) -> bool) -> String {
    let mut is_code = false;
    let mut text = String::with_capacity(document.len());
    for line in document.split_inclusive('\n') {
        is_code ^= line.starts_with("```");
        text += &if is_code { line.to_owned() } else { of_line(line, place, in_sources, &is_there) };
    }
    text
}

fn of_line(line: &str, place: &str, in_sources: &str, is_there: &impl Fn(&str) -> bool) -> String {
    let (mut text, mut rest) = (String::new(), line);
    while let Some(link) = next(rest) {
        let Link { before, label, target, after } = link;
        let path = target.split('#').next().unwrap_or_default();
        if path.is_empty() || target.contains("://") || is_there(&resolved(place, path)) {
            text += &rest[..rest.len() - after.len()];
        } else {
            text.extend([before, label, " (`", &resolved(in_sources, path), "` in Attorn's sources)"]);
        }
        rest = after;
    }
    text + rest
}

struct Link<'a> {
    before: &'a str,
    label: &'a str,
    target: &'a str,
    after: &'a str,
}

/// The first `[label](target)`.
fn next(text: &str) -> Option<Link<'_>> {
    let middle = text.find("](")?;
    let begin = text[..middle].rfind('[')?;
    let end = middle + text[middle..].find(')')?;
    Some(Link {
        before: &text[..begin],
        label: &text[begin + 1..middle],
        target: &text[middle + 2..end],
        after: &text[end + 1..],
    })
}

/// Where a relative path leads from a file, by the names from the top. One that leads out of it leads to no file.
fn resolved(place: &str, path: &str) -> String {
    let mut parts: Vec<&str> = place.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_none_or(|last| *last == "..") => parts.push(".."),
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_become_the_names_of_files() {
        let is_there = |path: &str| ["vendor/sdk/a.h", "README.md", "vendor/sdk/include"].contains(&path);
        for (text, expect) in [
            ("", ""),
            ("[`a.h`](a.h), [all](../../README.md#x)\n", "[`a.h`](a.h), [all](../../README.md#x)\n"),
            ("see [cases](../CASES.md).", "see cases (`sdk/policy/CASES.md` in Attorn's sources)."),
            ("[a](../../../README.md#b) c [d](./a.h) e", "a (`README.md` in Attorn's sources) c [d](./a.h) e"),
            ("[a](../rust/README.md), b", "a (`sdk/policy/rust/README.md` in Attorn's sources), b"),
            ("[a](https://x.example/b) [c](#d) [e](include/)", "[a](https://x.example/b) [c](#d) [e](include/)"),
            ("a](b) [c](d", "a](b) [c](d"),
            ("```c\na[0](b)\n```\n[c](d)\n", "```c\na[0](b)\n```\nc (`sdk/policy/c/d` in Attorn's sources)\n"),
        ] {
            assert_eq!(within(text, "vendor/sdk/README.md", "sdk/policy/c/README.md", is_there), expect);
        }
    }
}
