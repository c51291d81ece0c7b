"""Pages of an OPTIMADE provider: retried, told apart by what went wrong, and kept so that a next run goes on.

The client of optimade-python-tools stops silently at a number of results, knows no Retry-After and starts over after
an interruption; hence this one. Specification: Evans et al., Digital Discovery 3, 1509 (2024),
https://doi.org/10.1039/D4DD00039K.
"""

from __future__ import annotations

import email.utils
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from ....results import StageError

TRIES = 6
LONGEST_WAIT = 300.0  # s; a provider that asks for more is taken as down
_TIMEOUT = (10.0, 120.0)  # s to connect, s between two bytes
_LATER = (429, 502, 503, 504)
_PAGE = 100
_VERSION = re.compile(r"/v\d+(\.\d+)*$")


@dataclass
class Provider:
    """One provider, by its base URL.

    :param wait: sleeps so many seconds; replaced in tests.
    """

    url: str
    wait: Callable[[float], None] = time.sleep
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/").removesuffix("/structures").rstrip("/")

    def described(self) -> dict[str, dict[str, Any]]:
        """Return property -> what the provider says of it (unit, type); settles the version in the URL, too.

        :raises StageError: no OPTIMADE provider at this URL, or it is down.
        """
        bases = [self.url] if _VERSION.search(self.url) else [f"{self.url}/v1", self.url]
        for base in bases:
            answer = self.get(f"{base}/info/structures", missing_is_none=True)
            if answer is not None:
                self.url = base
                data = answer.get("data")
                properties = data.get("properties") if isinstance(data, dict) else None
                if not isinstance(properties, dict):
                    raise StageError(
                        "input_unreadable", f"{base}: it does not list its properties; no OPTIMADE provider"
                    )
                return properties
        raise StageError("input_missing", f"{self.url}: there is no OPTIMADE provider (no /v1/info/structures); give "
                         "its base URL, as https://providers.optimade.org lists them")  # fmt: skip

    def get(
        self, url: str, params: dict[str, Any] | None = None, missing_is_none: bool = False
    ) -> dict[str, Any] | None:
        """Return an answer, asking again where the provider is busy.

        :param missing_is_none: None for 404, in place of an error.
        :raises StageError: it is down, refuses, or answers with something else.
        """
        trouble = ""
        for turn in range(TRIES):
            pause: float | None = min(2.0**turn, 60.0)
            try:
                answer = self.session.get(url, params=params, timeout=_TIMEOUT)
                if answer.status_code not in _LATER:
                    return self._content(answer, missing_is_none)
                trouble = f"{answer.status_code} {answer.reason}"
                asked = _seconds(answer.headers.get("Retry-After"))
                pause = pause if asked is None else asked
            except requests.RequestException as exception:
                trouble = _in_words(exception)
            if pause is not None and pause > LONGEST_WAIT:
                raise StageError("input_missing", f"{self.url}: the provider asks to wait {pause:.0f} s ({trouble}); "
                                 "try again then, what was read is kept")  # fmt: skip
            if turn + 1 < TRIES:
                print(f"note: {self.url}: {trouble}; asking again in {pause:.0f} s", file=sys.stderr)
                self.wait(pause or 0.0)
        raise StageError("input_missing", f"{self.url}: the provider does not answer ({trouble}) after {TRIES} tries; "
                         "it may be down: try again later, what was read is kept")  # fmt: skip

    def _content(self, answer: requests.Response, missing_is_none: bool) -> dict[str, Any] | None:
        """Return the JSON of an answer.

        :raises StageError: with what the provider says, where it is an error.
        """
        if answer.status_code == 404 and missing_is_none:
            return None
        try:
            content = answer.json()
        except ValueError:
            content = None
        if not answer.ok:
            said = _errors(content) or answer.reason
            status = "settings_rejected" if answer.status_code in (400, 422, 501) else "input_missing"
            raise StageError(status, f"{self.url}: the provider answers {answer.status_code}: {said}")
        if not isinstance(content, dict):
            raise StageError("input_unreadable", f"{answer.url[:200]}: the answer is no JSON of OPTIMADE")
        return content

    def pages(self, asked: dict[str, str], kept: Path | None, limit: int | None) -> Iterator[dict[str, Any]]:
        """Yield the pages of structures, first those that an earlier run kept.

        :param asked: query parameters: filter, response_fields.
        :param kept: file of the pages; None: none are kept.
        :param limit: stop when so many entries are there.
        :raises StageError: see :meth:`get`; or the provider goes round in circles.
        """
        header = {"url": self.url, **asked}
        earlier = _kept_pages(kept, header)
        if kept is not None and not earlier:
            kept.write_text(json.dumps(header) + "\n", encoding="utf-8")
        count = 0
        url: str | None = f"{self.url}/structures"
        params: dict[str, Any] | None = {**asked, "page_limit": _PAGE}
        seen: set[str] = set()
        for page in earlier:
            yield page
            count += len(page["data"])
            url, params = page["next"], None
        while url is not None and (limit is None or count < limit):
            if url in seen:
                raise StageError(
                    "input_unreadable", f"{self.url}: the provider's pages go round in circles at {url[:200]}"
                )
            seen.add(url)
            page = self._page(url, params)
            if kept is not None:
                _append(kept, page)
            yield page
            count += len(page["data"])
            url, params = page["next"], None

    def _page(self, url: str, params: dict[str, Any] | None) -> dict[str, Any]:
        """Return one page: its entries, what the provider says of all, and the URL of the next."""
        try:
            answer = self.get(url, params)
        except StageError as error:
            if not params or "page_limit" not in params or "page_limit" not in str(error):
                raise
            # some providers allow smaller pages only, and say which in words
            answer = self.get(url, {k: v for k, v in params.items() if k != "page_limit"})
        assert answer is not None
        data, meta = answer.get("data"), answer.get("meta") or {}
        if not isinstance(data, list):
            raise StageError("input_unreadable", f"{self.url}: a page without a list of structures")
        following = (answer.get("links") or {}).get("next")
        if isinstance(following, dict):
            following = following.get("href")
        if not following and meta.get("more_data_available"):
            raise StageError("input_unreadable", f"{self.url}: the provider has more structures but no next page")
        return {
            "data": data,
            "total": meta.get("data_returned"),
            "next": urljoin(url, following) if following else None,
        }


def _kept_pages(kept: Path | None, header: dict[str, str]) -> list[dict[str, Any]]:
    """Return the whole pages of an earlier run with the same question; its last line may be cut off."""
    if kept is None or not kept.is_file():
        return []
    pages: list[dict[str, Any]] = []
    lines = kept.read_text(encoding="utf-8", errors="replace").splitlines()
    whole = []
    for line in lines:
        try:
            pages.append(json.loads(line))
        except ValueError:
            break
        whole.append(line)
    if not pages or pages[0] != header:
        return []
    kept.write_text("\n".join(whole) + "\n", encoding="utf-8")
    return pages[1:]


def _append(kept: Path, page: dict[str, Any]) -> None:
    with open(kept, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(page) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def pages_hash(pages: list[dict[str, Any]]) -> str:
    """Return a SHA-256 over the entries of pages."""
    digest = hashlib.sha256()
    for page in pages:
        digest.update(json.dumps(page["data"], sort_keys=True).encode())
    return digest.hexdigest()


def _seconds(header: str | None) -> float | None:
    """Return the seconds of a Retry-After, given as a number or a date; None where there is none."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _errors(content: Any) -> str:
    """Return what the errors of an answer say."""
    errors = content.get("errors") if isinstance(content, dict) else None
    details = [str(e.get("detail") or e.get("title") or "") for e in errors or () if isinstance(e, dict)]
    return "; ".join(filter(None, details))[:400]


def _in_words(exception: requests.RequestException) -> str:
    if isinstance(exception, requests.Timeout):
        return "no answer in time"
    if isinstance(exception, requests.ConnectionError):
        return "no connection"
    return f"{type(exception).__name__}: {exception}"[:160]
