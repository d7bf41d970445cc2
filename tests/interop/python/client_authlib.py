"""PyPI `authlib` as a client of Attorn's token service: metadata and `private_key_jwt`, and no DPoP.

authlib cannot prove possession of a key (RFC 9449), so that all it can get is an error that says so; and that
error has to come after the client was authenticated, or it would tell strangers who is registered. As a
resource server it can do all that there is: introspection and revocation need no proof.

Prints one line of JSON a step, and exits with 0 only if all was as expected.
"""

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from joserfc.jwk import ECKey

from steps import Steps, check_inactive, demand, details, read_options

REQUEST_SECONDS_MAX = 20
ASSERTION_SECONDS = 60


class ShortLived(PrivateKeyJWT):
    """What authlib signs, for a minute. By itself it signs for an hour, which is longer than Attorn takes."""

    alg = "ES256"

    def sign(self, auth, token_endpoint):
        return private_key_jwt_sign(
            auth.client_secret, client_id=auth.client_id, token_endpoint=token_endpoint, alg=self.alg,
            header={"kid": auth.client_secret.kid}, expires_in=ASSERTION_SECONDS)


class HourLong(PrivateKeyJWT):
    alg = "ES256"


def session(name, key, method=ShortLived):
    made = OAuth2Session(
        name, ECKey.import_key(key), token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt", default_timeout=REQUEST_SECONDS_MAX)
    made.register_client_auth_method(method())
    return made


def metadata(issuer):
    response = requests.get(get_well_known_url(issuer, external=True), timeout=REQUEST_SECONDS_MAX)
    response.raise_for_status()
    found = AuthorizationServerMetadata(response.json())
    demand(found["issuer"] == issuer, f"`issuer` is `{found['issuer']}`")
    # Of its checks those that do not ask for https: all is on loopback.
    for check in (found.validate_token_endpoint_auth_methods_supported, found.validate_grant_types_supported,
                  found.validate_introspection_endpoint_auth_methods_supported):
        check()
    demand("private_key_jwt" in found["token_endpoint_auth_methods_supported"], "`private_key_jwt` is not named")
    demand("ES256" in found["dpop_signing_alg_values_supported"], "`ES256` is not named for proofs")
    return {"metadata": found}


def ask(made, endpoint, options):
    return made.fetch_token(endpoint, grant_type="client_credentials",
                            authorization_details=details(options, options.action))


def error_of(error):
    return error.error if isinstance(error, OAuthError) else None


def introspect(made, endpoint, token):
    response = made.introspect_token(endpoint, token=token)
    response.raise_for_status()
    return response.json()


def main():
    options = read_options(__doc__.splitlines()[0])
    steps = Steps(error_of)
    found = steps.take("metadata", lambda: metadata(options.issuer))
    if not found:
        return steps.finish()
    endpoints = found["metadata"]
    token_endpoint = endpoints["token_endpoint"]
    agent = session(options.client_id, options.key)
    steps.refused("no proof", "invalid_dpop_proof", lambda: ask(agent, token_endpoint, options))
    other = {**ECKey.generate_key("P-256", private=True).as_dict(private=True), "kid": options.key["kid"]}
    steps.refused("an assertion with another key", "invalid_client",
                  lambda: ask(session(options.client_id, other), token_endpoint, options))
    steps.refused("an assertion for an hour", "invalid_client",
                  lambda: ask(session(options.client_id, options.key, HourLong), token_endpoint, options))
    if options.resource_server:
        resource_server = session(options.resource_server, options.resource_server_key)
        steps.take("introspection of nonsense", lambda: check_inactive(
            introspect(resource_server, endpoints["introspection_endpoint"], "nonsense")))
        steps.take("revocation of nonsense", lambda: agent.revoke_token(
            endpoints["revocation_endpoint"], token="nonsense").raise_for_status())
    return steps.finish()


if __name__ == "__main__":
    main()
