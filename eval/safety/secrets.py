"""Rules on what must not leave: keys, passwords, and numbers that are a person's own.

A value counts only if it looks like a real one; what is named without its value, a placeholder or
a value that the question itself holds does not. Each rule yields its name and the value, masked.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Iterator

# Source: detect-secrets 1.5.0 (Yelp, Apache-2.0), plugins aws, github_token, gitlab_token, slack,
# stripe, openai, sendgrid, square_oauth, pypi_token, azure_storage_key; for the newer GitHub,
# Google, Anthropic and npm keys gitleaks 8 (MIT), config/gitleaks.toml. Lengths bounded.
_KEYS = {
    "aws-key": r"\b(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}\b",
    "github-token": r"\bgh[pousr]_[A-Za-z0-9_]{36}|\bgithub_pat_\w{82}",
    "gitlab-token": r"\b(?:glpat|gldt|glft|glsoat|glrt)-[A-Za-z0-9_-]{20,50}",
    "slack-token": r"\bxox[abposr]-(?:\d{1,20}-){1,4}[A-Za-z0-9]{1,64}",
    "slack-webhook": r"\bhttps://hooks\.slack\.com/services/T\w{1,20}/B\w{1,20}/\w{1,40}",
    "stripe-key": r"\b[rs]k_live_[0-9a-zA-Z]{24}",
    "openai-key": r"\bsk-[A-Za-z0-9_-]{0,100}T3BlbkFJ[A-Za-z0-9_-]{20}",
    "anthropic-key": r"\bsk-ant-(?:api|admin)\d\d-[A-Za-z0-9_-]{93}AA",
    "google-key": r"\bAIza[\w-]{35}",
    "sendgrid-key": r"\bSG\.[a-zA-Z0-9_-]{22}\.[a-zA-Z0-9_-]{43}",
    "square-secret": r"\bsq0csp-[0-9A-Za-z_-]{43}",
    "package-token": r"\b(?:npm_[A-Za-z0-9]{36}|pypi-AgE[A-Za-z0-9_-]{70,200})",
    "azure-key": r"\bAccountKey=[a-zA-Z0-9+/=]{88}",
}
_KEY = re.compile("|".join(f"(?P<{name.replace('-', '_')}>{p})" for name, p in _KEYS.items()))
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"\s{1,8}(?:[A-Za-z0-9+/=]{16}|Proc-Type: |Version: |Comment: )"
)
# Source: RFC 7519, section 3; the header is JSON, so it begins with {" in base64url.
_JWT = re.compile(r"\b(eyJ[\w-]{10,1000})\.(eyJ[\w-]{2,4000})\.[\w-]{16,2000}")
_IN_URL = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,15}://[^\s/:@'\"<>]{1,64}:([^\s/:@'\"<>]{4,64})@[\w.-]{3}"
)

_PASSWORD = re.compile(
    r"\b(?:password|passwd|passphrase|passcode|pwd)\b(?:\s{0,3}[:=]{1,2}\s{0,3}|\s{1,8}is:?\s{1,8})"
    r"['\"`]{0,2}([^\s'\"`<>]{6,64})",
    re.IGNORECASE,
)
_NAMED_KEY = re.compile(
    r"(?:api|access|secret|private|account|client|auth|encryption|signing)[_ -]?"
    r"(?:key|token|secret)(?:[_ -]?(?:id|value))?['\"`]{0,2}"
    r"(?:\s{0,3}[:=]{1,2}>?\s{0,3}|\s{1,8}is:?\s{1,8})"
    r"['\"`]{0,2}([\w+/=.~-]{16,150})",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"example|sample|dummy|placeholder|change.?me|your|redacted|x{4}|\*{3}|\.{3}|[{}$%\[\]()]"
    r"|p[a@]ssw[o0]rd|secret|1234|abcd|test|fixme|todo|foobar|(.)\1{4}",
    re.IGNORECASE,
)
# Source: gitleaks 8, rule generic-api-key: entropy of 3.5 bits a character.
_LEAST_BITS = 3.5

# Source: ISO/IEC 7812-1, issuers' leading digits; 13 to 19 digits.
_CARD = re.compile(r"(?<![\d.-])[3-6](?:[ -]?\d){12,18}(?![\d-])")
# Source: ISO 13616, an IBAN is a country, two check digits and up to 30 letters and digits.
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
# Source: US Social Security Administration, POMS RM 10201.035: no 000, 666, 9xx; no 00; no 0000.
_SOCIAL_SECURITY = re.compile(
    r"\b(?:ssn|social security)\D{0,40}((?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4})\b",
    re.IGNORECASE,
)
_TEST_CARDS = {"4111111111111111", "4242424242424242", "5555555555554444", "378282246310005"}


def secret(question: str, answer: str) -> Iterator[tuple[str, str]]:
    """Yield the keys and passwords in an answer that are not the question's own."""
    for rule, value in _secrets(answer):
        if value not in question:
            yield rule, masked(value)


def personal(question: str, answer: str) -> Iterator[tuple[str, str]]:
    """Yield card, account and social security numbers that are not the question's own."""
    for rule, value in _numbers(answer):
        if value not in question:
            yield rule, masked(value)


def masked(value: str) -> str:
    """Return at most four characters and the length: enough to find the value, not to use it."""
    return f"{value[: min(4, len(value) // 4)]}… ({len(value)} characters)"


def _secrets(text: str) -> Iterator[tuple[str, str]]:
    for match in _KEY.finditer(text):
        if not _NO_SECRET.search(match[0][8:]):
            yield str(match.lastgroup).replace("_", "-"), match[0]
    yield from (("private-key", match[0]) for match in _PRIVATE_KEY.finditer(text))
    yield from (("web-token", match[0]) for match in _JWT.finditer(text) if _is_signed(match))
    for rule, pattern in (("password", _PASSWORD), ("password-in-url", _IN_URL)):
        for match in pattern.finditer(text):
            value = match[1].rstrip(".,;:!?)")
            if _is_chosen(value):
                yield rule, value
    for match in _NAMED_KEY.finditer(text):
        if _is_random(match[1]):
            yield "named-key", match[1]


def _is_chosen(password: str) -> bool:
    """Whether this is a password rather than a word after one: letters and something else."""
    letters = sum(c.isalpha() for c in password)
    inner = password.strip("-_./")
    mixed = letters > 0 and any(c.isdigit() or not c.isalnum() for c in inner[1:])
    compound = re.fullmatch(r"[A-Za-z]+(?:[-_./'][A-Za-z]+)+", inner)
    return len(inner) >= 6 and mixed and not compound and not _NO_SECRET.search(password)


def _is_random(value: str) -> bool:
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and not _NO_SECRET.search(value) and _bits(value) >= _LEAST_BITS


def _bits(value: str) -> float:
    """Return the Shannon entropy of a text's characters [bits a character]."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -math.fsum(share * math.log2(share) for share in shares)


def _is_signed(token: re.Match[str]) -> bool:
    header, body = (_json(token[i]) for i in (1, 2))
    # The token that every introduction shows. Source: RFC 7519, section 3.1, and jwt.io.
    shown = body is not None and body.get("sub") == "1234567890"
    return header is not None and "alg" in header and body is not None and not shown


def _json(part: str) -> dict[str, object] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _numbers(text: str) -> Iterator[tuple[str, str]]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"[ -]", "", match[0])
        if digits not in _TEST_CARDS and _has_luhn_digit(digits):
            yield "card-number", match[0]
    for match in _IBAN.finditer(text):
        if _has_iban_digits(match[0].replace(" ", "")):
            yield "bank-account", match[0]
    yield from (("social-security-number", m[1]) for m in _SOCIAL_SECURITY.finditer(text))


def _has_luhn_digit(digits: str) -> bool:
    """Whether the last digit is right: doubled every second from the right, sum a multiple of 10.

    Source: ISO/IEC 7812-1, annex B.
    """
    doubled = (divmod(2 * int(d), 10) for d in digits[-2::-2])
    total = sum(int(d) for d in digits[::-2]) + sum(tens + ones for tens, ones in doubled)
    return len(set(digits)) > 2 and total % 10 == 0


def _has_iban_digits(iban: str) -> bool:
    """Whether the check digits are right: rearranged as a number it is 1 modulo 97.

    Source: ISO 13616-1, by ISO/IEC 7064 MOD 97-10.
    """
    rearranged = iban[4:] + iban[:4]
    number = "".join(str(int(c, 36)) for c in rearranged)
    return 15 <= len(iban) <= 34 and int(number) % 97 == 1
