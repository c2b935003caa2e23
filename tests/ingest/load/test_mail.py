from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage

import pytest

from rag.errors import LoadError
from rag.types import Document

Load = Callable[[str, str | bytes], Document]

HEADERS = (
    "From: Ann <a@example.org>\nTo: b@example.org\nDate: Fri, 16 Dec 2022 17:04:16 -0500\n"
    "Subject: Grüße"
)


def message(subject: str = "Grüße") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Ann <a@example.org>", "b@example.org", subject
    made["Date"] = "Fri, 16 Dec 2022 17:04:16 -0500"
    made.set_content("Plain wörds.\n\nSecond.")
    return made


def test_headers_body_and_attachments(load: Load, texts: Callable[..., list[str]]) -> None:
    made = message()
    made.add_alternative("<p>HTML words</p>", subtype="html")
    made.add_attachment(b"secret", maintype="application", subtype="pdf", filename="bill.pdf")
    document = load("a.eml", made.as_bytes())
    assert texts(document) == [
        HEADERS,
        "Plain wörds.",
        "Second.",
        "Attachments: bill.pdf.",
    ]
    assert (document.title, document.date) == ("Grüße", "2022-12-16")


def test_html_is_read_where_there_is_no_plain_text(load: Load) -> None:
    made = message()
    made.set_content("<p>HTML <b>words</b></p><script>x</script>", subtype="html")
    assert load("a.eml", made.as_bytes()).text.endswith("\n\nHTML words")


def test_forwarded_messages_are_read(load: Load) -> None:
    made = message()
    made.add_attachment(message("Inner"))
    text = load("a.eml", made.as_bytes()).text
    assert "Subject: Inner" in text
    assert text.count("Plain wörds.") == 2


@pytest.mark.parametrize(
    "headers",
    [
        b"Subject: =?x-unknown?q?caf=E9?=\nDate: not a date",
        b"Subject: =?utf-8?b?!!!?=\nContent-Type: text/plain; charset=no-such",
        b"Subject: x\nContent-Disposition: attachment; filename*=bad'''%zz",
        b"Subject: x\nContent-Type: multipart/mixed; boundary=",
    ],
)
def test_malformed_headers_do_not_stop_loading(load: Load, headers: bytes) -> None:
    assert "Subject:" in load("a.eml", headers + b"\n\nbody words").text


def test_what_is_no_message_is_refused(load: Load) -> None:
    with pytest.raises(LoadError, match="not an e-mail"):
        load("a.eml", "\nwords only")


def test_web_archives(load: Load) -> None:
    page = EmailMessage()
    page["Subject"] = "page"
    page.set_content("<h1>Title</h1><p>wörds</p>", subtype="html")
    assert load("a.mhtml", page.as_bytes()).text == "Title\n\nwörds"
    with pytest.raises(LoadError, match="without a page"):
        load("a.mht", "Subject: x\n\nwords")
