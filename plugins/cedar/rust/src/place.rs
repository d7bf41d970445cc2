//! Where in a text something is wrong, as people look it up.

use miette::Diagnostic;

/// What is wrong, with the place if it has one: `line 3, column 7: unexpected token …`.
pub(crate) fn told(text: &str, error: &dyn Diagnostic) -> String {
    let mut told = String::new();
    let label = error.labels().and_then(|mut labels| labels.next());
    if let Some(label) = &label {
        let (line, column) = line_and_column(text, label.offset());
        told = format!("line {line}, column {column}: ");
    }
    told.push_str(&error.to_string());
    let mut source = error.source();
    while let Some(cause) = source {
        told.push_str(": ");
        told.push_str(&cause.to_string());
        source = cause.source();
    }
    if let Some(expected) = label.as_ref().and_then(|label| label.label()) {
        told.push_str(", ");
        told.push_str(expected);
    }
    if let Some(help) = error.help() {
        told.push_str("; ");
        told.push_str(&help.to_string());
    }
    told
}

/// Both counted from 1, columns in characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before: Vec<char> = text.char_indices().take_while(|(at, _)| *at < offset).map(|(_, c)| c).collect();
    let line = before.iter().filter(|c| **c == '\n').count() + 1;
    let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one() {
        let text = "äb\n\ncd";
        for (offset, place) in [(0, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 1)), (5, (3, 1)), (99, (3, 3))] {
            assert_eq!(line_and_column(text, offset), place, "{offset}");
        }
    }
}
