//! What every command has: the server, who asks, and where to write.

use std::fmt;
use std::path::PathBuf;

use attorn_agent::{Client, ServerUrl};

use crate::agent_source::AgentSource;
use crate::failure::Failure;
use crate::key_source::read_text;
use crate::operator_client::OperatorClient;
use crate::output::Output;

/// The environment variable that holds an operator's token. There is no argument for it, since
/// arguments are seen by everybody on the machine.
const TOKEN_VARIABLE: &str = "ATTORN_TOKEN";

/// The environment variable that holds a user's access token, for the same reason.
const USER_TOKEN_VARIABLE: &str = "ATTORN_USER_TOKEN";

const TOKEN_FILE_BYTES_MAX: u64 = 1024;

/// What every command has.
pub(crate) struct Context {
    pub(crate) server: ServerUrl,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) output: Output,
}

/// An operator's token, or a user's.
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

    /// A client with the token of a user, who sees what is theirs.
    pub(crate) fn user(&self) -> Result<OperatorClient, Failure> {
        let Ok(text) = std::env::var(USER_TOKEN_VARIABLE) else {
            return Err(Failure::new("this needs a user's own token").with_help(
                "sign in at a client that the provider's `user_clients` lists, and put the access token into \
                 ATTORN_USER_TOKEN",
            ));
        };
        OperatorClient::new(self.server.clone(), Some(Token::of_user(&text)?))
    }

    /// A client that signs with an agent's key, or shows its certificate.
    pub(crate) fn agent(&self, agent: &AgentSource) -> Result<Client, Failure> {
        Ok(Client::new(&self.server.to_string(), agent.obtain()?)?)
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

    /// A user's access token: a JWT.
    pub(crate) fn of_user(text: &str) -> Result<Self, Failure> {
        let text = text.trim_ascii();
        let sendable = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if sendable && text.split('.').count() == 3 {
            return Ok(Self(text.to_owned()));
        }
        Err(Failure::new("the user's token is not one")
            .with_help("an access token for the provider's `user_audience`: three parts with `.` between them"))
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
        for text in ["", "a.b", "a.b.c.d", "a.b.c d", "a.b.c\r\nX: y"] {
            assert!(Token::of_user(text).unwrap_err().message.ends_with("the user's token is not one"), "{text}");
        }
        assert_eq!(Token::of_user("e30.e30.x-_\n").unwrap().expose(), "e30.e30.x-_");
        let token: Token = "attorn_op_x-Y_9\n".parse().unwrap();
        assert_eq!((token.expose(), format!("{token:?}").as_str()), ("attorn_op_x-Y_9", "Token"));
    }
}
