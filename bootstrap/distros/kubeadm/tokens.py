"""What makes a bootstrap token fit for kubeadm. Pure; the messages never hold the token."""

import re

HOW_TO_MAKE = "`kubeadm token generate` makes one"


def check_token(text: str) -> str:
    """What is wrong with a bootstrap token, or nothing (kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens)."""
    if re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", text):
        return ""
    if text != text.strip():
        return "the token begins or ends with white space: take it out"
    if re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", text.lower()):
        return "the token has capital letters: a bootstrap token has small letters and digits only"
    return (
        f"the token is no bootstrap token: 6 small letters or digits, a dot, 16 small letters or digits; {HOW_TO_MAKE}"
    )
