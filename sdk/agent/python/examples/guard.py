"""One line protects a tool: `ATTORN_URL=… ATTORN_KEY=bot.key python guard.py`."""

import os

from attorn_agent import AgentKey, Allow, Client, NotAllowed

attorn = Client(os.environ["ATTORN_URL"], AgentKey.load(os.environ["ATTORN_KEY"]))


@attorn.guard("faq.read", "article/{article}", purpose="answer-questions")
def read(article: str, section: str = "all", *, allow: Allow) -> str:
    """Read an article of the FAQ."""
    return f"article {article}, {section}, by {allow.grant.action}"


@attorn.guard("faq.write", "article/{article}", purpose="answer-questions")
def write(article: str, text: str) -> None:
    """Write an article of the FAQ."""
    raise AssertionError("nobody allowed this")


print(read("42", section="billing"))
try:
    write("42", text="nothing costs anything")
except NotAllowed as error:
    print(error.decision.decided.reasons[0].code)
