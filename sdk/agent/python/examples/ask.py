"""Ask before acting: `ATTORN_URL=… ATTORN_KEY=bot.key python ask.py`."""

import os

from attorn_agent import AgentKey, Allow, Client, Request

with Client(os.environ["ATTORN_URL"], AgentKey.load(os.environ["ATTORN_KEY"])) as attorn:
    for action in ("faq.read", "faq.write"):
        match attorn.decide(Request(action, "article/42", "answer-questions")):
            case Allow(grant=grant):
                print(f"{action}: yes, at {grant.audience}")
            case decision:
                print(f"{action}: no, because {decision.decided.reasons[0].code}")
