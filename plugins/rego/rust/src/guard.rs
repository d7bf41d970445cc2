//! What is looked at before a text is parsed: how large it is, and how deep it nests.
//!
//! The parser goes down into brackets by calling itself, reads what is in them twice, and makes a tree of a chain such as
//! `a + b + c` that is as deep as the chain is long. So both are bounded here, by a scan that needs no stack.

/// Bytes of all modules together.
pub(crate) const BYTES_MAX: usize = 512 << 10;
/// Modules.
pub(crate) const MODULES_MAX: usize = 256;
/// How deep brackets may nest.
const DEPTH_MAX: usize = 16;
/// Operators, dots and indices of one expression.
const LINKS_MAX: usize = 128;

/// Words that end an expression, or begin one.
const KEYWORDS: [&str; 12] =
    ["as", "contains", "default", "else", "every", "if", "import", "not", "null", "package", "some", "with"];

/// What the scan has to know of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    /// What links two operands, or stands before one.
    Link,
    Separator,
    Keyword,
    Operand,
}

/// Whether a text can be parsed without harm; or the line where it cannot, and why.
pub(crate) fn check(text: &str) -> Result<(), (usize, String)> {
    let mut scan = Scan { rest: text, line: 1, line_of_last: 1, last: Token::Separator, links: vec![0] };
    while let Some(token) = scan.next()? {
        scan.take(token)?;
    }
    Ok(())
}

struct Scan<'a> {
    rest: &'a str,
    line: usize,
    line_of_last: usize,
    last: Token,
    /// Of each bracket that is open, and of the text outside of them, how many links the expression has so far.
    links: Vec<usize>,
}

impl Scan<'_> {
    fn take(&mut self, token: Token) -> Result<(), (usize, String)> {
        let ended = matches!(self.last, Token::Operand | Token::Close);
        let is_new_line = self.line != self.line_of_last;
        let odd = (self.line, "a bracket is closed that is not open".to_owned());
        if token == Token::Close && self.links.len() == 1 {
            return Err(odd);
        }
        let links = self.links.last_mut().ok_or(odd)?;
        match token {
            Token::Separator | Token::Keyword => *links = 0,
            Token::Link => *links += 1,
            // A new literal, or the index of what stands before it.
            Token::Operand | Token::Open if ended && is_new_line => *links = 0,
            Token::Open if ended => *links += 1,
            Token::Operand | Token::Open | Token::Close => {}
        }
        if *links > LINKS_MAX {
            return Err((self.line, format!("an expression of more than {LINKS_MAX} operators, dots and indices")));
        }
        match token {
            Token::Open if self.links.len() > DEPTH_MAX => {
                return Err((self.line, format!("brackets nest deeper than {DEPTH_MAX}")));
            }
            Token::Open => self.links.push(0),
            Token::Close => {
                self.links.pop();
            }
            _ => {}
        }
        (self.last, self.line_of_last) = (token, self.line);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Token>, (usize, String)> {
        loop {
            let Some(c) = self.rest.chars().next() else { return Ok(None) };
            let token = match c {
                // The parser would take it for the end of the text.
                '\0' => return Err((self.line, "it holds a character U+0000".to_owned())),
                '#' => {
                    self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
                    continue;
                }
                c if c.is_whitespace() => {
                    self.skip(c.len_utf8());
                    continue;
                }
                '"' => self.string(),
                '`' => self.rest[1..].find('`').map_or(self.rest.len(), |at| at + 2),
                c if is_word(c) => self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len()),
                ':' if self.rest.starts_with(":=") => 2,
                c => c.len_utf8(),
            };
            let kind = match c {
                '(' | '[' | '{' => Token::Open,
                ')' | ']' | '}' => Token::Close,
                ',' | ';' | ':' => Token::Separator,
                '"' | '`' => Token::Operand,
                c if is_word(c) && KEYWORDS.contains(&&self.rest[..token]) => Token::Keyword,
                c if is_word(c) && &self.rest[..token] == "in" => Token::Link,
                c if is_word(c) => Token::Operand,
                _ => Token::Link,
            };
            self.skip(token);
            return Ok(Some(kind));
        }
    }

    /// How long the string is that begins here.
    fn string(&self) -> usize {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return at + 1,
                _ => {}
            }
        }
        self.rest.len()
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, line: usize, problem: &str) {
        let (at, why) = check(text).unwrap_err();
        assert!(at == line && why.contains(problem), "{at}: {why}");
    }

    #[test]
    fn what_would_go_too_deep_is_refused_with_its_line() {
        for open in ["[", "{", "(", "f(", "set(", "a[", "{\n\"a\": "] {
            let text = format!("package a\nx := {}", open.repeat(100_000));
            let lines = if open.contains('\n') { DEPTH_MAX } else { 0 };
            refused(&text, 2 + lines, "brackets nest deeper than 16");
        }
        for link in ["1 + ", "- ", "a.", "a[0] | ", "1 in ", "x == ", "1 +\n", "!", "a\n-"] {
            let text = format!("package a\nx := {} 1", link.repeat(100_000));
            let (_, why) = check(&text).unwrap_err();
            assert!(why.contains("of more than 128 operators"), "{link}: {why}");
        }
        let index = format!("package a\nx := a{}", "[0]".repeat(1_000));
        refused(&index, 2, "of more than 128 operators");
        refused("package a\n)", 2, "a bracket is closed that is not open");
        refused("package a\nallow if true\n\0deny if true", 3, "U+0000");
    }

    #[test]
    fn what_is_long_and_flat_is_taken() {
        let rules = "allow if {\n\tinput.a.b[\"c\"] == -1\n\tnot input.x - 1 == 2\n}\n\n".repeat(2_000);
        let list = format!("x := [{}1]", "{\"a\": [1 + 2, \"(((([[[\"]}, ".repeat(2_000));
        let body = format!("p if {{\n{}}}", "\tinput.a != \"x\"\n".repeat(2_000));
        let comment =
            format!("# {}\nx := `{}`\ny := \"\\\"{}\"", "[".repeat(9_999), "(".repeat(9_999), "{".repeat(9_999));
        for text in [rules, list, body, comment, String::new()] {
            check(&format!("package a\n{text}")).unwrap();
        }
    }
}
