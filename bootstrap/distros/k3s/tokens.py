"""What makes a join token fit for k3s. Pure; the messages never hold the token."""

import re

SHORTEST, LONGEST, FEWEST_DIFFERENT = 16, 512, 6
HOW_TO_MAKE = "`openssl rand -hex 32` makes a good one"


def check_token(token: str) -> str:
    """What is wrong with a join token, or nothing.

    k3s takes a token of one letter. It is also the password that the cluster's CA keys are encrypted with in the
    datastore (docs.k3s.io/cli/token), so length and alphabet are checked here.
    """
    if token.startswith("K10"):
        return (
            "the token is of the secure form K10<hash>::<user>:<secret>: its hash fits one CA only, which a rebuilt"
            " cluster has no more. Give the secret alone, the part behind the last colon"
        )
    if re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token):
        return (
            "the token has the shape of a bootstrap token (6 characters, a dot, 16 characters): k3s takes such a one"
            f" from agents only, and servers could not join; {HOW_TO_MAKE}"
        )
    if token != token.strip():
        return "the token begins or ends with white space: take it out, for k3s would count it in"
    if not re.fullmatch(r"[A-Za-z0-9._-]*", token):
        return f"the token holds other characters than letters, digits, `.`, `_` and `-`; {HOW_TO_MAKE}"
    if not SHORTEST <= len(token) <= LONGEST:
        return f"the token has {len(token)} characters: between {SHORTEST} and {LONGEST} are needed; {HOW_TO_MAKE}"
    if len(set(token)) < FEWEST_DIFFERENT:
        return f"the token has only {len(set(token))} different characters; {HOW_TO_MAKE}"
    return ""
