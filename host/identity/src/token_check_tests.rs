use attorn_core::{Grant, TimeMs};

use super::*;
use crate::fixtures::{self, ISSUER};
use crate::proof::forge::Signer;
use crate::{TokenClaims, TokenSigner, generate_token_key};

fn grant(signer: &TokenSigner) -> Grant {
    fixtures::grant(signer.public_key().thumbprint().clone(), TimeMs(1_000), TimeMs(2_000))
}

fn signer() -> TokenSigner {
    TokenSigner::from_pkcs8(&generate_token_key().unwrap()).unwrap()
}

fn signed(signer: &TokenSigner, grant: &Grant, issuer: &str) -> String {
    signer.sign(&TokenClaims::of(grant, None, issuer).unwrap()).unwrap()
}

fn read(text: &str, key: &PublicKey) -> Result<GrantId, NotOurToken> {
    UnverifiedToken::parse(text)?.verify(key, ISSUER)
}

#[test]
fn what_this_server_did_not_sign_is_no_token_of_its() {
    let (signer, other) = (signer(), signer());
    let token = signed(&signer, &grant(&signer), ISSUER);
    let key = signer.public_key();
    let elsewhere = signed(&signer, &grant(&signer), "https://other.example");
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let stranger = Signer::es256();
    let kid = key.thumbprint();
    let forged = |header: &str| {
        let claims = format!(r#"{{"iss":"{ISSUER}","jti":"{}"}}"#, GrantId::from_random([0xa5; 16]));
        stranger.sign(header, &claims)
    };
    for text in [
        String::new(),
        "a.b.c".into(),
        message.into(),
        format!("{token}x"),
        format!("{token}="),
        format!("{header}..{signature}"),
        format!("{header}.{claims}A.{signature}"),
        elsewhere,
        signed(&other, &grant(&signer), ISSUER),
        forged(&format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}"#)),
        forged(&format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT"}}"#)),
        forged(&format!(r#"{{"alg":"none","kid":"{kid}","typ":"at+jwt"}}"#)),
        forged(&format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt","jwk":{}}}"#, stranger.jwk())),
        forged(r#"{"alg":"ES256","typ":"at+jwt"}"#),
        "a".repeat(TOKEN_BYTES_MAX + 1),
    ] {
        assert_eq!(read(&text, key), Err(NotOurToken), "{text}");
    }
    assert_eq!(read(&token, other.public_key()), Err(NotOurToken));
    // Somebody else's key under the name of ours.
    assert_eq!(read(&token, &stranger.public_key()), Err(NotOurToken));
}

#[test]
fn a_token_of_this_server_names_its_grant() {
    let signer = signer();
    let grant = grant(&signer);
    let token = signed(&signer, &grant, ISSUER);
    assert_eq!(UnverifiedToken::parse(&token).unwrap().key(), signer.public_key().thumbprint());
    assert_eq!(read(&token, signer.public_key()), Ok(grant.id));
}
