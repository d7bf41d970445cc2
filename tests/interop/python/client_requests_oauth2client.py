"""PyPI `requests-oauth2client` as a client of Attorn's token service.

Metadata (RFC 8414), `private_key_jwt` (RFC 7523), DPoP with a nonce (RFC 9449), `client_credentials` and token
exchange (RFC 8693) with one element of `authorization_details` (RFC 9396), introspection (RFC 7662) and
revocation (RFC 7009). Prints one line of JSON a step, and exits with 0 only if all was as expected.
"""

from jwskate import Jwk
from requests_oauth2client import DPoPKey, OAuth2Client, PrivateKeyJwt, oauth2_discovery_document_url
from requests_oauth2client.exceptions import EndpointError

from steps import Steps, check_active, check_inactive, check_token, demand, details, read_options

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def client(options, name, key):
    # Not `testing`, the library refuses what is not https, and here all is on loopback.
    return OAuth2Client.from_discovery_endpoint(
        oauth2_discovery_document_url(options.issuer), issuer=options.issuer,
        auth=PrivateKeyJwt(name, Jwk(key)), testing=True,
    )


def error_of(error):
    return error.error if isinstance(error, EndpointError) else None


def credentials(agent, options, proof_key, *actions):
    return agent.client_credentials(dpop=True, dpop_key=proof_key, authorization_details=details(options, *actions))


def exchange(agent, options, proof_key, token):
    return agent.token_exchange(
        subject_token=token, subject_token_type=ACCESS_TOKEN, dpop=True, dpop_key=proof_key,
        authorization_details=details(options, options.action, purpose=options.login_purpose),
    )


def bound(token, options, user):
    demand(token.token_type == "DPoP", f"the type is `{token.token_type}`")
    return check_token(token.access_token, options, user)


def stranger(options):
    """A key that nobody has registered, under the name of one that is."""
    return {**Jwk.generate(alg="ES256").to_dict(), "kid": options.key["kid"]}


def watch(agent, resource_server, came, steps):
    """As the resource server: what holds, and what holds no longer once its agent gave it back."""
    token = came["token"]
    steps.take("introspection", lambda: check_active(resource_server.introspect_token(token), came["claims"]))
    steps.take("revocation", lambda: demand(agent.revoke_access_token(token), "it was not revoked"))
    steps.take("introspection after revocation", lambda: check_inactive(resource_server.introspect_token(token)))


def main():
    options = read_options(__doc__.splitlines()[0])
    steps = Steps(error_of)
    found = steps.take("metadata", lambda: {"client": client(options, options.client_id, options.key)})
    if not found:
        return steps.finish()
    agent = found["client"]
    proof_key = DPoPKey(Jwk(options.key))

    own = steps.take(
        "client_credentials", lambda: bound(credentials(agent, options, proof_key, options.action), options, False))
    steps.refused("no authorization_details", "invalid_request",
                  lambda: agent.client_credentials(dpop=True, dpop_key=proof_key))
    steps.refused("two elements", "invalid_request",
                  lambda: credentials(agent, options, proof_key, options.action, options.action))
    steps.refused("an assertion with another key", "invalid_client", lambda: credentials(
        client(options, options.client_id, stranger(options)), options, proof_key, options.action))
    if options.denied_action:
        steps.refused("what is denied", options.denied_error,
                      lambda: credentials(agent, options, proof_key, options.denied_action))

    delegated = None
    if options.login:
        delegated = steps.take("token exchange", lambda: bound(
            exchange(agent, options, proof_key, options.login["access_token"]), options, True))
        steps.refused("an ID token", "invalid_grant",
                      lambda: exchange(agent, options, proof_key, options.login["id_token"]))
    if options.resource_server:
        resource_server = client(options, options.resource_server, options.resource_server_key)
        for came in filter(None, (own, delegated)):
            watch(agent, resource_server, came, steps)
        steps.take("introspection of nonsense", lambda: check_inactive(resource_server.introspect_token("nonsense")))
    return steps.finish()


if __name__ == "__main__":
    main()
