"""What a dataset holds, counted line by line, and whether Amazon Rekognition admits as much."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from include.custom_labels.advice import advise
from include.custom_labels.codes import Code
from include.custom_labels.errors import ManifestError
from include.custom_labels.label_limit import check_labels
from include.custom_labels.line_contents import Content, LineContents
from include.custom_labels.quotas import MAX_MANIFEST_BYTES, DatasetType, regional_quotas


class DatasetCounts:
    """Counts of a dataset's lines, which come in the order of their images' identities.

    The numbers are those that Amazon Rekognition tells of the dataset: an entry counts once for each of its labels,
    of the image and of its boxes, as in ListDatasetLabels.

    :ivar entries: number of lines
    :ivar labelled: how many of them have a label or a box
    :ivar size_bytes: of the lines with their line ends
    """

    def __init__(self, contents: LineContents | None = None) -> None:
        """:param contents: reads the lines; one that has read others already is faster"""
        self.entries = 0
        self.labelled = 0
        self.size_bytes = 0
        self._contents = contents or LineContents()
        self._labels: Counter[tuple[str, ...]] = Counter()
        self._sha256 = hashlib.sha256()
        self._identity = ""
        self._rows: list[bytes] = []

    def add(self, line: bytes, etag: str = "") -> Content:
        """Count a line, and return what it says.

        :param line: with or without its line end
        :param etag: of the image, empty where it is not known
        :raises ValueError: its image comes before that of the line before
        """
        line = line.removesuffix(b"\n")
        identity, content = self._contents.read(line)
        self.add_content(identity, content, line_size_bytes=len(line) + 1, etag=etag)
        return content

    def add_content(self, identity: str, content: Content, *, line_size_bytes: int, etag: str = "") -> None:
        """Count a line that was read already.

        :param identity: of its image
        :param line_size_bytes: with its line end
        :param etag: of the image, empty where it is not known
        :raises ValueError: its image comes before that of the line before
        """
        if identity != self._identity:
            if identity < self._identity:
                raise ValueError(f"{identity!r} comes after {self._identity!r}.")
            _add_rows(self._sha256, self._rows)
            self._identity, self._rows = identity, []
        address = identity.encode(errors="surrogatepass")
        self._rows.append(b"%d %b%b%b\n" % (len(address), address, content.digest, etag.encode()))
        self._labels[content.labels] += 1
        self.entries += 1
        self.labelled += content.is_labelled
        self.size_bytes += line_size_bytes

    @property
    def images_per_label(self) -> dict[str, int]:
        """Entries with each label, in the order of the labels."""
        counts: Counter[str] = Counter()
        for labels, entries in self._labels.items():
            for label in labels:
                counts[label] += entries
        return dict(sorted(counts.items()))

    @property
    def content_sha256(self) -> str:
        """In hex, a digest of which images the dataset has, by identity and ETag, and what it says of them.

        It is the same for the same content, whichever run wrote the lines and however they are written.
        """
        whole = self._sha256.copy()
        _add_rows(whole, self._rows)
        return whole.hexdigest()


def _add_rows(sha256: hashlib._Hash, rows: list[bytes]) -> None:
    """Add the rows of one image; a dataset may have it twice, in any order, while its place changes."""
    for row in sorted(rows) if len(rows) > 1 else rows:
        sha256.update(row)


def check_counts(
    counts: DatasetCounts,
    *,
    region: str,
    dataset_type: DatasetType,
    source_labels: Iterable[str] | None = None,
    held_labels: Iterable[str] = (),
) -> None:
    """Refuse a dataset that Amazon Rekognition would not admit.

    :param counts: of all lines that the dataset would have
    :param region: the AWS Region, for its quotas
    :param source_labels: that the import's source has, to tell whose labels are too many
    :param held_labels: that only images have which `removals: hold` keeps in the dataset
    :raises ManifestError: ERROR_MANIFEST_SIZE_TOO_LARGE, ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM or
        ERROR_MANIFEST_TOO_MANY_LABELS
    """
    if counts.size_bytes > MAX_MANIFEST_BYTES.value:
        raise _too_much(
            Code.ERROR_MANIFEST_SIZE_TOO_LARGE,
            f"The dataset's manifest would have {counts.size_bytes:,} bytes, and {MAX_MANIFEST_BYTES.value:,} is the "
            "maximum.",
        )
    images = regional_quotas(region).images(dataset_type)
    if counts.entries > images:
        raise _too_much(
            Code.ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM,
            f"The dataset would have {counts.entries:,} images, and {images:,} is the maximum of a "
            f"{dataset_type.lower()} dataset in {region}.",
        )
    check_labels(
        counts.images_per_label.keys(),
        None if source_labels is None else frozenset(source_labels),
        frozenset(held_labels),
    )


def check_buckets(images: Mapping[str, int], *, is_holding: bool, parameters: Collection[str]) -> None:
    """Refuse a dataset whose images would lie in more than one bucket, as Amazon Rekognition does.

    :param images: that the dataset would have, by their bucket
    :param is_holding: whether the run leaves entries in the dataset that a replacement would remove
    :param parameters: that the import's source has
    :raises ManifestError: ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS
    """
    if len(images) < 2:
        return
    code = Code.ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS
    counts = ", ".join(f"{bucket} ({count:,})" for bucket, count in sorted(images.items()))
    next_step = (
        "Set `removals` to `replace`, which creates the dataset again with images of one bucket."
        if is_holding
        else "Entries of other imports, and of images at fault, stay where they are: use one bucket for all images."
    )
    raise ManifestError(
        code,
        f"The dataset would have images in more than one bucket: {counts}.",
        f"{advise(code, next_step, parameters)} Nothing was changed.",
        buckets=dict(images),
    )


def _too_much(code: Code, message: str) -> ManifestError:
    return ManifestError(code, f"{message} Entries of other imports count, too.", code.next_step)
