"""Which objects are worth a look, by name alone.

A name can only rule an object *out*: what is plainly something else is not read. Every other object, also one
without an extension or with an unknown one, is looked at, and its content decides
(`include.custom_labels.image_headers`).
"""

from __future__ import annotations

from collections.abc import Sequence

from include.custom_labels.reasons import Reason

IMAGE_EXTENSIONS = frozenset({"png", "apng", "jpg", "jpeg", "jpe", "jfif", "jif", "pjpeg", "pjp"})
"""Extensions of the two formats that Rekognition reads."""

OTHER_IMAGE_EXTENSIONS = frozenset(
    """
    ai arw avif bmp cr2 cr3 cur dcm dds dib dng emf eps exr gif hdr heic heif icns ico j2k jp2 jpx
    jxl jxr nef orf pbm pcx pgm pnm ppm psd raf raw rw2 svg svgz tga tif tiff webp wmf xbm xcf xpm
    """.split()  # noqa: SIM905 (a table of words reads better than a column of strings)
)
"""Extensions of image formats that Rekognition does not read."""

OTHER_EXTENSIONS = frozenset(
    """
    3gp 7z aac aif aiff avi bash bat bz2 c cfg conf cpp css csv db dll doc docx dylib exe flac flv
    gz h htm html ini ipynb jar java js json jsonl log m4a m4v manifest md mid midi mkv mov mp3 mp4
    mpeg mpg npy npz odp ods odt ogg oga ogv onnx opus parquet pdf pickle pkl pps ppt pptx
    properties ps1 pt pth py pyc rar rst rtf safetensors sh so sql sqlite sqlite3 srt tar tex
    tfrecord tgz toml torrent ts tsv txt url vtt wav weba webm wma wmv xls xlsx xml xz yaml yml zip
    zst
    """.split()  # noqa: SIM905 (a table of words reads better than a column of strings)
)
"""Extensions of files that are plainly no images."""

SYSTEM_FILES = frozenset(
    {
        ".ds_store",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        ".gitkeep",
        ".gitignore",
        ".gitattributes",
        ".keep",
    }
)
"""File names, in lower case, that operating systems and tools leave beside images."""

_IMAGE_ENDINGS = tuple(f".{extension}" for name in ("png", "jpg", "jpeg") for extension in (name, name.upper()))


def skip_reason(key: str) -> Reason | None:
    """Why the object is not worth a look, or None when its content has to decide."""
    name = key.rpartition("/")[2]
    if not name:
        return Reason.FOLDER_MARKER
    if name.startswith("._") or name.lower() in SYSTEM_FILES:
        return Reason.SYSTEM_FILE
    _, dot, extension = name.rpartition(".")
    extension = extension.lower()
    if not dot or extension in IMAGE_EXTENSIONS:
        return None
    if extension in OTHER_IMAGE_EXTENSIONS:
        return Reason.OTHER_IMAGE_NAME
    return Reason.NOT_AN_IMAGE_NAME if extension in OTHER_EXTENSIONS else None


def skip_reasons(keys: Sequence[str]) -> list[Reason | None] | None:
    """`skip_reason` of each key, or None when every one of them is worth a look, which is cheap to see."""
    if not keys:
        return None
    lines = "\n".join(["", *keys, ""])
    # To count the ending that most images of a folder have takes half as long as to look at each.
    ending = next(filter(keys[0].endswith, _IMAGE_ENDINGS), None)
    are_alike = ending and lines.count("\n") == len(keys) + 1 and lines.count(f"{ending}\n") == len(keys)
    has_system_names = "/._" in lines or "\n._" in lines
    if not has_system_names and (are_alike or all(key.endswith(_IMAGE_ENDINGS) for key in keys)):
        return None
    reasons = [skip_reason(key) for key in keys]
    return reasons if any(reasons) else None
