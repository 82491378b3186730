"""JWTs of an issuer and of our own: only what is signed for us, with a key of the right kind, counts."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import jwt
import pytest
import pytest_asyncio
from callsheet_gateway.access.auth import Role
from callsheet_gateway.access.issuer import AGAIN_S, ANSWER_BYTES_MAX, FRESH_S, KEPT_S, Issuer, is_private_way
from callsheet_gateway.access.jwts import Jwts, OwnTokens, RoleClaim, looks_like_jwt
from callsheet_gateway.settings import GatewaySettings
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from callsheet.errors import DeniedError, UnauthenticatedError, UnavailableError
from callsheet.service.clock import SystemClock
from tests.support.issuers import AUDIENCE, VALID_S, SmallIssuer, small_issuer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "s" * 40
LEEWAY_S = 60.0
ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})


@dataclass
class Watch:
    """A clock that is set by hand."""

    at: float = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[SmallIssuer]:
    async with small_issuer() as issuer:
        for number, algorithm in enumerate(sorted(ALGORITHMS)):
            issuer.add_key(f"key-{number}", algorithm)
        yield issuer


@pytest.fixture
def issuer(running: SmallIssuer) -> SmallIssuer:
    running.asked, running.silent, running.ballast_bytes = 0, False, 0
    running.other_name = running.elsewhere = ""
    return running


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest_asyncio.fixture(loop_scope="module")
async def jwts(issuer: SmallIssuer, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Jwts]:
    monkeypatch.setattr("callsheet_gateway.access.issuer.FETCH_S", 60.0)
    async with httpx.AsyncClient(timeout=60.0) as http:
        known = Issuer(issuer.address, audience=AUDIENCE, algorithms=ALGORITHMS, http=http, clock=watch)
        own = OwnTokens(secret=SECRET, audience="callsheet", issuer="")
        yield Jwts(roles=RoleClaim(), leeway_s=LEEWAY_S, own=own, issuer=known)


def own_token(
    claims: Mapping[str, object] | None = None, *, secret: str = SECRET, algorithm: str = "HS256"
) -> str:
    usual = {"aud": "callsheet", "sub": "robot", "exp": now() + VALID_S, "role": "SUBMITTER"}
    said = {name: value for name, value in (usual | dict(claims or {})).items() if value is not None}
    return jwt.encode(said, secret, algorithm=algorithm)


def now() -> float:
    return SystemClock().now().timestamp()


async def refused(jwts: Jwts, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as error:
        await jwts.caller(token)
    return error.value.message


@pytest.mark.parametrize("kid", ["key-0", "key-1", "key-2"])
async def test_token_of_the_issuer_names_a_caller_for_each_algorithm(
    jwts: Jwts, issuer: SmallIssuer, kid: str
) -> None:
    before = int(now())
    caller = await jwts.caller(issuer.token(kid))
    assert (caller.name, caller.role) == ("oidc:alice", Role.OPERATOR)
    assert caller.expires_at is not None
    assert before <= caller.expires_at - VALID_S - LEEWAY_S <= now()


async def test_own_token_names_a_caller(jwts: Jwts) -> None:
    caller = await jwts.caller(own_token())
    assert (caller.name, caller.role) == ("jwt:robot", Role.SUBMITTER)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "others"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"nbf": 9e9},
        {"iss": "http://evil.example"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 201},
    ],
)
async def test_token_that_is_not_for_us_or_not_of_now_is_refused(
    jwts: Jwts, issuer: SmallIssuer, claims: dict[str, object]
) -> None:
    await refused(jwts, issuer.token("key-0", claims))


@pytest.mark.parametrize("claims", [{"aud": "media"}, {"aud": None}, {"exp": 1}, {"exp": None}, {"nbf": 9e9}])
async def test_own_token_that_is_not_for_us_or_not_of_now_is_refused(
    jwts: Jwts, claims: dict[str, object]
) -> None:
    await refused(jwts, own_token(claims))


async def test_clocks_may_differ_a_little(jwts: Jwts, issuer: SmallIssuer) -> None:
    await jwts.caller(issuer.token("key-0", {"exp": now() - LEEWAY_S / 2, "nbf": now() + LEEWAY_S / 2}))
    await jwts.caller(own_token({"exp": now() - LEEWAY_S / 2}))


async def test_tampered_token_is_refused(jwts: Jwts, issuer: SmallIssuer) -> None:
    for token in (issuer.token("key-0"), own_token()):
        head, body, mac = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        more = base64.urlsafe_b64encode(json.dumps(claims | {"role": "SUPER_ADMIN"}).encode()).rstrip(b"=")
        await refused(jwts, f"{head}.{more.decode()}.{mac}")
        await refused(jwts, f"{head}.{body}.{mac[:-4]}AAAA")


async def test_algorithms_cannot_be_confused(jwts: Jwts, issuer: SmallIssuer) -> None:
    """A public key is no secret: a token signed with it as one, or with none, is nobody's."""
    for kid, (_, private) in issuer.keys.items():
        pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": kid}).encode()).rstrip(b"=")
        body = issuer.token(kid).split(".")[1]
        signer = jwt.get_algorithm_by_name("HS256")
        mac = base64.urlsafe_b64encode(signer.sign(head + b"." + body.encode(), pem)).rstrip(b"=")
        await refused(jwts, f"{head.decode()}.{body}.{mac.decode()}")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert "not taken" in await refused(jwts, f"{none}.{issuer.token('key-0').split('.')[1]}.AA")
    await refused(jwts, own_token(algorithm="HS512", secret=SECRET * 2))
    await refused(jwts, own_token(secret="o" * 40))


async def test_kid_of_another_kind_of_key_is_refused(jwts: Jwts, issuer: SmallIssuer) -> None:
    await refused(jwts, issuer.token("key-0", header={"kid": "key-1"}))


async def test_keys_are_fetched_once_and_again_when_the_issuer_changes_them(
    jwts: Jwts, issuer: SmallIssuer, watch: Watch
) -> None:
    for _ in range(3):
        await jwts.caller(issuer.token("key-0"))
    assert issuer.asked == 1
    issuer.add_key("new", "ES256")
    await refused(jwts, issuer.token("new"))
    assert issuer.asked == 1, "asked again too soon"
    watch.at += AGAIN_S
    await jwts.caller(issuer.token("new"))
    del issuer.keys["new"]
    assert issuer.asked == 2


async def test_unknown_kids_do_not_have_the_issuer_asked_all_the_time(
    jwts: Jwts, issuer: SmallIssuer, watch: Watch
) -> None:
    for number in range(20):
        watch.at += AGAIN_S / 10
        await refused(jwts, issuer.token("key-0", header={"kid": f"unknown-{number}"}))
    assert issuer.asked <= 3


async def test_withdrawn_key_is_refused_within_the_hour(
    jwts: Jwts, issuer: SmallIssuer, watch: Watch
) -> None:
    issuer.add_key("leaked", "RS256")
    token = issuer.token("leaked")
    await jwts.caller(token)
    del issuer.keys["leaked"]
    watch.at += FRESH_S + 1
    await refused(jwts, token)


async def test_issuer_that_is_away_locks_out_nobody_for_a_day(
    jwts: Jwts, issuer: SmallIssuer, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silence(*, begins: bool) -> None:
        issuer.silent = begins
        monkeypatch.setattr("callsheet_gateway.access.issuer.FETCH_S", 0.1 if begins else 60.0)

    silence(begins=True)
    with pytest.raises(UnavailableError):
        await jwts.caller(issuer.token("key-0"))
    silence(begins=False)
    watch.at += AGAIN_S
    await jwts.caller(issuer.token("key-0"))
    silence(begins=True)
    watch.at += KEPT_S - 10
    await jwts.caller(issuer.token("key-0"))
    watch.at += AGAIN_S
    with pytest.raises(UnavailableError):
        await jwts.caller(issuer.token("key-0"))


@pytest.mark.parametrize("fault", ["ballast", "other", "elsewhere"])
async def test_answers_of_the_issuer_are_believed_within_limits_only(
    jwts: Jwts, issuer: SmallIssuer, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    if fault == "ballast":
        issuer.ballast_bytes = ANSWER_BYTES_MAX
    elif fault == "other":
        issuer.other_name = "http://evil.example"
    else:
        issuer.elsewhere = "http://evil.example/keys"
    with pytest.raises(UnavailableError):
        await jwts.caller(issuer.token("key-0"))
    assert {"ballast": "more than", "other": "another issuer", "elsewhere": "jwks_uri"}[fault] in caplog.text


async def test_without_secret_and_issuer_no_token_is_taken() -> None:
    bare = Jwts(roles=RoleClaim(), leeway_s=0)
    assert "HS256 are not taken" in await refused(bare, own_token())
    assert "no issuer" in await refused(bare, own_token(algorithm="HS512", secret=SECRET * 2))


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"realm": {"roles": ["reader"]}}, Role.VIEWER),
        ({"realm": {"roles": ["reader", "boss", "unknown"]}}, Role.SUPER_ADMIN),
        ({"realm": {"roles": "boss"}}, Role.SUPER_ADMIN),
        ({"realm.roles": ["reader"], "realm": {"roles": ["boss"]}}, Role.VIEWER),
    ],
)
async def test_highest_role_of_a_nested_claim_counts(claims: dict[str, object], role: Role) -> None:
    mapped = RoleClaim(path="realm.roles", values={"reader": Role.VIEWER, "boss": Role.SUPER_ADMIN})
    assert mapped.role_of(claims) is role


@pytest.mark.parametrize(
    "claims", [{}, {"realm": {}}, {"realm": {"roles": ["SUPER_ADMIN", 7, None]}}, {"realm": "boss"}]
)
async def test_token_without_a_known_role_is_denied(claims: dict[str, object]) -> None:
    with pytest.raises(DeniedError, match=r"realm\.roles"):
        RoleClaim(path="realm.roles", values={"boss": Role.SUPER_ADMIN}).role_of(claims)
    with pytest.raises(DeniedError):
        RoleClaim().role_of({"role": "PUBLIC"})


async def test_what_has_no_three_parts_is_no_jwt() -> None:
    assert looks_like_jwt(own_token())
    for text in ("", "a.b", "..", "a..b", "a.b.c.d"):
        assert not looks_like_jwt(text)


async def test_garbage_with_three_parts_is_refused(jwts: Jwts) -> None:
    for text in ("a.b.c", "é.b.c", own_token() + "x"):
        await refused(jwts, text)


async def test_settings_ask_for_a_safe_issuer_with_an_audience_and_known_algorithms() -> None:
    for wrong, said in (
        ({"oidc_issuer": "http://login.example", "oidc_audience": "a"}, "https"),
        ({"oidc_issuer": "https://login.example"}, "CALLSHEET_OIDC_ISSUER"),
        ({"oidc_algorithms": "RS256,none"}, "none"),
        ({"oidc_algorithms": "HS256"}, "HS256"),
        ({"oidc_algorithms": " "}, "RS256"),
        ({"role_values": {"boss": "KING"}}, "SUPER_ADMIN"),
    ):
        with pytest.raises(ValidationError, match=said):
            GatewaySettings.model_validate(wrong)
    assert is_private_way("http://[::1]:80/x")
    assert not is_private_way("ftp://127.0.0.1")
