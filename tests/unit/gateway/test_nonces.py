"""The page's policy allows its own scripts and styles, by a nonce that no other answer has."""

import re

from callsheet_gateway.nonces import PLACEHOLDER, page_response

PAGE = f'<meta property="csp-nonce" nonce="{PLACEHOLDER}"><script nonce="{PLACEHOLDER}"></script>'


def test_every_answer_has_a_nonce_of_its_own_in_page_and_policy() -> None:
    answers = [page_response(PAGE) for _ in range(2)]
    found = [set(re.findall(r'nonce="([\w-]{22})"', bytes(answer.body).decode())) for answer in answers]
    policies = [answer.headers["content-security-policy"] for answer in answers]
    assert [len(nonces) for nonces in found] == [1, 1]
    assert not found[0] & found[1]
    for nonces, policy in zip(found, policies, strict=True):
        assert set(re.findall(r"'nonce-([^']+)'", policy)) == nonces
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
