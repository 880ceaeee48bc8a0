"""What makes a token fit for `microk8s add-node --token`. Pure; the messages never hold the token."""

import re

LEAST = 32  # characters (microk8s: scripts/wrappers/add_token.py)
HOW_TO_MAKE = "`openssl rand -hex 16` makes one"


def check_token(text: str) -> str:
    """What is wrong with a join token, or nothing."""
    if text != text.strip():
        return "the token begins or ends with white space: take it out"
    if len(text) < LEAST:
        return f"the token is too short: MicroK8s wants {LEAST} characters or more; {HOW_TO_MAKE}"
    if not re.fullmatch(r"[A-Za-z0-9]+", text):
        return (
            f"the token has other characters than letters and digits, which a join address can't carry; {HOW_TO_MAKE}"
        )
    return ""
