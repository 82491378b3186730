"""Finds out what is wrong with TLS where a scheduler does not answer; gRPC just says UNAVAILABLE."""

import asyncio
import ssl
from contextlib import suppress
from typing import Final

from callsheet.addresses import split_address
from callsheet.errors import InvalidError
from callsheet.identities import SCHEDULER_NAME
from callsheet.service.clock import SystemClock
from callsheet.tls import CERTIFICATE_FILE, KEY_FILE, Credentials, TlsFolder, read_credentials
from callsheet.within import within

#: Seconds that the scheduler has for each step of greeting.
STEP_S: Final = 3.0

_RENEW: Final = "renew it by `callsheet certs issue`"


async def tls_trouble(address: str, tls: TlsFolder | None) -> str:
    """Greet the scheduler at *address*, host:port, and return what is wrong with TLS there.

    Empty where nothing is, and where nobody listens: then the trouble is another one.
    """
    if tls is None:
        return await _plain(address)
    try:
        shown = read_credentials(tls.path)
    except InvalidError as error:
        return error.message
    own = shown.trouble(SystemClock().now())
    return f"{own}: {_RENEW}" if own else await _greeted(address, tls, shown)


async def _plain(address: str) -> str:
    """Say whether the scheduler wants TLS, which this side does not speak."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        await _closed_after_greeting(address, context)
    except (OSError, TimeoutError):
        return ""
    return f"the scheduler at {address} speaks TLS: name a folder with certificates in CALLSHEET_TLS_DIR"


async def _greeted(address: str, tls: TlsFolder, shown: Credentials) -> str:
    context = ssl.create_default_context(cadata=shown.ca.decode("ascii", "replace"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(tls.path / CERTIFICATE_FILE, tls.path / KEY_FILE)
    try:
        closed = await _closed_after_greeting(address, context)
    except ssl.SSLCertVerificationError as error:
        return (
            f"the certificate of the scheduler at {address} is not to be trusted ({error.verify_message}): "
            "both sides need certificates of one CA, and the scheduler's has to be of its role and in time"
        )
    except (ssl.SSLError, ConnectionResetError):
        return f"the scheduler at {address} speaks no TLS: leave CALLSHEET_TLS_DIR unset, or set it there too"
    except (OSError, TimeoutError):
        return ""
    if closed:
        return (
            f"the scheduler at {address} refuses the certificate of {shown.identity.uri}: "
            "the CA that it trusts may be another, or its clock wrong"
        )
    return ""


async def _closed_after_greeting(address: str, context: ssl.SSLContext) -> bool:
    """Do the handshake, and return whether the scheduler ended the connection at once after it.

    Raises:
        OSError: There was no handshake; an error of TLS is one too.
        TimeoutError: The scheduler says nothing.
    """
    context.set_alpn_protocols(["h2"])
    host, port = split_address(address)
    async with within(STEP_S):
        reader, writer = await asyncio.open_connection(
            host, port, ssl=context, server_hostname=SCHEDULER_NAME
        )
    try:
        async with within(STEP_S):
            return not await reader.read(1)
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with within(STEP_S):
                await writer.wait_closed()
