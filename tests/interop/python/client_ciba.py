"""PyPI `requests-oauth2client` as a client of Attorn that has users asked (OpenID Connect CIBA, poll mode).

A user says yes and the agent has its token, and says no; whoever starts it has the user answer. Prints one line of JSON
a step, and exits with 0 only if all was as expected.
"""

import requests
from jwskate import Jwk
from requests_oauth2client import (
    BackChannelAuthenticationPollingJob, DPoPKey, OAuth2Client, PrivateKeyJwt, oauth2_discovery_document_url)
from requests_oauth2client.exceptions import EndpointError

from steps import Steps, check_token, delegated, demand, read_options

CIBA = "urn:openid:params:grant-type:ciba"


class Job(BackChannelAuthenticationPollingJob):
    """Polls with proofs by a key that is registered: the library's own job makes none."""

    def token_request(self):
        return self.client.token_request({"grant_type": CIBA, "auth_req_id": self.auth_req_id}, **self.token_kwargs)


def error_of(error):
    return error.error if isinstance(error, EndpointError) else None


def ask(agent, options, amount, **changes):
    return agent.backchannel_authentication_request(**{
        "scope": "openid", "login_hint": options.user, "authorization_details": delegated(options, amount), **changes})


def poll(agent, asked, proof_key):
    job = Job(agent, asked, dpop=True, dpop_key=proof_key)
    token = None
    while token is None:
        token = job()
    return token


def bound(asked, token, options):
    demand(token.token_type == "DPoP", f"the type is `{token.token_type}`")
    demand(token.id_token is None, "there is an ID token")
    # The user has an id here that is not the provider's.
    return {**check_token(token.access_token, options, True), "asked": asked}


def client(options):
    metadata = requests.get(oauth2_discovery_document_url(options.issuer), timeout=10).json()
    demand("poll" in metadata["backchannel_token_delivery_modes_supported"], "there is no poll mode")
    return OAuth2Client.from_discovery_document(
        metadata, issuer=options.issuer, auth=PrivateKeyJwt(options.client_id, Jwk(options.key)), testing=True,
        # The one endpoint that the library does not take from the metadata itself.
        backchannel_authentication_endpoint=metadata["backchannel_authentication_endpoint"],
    )


def main():
    options = read_options(__doc__.splitlines()[0])
    steps = Steps(error_of)
    found = steps.take("metadata", lambda: {"client": client(options)})
    if not found:
        return steps.finish()
    agent, proof_key = found["client"], DPoPKey(Jwk(options.key))
    yes, no = options.amounts

    steps.refused("another user", "unknown_user_id", lambda: ask(agent, options, 1, login_hint="usr_nobody"))
    steps.refused("words of its own", "invalid_binding_message",
                  lambda: ask(agent, options, 1, binding_message="tap yes"))

    def says_yes():
        asked = ask(agent, options, yes)
        return bound(asked, poll(agent, asked, proof_key), options)

    first = steps.take("the user says yes", says_yes)
    if first:
        steps.refused("the same again", "invalid_grant", lambda: poll(agent, first["asked"], proof_key))
    steps.refused("the user says no", "access_denied", lambda: poll(agent, ask(agent, options, no), proof_key))
    return steps.finish()


if __name__ == "__main__":
    main()
