"""The folder rule, by the examples of the AWS page and by the keys that S3 allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.errors import RequestError
from include.custom_labels.folders import folder_label, label_runs
from include.custom_labels.locations import S3FolderLocation

PAGE_EXAMPLES = [
    # S3 folder location, key, label
    ("s3://S3-bucket/alexa-devices", "alexa-devices/echo/echo-image-1.png", "echo"),
    ("s3://S3-bucket/alexa-devices", "alexa-devices/echo/echo-image-2.png", "echo"),
    ("s3://S3-bucket/alexa-devices", "alexa-devices/echo-dot/echo-dot-image-1.png", "echo-dot"),
    (
        "s3://S3-bucket/alexa-devices",
        "alexa-devices/echo-dot/white-echo-dot/white-echo-dot-image-1.png",
        "echo-dot",
    ),
    ("s3://S3-bucket/alexa-devices", "alexa-devices/loose.png", None),
    (
        "s3://S3-bucket/alexa-devices/echo-dot",
        "alexa-devices/echo-dot/white-echo-dot/w.png",
        "white-echo-dot",
    ),
    ("s3://S3-bucket/alexa-devices/echo-dot", "alexa-devices/echo-dot/echo-dot-image-1.png", None),
]

RAW_KEYS = [
    ("s3://example-images", "echo/a.png", "echo"),
    ("s3://example-images/", "a.png", None),
    ("s3://example-images/x", "x/ echo /a.png", " echo "),
    ("s3://example-images/x", "x/Echo/a.png", "Echo"),
    ("s3://example-images/x", "x/a+b/a.png", "a+b"),
    ("s3://example-images/x", "x/a%20b/a.png", "a%20b"),
    ("s3://example-images/x", "x/#1/a.png", "#1"),
    ("s3://example-images/x", 'x/"it\'s"/a.png', '"it\'s"'),
    ("s3://example-images/x", "x/שלום/a.png", "שלום"),
    ("s3://example-images/x", "x/😀/a.png", "😀"),
    ("s3://example-images/x", "x/caf\u00e9/a.png", "caf\u00e9"),
    ("s3://example-images/x", "x/cafe\u0301/a.png", "cafe\u0301"),
    ("s3://example-images/x", "x/./a.png", "."),
    ("s3://example-images/x", "x/../a.png", ".."),
    ("s3://example-images/x", "x/back\\slash/a.png", "back\\slash"),
    ("s3://example-images/x", "x/", None),
    ("s3://example-images/x", "x/echo/", "echo"),
    ("s3://example-images/x", "x//a.png", None),
    ("s3://example-images/x", "x//echo/a.png", None),
    ("s3://example-images/x", "x/echo//a.png", "echo"),
]


@pytest.mark.parametrize(("location", "key", "label"), PAGE_EXAMPLES + RAW_KEYS)
def test_folder_label(location: str, key: str, label: str | None) -> None:
    assert folder_label(key, S3FolderLocation.parse(location).prefix) == label


@pytest.mark.parametrize("outside", ["alexa-devices2/echo/a.png", "alexa-devicesX.png", "alexa-devices", "echo/a.png"])
def test_a_folder_contains_only_what_lies_below_it(outside: str) -> None:
    location = S3FolderLocation.parse("s3://example-images/alexa-devices")
    assert not location.contains(outside)
    with pytest.raises(ValueError, match="outside"):
        folder_label(outside, location.prefix)


@pytest.mark.parametrize(("without", "with_slash"), [("s3://abc/x", "s3://abc/x/"), ("s3://abc", "s3://abc/")])
def test_the_trailing_slash_makes_no_difference(without: str, with_slash: str) -> None:
    assert S3FolderLocation.parse(without) == S3FolderLocation.parse(with_slash)


@pytest.mark.parametrize(
    "text", ["", "abc/x", "https://abc/x", "s3:/abc/x", "s3://", "s3:///x", "s3://a b/x", " s3://abc"]
)
def test_what_is_no_location_is_refused_with_a_code(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        S3FolderLocation.parse(text)
    assert caught.value.code == "INVALID_S3_LOCATION"


names = st.text(alphabet="ab/-.é\U0001f600", min_size=0, max_size=6)


@given(st.sets(names, min_size=1, max_size=40), st.sampled_from(["", "p/", "p/a/"]))
def test_runs_say_the_same_as_the_rule_asked_key_by_key(rests: set[str], prefix: str) -> None:
    keys = sorted((prefix + rest for rest in rests), key=str.encode)
    runs = list(label_runs(keys, prefix))
    assert [start for start, _, _ in runs] == [0, *(stop for _, stop, _ in runs[:-1])]
    assert runs[-1][1] == len(keys)
    labels = [label for start, stop, label in runs for _ in range(start, stop)]
    assert labels == [folder_label(key, prefix) for key in keys]
