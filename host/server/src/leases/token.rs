//! The kind `token`: signed for what was recorded. It exists nowhere outside, so it has no lease: it ends with its
//! grant, which whoever introspects it or reports a use finds out.

use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_api::decisions::Credential;
use attorn_broker::{CredentialKind, Ended, KindError, Outside, Whose};
use attorn_core::Grant;
use attorn_identity::{TokenClaims, TokenSubject};
use attorn_store::Recorded;

use crate::app::App;
use crate::http::failure::Failure;

/// What signs tokens.
pub(crate) struct Tokens<'a>(&'a App);

impl<'a> Tokens<'a> {
    pub(crate) const fn of(app: &'a App) -> Self {
        Self(app)
    }
}

impl CredentialKind for Tokens<'_> {
    /// The user, as issuer and subject; a grant that is held for one names them.
    type Order = Option<(String, String)>;
    type Credential = Credential;

    async fn issue(&self, grant: &Recorded<Grant>, user: &Self::Order) -> Result<Credential, KindError> {
        let (app, grant) = (self.0, grant.get());
        let user = user.as_ref().map(|(issuer, subject)| TokenSubject { issuer, subject });
        let claims = TokenClaims::of(grant, user.as_ref(), &app.config.public_url).map_err(broken)?;
        let key = app.token_keys.named(&grant.signed_by);
        let signer = key.as_ref().and_then(|key| key.signer()).ok_or_else(|| KindError::Temporary {
            whose: Whose::Credential,
            text: "the key that signs tokens was lost meanwhile".into(),
        })?;
        let access_token = signer.sign(&claims).map_err(broken)?;
        let expires_in = grant.expires_at.ms_since(app.clock.now()) / 1000;
        Ok(Credential { token_type: grant.key_binding.token_type().into(), access_token, expires_in })
    }

    /// A token says until when it is good, and its grant ends then.
    async fn renew(&self, _: &Recorded<Grant>, _: &Outside, _: Duration) -> Result<(), KindError> {
        Err(KindError::Permanent { whose: Whose::Credential, text: "a token is not renewed: ask again".into() })
    }

    async fn revoke(&self, _: &Outside) -> Result<Ended, KindError> {
        Ok(Ended::Before)
    }

    async fn check(&self) -> Result<Vec<Outside>, KindError> {
        Ok(Vec::new())
    }
}

fn broken(error: impl std::fmt::Display) -> KindError {
    KindError::Permanent { whose: Whose::Credential, text: error.to_string() }
}

/// What the agent reads when no token was signed.
pub(crate) fn failure(error: KindError) -> Failure {
    match error {
        KindError::Temporary { text, .. } => Failure::of(ProblemCode::Contention, text),
        KindError::Permanent { text, .. } => Failure::internal(text),
    }
}
