"""One file over HTTP into a ``.part`` file: resumed where it stopped, tried again when the network fails.

A part is only continued when the server says that the file is still the one it was (RFC 9110, sections 13.1.5 and
14.2: ``If-Range`` with a strong ETag or the date); otherwise it begins anew.
"""

import email.utils
import errno
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from cytobench import __version__, interrupts
from cytobench.errors import EnvironmentFault, IntegrityFault
from cytobench.progress import say, size, task
from cytobench.store import free_bytes, write_json

CHUNK = 1 << 18  # bytes in memory at a time
LONGEST_WAIT = 120.0  # seconds between two tries, whatever a server asks for
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that a later try may not meet
UNREACHABLE = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH})

Sleep = Callable[[float], None]


class Patience(NamedTuple):
    """How long to bear with a server."""

    timeout: float = 20.0
    """Seconds without a byte before a try is given up."""
    tries: int = 5
    """In a row without getting further."""
    sleep: Sleep = time.sleep
    """What waits; tests put their own here."""


PATIENCE = Patience()


class Origin(BaseModel):
    """Which file a part is the beginning of; kept beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    etag: str = ""
    """Strong ETag; empty when the server gave none."""
    modified: str = ""
    """``Last-Modified`` as given."""
    total: int = 0
    """Bytes of the whole file; 0 when the server didn't say."""

    @property
    def validator(self) -> str:
        """What ``If-Range`` takes; empty when there is nothing to tell two versions apart."""
        return self.etag or self.modified


class _Broken(Exception):
    """A try failed in a way that another may not; ``wait`` is what the server asked for, seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


def problem_of_url(url: str) -> str:
    """Say why a URL is not fetched from; empty when it is."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https") or not host:
        return "only https is fetched from"
    if parts.scheme == "http" and host not in LOCAL_HOSTS:
        return "http can be altered on its way; only https is fetched from (http from this machine itself)"
    return ""


def transfer(url: str, part: Path, *, expected: int, final: Path, patience: Patience) -> None:
    """Bring a part to its end.

    Args:
        url: Where the file is.
        part: The file to write; ``<part>.json`` beside it tells what it is the beginning of.
        expected: Bytes that the publisher states; 0 when unknown.
        final: Where the finished file will lie, for advice.
        patience: How long to bear with the server.

    Raises:
        EnvironmentFault: Not there, not allowed, not reachable after all tries, or no room on the disk.
        IntegrityFault: The server offers another size than the publisher states, or leads elsewhere than https.
        Interrupted: SIGINT or SIGTERM came; the part is kept.
    """
    by_hand = f"download {url} in a browser and put it at {final}"
    farthest, failures = _length(part), 0
    while True:
        try:
            _attempt(url, part, expected, by_hand, patience.timeout)
            return
        except _Broken as error:
            if _length(part) > farthest:
                farthest, failures = _length(part), 0
            failures += 1
            if failures >= patience.tries:
                raise EnvironmentFault(
                    f"{url} can't be fetched: {error} ({failures} tries without getting further)",
                    fix=f"repeat the command when the network is back (what came is kept), or {by_hand}",
                ) from error
            wait = min(LONGEST_WAIT, 2.0 ** (failures - 1) if error.wait is None else error.wait)
            say(f"  {final.name}: {error}; next try in {wait:.0f} s")
            _pause(wait, patience.sleep)


def _attempt(url: str, part: Path, expected: int, by_hand: str, timeout: float) -> None:
    origin, have = _origin(part), _length(part)
    if have and (origin.url != url or not origin.validator or (origin.total and have > origin.total)):
        have = 0
    if have and have == origin.total:
        return
    headers = {"User-Agent": f"cytobench/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": origin.validator}
    try:
        with _opener().open(urllib.request.Request(url, headers=headers), timeout=timeout) as response:
            _receive(response, url, part, origin, have, expected)
    except urllib.error.HTTPError as error:
        with error:
            _judge(error, url, part, by_hand)
    except ssl.SSLCertVerificationError as error:
        raise _unsafe(url, error, by_hand) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise _unsafe(url, error.reason, by_hand) from error
        raise _Broken(f"no connection ({error.reason})") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _Broken(f"the connection broke ({error or type(error).__name__})") from error
    except OSError as error:
        if error.errno not in UNREACHABLE:  # of the disk
            raise
        raise _Broken(f"the network is gone ({error.strerror})") from error


def _receive(
    response: http.client.HTTPResponse, url: str, part: Path, origin: Origin, have: int, expected: int
) -> None:
    """Append a response's body to the part, or begin the part anew with it."""
    offered = _offered(response, url)
    if response.status == 206:
        same = offered.total == origin.total or not (offered.total and origin.total)
        same &= (offered.etag or origin.etag) == origin.etag and (
            offered.modified or origin.modified
        ) == origin.modified
        if not same or _begin(response) != have:
            part.unlink(missing_ok=True)
            raise _Broken("the file changed; it begins anew", wait=0.0)
    else:
        have = 0
        part.unlink(missing_ok=True)  # first, so that a kill leaves no old bytes beside a new origin
        write_json(_beside(part), offered.model_dump())
    total = offered.total or origin.total if have else offered.total
    if expected and total and total != expected:
        raise IntegrityFault(
            f"{url} offers {total} bytes; its publisher states {expected}",
            fix="check the address: a page to sign in or a new version may be there",
        )
    _check_room(part, (total or expected) - have)
    ceiling = total or (expected + 1 if expected else 0)
    with part.open("ab") as file, task(f"fetch {part.stem}", total, done=have, form=size) as work:
        while not ceiling or have < ceiling:
            chunk = response.read1(min(CHUNK, ceiling - have) if ceiling else CHUNK)
            if not chunk:
                break
            file.write(chunk)
            have += len(chunk)
            file.flush()  # what came is kept whatever happens next
            work.advance(len(chunk))
    if not have:
        raise _Broken("the server sent nothing")
    if have < total:
        raise _Broken(f"the connection ended after {size(have)} of {size(total)}")


def _judge(error: urllib.error.HTTPError, url: str, part: Path, by_hand: str) -> None:
    """Decide what a status other than 2xx means: another try, or a fault."""
    if error.code == 416:  # the part is no beginning of what is there now
        part.unlink(missing_ok=True)
        raise _Broken("the file changed; it begins anew", wait=0.0)
    if error.code in PASSING:
        raise _Broken(f"the server answers {error.code} {error.reason}", _retry_after(error.headers))
    advice = {401: "it asks for a login: ", 403: "it may ask for a login or a licence: ", 404: "it may have moved: "}
    raise EnvironmentFault(
        f"{url} can't be fetched: the server answers {error.code} {error.reason}",
        fix=advice.get(error.code, "") + by_hand,
    ) from error


def _unsafe(url: str, why: ssl.SSLError, by_hand: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"{url} can't be fetched: its certificate is not trusted here ({why})",
        fix=f"check this machine's clock and certificates, or {by_hand}",
    )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address only where that is safe too."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any
    ) -> Any:  # as the base class has it
        target = urljoin(req.full_url, headers.get("location") or headers.get("uri") or "")
        if why := problem_of_url(target):
            fp.close()
            raise IntegrityFault(f"{req.full_url} leads to {target}: {why}", fix="don't use this address")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https and nothing else; the default one also opens files and FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


def _offered(response: http.client.HTTPResponse, url: str) -> Origin:
    etag = response.headers.get("ETag", "")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else 0
    if response.status == 206:
        after = response.headers.get("Content-Range", "").rpartition("/")[2]
        total = int(after) if after.isdigit() else 0
    return Origin(
        url=url,
        etag="" if etag.startswith("W/") else etag,
        modified=response.headers.get("Last-Modified", ""),
        total=total,
    )


def _begin(response: http.client.HTTPResponse) -> int:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _retry_after(headers: Message) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, in either of its forms."""
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _check_room(part: Path, needed: int) -> None:
    free = free_bytes(part.parent)
    if needed > free:
        raise EnvironmentFault(
            f"{part.stem} needs {size(needed)} more at {part.parent}, and {size(free)} are free",
            fix="free some space, or name a folder on another disk; what came is kept",
        )


def _pause(seconds: float, sleep: Sleep) -> None:
    while seconds > 0:
        interrupts.check()
        sleep(min(seconds, 1.0))
        seconds -= 1.0


def _beside(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _origin(part: Path) -> Origin:
    try:
        return Origin.model_validate_json(_beside(part).read_bytes())
    except (OSError, ValidationError):
        return Origin(url="")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def forget(part: Path) -> None:
    """Remove what was kept to resume a part."""
    part.unlink(missing_ok=True)
    _beside(part).unlink(missing_ok=True)
