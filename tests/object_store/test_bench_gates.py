"""The gates of continuous integration: a real loss of speed closes one, a busy machine does not."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bench import __main__ as bench
from bench.gates import FEWEST_ROUNDS, GATE_SHARE, MOST_ROUNDS, NEAR_SHARE, Contest, Gate
from bench.measurement import Run

QUIET_S = {"our_manifest": 0.1, "our_manifest_validated": 0.2, "hook_manifest": 2.0}
GATES = (
    Gate(title="manifest", ours="our_manifest", usual=20),
    Gate(title="validation and ledger", ours="our_manifest_validated", usual=10),
)


def contest() -> Contest:
    return Contest(gates=GATES, peer="hook_manifest")


def quiet(**slower: float) -> Callable[[str], float]:
    """A quiet machine, on which some contenders take so many times as long."""
    return lambda name: QUIET_S[name] * slower.get(name, 1)


def closed(contest: Contest) -> list[str]:
    return [gate.title for gate in contest.gates if contest.is_closed(gate)]


def test_a_quiet_machine_needs_the_fewest_rounds() -> None:
    decided = contest()
    decided.decide(quiet())
    assert decided.rounds == FEWEST_ROUNDS
    assert [decided.ratio(gate) for gate in GATES] == pytest.approx([20, 10])
    assert closed(decided) == []


def test_contenders_take_turns() -> None:
    turns: list[str] = []
    contest().decide(lambda name: turns.append(name) or QUIET_S[name])  # type: ignore[func-returns-value]
    assert turns == [*QUIET_S] * FEWEST_ROUNDS


def test_a_real_loss_closes_its_gate_alone_and_after_the_most_rounds() -> None:
    decided = contest()
    decided.decide(quiet(our_manifest_validated=1.05 / GATE_SHARE))
    assert decided.rounds == MOST_ROUNDS
    assert closed(decided) == ["validation and ledger"]


def test_a_loss_that_stops_short_of_the_gate_leaves_it_open() -> None:
    decided = contest()
    decided.decide(quiet(our_manifest=0.95 / GATE_SHARE))
    assert decided.rounds == MOST_ROUNDS
    assert closed(decided) == []


def test_one_good_round_of_ours_among_bad_ones_is_enough() -> None:
    decided = contest()

    def busy(name: str) -> float:
        is_slow = name != decided.peer and decided.rounds != MOST_ROUNDS - 2
        return QUIET_S[name] * (4 if is_slow else 1)

    decided.decide(busy)
    assert closed(decided) == []
    assert decided.rounds == MOST_ROUNDS - 1


@pytest.mark.parametrize("seed", range(200))
def test_noise_closes_no_gate_and_hides_no_loss(seed: int) -> None:
    """Two of three runs meet other work, and take up to five times as long."""
    chance = random.Random(seed)

    def noise() -> float:
        return 1 + (chance.random() < 2 / 3) * chance.uniform(0, 4)

    undisturbed, slow = contest(), contest()
    undisturbed.decide(lambda name: QUIET_S[name] * noise())
    assert closed(undisturbed) == []
    slower = quiet(our_manifest=8)
    slow.decide(lambda name: slower(name) * noise())
    assert closed(slow) == ["manifest"]


def test_a_gate_is_well_below_what_is_usual_and_so_is_what_is_near_it() -> None:
    assert GATE_SHARE * NEAR_SHARE < 0.7


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[[str], float]], tuple[int, str]]:
    """`python -m bench --gate` over scripted runs; its exit code and what it prints."""

    @contextlib.contextmanager
    def stub(images: int) -> Iterator[str]:
        yield "http://127.0.0.1:1"

    def gate(cpu_s: Callable[[str], float]) -> tuple[int, str]:
        def measure(name: str, images: int, endpoint: str) -> Run:
            return Run(wall_s=1, cpu_s=cpu_s(name), peak_rss_mb=1, base_rss_mb=1)

        monkeypatch.setattr(bench, "measure", measure)
        app = typer.Typer()
        app.command()(bench.main)
        with bench.console.capture() as printed:
            result = CliRunner().invoke(app, ["--gate"])
        return result.exit_code, " ".join(printed.get().split())

    for name in ("preload", "set_stub", "check_output"):
        monkeypatch.setattr(bench, name, lambda *_, **__: None)
    monkeypatch.setattr(bench, "stub", stub)
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    for name in ("AIRFLOW_HOME", "AIRFLOW__LOGGING__LOGGING_LEVEL", "AIRFLOW__CORE__LOAD_EXAMPLES"):
        # The command sets them for its processes; the test puts them back.
        monkeypatch.setenv(name, "")
    return gate


def usual(name: str) -> float:
    """CPU seconds as they are on a quiet machine, for every contender that has a gate and the peers."""
    for each in bench.COMPARISONS:
        if each.usual and each.ours == name:
            return 1 / each.usual
    return 1.0


def test_the_command_ends_well_when_every_gate_is_open(run: Callable[..., tuple[int, str]]) -> None:
    code, printed = run(usual)
    assert code == 0, printed
    assert "CLOSED" not in printed


def test_the_command_says_what_has_become_slower(run: Callable[..., tuple[int, str]]) -> None:
    code, printed = run(lambda name: usual(name) * (2.5 if name == "our_probe" else 1))
    assert code == 1
    assert printed.count("CLOSED") == 1
    assert "image headers, 0 ms: boto3_probe took 3.2 times the CPU time of our_probe" in printed
    assert f"the best of {MOST_ROUNDS} rounds each" in printed
    assert "the gate is at 4" in printed
