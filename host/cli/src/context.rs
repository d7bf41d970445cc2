//! What every command has: the server, who asks, and where to write.

use std::fmt;
use std::path::PathBuf;

use attorn_agent::ServerUrl;

use crate::failure::Failure;
use crate::key_source::read_text;
use crate::operator_client::OperatorClient;
use crate::output::Output;

/// The environment variable that holds an operator's token. There is no argument for it, since
/// arguments are seen by everybody on the machine.
const TOKEN_VARIABLE: &str = "ATTORN_TOKEN";

const TOKEN_FILE_BYTES_MAX: u64 = 1024;

/// What every command has.
pub(crate) struct Context {
    pub(crate) server: ServerUrl,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) output: Output,
}

/// An operator's token.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Context {
    /// A client with the operator's token.
    pub(crate) fn operator(&self) -> Result<OperatorClient, Failure> {
        let text = match (&self.token_file, std::env::var(TOKEN_VARIABLE)) {
            (Some(path), _) => read_text(path, TOKEN_FILE_BYTES_MAX)?,
            (None, Ok(token)) => token,
            (None, Err(_)) => {
                return Err(Failure::new("this needs an operator's token").with_help(
                    "put what `attorn operator register` printed into ATTORN_TOKEN, or give `--token-file`",
                ));
            }
        };
        OperatorClient::new(self.server.clone(), Some(text.parse()?))
    }

    /// A client without a token, for what is public.
    pub(crate) fn anybody(&self) -> Result<OperatorClient, Failure> {
        OperatorClient::new(self.server.clone(), None)
    }
}

impl Token {
    /// The text, to be sent to the server and nowhere else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Token {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let text = text.trim_ascii();
        let sendable = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if text.is_empty() || !sendable {
            return Err(Failure::new("the operator's token is not one").with_help("it begins with `attorn_op_`"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_token_is_refused_and_not_shown() {
        for text in ["", " \n", "secret secret", "secret\r\nX: y", "s\u{e9}cret"] {
            let failure = text.parse::<Token>().unwrap_err();
            assert_eq!(
                failure.to_string(),
                "error: the operator's token is not one\nhelp: it begins with `attorn_op_`"
            );
        }
        let token: Token = "attorn_op_x-Y_9\n".parse().unwrap();
        assert_eq!((token.expose(), format!("{token:?}").as_str()), ("attorn_op_x-Y_9", "Token"));
    }
}
