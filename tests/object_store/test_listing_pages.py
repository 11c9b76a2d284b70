"""One answer of ListObjectsV2, read fast or by the XML parser, and the same either way."""

from __future__ import annotations

import pytest

from include.custom_labels.objects import ObjectPage
from include.object_store import listing
from include.object_store.listing import parse_page
from include.object_store.segments import Answer

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


def contents(key: str = "a.png", *, etag: str = "&quot;0a1b&quot;", between: str = "") -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>2026-11-22T20:00:01.000Z</LastModified><ETag>{etag}</ETag>"
        f"{between}<Size>12</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def body(*entries: str, count: int | None = None, envelope: str = "<EncodingType>url</EncodingType>") -> bytes:
    number = len(entries) if count is None else count
    return f"{HEAD}<KeyCount>{number}</KeyCount>{envelope}{''.join(entries)}</ListBucketResult>".encode()


def page(*keys: str) -> ObjectPage:
    size = len(keys)
    return ObjectPage(list(keys), [12] * size, ["0a1b"] * size, ["2026-11-22T20:00:01"] * size)


@pytest.fixture
def no_xml(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast path has to do."""

    def refuse(_: bytes) -> Answer[ObjectPage]:
        pytest.fail("the XML parser was asked")

    monkeypatch.setattr(listing, "_parse_xml", refuse)


FAST = {
    "plain": (body(contents()), page("a.png")),
    "several": (body(contents("a"), contents("b"), contents("é")), page("a", "b", "é")),
    "encoded": (body(contents("a%2Bb+c%25.png")), page("a+b c%.png")),
    "checksums": (
        body(contents(between="<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>")),
        page("a.png"),
    ),
    "bare quotes": (body(contents(etag='"0a1b"')), page("a.png")),
    "numeric quotes": (body(contents(etag="&#34;0a1b&#34;")), page("a.png")),
}


@pytest.mark.usefixtures("no_xml")
@pytest.mark.parametrize(("answer", "expected"), FAST.values(), ids=FAST)
def test_usual_answers_are_read_without_the_xml_parser(answer: bytes, expected: ObjectPage) -> None:
    assert parse_page(answer) == Answer(expected, [], None)


@pytest.mark.parametrize(("answer", "expected"), FAST.values(), ids=FAST)
def test_the_xml_parser_reads_the_same(answer: bytes, expected: ObjectPage) -> None:
    assert listing._parse_xml(answer) == Answer(expected, [], None)


UNUSUAL = {
    "empty": (body(), page()),
    "no encoding": (body(contents("a%20b+&lt;&amp;&gt;.png"), envelope=""), page("a%20b+<&>.png")),
    "entity in an encoded key": (body(contents("a&amp;b.png")), page("a&b.png")),
    "another order of elements": (
        body(
            "<Contents><ETag>&quot;0a1b&quot;</ETag><Size>12</Size><Key>a.png</Key>"
            "<LastModified>2026-11-22T20:00:01Z</LastModified></Contents>"
        ),
        page("a.png"),
    ),
    "no key count": (
        body(contents()).replace(b"<KeyCount>1</KeyCount>", b""),
        page("a.png"),
    ),
    "one object with an owner in between": (
        body(contents("a"), contents("b", between="<Owner><ID>x</ID></Owner>")),
        page("a", "b"),
    ),
}


@pytest.mark.parametrize(("answer", "expected"), UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_answers_are_read_all_the_same(answer: bytes, expected: ObjectPage) -> None:
    assert parse_page(answer) == Answer(expected, [], None)


def test_folders_and_the_token_are_read() -> None:
    folders = "".join(f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in ("a+b/", "%C3%A9/"))
    envelope = (
        "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        "<NextContinuationToken>1/a&amp;b==</NextContinuationToken>"
    )
    answer = body(contents(), folders, count=3, envelope=envelope)
    assert parse_page(answer) == Answer(page("a.png"), ["a b/", "é/"], {"continuation-token": "1/a&b=="})


@pytest.mark.usefixtures("no_xml")
def test_the_token_of_a_usual_page_is_read_fast() -> None:
    envelope = (
        "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        "<NextContinuationToken>1abc/+==</NextContinuationToken>"
    )
    assert parse_page(body(contents(), envelope=envelope)).following == {"continuation-token": "1abc/+=="}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"<Error><Code>InternalError</Code></Error>",
        body(contents("%FF.png")),
        body(contents(), envelope="<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"),
        body(contents()).replace(b"<Size>12</Size>", b"<Size>many</Size>"),
    ],
    ids=["nothing", "html", "error with status 200", "not UTF-8", "no token", "size"],
)
def test_what_is_no_listing_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_page(answer)
