"""``python -m bench``: the project's data plane against S3Hook and boto3, on an S3 stub.

How it measures, and what it does not show, is in docs/performance.md.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.fixture import SHAPES
from bench.gates import MOST_ROUNDS, Contest, Gate
from bench.measurement import (
    Run,
    StubTooSlowError,
    check_output,
    measure,
    preload,
    set_stub,
    spread,
    stub,
    stub_keys_per_second,
)

RESULTS = Path(__file__).parent / "results"
STUB_FACTOR = 5
_PACKAGES = ("apache-airflow", "apache-airflow-providers-amazon", "boto3", "botocore", "urllib3", "obstore",
             "msgspec", "pyarrow")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Ours against a peer, on equal work.

    :ivar is_full: whether it is left to `make bench-full`
    :ivar targets: least ratio, by ``wall`` and ``cpu``
    :ivar usual: what continuous integration's gate is derived from (`bench.gates`): the ratio of CPU times of the best
        rounds at ``images``, on a quiet machine; None without a gate
    """

    title: str
    ours: str
    peer: str
    images: int
    full_images: int
    latency_ms: float
    targets: dict[str, float]
    usual: float | None = None
    is_full: bool = False


# Sizes for `make bench` keep it under two minutes: the peer takes nine tenths of the time.
COMPARISONS = (
    Comparison(
        title="manifest, 0 ms",
        ours="our_manifest",
        peer="hook_manifest",
        images=32_000,
        full_images=100_000,
        latency_ms=0,
        targets={"wall": 30, "cpu": 20},
        usual=22,
    ),
    Comparison(
        title="manifest, validation, ledger, 0 ms",
        ours="our_manifest_validated",
        peer="hook_manifest",
        images=32_000,
        full_images=100_000,
        latency_ms=0,
        targets={"wall": 15},
        usual=11,
    ),
    Comparison(
        title="manifest, 80 ms",
        ours="our_manifest",
        peer="hook_manifest",
        images=25_000,
        full_images=100_000,
        latency_ms=80,
        targets={"wall": 20, "cpu": 20},
    ),
    Comparison(
        title="image headers, 0 ms",
        ours="our_probe",
        peer="boto3_probe",
        images=1_000,
        full_images=5_000,
        latency_ms=0,
        targets={"wall": 10},
        usual=8,
    ),
)
LARGE_COMPARISONS = (
    Comparison(
        title="manifest against a bare listing with obstore, 80 ms",
        ours="our_manifest",
        peer="obstore_listing",
        images=1_000_000,
        full_images=1_000_000,
        latency_ms=80,
        targets={"wall": 0.8},
        is_full=True,
    ),
    Comparison(
        title="listing as of a time, 0 ms",
        ours="our_versions",
        peer="boto3_versions",
        images=50_000,
        full_images=50_000,
        latency_ms=0,
        targets={"wall": 5},
        is_full=True,
    ),
)
SHAPE_IMAGES = 250_000
SHAPE_LATENCY_MS = 80
SHAPE_RATIO = 0.5
"""A folder of another shape is listed at least half as fast as one of labels of the same size."""
VALIDATOR_LINES = 100_000
VALIDATOR_LINES_PER_S = 300_000
DIFF_LINES = 1_000_000
# The peer takes 20 s and 2.7 GB for a million lines.
DIFF_ROUNDS = 3
DIFF_RATIO = 8
DIFF_GROWTH_MB = 64
MEMORY_IMAGES = (1_000_000, 3_000_000)
PEAK_RSS_MB = 300
PEAK_GROWTH = 1.1

_TICKS = (0.5, 1, 2, 5, 10, 20, 30)

console = Console()
if not console.is_terminal:
    console = Console(width=170)


def main(
    *,
    full: Annotated[bool, typer.Option("--full", help="100,000 images everywhere, and memory to 3,000,000.")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="Only what has a gate; exit 1 when one is closed.")] = False,
    rounds: Annotated[
        int, typer.Option(min=1, help="Measured rounds; fewer than five are a trial. A gate takes what it needs.")
    ] = 5,
) -> None:
    """Measure the S3 data plane and write the figures to bench/results/."""
    if full and gate:
        raise typer.BadParameter("--gate has sizes of its own; leave --full out.")
    started = time.monotonic()
    home = tempfile.mkdtemp(prefix="custom-labels-bench-")
    os.environ.update(AIRFLOW_HOME=home, AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR", AIRFLOW__CORE__LOAD_EXAMPLES="False")
    preload()
    machine = _machine()
    console.print(machine)
    results: list[dict[str, Any]] = []
    try:
        if gate:
            results = _gates()
        else:
            results = _compare_all(rounds, is_full=full)
            results.append(_validator(rounds, 1_000_000 if full else VALIDATOR_LINES))
        if full:
            results += _shapes(rounds)
            results.append(_diff())
            results.append(_busy(rounds))
            results += _memory()
    except StubTooSlowError as error:
        console.print(f"[red]{error}")
        raise typer.Exit(2) from error
    finally:
        shutil.rmtree(home, ignore_errors=True)
    took_s = round(time.monotonic() - started, 1)
    _show_gates(results) if gate else _show(results)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    report = {
        "machine": machine,
        "is_full": full,
        "rounds": None if gate else rounds,
        "took_s": took_s,
        "results": results,
    }
    path.write_text(json.dumps(report, indent=2) + "\n")
    if full:
        _draw(results, path.with_suffix(".svg"))
    console.print(f"{took_s} s; all figures are in {path}")
    closed = [result for result in results if result.get("is_closed")]
    for result in closed:
        console.print(f"[red]{_loss(result)}")
    if closed:
        raise typer.Exit(1)


def _loss(result: dict[str, Any]) -> str:
    """What a closed gate says."""
    return (
        f"{result['title']}: {result['peer']} took {result['ratio']:.1f} times the CPU time of {result['ours']}, the "
        f"best of {result['rounds']} rounds each. On a quiet machine it takes {result['usual']:g} times; the gate is "
        f"at {result['least']:g}. {result['ours']} has become slower, or a new release made {result['peer']} faster. "
        "Run make bench here and at an earlier commit, and profile what differs."
    )


def _machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _groups(chosen: list[Comparison], *, is_full: bool) -> Iterator[tuple[str, int, float, list[Comparison]]]:
    """Comparisons on the same work, which share the peer's runs: peer, images, latency in ms, and they."""

    def work(each: Comparison) -> tuple[str, int, float]:
        return each.peer, each.full_images if is_full else each.images, each.latency_ms

    for (peer, images, latency_ms), group in groupby(chosen, key=work):
        yield peer, images, latency_ms, list(group)


def _measure_checked(name: str, images: int, endpoint: str, latency_ms: float) -> Run:
    """Measure a contender, and check the manifest that it wrote if it writes one."""
    run = measure(name, images, endpoint)
    if "manifest" in name:
        set_stub(endpoint, latency_ms=0)
        check_output(endpoint, images)
        set_stub(endpoint, latency_ms=latency_ms)
    return run


def _gates() -> list[dict[str, Any]]:
    chosen = [each for each in COMPARISONS if each.usual]
    return [
        result
        for peer, images, latency_ms, group in _groups(chosen, is_full=False)
        for result in _decide(group, peer, images, latency_ms)
    ]


def _decide(group: list[Comparison], peer: str, images: int, latency_ms: float) -> list[dict[str, Any]]:
    gates = tuple(Gate(title=each.title, ours=each.ours, usual=each.usual) for each in group if each.usual)
    contest = Contest(gates=gates, peer=peer)

    def measure_s(name: str) -> float:
        if name == gates[0].ours:
            console.print(f"{group[0].title}: round {contest.rounds + 1}, of at most {MOST_ROUNDS}")
        return _measure_checked(name, images, endpoint, latency_ms).cpu_s

    # Whether the stub is fast enough does not matter: clients that wait for it use no CPU time.
    with stub(images) as endpoint:
        set_stub(endpoint, latency_ms=latency_ms)
        contest.decide(measure_s)
    return [
        {
            "title": gate.title,
            "images": images,
            "ours": gate.ours,
            "peer": peer,
            "rounds": contest.rounds,
            "cpu_s": {name: contest.cpu_s[name] for name in (gate.ours, peer)},
            "ratio": contest.ratio(gate),
            "usual": gate.usual,
            "least": gate.least,
            "is_closed": contest.is_closed(gate),
        }
        for gate in gates
    ]


def _show_gates(results: list[dict[str, Any]]) -> None:
    table = Table("", "rounds", "best CPU s: ours", "peer", "CPU ratio", "gate", "usual")
    for result in results:
        table.add_row(
            result["title"],
            str(result["rounds"]),
            *(f"{min(result['cpu_s'][result[side]]):.2f}" for side in ("ours", "peer")),
            f"{result['ratio']:.1f} {'CLOSED' if result['is_closed'] else 'open'}",
            f"{result['least']:g}",
            f"{result['usual']:g}",
        )
    console.print(table)


def _compare_all(rounds: int, *, is_full: bool) -> list[dict[str, Any]]:
    results = []
    chosen = [*COMPARISONS, *LARGE_COMPARISONS] if is_full else list(COMPARISONS)
    for peer, images, latency_ms, group in _groups(chosen, is_full=is_full):
        results += _compare(group, peer, images, latency_ms, rounds)
    return results


def _compare(group: list[Comparison], peer: str, images: int, latency_ms: float, rounds: int) -> list[dict[str, Any]]:
    names = [*(each.ours for each in group), peer]
    runs: dict[str, list[Run]] = {name: [] for name in names}
    with stub(images) as endpoint:
        capacity = _check_stub(endpoint, images)
        if group[0].is_full:
            # What clients ask for in other words is rendered before it counts.
            for name in names:
                measure(name, images, endpoint)
        set_stub(endpoint, latency_ms=latency_ms)
        for number in range(rounds):
            console.print(f"{group[0].title}: round {number + 1} of {rounds}")
            for name in names:
                runs[name].append(_measure_checked(name, images, endpoint, latency_ms))
    results = []
    for each in group:
        pairs = list(zip(runs[each.ours], runs[peer], strict=True))
        ratios = {
            "wall": spread([theirs.wall_s / ours.wall_s for ours, theirs in pairs]),
            "cpu": spread([theirs.cpu_s / ours.cpu_s for ours, theirs in pairs]),
        }
        results.append(
            {
                "title": each.title,
                "images": images,
                "latency_ms": latency_ms,
                "ratios": ratios,
                "targets": each.targets,
                "stub_keys_per_s": capacity,
                "ours": _figures(each.ours, runs[each.ours], images),
                "peer": _figures(peer, runs[peer], images),
            }
        )
    return results


def _check_stub(endpoint: str, images: int) -> float:
    """:raises StubTooSlowError: the stub lists less than five times as fast as the fastest client"""
    capacity = stub_keys_per_second(endpoint, images)
    fastest = max(images / measure("our_listing", images, endpoint).wall_s for _ in range(2))
    if capacity < STUB_FACTOR * fastest:
        raise StubTooSlowError(
            f"The stub sends {capacity:,.0f} keys/s and the listing reads {fastest:,.0f}: on this machine the stub "
            f"would be measured. It has to be {STUB_FACTOR} times as fast; use more or quieter CPUs."
        )
    return capacity


def _figures(name: str, runs: list[Run], count: int) -> dict[str, Any]:
    return {
        "name": name,
        "per_s": spread([count / run.wall_s for run in runs]),
        "cpu_us_each": spread([run.cpu_s / count * 1e6 for run in runs]),
        "peak_rss_mb": spread([run.peak_rss_mb for run in runs]),
        "runs": [asdict(run) for run in runs],
    }


def _shapes(rounds: int) -> list[dict[str, Any]]:
    """Folders of other shapes, against one of as many keys in labels of the same size."""
    results = []
    for shape in SHAPES:
        ours, peer = [], []
        name = "our_root_listing" if shape == "keys at the root" else "our_listing"
        with stub(SHAPE_IMAGES) as even, stub(SHAPE_IMAGES, shape) as other:
            measure("our_listing", SHAPE_IMAGES, even)
            measure(name, SHAPE_IMAGES, other)
            set_stub(even, latency_ms=SHAPE_LATENCY_MS)
            set_stub(other, latency_ms=SHAPE_LATENCY_MS)
            for number in range(rounds):
                console.print(f"{shape}: round {number + 1} of {rounds}")
                ours.append(measure(name, SHAPE_IMAGES, other))
                peer.append(measure("our_listing", SHAPE_IMAGES, even))
        pairs = list(zip(ours, peer, strict=True))
        results.append(
            {
                "title": f"listing, {shape}, 80 ms",
                "images": SHAPE_IMAGES,
                "latency_ms": SHAPE_LATENCY_MS,
                "ratios": {
                    "wall": spread([theirs.wall_s / run.wall_s for run, theirs in pairs]),
                    "cpu": spread([theirs.cpu_s / run.cpu_s for run, theirs in pairs]),
                },
                "targets": {"wall": SHAPE_RATIO},
                "ours": _figures(name, ours, SHAPE_IMAGES),
                "peer": _figures("our_listing", peer, SHAPE_IMAGES),
            }
        )
    return results


def _validator(rounds: int, lines: int) -> dict[str, Any]:
    runs = [measure("our_validation", lines, "http://127.0.0.1:1") for _ in range(rounds)]
    # One thread of Python: the rate is of CPU time, which other processes do not lengthen.
    rates = spread([lines / run.cpu_s for run in runs])
    return {"title": "validator", "lines_per_cpu_s": rates, "target": VALIDATOR_LINES_PER_S,
            "ours": _figures("our_validation", runs, lines)}  # fmt: skip


def _diff() -> dict[str, Any]:
    """Two manifests compared, with a dictionary of decoded lines for each of them as the peer."""
    lines = DIFF_LINES
    ours, peer = [], []
    for _ in range(DIFF_ROUNDS):
        ours.append(measure("our_diff", lines, "http://127.0.0.1:1"))
        peer.append(measure("json_diff", lines, "http://127.0.0.1:1"))
    growth = max(run.peak_rss_mb - run.base_rss_mb for run in ours)
    console.print(f"diff of {lines:,} lines: {growth:.0f} MB more than before it (≤ {DIFF_GROWTH_MB})")
    pairs = list(zip(ours, peer, strict=True))
    return {
        "title": "diff of two manifests",
        "images": lines,
        "ratios": {
            "wall": spread([theirs.wall_s / run.wall_s for run, theirs in pairs]),
            "cpu": spread([theirs.cpu_s / run.cpu_s for run, theirs in pairs]),
        },
        "targets": {"cpu": DIFF_RATIO},
        "growth_mb": growth,
        "growth_target_mb": DIFF_GROWTH_MB,
        "ours": _figures("our_diff", ours, lines),
        "peer": _figures("json_diff", peer, lines),
    }


def _busy(rounds: int) -> dict[str, Any]:
    """How much 1% of 503 answers and jitter cost; the output is checked all the same."""
    images, runs = 100_000, []
    with stub(images) as endpoint:
        for _ in range(rounds):
            set_stub(endpoint, latency_ms=80, jitter_ms=80, busy_share=0.01)
            run = measure("our_manifest", images, endpoint)
            set_stub(endpoint, latency_ms=0)
            check_output(endpoint, images)
            runs.append(run)
    return {"title": "80 to 160 ms, 1% of answers 503", "ours": _figures("our_manifest", runs, images)}


def _memory() -> list[dict[str, Any]]:
    peaks = []
    results = []
    for images in MEMORY_IMAGES:
        with stub(images) as endpoint:
            # One unmeasured listing has the stub render its pages; rendering is no one's memory but the stub's.
            measure("our_listing", images, endpoint)
            run = measure("our_manifest", images, endpoint)
            check_output(endpoint, images)
        peaks.append(run.peak_rss_mb)
        results.append({"title": f"memory, {images:,}", "ours": _figures("our_manifest", [run], images)})
        console.print(f"{images:,} images: peak {run.peak_rss_mb:.0f} MB")
    growth = {"peak_growth": peaks[-1] / peaks[0], "target": PEAK_GROWTH, "peak_target_mb": PEAK_RSS_MB}
    return [*results, {"title": "memory, 1,000,000 to 3,000,000", **growth}]


def _show(results: list[dict[str, Any]]) -> None:
    table = Table(
        "", "images", "wall ratio", "CPU ratio", "ours/s", "peer/s", "CPU µs ours", "peer", "peak MB ours", "peer"
    )
    for result in results:
        ours, peer, ratios = result.get("ours"), result.get("peer"), result.get("ratios", {})
        table.add_row(
            result["title"],
            f"{result['images']:,}" if "images" in result else "",
            _ratio(ratios.get("wall"), result.get("targets", {}).get("wall")),
            _ratio(ratios.get("cpu"), result.get("targets", {}).get("cpu")),
            _median(ours, "per_s"),
            _median(peer, "per_s"),
            _median(ours, "cpu_us_each", ".1f"),
            _median(peer, "cpu_us_each", ".1f"),
            _median(ours, "peak_rss_mb") if ours else f"× {result['peak_growth']:.2f} (≤ {PEAK_GROWTH})",
            _median(peer, "peak_rss_mb"),
        )
    console.print(table)


def _ratio(values: dict[str, float] | None, target: float | None) -> str:
    if values is None:
        return ""
    text = f"{values['median']:.1f} [{values['min']:.1f}-{values['max']:.1f}]"
    return text if target is None else f"{text} ≥{target:g} {'met' if values['median'] >= target else 'MISSED'}"


def _median(figures: dict[str, Any] | None, name: str, form: str = ",.0f") -> str:
    return format(figures[name]["median"], form) if figures else ""


def _draw(results: list[dict[str, Any]], path: Path) -> None:
    # Imported where it is used: the only one who needs it is bench-full.
    from matplotlib.figure import Figure

    compared = [result for result in results if "ratios" in result]
    figure = Figure(figsize=(9, 0.8 * len(compared) + 1.5), layout="constrained")
    axes = figure.subplots()
    for at, result in enumerate(compared):
        for offset, kind in ((-0.2, "wall"), (0.2, "cpu")):
            ratio = result["ratios"][kind]
            error = [[ratio["median"] - ratio["min"]], [ratio["max"] - ratio["median"]]]
            colour, name = ("C0", "wall") if kind == "wall" else ("C1", "CPU")
            axes.barh(at + offset, ratio["median"], 0.35, xerr=error, color=colour, label=name if not at else None)
            if target := result["targets"].get(kind):
                axes.plot([target] * 2, [at + offset - 0.2, at + offset + 0.2], color="C3", linewidth=2.5)
    axes.plot([], [], color="C3", linewidth=2.5, label="target")
    # From half as fast to thirty times as fast.
    axes.set_xscale("log")
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(compared)), [result["title"] for result in compared])
    axes.set_xlabel("times the peer: median and range of rounds")
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    typer.run(main)
